//! Precision, recall, density and coverage.
//!
//! Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models",
//! 2019, <https://arxiv.org/abs/1904.06991>, and Naeem et al., "Reliable Fidelity and Diversity
//! Metrics for Generative Models", 2020, <https://arxiv.org/abs/2002.09797>.
//!
//! All are counts of pairs within a radius, and the counts are exact: products of bytes, where the
//! processor has them, or of float32 decide the pairs that their error bound allows to decide, and
//! the few others are computed in float64.

mod neighbours;
mod realism;
mod rows;
mod screen;

pub use realism::realism;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use ganscope_stats::{Error, FeatureSet, Features, Metric, Needs, Result, Score};
use rayon::prelude::*;

use crate::neighbours::squared_radii;
use crate::rows::{Frame, Packed, Rows, Tile, round_up};

/// Whether a ball holds the points at exactly its radius.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// Distances equal to the radius are inside, `<=`.
    Inside,
    /// They are outside, `<`.
    Outside,
}

/// How much of each set lies in the manifold of the other, where a manifold is the union of the
/// balls around its points that reach to their `k`-th nearest neighbour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Manifolds {
    /// Share of generated images in a reference ball.
    pub precision: f64,
    /// Share of reference images in a generated ball.
    pub recall: f64,
    /// Reference balls that hold a generated image, by `k`, on average.
    pub density: f64,
    /// Share of reference balls that hold a generated image.
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
/// [`Error::TooFewSamples`] unless both sets hold more than `nearest_k` images,
/// [`Error::Parameter`] when that is zero, [`Error::Dimension`] for sets of different width,
/// [`Error::NotFinite`] for features that are not.
pub fn manifolds(
    generated: &Features,
    reference: &Features,
    nearest_k: usize,
    boundary: Boundary,
) -> Result<Manifolds> {
    rows::check(generated, reference)?;
    check_neighbours(nearest_k, generated, "the k-th nearest neighbour within the generated set")?;
    check_neighbours(nearest_k, reference, "the k-th nearest neighbour within the reference set")?;
    let frame = Frame::around(&[generated, reference]);
    let (generated, reference) = (Rows::new(generated, &frame), Rows::new(reference, &frame));
    let generated_radii = squared_radii(&Packed::new(&generated), nearest_k);
    let packed = Packed::new(&reference);
    let reference_radii = squared_radii(&packed, nearest_k);
    let counts = Counts::new(generated.len(), reference.len());
    counts.count((&generated, &generated_radii), (&packed, &reference_radii), boundary);
    let n = generated.len() as f64;
    Ok(Manifolds {
        precision: share(&counts.precise),
        recall: share(&counts.recalled),
        density: counts.balls.into_inner() as f64 / (nearest_k as f64 * n),
        coverage: share(&counts.covered),
    })
}

/// What was found about each image; threads only ever add to it.
struct Counts {
    /// Generated images in a reference ball.
    precise: Vec<AtomicBool>,
    /// Reference images in a generated ball.
    recalled: Vec<AtomicBool>,
    /// Reference images whose ball holds a generated image.
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

    fn count(
        &self,
        (generated, generated_radii): (&Rows<'_>, &[f64]),
        (packed, reference_radii): (&Packed<'_>, &[f64]),
        boundary: Boundary,
    ) {
        let reach = |radii: &[f64]| radii.iter().map(|&r| round_up(r)).collect::<Vec<f32>>();
        let (generated_reach, reference_reach) = (reach(generated_radii), reach(reference_radii));
        let reference = packed.rows;
        let columns = generated.tiles();
        let pairs: Vec<_> = (0..packed.tiles.len())
            .flat_map(|tile| columns.iter().map(move |c| (tile, c.clone())))
            .collect();
        pairs.into_par_iter().for_each_init(Tile::default, |buffers, (tile, c)| {
            let reach = &reference_reach[packed.tiles[tile].range.clone()];
            let generated_reach = &generated_reach[c.clone()];
            let near = buffers.near((packed, tile, reach), (generated, c, generated_reach));
            for n in near {
                let mut exact = None;
                let mut within = |radius: f64| {
                    if f64::from(n.high) < radius {
                        return true;
                    }
                    if f64::from(n.low) > radius {
                        return false;
                    }
                    let exact =
                        *exact.get_or_insert_with(|| reference.exact(n.row, generated, n.column));
                    match boundary {
                        Boundary::Inside => exact <= radius,
                        Boundary::Outside => exact < radius,
                    }
                };
                if within(reference_radii[n.row]) {
                    self.precise[n.column].store(true, Relaxed);
                    self.covered[n.row].store(true, Relaxed);
                    self.balls.fetch_add(1, Relaxed);
                }
                if !self.recalled[n.row].load(Relaxed) && within(generated_radii[n.column]) {
                    self.recalled[n.row].store(true, Relaxed);
                }
            }
        });
    }
}

fn share(flags: &[AtomicBool]) -> f64 {
    flags.iter().filter(|flag| flag.load(Relaxed)).count() as f64 / flags.len() as f64
}

fn check_neighbours(k: usize, features: &Features, what: &'static str) -> Result<()> {
    if k == 0 {
        let (name, expected) = ("the number of nearest neighbours", "at least 1");
        return Err(Error::Parameter { name, expected, got: k.to_string() });
    }
    if features.len() <= k {
        let needed = k.saturating_add(1);
        return Err(Error::TooFewSamples { what, needed, got: features.len() });
    }
    Ok(())
}

/// Precision, recall, density and coverage, as their paper defines them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prdc {
    /// Neighbour whose distance is the radius of a ball.
    pub nearest_k: usize,
}

impl Prdc {
    /// The settings of published results.
    pub const PAPER: Self = Self { nearest_k: 5 };
}

impl Metric for Prdc {
    fn name(&self) -> &'static str {
        "prdc"
    }

    fn needs(&self) -> Needs {
        Needs::FEATURES
    }

    fn least_images(&self) -> usize {
        self.nearest_k + 1
    }

    fn score(&self, generated: &FeatureSet, reference: Option<&FeatureSet>) -> Result<Vec<Score>> {
        let (generated, reference) = features_of(self.name(), generated, reference)?;
        let found = manifolds(generated, reference, self.nearest_k, Boundary::Outside)?;
        Ok([
            ("precision", found.precision),
            ("recall", found.recall),
            ("density", found.density),
            ("coverage", found.coverage),
        ]
        .map(score)
        .into())
    }
}

/// Precision, recall and their harmonic mean, as Kynkäänniemi et al. and torch-fidelity take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrecisionRecall {
    /// Neighbour whose distance is the radius of a ball.
    pub nearest_k: usize,
}

impl PrecisionRecall {
    /// The settings of published results.
    pub const PAPER: Self = Self { nearest_k: 3 };
}

impl Metric for PrecisionRecall {
    fn name(&self) -> &'static str {
        "prc"
    }

    fn needs(&self) -> Needs {
        Needs::FEATURES
    }

    fn least_images(&self) -> usize {
        self.nearest_k + 1
    }

    fn score(&self, generated: &FeatureSet, reference: Option<&FeatureSet>) -> Result<Vec<Score>> {
        let (generated, reference) = features_of(self.name(), generated, reference)?;
        let found = manifolds(generated, reference, self.nearest_k, Boundary::Inside)?;
        Ok([("precision", found.precision), ("recall", found.recall), ("f_score", found.f_score())]
            .map(score)
            .into())
    }
}

fn features_of<'a>(
    metric: &'static str,
    generated: &'a FeatureSet,
    reference: Option<&'a FeatureSet>,
) -> Result<(&'a Features, &'a Features)> {
    let reference = FeatureSet::reference_for(reference, metric)?;
    let reference = reference.features_for(metric, "reference")?;
    Ok((generated.features_for(metric, "generated")?, reference))
}

fn score((name, value): (&'static str, f64)) -> Score {
    Score { name, value, std: None, higher_is_better: true }
}

#[cfg(test)]
mod tests;
