//! Parts of a set of images.

use crate::error::{Error, Hint, Result};

/// Every image of a set, or one part of it: `3/16` is the third of sixteen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    part: usize,
    parts: usize,
}

impl Shard {
    /// The whole set.
    pub const WHOLE: Self = Self { part: 1, parts: 1 };

    /// Indices of the images, of `count`.
    pub fn of(self, count: usize) -> std::ops::Range<usize> {
        (self.part - 1) * count / self.parts..self.part * count / self.parts
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.part, self.parts)
    }
}

impl std::str::FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = |(part, parts): (&str, &str)| Some((part.parse().ok()?, parts.parse().ok()?));
        match text.split_once('/').and_then(parse) {
            Some((part, parts)) if 1 <= part && part <= parts => Ok(Self { part, parts }),
            _ => Err(Error::request(format!(
                "`{text}` is not PART/PARTS, counted from 1, as in 3/16"
            ))
            .with_hint(Hint::of("{shard} is the part and the number of parts"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_cover_every_image_once() {
        let part = |part| Shard { part, parts: 7 }.of(100);
        assert_eq!((1..=7).flat_map(part).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_shard_beyond_the_last_is_refused() {
        assert_eq!("3/16".parse::<Shard>().unwrap(), Shard { part: 3, parts: 16 });
        for wrong in ["17/16", "0/16", "3", "a/b", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
