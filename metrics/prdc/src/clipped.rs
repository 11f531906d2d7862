//! Density and coverage that fall in proportion to the share of bad images.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ganscope_neighbors::{
    Boundary, Frame, Packed, Reach, Rows, check, for_each_pair, nearest_of, squared_radii,
};
use ganscope_stats::{
    FeatureSet, Features, LeastImages, Metric, Needs, Result, Score, Side, Uncertainty,
};
use serde::{Deserialize, Serialize};

use crate::realism::squared_median;
use crate::uncertainty::jackknife;
use crate::{MANIFOLD, check_k, features_of, least_images};

/// Clipped Density and Clipped Coverage, with what they are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct ClippedManifolds {
    /// Clipped Density, 0 to 1.
    pub density: f64,
    /// Clipped Density before it is cut at 1.
    pub uncut_density: f64,
    /// Clipped Coverage, 0 to 1.
    pub coverage: f64,
    /// The coverage before calibration.
    pub uncalibrated_coverage: f64,
    /// Uncertainty of the density over other draws of as many generated images.
    pub density_error: Option<Uncertainty>,
    /// Uncertainty of the coverage.
    pub coverage_error: Option<Uncertainty>,
}

/// Density and coverage in which neither a few far reference images nor many near generated ones
/// weigh too much.
///
/// Density: the radius of a reference ball is the distance to the `nearest_k`-th neighbor, at most
/// the median of those. The number of balls around a generated image, divided by `nearest_k` and cut
/// at 1, is averaged, divided by the same number of the reference images in the balls of others, and
/// cut at 1. Coverage: the share of the `nearest_k` nearest generated images within the uncut radius,
/// averaged over the reference images, and turned by a [`Calibration`] into the share of good images
/// that has this coverage.
///
/// Salvy et al., "Enhanced Generative Model Evaluation with Clipped Density and Coverage", 2026,
/// <https://arxiv.org/abs/2507.01761>.
///
/// # Errors
/// Those of [`manifolds`](crate::manifolds).
pub fn clipped_manifolds(
    generated: &Features,
    reference: &Features,
    nearest_k: usize,
) -> Result<ClippedManifolds> {
    check(generated, reference)?;
    check_k(nearest_k)?;
    for (set, side) in [(generated, Side::Generated), (reference, Side::Reference)] {
        least_images(nearest_k).check(MANIFOLD, side, set.len())?;
    }
    let frame = Frame::around(&[generated, reference]);
    let (generated, reference) = (Rows::new(generated, &frame), Rows::new(reference, &frame));
    let packed = Packed::new(&reference);
    let radii = squared_radii(&packed, nearest_k);
    let median = squared_median(&radii);
    let cut: Vec<f64> = radii.iter().map(|radius| radius.min(median)).collect();

    let balls = |rows: &Rows<'_>, same: bool| -> Vec<f64> {
        let counts: Vec<AtomicU32> = (0..rows.len()).map(|_| AtomicU32::new(0)).collect();
        let nowhere = vec![f64::NEG_INFINITY; rows.len()];
        for_each_pair(&packed, rows, Reach { rows: &cut, columns: &nowhere }, |pair| {
            let itself = same && pair.row == pair.column;
            if !itself && pair.within(cut[pair.row], Boundary::Inside) {
                counts[pair.column].fetch_add(1, Relaxed);
            }
        });
        let clipped =
            |count: AtomicU32| (f64::from(count.into_inner()) / nearest_k as f64).min(1.0);
        counts.into_iter().map(clipped).collect()
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (of_generated, best) = (balls(&generated, false), mean(&balls(&reference, true)));
    // In a set of copies each ball is a point that holds the others.
    let unit = if best > 0.0 { best.recip() } else { 0.0 };
    let uncut_density = mean(&of_generated) * unit;
    let density_error = Uncertainty::of_mean(&of_generated)?.scaled(unit);

    let deeper = (nearest_k + 1).min(generated.len());
    let neighbors = nearest_of(&packed, &generated, deeper);
    let share = 1.0 / (nearest_k * reference.len()) as f64;
    let (mut inside, mut without) = (0usize, vec![0.0; generated.len()]);
    for (list, &radius) in neighbors.iter().zip(&radii) {
        let within = |i: usize| list.get(i).is_some_and(|n| n.squared < radius);
        let next = f64::from(u8::from(within(nearest_k)));
        for (i, neighbor) in list.iter().take(nearest_k).enumerate() {
            inside += usize::from(within(i));
            // Without it the next one takes its place.
            without[neighbor.row] += share * (next - f64::from(u8::from(within(i))));
        }
    }
    let uncalibrated = inside as f64 * share;
    let table = Calibration::new(nearest_k, reference.len(), generated.len());
    let error = jackknife(uncalibrated, &without);
    let interval = error.interval.map(|end| table.share(end));
    let [from, to] =
        [-1.0, 1.0].map(|sign| table.share(uncalibrated + sign * error.standard_error));
    Ok(ClippedManifolds {
        density: uncut_density.min(1.0),
        uncut_density,
        coverage: table.share(uncalibrated),
        uncalibrated_coverage: uncalibrated,
        density_error: Some(Uncertainty {
            interval: density_error.interval.map(|end| end.clamp(0.0, 1.0)),
            ..density_error
        }),
        coverage_error: Some(Uncertainty { standard_error: (to - from) / 2.0, interval }),
    })
}

/// The coverage that is expected if some of the generated images are good.
///
/// Of `m` good images among `M`, as many as a beta-binomial variable with parameters `k` and `N - k`
/// lie in the ball of a reference image, one of `N`.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The expected coverage of `0..=M` good images; zero below `k` of them.
    table: Vec<f64>,
}

impl Calibration {
    /// The table for `k` neighbors, `reference` and `generated` images.
    pub fn new(k: usize, reference: usize, generated: usize) -> Self {
        let (alpha, beta) = (k as f64, (reference - k) as f64);
        let mut none = 1.0; // the probability of no good image in a ball
        let expected = |m: usize| {
            if m > 0 {
                let before = m as f64 - 1.0;
                none *= (beta + before) / (alpha + beta + before);
            }
            // 1 - E[max(0, k - j)] / k
            let (mut probability, mut missing) = (none, 0.0);
            for j in 0..k.min(m + 1) {
                if j > 0 {
                    let (j, m) = (j as f64, m as f64);
                    probability *= (m - j + 1.0) / j * (alpha + j - 1.0) / (beta + m - j);
                }
                missing += (k - j) as f64 * probability;
            }
            if m < k { 0.0 } else { (1.0 - missing / k as f64).max(0.0) }
        };
        Self { table: (0..=generated).map(expected).collect() }
    }

    /// The expected coverage of `0..=M` good images.
    pub fn table(&self) -> &[f64] {
        &self.table
    }

    /// The share of good images that has a coverage: the number of entries below it, divided by
    /// `M + 1`.
    pub fn share(&self, coverage: f64) -> f64 {
        self.table.partition_point(|&expected| expected < coverage) as f64 / self.table.len() as f64
    }
}

/// [`clipped_manifolds`] as a metric; the default is that of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clipped {
    /// Neighbor whose distance is the radius of a ball.
    pub nearest_k: usize,
}

impl Clipped {
    /// The settings of published results.
    pub const PAPER: Self = Self { nearest_k: 5 };
}

impl Default for Clipped {
    fn default() -> Self {
        Self::PAPER
    }
}

impl Metric for Clipped {
    fn name(&self) -> &'static str {
        "clipped"
    }

    fn title(&self) -> &'static str {
        "Clipped Density and Coverage"
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
        let found = clipped_manifolds(sets.generated, sets.reference, self.nearest_k)?;
        let score = |name, title, value, known: Option<Uncertainty>| {
            crate::score(name, title, self.nearest_k, value).with_uncertainty(known)
        };
        Ok(vec![
            score("clipped_density", "Clipped Density", found.density, found.density_error),
            score("clipped_coverage", "Clipped Coverage", found.coverage, found.coverage_error),
        ])
    }
}
