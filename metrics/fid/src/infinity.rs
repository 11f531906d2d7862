//! The distance that infinitely many generated images would have.
//!
//! Chong and Forsyth, "Effectively Unbiased FID and Inception Score and where to find them", 2020,
//! <https://arxiv.org/abs/1911.07023>.

use ganscope_stats::random::RandomState;
use ganscope_stats::{Error, FeatureSet, FeatureStats, Features, Metric, Needs, Result, Score};

use crate::frechet_distance;

/// Settings of [`frechet_distance_at_infinity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FidInfinity {
    /// Numbers of images at which the distance is taken, evenly spaced.
    pub points: usize,
    /// The smallest of them; the largest is the number of all images.
    pub fewest: usize,
    /// Seed of the shuffles.
    pub seed: u32,
}

impl FidInfinity {
    /// The settings of published results: 15 points from 5000 images on.
    pub const PAPER: Self = Self { points: 15, fewest: 5000, seed: 0 };
}

/// Frechet distance, extrapolated to infinitely many generated images.
///
/// The expected distance of `n` images is a linear function of `1/n` to first order. It is taken of
/// random subsets of several sizes, and the least-squares line is read at `1/n = 0`.
///
/// # Errors
/// [`Error::TooFewSamples`] unless there are more than `fewest` generated images,
/// [`Error::Parameter`] for fewer than two points or fewer than two images at a point, and those of
/// [`frechet_distance`].
pub fn frechet_distance_at_infinity(
    generated: &Features,
    reference: &FeatureStats,
    options: &FidInfinity,
) -> Result<f64> {
    let FidInfinity { points, fewest, seed } = *options;
    for (name, value) in [("the number of points", points), ("the fewest images", fewest)] {
        if value < 2 {
            let (expected, got) = ("at least 2", value.to_string());
            return Err(Error::Parameter { name, expected, got });
        }
    }
    let all = generated.len();
    if all <= fewest {
        let what = "a distance at infinity";
        return Err(Error::TooFewSamples { what, needed: fewest.saturating_add(1), got: all });
    }
    let mut random = RandomState::new(seed);
    let mut order: Vec<usize> = (0..all).collect();
    let line = (0..points)
        .map(|point| {
            let images = fewest + (all - fewest) * point / (points - 1);
            random.shuffle(&mut order);
            let stats = FeatureStats::from_features(&generated.select(&order[..images]));
            Ok((1.0 / images as f64, frechet_distance(&stats, reference)?))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(value_at_zero(&line))
}

/// Value at `x = 0` of the line with the least squared error in `y`.
fn value_at_zero(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
    let (xx, xy) = points
        .iter()
        .fold((0.0, 0.0), |(xx, xy), p| (xx + (p.0 - x) * (p.0 - x), xy + (p.0 - x) * (p.1 - y)));
    y - x * xy / xx
}

impl Metric for FidInfinity {
    fn name(&self) -> &'static str {
        "fid-infinity"
    }

    fn needs(&self) -> Needs {
        Needs::STATS | Needs::FEATURES
    }

    fn score(&self, generated: &FeatureSet, reference: Option<&FeatureSet>) -> Result<Vec<Score>> {
        let name = self.name();
        let reference = FeatureSet::reference_for(reference, name)?.stats_for(name, "reference")?;
        let generated = generated.features_for(name, "generated")?;
        let value = frechet_distance_at_infinity(generated, reference, self)?;
        Ok(vec![Score { name, value, std: None, higher_is_better: false }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_continued_to_zero() {
        // 3 + 2 x, and one value off by a symmetric pair
        let line = [(1.0, 5.0), (2.0, 7.0), (4.0, 11.0)];
        assert!((value_at_zero(&line) - 3.0).abs() < 1e-12);
        // least squares through (0, 0), (1, 2), (2, 1): slope 1/2, intercept 1/2
        assert!((value_at_zero(&[(0.0, 0.0), (1.0, 2.0), (2.0, 1.0)]) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn the_bias_of_few_images_is_taken_off() {
        // Normal values of one distribution: the distance is 0, that of n images about dim^2 / 4n.
        let dim = 24;
        let mut random = RandomState::new(1);
        let mut draw = |n: usize| {
            let values = random.standard_normals(n * dim);
            Features::from_vec(values.into_iter().map(|x| x as f32).collect(), dim).unwrap()
        };
        let (generated, reference) = (draw(1500), FeatureStats::from_features(&draw(200_000)));
        let options = FidInfinity { points: 15, fewest: 150, seed: 0 };
        let biased = frechet_distance(&FeatureStats::from_features(&generated), &reference);
        let biased = biased.unwrap();
        let unbiased = frechet_distance_at_infinity(&generated, &reference, &options).unwrap();
        assert!(biased > 0.08 && unbiased.abs() < biased / 3.0, "{biased} {unbiased}");
    }

    #[test]
    fn too_few_images_and_points_are_refused() {
        let features = Features::from_vec(vec![0.5; 40], 2).unwrap();
        let stats = FeatureStats::from_features(&features);
        let fails = |points, fewest| {
            let options = FidInfinity { points, fewest, seed: 0 };
            frechet_distance_at_infinity(&features, &stats, &options).is_err()
        };
        assert!(fails(15, 20) && fails(1, 5) && fails(15, 1) && fails(15, usize::MAX));
        assert!(!fails(15, 19));
    }
}
