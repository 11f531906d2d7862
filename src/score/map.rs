//! A map of two sets: where their images lie in the features, what each adds to the distance, which
//! reference images are nearest, and the distance without any of them.

use ganscope_fid::{LeaveOneOut, frechet_distance};
use ganscope_images::{Image, ImageSet};
use ganscope_prdc::realism;
use ganscope_stats::linalg::symmetric_eigen;
use ganscope_stats::{FeatureStats, Features, Needs, Score, Side};
use serde::{Deserialize, Serialize};

use super::chosen::{self, Chosen};
use super::{Task, VERSION, Warned, network, warnings};
use crate::checks::positive;
use crate::error::{Context as _, Error, Kind, Result};
use crate::features::{FeatureRequest, Gathered, Gatherer};
use crate::source::Source;
use crate::watch::{Warning, Watch};

/// Which sets are laid out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MapRequest {
    /// The generated images.
    pub generated: String,
    /// The reference set: real images, or their statistics.
    pub reference: String,
    /// Neighbors of realism in the reference, at least 1.
    pub nearest_k: usize,
    /// How images become features.
    pub features: FeatureRequest,
    /// Whether sets are compared that were taken under different conventions.
    pub force: bool,
}

impl Default for MapRequest {
    fn default() -> Self {
        Self {
            generated: String::new(),
            reference: String::new(),
            nearest_k: 3,
            features: FeatureRequest::default(),
            force: false,
        }
    }
}

/// The images of one side, in the order of the set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Points {
    /// Their names; none where only their features are known.
    pub names: Vec<String>,
    /// Labels, where the set has any.
    pub labels: Vec<Option<u32>>,
    /// Coordinates along the first two principal components of the reference.
    pub points: Vec<[f32; 2]>,
}

/// Two sets, laid out.
#[derive(Debug, Serialize)]
pub struct ScoreMap {
    /// The name of the distance.
    pub title: String,
    /// The distance.
    pub distance: f64,
    /// How features were taken.
    pub convention: String,
    /// The generated images.
    pub generated: Points,
    /// What each generated image adds to the distance.
    pub contributions: Vec<f64>,
    /// The realism of each generated image, where features of single reference images are known.
    pub realism: Option<Vec<f64>>,
    /// The reference images, where features of single ones are known.
    pub reference: Option<Points>,
    /// Shares of the variance of the reference along the two components.
    pub shares: [f64; 2],
    /// What may mislead.
    pub warnings: Vec<Warning>,
    /// Version of this library.
    pub ganscope: &'static str,
    #[serde(skip)]
    sets: [Known; 2],
}

/// What is kept of a set, for questions.
#[derive(Debug)]
struct Known {
    stats: FeatureStats,
    features: Option<Features>,
    images: Option<(ImageSet, Vec<usize>)>,
}

/// Lays two sets out.
///
/// # Errors
/// If the generated set has no images, a set or the extractor cannot be read, or the task is stopped.
pub fn map(request: &MapRequest, watch: &mut dyn Watch) -> Result<ScoreMap> {
    let features = &request.features;
    features.check()?;
    positive("nearest_k", request.nearest_k)?;
    let generated = Source::open(&request.generated, &features.set_options())?;
    let reference = Source::open(&request.reference, &features.set_options())?;
    generated.need_images()?;
    let needs = Needs::STATS | Needs::FEATURES;
    let extractor = features.open_extractor(needs, reference.convention(), watch)?;
    let convention = &extractor.convention;
    let mut warned = Warned::new(watch);
    let chosen = Chosen { metrics: Vec::new(), by_name: true };
    let task = Task { chosen: &chosen, features, force: request.force };
    for source in [&generated, &reference] {
        task.check_convention(source, Some(convention), &mut warned)?;
    }
    let mut gatherer = Gatherer::new(features, &extractor);
    let mut gather = |source: &Source| gatherer.gather(source, needs, warned.watch);
    let sets = [gather(&generated)?, gather(&reference)?];
    warned.extend(warnings::about_sets(&[&sets[0], &sets[1]], needs, Some(network(&extractor))));
    warned.extend(warnings::about_pair(&sets[0], &sets[1]));
    let title = Score::new("fid", "FID", 0.0, false);
    let title = chosen::title(&title, Some(convention));
    let [of_generated, of_reference] = sets;
    let sets = [known(&generated, of_generated)?, known(&reference, of_reference)?];
    let mut found = ScoreMap::new(sets, request.nearest_k)
        .with_context(|| format!("`{}` against `{}`", generated.name(), reference.name()))?;
    found.title = title;
    found.convention = convention.to_string();
    found.warnings = warned.warnings;
    Ok(found)
}

fn lacks(what: &str) -> Error {
    Error::problem(Kind::Internal, format!("a set without its {what}"))
}

fn known(source: &Source, gathered: Gathered) -> Result<Known> {
    let stats = gathered.set.stats.ok_or_else(|| lacks("moments"))?;
    let images = source.images().cloned().map(|set| (set, gathered.places));
    Ok(Known { stats, features: gathered.set.features, images })
}

impl Known {
    /// The images on the plane of two directions.
    fn side(&self, center: &FeatureStats, axes: &[Vec<f64>; 2]) -> Option<Points> {
        let features = self.features.as_ref()?;
        let along = |row: &[f32], axis: usize| -> f32 {
            let parts = row.iter().zip(center.mean().iter()).zip(&axes[axis]);
            parts.map(|((&x, m), a)| (f64::from(x) - m) * a).sum::<f64>() as f32
        };
        let (names, labels) = match &self.images {
            None => (Vec::new(), vec![None; features.len()]),
            Some((set, places)) => (
                places.iter().map(|&place| set.name(place)).collect(),
                places.iter().map(|&place| set.label(place)).collect(),
            ),
        };
        Some(Points {
            names,
            labels,
            points: features.rows().map(|row| [along(row, 0), along(row, 1)]).collect(),
        })
    }
}

impl ScoreMap {
    fn new(sets: [Known; 2], nearest_k: usize) -> Result<Self> {
        let [generated, reference] = &sets;
        let features = generated.features.as_ref().ok_or_else(|| lacks("features"))?;
        let decomposed = LeaveOneOut::new(&generated.stats, &reference.stats)?;
        let cov = reference.stats.cov()?;
        let (values, vectors) = symmetric_eigen(&cov)?;
        let dim = values.len();
        // Eigenvalues ascend; a single feature is its own second axis.
        let axes = [dim - 1, dim.saturating_sub(2)];
        let total = values.iter().map(|v| v.max(0.0)).sum::<f64>().max(f64::MIN_POSITIVE);
        let shares = axes.map(|i| values[i].max(0.0) / total);
        let axes = axes.map(|i| vectors.column(i).iter().copied().collect::<Vec<f64>>());
        let of_reference = reference.features.as_ref();
        let realism = of_reference.map(|real| realism(features, real, nearest_k)).transpose()?;
        Ok(Self {
            title: String::new(),
            distance: decomposed.distance(),
            convention: String::new(),
            contributions: decomposed.contributions(features)?,
            generated: generated.side(&reference.stats, &axes).ok_or_else(|| lacks("images"))?,
            reference: reference.side(&reference.stats, &axes),
            realism,
            shares,
            warnings: Vec::new(),
            ganscope: VERSION,
            sets,
        })
    }

    /// The distance without some generated images, by their positions; exact up to rounding, as the
    /// moments of those images are taken from those of the set.
    ///
    /// # Errors
    /// If there is no such image, or fewer than two images stay.
    pub fn without(&self, images: &[usize]) -> Result<f64> {
        let [generated, reference] = &self.sets;
        let features = generated.features.as_ref().ok_or_else(|| lacks("features"))?;
        let mut positions = images.to_vec();
        positions.sort_unstable();
        positions.dedup();
        if let Some(&last) = positions.last().filter(|&&i| i >= features.len()) {
            return Err(no_image(last, features.len()));
        }
        if positions.is_empty() {
            return Ok(self.distance);
        }
        let part = FeatureStats::from_features(&features.select(&positions));
        Ok(frechet_distance(&generated.stats.without(&part)?, &reference.stats)?)
    }

    /// The reference images nearest to a generated one in the features, with their distances; none where
    /// no features of single images are known.
    ///
    /// # Errors
    /// If there is no such image.
    pub fn nearest(&self, image: usize, count: usize) -> Result<Vec<(usize, f64)>> {
        let [generated, reference] = &self.sets;
        let features = generated.features.as_ref().ok_or_else(|| lacks("features"))?;
        if image >= features.len() {
            return Err(no_image(image, features.len()));
        }
        let Some(real) = &reference.features else { return Ok(Vec::new()) };
        let row = features.row(image);
        let square = |other: &[f32]| -> f64 {
            row.iter().zip(other).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
        };
        let mut all: Vec<(usize, f64)> = real.rows().map(square).enumerate().collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        all.truncate(count);
        Ok(all.into_iter().map(|(i, square)| (i, square.sqrt())).collect())
    }

    /// An image by its side and its position.
    ///
    /// # Errors
    /// If there is none, or it cannot be read any more.
    pub fn image(&self, side: Side, i: usize) -> Result<Image> {
        let known = match side {
            Side::Generated => &self.sets[0],
            Side::Reference => &self.sets[1],
        };
        let (set, places) = known.images.as_ref().ok_or_else(|| no_image(i, 0))?;
        let &place = places.get(i).ok_or_else(|| no_image(i, places.len()))?;
        let image = set.get(place);
        Ok(image.with_context(|| format!("read `{}`", set.name(place)))?.image)
    }
}

fn no_image(i: usize, count: usize) -> Error {
    Error::not_found(format!("there is no image {i}: the set has {count}"))
}

#[cfg(all(test, feature = "models"))]
mod tests {
    use super::*;
    use crate::features::Cache;

    /// Rounding of the moments that are taken away.
    const ROUNDING: f64 = 1e-9;

    fn samples() -> ScoreMap {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/models/samples");
        let features = FeatureRequest {
            extractor: Some("fashion-cnn".to_owned()),
            cache: Cache::Off,
            ..FeatureRequest::default()
        };
        let request = MapRequest {
            generated: folder.to_owned(),
            reference: folder.to_owned(),
            features,
            ..MapRequest::default()
        };
        map(&request, &mut ()).unwrap()
    }

    #[test]
    fn the_distance_without_a_group_is_that_of_the_rest() {
        let map = samples();
        let features = map.sets[0].features.as_ref().unwrap();
        let group = [1, 4, 2, 4];
        let stay: Vec<usize> = (0..features.len()).filter(|i| !group.contains(i)).collect();
        let rest = FeatureStats::from_features(&features.select(&stay));
        let expected = frechet_distance(&rest, &map.sets[1].stats).unwrap();
        let found = map.without(&group).unwrap();
        assert!((found - expected).abs() <= ROUNDING * expected, "{found} and {expected}");
        assert!(map.without(&[features.len()]).is_err());
        assert_eq!(map.without(&[]).unwrap(), map.distance);
    }

    #[test]
    fn the_nearest_image_of_one_that_is_in_both_sets_is_itself() {
        let map = samples();
        let nearest = map.nearest(3, 2).unwrap();
        assert_eq!(nearest[0], (3, 0.0));
        assert!(nearest[1].1 > 0.0);
        assert_eq!(map.image(Side::Generated, 3).unwrap(), map.image(Side::Reference, 3).unwrap());
        assert!(map.image(Side::Reference, usize::MAX).is_err());
        assert!(map.nearest(usize::MAX, 2).is_err());
    }

    #[test]
    fn kept_features_are_points_without_images() {
        let request = MapRequest {
            generated: concat!(env!("CARGO_MANIFEST_DIR"), "/models/samples").to_owned(),
            reference: "fashion-test".to_owned(),
            features: FeatureRequest { cache: Cache::Off, ..FeatureRequest::default() },
            ..MapRequest::default()
        };
        let map = map(&request, &mut ()).unwrap();
        let reference = map.reference.as_ref().unwrap();
        assert!(reference.names.is_empty());
        assert_eq!(reference.points.len(), reference.labels.len());
        let (nearest, distance) = map.nearest(0, 1).unwrap()[0];
        assert!(nearest < reference.points.len());
        // A distance on the plane is at most that of the features.
        let [[x, y], [u, v]] = [map.generated.points[0], reference.points[nearest]];
        assert!(f64::from((x - u).hypot(y - v)) <= distance);
        assert!(map.image(Side::Reference, nearest).is_err());
    }

    #[test]
    fn coordinates_have_the_variances_of_the_components() {
        let map = samples();
        let reference = map.reference.as_ref().unwrap();
        let n = reference.points.len() as f64;
        let variance = |axis: usize| {
            let of = |point: &[f32; 2]| f64::from(point[axis]).powi(2);
            reference.points.iter().map(of).sum::<f64>() / (n - 1.0)
        };
        let total = map.sets[1].stats.cov().unwrap().trace();
        for axis in [0, 1] {
            let share = variance(axis) / total;
            // Coordinates are float32.
            assert!((share - map.shares[axis]).abs() < 1e-5, "{share} and {:?}", map.shares);
        }
        assert!(map.shares[0] >= map.shares[1]);
    }
}
