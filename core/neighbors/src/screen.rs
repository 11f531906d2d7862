//! Bounds of distances from rows rounded to bytes, at a quarter of the time of float32.

use std::ops::Range;

use ganscope_kernels::{BytePanels, ByteRows};
use rayon::prelude::*;

use crate::rows::{round_up, squared_distance};

/// Largest byte in use; the scale is symmetric.
const LARGEST: f32 = 127.0;

/// Bits of a scale that are dropped, so that its product with a byte is exact in float32.
const DROPPED: u32 = 0xff;

/// Adding and taking it away rounds numbers below it to integers, without a call on any processor.
const ROUNDER: f32 = 1.5 * (1 << 23) as f32;

/// Rows `x` as `scale q + e` with bytes `q`.
///
/// The product of two rows is `scale_x scale_y q_x q_y`, off by at most
/// `|x'| |e_y| + |e_x| |y'|`, where the length of a row with a dash is the larger of those with and
/// without `e`.
#[derive(Debug)]
pub(crate) struct Screen {
    bytes: ByteRows,
    pub(crate) scale: Vec<f32>,
    /// Not less than the length of the row, with and without its error.
    pub(crate) length: Vec<f32>,
    /// Not less than `|e|`.
    pub(crate) error: Vec<f32>,
}

impl Screen {
    /// Rounds rows of `dim` values that `place` writes; `None` where that saves no time.
    pub(crate) fn new(
        rows: usize,
        dim: usize,
        place: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Option<Self> {
        if !ByteRows::pay(dim) {
            return None;
        }
        let mut bytes = vec![0; rows * ByteRows::pitch(dim)];
        let round = |(row, bytes): (usize, &mut [i8])| {
            let mut placed = vec![0.0; dim];
            place(row, &mut placed);
            round_row(&placed, bytes)
        };
        let (parts, error): (Vec<_>, Vec<_>) =
            bytes.par_chunks_exact_mut(ByteRows::pitch(dim)).enumerate().map(round).unzip();
        let (scale, length) = parts.into_iter().unzip();
        Some(Self { bytes: ByteRows::new(bytes, dim), scale, length, error })
    }

    pub(crate) fn pack(&self, range: Range<usize>) -> BytePanels {
        self.bytes.pack(range)
    }

    /// Products `q_x q_y` of rows in `range` with those of `panels`.
    pub(crate) fn products(&self, panels: &BytePanels, range: Range<usize>, products: &mut [i32]) {
        panels.products(&self.bytes, range, products);
    }
}

/// Writes the bytes of a row. Returns its scale, length and error.
fn round_row(row: &[f32], bytes: &mut [i8]) -> ((f32, f32), f32) {
    let largest = row.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
    let scale = f32::from_bits(((largest / LARGEST).to_bits() + DROPPED) & !DROPPED);
    // A row of which nothing is left in float32 rounds to zeros.
    let (scale, inverse) =
        if scale < f32::MIN_POSITIVE { (0.0, 0.0) } else { (scale, scale.recip()) };
    let rounded: Vec<f32> = row.iter().map(|x| (x * inverse + ROUNDER) - ROUNDER).collect();
    for (byte, x) in bytes.iter_mut().zip(&rounded) {
        *byte = *x as i8;
    }
    let rounded: Vec<f32> = rounded.iter().map(|x| x * scale).collect();
    let zeros = vec![0.0; row.len()];
    let length = |a: &[f32], b: &[f32]| round_up(squared_distance(a, b).sqrt()).next_up();
    let longer = length(row, &zeros).max(length(&rounded, &zeros));
    ((scale, longer), length(row, &rounded))
}
