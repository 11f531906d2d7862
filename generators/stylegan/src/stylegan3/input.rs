//! Fourier features on a plane that can be moved and turned.

use candle_core::{Device, Tensor};
use ganscope_model::ops::{Activation, Conv2d, Linear};
use ganscope_model::{Checkpoint, Result};

use super::plan::LayerPlan;
use crate::mapping::equalized;

/// A movement of the image.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Transform {
    /// Shift to the right and down, in image widths.
    pub translate: (f64, f64),
    /// Rotation in degrees, counter-clockwise; the angle of the published tool.
    pub rotate: f64,
}

impl Transform {
    /// The first two rows of the inverse of `[[c, s, x], [-s, c, y], [0, 0, 1]]`, which the
    /// network applies to its sampling grid.
    pub(super) fn inverse(self) -> [[f64; 3]; 3] {
        let (s, c) = self.rotate.to_radians().sin_cos();
        let (x, y) = self.translate;
        // The inverse turns back what was moved back.
        [[c, -s, s * y - c * x], [s, c, -s * x - c * y], [0.0, 0.0, 1.0]]
    }
}

/// Sinusoids of random frequencies and phases, mixed by a matrix.
#[derive(Debug)]
pub(super) struct Input {
    affine: Linear,
    /// The user's inverse transform of the plane.
    pub(super) transform: [[f64; 3]; 3],
    /// Frequencies along x and y, and phases, (C) each.
    frequencies: [Tensor; 2],
    phases: Tensor,
    /// Places of the samples along y and x, (height) and (width).
    grid: [Tensor; 2],
    bandwidth: f64,
    sampling_rate: f64,
    mix: Conv2d,
}

impl Input {
    /// The layer that turns `w` into the transform of the plane.
    pub(super) fn affine(&self) -> &Linear {
        &self.affine
    }

    /// Loads `synthesis.input.*`.
    pub(super) fn new(
        checkpoint: &mut Checkpoint,
        first: &LayerPlan,
        w_dim: usize,
        device: &Device,
    ) -> Result<Self> {
        let channels = first.in_channels;
        let name = "synthesis.input";
        let affine = equalized(
            checkpoint,
            &format!("{name}.affine"),
            [4, w_dim],
            (1.0, 1.0),
            Activation::None,
            device,
        )?;
        let stored = checkpoint.take(&format!("{name}.transform"), &[3, 3])?;
        let mut transform = [[0.0; 3]; 3];
        for (place, value) in transform.iter_mut().flatten().zip(stored) {
            *place = value as f64;
        }
        let frequencies = checkpoint.tensor(&format!("{name}.freqs"), &[channels, 2], device)?;
        let along = |axis: usize| frequencies.narrow(1, axis, 1)?.squeeze(1)?.contiguous();
        let frequencies = [along(0)?, along(1)?];
        let phases = checkpoint.tensor(&format!("{name}.phases"), &[channels], device)?;
        let weight = checkpoint.tensor(&format!("{name}.weight"), &[channels, channels], device)?;
        let weight = (weight / (channels as f64).sqrt())?.reshape((channels, channels, 1, 1))?;
        let rate = first.in_sampling_rate;
        let places = |size: usize| {
            let place = |i: usize| (i as f64 + 0.5 - size as f64 / 2.0) / rate;
            Tensor::from_vec((0..size).map(place).collect(), size, device)
        };
        Ok(Self {
            affine,
            transform,
            frequencies,
            phases,
            grid: [places(first.in_size[0])?, places(first.in_size[1])?],
            bandwidth: first.in_cutoff,
            sampling_rate: rate,
            mix: Conv2d::new(&weight, 1, 0)?,
        })
    }

    /// `w` (N, `w_dim`) to features (N, height, width, C).
    pub(super) fn forward(&self, w: &Tensor) -> Result<Tensor> {
        let dtype = w.dtype();
        let (n, c) = (w.dim(0)?, self.phases.dim(0)?);
        let [fx, fy] = &self.frequencies;
        let (fx, fy) = (fx.to_dtype(dtype)?, fy.to_dtype(dtype)?);
        let [to_x, to_y] = self.rows(w)?;
        // Row vectors of frequencies times the columns of the transform, (N, C) each.
        let column = |i: usize| fx.broadcast_mul(&to_x[i])? + fy.broadcast_mul(&to_y[i])?;
        let (x, y) = (column(0)?, column(1)?);
        let phases = column(2)?.broadcast_add(&self.phases.to_dtype(dtype)?)?;
        // Frequencies that the transform moves out of the band fade away.
        let length = (x.sqr()? + y.sqr()?)?.sqrt()?;
        let fade = self.sampling_rate / 2.0 - self.bandwidth;
        let amplitudes =
            length.affine(-1.0 / fade, 1.0 + self.bandwidth / fade)?.clamp(0.0, 1.0)?;
        let [rows, columns] = [0, 1].map(|axis| self.grid[axis].to_dtype(dtype));
        let x = columns?.reshape((1, 1, (), 1))?.broadcast_mul(&x.reshape((n, 1, 1, c))?)?;
        let y = rows?.reshape((1, (), 1, 1))?.broadcast_mul(&y.reshape((n, 1, 1, c))?)?;
        let angle = x.broadcast_add(&y.broadcast_add(&phases.reshape((n, 1, 1, c))?)?)?;
        let waves = (angle * std::f64::consts::TAU)?.sin()?;
        let waves = waves.broadcast_mul(&amplitudes.reshape((n, 1, 1, c))?)?;
        Ok(self.mix.forward(&waves)?)
    }

    /// The first two rows of `rotation translation transform`, as (N, 1) columns; rotation and
    /// translation follow from `w`.
    fn rows(&self, w: &Tensor) -> Result<[[Tensor; 3]; 2]> {
        let t = self.affine.forward(w)?;
        let t = t.broadcast_div(&t.narrow(1, 0, 2)?.sqr()?.sum_keepdim(1)?.sqrt()?)?;
        let [c, s, x, y] = [0, 1, 2, 3].map(|i| t.narrow(1, i, 1));
        let (c, s, x, y) = (c?, s?, x?, y?);
        let first = [c.clone(), s.neg()?, ((&s * &y)? - (&c * &x)?)?];
        let second = [s.clone(), c.clone(), ((&s * &x)? + (&c * &y)?)?.neg()?];
        let times = |row: &[Tensor; 3], column: usize| -> Result<Tensor> {
            let [a, b, c] = [0, 1, 2].map(|k| &row[k] * self.transform[k][column]);
            Ok(((a? + b?)? + c?)?)
        };
        let all = |row: &[Tensor; 3]| -> Result<[Tensor; 3]> {
            Ok([times(row, 0)?, times(row, 1)?, times(row, 2)?])
        };
        Ok([all(&first)?, all(&second)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_times_the_transform_is_the_identity() {
        let transform = Transform { translate: (0.3, -0.2), rotate: 30.0 };
        let (s, c) = 30f64.to_radians().sin_cos();
        let forward = [[c, s, 0.3], [-s, c, -0.2], [0.0, 0.0, 1.0]];
        let inverse = transform.inverse();
        for (i, row) in inverse.iter().enumerate() {
            let product = [0, 1, 2].map(|j| (0..3).map(|k| row[k] * forward[k][j]).sum::<f64>());
            let mut expected = [0.0; 3];
            expected[i] = 1.0;
            for (entry, expected) in product.into_iter().zip(expected) {
                assert!((entry - expected).abs() < 1e-15, "row {i}: {product:?}");
            }
        }
    }
}
