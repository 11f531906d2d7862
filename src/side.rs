//! One side of a comparison: images, or statistics that were stored.

use std::path::Path;

use anyhow::Result;
use ganscope_images::{ImageSet, SetOptions};
use ganscope_stats::files::{self, Convention, Stored};
use ganscope_weights::npz;

use crate::hint::advised;
use crate::shipped::shipped;

/// A generated or a reference set.
#[derive(Debug)]
pub struct Side {
    name: String,
    /// Statistics that were stored.
    pub stored: Option<Stored>,
    /// Images, to be run through the extractor.
    pub images: Option<ImageSet>,
}

impl Side {
    /// Opens what is at `path`, or the shipped statistics of that name. An ADM reference may hold both statistics and images: the former
    /// serve metrics of moments, the latter all others.
    ///
    /// # Errors
    /// When there is nothing, or nothing that holds images or statistics.
    pub fn open(path: &Path, recursive: bool) -> Result<Self> {
        let name = path.display().to_string();
        if let Some(file) = shipped(&name).filter(|_| !path.exists()) {
            let stored = files::read_bytes(file.bytes)?;
            return Ok(Self { name, stored: Some(stored), images: None });
        }
        let stored = path.is_file() && files::is_stats(path).unwrap_or(false);
        let stored = stored.then(|| files::read(path)).transpose()?;
        let images = stored.is_none() || holds_images(path);
        let images = images.then(|| ImageSet::open(path, &SetOptions { recursive }));
        Ok(Self { name, stored, images: images.transpose()? })
    }

    /// The path as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How stored statistics were taken.
    pub fn convention(&self) -> Option<&Convention> {
        self.stored.as_ref()?.convention.as_ref()
    }

    /// Fails if stored statistics were taken under another convention.
    ///
    /// # Errors
    /// The message names the differences.
    pub fn check(&self, convention: &Convention) -> Result<()> {
        let Some(taken) = self.convention() else { return Ok(()) };
        let advice = || {
            advised(
                format!("`{}` cannot be compared", self.name),
                "take both sets under one preset, or compare them all the same with `--force`",
            )
        };
        convention.check(taken).map_err(|e| anyhow::Error::from(e).context(advice()))
    }
}

/// Whether a file of statistics holds images, too.
fn holds_images(path: &Path) -> bool {
    npz::Archive::open(path).is_ok_and(|archive| archive.names().iter().any(|n| n == "arr_0"))
}
