//! Rows of logits, in memory or in a file.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::{Error, Features, Result};

/// Rows that are kept outside of memory, such as in a file.
pub trait Rows: fmt::Debug + Send + Sync {
    /// Number of rows.
    fn len(&self) -> usize;

    /// Whether there is no row.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Width of a row.
    fn dim(&self) -> usize;

    /// The rows in order, batch by batch.
    fn batches(&self) -> Box<dyn Iterator<Item = Result<Features>> + '_>;
}

/// Logits of a classifier, (N, classes), of which a metric reads each row once.
#[derive(Debug, Clone)]
pub enum Logits {
    /// In memory.
    Held(Features),
    /// Elsewhere, and read again each time, so that memory does not grow with the number of images.
    Kept(Arc<dyn Rows>),
}

impl Logits {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Held(rows) => rows.len(),
            Self::Kept(rows) => rows.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of classes.
    pub fn dim(&self) -> usize {
        match self {
            Self::Held(rows) => rows.dim(),
            Self::Kept(rows) => rows.dim(),
        }
    }

    /// The rows in order, batch by batch.
    pub fn batches(&self) -> Box<dyn Iterator<Item = Result<Cow<'_, Features>>> + '_> {
        match self {
            Self::Held(rows) => Box::new(std::iter::once(Ok(Cow::Borrowed(rows)))),
            Self::Kept(rows) => Box::new(rows.batches().map(|batch| batch.map(Cow::Owned))),
        }
    }

    /// All rows, in memory.
    ///
    /// # Errors
    /// If kept rows cannot be read.
    pub fn to_features(&self) -> Result<Features> {
        let mut all = Features::new(self.dim())?;
        for batch in self.batches() {
            all.append(&*batch?)?;
        }
        Ok(all)
    }

    /// Appends the rows of `other`; the result is in memory.
    ///
    /// # Errors
    /// [`Error::Dimension`] if they are not as wide; if kept rows cannot be read. The rows stay
    /// as they were then.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        let (expected, got) = (self.dim(), other.dim());
        if expected != got {
            return Err(Error::Dimension { what: "the appended logits", expected, got });
        }
        let mut all = self.to_features()?;
        all.append(&other.to_features()?)?;
        *self = Self::Held(all);
        Ok(())
    }
}

impl From<Features> for Logits {
    fn from(rows: Features) -> Self {
        Self::Held(rows)
    }
}

/// Equal when both are in memory with equal rows, or both are the same kept rows.
impl PartialEq for Logits {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Held(a), Self::Held(b)) => a == b,
            (Self::Kept(a), Self::Kept(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}
