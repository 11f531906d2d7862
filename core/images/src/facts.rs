//! Facts about images that are known before decoding: enough to identify a set and to warn about
//! it.

use std::collections::{BTreeMap, HashSet};

pub use blake3::Hash as Digest;

use crate::{Format, Image, Limits, Result};

/// Format, size and digest of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// File format.
    pub format: Format,
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// BLAKE3 of the encoded bytes, or of size and pixels where nothing is encoded.
    pub digest: Digest,
    /// Whether it is gray with 16 bits per pixel, which RGB of 8 bits does not keep.
    pub deep_gray: bool,
}

impl Facts {
    /// Facts of an encoded image, which `name` names in errors.
    pub fn encoded(bytes: &[u8], name: &str, limits: Limits) -> Result<Self> {
        let (format, width, height) = limits.probe(bytes, name)?;
        let deep_gray = format == Format::Png && bytes.get(24..26) == Some(&[16, 0]);
        Ok(Self { format, width, height, digest: Self::digest_of(bytes), deep_gray })
    }

    /// The digest of an encoded image.
    pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
        blake3::hash(bytes)
    }

    /// Facts of pixels.
    pub fn pixels(image: &Image) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(image.width as u64).to_le_bytes());
        hasher.update(&(image.height as u64).to_le_bytes());
        let digest = hasher.update(&image.pixels).finalize();
        let (width, height) = (image.width, image.height);
        Self { format: Format::Raw, width, height, digest, deep_gray: false }
    }
}

/// Facts of many images together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Number of images.
    pub images: usize,
    /// How many of them have each format.
    pub formats: BTreeMap<Format, usize>,
    /// Width and height of the image with the fewest pixels.
    pub smallest: (usize, usize),
    /// Width and height of the image with the most pixels.
    pub largest: (usize, usize),
    /// Number of different pairs of width and height.
    pub sizes: usize,
    /// Images that equal an earlier one, byte by byte.
    pub duplicates: usize,
    /// Gray images with 16 bits per pixel.
    pub deep_gray: usize,
    /// Digest of the digests in order: equal for sets of equal images in equal order.
    pub digest: Digest,
}

impl Survey {
    /// Sums up `facts`, in the order of the set.
    pub fn of(facts: &[Facts]) -> Self {
        let mut formats = BTreeMap::new();
        let mut digests = HashSet::new();
        let mut hasher = blake3::Hasher::new();
        for fact in facts {
            *formats.entry(fact.format).or_insert(0) += 1;
            digests.insert(fact.digest);
            hasher.update(fact.digest.as_bytes());
        }
        let sizes: HashSet<_> = facts.iter().map(|fact| (fact.width, fact.height)).collect();
        let area = |&(width, height): &(usize, usize)| (width * height, width);
        Self {
            images: facts.len(),
            formats,
            smallest: sizes.iter().copied().min_by_key(area).unwrap_or_default(),
            largest: sizes.iter().copied().max_by_key(area).unwrap_or_default(),
            sizes: sizes.len(),
            duplicates: facts.len() - digests.len(),
            deep_gray: facts.iter().filter(|fact| fact.deep_gray).count(),
            digest: hasher.finalize(),
        }
    }
}
