//! What the caches contain.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::client::pin;
use crate::transfer::PART;
use crate::{Hub, KNOWN, Result, Source, transfer};

/// A file of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The short name of a known file, else the name of the file.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The SHA-256 that it should have, or the first digits of it: published, or recorded when it was
    /// downloaded.
    pub sha256: Option<String>,
    /// Whether it lies in the cache of the hub, which other programs use too.
    pub is_shared: bool,
    /// Whether it is the beginning of a download that was interrupted.
    pub is_part: bool,
}

impl Kept {
    /// Whether the file has the digest that it should have; none if none is known.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) if it cannot be read.
    pub fn is_whole(&self) -> Result<Option<bool>> {
        let Some(expected) = &self.sha256 else { return Ok(None) };
        Ok(Some(transfer::matches(&transfer::sha256(&self.path)?, expected)))
    }

    /// Removes the file and what was recorded of it, unless a download of it is under way; returns
    /// whether it is gone.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) if the system refuses.
    pub fn remove(&self) -> Result<bool> {
        let remove = || -> std::io::Result<bool> {
            if self.is_part && std::fs::File::open(&self.path)?.try_lock().is_err() {
                return Ok(false);
            }
            match std::fs::remove_file(crate::client::pin_path(&self.path)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            std::fs::remove_file(&self.path)?;
            // The folder of a download has the name of its address, and nothing else in it.
            let _kept = self.path.parent().map(std::fs::remove_dir);
            Ok(true)
        };
        remove().map_err(crate::Error::writing(&self.path))
    }
}

impl Hub {
    /// The files of weights in the caches: all downloads and what was put there by hand; of the hub's
    /// cache those that are known.
    pub fn kept(&self) -> Vec<Kept> {
        let mut kept = BTreeMap::new();
        let mut add = |file: Kept| {
            kept.entry(file.path.clone()).or_insert(file);
        };
        for known in KNOWN {
            let file = |path: PathBuf, is_shared, sha256: Option<String>| Kept {
                name: known.id.to_owned(),
                sha256: known.sha256.map(str::to_owned).or(sha256),
                path,
                is_shared,
                is_part: false,
            };
            let placed = self.place(known.id);
            if placed.is_file() {
                add(file(placed, false, None));
            }
            for source in known.sources.iter().filter_map(|source| source.parse::<Source>().ok()) {
                let Some(path) = self.cached_source(&source) else { continue };
                match source {
                    Source::Hub { .. } => {
                        let digest = blob_digest(&path);
                        add(file(path, true, digest));
                    }
                    Source::Url(_) => {
                        let pinned = pin(&path);
                        add(file(path, false, pinned));
                    }
                }
            }
        }
        for path in files_below(&self.downloads.join("downloads")) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_part = name.ends_with(PART);
            let sha256 = pin(&path);
            add(Kept { name, sha256, path, is_shared: false, is_part });
        }
        kept.into_values().collect()
    }
}

/// The digest that names the blob of a large file of the hub.
fn blob_digest(path: &Path) -> Option<String> {
    let blob = std::fs::canonicalize(path).ok()?;
    let name = blob.file_name()?.to_str()?;
    let is_digest = name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
    is_digest.then(|| name.to_owned())
}

/// The regular files in the folders of a folder, without the records of digests.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_kept = |path: &PathBuf| {
        let is_file = std::fs::symlink_metadata(path).is_ok_and(|kind| kind.is_file());
        is_file && path.extension().is_none_or(|ending| ending != "sha256")
    };
    entries(folder)
        .flat_map(|below| entries(&below.path()).map(|entry| entry.path()).collect::<Vec<_>>())
        .filter(is_kept)
        .collect()
}
