//! Where the weights of a network come from.

use std::path::{Path, PathBuf};

use ganscope_hub::{Hub, known};
use sha2::{Digest as _, Sha256};

use super::shipped::shipped;
use crate::error::{Error, Hint, Result};
use crate::watch::{Watch, download};

/// Where the weights of an entry of the catalog come from when no file is given.
#[derive(Debug, Clone, Copy)]
pub enum WeightSource {
    /// An entry of the table of known weights, downloaded once.
    Known(&'static str),
    /// A part of this library.
    Shipped(&'static str),
}

impl WeightSource {
    /// The content of the file, which is downloaded if it is not in the cache.
    ///
    /// # Errors
    /// If it cannot be downloaded, or has another digest than the published one.
    pub fn bytes(self, watch: &mut dyn Watch) -> Result<Vec<u8>> {
        match self {
            Self::Known(id) => {
                let hub = Hub::from_env()?;
                if !hub.is_cached(id) && !hub.offline {
                    let size = known(id).and_then(|known| known.bytes);
                    let size = size.map(|bytes| format!(", {:.0} MB", bytes as f64 / 1e6));
                    watch.note(&format!("downloading {id} once{}", size.unwrap_or_default()));
                }
                let what = format!("weights {id}");
                let path = hub.fetch(id, &mut download(watch, &what))?;
                std::fs::read(&path).map_err(Error::file("read", &path))
            }
            Self::Shipped(name) => match shipped(name) {
                Some(file) => Ok(file.bytes.to_vec()),
                None => Err(Error::not_found(format!("`{name}` is not part of this build"))
                    .with_hint(Hint::of("build with the feature `models`, or give {weights}"))),
            },
        }
    }
}

/// The local path of `name`, which may be a known id, `hub:OWNER/REPO/FILE`, or an address: it is
/// downloaded if it is not in a cache. Any other name is a path already, whether or not it exists.
///
/// # Errors
/// If the file cannot be downloaded, or has another digest than the published one.
pub fn locate(name: &Path, watch: &mut dyn Watch) -> Result<PathBuf> {
    let remote = |name: &&str| {
        let elsewhere = ["hub:", "https://", "http://"];
        elsewhere.iter().any(|start| name.starts_with(start)) || known(name).is_some()
    };
    match name.to_str().filter(remote) {
        Some(id) if !name.exists() => Ok(Hub::from_env()?.fetch(id, &mut download(watch, id))?),
        _ => Ok(name.to_owned()),
    }
}

/// The names, types and shapes of the arrays of a file, or of a shipped network.
///
/// # Errors
/// If it cannot be read as a checkpoint.
pub fn inspect(name: &Path) -> Result<ganscope_weights::Listing> {
    let file = name.to_str().and_then(shipped).filter(|_| !name.exists());
    match file {
        Some(file) => Ok(ganscope_weights::inspect_bytes(file.bytes)?),
        None => Ok(ganscope_weights::inspect(name)?),
    }
}

/// The content of the file that [`locate`] finds.
///
/// # Errors
/// As [`locate`], or if the file cannot be read.
pub fn read(name: &Path, watch: &mut dyn Watch) -> Result<Vec<u8>> {
    let path = locate(name, watch)?;
    // A pipe would be waited for, and a device has no end.
    if std::fs::metadata(&path).is_ok_and(|kind| !kind.is_file() && !kind.is_dir()) {
        return Err(Error::request(format!("`{}` is not a regular file", path.display())));
    }
    std::fs::read(&path).map_err(Error::file("read", &path))
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}"))
}
