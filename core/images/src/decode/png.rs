//! PNG: all color types and depths, interlaced or not; of an APNG the default image.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Limits, Transformations};

use super::{Failure, checked_size, pillow, reason, unpacked};
use crate::Image;

/// Largest size of the chunks other than pixels, in bytes.
const METADATA: usize = 1 << 24;

fn decoder(bytes: &[u8]) -> Decoder<Cursor<&[u8]>> {
    let limits = Limits { bytes: METADATA };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::IDENTITY);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder
}

pub(super) fn size(bytes: &[u8]) -> Result<(usize, usize), Failure> {
    let mut decoder = decoder(bytes);
    let info = decoder.read_header_info()?;
    checked_size(info.width, info.height, bytes.len())
}

pub(super) fn decode(bytes: &[u8]) -> Result<Image, Failure> {
    let (width, height) = size(bytes)?;
    let mut reader = decoder(bytes).read_info()?;
    let raw_len = reader.output_buffer_size().ok_or_else(|| reason("too many bytes"))?;
    let mut raw = vec![0; raw_len];
    let frame = reader.next_frame(&mut raw)?;
    if (frame.width as usize, frame.height as usize) != (width, height) {
        return Err(reason("the first frame does not fill the image"));
    }
    let palette = reader.info().palette.as_deref().unwrap_or_default();
    let rows = Rows { raw: &raw, width };
    let pixels = match (frame.color_type, frame.bit_depth) {
        (ColorType::Grayscale, BitDepth::Sixteen) => rows.wide::<1>(|[v]| [pillow::clip(v); 3]),
        (ColorType::Grayscale, BitDepth::Eight) => rows.bytes::<1>(|[v]| [v; 3]),
        (ColorType::Grayscale, depth) => {
            let scale = 255 / ((1 << depth as u8) - 1) as u8;
            rows.packed(depth, |v| [v * scale; 3])
        }
        (ColorType::GrayscaleAlpha, BitDepth::Sixteen) => {
            rows.wide::<2>(|[v, _]| [pillow::high_byte(v); 3])
        }
        (ColorType::GrayscaleAlpha, _) => rows.bytes::<2>(|[v, _]| [v; 3]),
        (ColorType::Rgb, BitDepth::Sixteen) => rows.wide::<3>(|rgb| rgb.map(pillow::high_byte)),
        (ColorType::Rgb, _) => raw,
        (ColorType::Rgba, BitDepth::Sixteen) => {
            rows.wide::<4>(|[r, g, b, _]| [r, g, b].map(pillow::high_byte))
        }
        (ColorType::Rgba, _) => rows.bytes::<4>(|[r, g, b, _]| [r, g, b]),
        (ColorType::Indexed, depth) => {
            let colors = palette.as_chunks::<3>().0;
            rows.packed(depth, |v| colors.get(v as usize).copied().unwrap_or([0; 3]))
        }
    };
    Ok(Image { width, height, pixels })
}

/// Decoded rows of samples.
struct Rows<'a> {
    raw: &'a [u8],
    width: usize,
}

impl Rows<'_> {
    /// Pixels of `C` samples of 8 bits.
    fn bytes<const C: usize>(&self, rgb: impl Fn([u8; C]) -> [u8; 3]) -> Vec<u8> {
        self.raw.as_chunks::<C>().0.iter().flat_map(|&pixel| rgb(pixel)).collect()
    }

    /// Pixels of one sample of at most 8 bits.
    fn packed(&self, depth: BitDepth, rgb: impl Fn(u8) -> [u8; 3]) -> Vec<u8> {
        unpacked(self.raw, depth as u8, self.width).into_iter().flat_map(rgb).collect()
    }

    /// Pixels of `C` samples of 16 bits, big endian.
    fn wide<const C: usize>(&self, rgb: impl Fn([u16; C]) -> [u8; 3]) -> Vec<u8> {
        let samples: Vec<u16> =
            self.raw.as_chunks::<2>().0.iter().map(|&v| u16::from_be_bytes(v)).collect();
        samples.as_chunks::<C>().0.iter().flat_map(|&pixel| rgb(pixel)).collect()
    }
}
