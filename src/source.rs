//! Where the images or the statistics of a set come from.

use std::path::Path;

use ganscope_images::{ImageSet, SetOptions};
use ganscope_stats::Needs;
use ganscope_stats::files::{self, Contents, Convention, RowFile, Stored};

use crate::catalog::EXTRACTORS;
use crate::error::{Context as _, Error, Hint, Result};
use crate::models::shipped::shipped;
use crate::preset::PRESETS;

/// A generated or a reference set: images, stored statistics or both, or a file of rows of features.
#[derive(Debug)]
pub struct Source {
    name: String,
    stored: Option<Stored>,
    rows: Option<RowFile>,
    images: Option<ImageSet>,
}

impl Source {
    /// Opens what `name` is: a folder, an archive or an npz of images, a file of statistics or of rows
    /// of features, or the shipped statistics of that name. An ADM reference contains both statistics and images: the
    /// former serve metrics of moments, the latter all others.
    ///
    /// # Errors
    /// If there is nothing, or nothing that contains images or statistics.
    pub fn open(name: &str, options: &SetOptions) -> Result<Self> {
        let path = Path::new(name);
        let source = |stored, rows, images| Self { name: name.to_owned(), stored, rows, images };
        if let Some(file) = shipped(name).filter(|_| !path.exists()) {
            let stored = files::read_bytes(file.bytes).map_err(|error| {
                Error::request(format!(
                    "`{name}` is a shipped network, not a set of images: {error}"
                ))
                .with_hint("`fashion-test` is the shipped set; else give images, or statistics")
            })?;
            return Ok(source(Some(stored), None, None));
        }
        let contents = path.is_file().then(|| files::open(path)).transpose()?;
        let images = contents.as_ref().is_none_or(Contents::may_be_images);
        let (stored, rows) = contents.map_or((None, None), |found| (found.stored, found.rows));
        let images = images.then(|| ImageSet::open(path, options));
        Ok(source(stored, rows, images.transpose()?))
    }

    /// A set of images in memory or from elsewhere.
    pub fn of_images(name: impl Into<String>, images: ImageSet) -> Self {
        Self { name: name.into(), stored: None, rows: None, images: Some(images) }
    }

    /// Statistics or rows of features that are at hand.
    pub fn of_stored(name: impl Into<String>, stored: Stored) -> Self {
        Self { name: name.into(), stored: Some(stored), rows: None, images: None }
    }

    /// Its name, as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its images, if it has any.
    pub fn images(&self) -> Option<&ImageSet> {
        self.images.as_ref()
    }

    /// Its images.
    ///
    /// # Errors
    /// If it consists of statistics.
    pub fn need_images(&self) -> Result<&ImageSet> {
        self.images.as_ref().ok_or_else(|| {
            Error::request(format!("`{}` contains statistics and no images", self.name))
                .with_hint("give the images themselves: a folder, an archive or an npz")
        })
    }

    /// The same set without stored statistics.
    ///
    /// # Errors
    /// If it consists of statistics.
    pub(crate) fn only_images(self) -> Result<Self> {
        self.need_images()?;
        Ok(Self { stored: None, ..self })
    }

    /// Its stored statistics, if it has any.
    pub fn stored(&self) -> Option<&Stored> {
        self.stored.as_ref()
    }

    /// Its file of rows, if it is one.
    pub fn rows(&self) -> Option<&RowFile> {
        self.rows.as_ref()
    }

    /// The parts of its stored statistics or rows; `None` for a set of images alone.
    pub fn holds(&self) -> Option<Needs> {
        let rows = self.rows.as_ref().map(|_| RowFile::HOLDS);
        rows.or_else(|| Some(self.stored.as_ref()?.set.holds()))
    }

    /// How its stored statistics were taken, where the file says so.
    pub fn convention(&self) -> Option<&Convention> {
        self.stored.as_ref()?.convention.as_ref()
    }

    /// Fails if stored statistics were taken under another convention.
    ///
    /// # Errors
    /// The message names the differences.
    pub fn check(&self, convention: &Convention) -> Result<()> {
        let Some(taken) = self.convention() else { return Ok(()) };
        let message = || format!("`{}` cannot be compared", self.name);
        convention.check(taken).with_context(message).map_err(|error| {
            let extractor = EXTRACTORS.iter().find(|entry| entry.name == taken.extractor);
            let mut presets = extractor.map_or(PRESETS, |entry| entry.presets).iter();
            let preset = presets.find(|preset| preset.resize.name() == taken.resize);
            let of = preset.map(|preset| format!(" (`{}` has {})", self.name, preset.name));
            error.with_hint(
                Hint::of("take both sets under one {preset}")
                    .then(of.unwrap_or_default())
                    .then(", or compare them nevertheless with ")
                    .field("force"),
            )
        })
    }
}
