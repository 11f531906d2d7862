//! Superpixels: parts of an image that look alike.

use ganscope_images::Image;
use rayon::prelude::*;

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
    /// When there is not one label a pixel.
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
    /// When `size` is zero.
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
    /// When the options are out of range or the image is empty.
    pub fn segment(&self, image: &Image) -> Result<Superpixels> {
        match self {
            Self::Slic(slic) => slic.segment(image),
            Self::Quickshift(quickshift) => quickshift.segment(image),
        }
    }
}

/// k-means in colour and place, from a grid of centres.
///
/// Achanta et al., "SLIC Superpixels Compared to State-of-the-Art Superpixel Methods", 2012.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slic {
    /// About how many parts.
    pub segments: usize,
    /// How much places weigh against colours (CIELAB).
    pub compactness: f64,
    /// Rounds of k-means.
    pub iterations: usize,
}

impl Default for Slic {
    fn default() -> Self {
        Self { segments: 60, compactness: 10.0, iterations: 10 }
    }
}

impl Slic {
    /// The parts of an image; each is connected.
    ///
    /// # Errors
    /// When the options are out of range or the image is empty.
    pub fn segment(&self, image: &Image) -> Result<Superpixels> {
        let (w, h) = (image.width, image.height);
        require(w * h > 0, "an image", "at least one pixel", format!("{w} x {h}"))?;
        require(self.segments > 0, "the number of segments", "at least 1", self.segments)?;
        let positive = self.compactness > 0.0 && self.compactness.is_finite();
        require(positive, "the compactness", "positive", self.compactness)?;
        let colours = lab(image);
        let spacing = ((w * h) as f64 / self.segments as f64).sqrt().max(1.0);
        let along = |size: usize| ((size as f64 / spacing).round() as usize).clamp(1, size);
        let (rows, columns) = (along(h), along(w));
        let place = |i: usize, n: usize, size: usize| (2 * i + 1) * size / (2 * n);
        let mut centres: Vec<[f64; 5]> = (0..rows * columns)
            .map(|i| {
                let (y, x) = (place(i / columns, rows, h), place(i % columns, columns, w));
                let [l, a, b] = colours[y * w + x];
                [l, a, b, y as f64, x as f64]
            })
            .collect();
        let weight = (self.compactness / spacing).powi(2);
        let mut labels = vec![0; w * h];
        for _ in 0..self.iterations.max(1) {
            let mut nearest = vec![f64::INFINITY; w * h];
            for (number, centre) in centres.iter().enumerate() {
                let around = |at: f64, size: usize| {
                    let first = (at - 2.0 * spacing).max(0.0) as usize;
                    first..((at + 2.0 * spacing) as usize + 1).min(size)
                };
                for y in around(centre[3], h) {
                    for x in around(centre[4], w) {
                        let i = y * w + x;
                        let colour: f64 = (0..3).map(|k| (colours[i][k] - centre[k]).powi(2)).sum();
                        let distance =
                            (y as f64 - centre[3]).powi(2) + (x as f64 - centre[4]).powi(2);
                        let distance = colour + weight * distance;
                        if distance < nearest[i] {
                            (nearest[i], labels[i]) = (distance, number);
                        }
                    }
                }
            }
            let mut sums = vec![([0.0; 5], 0.0); centres.len()];
            for (i, &label) in labels.iter().enumerate() {
                let [l, a, b] = colours[i];
                let values = [l, a, b, (i / w) as f64, (i % w) as f64];
                sums[label].0.iter_mut().zip(values).for_each(|(s, v)| *s += v);
                sums[label].1 += 1.0;
            }
            for (centre, (sum, count)) in centres.iter_mut().zip(&sums).filter(|(_, s)| s.1 > 0.0) {
                *centre = sum.map(|s| s / count);
            }
        }
        let smallest = (spacing * spacing / 4.0) as usize;
        Ok(Superpixels::new(w, h, &connected(&labels, w, h, smallest)))
    }
}

/// Each pixel joins the nearest pixel of higher density in colour and place.
///
/// Vedaldi and Soatto, "Quick Shift and Kernel Methods for Mode Seeking", 2008. Parts are those of
/// scikit-image where no two densities are equal; there it tells them apart by noise. Here pixels
/// of one density join the first of them, so that a flat background is one part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quickshift {
    /// Width of the Gaussian that estimates the density, in pixels. Neighbours are looked for in a
    /// window of three widths to each side.
    pub kernel: f64,
    /// Neighbours farther away, in colour and place, are not joined.
    pub distance: f64,
    /// How much colours (CIELAB) weigh against places.
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
    /// When the options are out of range or the image is empty.
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
            .map(|(i, colour)| {
                let [l, a, b] = colour.map(|v| self.ratio * v);
                [l, a, b, (i / w) as f64, (i % w) as f64]
            })
            .collect();
        let reach = ((3.0 * self.kernel).ceil() as usize).min(w.max(h));
        let neighbours = |i: usize| {
            let around =
                |at: usize, size: usize| at.saturating_sub(reach)..(at + reach + 1).min(size);
            let columns = around(i % w, w);
            around(i / w, h).flat_map(move |y| columns.clone().map(move |x| y * w + x))
        };
        let squared = |i: usize, j: usize| -> f64 {
            points[i].iter().zip(&points[j]).map(|(a, b)| (a - b).powi(2)).sum()
        };
        let width = 2.0 * self.kernel * self.kernel;
        let density = |i| neighbours(i).map(|j| (-squared(i, j) / width).exp()).sum();
        let densities: Vec<f64> = (0..w * h).into_par_iter().map(density).collect();
        // Of equal densities the first is above, so that there is no cycle.
        let above = |i: usize, j: usize| (densities[j], i) > (densities[i], j);
        let parent = |i: usize| {
            let higher = neighbours(i).filter(|&j| above(i, j)).map(|j| (squared(i, j), j));
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

/// Labels of connected pieces; pieces below `smallest` pixels join a piece beside them.
fn connected(labels: &[usize], w: usize, h: usize, smallest: usize) -> Vec<usize> {
    let none = usize::MAX;
    let mut pieces = vec![none; labels.len()];
    let around = |i: usize| {
        let (y, x) = (i / w, i % w);
        let up = (y > 0).then(|| i - w);
        let left = (x > 0).then(|| i - 1);
        let right = (x + 1 < w).then(|| i + 1);
        let down = (y + 1 < h).then(|| i + w);
        [up, left, right, down].into_iter().flatten()
    };
    let mut count = 0;
    for start in 0..labels.len() {
        if pieces[start] != none {
            continue;
        }
        let beside = around(start).map(|j| pieces[j]).find(|&piece| piece != none);
        let (mut piece, mut next) = (vec![start], 0);
        pieces[start] = count;
        while next < piece.len() {
            let i = piece[next];
            next += 1;
            for j in around(i).filter(|&j| labels[j] == labels[start]) {
                if pieces[j] == none {
                    pieces[j] = count;
                    piece.push(j);
                }
            }
        }
        match beside {
            Some(other) if piece.len() < smallest => {
                for i in piece {
                    pieces[i] = other;
                }
            }
            _ => count += 1,
        }
    }
    pieces
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
    fn quarters() -> Image {
        let colour = |i: usize| match (i / 40 < 20, i % 40 < 20) {
            (true, true) => [200, 30, 30],
            (true, false) => [30, 200, 30],
            (false, true) => [30, 30, 200],
            (false, false) => [230, 230, 230],
        };
        Image::new(40, 40, (0..1600).flat_map(colour).collect()).unwrap()
    }

    fn no_part_crosses_an_edge(parts: &Superpixels, image: &Image) {
        for label in 0..parts.count {
            let colours: std::collections::BTreeSet<&[u8]> = image
                .pixels
                .chunks_exact(3)
                .zip(&parts.labels)
                .filter(|(_, l)| **l == label)
                .map(|(colour, _)| colour)
                .collect();
            assert_eq!(colours.len(), 1, "part {label} has {} colours", colours.len());
        }
    }

    #[test]
    fn slic_follows_edges() {
        let image = quarters();
        let parts = Slic { segments: 16, ..Slic::default() }.segment(&image).unwrap();
        assert!((8..=32).contains(&parts.count), "{} parts", parts.count);
        no_part_crosses_an_edge(&parts, &image);
        let whole = Slic { segments: 1, ..Slic::default() }.segment(&image).unwrap();
        assert_eq!(whole.count, 1);
    }

    #[test]
    fn parts_of_slic_are_connected() {
        let image = Image::new(48, 40, ganscope_golden::image(54, 40, 48)).unwrap();
        let parts = Slic::default().segment(&image).unwrap();
        assert!((40..80).contains(&parts.count), "{} parts", parts.count);
        assert_eq!(Superpixels::new(48, 40, &connected(&parts.labels, 48, 40, 0)), parts);
    }

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
