//! Writing images.

use std::io::Write;
use std::path::Path;

use ganscope_weights::write_atomically;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};

use crate::error::chain;
use crate::{Error, Image, Result};

/// The bytes of a PNG.
///
/// # Errors
/// If the image has no pixels, or not as many as its size says.
pub fn encode_png(image: &Image) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    encode(&mut bytes, image)?;
    Ok(bytes)
}

fn encode(to: impl Write, image: &Image) -> image::ImageResult<()> {
    let (width, height) = (image.width as u32, image.height as u32);
    PngEncoder::new(to).write_image(&image.pixels, width, height, ExtendedColorType::Rgb8)
}

/// Writes a PNG under a temporary name in the same folder, then renames it, so that `path` is never
/// half a file.
pub fn save_png(path: &Path, image: &Image) -> Result<()> {
    write_atomically(path, |file| encode(file, image).map_err(|e| std::io::Error::other(e).into()))
        .map_err(|e| Error::Write { path: path.to_owned(), reason: chain(&e) })
}
