//! Where features are kept between runs, and under which key.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use etcetera::BaseStrategy as _;
use ganscope_images::{Facts, ImageSet};
use rayon::prelude::*;

use crate::extractors::OpenExtractor;
use crate::hint::advised;

/// Version of everything that turns an image into a row; part of every key.
pub(crate) const ROWS: u32 = 1;

/// The folder of cached features: `$GANSCOPE_CACHE/features`, or in the user's cache folder.
pub fn folder() -> Option<PathBuf> {
    let root = match std::env::var_os("GANSCOPE_CACHE") {
        Some(root) => PathBuf::from(root),
        None => etcetera::choose_base_strategy().ok()?.cache_dir().join("ganscope"),
    };
    Some(root.join("features"))
}

/// Facts of the images `indices` of `set`; none for an unreadable one if those may be skipped.
///
/// # Errors
/// When an image cannot be read and `skip_unreadable` does not hold.
pub fn facts(
    set: &ImageSet,
    indices: &[usize],
    skip_unreadable: bool,
) -> Result<Vec<Option<Facts>>> {
    let look = |&i: &usize| match set.facts(i) {
        Ok(facts) => Ok(Some(facts)),
        Err(_) if skip_unreadable => Ok(None),
        Err(error) => Err(error.into()),
    };
    indices.par_iter().map(look).collect()
}

/// The key of the rows of images: a digest of their content, in their order, and of everything
/// that the rows depend on.
///
/// # Errors
/// Never, but for a failing serialiser.
pub fn key(facts: &[Option<Facts>], open: &OpenExtractor) -> Result<String> {
    let parts = format!("{:?}", open.extractor.gives());
    let mut hasher = blake3::Hasher::new();
    hasher.update(&serde_json::to_vec(&(ROWS, &open.convention, parts))?);
    for facts in facts {
        match facts {
            Some(facts) => hasher.update(facts.digest.as_bytes()),
            None => hasher.update(b"unreadable"),
        };
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Fails if `path` could not be written later.
///
/// # Errors
/// When its folder is not there or not writable.
pub fn check_writable(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match tempfile::NamedTempFile::new_in(folder) {
        Ok(_) => Ok(()),
        Err(_) if !folder.is_dir() => Err(advised(
            format!("cannot write `{}`: there is no folder `{}`", path.display(), folder.display()),
            "make the folder first, or name another",
        )),
        Err(error) => bail!("cannot write `{}`: {}", path.display(), error.kind()),
    }
}
