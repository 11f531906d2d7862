//! Fréchet Inception Distance.
//!
//! Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
//! Equilibrium", 2017, <https://arxiv.org/abs/1706.08500>. Agrees with `fid.py` of TTUR and with
//! `metric_fid.py` of torch-fidelity.

mod directions;
mod histogram;
mod infinity;
mod leave_one_out;
mod mifid;
mod uncertainty;

pub use directions::{Direction, Directions, directions, largest_part};
pub use histogram::{Weighted, distance_at_histogram};
pub use infinity::{Extrapolation, FidInfinity, frechet_distance_at_infinity};
pub use leave_one_out::{LeaveOneOut, worst_first};
pub use mifid::{Memorization, Mifid, memorization};
pub use uncertainty::{Estimate, frechet_distance_with_error};

use ganscope_stats::linalg::{factor_psd, nuclear_norm, tr_mul};
use ganscope_stats::{
    Error, FeatureSet, FeatureStats, LeastImages, Metric, Needs, Result, Score, Side,
};
use nalgebra::{DMatrix, DVector};

/// The distance in messages.
const DISTANCE: &str = "the Fréchet distance";

/// Distances this small beside the variances are rounding, of either sign.
const ROUNDING: f64 = 1e-11;

/// Squared Fréchet distance between the Gaussians fitted to two feature sets.
///
/// `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`. With factors `C = F F^T` the trace of the root is
/// the sum of the singular values of `F1^T F2`, which exists for singular covariances too and
/// needs neither complex numbers nor a regularization. It costs a cube of the rank: fewer images
/// than dimensions are scored in a fraction of the time.
///
/// # Errors
/// [`Error::Dimension`] if the sets are not equally wide, [`Error::TooFewImages`] below two
/// images, [`Error::NotPsd`] if a given covariance has a negative eigenvalue.
pub fn frechet_distance(generated: &FeatureStats, reference: &FeatureStats) -> Result<f64> {
    let gaussians = Gaussians::new(generated, reference)?;
    Ok(gaussians.distance(nuclear_norm(&gaussians.product())?))
}

/// The Gaussians of two sets, with factors of their covariances, (dim, rank).
struct Gaussians {
    /// Difference of the means, generated minus reference.
    shift: DVector<f64>,
    generated: DMatrix<f64>,
    reference: DMatrix<f64>,
}

impl Gaussians {
    fn new(generated: &FeatureStats, reference: &FeatureStats) -> Result<Self> {
        check_pair(generated, reference)?;
        let factor = |stats: &FeatureStats| factor_psd(stats.cov()?, stats.max_rank());
        let shift = generated.mean() - reference.mean();
        Ok(Self { shift, generated: factor(generated)?, reference: factor(reference)? })
    }

    /// `F1^T F2`, (rank, rank).
    fn product(&self) -> DMatrix<f64> {
        tr_mul(&self.generated, &self.reference)
    }

    /// The distance, from the nuclear norm of [`product`](Self::product).
    fn distance(&self, overlap: f64) -> f64 {
        let spread = self.generated.norm_squared() + self.reference.norm_squared();
        let distance = self.shift.norm_squared() + spread - 2.0 * overlap;
        if distance.abs() <= ROUNDING * spread { 0.0 } else { distance }
    }
}

/// Checks that two sets are equally wide and have covariances.
fn check_pair(generated: &FeatureStats, reference: &FeatureStats) -> Result<()> {
    check_width("the generated set", reference.dim(), generated.dim())?;
    check_count(generated, DISTANCE, Side::Generated, 2)?;
    check_count(reference, DISTANCE, Side::Reference, 2)
}

fn check_width(what: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got { Ok(()) } else { Err(Error::Dimension { what, expected, got }) }
}

/// Checks that a set has `needed` images, if their number is known.
fn check_count(stats: &FeatureStats, what: &'static str, side: Side, needed: usize) -> Result<()> {
    let Some(count) = stats.count() else { return Ok(()) };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    LeastImages::always(needed).check(what, side, count)
}

/// [`frechet_distance`] of the pooled features: FID, where they are those of Inception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fid;

impl Metric for Fid {
    fn name(&self) -> &'static str {
        "fid"
    }

    fn title(&self) -> &'static str {
        "FID"
    }

    fn needs(&self, _side: Side) -> Needs {
        Needs::STATS
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let title = self.title();
        let reference = FeatureSet::reference_for(reference, title)?;
        let found = frechet_distance_with_error(
            generated.stats_for(title, Side::Generated)?,
            reference.stats_for(title, Side::Reference)?,
        )?;
        Ok(vec![score(self, found)])
    }
}

/// [`frechet_distance`] of the spatial features, which sees the arrangement of a picture.
///
/// Nash et al., "Generating Images with Sparse Representations", 2021,
/// <https://arxiv.org/abs/2103.03841>. As in `evaluator.py` of ADM (guided-diffusion).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sfid;

impl Metric for Sfid {
    fn name(&self) -> &'static str {
        "sfid"
    }

    fn title(&self) -> &'static str {
        "sFID"
    }

    fn needs(&self, _side: Side) -> Needs {
        Needs::SPATIAL
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let title = self.title();
        let reference = FeatureSet::reference_for(reference, title)?;
        let found = frechet_distance_with_error(
            generated.spatial_for(title, Side::Generated)?,
            reference.spatial_for(title, Side::Reference)?,
        )?;
        Ok(vec![score(self, found)])
    }
}

/// The one score of a metric of this crate.
fn score(metric: &dyn Metric, found: Estimate) -> Score {
    let score = Score::new(metric.name(), metric.title(), found.distance, false);
    score.with_uncertainty(found.uncertainty)
}

#[cfg(test)]
mod tests;
