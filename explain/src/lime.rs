//! LIME: a linear model of the target in the presence of superpixels.
//!
//! Ribeiro et al., "Why Should I Trust You?", 2016, <https://arxiv.org/abs/1602.04938>.

use ganscope_model::{FeatureMap, Shape};
use ganscope_stats::random::RandomState;
use nalgebra::{DMatrix, DVector};

use crate::error::require;
use crate::gradient::one_image;
use crate::{Error, Result, Superpixels};

/// What takes the place of a superpixel that is left out.
#[derive(Debug, Clone, PartialEq)]
pub enum Fill {
    /// The mean of its pixels.
    Mean,
    /// Network input of each channel; one value serves all.
    Value(Vec<f32>),
    /// The same place of another image, network input (H, W, C).
    Image(Vec<f32>),
}

impl Fill {
    /// What replaces each superpixel, (parts, channels), or each pixel, (H, W, C).
    ///
    /// # Errors
    /// If the parts are those of an image of another size, or the values do not fit the channels.
    pub(crate) fn values(&self, image: &FeatureMap, parts: &Superpixels) -> Result<Vec<f32>> {
        let shape = image.shape;
        if (parts.height, parts.width) != (shape.h, shape.w) {
            let expected = format!("{} x {} pixels", shape.h, shape.w);
            let got = format!("{} x {}", parts.height, parts.width);
            return Err(Error::Mismatch { what: "superpixels", expected, got });
        }
        let c = shape.c;
        match self {
            Self::Value(values) => {
                let fits = [1, c].contains(&values.len());
                require(fits, "the fill", "one value, or one a channel", values.len())?;
                Ok((0..parts.count * c).map(|i| values[i % c % values.len()]).collect())
            }
            Self::Image(values) => {
                let fits = values.len() == image.data.len();
                require(fits, "the fill", "an image of the same size", values.len())?;
                Ok(values.clone())
            }
            Self::Mean => {
                let (mut sums, mut counts) = (vec![0.0; parts.count * c], vec![0.0; parts.count]);
                for (pixel, &label) in image.data.chunks_exact(c).zip(&parts.labels) {
                    counts[label] += 1.0;
                    let sums = &mut sums[label * c..][..c];
                    sums.iter_mut().zip(pixel).for_each(|(s, &v)| *s += f64::from(v));
                }
                Ok(sums.iter().enumerate().map(|(i, s)| (s / counts[i / c]) as f32).collect())
            }
        }
    }

    /// The image with the parts that are `present`, and `fill` instead of the others.
    pub(crate) fn compose<'a>(
        image: &'a FeatureMap,
        parts: &'a Superpixels,
        fill: &'a [f32],
        present: &'a [bool],
    ) -> impl Iterator<Item = f32> + 'a {
        let (c, is_image) = (image.shape.c, fill.len() == image.data.len());
        image.data.iter().enumerate().map(move |(i, &v)| {
            let label = parts.labels[i / c];
            match present[label] {
                true => v,
                false if is_image => fill[i],
                false => fill[label * c + i % c],
            }
        })
    }
}

/// Options of LIME.
#[derive(Debug, Clone, PartialEq)]
pub struct Lime {
    /// Images with superpixels left out at random; the first is whole.
    pub samples: usize,
    /// Superpixels of the model, those of the largest weights; all if missing.
    pub features: Option<usize>,
    /// Width of the kernel: samples at cosine distance `d` from the whole image weigh
    /// `exp(-d^2 / width^2)^(1/2)`.
    pub kernel_width: f64,
    /// Penalty of squared weights.
    pub ridge: f64,
    /// What takes the place of what is left out.
    pub fill: Fill,
    /// Seed of the samples.
    pub seed: u32,
    /// Images that are scored together.
    pub batch: usize,
}

impl Default for Lime {
    /// The settings of the authors' program.
    fn default() -> Self {
        Self {
            samples: 1000,
            features: None,
            kernel_width: 0.25,
            ridge: 1.0,
            fill: Fill::Mean,
            seed: 0,
            batch: 16,
        }
    }
}

/// The linear model.
#[derive(Debug, Clone, PartialEq)]
pub struct LimeExplanation {
    /// Superpixels of the model with their weights, the largest absolute weight first.
    pub weights: Vec<(usize, f64)>,
    /// The model without any superpixel.
    pub intercept: f64,
    /// Share of the weighted variance that the model explains.
    pub r_squared: f64,
    /// Weight of each pixel's superpixel, (1, 1, H, W); zero for those not in the model.
    pub map: FeatureMap,
}

impl Lime {
    /// Fits the model to `score`, which gives a number for each image of a batch.
    ///
    /// # Errors
    /// If the options are out of range, the superpixels are those of an image of another size,
    /// and those of `score`.
    pub fn explain(
        &self,
        image: &FeatureMap,
        parts: &Superpixels,
        mut score: impl FnMut(&FeatureMap) -> Result<Vec<f64>>,
    ) -> Result<LimeExplanation> {
        one_image(image)?;
        require(self.samples > 1, "the number of samples", "at least 2", self.samples)?;
        require(self.batch > 0, "the batch", "at least 1", self.batch)?;
        require(self.kernel_width > 0.0, "the kernel width", "positive", self.kernel_width)?;
        require(self.ridge > 0.0, "the ridge penalty", "positive", self.ridge)?;
        let shape = image.shape;
        let fill = self.fill.values(image, parts)?;

        let mut random = RandomState::new(self.seed);
        let present: Vec<Vec<bool>> = (0..self.samples)
            .map(|sample| {
                // Bits are drawn for the first sample too, as the authors' program does.
                let bits: Vec<bool> = (0..parts.count)
                    .map(|_| random.below(2).map(|b| b == 1))
                    .collect::<Result<_, _>>()?;
                Ok(if sample == 0 { vec![true; parts.count] } else { bits })
            })
            .collect::<Result<_>>()?;
        let mut scores = Vec::with_capacity(self.samples);
        for samples in present.chunks(self.batch) {
            let data =
                samples.iter().flat_map(|present| Fill::compose(image, parts, &fill, present));
            let batch = FeatureMap::new(samples.len(), shape, data.collect())?;
            scores.extend(score(&batch)?);
        }
        let weights: Vec<f64> = present.iter().map(|p| self.proximity(p)).collect();

        let all: Vec<usize> = (0..parts.count).collect();
        let mut model = self.fit(&present, &scores, &weights, &all)?;
        if let Some(count) = self.features.filter(|&count| count < parts.count) {
            let mut chosen: Vec<usize> = model.weights.iter().take(count).map(|w| w.0).collect();
            chosen.sort_unstable();
            model = self.fit(&present, &scores, &weights, &chosen)?;
        }
        let mut by_part = vec![0.0; parts.count];
        model.weights.iter().for_each(|&(part, weight)| by_part[part] = weight as f32);
        let data = parts.labels.iter().map(|&label| by_part[label]).collect();
        let map = FeatureMap::new(1, Shape { c: 1, ..shape }, data)?;
        let Model { weights, intercept, r_squared } = model;
        Ok(LimeExplanation { weights, intercept, r_squared, map })
    }

    /// Weight of a sample by its cosine distance from the whole image.
    fn proximity(&self, present: &[bool]) -> f64 {
        let share = present.iter().filter(|&&p| p).count() as f64 / present.len() as f64;
        let distance = 1.0 - share.sqrt();
        (-(distance / self.kernel_width).powi(2)).exp().sqrt()
    }

    /// Weighted ridge regression on the superpixels `chosen`; the intercept is not penalised.
    fn fit(
        &self,
        present: &[Vec<bool>],
        scores: &[f64],
        weights: &[f64],
        chosen: &[usize],
    ) -> Result<Model> {
        let total: f64 = weights.iter().sum();
        let mean = |value: &dyn Fn(usize) -> f64| {
            weights.iter().enumerate().map(|(i, w)| w * value(i)).sum::<f64>() / total
        };
        let bit = |sample: usize, part: usize| f64::from(u8::from(present[sample][part]));
        let center: Vec<f64> = chosen.iter().map(|&p| mean(&|i| bit(i, p))).collect();
        let middle = mean(&|i| scores[i]);
        let x = DMatrix::from_fn(scores.len(), chosen.len(), |i, j| {
            weights[i].sqrt() * (bit(i, chosen[j]) - center[j])
        });
        let y = DVector::from_fn(scores.len(), |i, _| weights[i].sqrt() * (scores[i] - middle));
        let mut normal = x.tr_mul(&x);
        (0..chosen.len()).for_each(|j| normal[(j, j)] += self.ridge);
        let solved = normal.cholesky().map(|cholesky| cholesky.solve(&x.tr_mul(&y)));
        let Some(solution) = solved else {
            let (name, expected) = ("scores and ridge penalty", "finite");
            return Err(Error::Option { name, expected, got: "values that are not".into() });
        };
        let rest = (&y - &x * &solution).norm_squared();
        let spread = y.norm_squared();
        let mut weights: Vec<(usize, f64)> =
            chosen.iter().copied().zip(solution.iter().copied()).collect();
        weights.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
        let shift: f64 = center.iter().zip(&solution).map(|(c, w)| c * w).sum();
        let r_squared = if spread > 0.0 { 1.0 - rest / spread } else { 1.0 };
        Ok(Model { weights, intercept: middle - shift, r_squared })
    }
}

struct Model {
    weights: Vec<(usize, f64)>,
    intercept: f64,
    r_squared: f64,
}
