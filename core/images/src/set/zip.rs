//! Images in a zip archive.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use ganscope_weights::SharedFile;
use zip::ZipArchive;

use super::{Item, Source, is_image, labels, no_images};
use crate::{Error, Limits, Result};

/// An open archive.
pub(super) struct Zip {
    pub(super) path: PathBuf,
    pub(super) file: SharedFile,
    pub(super) archive: ZipArchive<SharedFile>,
    names: Vec<String>,
    limits: Limits,
}

impl Zip {
    pub(super) fn open(path: &Path, file: SharedFile, limits: Limits) -> Result<Self> {
        let failed = |e: zip::result::ZipError| Error::Archive {
            path: path.to_owned(),
            reason: e.to_string(),
        };
        let archive = ZipArchive::new(file.clone()).map_err(failed)?;
        let names = archive.file_names().map(|name| Ok(name?.into_owned()));
        let names = names.collect::<Result<_, _>>().map_err(failed)?;
        let mut zip = Self { path: path.to_owned(), file, archive, names, limits };
        zip.check_extents().map_err(failed)?;
        Ok(zip)
    }

    /// Fails if members share bytes or claim bytes that are not there: a small archive could unpack to
    /// any size.
    fn check_extents(&mut self) -> zip::result::ZipResult<()> {
        let size = self.file.size()?;
        let mut extents = Vec::with_capacity(self.archive.len());
        for i in 0..self.archive.len() {
            let member = self.archive.by_index_raw(i)?;
            let start = member.data_start().unwrap_or(member.header_start());
            extents.push((member.header_start(), start.saturating_add(member.compressed_size())));
        }
        extents.sort_unstable();
        let overlap = extents.windows(2).any(|pair| pair[1].0 < pair[0].1);
        if overlap {
            return Err(zip::result::ZipError::InvalidArchive("members overlap".into()));
        }
        if extents.iter().any(|&(_, end)| end > size) {
            let reason = "a member reaches beyond the end of the file";
            return Err(zip::result::ZipError::InvalidArchive(reason.into()));
        }
        Ok(())
    }

    /// Whether this is an `.npz` file: arrays and no image.
    pub(super) fn holds_arrays(&self) -> bool {
        self.names.iter().any(|name| name.strip_suffix(".npy").is_some())
            && !self.names.iter().any(|name| is_image(name))
    }

    /// The archive as a set of images.
    pub(super) fn into_images(self) -> Result<Images> {
        let (images, others): (Vec<(usize, String)>, Vec<_>) =
            self.names.iter().cloned().enumerate().partition(|(_, name)| is_image(name));
        if images.is_empty() {
            let others: Vec<String> = others.into_iter().map(|(_, name)| name).collect();
            return Err(no_images(&self.path, &others));
        }
        let mut images = images;
        images.sort_unstable_by(|(_, a), (_, b)| a.cmp(b));
        let (members, names): (Vec<usize>, Vec<String>) = images.into_iter().unzip();
        let labels = match self.names.iter().position(|name| name == labels::FILE) {
            Some(member) => {
                let mut archive = self.archive.clone();
                let json = archive.by_index(member).map_err(|e| Error::Archive {
                    path: self.path.clone(),
                    reason: e.to_string(),
                })?;
                labels::parse(&self.path.join(labels::FILE), json, &names, self.limits)?
            }
            None => Vec::new(),
        };
        let Self { path, archive, limits, .. } = self;
        Ok(Images { path, archive, members, names, labels, limits })
    }
}

/// The images of an archive, sorted by name.
pub(super) struct Images {
    path: PathBuf,
    archive: ZipArchive<SharedFile>,
    members: Vec<usize>,
    names: Vec<String>,
    labels: Vec<Option<u32>>,
    limits: Limits,
}

impl Images {
    /// Why image `i` is not unpacked.
    fn too_large(&self, i: usize) -> String {
        let mut archive = self.archive.clone();
        let member = archive.by_index_raw(self.members[i]);
        let packed = member.map_or(0, |member| member.compressed_size());
        format!("more than {} bytes, packed in {packed}", self.limits.member(packed))
    }
}

impl Source for Images {
    fn len(&self) -> usize {
        self.names.len()
    }

    fn name(&self, i: usize) -> String {
        self.names[i].clone()
    }

    fn label(&self, i: usize) -> Option<u32> {
        self.labels.get(i).copied().flatten()
    }

    fn read(&self, i: usize) -> Result<Item> {
        let path = || self.path.join(&self.names[i]);
        match member_bytes(&self.archive, self.members[i], self.limits) {
            Ok(Some(bytes)) => Ok(Item::Encoded(bytes)),
            Ok(None) => Err(Error::OverLimit { path: path(), reason: self.too_large(i) }),
            Err(e) => Err(Error::Archive { path: path(), reason: e.to_string() }),
        }
    }
}

/// The unpacked bytes of a member; none if they are more than the limit.
fn member_bytes(
    archive: &ZipArchive<SharedFile>,
    member: usize,
    limits: Limits,
) -> zip::result::ZipResult<Option<Vec<u8>>> {
    // A clone has its own position and shares the directory.
    let mut archive = archive.clone();
    let file = archive.by_index(member)?;
    let limit = limits.member(file.compressed_size());
    if file.size() > limit {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(file.size() as usize);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= limit))
}
