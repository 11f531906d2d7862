//! Superpixels: parts of an image that look alike.

mod quickshift;
mod slic;

use ganscope_images::Image;

pub use quickshift::Quickshift;
pub use slic::Slic;

use crate::Result;
use crate::error::require;

/// A part of the image for each pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superpixels {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Number of the part of each pixel, row by row; parts are numbered from 0 without gaps.
    pub labels: Vec<usize>,
    /// How many parts there are.
    pub count: usize,
}

impl Superpixels {
    /// Parts with these labels, renumbered in the order of their first pixels.
    ///
    /// # Panics
    /// If there is not one label a pixel.
    pub fn new(width: usize, height: usize, labels: &[usize]) -> Self {
        assert_eq!(labels.len(), width * height, "one label a pixel");
        let mut numbers = std::collections::HashMap::new();
        let labels: Vec<usize> = labels
            .iter()
            .map(|&label| {
                let next = numbers.len();
                *numbers.entry(label).or_insert(next)
            })
            .collect();
        Self { width, height, labels, count: numbers.len() }
    }

    /// Rectangles of about `size x size` pixels.
    ///
    /// # Errors
    /// If `size` is zero.
    pub fn squares(width: usize, height: usize, size: usize) -> Result<Self> {
        require(size > 0, "the size of a superpixel", "at least 1", size)?;
        let columns = width.div_ceil(size);
        let label = |i: usize| i / width / size * columns + i % width / size;
        Ok(Self::new(width, height, &(0..width * height).map(label).collect::<Vec<_>>()))
    }
}

/// A way to cut an image into superpixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Segmentation {
    /// Parts of about one size.
    Slic(Slic),
    /// Parts as large as what looks alike.
    Quickshift(Quickshift),
}

impl Segmentation {
    /// The parts of an image.
    ///
    /// # Errors
    /// If the options are out of range or the image is empty.
    pub fn segment(&self, image: &Image) -> Result<Superpixels> {
        match self {
            Self::Slic(slic) => slic.segment(image),
            Self::Quickshift(quickshift) => quickshift.segment(image),
        }
    }
}

/// CIELAB coordinates of sRGB pixels under daylight (D65).
fn lab(image: &Image) -> Vec<[f64; 3]> {
    const XYZ: [[f64; 3]; 3] = [
        [0.412_453, 0.357_580, 0.180_423],
        [0.212_671, 0.715_160, 0.072_169],
        [0.019_334, 0.119_193, 0.950_227],
    ];
    const WHITE: [f64; 3] = [0.950_47, 1.0, 1.088_83];
    let linear = |v: u8| {
        let v = f64::from(v) / 255.0;
        if v > 0.040_45 { ((v + 0.055) / 1.055).powf(2.4) } else { v / 12.92 }
    };
    let curve = |t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    image
        .pixels
        .chunks_exact(3)
        .map(|pixel| {
            let [x, y, z] = [0, 1, 2].map(|i| {
                let sum: f64 = (0..3).map(|k| XYZ[i][k] * linear(pixel[k])).sum();
                curve(sum / WHITE[i])
            });
            [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four flat quarters.
    pub(super) fn quarters() -> Image {
        let color = |i: usize| match (i / 40 < 20, i % 40 < 20) {
            (true, true) => [200, 30, 30],
            (true, false) => [30, 200, 30],
            (false, true) => [30, 30, 200],
            (false, false) => [230, 230, 230],
        };
        Image::new(40, 40, (0..1600).flat_map(color).collect()).unwrap()
    }

    pub(super) fn no_part_crosses_an_edge(parts: &Superpixels, image: &Image) {
        for label in 0..parts.count {
            let colors: std::collections::BTreeSet<&[u8]> = image
                .pixels
                .chunks_exact(3)
                .zip(&parts.labels)
                .filter(|(_, l)| **l == label)
                .map(|(color, _)| color)
                .collect();
            assert_eq!(colors.len(), 1, "part {label} has {} colors", colors.len());
        }
    }

    #[test]
    fn the_primaries_have_their_published_lab_coordinates() {
        // CIE 15 with D65 and the sRGB primaries: red 53.24, 80.09, 67.20; white 100, 0, 0.
        let image = Image::new(2, 1, vec![255, 0, 0, 255, 255, 255]).unwrap();
        let expected = [[53.24, 80.09, 67.20], [100.0, 0.0, 0.0]];
        for (got, expected) in lab(&image).iter().zip(expected) {
            for (g, e) in got.iter().zip(expected) {
                assert!((g - e).abs() < 0.05, "{got:?} instead of {expected:?}");
            }
        }
    }

    #[test]
    fn squares_cover_the_image() {
        let parts = Superpixels::squares(5, 3, 2).unwrap();
        assert_eq!(parts.labels, [0, 0, 1, 1, 2, 0, 0, 1, 1, 2, 3, 3, 4, 4, 5]);
        assert!(Superpixels::squares(5, 3, 0).is_err());
    }
}
