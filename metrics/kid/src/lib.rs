//! Kernel Inception Distance, and its relative CMMD.
//!
//! Bińkowski et al., "Demystifying MMD GANs", 2018, <https://arxiv.org/abs/1801.01401>, and
//! Jayasumana et al., "Rethinking FID: Towards a Better Evaluation Metric for Image Generation",
//! 2024, <https://arxiv.org/abs/2401.09603>.

mod cmmd;
mod kernel;

pub use cmmd::{CMMD_SIGMA, Cmmd, cmmd};
pub use kernel::Kernel;

use ganscope_stats::random::RandomState;
use ganscope_stats::{Error, FeatureSet, Features, Metric, Needs, Result, Score, Spread};
use rayon::prelude::*;

use crate::kernel::Pool;

/// Settings of [`kernel_distance`].
#[derive(Debug, Clone, Copy, PartialEq)]
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
/// [`Error::TooFewSamples`] for sets smaller than a subset, [`Error::Parameter`] for subsets of
/// fewer than two images or none at all, [`Error::Dimension`] for sets of different width.
pub fn kernel_distance(
    generated: &Features,
    reference: &Features,
    options: &Kid,
) -> Result<Spread> {
    let Kid { subsets, subset_size: m, seed, kernel } = *options;
    let pool = Pool::new(generated, reference, kernel)?;
    at_least("the number of subsets", subsets, "at least 1", 1)?;
    at_least("the size of a subset", m, "at least 2", 2)?;
    for (set, what) in
        [(generated, "a subset of the generated set"), (reference, "a subset of the reference set")]
    {
        if set.len() < m {
            return Err(Error::TooFewSamples { what, needed: m, got: set.len() });
        }
    }
    let mut random = RandomState::new(seed);
    let draws = (0..subsets)
        .map(|_| {
            let x = random.choice(generated.len(), m)?;
            let y = random.choice(reference.len(), m)?;
            Ok((x, y.into_iter().map(|i| i + generated.len()).collect()))
        })
        .collect::<Result<Vec<(Vec<usize>, Vec<usize>)>>>()?;
    let table = pool.table_pays(subsets * (2 * m) * (2 * m)).then(|| pool.table());
    let distances: Vec<f64> = draws
        .par_iter()
        .map(|(x, y)| match &table {
            Some(table) => unbiased(m, m, table.among(x), table.among(y), table.between(x, y)),
            None => unbiased(m, m, pool.among(x), pool.among(y), pool.between(x, y)),
        })
        .collect();
    Spread::of(&distances)
}

/// Unbiased squared maximum mean discrepancy of all images of both sets; no draw takes part.
///
/// # Errors
/// [`Error::TooFewSamples`] for fewer than two images, [`Error::Dimension`] for sets of different
/// width.
pub fn full_kernel_distance(
    generated: &Features,
    reference: &Features,
    kernel: Kernel,
) -> Result<f64> {
    let pool = Pool::new(generated, reference, kernel)?;
    let (n, m) = (generated.len(), reference.len());
    if n.min(m) < 2 {
        let what = "an unbiased kernel distance";
        return Err(Error::TooFewSamples { what, needed: 2, got: n.min(m) });
    }
    let (x, y) = (pool.generated(), pool.reference());
    Ok(unbiased(n, m, pool.among(&x), pool.among(&y), pool.between(&x, &y)))
}

/// The estimate from sums of the kernel over different pairs within `n` and `m` images, and over
/// pairs between them.
fn unbiased(n: usize, m: usize, within_x: f64, within_y: f64, between: f64) -> f64 {
    let (n, m) = (n as f64, m as f64);
    within_x / (n * (n - 1.0)) + within_y / (m * (m - 1.0)) - 2.0 * between / (n * m)
}

fn at_least(name: &'static str, value: usize, expected: &'static str, least: usize) -> Result<()> {
    if value < least {
        return Err(Error::Parameter { name, expected, got: value.to_string() });
    }
    Ok(())
}

impl Metric for Kid {
    fn name(&self) -> &'static str {
        "kid"
    }

    fn needs(&self) -> Needs {
        Needs::FEATURES
    }

    fn least_images(&self) -> usize {
        self.subset_size
    }

    fn score(&self, generated: &FeatureSet, reference: Option<&FeatureSet>) -> Result<Vec<Score>> {
        let name = self.name();
        let reference = FeatureSet::reference_for(reference, name)?;
        let spread = kernel_distance(
            generated.features_for(name, "generated")?,
            reference.features_for(name, "reference")?,
            self,
        )?;
        Ok(vec![Score { name, value: spread.mean, std: Some(spread.std), higher_is_better: false }])
    }
}

#[cfg(test)]
mod tests;
