//! Means and maxima over windows, and their ways back.

use std::ops::Range;

use rayon::prelude::*;

use super::{FeatureMap, Op, PoolSpec, Real, Shape};

/// The rows and columns that each output row and column of a pooling reads.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    ranges: [Vec<Range<usize>>; 2],
    /// The divisor of a mean; the number of pixels of the window if missing.
    divisor: Option<usize>,
}

impl Windows {
    /// Those of a pooling step that reads `shape`; none for other steps.
    pub(super) fn of(op: &Op, shape: Shape) -> Option<Self> {
        let bins = |size: usize, bins: usize| {
            (0..bins).map(|i| i * size / bins..((i + 1) * size).div_ceil(bins)).collect()
        };
        Some(match op {
            Op::MaxPool(window) => Self { ranges: sliding(window, shape), divisor: None },
            Op::AvgPool(window, count_padding) => Self {
                ranges: sliding(window, shape),
                divisor: count_padding.then_some(window.kernel[0] * window.kernel[1]),
            },
            Op::AdaptiveAvgPool([h, w]) => {
                Self { ranges: [bins(shape.h, *h), bins(shape.w, *w)], divisor: None }
            }
            Op::GlobalAvgPool => {
                Self { ranges: [bins(shape.h, 1), bins(shape.w, 1)], divisor: None }
            }
            _ => return None,
        })
    }

    /// Calls `visit(output column, input pixel, pixels that share the mean)` for every pair of an
    /// output row, counted over all images, and an input pixel.
    fn pairs(&self, shape: Shape, row: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let [rows, columns] = &self.ranges;
        let (image, row) = (row / rows.len(), row % rows.len());
        for y in rows[row].clone() {
            let line = (image * shape.h + y) * shape.w;
            for (to, column) in columns.iter().enumerate() {
                let shared = self.divisor.unwrap_or(rows[row].len() * column.len());
                column.clone().for_each(|x| visit(to, line + x, shared));
            }
        }
    }

    /// The sum of `weight(1 / count) x` over each window of `count` pixels: their mean if `weight`
    /// is the identity.
    pub(super) fn mean<T: Real>(
        &self,
        x: &FeatureMap<T>,
        out: Shape,
        weight: impl Fn(T) -> T + Sync,
    ) -> FeatureMap<T> {
        let mut y = FeatureMap::filled(x.n, out, T::ZERO);
        let c = out.c;
        y.data.par_chunks_mut(out.w * c).enumerate().for_each(|(row, line)| {
            self.pairs(x.shape, row, |to, from, shared| {
                let factor = weight(T::of(1.0 / shared as f64));
                let values = &x.data[from * c..][..c];
                line[to * c..][..c].iter_mut().zip(values).for_each(|(y, &v)| *y += v * factor);
            });
        });
        y
    }

    /// The transpose of [`mean`](Self::mean).
    pub(super) fn mean_transposed<T: Real>(
        &self,
        y: &FeatureMap<T>,
        out: Shape,
        weight: impl Fn(T) -> T + Sync,
    ) -> FeatureMap<T> {
        let mut x = FeatureMap::filled(y.n, out, T::ZERO);
        let ([rows, columns], c) = (&self.ranges, out.c);
        x.data.par_chunks_mut(out.w * c).enumerate().for_each(|(line, values)| {
            let (image, line) = (line / out.h, line % out.h);
            let readers = rows.iter().enumerate().filter(|(_, range)| range.contains(&line));
            for (row, range) in readers {
                for (column, places) in columns.iter().enumerate() {
                    let shared = self.divisor.unwrap_or(range.len() * places.len());
                    let factor = weight(T::of(1.0 / shared as f64));
                    let from = ((image * rows.len() + row) * columns.len() + column) * c;
                    for place in places.clone() {
                        let sums = values[place * c..][..c].iter_mut();
                        sums.zip(&y.data[from..][..c]).for_each(|(x, &v)| *x += v * factor);
                    }
                }
            }
        });
        x
    }

    /// The largest value of each window, and the input pixel it lies in: the first of equal ones.
    pub(super) fn max<T: Real>(&self, x: &FeatureMap<T>, out: Shape) -> (FeatureMap<T>, Vec<u32>) {
        let c = out.c;
        let mut best = FeatureMap::filled(x.n, out, T::ZERO);
        let mut switches = vec![u32::MAX; best.data.len()];
        let lines = best.data.par_chunks_mut(out.w * c).zip(switches.par_chunks_mut(out.w * c));
        lines.enumerate().for_each(|(row, (best, switches))| {
            self.pairs(x.shape, row, |to, from, _| {
                let values = &x.data[from * c..][..c];
                let places = &mut switches[to * c..][..c];
                let best = &mut best[to * c..][..c];
                for ((best, place), &value) in best.iter_mut().zip(places).zip(values) {
                    if *place == u32::MAX || value > *best {
                        (*best, *place) = (value, from as u32);
                    }
                }
            });
        });
        (best, switches)
    }

    /// Each value of `y` at the pixel that its switch names: the gradient of [`max`](Self::max).
    pub(super) fn unpool<T: Real>(
        y: &FeatureMap<T>,
        switches: &[u32],
        out: Shape,
    ) -> FeatureMap<T> {
        let mut x = FeatureMap::filled(y.n, out, T::ZERO);
        for (i, (&value, &pixel)) in y.data.iter().zip(switches).enumerate() {
            x.data[pixel as usize * out.c + i % out.c] += value;
        }
        x
    }
}

fn sliding(window: &PoolSpec, shape: Shape) -> [Vec<Range<usize>>; 2] {
    let outputs = window.output_size(shape.h, shape.w);
    [(0, shape.h), (1, shape.w)].map(|(axis, size)| {
        let before = window.padding[axis][0];
        let range = |place: usize| {
            let start = place * window.stride[axis];
            let end = (start + window.kernel[axis]).saturating_sub(before);
            start.saturating_sub(before)..end.min(size)
        };
        (0..outputs[axis]).map(range).collect()
    })
}
