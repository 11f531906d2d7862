//! What images and archives may cost before they are refused.

use serde::{Deserialize, Serialize};

use crate::decode::Failure;

/// Largest number of pixels of one image unless [`Limits::max_pixels`] says otherwise: above it
/// Pillow refuses with `DecompressionBombError`.
pub const MAX_PIXELS: u64 = 178_956_970;

/// Largest encoded image that is read, in bytes.
pub const MAX_ENCODED: u64 = 1 << 30;

/// Pixels that an image may have whatever the size of its file. Larger ones are decoded one at a
/// time.
pub(crate) const FREE_PIXELS: u64 = 1 << 24;

/// What a set of images may cost: memory and time are bounded by the content of files, not by
/// their claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest number of pixels of one image.
    pub max_pixels: u64,
    /// Whether files may unpack to any multiple of their size. Otherwise an image may have 2^24
    /// pixels and 8,256 more for each byte of its file; the scans of a JPEG may visit 2^23 blocks and
    /// 64 more for each byte; a member of an archive may have 16 MiB and 64 bytes more for each
    /// packed byte; a tar archive inside gzip 64 MiB and 64 bytes more for each; a `dataset.json`
    /// 1 MiB and 1 KiB for each image.
    pub allow_large: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_pixels: MAX_PIXELS, allow_large: false }
    }
}

impl Limits {
    /// Width and height as numbers to allocate by, if an image of `bytes` bytes may be so large.
    pub(crate) fn checked_size(
        self,
        width: impl Into<u64>,
        height: impl Into<u64>,
        bytes: usize,
    ) -> Result<(usize, usize), Failure> {
        let (width, height) = (width.into(), height.into());
        // 1-bit PNG at the largest ratio of deflate.
        let of_content = self.content(FREE_PIXELS, 8256, bytes as u64);
        if width == 0 || height == 0 {
            return Err(Failure::Reason(format!("{width} x {height} pixels")));
        }
        let limit = self.max_pixels.min(of_content);
        if width.saturating_mul(height) > limit {
            let is_packed = of_content < self.max_pixels;
            return Err(Failure::TooLarge { width, height, limit, is_packed });
        }
        Ok((width as usize, height as usize))
    }

    /// Blocks that the scans of a JPEG of `bytes` bytes may visit together: a scan can say in one bit
    /// that many blocks stay as they are, but encoders make some ten scans, not hundreds.
    pub(crate) fn blocks(self, bytes: usize) -> u64 {
        self.content(1 << 23, 64, bytes as u64)
    }

    /// Bytes that a member of `packed` bytes of an archive may have unpacked: flat pictures without
    /// compression of their own.
    pub(crate) fn member(self, packed: u64) -> u64 {
        MAX_ENCODED.min(self.content(1 << 24, 64, packed))
    }

    /// Bytes that a tar archive of `packed` bytes may have unpacked.
    pub(crate) fn unpacked(self, packed: u64) -> u64 {
        self.content(1 << 26, 64, packed)
    }

    /// Bytes of a file of labels of `images` images, each with its name and its label.
    pub(crate) fn labels(self, images: usize) -> u64 {
        MAX_ENCODED.min(self.content(1 << 20, 1 << 10, images as u64))
    }

    /// `free`, and `ratio` for each of `size`.
    fn content(self, free: u64, ratio: u64, size: u64) -> u64 {
        if self.allow_large { u64::MAX } else { free.saturating_add(ratio.saturating_mul(size)) }
    }
}
