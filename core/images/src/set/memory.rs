//! Images in memory, and images computed on demand.

use super::{Item, Source};
use crate::{Image, Result};

/// Images at hand.
pub(super) struct Images(pub(super) Vec<Image>);

impl Source for Images {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn name(&self, i: usize) -> String {
        format!("image {i}")
    }

    fn read(&self, i: usize) -> Result<Item> {
        Ok(Item::Pixels(self.0[i].clone()))
    }
}

/// Images computed by a function of their position.
pub(super) struct Computed<F> {
    pub(super) len: usize,
    pub(super) make: F,
}

impl<F: Fn(usize) -> Result<Image> + Send + Sync> Source for Computed<F> {
    fn len(&self) -> usize {
        self.len
    }

    fn name(&self, i: usize) -> String {
        format!("image {i}")
    }

    fn read(&self, i: usize) -> Result<Item> {
        (self.make)(i).map(Item::Pixels)
    }
}
