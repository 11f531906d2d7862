//! Frechet Inception Distance.
//!
//! Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
//! Equilibrium", 2017, <https://arxiv.org/abs/1706.08500>.

mod infinity;

pub use infinity::{FidInfinity, frechet_distance_at_infinity};

use ganscope_stats::linalg::{factor_psd, nuclear_norm, tr_mul};
use ganscope_stats::{Error, FeatureSet, FeatureStats, Metric, Needs, Result, Score};

/// Distances this small beside the variances are rounding, of either sign.
const ROUNDING: f64 = 1e-11;

/// Squared Frechet distance between the Gaussians fitted to two feature sets.
///
/// `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`. With factors `C = F F^T` the trace of the root is
/// the sum of the singular values of `F1^T F2`, which exists for singular covariances too and
/// needs neither complex numbers nor a regularisation. It costs a cube of the rank: fewer images
/// than dimensions are scored in a fraction of the time.
///
/// # Errors
/// [`Error::Dimension`] when the sets are not equally wide, [`Error::TooFewSamples`] below two
/// images, [`Error::NotPsd`] when a given covariance is none.
pub fn frechet_distance(generated: &FeatureStats, reference: &FeatureStats) -> Result<f64> {
    if generated.dim() != reference.dim() {
        let (what, expected, got) = ("the generated set", reference.dim(), generated.dim());
        return Err(Error::Dimension { what, expected, got });
    }
    let factor = |stats: &FeatureStats| factor_psd(stats.cov()?, stats.max_rank());
    let (f, g) = (factor(generated)?, factor(reference)?);
    let shift = (generated.mean() - reference.mean()).norm_squared();
    let spread = f.norm_squared() + g.norm_squared();
    let distance = shift + spread - 2.0 * nuclear_norm(&tr_mul(&f, &g))?;
    Ok(if distance.abs() <= ROUNDING * spread { 0.0 } else { distance })
}

/// [`frechet_distance`] of the pooled features: FID, where they are those of Inception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fid;

impl Metric for Fid {
    fn name(&self) -> &'static str {
        "fid"
    }

    fn needs(&self) -> Needs {
        Needs::STATS
    }

    fn score(&self, generated: &FeatureSet, reference: Option<&FeatureSet>) -> Result<Vec<Score>> {
        let name = self.name();
        let reference = FeatureSet::reference_for(reference, name)?.stats_for(name, "reference")?;
        let value = frechet_distance(generated.stats_for(name, "generated")?, reference)?;
        Ok(vec![Score { name, value, std: None, higher_is_better: false }])
    }
}

/// [`frechet_distance`] of the spatial features, which sees the arrangement of a picture.
///
/// Nash et al., "Generating Images with Sparse Representations", 2021,
/// <https://arxiv.org/abs/2103.03841>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sfid;

impl Metric for Sfid {
    fn name(&self) -> &'static str {
        "sfid"
    }

    fn needs(&self) -> Needs {
        Needs::SPATIAL
    }

    fn score(&self, generated: &FeatureSet, reference: Option<&FeatureSet>) -> Result<Vec<Score>> {
        let name = self.name();
        let reference =
            FeatureSet::reference_for(reference, name)?.spatial_for(name, "reference")?;
        let value = frechet_distance(generated.spatial_for(name, "generated")?, reference)?;
        Ok(vec![Score { name, value, std: None, higher_is_better: false }])
    }
}

#[cfg(test)]
mod tests;
