//! The distance that infinitely many generated images would have.
//!
//! Chong and Forsyth, "Effectively Unbiased FID and Inception Score and where to find them", 2020,
//! <https://arxiv.org/abs/1911.07023>.

use ganscope_stats::random::RandomState;
use ganscope_stats::{
    FeatureSet, FeatureStats, Features, LeastImages, Metric, Needs, Parameter, Result, Score, Side,
    Uncertainty, check_parameter,
};
use serde::{Deserialize, Serialize};

use crate::frechet_distance;

/// Settings of [`frechet_distance_at_infinity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FidInfinity {
    /// Numbers of images at which the distance is taken, evenly spaced.
    pub points: usize,
    /// The smallest of them; the largest is the number of all images. `None` is a tenth of those, at
    /// most 5000 and at least 2.
    pub fewest: Option<usize>,
    /// Seed of the shuffles.
    pub seed: u32,
}

impl FidInfinity {
    /// The settings of published results, which have 50,000 images: 15 points from 5000 on.
    pub const PAPER: Self = Self { points: 15, fewest: None, seed: 0 };

    /// The smallest number of images, of `all`.
    fn fewest_of(&self, all: usize) -> usize {
        self.fewest.unwrap_or((all / 10).clamp(2, 5000))
    }
}

impl Default for FidInfinity {
    fn default() -> Self {
        Self::PAPER
    }
}

/// A distance at infinity, and how well the line through the distances of subsets is known there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extrapolation {
    /// The distance at `1/n = 0`.
    pub distance: f64,
    /// Standard error of the intercept of the least-squares line, with an interval of Student's t.
    ///
    /// It takes the points as independent. They are subsets of one set, so it is the scatter of the
    /// points about the line, and not the error over other draws of the images. `None` for two
    /// points, through which every line passes.
    pub of_fit: Option<Uncertainty>,
}

/// Fréchet distance, extrapolated to infinitely many generated images.
///
/// The expected distance of `n` images is a linear function of `1/n` to first order. It is taken of
/// random subsets of several sizes, and the least-squares line is read at `1/n = 0`. One array is
/// shuffled again and again, as in the program of the paper.
///
/// # Errors
/// [`TooFewImages`](ganscope_stats::Error::TooFewImages) unless there are more than `fewest`
/// generated images, [`Parameter`](ganscope_stats::Error::Parameter) for fewer than two points or
/// fewer than two images at a point, and those of [`frechet_distance`].
pub fn frechet_distance_at_infinity(
    generated: &Features,
    reference: &FeatureStats,
    options: &FidInfinity,
) -> Result<Extrapolation> {
    options.validate()?;
    let all = generated.len();
    options.least_images(Side::Generated).check(options.title(), Side::Generated, all)?;
    let FidInfinity { points, seed, .. } = *options;
    let fewest = options.fewest_of(all);
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
    value_at_zero(&line)
}

/// The line with the least squared error in `y` at `x = 0`.
fn value_at_zero(points: &[(f64, f64)]) -> Result<Extrapolation> {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
    let (xx, xy) = points
        .iter()
        .fold((0.0, 0.0), |(xx, xy), p| (xx + (p.0 - x) * (p.0 - x), xy + (p.0 - x) * (p.1 - y)));
    let slope = xy / xx;
    let distance = y - x * slope;
    if points.len() < 3 {
        return Ok(Extrapolation { distance, of_fit: None });
    }
    let residual = |p: &(f64, f64)| (p.1 - distance - slope * p.0).powi(2);
    let variance = points.iter().map(residual).sum::<f64>() / (n - 2.0);
    let error = (variance * (1.0 / n + x * x / xx)).sqrt();
    let of_fit = Uncertainty::student(distance, error, n - 2.0)?;
    Ok(Extrapolation { distance, of_fit: Some(of_fit) })
}

impl Metric for FidInfinity {
    fn name(&self) -> &'static str {
        "fd-infinity"
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
                with_options: self.fewest.map_or(3, |fewest| fewest.saturating_add(1)),
                parameter: Some(Parameter::FidInfinityFewest),
            },
            Side::Reference => LeastImages::always(2),
        }
    }

    fn validate(&self) -> Result<()> {
        let expected = "at least 2";
        check_parameter("the number of points", self.points, expected, self.points >= 2)?;
        let fewest = self.fewest.unwrap_or(2);
        check_parameter("the smallest subset", fewest, expected, fewest >= 2)
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let title = self.title();
        let reference = FeatureSet::reference_for(reference, title)?;
        let Extrapolation { distance, of_fit } = frechet_distance_at_infinity(
            generated.features_for(title, Side::Generated)?,
            reference.stats_for(title, Side::Reference)?,
            self,
        )?;
        Ok(vec![Score::new("fd_infinity", title, distance, false).with_uncertainty(of_fit)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_continued_to_zero() {
        // 3 + 2 x, and one value off by a symmetric pair
        let line = [(1.0, 5.0), (2.0, 7.0), (4.0, 11.0)];
        assert!((value_at_zero(&line).unwrap().distance - 3.0).abs() < 1e-12);
        // least squares through (0, 0), (1, 2), (2, 1): slope 1/2, intercept 1/2, residuals
        // -1/2, 1, -1/2 with one degree of freedom, and an error of sqrt(3/2 (1/3 + 1/2))
        let fit = value_at_zero(&[(0.0, 0.0), (1.0, 2.0), (2.0, 1.0)]).unwrap();
        assert!((fit.distance - 0.5).abs() < 1e-12);
        assert!((fit.of_fit.unwrap().standard_error - 1.25f64.sqrt()).abs() < 1e-12);
        assert_eq!(value_at_zero(&line[..2]).unwrap().of_fit, None);
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
        let options = FidInfinity { points: 15, fewest: Some(150), seed: 0 };
        let biased = frechet_distance(&FeatureStats::from_features(&generated), &reference);
        let biased = biased.unwrap();
        let unbiased = frechet_distance_at_infinity(&generated, &reference, &options);
        let unbiased = unbiased.unwrap().distance;
        assert!(biased > 0.08 && unbiased.abs() < biased / 3.0, "{biased} {unbiased}");
    }

    #[test]
    fn options_are_read_with_the_published_defaults() {
        let read = |text: &str| serde_json::from_str::<FidInfinity>(text);
        assert_eq!(read("{}").unwrap(), FidInfinity::PAPER);
        let few = read(r#"{"points": 4, "fewest": 50}"#).unwrap();
        assert_eq!(few, FidInfinity { points: 4, fewest: Some(50), seed: 0 });
        assert_eq!(read(&serde_json::to_string(&few).unwrap()).unwrap(), few);
        assert!(read(r#"{"point": 4}"#).is_err());
    }

    #[test]
    fn too_few_images_and_points_are_refused() {
        let features = Features::from_vec(vec![0.5; 40], 2).unwrap();
        let stats = FeatureStats::from_features(&features);
        let fails = |points, fewest| {
            let options = FidInfinity { points, fewest: Some(fewest), seed: 0 };
            frechet_distance_at_infinity(&features, &stats, &options).is_err()
        };
        assert!(fails(15, 20) && fails(1, 5) && fails(15, 1) && fails(15, usize::MAX));
        assert!(!fails(15, 19));
    }
}
