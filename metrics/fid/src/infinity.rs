//! The distance that infinitely many generated images would have.
//!
//! Chong and Forsyth, "Effectively Unbiased FID and Inception Score and where to find them", 2020,
//! <https://arxiv.org/abs/1911.07023>.

use ganscope_stats::random::RandomState;
use ganscope_stats::{
    FeatureSet, FeatureStats, Features, LeastImages, Metric, Needs, Parameter, Result, Score, Side,
    check_parameter,
};
use serde::{Deserialize, Serialize};

use crate::{frechet_distance, score};

/// Settings of [`frechet_distance_at_infinity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
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

impl Default for FidInfinity {
    fn default() -> Self {
        Self::PAPER
    }
}

/// Fréchet distance, extrapolated to infinitely many generated images.
///
/// The expected distance of `n` images is a linear function of `1/n` to first order. It is taken of
/// random subsets of several sizes, and the least-squares line is read at `1/n = 0`.
///
/// # Errors
/// [`TooFewImages`](ganscope_stats::Error::TooFewImages) unless there are more than `fewest`
/// generated images, [`Parameter`](ganscope_stats::Error::Parameter) for fewer than two points or
/// fewer than two images at a point, and those of [`frechet_distance`].
pub fn frechet_distance_at_infinity(
    generated: &Features,
    reference: &FeatureStats,
    options: &FidInfinity,
) -> Result<f64> {
    options.validate()?;
    let FidInfinity { points, fewest, seed } = *options;
    let all = generated.len();
    options.least_images(Side::Generated).check(options.title(), Side::Generated, all)?;
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

    fn title(&self) -> &'static str {
        "FID infinity"
    }

    fn needs(&self, side: Side) -> Needs {
        match side {
            Side::Generated => Needs::FEATURES,
            Side::Reference => Needs::STATS,
        }
    }

    fn least_images(&self, side: Side) -> LeastImages {
        match side {
            Side::Generated => LeastImages {
                always: 3,
                with_options: self.fewest.saturating_add(1),
                parameter: Some(Parameter::FidInfinityFewest),
            },
            Side::Reference => LeastImages::always(2),
        }
    }

    fn validate(&self) -> Result<()> {
        let expected = "at least 2";
        check_parameter("the number of points", self.points, expected, self.points >= 2)?;
        check_parameter("the smallest subset", self.fewest, expected, self.fewest >= 2)
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let title = self.title();
        let reference = FeatureSet::reference_for(reference, title)?;
        let value = frechet_distance_at_infinity(
            generated.features_for(title, Side::Generated)?,
            reference.stats_for(title, Side::Reference)?,
            self,
        )?;
        Ok(vec![score(self, value)])
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
    fn options_are_read_with_the_published_defaults() {
        let read = |text: &str| serde_json::from_str::<FidInfinity>(text);
        assert_eq!(read("{}").unwrap(), FidInfinity::PAPER);
        let few = read(r#"{"points": 4, "fewest": 50}"#).unwrap();
        assert_eq!(few, FidInfinity { points: 4, fewest: 50, seed: 0 });
        assert_eq!(read(&serde_json::to_string(&few).unwrap()).unwrap(), few);
        assert!(read(r#"{"point": 4}"#).is_err());
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
