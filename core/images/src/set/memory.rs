//! Images in memory, and images computed on demand.

use super::{ImageSet, Item, Source};
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

/// Several sets, one after another.
pub(super) struct Joined {
    pub(super) sets: Vec<ImageSet>,
    /// Number of images before the end of each.
    pub(super) ends: Vec<usize>,
}

impl Joined {
    pub(super) fn new(sets: Vec<ImageSet>) -> Self {
        let mut end = 0;
        let ends = sets.iter().map(|set| {
            end += set.len();
            end
        });
        Self { ends: ends.collect(), sets }
    }

    /// The set that image `i` is of, and its place there.
    fn place(&self, i: usize) -> (&ImageSet, usize) {
        let set = self.ends.partition_point(|&end| end <= i);
        (&self.sets[set], i + self.sets[set].len() - self.ends[set])
    }
}

impl Source for Joined {
    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn name(&self, i: usize) -> String {
        format!("image {i}")
    }

    fn label(&self, i: usize) -> Option<u32> {
        let (set, i) = self.place(i);
        set.label(i)
    }

    fn read(&self, i: usize) -> Result<Item> {
        let (set, i) = self.place(i);
        set.source.read(i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_sets_keep_their_order() {
        let gray = |v: u8| Image::filled(1, 1, [v; 3]);
        let set = |values: &[u8]| ImageSet::from_images(values.iter().map(|&v| gray(v)).collect());
        let joined = ImageSet::joined(vec![set(&[1, 2]), set(&[]), set(&[3]), set(&[4, 5])]);
        let values: Vec<u8> =
            (0..joined.len()).map(|i| joined.get(i).unwrap().image.pixels[0]).collect();
        assert_eq!(values, [1, 2, 3, 4, 5]);
    }
}
