//! PNG: all color types and depths, interlaced or not; of an APNG the default image.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Transformations};

use super::{Failure, pillow, reason, unpacked};
use crate::{Image, Limits};

/// Largest size of the chunks other than pixels, in bytes.
const METADATA: usize = 1 << 24;

fn decoder(bytes: &[u8]) -> Decoder<Cursor<&[u8]>> {
    let limits = png::Limits { bytes: METADATA };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::IDENTITY);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder
}

pub(super) fn size(bytes: &[u8], limits: Limits) -> Result<(usize, usize), Failure> {
    let mut decoder = decoder(bytes);
    let info = decoder.read_header_info()?;
    limits.checked_size(info.width, info.height, bytes.len())
}

pub(super) fn decode(bytes: &[u8], limits: Limits) -> Result<Image, Failure> {
    let (width, height) = size(bytes, limits)?;
    let mut reader = decoder(bytes).read_info()?;
    let (color, depth) = reader.output_color_type();
    if reader.info().interlaced {
        let raw_len = reader.output_buffer_size().ok_or_else(|| reason("too many bytes"))?;
        let mut raw = vec![0; raw_len];
        let frame = reader.next_frame(&mut raw)?;
        if (frame.width as usize, frame.height as usize) != (width, height) {
            return Err(reason("the first frame does not fill the image"));
        }
        let rows = Rows { color, depth, palette: reader.info().palette.as_deref(), width };
        let mut pixels = Vec::with_capacity(3 * width * height);
        for row in raw.chunks_exact(frame.line_size) {
            rows.push(row, &mut pixels)?;
        }
        return Ok(Image { width, height, pixels });
    }
    let palette = reader.info().palette.clone();
    let rows = Rows { color, depth, palette: palette.as_deref(), width };
    let mut pixels = Vec::with_capacity(3 * width * height);
    let mut done = 0;
    while let Some(row) = reader.next_row()? {
        rows.push(row.data(), &mut pixels)?;
        done += 1;
    }
    if done != height || pixels.len() != 3 * width * height {
        return Err(reason("the first frame does not fill the image"));
    }
    Ok(Image { width, height, pixels })
}

/// How the samples of a row become colors.
struct Rows<'a> {
    color: ColorType,
    depth: BitDepth,
    palette: Option<&'a [u8]>,
    width: usize,
}

impl Rows<'_> {
    /// Appends the colors of a row.
    fn push(&self, row: &[u8], pixels: &mut Vec<u8>) -> Result<(), Failure> {
        match (self.color, self.depth) {
            (ColorType::Rgb, BitDepth::Eight) => pixels.extend_from_slice(row),
            (ColorType::Rgba, BitDepth::Eight) => bytes::<4>(row, pixels, |[r, g, b, _]| [r, g, b]),
            (ColorType::Grayscale, BitDepth::Eight) => bytes::<1>(row, pixels, |[v]| [v; 3]),
            (ColorType::GrayscaleAlpha, BitDepth::Eight) => {
                bytes::<2>(row, pixels, |[v, _]| [v; 3]);
            }
            (ColorType::Grayscale, BitDepth::Sixteen) => {
                wide::<1>(row, pixels, |[v]| [pillow::clip(v); 3]);
            }
            (ColorType::GrayscaleAlpha, BitDepth::Sixteen) => {
                wide::<2>(row, pixels, |[v, _]| [pillow::high_byte(v); 3]);
            }
            (ColorType::Rgb, BitDepth::Sixteen) => {
                wide::<3>(row, pixels, |rgb| rgb.map(pillow::high_byte));
            }
            (ColorType::Rgba, BitDepth::Sixteen) => {
                wide::<4>(row, pixels, |[r, g, b, _]| [r, g, b].map(pillow::high_byte));
            }
            (ColorType::Grayscale, depth) => {
                let scale = 255 / ((1 << depth as u8) - 1) as u8;
                let samples = unpacked(row, depth as u8, self.width)?;
                pixels.extend(samples.into_iter().flat_map(|v| [v * scale; 3]));
            }
            (ColorType::Indexed, depth) => {
                let colors = self.palette.unwrap_or_default().as_chunks::<3>().0;
                let color = |v: u8| colors.get(v as usize).copied().unwrap_or([0; 3]);
                pixels.extend(unpacked(row, depth as u8, self.width)?.into_iter().flat_map(color));
            }
            (color, depth) => return Err(Failure::Reason(format!("{color:?} of {depth:?} bits"))),
        }
        Ok(())
    }
}

/// Appends the colors of pixels of `C` samples of 8 bits.
fn bytes<const C: usize>(row: &[u8], pixels: &mut Vec<u8>, rgb: impl Fn([u8; C]) -> [u8; 3]) {
    pixels.extend(row.as_chunks::<C>().0.iter().flat_map(|&pixel| rgb(pixel)));
}

/// Appends the colors of pixels of `C` samples of 16 bits, big endian.
fn wide<const C: usize>(row: &[u8], pixels: &mut Vec<u8>, rgb: impl Fn([u16; C]) -> [u8; 3]) {
    let samples: Vec<u16> = row.as_chunks::<2>().0.iter().map(|&v| u16::from_be_bytes(v)).collect();
    pixels.extend(samples.as_chunks::<C>().0.iter().flat_map(|&pixel| rgb(pixel)));
}
