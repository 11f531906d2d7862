//! Quickshift: parts as large as what looks alike.
//!
//! Vedaldi and Soatto, "Quick Shift and Kernel Methods for Mode Seeking", 2008.

use ganscope_images::Image;
use rayon::prelude::*;

use super::{Superpixels, lab};
use crate::Result;
use crate::error::require;

/// Each pixel joins the nearest pixel of higher density in color and place.
///
/// Parts are those of scikit-image where no two densities are equal; there noise tells equal ones
/// apart. Here pixels of one density join the first of them, so that a flat background is one part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quickshift {
    /// Width of the Gaussian that estimates the density, in pixels. Neighbors are looked for in a
    /// window of three widths to each side.
    pub kernel: f64,
    /// Neighbors farther away, in color and place, are not joined.
    pub distance: f64,
    /// How much colors (CIELAB) weigh against places.
    pub ratio: f64,
}

impl Default for Quickshift {
    /// The settings of LIME's image example.
    fn default() -> Self {
        Self { kernel: 4.0, distance: 200.0, ratio: 0.2 }
    }
}

impl Quickshift {
    /// A kernel with the distance and the ratio that go with it: ten kernels, and that of LIME's
    /// image example.
    pub fn with_kernel(kernel: f64) -> Self {
        Self { kernel, distance: 10.0 * kernel, ratio: 0.2 }
    }

    /// The settings for pictures of `side x side` pixels, with a kernel of a 75th of the side.
    ///
    /// Photographs have some 50 to 70 parts at any size, the shipped Fashion-MNIST of 32 pixels has
    /// about 10 to 60.
    pub fn for_side(side: usize) -> Self {
        Self::with_kernel(side as f64 / 75.0)
    }

    /// The parts of an image.
    ///
    /// # Errors
    /// If the options are out of range or the image is empty.
    pub fn segment(&self, image: &Image) -> Result<Superpixels> {
        for (name, value) in [
            ("the kernel", self.kernel),
            ("the distance", self.distance),
            ("the ratio", self.ratio),
        ] {
            require(value > 0.0 && value.is_finite(), name, "positive", value)?;
        }
        let (w, h) = (image.width, image.height);
        require(w * h > 0, "an image", "at least one pixel", format!("{w} x {h}"))?;
        let points: Vec<[f64; 5]> = lab(image)
            .into_iter()
            .enumerate()
            .map(|(i, color)| {
                let [l, a, b] = color.map(|v| self.ratio * v);
                [l, a, b, (i / w) as f64, (i % w) as f64]
            })
            .collect();
        let reach = ((3.0 * self.kernel).ceil() as usize).min(w.max(h));
        let neighbors = |i: usize| {
            let around =
                |at: usize, size: usize| at.saturating_sub(reach)..(at + reach + 1).min(size);
            let columns = around(i % w, w);
            around(i / w, h).flat_map(move |y| columns.clone().map(move |x| y * w + x))
        };
        let squared = |i: usize, j: usize| -> f64 {
            points[i].iter().zip(&points[j]).map(|(a, b)| (a - b).powi(2)).sum()
        };
        let width = 2.0 * self.kernel * self.kernel;
        let density = |i| neighbors(i).map(|j| (-squared(i, j) / width).exp()).sum();
        let densities: Vec<f64> = (0..w * h).into_par_iter().map(density).collect();
        // Of equal densities the first is above, so that there is no cycle.
        let above = |i: usize, j: usize| (densities[j], i) > (densities[i], j);
        let parent = |i: usize| {
            let higher = neighbors(i).filter(|&j| above(i, j)).map(|j| (squared(i, j), j));
            let nearest = higher.min_by(|a, b| a.0.total_cmp(&b.0));
            nearest.filter(|n| n.0 <= self.distance * self.distance).map_or(i, |n| n.1)
        };
        let mut roots: Vec<usize> = (0..w * h).into_par_iter().map(parent).collect();
        for i in 0..roots.len() {
            let mut root = i;
            while roots[root] != root {
                root = roots[root];
            }
            roots[i] = root;
        }
        Ok(Superpixels::new(w, h, &roots))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{no_part_crosses_an_edge, quarters};
    use super::*;

    #[test]
    fn quickshift_follows_edges() {
        let image = quarters();
        let options = Quickshift { kernel: 2.0, distance: 10.0, ratio: 1.0 };
        let parts = options.segment(&image).unwrap();
        assert!((4..400).contains(&parts.count), "{} parts", parts.count);
        no_part_crosses_an_edge(&parts, &image);
    }

    #[test]
    fn a_flat_image_is_one_part() {
        let image = Image::filled(32, 32, [90; 3]);
        assert_eq!(Quickshift::for_side(32).segment(&image).unwrap().count, 1);
    }

    #[test]
    fn an_image_without_pixels_and_a_kernel_without_width_are_errors() {
        let image = Image::filled(4, 4, [90; 3]);
        let message = |options: Quickshift, image| options.segment(image).unwrap_err().to_string();
        assert!(message(Quickshift::with_kernel(0.0), &image).contains("kernel must be positive"));
        let none = Image::filled(0, 4, [90; 3]);
        assert!(message(Quickshift::default(), &none).contains("at least one pixel"));
    }
}
