//! TIFF: the first page.

mod directory;

use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

use directory::Ordered;

use super::{Failure, pillow, reason, unpacked};
use crate::{Image, Limits};

/// `PhotometricInterpretation`, and its values for gray and for palettes.
const PHOTOMETRIC: u16 = 262;
const BLACK_IS_ZERO: u16 = 1;
const PALETTE: u64 = 3;

/// `Compression` that another decoder than ours would read, with other bits than libjpeg's.
const JPEG: u16 = 7;

/// `PlanarConfiguration` of samples in planes.
const PLANES: u16 = 2;

/// The kind of extra samples that colors were multiplied by.
const ASSOCIATED_ALPHA: u16 = 1;

/// Bytes that a pixel may take: four samples of 64 bits.
const PIXEL_BYTES: usize = 32;

/// Bytes that the values of a tag may take.
const TAG_BYTES: usize = 1 << 20;

pub(super) fn size(bytes: &[u8], limits: Limits) -> Result<(usize, usize), Failure> {
    let (width, height, orientation) = stored_size(bytes, limits)?;
    Ok(if orientation > 4 { (height, width) } else { (width, height) })
}

/// Width and height as they are stored, and how the picture is turned: 1 for not at all, above 4 with
/// rows and columns exchanged.
fn stored_size(bytes: &[u8], limits: Limits) -> Result<(usize, usize, u16), Failure> {
    directory::entries(&ordered(bytes))?;
    let mut decoder = Decoder::new(Cursor::new(bytes))?;
    let (width, height) = decoder.dimensions()?;
    let (width, height) = limits.checked_size(width, height, bytes.len())?;
    let orientation = decoder.find_tag_unsigned::<u16>(Tag::Orientation).ok().flatten();
    Ok((width, height, orientation.filter(|tag| (1..=8).contains(tag)).unwrap_or(1)))
}

pub(super) fn decode(bytes: &[u8], limits: Limits) -> Result<Image, Failure> {
    let (width, height, orientation) = stored_size(bytes, limits)?;
    let gray = palette_as_gray(bytes)?;
    let mut memory = tiff::decoder::Limits::default();
    memory.decoding_buffer_size = TAG_BYTES.max(width * height * PIXEL_BYTES);
    memory.intermediate_buffer_size = memory.decoding_buffer_size;
    let mut decoder =
        Decoder::new(Cursor::new(gray.as_deref().unwrap_or(bytes)))?.with_limits(memory);
    let color = decoder.colortype()?;
    if decoder.find_tag_unsigned::<u16>(Tag::Compression)? == Some(JPEG) {
        return Err(reason("compressed as JPEG"));
    }
    let planes = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration)? == Some(PLANES);
    if planes && decoder.find_tag(Tag::TileWidth)?.is_some() {
        return Err(reason("tiles of single colors"));
    }
    let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)?.unwrap_or_default();
    let is_multiplied = extra.first() == Some(&ASSOCIATED_ALPHA);
    let palette = match gray {
        Some(_) => decoder.get_tag_u16_vec(Tag::ColorMap)?,
        None => Vec::new(),
    };
    let mut samples = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut samples)?;
    let shape =
        Shape { width, height, channels: color.num_samples() as usize, planar: layout.planes > 1 };
    let pixels = match (color, samples) {
        (ColorType::Gray(bits), DecodingResult::U8(v)) if !palette.is_empty() => {
            let third = palette.len() / 3;
            let entry = |i: usize| palette.get(i).copied().map_or(0, pillow::high_byte);
            let rgb = |[i]: [u8; 1]| [0, 1, 2].map(|c| entry(c * third + i as usize));
            shape.rgb(&unpacked(&v, bits, width)?, rgb)?
        }
        (ColorType::Gray(bits), DecodingResult::U8(v)) if bits < 8 => {
            let scale = (255 / ((1_u16 << bits) - 1)) as u8;
            shape.rgb(&unpacked(&v, bits, width)?, |[v]| [v * scale; 3])?
        }
        (ColorType::Gray(_), DecodingResult::U16(v)) => {
            shape.rgb(&v, |[v]| [pillow::clip(v); 3])?
        }
        (ColorType::Gray(_), DecodingResult::I16(v)) => {
            shape.rgb(&v, |[v]| [v.clamp(0, 255) as u8; 3])?
        }
        (ColorType::Gray(_), DecodingResult::I32(v)) => {
            shape.rgb(&v, |[v]| [v.clamp(0, 255) as u8; 3])?
        }
        (ColorType::Gray(_), DecodingResult::F32(v)) => shape.rgb(&v, |[v]| [v as u8; 3])?,
        (ColorType::Gray(8), DecodingResult::U8(v)) => shape.rgb(&v, |[v]| [v; 3])?,
        (
            ColorType::GrayA(8) | ColorType::Multiband { bit_depth: 8, num_samples: 2 },
            DecodingResult::U8(v),
        ) => shape.rgb(&v, |[v, _]| [v; 3])?,
        (ColorType::RGB(8), DecodingResult::U8(v)) => shape.rgb(&v, |rgb| rgb)?,
        (ColorType::RGB(16), DecodingResult::U16(v)) => {
            shape.rgb(&v, |rgb: [u16; 3]| rgb.map(pillow::high_byte))?
        }
        (ColorType::RGBA(8), DecodingResult::U8(v)) if is_multiplied => {
            shape.rgb(&v, |[r, g, b, a]| [r, g, b].map(|color| pillow::divided(color, a)))?
        }
        (ColorType::RGBA(_), _) if is_multiplied => {
            return Err(reason("colors multiplied by an alpha of more than 8 bits"));
        }
        (ColorType::RGBA(8), DecodingResult::U8(v)) => shape.rgb(&v, |[r, g, b, _]| [r, g, b])?,
        (ColorType::RGBA(16), DecodingResult::U16(v)) => {
            shape.rgb(&v, |[r, g, b, _]| [r, g, b].map(pillow::high_byte))?
        }
        (ColorType::CMYK(8), DecodingResult::U8(v)) => shape.rgb(&v, pillow::cmyk)?,
        (other, _) => return Err(Failure::Reason(format!("pixels of the kind {other:?}"))),
    };
    Ok(turned(Image { width, height, pixels }, orientation))
}

/// The picture as its orientation says, from 1 to 8 as in the standard.
fn turned(image: Image, orientation: u16) -> Image {
    if orientation == 1 {
        return image;
    }
    let (w, h) = (image.width, image.height);
    let (width, height) = if orientation > 4 { (h, w) } else { (w, h) };
    let mut pixels = Vec::with_capacity(image.pixels.len());
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let (from_y, from_x) = match orientation {
            2 => (y, w - 1 - x),
            3 => (h - 1 - y, w - 1 - x),
            4 => (h - 1 - y, x),
            5 => (x, y),
            6 => (h - 1 - x, y),
            7 => (h - 1 - x, w - 1 - y),
            _ => (x, w - 1 - y),
        };
        pixels.extend_from_slice(&image.pixels[3 * (from_y * w + from_x)..][..3]);
    }
    Image { width, height, pixels }
}

/// How samples lie in the decoded buffer.
struct Shape {
    width: usize,
    height: usize,
    channels: usize,
    planar: bool,
}

impl Shape {
    /// Colors of all pixels, from pixels of `C` samples that are interleaved or in planes.
    fn rgb<T: Copy + Default, const C: usize>(
        &self,
        samples: &[T],
        rgb: impl Fn([T; C]) -> [u8; 3],
    ) -> Result<Vec<u8>, Failure> {
        let pixels = self.width * self.height;
        if self.channels != C || samples.len() < pixels * C {
            return Err(reason("samples are missing"));
        }
        let (along_pixels, along_channels) = if self.planar { (1, pixels) } else { (C, 1) };
        let mut out = Vec::with_capacity(3 * pixels);
        for p in 0..pixels {
            let mut pixel = [T::default(); C];
            for (c, sample) in pixel.iter_mut().enumerate() {
                *sample = samples[p * along_pixels + c * along_channels];
            }
            out.extend(rgb(pixel));
        }
        Ok(out)
    }
}

/// A copy whose first page declares its palette indices as gray, if it has a palette.
///
/// The decoder refuses palettes but reads gray, and returns the palette as a tag.
fn palette_as_gray(bytes: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    let file = ordered(bytes);
    let entries = directory::entries(&file)?;
    let Some(entry) = entries.iter().find(|entry| entry.tag == PHOTOMETRIC) else {
        return Ok(None);
    };
    if file.number::<2>(entry.value) != Some(PALETTE) {
        return Ok(None);
    }
    let mut copy = bytes.to_vec();
    let gray =
        if file.big_endian { BLACK_IS_ZERO.to_be_bytes() } else { BLACK_IS_ZERO.to_le_bytes() };
    copy[entry.value..entry.value + 2].copy_from_slice(&gray);
    Ok(Some(copy))
}

fn ordered(bytes: &[u8]) -> Ordered<'_> {
    Ordered { bytes, big_endian: bytes.first() == Some(&b'M') }
}
