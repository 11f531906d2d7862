//! Shapley values of superpixels: the mean of what a part adds to the answer over all orders in which the
//! parts may come.
//!
//! Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", 2017,
//! <https://arxiv.org/abs/1705.07874>; Castro, Gomez and Tejada, "Polynomial calculation of the Shapley
//! value based on sampling", 2009.

use ganscope_model::{FeatureMap, Shape};
use ganscope_stats::random::RandomState;
use nalgebra::{DMatrix, DVector};

use crate::additivity::Additivity;
use crate::error::require;
use crate::gradient::one_image;
use crate::lime::Fill;
use crate::{Error, Result, Superpixels};

/// Share of the difference by which Shapley values may miss it: rounding.
const LARGEST_GAP: f64 = 1e-6;

/// Which estimate of the Shapley values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShapleyEstimate {
    /// A linear model of the answer that is exact without parts and with all, weighted so that it has the
    /// Shapley values: Kernel SHAP. It is exact where the samples suffice for all sets of parts.
    Kernel,
    /// The mean over random orders and their reverses.
    Sampling,
}

/// Options of Shapley values.
#[derive(Debug, Clone, PartialEq)]
pub struct Shapley {
    /// Which estimate.
    pub estimate: ShapleyEstimate,
    /// Images that are scored, about.
    pub samples: usize,
    /// What takes the place of parts that are left out.
    pub fill: Fill,
    /// Seed of the samples.
    pub seed: u32,
    /// Images that are scored together.
    pub batch: usize,
}

/// Shapley values of the parts of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct ShapleyValues {
    /// The value of each part.
    pub values: Vec<f64>,
    /// Standard error of each pixel's part, (1, 1, H, W), of sampling.
    pub standard_error: Option<FeatureMap>,
    /// Their sum, and the answer to the image less that to the image without parts.
    pub additivity: Additivity,
    /// The value of each pixel's part, (1, 1, H, W).
    pub map: FeatureMap,
}

/// Answers to images with chosen parts.
struct Game<'a, S> {
    image: &'a FeatureMap,
    parts: &'a Superpixels,
    fill: Vec<f32>,
    batch: usize,
    score: S,
}

impl<S: FnMut(&FeatureMap) -> Result<Vec<f64>>> Game<'_, S> {
    fn answers(&mut self, sets: &[Vec<bool>]) -> Result<Vec<f64>> {
        let mut answers = Vec::with_capacity(sets.len());
        for sets in sets.chunks(self.batch) {
            let data = sets.iter().flat_map(|present| {
                Fill::compose(self.image, self.parts, &self.fill, present).collect::<Vec<f32>>()
            });
            let images = FeatureMap::new(sets.len(), self.image.shape, data.collect())?;
            answers.extend((self.score)(&images)?);
        }
        Ok(answers)
    }
}

impl Shapley {
    /// The values for `score`, which gives a number for each image of a batch. They sum to the difference
    /// of the answers to the image and to the image without parts.
    ///
    /// # Errors
    /// If the options are out of range, there are too few samples for the number of parts, the superpixels
    /// are those of an image of another size, [`Error::Gap`] if the sum misses the difference, and those of
    /// `score`.
    pub fn explain(
        &self,
        image: &FeatureMap,
        parts: &Superpixels,
        score: impl FnMut(&FeatureMap) -> Result<Vec<f64>>,
    ) -> Result<ShapleyValues> {
        one_image(image)?;
        require(self.batch > 0, "the batch", "at least 1", self.batch)?;
        let count = parts.count;
        let enough = 2 * count;
        let expected = "at least twice the number of superpixels";
        require(self.samples >= enough, "the number of samples", expected, self.samples)?;
        let fill = self.fill.values(image, parts)?;
        let mut game = Game { image, parts, fill, batch: self.batch, score };
        let ends = game.answers(&[vec![false; count], vec![true; count]])?;
        let (values, standard_errors) = match self.estimate {
            _ if count == 1 => (vec![ends[1] - ends[0]], None),
            ShapleyEstimate::Kernel => (self.by_kernel(&mut game, [ends[0], ends[1]])?, None),
            ShapleyEstimate::Sampling => {
                let (values, errors) = self.by_orders(&mut game, [ends[0], ends[1]])?;
                (values, Some(errors))
            }
        };
        let difference = ends[1] - ends[0];
        let additivity = Additivity { difference, sum: values.iter().sum(), standard_error: None };
        let method = match self.estimate {
            ShapleyEstimate::Kernel => "kernel-shap",
            ShapleyEstimate::Sampling => "shapley-sampling",
        };
        let magnitude = values.iter().map(|v| v.abs()).sum();
        let additivity = additivity.check(method, LARGEST_GAP, magnitude)?;
        let drawn = |values: &[f64]| {
            let data = parts.labels.iter().map(|&label| values[label] as f32).collect();
            FeatureMap::new(1, Shape { c: 1, ..image.shape }, data)
        };
        let standard_error = standard_errors.as_deref().map(drawn).transpose()?;
        Ok(ShapleyValues { map: drawn(&values)?, standard_error, values, additivity })
    }

    /// Pairs of an order and its reverse: their mean has less variance.
    fn by_orders<S: FnMut(&FeatureMap) -> Result<Vec<f64>>>(
        &self,
        game: &mut Game<'_, S>,
        [nothing, whole]: [f64; 2],
    ) -> Result<(Vec<f64>, Vec<f64>)> {
        let count = game.parts.count;
        // A standard error needs two.
        let pairs = (self.samples / (2 * (count - 1))).max(2);
        let mut random = RandomState::new(self.seed);
        let (mut sums, mut squares) = (vec![0.0; count], vec![0.0; count]);
        for _ in 0..pairs {
            let mut order = random.permutation(count);
            let mut added = vec![0.0; count];
            for _ in 0..2 {
                let set = |first: usize| {
                    let mut set = vec![false; count];
                    order[..first].iter().for_each(|&part| set[part] = true);
                    set
                };
                let between = game.answers(&(1..count).map(set).collect::<Vec<_>>())?;
                let mut before = nothing;
                for (&part, &after) in order.iter().zip(between.iter().chain([&whole])) {
                    added[part] += (after - before) / 2.0;
                    before = after;
                }
                order.reverse();
            }
            for ((sum, square), value) in sums.iter_mut().zip(&mut squares).zip(added) {
                *sum += value;
                *square += value * value;
            }
        }
        let n = pairs as f64;
        let error = |(sum, square): (&f64, &f64)| {
            let variance = (square - sum * sum / n).max(0.0) / (n - 1.0);
            (variance / n).sqrt()
        };
        let errors = sums.iter().zip(&squares).map(error).collect();
        Ok((sums.iter().map(|sum| sum / n).collect(), errors))
    }

    /// Least squares `sum w (answer - nothing - sum of values)^2` with the values that sum to the
    /// difference.
    fn by_kernel<S: FnMut(&FeatureMap) -> Result<Vec<f64>>>(
        &self,
        game: &mut Game<'_, S>,
        [nothing, whole]: [f64; 2],
    ) -> Result<Vec<f64>> {
        let count = game.parts.count;
        let (sets, weights) = self.sets(count);
        let answers = game.answers(&sets)?;
        let difference = whole - nothing;
        let bit = |i: usize, part: usize| f64::from(u8::from(sets[i][part]));
        // The last value is what the others leave of the difference.
        let last = count - 1;
        let x = DMatrix::from_fn(sets.len(), last, |i, j| {
            weights[i].sqrt() * (bit(i, j) - bit(i, last))
        });
        let y = DVector::from_fn(sets.len(), |i, _| {
            weights[i].sqrt() * (answers[i] - nothing - bit(i, last) * difference)
        });
        let Some(cholesky) = x.tr_mul(&x).cholesky() else {
            let (name, expected) = ("the number of samples", "more, for so many superpixels");
            return Err(Error::Option { name, expected, got: sets.len().to_string() });
        };
        let mut values: Vec<f64> = cholesky.solve(&x.tr_mul(&y)).iter().copied().collect();
        values.push(difference - values.iter().sum::<f64>());
        Ok(values)
    }

    /// Sets of parts with their weights: all, if there are no more than samples; otherwise pairs of a
    /// random set and its complement, of sizes as frequent as the kernel weighs them.
    fn sets(&self, count: usize) -> (Vec<Vec<bool>>, Vec<f64>) {
        let of_size = |size: usize| (count - 1) as f64 / (size * (count - size)) as f64;
        let all = u32::try_from(count).ok().and_then(|bits| 2_usize.checked_pow(bits));
        if let Some(all) = all.filter(|&all| all - 2 <= self.samples) {
            let set = |i: usize| (0..count).map(|part| i >> part & 1 == 1).collect();
            let sets: Vec<Vec<bool>> = (1..all - 1).map(set).collect();
            let weight = |set: &Vec<bool>| {
                let size = set.iter().filter(|&&p| p).count();
                let ways = (1..=size).fold(1.0, |w, k| w * (count - size + k) as f64 / k as f64);
                of_size(size) / ways
            };
            let weights = sets.iter().map(weight).collect();
            return (sets, weights);
        }
        let mut random = RandomState::new(self.seed);
        let total: f64 = (1..count).map(of_size).sum();
        let mut sets = Vec::with_capacity(self.samples);
        while sets.len() + 1 < self.samples {
            let mut rest = random.uniform() * total;
            let mut size = 1;
            while size + 1 < count && rest >= of_size(size) {
                rest -= of_size(size);
                size += 1;
            }
            let mut set = vec![false; count];
            random.permutation(count)[..size].iter().for_each(|&part| set[part] = true);
            let complement = set.iter().map(|&present| !present).collect();
            sets.extend([set, complement]);
        }
        let weights = vec![1.0; sets.len()];
        (sets, weights)
    }
}
