//! Kernel Inception Distance, and its relative CMMD.
//!
//! Bińkowski et al., "Demystifying MMD GANs", 2018, <https://arxiv.org/abs/1801.01401>, and
//! Jayasumana et al., "Rethinking FID: Towards a Better Evaluation Metric for Image Generation",
//! 2024, <https://arxiv.org/abs/2401.09603>. KID agrees with `metric_kid.py` of torch-fidelity; CMMD
//! is that of `distance.py` of google-research/cmmd.

mod cmmd;
mod kernel;
mod variance;

pub use cmmd::{CMMD_SIGMA, Cmmd, cmmd};
pub use kernel::Kernel;

use ganscope_stats::random::RandomState;
use ganscope_stats::{
    FeatureSet, Features, LeastImages, Metric, Needs, Parameter, Result, Score, Side, Spread,
    Uncertainty, check_parameter,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::kernel::Pool;
use crate::variance::Variance;

/// Largest number of subsets, whose draws are kept in memory.
const MOST_SUBSETS: usize = 100_000;

/// Subsets from which the error is estimated: a tenth of the published number, whose time they add.
const SUBSETS_OF_ERROR: usize = 10;

/// A maximum mean discrepancy with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The distance.
    pub value: f64,
    /// Its uncertainty, where there is enough to estimate it from.
    pub uncertainty: Option<Uncertainty>,
}

/// Settings of [`kernel_distance`]; the default is that of torch-fidelity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kid {
    /// Number of subsets.
    pub subsets: usize,
    /// Images of each set in a subset, drawn without replacement.
    pub subset_size: usize,
    /// Seed of the draws.
    pub seed: u32,
    /// The kernel.
    pub kernel: Kernel,
}

impl Kid {
    /// torch-fidelity: 100 subsets of 1000.
    pub const TORCH_FIDELITY: Self =
        Self { subsets: 100, subset_size: 1000, seed: 2020, kernel: Kernel::CUBIC };
}

impl Default for Kid {
    fn default() -> Self {
        Self::TORCH_FIDELITY
    }
}

/// Unbiased squared maximum mean discrepancy of random subsets, as mean and spread.
///
/// For a subset of `m` images `x` and `m` images `y`:
/// ```text
/// (sum_(i != j) k(x_i, x_j) + sum_(i != j) k(y_i, y_j)) / (m (m - 1)) - 2 sum_(i, j) k(x_i, y_j) / m^2
/// ```
/// Each subset draws first from the generated, then from the reference set. Smaller is better; the
/// estimate of a small distance may be negative.
///
/// # Errors
/// [`TooFewImages`](ganscope_stats::Error::TooFewImages) for sets smaller than a subset,
/// [`Parameter`](ganscope_stats::Error::Parameter) for options out of their range,
/// [`Dimension`](ganscope_stats::Error::Dimension) for sets of different width.
pub fn kernel_distance(
    generated: &Features,
    reference: &Features,
    options: &Kid,
) -> Result<Spread> {
    kernel_distance_with_error(generated, reference, options).map(|(spread, _)| spread)
}

/// [`kernel_distance`] with its standard error over other draws of as many generated images, the
/// reference set as given; none for a single subset, or subsets of two images.
///
/// The spread of the subsets is not that error: subsets of few images scatter more than the mean of
/// all, and subsets of all images do not scatter at all. The squared error is the variance of the
/// unbiased estimate from all images, estimated within the first subsets, and the variance of the
/// mean over the subsets.
///
/// # Errors
/// As [`kernel_distance`].
pub fn kernel_distance_with_error(
    generated: &Features,
    reference: &Features,
    options: &Kid,
) -> Result<(Spread, Option<Uncertainty>)> {
    options.validate()?;
    let Kid { subsets, subset_size: m, seed, kernel } = *options;
    let pool = Pool::new(generated, reference, kernel)?;
    for (set, side) in [(generated, Side::Generated), (reference, Side::Reference)] {
        options.least_images(side).check(options.title(), side, set.len())?;
    }
    let mut random = RandomState::new(seed);
    let draws = (0..subsets)
        .map(|_| {
            let x = random.choice(generated.len(), m)?;
            let y = random.choice(reference.len(), m)?;
            Ok((x, y.into_iter().map(|i| i + generated.len()).collect()))
        })
        .collect::<Result<Vec<(Vec<usize>, Vec<usize>)>>>()?;
    let table =
        pool.table_pays(subsets.saturating_mul(2 * m).saturating_mul(2 * m)).then(|| pool.table());
    let distances: Vec<f64> = draws
        .par_iter()
        .map(|(x, y)| match &table {
            Some(table) => unbiased(m, m, table.among(x), table.among(y), table.between(x, y)),
            None => unbiased(m, m, pool.among(x), pool.among(y), pool.between(x, y)),
        })
        .collect();
    let spread = Spread::of(&distances)?;
    if subsets < 2 || m < 3 {
        return Ok((spread, None));
    }
    let first = draws.iter().take(SUBSETS_OF_ERROR).map(|(x, y)| (x.as_slice(), y.as_slice()));
    let of_all = Variance::of_subsets(&pool, reference.len(), first).of_estimate(generated.len());
    let of_subsets = spread.std * spread.std / (subsets - 1) as f64;
    let uncertainty = Uncertainty::normal(spread.mean, (of_all + of_subsets).sqrt());
    Ok((spread, Some(uncertainty)))
}

/// Unbiased squared maximum mean discrepancy of all images of both sets, without random subsets.
///
/// # Errors
/// [`TooFewImages`](ganscope_stats::Error::TooFewImages) for fewer than two images,
/// [`Dimension`](ganscope_stats::Error::Dimension) for sets of different width.
pub fn full_kernel_distance(
    generated: &Features,
    reference: &Features,
    kernel: Kernel,
) -> Result<f64> {
    let pool = Pool::new(generated, reference, kernel)?;
    check_counts("the kernel distance", 2, generated, reference)?;
    let (n, m) = (generated.len(), reference.len());
    let (x, y) = (pool.generated(), pool.reference());
    Ok(unbiased(n, m, pool.among(&x), pool.among(&y), pool.between(&x, &y)))
}

/// The estimate from sums of the kernel over different pairs within `n` and `m` images, and over
/// pairs between them.
fn unbiased(n: usize, m: usize, within_x: f64, within_y: f64, between: f64) -> f64 {
    let (n, m) = (n as f64, m as f64);
    within_x / (n * (n - 1.0)) + within_y / (m * (m - 1.0)) - 2.0 * between / (n * m)
}

/// Checks that both sets have `needed` images.
fn check_counts(
    metric: &'static str,
    needed: usize,
    generated: &Features,
    reference: &Features,
) -> Result<()> {
    let least = LeastImages::always(needed);
    least.check(metric, Side::Generated, generated.len())?;
    least.check(metric, Side::Reference, reference.len())
}

impl Metric for Kid {
    fn name(&self) -> &'static str {
        "kid"
    }

    fn title(&self) -> &'static str {
        "KID"
    }

    fn needs(&self, _side: Side) -> Needs {
        Needs::FEATURES
    }

    fn least_images(&self, _side: Side) -> LeastImages {
        LeastImages {
            always: 2,
            with_options: self.subset_size,
            parameter: Some(Parameter::KidSubsetSize),
        }
    }

    fn validate(&self) -> Result<()> {
        let (subsets, size) = (self.subsets, self.subset_size);
        let few = (1..=MOST_SUBSETS).contains(&subsets);
        check_parameter("the number of subsets", subsets, "between 1 and 100000", few)?;
        check_parameter("the size of a subset", size, "at least 2", size >= 2)?;
        self.kernel.validate()
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let title = self.title();
        let reference = FeatureSet::reference_for(reference, title)?;
        let (Spread { mean, std }, uncertainty) = kernel_distance_with_error(
            generated.features_for(title, Side::Generated)?,
            reference.features_for(title, Side::Reference)?,
            self,
        )?;
        Ok(vec![
            Score::new(self.name(), title, mean, false).with_std(std).with_uncertainty(uncertainty),
        ])
    }
}

#[cfg(test)]
mod tests;
