//! Expected gradients.

use ganscope_model::FeatureMap;
use ganscope_model::network::{Real, Rectifier, Walker};
use ganscope_stats::random::RandomState;

use crate::additivity::Additivity;
use crate::error::require;
use crate::gradient::{IntegratedGradients, gradient, one_image};
use crate::{Error, Result, Target};

/// The gradient at random places between baselines and the image, times the way: the expectation of
/// integrated gradients over baselines.
///
/// Erion et al., "Improving performance of deep learning models with axiomatic attribution priors and
/// expected gradients", 2019, <https://arxiv.org/abs/1906.10670>; `GradientExplainer` of shap.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientShap {
    /// Random places, at least 2. Those from one baseline lie in equal parts of the way, one in each.
    pub samples: usize,
    /// Where ways start, taken in turn, each as [`IntegratedGradients::baseline`].
    pub baselines: Vec<Vec<f64>>,
    /// Seed of the places.
    pub seed: u32,
}

/// Share of the difference by which gradient SHAP may miss it.
const LARGEST_GAP: f64 = 0.1;

impl GradientShap {
    /// The attributions, and their sum beside the mean difference of the target between image and
    /// baselines. Its standard error is that of independent places, which is more than those in their
    /// own parts have.
    ///
    /// # Errors
    /// Those of [`gradient`], if the options are out of range, and [`Error::Gap`] if the sum misses the
    /// difference by more than a tenth.
    pub fn explain<T: Real>(
        &self,
        walker: &Walker<T>,
        image: &FeatureMap<T>,
        target: &Target,
    ) -> Result<(FeatureMap<T>, Additivity)> {
        one_image(image)?;
        require(self.samples > 1, "the number of samples", "at least 2", self.samples)?;
        let some = !self.baselines.is_empty();
        require(some, "the number of baselines", "at least 1", self.baselines.len())?;
        let fits = |b: &Vec<f64>| [1, image.shape.c, image.data.len()].contains(&b.len());
        let fitting = self.baselines.iter().all(fits);
        let expected = "one value, one a channel, or an image";
        require(fitting, "a baseline", expected, "another number")?;
        let starts = self.baselines.iter().map(|baseline| {
            let way = IntegratedGradients { baseline: baseline.clone(), ..Default::default() };
            way.baseline_of(image)
        });
        let starts: Vec<FeatureMap<T>> = starts.collect();
        let score = |image: &FeatureMap<T>| {
            let trace = walker.run(image.clone())?;
            Ok::<f64, Error>(target.score(trace.value(target.node()))?[0])
        };
        let answers = starts.iter().map(score).collect::<Result<Vec<f64>>>()?;
        let whole = score(image)?;
        let mut random = RandomState::new(self.seed);
        let n = self.samples as f64;
        let (mut sums, mut totals) = (vec![0.0; image.data.len()], Vec::new());
        let mut difference = 0.0;
        for sample in 0..self.samples {
            let (baseline, part) = (sample % starts.len(), sample / starts.len());
            let start = &starts[baseline];
            let parts = (self.samples - baseline).div_ceil(starts.len()) as f64;
            difference += (whole - answers[baseline]) / n;
            let share = T::of((part as f64 + random.uniform()) / parts);
            let place = image.zip(start, |v, s| s + share * (v - s));
            let slope = gradient(walker, &place, target, Rectifier::Gradient)?;
            let way = image.zip(start, |v, s| v - s);
            let mut total = 0.0;
            for ((sum, way), slope) in sums.iter_mut().zip(&way.data).zip(&slope.data) {
                let value = way.to_f64() * slope.to_f64();
                *sum += value / n;
                total += value;
            }
            totals.push(total);
        }
        let sum = totals.iter().sum::<f64>() / n;
        let variance = totals.iter().map(|t| (t - sum).powi(2)).sum::<f64>() / (n - 1.0);
        let additivity =
            Additivity { difference, sum, standard_error: Some((variance / n).sqrt()) };
        let additivity = additivity.check("gradient-shap", LARGEST_GAP, 0.0)?;
        let data = sums.into_iter().map(T::of).collect();
        Ok((FeatureMap::new(1, image.shape, data)?, additivity))
    }
}
