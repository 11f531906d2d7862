//! Batch norm with statistics for every truncation.
//!
//! Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2019,
//! <https://arxiv.org/abs/1809.11096>, appendix E: the statistics of a truncated sampler differ
//! from those of training, so they are collected anew for each truncation.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Device, Tensor};
use ganscope_model::ops::{Activation, Affine, Linear, affine};
use ganscope_model::{Checkpoint, Error, Result};

use crate::plan::{Plan, Stored};
use crate::spectral::take_weight;

/// How statistics between two stored truncations are interpolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BnStats {
    /// Linearly.
    #[default]
    Linear,
    /// As the published PyTorch port does it: with the weights of the two neighbors swapped, and
    /// with the wrong neighbor alone at 0.14, 0.28, 0.56, 0.58 and 0.94, where `t / 0.02` misses
    /// the integer by a rounding. For images that agree with that port.
    Hf,
}

impl fmt::Display for BnStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for BnStats {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "linear" => Ok(Self::Linear),
            "hf" => Ok(Self::Hf),
            _ => Err(Error::Input(format!(
                "batch-norm statistics `{text}`: expected `linear` or `hf`"
            ))),
        }
    }
}

impl BnStats {
    /// Its name in requests and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Hf => "hf",
        }
    }

    /// Row of the statistics below a truncation in [0, 1], and the weight of the row after it.
    pub fn position(self, truncation: f64, n_stats: usize) -> (usize, f64) {
        // A typed truncation misses its grid point by no more than that.
        const ON_GRID: f64 = 1e-9;
        let last = n_stats - 1;
        let (row, weight) = match self {
            Self::Linear => {
                let position = truncation * last as f64;
                let nearest = position.round();
                let position =
                    if (position - nearest).abs() < ON_GRID { nearest } else { position };
                (position.floor(), position.fract())
            }
            Self::Hf => {
                let position = truncation / (1.0 / last as f64);
                let (row, part) = (position.trunc(), position.fract());
                (row, if part == 0.0 { 0.0 } else { 1.0 - part })
            }
        };
        if row as usize >= last { (last, 0.0) } else { (row as usize, weight) }
    }
}

/// Means and variances of one layer's input, a row for each of `rows` truncations in [0, 1].
#[derive(Debug)]
struct Statistics {
    means: Vec<f32>,
    vars: Vec<f32>,
    channels: usize,
    eps: f64,
    device: Device,
}

impl Statistics {
    fn new(
        checkpoint: &mut Checkpoint,
        name: &str,
        stored: &Stored,
        channels: usize,
        device: &Device,
    ) -> Result<Self> {
        let shape = [stored.rows.unwrap_or(1), channels];
        let shape = if stored.rows.is_some() { &shape[..] } else { &shape[1..] };
        let mut take = |leaf: &str| checkpoint.take(&format!("{name}.{leaf}"), shape);
        let [mut means, mut vars] = [take(stored.names[0])?, take(stored.names[1])?];
        if let Some(counter) = stored.counter {
            let counter = format!("{name}.{counter}");
            let count = checkpoint.take(&counter, &[1])?[0];
            if count <= 0.0 {
                return Err(Error::Config(format!("`{counter}` is {count}, expected above 0")));
            }
            means.iter_mut().chain(&mut vars).for_each(|value| *value /= count);
        }
        Ok(Self { means, vars, channels, eps: stored.eps, device: device.clone() })
    }

    /// Makes the statistics those of an input that lacks the constant `bias`.
    fn without(mut self, bias: &[f32]) -> Self {
        for row in self.means.chunks_exact_mut(self.channels) {
            row.iter_mut().zip(bias).for_each(|(mean, bias)| *mean -= bias);
        }
        self
    }

    /// Mean and `1 / sqrt(var + eps)` of each channel, (C).
    fn at(&self, (row, weight): (usize, f64), dtype: DType) -> Result<[Tensor; 2]> {
        let c = self.channels;
        let between = |values: &[f32]| -> Vec<f64> {
            let low = &values[row * c..][..c];
            let high = if weight == 0.0 { low } else { &values[(row + 1) * c..][..c] };
            let mixed = low.iter().zip(high);
            mixed.map(|(&a, &b)| a as f64 * (1.0 - weight) + b as f64 * weight).collect()
        };
        let mean = between(&self.means).into_iter().map(|mean| mean as f32).collect();
        let rate = between(&self.vars).into_iter().map(|v| (1.0 / (v + self.eps).sqrt()) as f32);
        let tensor =
            |values: Vec<f32>| Tensor::from_vec(values, (1, c), &self.device)?.to_dtype(dtype);
        Ok([tensor(mean)?, tensor(rate.collect())?])
    }
}

/// Batch norm whose gain and offset are linear functions of a condition, and ReLU.
#[derive(Debug)]
pub(crate) struct ConditionalNorm {
    statistics: Statistics,
    /// Condition to gain - 1 and offset, (N, 2C).
    style: Linear,
    added_gain: bool,
}

impl ConditionalNorm {
    /// Loads statistics, gain and offset for an input (.., C) to which `bias` has not been added yet.
    pub(crate) fn new(
        checkpoint: &mut Checkpoint,
        name: &str,
        plan: &Plan,
        channels: usize,
        bias: Option<&[f32]>,
        device: &Device,
    ) -> Result<Self> {
        let mut statistics = Statistics::new(checkpoint, name, &plan.statistics, channels, device)?;
        if let Some(bias) = bias {
            statistics = statistics.without(bias);
        }
        let mut style = Vec::new();
        for leaf in plan.names.style {
            style.extend(Self::weight(checkpoint, &format!("{name}.{leaf}"), plan, channels)?);
        }
        let width = plan.conditions.blocks.width(plan.chunk, plan.embedding);
        let style = Tensor::from_vec(style, (2 * channels, width), device)?;
        let style = Linear::new(&style, None, Activation::None)?;
        Ok(Self { statistics, style, added_gain: plan.added_gain })
    }

    /// Weights of a gain or an offset, (C, D).
    fn weight(
        checkpoint: &mut Checkpoint,
        name: &str,
        plan: &Plan,
        channels: usize,
    ) -> Result<Vec<f32>> {
        let columns = plan.conditions.blocks;
        let weight = if plan.conditions.embedded {
            let rows = checkpoint.take(&format!("{name}.weight"), &[plan.classes, channels])?;
            let column = |c: usize| rows.iter().skip(c).step_by(channels).copied();
            (0..channels).flat_map(column).collect()
        } else {
            let width = columns.width(plan.chunk, plan.embedding);
            take_weight(checkpoint, name, &[channels, width])?
        };
        Ok(columns.in_order(weight, plan.chunk, plan.embedding))
    }

    /// Scale and offset of each image and channel, (N, C) both, for conditions (N, D), with the
    /// statistics at `position`, so that the norm and its ReLU are `relu(scale x + offset)`:
    /// `relu((1 + gain) (x - mean) / sqrt(var + eps) + offset)` or, where the gain is added,
    /// `relu((x - mean) / sqrt(var + eps) + 1 + gain + offset)`.
    pub(crate) fn terms(&self, condition: &Tensor, position: (usize, f64)) -> Result<[Tensor; 2]> {
        let c = self.statistics.channels;
        let [mean, rate] = self.statistics.at(position, condition.dtype())?;
        let style = self.style.forward(condition)?;
        let [gain, offset] = [(style.narrow(1, 0, c)? + 1.0)?, style.narrow(1, c, c)?];
        let (scale, offset) = if self.added_gain {
            (rate.broadcast_as(gain.shape())?.contiguous()?, (offset + gain)?)
        } else {
            (gain.broadcast_mul(&rate)?, offset)
        };
        let offset = (offset - scale.broadcast_mul(&mean)?)?;
        Ok([scale, offset])
    }
}

/// Batch norm with a gain and an offset of its own, and ReLU.
#[derive(Debug)]
pub(crate) struct Norm {
    statistics: Statistics,
    weight: Tensor,
    bias: Tensor,
}

impl Norm {
    /// Loads the norm before the colors, for an input (.., C).
    pub(crate) fn new(
        checkpoint: &mut Checkpoint,
        plan: &Plan,
        channels: usize,
        device: &Device,
    ) -> Result<Self> {
        let [name, gain, offset] = plan.names.last_norm;
        let statistics =
            Statistics::new(checkpoint, name, &plan.last_statistics, channels, device)?;
        let mut row = |leaf: &str| checkpoint.take(&format!("{name}.{leaf}"), &[channels]);
        let (mut weight, mut bias) = (row(gain)?, row(offset)?);
        if plan.added_gain {
            bias.iter_mut().zip(&weight).for_each(|(bias, gain)| *bias += gain);
            weight.fill(1.0);
        }
        let row = |values: Vec<f32>| Tensor::from_vec(values, (1, channels), device);
        Ok(Self { statistics, weight: row(weight)?, bias: row(bias)? })
    }

    /// `relu(weight (x - mean) / sqrt(var + eps) + bias)` for `x` (N, H, W, C).
    pub(crate) fn relu(&self, x: &Tensor, position: (usize, f64)) -> Result<Tensor> {
        let [mean, rate] = self.statistics.at(position, x.dtype())?;
        let scale = (self.weight.to_dtype(x.dtype())? * rate)?;
        let bias = (self.bias.to_dtype(x.dtype())? - (&scale * mean)?)?;
        let terms = Affine { scale: Some(&scale), bias: Some(&bias), ..Affine::default() };
        Ok(affine(x, &terms, Activation::Relu)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_truncation_has_its_own_row() {
        for row in 0..=50 {
            let truncation: f64 = format!("{:.2}", row as f64 * 0.02).parse().unwrap();
            assert_eq!(BnStats::Linear.position(truncation, 51), (row, 0.0), "{truncation}");
        }
    }

    #[test]
    fn between_rows_the_nearer_one_has_the_larger_weight() {
        let (row, weight) = BnStats::Linear.position(0.505, 51);
        assert_eq!(row, 25);
        assert!((weight - 0.25).abs() < 1e-9);
        let (row, weight) = BnStats::Hf.position(0.505, 51);
        assert_eq!(row, 25);
        assert!((weight - 0.75).abs() < 1e-9, "the published port swaps the weights");
    }

    #[test]
    fn the_published_port_misses_five_stored_truncations() {
        // Rows that CPython's math.modf(t / 0.02) leads to, and the weight of the next one.
        for (truncation, row, weight) in
            [(0.14, 7, 1.0), (0.28, 14, 1.0), (0.56, 28, 1.0), (0.58, 28, 0.0), (0.94, 46, 0.0)]
        {
            let (found, next) = BnStats::Hf.position(truncation, 51);
            assert_eq!(found, row, "{truncation}");
            assert!((next - weight).abs() < 1e-12, "{truncation}: {next}");
        }
        assert_eq!(BnStats::Hf.position(0.5, 51), (25, 0.0));
        assert_eq!(BnStats::Hf.position(1.0, 51), (50, 0.0));
    }

    #[test]
    fn conventions_are_named() {
        assert_eq!("hf".parse::<BnStats>().unwrap(), BnStats::Hf);
        assert_eq!("linear".parse::<BnStats>().unwrap(), BnStats::Linear);
        assert!("tf".parse::<BnStats>().is_err());
    }
}
