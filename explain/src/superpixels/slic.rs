//! SLIC: parts of about one size.
//!
//! Achanta et al., "SLIC Superpixels Compared to State-of-the-Art Superpixel Methods", 2012.

use ganscope_images::Image;

use super::{Superpixels, lab};
use crate::Result;
use crate::error::require;

/// k-means in color and place, from a grid of centers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slic {
    /// About how many parts.
    pub segments: usize,
    /// How much places weigh against colors (CIELAB).
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
    /// If the options are out of range or the image is empty.
    pub fn segment(&self, image: &Image) -> Result<Superpixels> {
        let (w, h) = (image.width, image.height);
        require(w * h > 0, "an image", "at least one pixel", format!("{w} x {h}"))?;
        require(self.segments > 0, "the number of segments", "at least 1", self.segments)?;
        let positive = self.compactness > 0.0 && self.compactness.is_finite();
        require(positive, "the compactness", "positive", self.compactness)?;
        let colors = lab(image);
        let spacing = ((w * h) as f64 / self.segments as f64).sqrt().max(1.0);
        let along = |size: usize| ((size as f64 / spacing).round() as usize).clamp(1, size);
        let (rows, columns) = (along(h), along(w));
        let place = |i: usize, n: usize, size: usize| (2 * i + 1) * size / (2 * n);
        let mut centers: Vec<[f64; 5]> = (0..rows * columns)
            .map(|i| {
                let (y, x) = (place(i / columns, rows, h), place(i % columns, columns, w));
                let [l, a, b] = colors[y * w + x];
                [l, a, b, y as f64, x as f64]
            })
            .collect();
        let weight = (self.compactness / spacing).powi(2);
        let mut labels = vec![0; w * h];
        for _ in 0..self.iterations.max(1) {
            let mut nearest = vec![f64::INFINITY; w * h];
            for (number, center) in centers.iter().enumerate() {
                let around = |at: f64, size: usize| {
                    let first = (at - 2.0 * spacing).max(0.0) as usize;
                    first..((at + 2.0 * spacing) as usize + 1).min(size)
                };
                for y in around(center[3], h) {
                    for x in around(center[4], w) {
                        let i = y * w + x;
                        let color: f64 = (0..3).map(|k| (colors[i][k] - center[k]).powi(2)).sum();
                        let distance =
                            (y as f64 - center[3]).powi(2) + (x as f64 - center[4]).powi(2);
                        let distance = color + weight * distance;
                        if distance < nearest[i] {
                            (nearest[i], labels[i]) = (distance, number);
                        }
                    }
                }
            }
            let mut sums = vec![([0.0; 5], 0.0); centers.len()];
            for (i, &label) in labels.iter().enumerate() {
                let [l, a, b] = colors[i];
                let values = [l, a, b, (i / w) as f64, (i % w) as f64];
                sums[label].0.iter_mut().zip(values).for_each(|(s, v)| *s += v);
                sums[label].1 += 1.0;
            }
            for (center, (sum, count)) in centers.iter_mut().zip(&sums).filter(|(_, s)| s.1 > 0.0) {
                *center = sum.map(|s| s / count);
            }
        }
        let smallest = (spacing * spacing / 4.0) as usize;
        Ok(Superpixels::new(w, h, &connected(&labels, w, h, smallest)))
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

#[cfg(test)]
mod tests {
    use super::super::tests::{no_part_crosses_an_edge, quarters};
    use super::*;

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
}
