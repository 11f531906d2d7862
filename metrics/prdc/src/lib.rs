//! Precision, recall, density and coverage.
//!
//! Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models",
//! 2019, <https://arxiv.org/abs/1904.06991>, and Naeem et al., "Reliable Fidelity and Diversity
//! Metrics for Generative Models", 2020, <https://arxiv.org/abs/2002.09797>. Agrees with `prdc.py` of
//! generative-evaluation-prdc and with `metric_prc.py` of torch-fidelity.
//!
//! All are counts of pairs within a radius, and the counts are exact.

mod realism;

pub use ganscope_neighbors::Boundary;
pub use realism::realism;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use ganscope_neighbors::{Frame, Packed, Reach, Rows, check, for_each_pair, squared_radii};
use ganscope_stats::{
    FeatureSet, Features, LeastImages, Metric, Needs, Parameter, Result, Score, Side,
    check_parameter,
};
use serde::{Deserialize, Serialize};

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
    check(generated, reference)?;
    check_k(nearest_k)?;
    for (set, side) in [(generated, Side::Generated), (reference, Side::Reference)] {
        least_images(nearest_k).check(MANIFOLD, side, set.len())?;
    }
    let frame = Frame::around(&[generated, reference]);
    let (generated, reference) = (Rows::new(generated, &frame), Rows::new(reference, &frame));
    let generated_radii = squared_radii(&Packed::new(&generated), nearest_k);
    let packed = Packed::new(&reference);
    let reference_radii = squared_radii(&packed, nearest_k);
    let counts = Counts::new(generated.len(), reference.len());
    let reach = Reach { rows: &reference_radii, columns: &generated_radii };
    for_each_pair(&packed, &generated, reach, |pair| {
        if pair.within(reference_radii[pair.row], boundary) {
            counts.precise[pair.column].store(true, Relaxed);
            counts.covered[pair.row].store(true, Relaxed);
            counts.balls.fetch_add(1, Relaxed);
        }
        let recalled = &counts.recalled[pair.row];
        if !recalled.load(Relaxed) && pair.within(generated_radii[pair.column], boundary) {
            recalled.store(true, Relaxed);
        }
    });
    let n = generated.len() as f64;
    Ok(Manifolds {
        precision: share(&counts.precise),
        recall: share(&counts.recalled),
        density: counts.balls.into_inner() as f64 / (nearest_k as f64 * n),
        coverage: share(&counts.covered),
    })
}

/// Findings about each image; threads only ever add to them.
struct Counts {
    /// Generated images in a reference ball.
    precise: Vec<AtomicBool>,
    /// Reference images in a generated ball.
    recalled: Vec<AtomicBool>,
    /// Reference images whose ball contains a generated image.
    covered: Vec<AtomicBool>,
    /// Pairs of a reference ball and a generated image in it.
    balls: AtomicU64,
}

impl Counts {
    fn new(generated: usize, reference: usize) -> Self {
        let none = |n| (0..n).map(|_| AtomicBool::new(false)).collect();
        Self {
            precise: none(generated),
            recalled: none(reference),
            covered: none(reference),
            balls: AtomicU64::new(0),
        }
    }
}

fn share(flags: &[AtomicBool]) -> f64 {
    flags.iter().filter(|flag| flag.load(Relaxed)).count() as f64 / flags.len() as f64
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
        let found = manifolds(sets.generated, sets.reference, self.nearest_k, Boundary::Outside)?;
        Ok(vec![
            score("precision", "precision", self.nearest_k, found.precision),
            score("recall", "recall", self.nearest_k, found.recall),
            score("density", "density", self.nearest_k, found.density),
            score("coverage", "coverage", self.nearest_k, found.coverage),
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
        let found = manifolds(sets.generated, sets.reference, self.nearest_k, Boundary::Inside)?;
        Ok(vec![
            score("prc_precision", "PRC precision", self.nearest_k, found.precision),
            score("prc_recall", "PRC recall", self.nearest_k, found.recall),
            score("prc_f_score", "PRC F-score", self.nearest_k, found.f_score()),
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
