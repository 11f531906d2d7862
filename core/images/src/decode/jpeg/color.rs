//! Components to red, green and blue.
#![expect(clippy::inline_always, reason = "what `pulp` dispatches must be inlined into it")]

use pulp::{Arch, NullaryFnOnce};

use super::super::pillow;
use super::frame::Frame;
use super::upsample::Upsample;

/// The meaning of the components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Color {
    Gray,
    Rgb,
    YCbCr,
    Cmyk,
    Ycck,
}

impl Color {
    /// libjpeg's guess from the segments of JFIF and Adobe, or from the names of components.
    fn of(frame: &Frame, jfif: bool, adobe: Option<u8>) -> Self {
        let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
        match (ids.as_slice(), adobe) {
            ([_], _) => Self::Gray,
            ([_, _, _], _) if jfif => Self::YCbCr,
            ([_, _, _], Some(0)) | (b"RGB", None) => Self::Rgb,
            ([_, _, _], _) => Self::YCbCr,
            (_, None | Some(0)) => Self::Cmyk,
            _ => Self::Ycck,
        }
    }
}

/// Rows of RGB.
pub(super) fn rgb(frame: &Frame, upsamples: &[Upsample], jfif: bool, adobe: Option<u8>) -> Vec<u8> {
    let color = Color::of(frame, jfif, adobe);
    Arch::new().dispatch(Conversion { frame, upsamples, color })
}

/// The arguments of [`rgb`], whose work is compiled for the vectors of the processor.
struct Conversion<'a> {
    frame: &'a Frame,
    upsamples: &'a [Upsample],
    color: Color,
}

impl NullaryFnOnce for Conversion<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn call(self) -> Vec<u8> {
        let Self { frame, upsamples, color } = self;
        // Doubling may result in one sample more than the width, repeating in several.
        let padded = frame.width.next_multiple_of(8 * frame.sampling.0);
        let mut rows = vec![vec![0; padded]; frame.components.len()];
        let mut pixels = vec![0; 3 * frame.width * frame.height];
        for (y, out) in pixels.chunks_exact_mut(3 * frame.width).enumerate() {
            for ((row, component), upsample) in
                rows.iter_mut().zip(&frame.components).zip(upsamples)
            {
                upsample.row(component, y, row);
            }
            let out = out.as_chunks_mut::<3>().0;
            match (color, rows.as_slice()) {
                (Color::YCbCr, [y, cb, cr]) => {
                    for (((out, &y), &cb), &cr) in out.iter_mut().zip(y).zip(cb).zip(cr) {
                        *out = from_ycbcr(y, cb, cr);
                    }
                }
                (Color::Rgb, [r, g, b]) => {
                    for (((out, &r), &g), &b) in out.iter_mut().zip(r).zip(g).zip(b) {
                        *out = [r, g, b];
                    }
                }
                (_, [a, b, c, k]) => {
                    for (x, out) in out.iter_mut().enumerate() {
                        // Adobe's convention, which Pillow assumes of all: ink is stored inverted.
                        let inverse = |rgb: [u8; 3]| match color {
                            Color::Ycck => rgb.map(|v| 255 - v),
                            _ => [a[x], b[x], c[x]],
                        };
                        let [c, m, y] = inverse(from_ycbcr(a[x], b[x], c[x])).map(|v| 255 - v);
                        *out = pillow::cmyk([c, m, y, 255 - k[x]]);
                    }
                }
                (_, rows) => {
                    for (out, &v) in out.iter_mut().zip(&rows[0]) {
                        *out = [v; 3];
                    }
                }
            }
        }
        pixels
    }
}

/// A constant of the conversion as a multiple of 2^-16.
const fn fix(v: f64) -> i32 {
    (v * 65536.0 + 0.5) as i32
}

/// JFIF's conversion, with its products rounded to whole numbers as libjpeg rounds them.
#[inline(always)]
fn from_ycbcr(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let r = y + ((fix(1.40200) * cr + HALF) >> 16);
    let g = y + ((-fix(0.34414) * cb - fix(0.71414) * cr + HALF) >> 16);
    let b = y + ((fix(1.77200) * cb + HALF) >> 16);
    [r, g, b].map(|v| v.clamp(0, 255) as u8)
}
