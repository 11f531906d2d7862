//! The tokens that enter a vision transformer, and the resizing of its position embedding.
//!
//! Tokens are a map of one column: (N, D, T, 1). Channel-last in memory that is (N, T, D), so a
//! linear layer, a normalization and an addition work on tokens as they do on pixels, and patches
//! become tokens without being moved.
//!
//! Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020, <https://arxiv.org/abs/2010.11929>.

use super::{FeatureMap, Real, Shape};

/// How a position embedding of one grid becomes that of another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Positions {
    /// Not at all.
    Fixed,
    /// Bicubic with a = -0.75, without antialiasing, edges repeated. Output `i` of `size` lies at
    /// `(i + 0.5) grid / (size + offset) - 0.5`. `DINOv2` has an offset of 0.1.
    Bicubic {
        /// What is added to the size.
        offset: f64,
    },
    /// Bicubic with a = -0.5 as wide as the reduction: `DINOv2` with registers.
    Antialiased,
}

/// Tokens in front of the patches, and the position embedding of the patches.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    /// Tokens in front, (count, D): the class token with its position, then registers.
    pub front: Vec<f32>,
    /// Position embedding of each patch, (rows, columns, D).
    pub positions: Vec<f32>,
    /// Rows and columns of the position embedding.
    pub grid: [usize; 2],
    /// How the embedding becomes that of another grid.
    pub resize: Positions,
}

impl Tokens {
    /// Channels of a token.
    pub fn channels(&self) -> usize {
        self.positions.len() / (self.grid[0] * self.grid[1])
    }

    /// Number of tokens in front of the patches.
    pub fn count(&self) -> usize {
        self.front.len() / self.channels()
    }

    /// The position embedding of `rows x columns` patches, (rows, columns, D).
    pub fn resized(&self, [rows, columns]: [usize; 2]) -> Vec<f32> {
        if [rows, columns] == self.grid {
            return self.positions.clone();
        }
        let c = self.channels();
        let positions: Vec<f64> = self.positions.iter().map(|&v| v.into()).collect();
        // (grid rows, grid columns, D) to (rows, grid columns, D) to (rows, columns, D).
        let tall = mix(&positions, [1, self.grid[0], self.grid[1] * c], &self.taps(0, rows));
        let wide = mix(&tall, [rows, self.grid[1], c], &self.taps(1, columns));
        wide.into_iter().map(|v| v as f32).collect()
    }

    /// The places of the grid that each of `size` outputs along an axis reads, and their weights.
    fn taps(&self, axis: usize, size: usize) -> Vec<Vec<(usize, f64)>> {
        let grid = self.grid[axis];
        let edge = |place: f64| place.clamp(0.0, (grid - 1) as f64) as usize;
        let output = |i: usize| match self.resize {
            Positions::Fixed => vec![(i, 1.0)],
            Positions::Bicubic { offset } => {
                let source = (i as f64 + 0.5) * grid as f64 / (size as f64 + offset) - 0.5;
                let first = source.floor() - 1.0;
                let place = |k: usize| first + k as f64;
                (0..4).map(|k| (edge(place(k)), cubic(source - place(k), -0.75))).collect()
            }
            Positions::Antialiased => {
                let scale = grid as f64 / size as f64;
                let (center, width) = ((i as f64 + 0.5) * scale, scale.max(1.0));
                let first = (center - 2.0 * width + 0.5).max(0.0) as usize;
                let end = ((center + 2.0 * width + 0.5) as usize).min(grid);
                let weight = |k: usize| cubic((k as f64 + 0.5 - center) / width, -0.5);
                let sum: f64 = (first..end).map(weight).sum();
                (first..end).map(|k| (k, weight(k) / sum)).collect()
            }
        };
        (0..size).map(output).collect()
    }

    /// The shape of the tokens of patches of the shape `x`, or the problem.
    pub(super) fn output(&self, x: Shape) -> Result<Shape, String> {
        let c = self.channels();
        if x.c != c {
            return Err(format!("reads {c} channels, gets {}", x.c));
        }
        if self.resize == Positions::Fixed && [x.h, x.w] != self.grid {
            let [rows, columns] = self.grid;
            let positions = format!("has positions for {rows} x {columns} patches");
            return Err(format!("{positions}, the image has {} x {}", x.h, x.w));
        }
        Ok(Shape { c, h: self.count() + x.h * x.w, w: 1 })
    }

    /// (N, D, rows, columns) to (N, D, T, 1).
    pub(super) fn join<T: Real>(&self, x: &FeatureMap<T>, out: Shape) -> FeatureMap<T> {
        let mut data = Vec::with_capacity(x.n * out.len());
        let positions = self.resized([x.shape.h, x.shape.w]);
        for image in x.data.chunks_exact(x.shape.len()) {
            data.extend(self.front.iter().map(|&v| T::of(v.into())));
            data.extend(image.iter().zip(&positions).map(|(&v, &p)| v + T::of(p.into())));
        }
        FeatureMap { n: x.n, shape: out, data }
    }
}

/// Weighted sums along the middle axis of (before, size, after).
fn mix(values: &[f64], [before, size, after]: [usize; 3], taps: &[Vec<(usize, f64)>]) -> Vec<f64> {
    let mut sums = vec![0.0; before * taps.len() * after];
    for (place, sums) in sums.chunks_exact_mut(after).enumerate() {
        let (outer, output) = (place / taps.len(), place % taps.len());
        for &(k, weight) in &taps[output] {
            let line = &values[(outer * size + k) * after..][..after];
            sums.iter_mut().zip(line).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    sums
}

/// Keys' cubic convolution kernel with the parameter `a`.
fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((x - 5.0) * x + 8.0) * x * a - 4.0 * a
    } else {
        0.0
    }
}

/// The rows from `first` on of each map, as many as `out` has.
pub(super) fn rows<T: Real>(x: &FeatureMap<T>, first: usize, out: Shape) -> FeatureMap<T> {
    let line = x.shape.w * x.shape.c;
    let images = x.data.chunks_exact(x.shape.len());
    let data = images.flat_map(|image| &image[first * line..][..out.len()]).copied().collect();
    FeatureMap { n: x.n, shape: out, data }
}

/// Maps of the shape `out` that are `y` from the row `first` on, and zero elsewhere.
pub(super) fn rows_transposed<T: Real>(
    y: &FeatureMap<T>,
    first: usize,
    out: Shape,
) -> FeatureMap<T> {
    let mut x = FeatureMap::filled(y.n, out, T::ZERO);
    let start = first * out.w * out.c;
    let images = x.data.chunks_exact_mut(out.len()).zip(y.data.chunks_exact(y.shape.len()));
    images.for_each(|(x, y)| x[start..][..y.len()].copy_from_slice(y));
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(grid: [usize; 2], resize: Positions) -> Tokens {
        let positions = ganscope_golden::tensor("p", &[grid[0], grid[1], 2], (-1.0, 1.0), 0);
        Tokens { front: vec![5.0, 6.0], positions, grid, resize }
    }

    /// Rounding to float32, on values of size 1.
    const F32: f32 = 1e-6;

    #[test]
    fn a_constant_embedding_stays_constant() {
        for resize in [Positions::Bicubic { offset: 0.1 }, Positions::Antialiased] {
            let mut tokens = tokens([7, 5], resize);
            tokens.positions.fill(0.75);
            for size in [[3, 9], [7, 4], [14, 10]] {
                let resized = tokens.resized(size);
                assert_eq!(resized.len(), size[0] * size[1] * 2);
                assert!(resized.iter().all(|v| (v - 0.75).abs() < F32), "{resize:?} {size:?}");
            }
        }
    }

    #[test]
    fn the_own_grid_is_not_touched() {
        for resize in [Positions::Bicubic { offset: 0.1 }, Positions::Antialiased] {
            let tokens = tokens([6, 6], resize);
            assert_eq!(tokens.resized([6, 6]), tokens.positions);
        }
    }

    #[test]
    fn a_fixed_embedding_refuses_another_grid() {
        let tokens = tokens([2, 3], Positions::Fixed);
        assert_eq!(tokens.output(Shape { c: 2, h: 2, w: 3 }), Ok(Shape { c: 2, h: 7, w: 1 }));
        let problem = tokens.output(Shape { c: 2, h: 3, w: 3 }).unwrap_err();
        assert_eq!(problem, "has positions for 2 x 3 patches, the image has 3 x 3");
        assert!(tokens.output(Shape { c: 3, h: 2, w: 3 }).is_err());
    }
}
