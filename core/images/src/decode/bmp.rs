//! BMP: what the crate `image` reads otherwise than Pillow.

use super::{Failure, reason};
use crate::{Image, Limits};

/// Where the parts of the headers lie.
mod at {
    pub(super) const PIXELS: usize = 10;
    pub(super) const HEADER: usize = 14;
    pub(super) const WIDTH: usize = 18;
    pub(super) const HEIGHT: usize = 22;
    pub(super) const BITS: usize = 28;
    pub(super) const COMPRESSION: usize = 30;
    pub(super) const MASKS: usize = 54;
}

/// The value of `COMPRESSION` for runs of 8 and of 4 bits, and for masks.
const RUNS_8: u32 = 1;
const RUNS_4: u32 = 2;
const MASKS: u32 = 3;

/// Header of the oldest version, which has other fields.
const OLD_HEADER: u32 = 12;

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The pixels of an image of 16 bits a pixel; `None` for another, once its runs, if it has any, are
/// known to cover it.
///
/// Pillow stretches five bits by `255 v / 31`, without rounding; runs that leave pixels out are
/// refused by it, or begin elsewhere than in other decoders.
pub(super) fn decode(bytes: &[u8], limits: Limits) -> Result<Option<Image>, Failure> {
    let short = || reason("the header is cut short");
    let field = |at| number(bytes, at).ok_or_else(short);
    if field(at::HEADER)? == OLD_HEADER {
        return Ok(None);
    }
    let (width, signed) = (field(at::WIDTH)? as i32, field(at::HEIGHT)? as i32);
    let height = signed.unsigned_abs();
    let (width, height) =
        limits.checked_size(u64::try_from(width).unwrap_or(0), height, bytes.len())?;
    let rest = bytes.get(field(at::PIXELS)? as usize..).ok_or_else(short)?;
    let bits = field(at::BITS)? & 0xFFFF;
    match (bits, field(at::COMPRESSION)?) {
        (_, RUNS_8) => check_runs(rest, width, height, false).map(|()| None),
        (_, RUNS_4) => check_runs(rest, width, height, true).map(|()| None),
        (16, compression) => {
            let masks = match compression {
                MASKS => [0, 4, 8].map(|k| number(bytes, at::MASKS + k).unwrap_or(0)),
                _ => [0x7C00, 0x3E0, 0x1F],
            };
            let greens = match masks {
                [0xF800, 0x7E0, 0x1F] => 6,
                [0x7C00, 0x3E0, 0x1F] => 5,
                other => return Err(Failure::Reason(format!("16 bits a pixel by {other:x?}"))),
            };
            wide(rest, width, height, signed < 0, greens).map(Some)
        }
        _ => Ok(None),
    }
}

/// Pixels of 16 bits, `greens` of them green; the lowest row first unless `top_down`.
fn wide(
    rest: &[u8],
    width: usize,
    height: usize,
    top_down: bool,
    greens: u32,
) -> Result<Image, Failure> {
    let stride = (2 * width).next_multiple_of(4);
    let mut pixels = Vec::with_capacity(3 * width * height);
    let stretch = |value: u16, bits: u32| {
        let most = (1 << bits) - 1;
        ((u32::from(value) & most) * 255 / most) as u8
    };
    for y in 0..height {
        let y = if top_down { y } else { height - 1 - y };
        let row = rest.get(y * stride..).and_then(|row| row.get(..2 * width));
        for &pair in row.ok_or_else(|| reason("cut short"))?.as_chunks::<2>().0 {
            let v = u16::from_le_bytes(pair);
            pixels.extend([stretch(v >> (5 + greens), 5), stretch(v >> 5, greens), stretch(v, 5)]);
        }
    }
    Ok(Image { width, height, pixels })
}

/// Fails unless the runs cover all pixels, one after the other.
fn check_runs(rest: &[u8], width: usize, height: usize, halves: bool) -> Result<(), Failure> {
    let left_out = || reason("runs that leave pixels out");
    let (mut at, mut x, mut done) = (0, 0, 0_usize);
    while done < width * height {
        let &[count, value] =
            rest.get(at..).and_then(|rest| rest.first_chunk()).ok_or_else(left_out)?;
        at += 2;
        match (count as usize, value) {
            (0, 0) => {
                done = done.next_multiple_of(width);
                x = 0;
            }
            (0, 1 | 2) => return Err(left_out()),
            (0, pixels) => {
                let bytes = if halves { pixels.div_ceil(2) } else { pixels } as usize;
                at += bytes.next_multiple_of(2);
                done += pixels as usize;
                x += pixels as usize;
            }
            (count, _) => {
                let count = count.min(width.saturating_sub(x));
                done += count;
                x += count;
            }
        }
    }
    Ok(())
}
