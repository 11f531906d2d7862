//! Precision, recall, density and coverage.
//!
//! Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models",
//! 2019, <https://arxiv.org/abs/1904.06991>, and Naeem et al., "Reliable Fidelity and Diversity
//! Metrics for Generative Models", 2020, <https://arxiv.org/abs/2002.09797>. Agrees with `prdc.py` of
//! generative-evaluation-prdc and with `metric_prc.py` of torch-fidelity.
//!
//! All are counts of pairs within a radius, and the counts are exact.

mod clipped;
mod probabilistic;
mod rarity;
mod realism;
mod uncertainty;

pub use clipped::{Calibration, Clipped, ClippedManifolds, clipped_manifolds};
pub use ganscope_neighbors::Boundary;
pub use probabilistic::{Probabilistic, ProbabilisticManifolds, probabilistic_manifolds};
pub use rarity::{Rarity, rarity};
pub use realism::realism;
pub use uncertainty::Uncertainties;

use ganscope_neighbors::{Frame, Packed, Reach, Rows, check, for_each_pair, nearest};
use ganscope_stats::{
    FeatureSet, Features, LeastImages, Metric, Needs, Parameter, Result, Score, Side,
    check_parameter,
};
use serde::{Deserialize, Serialize};

use crate::uncertainty::Counts;

/// The radius of a ball in messages.
const MANIFOLD: &str = "the k-th nearest neighbor";

/// How much of each set lies in the manifold of the other, where a manifold is the union of the
/// balls around its points that reach to their `k`-th nearest neighbor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Manifolds {
    /// Share of generated images in a reference ball.
    pub precision: f64,
    /// Share of reference images in a generated ball.
    pub recall: f64,
    /// Mean number of reference balls around a generated image, divided by `k`.
    pub density: f64,
    /// Share of reference balls that contain a generated image.
    pub coverage: f64,
}

impl Manifolds {
    /// Harmonic mean of precision and recall; zero when both are.
    pub fn f_score(&self) -> f64 {
        // The denominator of torch-fidelity.
        2.0 * self.precision * self.recall / (self.precision + self.recall).max(1e-5)
    }
}

/// Precision, recall, density and coverage of a generated set.
///
/// The radius of a ball is the distance to the `nearest_k`-th other point of its set. Memory beside
/// the features is less than two copies of one set and does not grow with the number of pairs.
///
/// # Errors
/// [`TooFewImages`](ganscope_stats::Error::TooFewImages) unless both sets have more than `nearest_k`
/// images, [`Parameter`](ganscope_stats::Error::Parameter) if that is zero,
/// [`Dimension`](ganscope_stats::Error::Dimension) for sets of different width,
/// [`NotFinite`](ganscope_stats::Error::NotFinite) for features that are not finite.
pub fn manifolds(
    generated: &Features,
    reference: &Features,
    nearest_k: usize,
    boundary: Boundary,
) -> Result<Manifolds> {
    manifolds_with_errors(generated, reference, nearest_k, boundary).map(|(found, _)| found)
}

/// [`manifolds`] with the uncertainty of each number over other draws of as many generated images,
/// the reference set as given.
///
/// # Errors
/// As [`manifolds`].
pub fn manifolds_with_errors(
    generated: &Features,
    reference: &Features,
    nearest_k: usize,
    boundary: Boundary,
) -> Result<(Manifolds, Uncertainties)> {
    check(generated, reference)?;
    check_k(nearest_k)?;
    for (set, side) in [(generated, Side::Generated), (reference, Side::Reference)] {
        least_images(nearest_k).check(MANIFOLD, side, set.len())?;
    }
    let frame = Frame::around(&[generated, reference]);
    let (generated, reference) = (Rows::new(generated, &frame), Rows::new(reference, &frame));
    // One neighbor more, where there is one: the ball without one of its neighbors reaches to it.
    let deeper = (nearest_k + 1).min(generated.len() - 1);
    let neighbors = nearest(&Packed::new(&generated), deeper);
    let packed = Packed::new(&reference);
    let reference_radii: Vec<f64> =
        nearest(&packed, nearest_k).iter().map(|list| list[nearest_k - 1].squared).collect();
    let reach: Vec<f64> = neighbors.iter().map(|list| list[deeper - 1].squared).collect();
    let counts = Counts::new(generated.len(), reference.len());
    let both = Reach { rows: &reference_radii, columns: &reach };
    for_each_pair(&packed, &generated, both, |pair| {
        if pair.within(reference_radii[pair.row], boundary) {
            counts.in_reference_ball(pair.row, pair.column);
        }
        if pair.within(neighbors[pair.column][nearest_k - 1].squared, boundary) {
            counts.in_generated_ball(pair.row, pair.column);
        } else if pair.within(reach[pair.column], boundary) {
            counts.near_generated_ball(pair.row, pair.column);
        }
    });
    let found = counts.manifolds(nearest_k);
    let errors = counts.errors(found, &neighbors, nearest_k)?;
    Ok((found, errors))
}

/// The images that a set needs for the `nearest_k`-th neighbor within it.
const fn least_images(nearest_k: usize) -> LeastImages {
    let with_options = nearest_k.saturating_add(1);
    LeastImages { always: 2, with_options, parameter: Some(Parameter::NearestK) }
}

fn check_k(nearest_k: usize) -> Result<()> {
    let name = "the number of nearest neighbors";
    check_parameter(name, nearest_k, "at least 1", nearest_k >= 1)
}

/// Precision, recall, density and coverage, as Naeem et al. define them; the default is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prdc {
    /// Neighbor whose distance is the radius of a ball.
    pub nearest_k: usize,
}

impl Prdc {
    /// The settings of published results.
    pub const PAPER: Self = Self { nearest_k: 5 };
}

impl Default for Prdc {
    fn default() -> Self {
        Self::PAPER
    }
}

impl Metric for Prdc {
    fn name(&self) -> &'static str {
        "prdc"
    }

    fn title(&self) -> &'static str {
        "PRDC"
    }

    fn needs(&self, _side: Side) -> Needs {
        Needs::FEATURES
    }

    fn least_images(&self, _side: Side) -> LeastImages {
        least_images(self.nearest_k)
    }

    fn validate(&self) -> Result<()> {
        check_k(self.nearest_k)
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let sets = features_of(self.title(), generated, reference)?;
        let (k, outside) = (self.nearest_k, Boundary::Outside);
        let (found, errors) = manifolds_with_errors(sets.generated, sets.reference, k, outside)?;
        let score = |name, value, known| score(name, name, k, value).with_uncertainty(Some(known));
        Ok(vec![
            score("precision", found.precision, errors.precision),
            score("recall", found.recall, errors.recall),
            score("density", found.density, errors.density),
            score("coverage", found.coverage, errors.coverage),
        ])
    }
}

/// Precision, recall and their harmonic mean, as Kynkäänniemi et al. and torch-fidelity define them:
/// points at exactly the radius of a ball are inside. The default is that of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrecisionRecall {
    /// Neighbor whose distance is the radius of a ball.
    pub nearest_k: usize,
}

impl PrecisionRecall {
    /// The settings of published results.
    pub const PAPER: Self = Self { nearest_k: 3 };
}

impl Default for PrecisionRecall {
    fn default() -> Self {
        Self::PAPER
    }
}

impl Metric for PrecisionRecall {
    fn name(&self) -> &'static str {
        "prc"
    }

    fn title(&self) -> &'static str {
        "PRC"
    }

    fn needs(&self, _side: Side) -> Needs {
        Needs::FEATURES
    }

    fn least_images(&self, _side: Side) -> LeastImages {
        least_images(self.nearest_k)
    }

    fn validate(&self) -> Result<()> {
        check_k(self.nearest_k)
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let sets = features_of(self.title(), generated, reference)?;
        let (k, inside) = (self.nearest_k, Boundary::Inside);
        let (found, errors) = manifolds_with_errors(sets.generated, sets.reference, k, inside)?;
        let score =
            |name, title, value, known| score(name, title, k, value).with_uncertainty(Some(known));
        Ok(vec![
            score("prc_precision", "PRC precision", found.precision, errors.precision),
            score("prc_recall", "PRC recall", found.recall, errors.recall),
            score("prc_f_score", "PRC F-score", found.f_score(), errors.f_score),
        ])
    }
}

/// The rows of both sets.
struct Sets<'a> {
    generated: &'a Features,
    reference: &'a Features,
}

fn features_of<'a>(
    metric: &'static str,
    generated: &'a FeatureSet,
    reference: Option<&'a FeatureSet>,
) -> Result<Sets<'a>> {
    let reference = FeatureSet::reference_for(reference, metric)?;
    Ok(Sets {
        generated: generated.features_for(metric, Side::Generated)?,
        reference: reference.features_for(metric, Side::Reference)?,
    })
}

fn score(name: &'static str, title: &str, nearest_k: usize, value: f64) -> Score {
    Score::new(name, format!("{title} (k={nearest_k})"), value, true)
}

#[cfg(test)]
mod tests;
