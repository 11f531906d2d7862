//! Files named on the command line that may be elsewhere.

use std::path::{Path, PathBuf};

use anyhow::Result;
use ganscope_weights::hub::{self, Hub};

/// The file that `name` tells: a known id, `hub:owner/repo/file` or an address, fetched if it is not
/// in a cache, else the path itself, whether or not it exists.
///
/// # Errors
/// When the file cannot be fetched or is damaged.
pub fn locate(name: &Path, watch: &mut hub::Progress<'_>) -> Result<PathBuf> {
    let remote = |name: &&str| {
        let elsewhere = ["hub:", "https://", "http://"];
        elsewhere.iter().any(|start| name.starts_with(start)) || hub::known(name).is_some()
    };
    match name.to_str().filter(remote) {
        Some(id) if !name.exists() => Ok(Hub::from_env()?.fetch(id, watch)?),
        _ => Ok(name.to_owned()),
    }
}
