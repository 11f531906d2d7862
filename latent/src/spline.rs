//! Smooth closed walks through key latents, as the StyleGAN video tool makes them.

use candle_core::Tensor;
use nalgebra::{DMatrix, DVector};

use crate::{Error, Result};

/// How often the key points are repeated on either side, so that the ends of the spline are far.
const WRAPS: usize = 2;

/// A closed walk through key points: frame `i` is the cubic spline at `i / frames_per_key`.
///
/// The spline is SciPy's `interp1d(kind="cubic")` (not-a-knot ends) through the key points repeated
/// five times, evaluated in the middle copy. It is linear in the key points, so a frame is a
/// weighted sum of them.
#[derive(Debug, Clone)]
pub struct Spline {
    keys: Tensor,
    frames_per_key: usize,
    /// Second derivatives at the knots of the five copies, one column a key point.
    curvature: DMatrix<f64>,
}

impl Spline {
    /// A spline through `keys` (K, `num_ws`, `w_dim`), with `frames_per_key` frames from one to the
    /// next.
    ///
    /// # Errors
    /// If there is no key point or no frame.
    pub fn new(keys: Tensor, frames_per_key: usize) -> Result<Self> {
        let count = keys.dim(0)?;
        for (name, value) in [("keyframes", count), ("frames per keyframe", frames_per_key)] {
            if value == 0 {
                return Err(Error::OutOfRange { name, got: 0.0, expected: "at least 1".into() });
            }
        }
        let curvature = curvature(count)?;
        Ok(Self { keys, frames_per_key, curvature })
    }

    /// Number of key points.
    pub fn keys(&self) -> usize {
        self.curvature.ncols()
    }

    /// Frames of one round.
    pub fn len(&self) -> usize {
        self.keys() * self.frames_per_key
    }

    /// Whether there is no frame, which is never the case.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frames of one round, each a `ws` (1, `num_ws`, `w_dim`).
    pub fn frames(&self) -> impl ExactSizeIterator<Item = Result<Tensor>> + '_ {
        (0..self.len()).map(|frame| self.at(frame as f64 / self.frames_per_key as f64))
    }

    /// The `ws` (1, `num_ws`, `w_dim`) at time `t`, in key points from the first.
    pub fn at(&self, t: f64) -> Result<Tensor> {
        let weights: Vec<f32> = self.weights(t).iter().map(|&w| w as f32).collect();
        let dims = self.keys.dims().to_vec();
        let flat = self.keys.reshape((dims[0], ()))?;
        let weights = Tensor::from_vec(weights, (1, dims[0]), self.keys.device())?;
        let mut shape = dims;
        shape[0] = 1;
        Ok(weights.matmul(&flat)?.reshape(shape)?)
    }

    /// Weight of each key point at time `t`.
    fn weights(&self, t: f64) -> DVector<f64> {
        let count = self.curvature.ncols();
        let t = t.rem_euclid(count as f64) + (WRAPS * count) as f64;
        let knot = t as usize;
        let (b, a) = (t - knot as f64, 1.0 - (t - knot as f64));
        let bend = self.curvature.row(knot) * ((a * a * a - a) / 6.0)
            + self.curvature.row(knot + 1) * ((b * b * b - b) / 6.0);
        let mut weights = bend.transpose();
        weights[knot % count] += a;
        weights[(knot + 1) % count] += b;
        weights
    }
}

/// Second derivatives at the knots of a not-a-knot cubic spline on a unit grid.
///
/// `m[i-1] + 4 m[i] + m[i+1] = 6 (y[i-1] - 2 y[i] + y[i+1])` inside; the third derivative is the
/// same on both sides of the second and of the last but one knot.
fn curvature(count: usize) -> Result<DMatrix<f64>> {
    let knots = count * (2 * WRAPS + 1);
    let (mut left, mut right) = (DMatrix::zeros(knots, knots), DMatrix::zeros(knots, count));
    for i in 1..knots - 1 {
        for (offset, weight, value) in [(-1, 1.0, 6.0), (0, 4.0, -12.0), (1, 1.0, 6.0)] {
            let j = i.wrapping_add_signed(offset);
            left[(i, j)] = weight;
            right[(i, j % count)] += value;
        }
    }
    for (row, first) in [(0, 0), (knots - 1, knots - 3)] {
        for (offset, weight) in [1.0, -2.0, 1.0].into_iter().enumerate() {
            left[(row, first + offset)] = weight;
        }
    }
    let singular = || Error::OutOfRange {
        name: "keyframes",
        got: count as f64,
        expected: "a spline that can be solved".into(),
    };
    left.lu().solve(&right).ok_or_else(singular)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// Weights and sums are float32.
    const F32_ROUNDING: f64 = 1e-5;

    fn spline(keys: &[f32], frames: usize) -> Spline {
        let keys = Tensor::from_slice(keys, (keys.len(), 1, 1), &Device::Cpu).unwrap();
        Spline::new(keys, frames).unwrap()
    }

    fn value(spline: &Spline, t: f64) -> f64 {
        spline.at(t).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()[0] as f64
    }

    #[test]
    fn a_walk_passes_its_key_points_and_closes() {
        let keys = [1.0, -2.0, 0.5, 4.0];
        let walk = spline(&keys, 5);
        assert_eq!(walk.frames().len(), 20);
        for (i, key) in keys.iter().enumerate() {
            assert!((value(&walk, i as f64) - *key as f64).abs() < F32_ROUNDING);
        }
        assert!((value(&walk, 4.0) - 1.0).abs() < F32_ROUNDING);
    }

    #[test]
    fn a_walk_is_that_of_scipy() {
        const SCIPY_FOUR: [(f64, f64); 5] = [
            (0.2, 0.123_992_010_229),
            (0.75, -1.689_458_359_698),
            (1.4, -1.605_996_105_815),
            (2.5, 2.765_618_676_980),
            (3.9, 1.451_886_173_179),
        ];
        const SCIPY_TWO: [(f64, f64); 3] =
            [(0.25, 2.368_902_439_024), (0.5, 1.0), (1.75, 2.326_219_512_195)];
        // x = arange(-8, 12); interp1d(x, tile([1, -2, .5, 4], 5), kind="cubic")(t)
        let walk = spline(&[1.0, -2.0, 0.5, 4.0], 5);
        for (t, expected) in SCIPY_FOUR {
            assert!((value(&walk, t) - expected).abs() < F32_ROUNDING, "{t}");
        }
        // x = arange(-4, 6); interp1d(x, tile([3, -1], 5), kind="cubic")(t)
        let walk = spline(&[3.0, -1.0], 4);
        for (t, expected) in SCIPY_TWO {
            assert!((value(&walk, t) - expected).abs() < F32_ROUNDING, "{t}");
        }
    }

    #[test]
    fn one_key_point_stands_still() {
        let walk = spline(&[2.5], 3);
        for frame in walk.frames() {
            assert!(
                (frame.unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap() - 2.5).abs() < 1e-6
            );
        }
    }

    #[test]
    fn no_frame_is_an_error() {
        let keys = Tensor::zeros((2, 1, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        let error = Spline::new(keys, 0).unwrap_err().to_string();
        assert_eq!(error, "frames per keyframe is 0, expected at least 1");
    }
}
