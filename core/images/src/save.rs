//! Writing images.

use std::path::Path;

use ganscope_weights::write_atomically;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};

use crate::error::chain;
use crate::{Error, Image, Result};

/// Writes a PNG under a temporary name in the same folder, then renames it, so that `path` is never
/// half a file.
pub fn save_png(path: &Path, image: &Image) -> Result<()> {
    let (width, height) = (image.width as u32, image.height as u32);
    write_atomically(path, |file| {
        PngEncoder::new(file)
            .write_image(&image.pixels, width, height, ExtendedColorType::Rgb8)
            .map_err(|e| std::io::Error::other(e).into())
    })
    .map_err(|e| Error::Write { path: path.to_owned(), reason: chain(&e) })
}
