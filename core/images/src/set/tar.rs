//! Images in a tar archive, plain or inside gzip.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use ganscope_weights::SharedFile;
use tar::Archive;

use super::{Item, Source, is_image, no_images};
use crate::limits::MAX_ENCODED;
use crate::{Error, Limits, Result};

/// Position of the name of the format in the header of a member.
const MAGIC: std::ops::Range<usize> = 257..262;

/// Links that lead to links are followed so far.
const LONGEST_CHAIN: usize = 40;

/// Whether a file that begins with these bytes is a tar archive.
pub(super) fn is_tar(start: &[u8]) -> bool {
    start.get(MAGIC).is_some_and(|magic| magic == b"ustar")
}

/// The content of the gzip file `packed`, a tar archive, in a temporary file without a name.
///
/// Images are read in any order, which gzip does not allow. The temporary folder of the system
/// needs room for the whole archive; memory does not.
pub(super) fn unpacked(path: &Path, packed: SharedFile, limits: Limits) -> Result<SharedFile> {
    let unpack = || -> io::Result<Option<File>> {
        let size = packed.size()?;
        let limit = limits.unpacked(size);
        let mut content = MultiGzDecoder::new(BufReader::new(packed));
        let mut start = Vec::new();
        content.by_ref().take(MAGIC.end as u64).read_to_end(&mut start)?;
        if !is_tar(&start) {
            return Ok(None);
        }
        let mut file = tempfile::tempfile()?;
        file.write_all(&start)?;
        if io::copy(&mut content.take(limit), &mut file)? == limit {
            let text = format!("more than {limit} bytes, packed in {size}");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        Ok(Some(file))
    };
    match unpack() {
        Ok(Some(file)) => Ok(SharedFile::new(file)),
        Ok(None) => Err(Error::UnknownSource {
            path: path.to_owned(),
            found: "gzip data, but not of a tar archive".to_owned(),
        }),
        Err(e) if e.kind() == io::ErrorKind::FileTooLarge => {
            Err(Error::OverLimit { path: path.to_owned(), reason: e.to_string() })
        }
        Err(e) => Err(Error::Archive { path: path.to_owned(), reason: e.to_string() }),
    }
}

/// The images of an archive, sorted by name; of two members with one name, the last.
pub(super) struct Tar {
    path: PathBuf,
    file: SharedFile,
    members: Vec<(String, Extent)>,
    /// Links that lead to no member.
    ignored: Vec<String>,
}

/// What an archive contains.
#[derive(Default)]
struct Content {
    files: BTreeMap<String, Extent>,
    /// Names of links, and of what they lead to.
    links: BTreeMap<String, String>,
}

/// Where the content of a member lies.
#[derive(Clone, Copy)]
struct Extent {
    start: u64,
    len: u64,
}

impl Tar {
    pub(super) fn open(path: &Path, file: SharedFile) -> Result<Self> {
        let mut content = list(&file)
            .map_err(|e| Error::Archive { path: path.to_owned(), reason: e.to_string() })?;
        let ignored = content.follow_links();
        let (images, others): (Vec<_>, Vec<_>) =
            content.files.into_iter().partition(|(name, _)| is_image(name));
        if images.is_empty() {
            let others: Vec<String> = others.into_iter().map(|(name, _)| name).collect();
            return Err(no_images(path, &others));
        }
        Ok(Self { path: path.to_owned(), file, members: images, ignored })
    }
}

impl Content {
    /// Makes files of the links that lead to files of the archive, as a folder's links are followed;
    /// returns the others.
    fn follow_links(&mut self) -> Vec<String> {
        let mut lost = Vec::new();
        for link in self.links.keys() {
            let mut target = &self.links[link];
            for _ in 0..LONGEST_CHAIN {
                match self.links.get(target) {
                    Some(next) if !self.files.contains_key(target) => target = next,
                    _ => break,
                }
            }
            match self.files.get(target).copied() {
                Some(extent) => drop(self.files.insert(link.clone(), extent)),
                None if is_image(link) => lost.push(format!("{link} (a link to `{target}`)")),
                None => {}
            }
        }
        lost
    }
}

/// `name` below `folder`, without `.` and `..`.
fn joined(folder: &str, name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The files and links of an archive.
fn list(file: &SharedFile) -> io::Result<Content> {
    let mut content = Content::default();
    let mut archive = Archive::new(file.clone());
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        let kind = entry.header().entry_type();
        if kind.is_gnu_sparse() && is_image(&name) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, format!("`{name}` is sparse")));
        }
        let target = entry.link_name_bytes();
        let target = target.map(|target| String::from_utf8_lossy(&target).into_owned());
        match target {
            // A hard link names a member, a symbolic one a path from where it lies.
            Some(target) if kind.is_hard_link() => {
                content.links.insert(name, joined("", &target));
            }
            Some(target) if kind.is_symlink() && !target.starts_with('/') => {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                let target = joined(folder, &target);
                content.links.insert(name, target);
            }
            Some(target) if kind.is_symlink() => {
                content.links.insert(name, target);
            }
            _ if kind.is_file() || kind.is_contiguous() => {
                let extent = Extent { start: entry.raw_file_position(), len: entry.size() };
                content.links.remove(&name);
                content.files.insert(name, extent);
            }
            _ => {}
        }
    }
    Ok(content)
}

impl Source for Tar {
    fn len(&self) -> usize {
        self.members.len()
    }

    fn name(&self, i: usize) -> String {
        self.members[i].0.clone()
    }

    fn ignored(&self) -> &[String] {
        &self.ignored
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
