//! Decoding to RGB pixels, as by Pillow's `Image.open(..).convert("RGB")`.
//!
//! Gray is repeated, palettes are looked up, alpha is dropped and not composited, 16-bit color
//! loses its low byte, 16-bit gray is clipped at 255, CMYK is mixed without a profile, an
//! animation is its first frame. The orientation tag of a TIFF is followed, that of a JPEG is not. The
//! bytes are Pillow's; what would be read otherwise is refused.

mod bmp;
mod gif;
mod jpeg;
mod pillow;
mod png;
mod pnm;
pub(crate) mod sniff;
mod tiff;
mod webp;

use std::fmt;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader};

use crate::limits::FREE_PIXELS;
use crate::{Error, Image, Limits, Result};

/// Images above [`FREE_PIXELS`] are decoded one at a time, so that memory does not grow with threads.
static LARGE: Mutex<()> = Mutex::new(());

/// File format of an encoded image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// Baseline or progressive JPEG.
    Jpeg,
    /// WebP, lossy or lossless.
    WebP,
    /// Windows bitmap.
    Bmp,
    /// Tagged Image File Format, first page.
    Tiff,
    /// Portable bitmap, graymap or pixmap.
    Pnm,
    /// Graphics Interchange Format, first frame.
    Gif,
    /// Pixels that were never encoded: of an array, from memory, or computed.
    Raw,
}

impl Format {
    /// Formats that are read from files.
    pub const ENCODED: &[Self] =
        &[Self::Png, Self::Jpeg, Self::WebP, Self::Bmp, Self::Tiff, Self::Pnm, Self::Gif];

    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::Pnm => "PPM",
            Self::Gif => "GIF",
            Self::Raw => "raw pixels",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An image as RGB, and the format of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The pixels.
    pub image: Image,
    /// Format of the file.
    pub format: Format,
}

/// Decodes an image to RGB within the default [`Limits`]; `name` is what errors call it.
///
/// The bytes decide the format, not the name.
pub fn decode(bytes: &[u8], name: &str) -> Result<Decoded> {
    Limits::default().decode(bytes, name)
}

/// Format, width and height, from the header alone; `name` is what errors call it.
pub fn probe(bytes: &[u8], name: &str) -> Result<(Format, usize, usize)> {
    Limits::default().probe(bytes, name)
}

impl Limits {
    /// As [`decode`], within these limits.
    pub fn decode(self, bytes: &[u8], name: &str) -> Result<Decoded> {
        let format = format_of(bytes, name)?;
        let decoder = match format {
            Format::Png => png::decode,
            Format::Jpeg => jpeg::decode,
            Format::Gif => gif::decode,
            Format::Tiff => tiff::decode,
            Format::Bmp => bmp_or_other,
            Format::Pnm => pnm_or_other,
            _ => other,
        };
        let (_, width, height) = self.probe(bytes, name)?;
        let is_large = width as u64 * height as u64 > FREE_PIXELS;
        let _turn = is_large.then(|| LARGE.lock().unwrap_or_else(PoisonError::into_inner));
        let image = guarded(|| decoder(bytes, self)).map_err(|e| e.named(name, format))?;
        Ok(Decoded { image, format })
    }

    /// As [`probe`], within these limits.
    pub fn probe(self, bytes: &[u8], name: &str) -> Result<(Format, usize, usize)> {
        let format = format_of(bytes, name)?;
        let size = match format {
            Format::Png => png::size,
            Format::Jpeg => jpeg::size,
            Format::Gif => gif::size,
            Format::Tiff => tiff::size,
            Format::Pnm => pnm_or_other_size,
            _ => other_size,
        };
        let (width, height) = guarded(|| size(bytes, self)).map_err(|e| e.named(name, format))?;
        Ok((format, width, height))
    }
}

fn bmp_or_other(bytes: &[u8], limits: Limits) -> Result<Image, Failure> {
    bmp::decode(bytes, limits)?.map_or_else(|| other(bytes, limits), Ok)
}

fn pnm_or_other(bytes: &[u8], limits: Limits) -> Result<Image, Failure> {
    pnm::decode(bytes, limits)?.map_or_else(|| other(bytes, limits), Ok)
}

fn pnm_or_other_size(bytes: &[u8], limits: Limits) -> Result<(usize, usize), Failure> {
    pnm::size(bytes, limits)?.map_or_else(|| other_size(bytes, limits), Ok)
}

fn format_of(bytes: &[u8], name: &str) -> Result<Format> {
    sniff::format(bytes).ok_or_else(|| Error::UnknownFormat {
        name: name.to_owned(),
        expected: Format::ENCODED.iter().map(|f| f.name()).collect::<Vec<_>>().join(", "),
        found: sniff::describe(bytes),
    })
}

/// Why a decoder failed.
pub(crate) enum Failure {
    TooLarge { width: u64, height: u64, limit: u64, is_packed: bool },
    Reason(String),
}

impl Failure {
    fn named(self, name: &str, format: Format) -> Error {
        let name = name.to_owned();
        match self {
            Self::TooLarge { width, height, limit, is_packed } => {
                Error::TooLarge { name, width, height, limit, is_packed }
            }
            Self::Reason(reason) => Error::Unreadable { name, format, reason },
        }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Reason(error.to_string())
    }
}

fn reason(text: &str) -> Failure {
    Failure::Reason(text.to_owned())
}

/// Turns a panic of a decoder into an error: the decoders are third-party code and read hostile
/// data.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err(reason("the decoder panicked")))
}

/// Rows of `width` samples of 1, 2, 4 or 8 bits, each row starting at a byte and each byte at its
/// high bit, as one byte per sample.
fn unpacked(packed: &[u8], bits: u8, width: usize) -> Result<Vec<u8>, Failure> {
    let bits = match bits {
        8 => return Ok(packed.to_vec()),
        1 | 2 | 4 => bits as usize,
        other => return Err(Failure::Reason(format!("{other} bits a sample, not 1, 2, 4 or 8"))),
    };
    let mask = (0xFF_u16 >> (8 - bits)) as u8;
    let rows = packed.chunks_exact((width * bits).div_ceil(8));
    let sample = |row: &[u8], x: usize| (row[x * bits / 8] >> (8 - bits - x * bits % 8)) & mask;
    Ok(rows.flat_map(|row| (0..width).map(move |x| sample(row, x))).collect())
}

/// The formats whose decoders in the crate `image` agree with Pillow's.
fn reader(bytes: &[u8]) -> Result<impl image::ImageDecoder, Failure> {
    let format = match sniff::format(bytes) {
        Some(Format::WebP) => ImageFormat::WebP,
        Some(Format::Bmp) => ImageFormat::Bmp,
        _ => ImageFormat::Pnm,
    };
    Ok(ImageReader::with_format(Cursor::new(bytes), format).into_decoder()?)
}

fn other_size(bytes: &[u8], limits: Limits) -> Result<(usize, usize), Failure> {
    let (width, height) = reader(bytes)?.dimensions();
    let (width, height) = limits.checked_size(width, height, bytes.len())?;
    if sniff::format(bytes) == Some(Format::WebP) {
        webp::check_frames(bytes, width, height)?;
    }
    Ok((width, height))
}

fn other(bytes: &[u8], limits: Limits) -> Result<Image, Failure> {
    let decoder = reader(bytes)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = limits.checked_size(width, height, bytes.len())?;
    let pixels = match DynamicImage::from_decoder(decoder)? {
        DynamicImage::ImageLuma16(gray) => {
            gray.iter().flat_map(|&v| [pillow::clip(v); 3]).collect()
        }
        other => other.into_rgb8().into_raw(),
    };
    Ok(Image { width, height, pixels })
}
