//! Images in a tar archive, plain or inside gzip.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use ganscope_weights::SharedFile;
use tar::Archive;

use super::{Item, MAX_ENCODED, Source, is_image, no_images};
use crate::{Error, Result};

/// Position of the name of the format in the header of a member.
const MAGIC: std::ops::Range<usize> = 257..262;

/// Whether a file that begins with these bytes is a tar archive.
pub(super) fn is_tar(start: &[u8]) -> bool {
    start.get(MAGIC).is_some_and(|magic| magic == b"ustar")
}

/// The content of the gzip file `packed`, a tar archive, in a temporary file without a name.
///
/// Images are read in any order, which gzip does not allow. The temporary folder of the system
/// needs room for the whole archive; memory does not.
pub(super) fn unpacked(path: &Path, packed: SharedFile) -> Result<SharedFile> {
    let unpack = || -> io::Result<Option<File>> {
        let mut content = MultiGzDecoder::new(BufReader::new(packed));
        let mut start = Vec::new();
        content.by_ref().take(MAGIC.end as u64).read_to_end(&mut start)?;
        if !is_tar(&start) {
            return Ok(None);
        }
        let mut file = tempfile::tempfile()?;
        file.write_all(&start)?;
        io::copy(&mut content, &mut file)?;
        Ok(Some(file))
    };
    match unpack() {
        Ok(Some(file)) => Ok(SharedFile::new(file)),
        Ok(None) => Err(Error::UnknownSource {
            path: path.to_owned(),
            found: "gzip data, but not of a tar archive".to_owned(),
        }),
        Err(e) => Err(Error::Archive { path: path.to_owned(), reason: e.to_string() }),
    }
}

/// The images of an archive, sorted by name; of two members with one name, the last.
pub(super) struct Tar {
    path: PathBuf,
    file: SharedFile,
    members: Vec<(String, Extent)>,
}

/// Where the content of a member lies.
#[derive(Clone, Copy)]
struct Extent {
    start: u64,
    len: u64,
}

impl Tar {
    pub(super) fn open(path: &Path, file: SharedFile) -> Result<Self> {
        let (images, others) = list(&file)
            .map_err(|e| Error::Archive { path: path.to_owned(), reason: e.to_string() })?;
        if images.is_empty() {
            return Err(no_images(path, &others));
        }
        let members = images.into_iter().collect();
        Ok(Self { path: path.to_owned(), file, members })
    }
}

/// The images of an archive, and the names of its other files.
fn list(file: &SharedFile) -> io::Result<(BTreeMap<String, Extent>, Vec<String>)> {
    let mut images = BTreeMap::new();
    let mut others = Vec::new();
    let mut archive = Archive::new(file.clone());
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        let kind = entry.header().entry_type();
        if kind.is_gnu_sparse() && is_image(&name) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, format!("`{name}` is sparse")));
        }
        if !kind.is_file() && !kind.is_contiguous() {
            continue;
        }
        if is_image(&name) {
            images.insert(name, Extent { start: entry.raw_file_position(), len: entry.size() });
        } else {
            others.push(name);
        }
    }
    Ok((images, others))
}

impl Source for Tar {
    fn len(&self) -> usize {
        self.members.len()
    }

    fn name(&self, i: usize) -> String {
        self.members[i].0.clone()
    }

    fn read(&self, i: usize) -> Result<Item> {
        let (name, extent) = &self.members[i];
        let failed = |reason| Error::Archive { path: self.path.join(name), reason };
        if extent.len > MAX_ENCODED {
            return Err(failed(format!("{} bytes, more than {MAX_ENCODED}", extent.len)));
        }
        let bytes = self.file.read_range(extent.start, extent.len);
        bytes.map(Item::Encoded).map_err(|e| failed(e.to_string()))
    }
}
