//! Bicubic resizing of bytes as Pillow does it, bit for bit.
//!
//! `libImaging/Resample.c` of Pillow 13: weights in fixed point with 22 binary digits, along one axis,
//! then along the other, rounded and limited to bytes after each.

use std::ops::Range;

use crate::Image;

/// Binary digits of the weights behind the point.
const DIGITS: u32 = 22;
/// Pixels that the filter reaches to each side, before it is widened.
const SUPPORT: f64 = 2.0;

/// Where the pixels of a resized image are taken from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fit {
    /// The whole image, whatever its proportions.
    Stretch,
    /// The middle square of the image whose shorter side was resized.
    CropAfter,
    /// The middle square of the image.
    CropBefore,
}

/// Resizes to (size, size, 3) whole numbers on 0..255.
pub(super) fn resize(image: &Image, size: usize, fit: Fit, out: &mut [f32]) {
    let shape = [image.height, image.width];
    let window = match fit {
        Fit::Stretch => return resample(image, [size; 2], [0..size, 0..size], out),
        Fit::CropAfter => {
            let shorter = image.height.min(image.width);
            let full = shape.map(|length| size * length / shorter);
            let parts = full.map(|length| {
                let start = half_to_even(length - size);
                start..start + size
            });
            return resample(image, full, parts, out);
        }
        Fit::CropBefore => image.middle_square(),
    };
    let [rows, columns] = window;
    resample(&image.cropped(rows, columns), [size; 2], [0..size, 0..size], out);
}

/// Half of a number, rounded to an even one where it lies in the middle.
fn half_to_even(n: usize) -> usize {
    let half = n / 2;
    if n % 2 == 1 && half % 2 == 1 { half + 1 } else { half }
}

/// The source pixels of an output pixel: the first, and the weights from there on.
#[derive(Debug)]
struct Tap {
    first: usize,
    weights: Vec<i32>,
}

/// The outputs `part` of `length` pixels resized to `size`; none if nothing changes.
fn taps(length: usize, size: usize, part: Range<usize>) -> Option<Vec<Tap>> {
    if length == size {
        return None;
    }
    let scale = length as f64 / size as f64;
    let width = scale.max(1.0);
    let reach = SUPPORT * width;
    let tap = |output: usize| {
        let center = (output as f64 + 0.5) * scale;
        let first = (center - reach + 0.5).max(0.0) as usize;
        let end = ((center + reach + 0.5) as usize).min(length);
        let weight = |k: usize| cubic((k as f64 - center + 0.5) / width);
        let sum: f64 = (first..end).map(weight).sum();
        let fixed = |k: usize| (weight(k) / sum * f64::from(1 << DIGITS)).round() as i32;
        Tap { first, weights: (first..end).map(fixed).collect() }
    };
    Some(part.map(tap).collect())
}

/// Keys' cubic with a = -0.5.
fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
    } else {
        0.0
    }
}

/// A weighted sum of bytes `stride` apart, as a byte.
fn mix(tap: &Tap, values: &[u8], stride: usize) -> u8 {
    let values = values.iter().step_by(stride);
    let sum: i32 = tap.weights.iter().zip(values).map(|(w, &v)| w * i32::from(v)).sum();
    ((sum + (1 << (DIGITS - 1))) >> DIGITS).clamp(0, 255) as u8
}

/// The outputs `part` of an axis.
#[derive(Debug)]
struct Axis {
    part: Range<usize>,
    taps: Option<Vec<Tap>>,
}

impl Axis {
    fn new(length: usize, size: usize, part: Range<usize>) -> Self {
        Self { taps: taps(length, size, part.clone()), part }
    }

    /// The source pixels that are needed.
    fn needed(&self) -> Range<usize> {
        let Some(taps) = &self.taps else { return self.part.clone() };
        let end = taps.iter().map(|tap| tap.first + tap.weights.len()).max();
        taps.iter().map(|tap| tap.first).min().unwrap_or(0)..end.unwrap_or(0)
    }

    /// Mixes the rows of `values`, bytes (before, length, after) from the source pixel `first` on.
    fn resample(&self, values: &[u8], first: usize, [length, after]: [usize; 2]) -> Vec<u8> {
        let mut out = Vec::with_capacity(values.len() / length * self.part.len());
        for values in values.chunks_exact(length * after) {
            match &self.taps {
                None => {
                    let part = self.part.start - first..self.part.end - first;
                    out.extend_from_slice(&values[part.start * after..part.end * after]);
                }
                Some(taps) => out.extend(taps.iter().flat_map(|tap| {
                    let values = &values[(tap.first - first) * after..];
                    (0..after).map(move |place| mix(tap, &values[place..], after))
                })),
            }
        }
        out
    }
}

/// Whether columns are resized before rows: since Pillow 13, where the height shrinks by more than
/// twice as many pixels as the width. The order decides how bytes are rounded.
fn rows_last([h, w]: [usize; 2], [height, width]: [usize; 2]) -> bool {
    let lost = |from: usize, to: usize| from as isize - to as isize;
    lost(h, height) > 0 && lost(h, height) > 2 * lost(w, width)
}

/// The rows and columns `parts` of the image resized to the height and width `full`.
fn resample(image: &Image, full: [usize; 2], [rows, columns]: [Range<usize>; 2], out: &mut [f32]) {
    let (size, width) = ([image.height, image.width], columns.len());
    let down = Axis::new(image.height, full[0], rows.clone());
    let across = Axis::new(image.width, full[1], columns);
    let (y, x) = (down.needed(), across.needed());
    let source: Vec<u8> =
        y.clone().flat_map(|row| &image.row(row)[3 * x.start..3 * x.end]).copied().collect();
    let bytes = if rows_last(size, full) {
        let tall = down.resample(&source, y.start, [y.len(), 3 * x.len()]);
        across.resample(&tall, x.start, [x.len(), 3])
    } else {
        let wide = across.resample(&source, x.start, [x.len(), 3]);
        down.resample(&wide, y.start, [y.len(), 3 * width])
    };
    out.iter_mut().zip(bytes).for_each(|(out, byte)| *out = byte.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_to_even() {
        // Python's round(n / 2).
        let halves: Vec<usize> = (0..9).map(half_to_even).collect();
        assert_eq!(halves, [0, 0, 1, 2, 2, 2, 3, 4, 4]);
    }

    #[test]
    fn columns_come_first_where_the_height_shrinks_much_more() {
        // Found by resizing noise with Pillow 13.0.0 at once and in two steps.
        for (size, full, expected) in [
            ([300, 200], [224, 224], true),
            ([200, 300], [224, 224], false),
            ([60, 60], [11, 36], true),
            ([60, 60], [12, 36], false),
            ([120, 60], [71, 36], true),
            ([120, 60], [72, 36], false),
            ([60, 60], [59, 61], true),
            ([48, 64], [224, 224], false),
        ] {
            assert_eq!(rows_last(size, full), expected, "{size:?} to {full:?}");
        }
    }

    #[test]
    fn a_crop_is_a_part_of_the_whole() {
        let (height, width, size) = (9, 31, 6);
        let image = Image { width, height, pixels: ganscope_golden::image(3, height, width) };
        let full = [size, size * width / height];
        let mut whole = vec![0.0; 3 * full[0] * full[1]];
        resample(&image, full, [0..full[0], 0..full[1]], &mut whole);
        let mut crop = vec![0.0; 3 * size * size];
        resize(&image, size, Fit::CropAfter, &mut crop);
        // (20 - 6) / 2 = 7
        for (y, line) in crop.chunks_exact(3 * size).enumerate() {
            assert_eq!(line, &whole[3 * (y * full[1] + 7)..][..3 * size]);
        }
    }

    #[test]
    fn long_images_take_no_more_memory_than_the_crop() {
        let image = Image::filled(1 << 20, 1, [1, 2, 3]);
        let mut out = vec![0.0; 3 * 8 * 8];
        for fit in [Fit::Stretch, Fit::CropAfter, Fit::CropBefore] {
            resize(&image, 8, fit, &mut out);
            assert!(out.chunks_exact(3).all(|pixel| pixel == [1.0, 2.0, 3.0]), "{fit:?}");
        }
    }
}
