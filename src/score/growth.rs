//! Scores of growing parts of a set: how much of a score is the number of its images.

use ganscope_stats::random::RandomState;
use ganscope_stats::{FeatureSet, Needs, Score, Side};
use serde::{Deserialize, Serialize};

use super::chosen::choose;
use super::{Row, Task, Warned, network, refuse_one_image, score_set, warnings};
use crate::checks::within;
use crate::error::{Error, Hint, Result};
use crate::features::FeatureRequest;
use crate::metrics::MetricOptions;
use crate::source::Source;
use crate::watch::{Counter, Warning, Watch};

/// Which set is scored at which sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrowthRequest {
    /// The generated images.
    pub generated: String,
    /// The reference set, which stays whole.
    pub reference: Option<String>,
    /// Names of metrics.
    pub metrics: Vec<String>,
    /// Sizes from zero to the whole set, in equal steps, 1 to 1,000; those that a metric is not defined
    /// for are left out.
    pub points: usize,
    /// Seed of the shuffle. A part is the beginning of the shuffled set, as sets are often sorted by
    /// class.
    pub seed: u32,
    /// Options of the metrics.
    pub options: MetricOptions,
    /// How images become features.
    pub features: FeatureRequest,
    /// Whether sets are compared that were taken under different conventions.
    pub force: bool,
}

impl Default for GrowthRequest {
    /// FID at ten sizes.
    fn default() -> Self {
        Self {
            generated: String::new(),
            reference: None,
            metrics: vec!["fid".into()],
            points: 10,
            seed: 0,
            options: MetricOptions::default(),
            features: FeatureRequest::default(),
            force: false,
        }
    }
}

/// Scores of growing parts of a set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Growth {
    /// The parts, from few images to all.
    pub points: Vec<GrowthPoint>,
    /// How features were taken, unless both sets are statistics without a convention.
    pub convention: Option<String>,
    /// What may mislead.
    pub warnings: Vec<Warning>,
}

/// The scores of a part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GrowthPoint {
    /// Its images.
    pub images: usize,
    /// Its scores.
    pub scores: Vec<Row>,
}

/// Scores parts of a generated set, each of which contains the smaller ones, and the set itself.
///
/// The expectation of FID falls with the number of images `N` nearly as `FID + c / N` (Chong and Forsyth,
/// "Effectively Unbiased FID and Inception Score and where to find them", 2020,
/// <https://arxiv.org/abs/1911.07023>): a curve that still falls tells that a score of another number of
/// images is another score.
///
/// # Errors
/// If the request is not sound, the generated set has no images, a set or the extractor cannot be read, the
/// sets do not suffice for a metric, or the task is stopped.
pub fn growth(request: &GrowthRequest, watch: &mut dyn Watch) -> Result<Growth> {
    let features = &request.features;
    features.check()?;
    within("points", request.points, 1..=1000)?;
    let open = |name: &String| Source::open(name, &features.set_options());
    let reference = request.reference.as_ref().map(open).transpose()?;
    let chosen = choose(Some(&request.metrics), &[], &request.options, reference.is_some())?;
    chosen.held_out(None)?;
    if chosen.needs(Side::Generated).contains(Needs::SPATIAL) {
        let problem = "spatial features are kept as moments, which have no parts";
        return Err(Error::request(problem).with_hint(Hint::of("choose other {metrics}")));
    }
    let generated = [open(&request.generated)?];
    generated.iter().chain(&reference).try_for_each(refuse_one_image)?;
    generated[0].need_images()?;
    let mut warned = Warned::new(watch);
    let task = Task { chosen: &chosen, features, force: request.force };
    let extractor = task.open_extractor(&generated, [&reference, &None], warned.watch)?;
    let convention = extractor.as_ref().map(|extractor| &extractor.convention);
    for source in generated.iter().chain(&reference) {
        task.check_convention(source, convention, &mut warned)?;
    }
    let needs = [chosen.needs(Side::Generated) | Needs::FEATURES, chosen.needs(Side::Reference)];
    let network_of = (features, extractor.as_ref());
    let (sets, [reference]) =
        super::gather(network_of, needs, &generated, [&reference], warned.watch)?;
    let [set] = &*sets else { return Err(Error::request("no generated set")) };
    let all: Vec<_> = sets.iter().chain(&reference).collect();
    warned.extend(warnings::about_sets(&all, needs[0], extractor.as_ref().map(network)));

    let other = reference.as_ref().map(|reference| &reference.set);
    let against = reference.as_ref().map(|reference| reference.facts.path.as_str());
    let path = set.facts.path.as_str();
    let row = |score: Score| Row::new(score, convention, path, against);
    let count = set.set.features.as_ref().map_or(0, ganscope_stats::Features::len);
    let order = RandomState::new(request.seed).permutation(count);
    let mut counter = Counter::new(warned.watch, "sizes", 0, request.points);
    let mut points = Vec::new();
    for i in 1..=request.points {
        let images = count * i / request.points;
        let part = match order.get(..images).filter(|part| part.len() < count) {
            Some(part) => rows_of(&set.set, part)?,
            None => Some(set.set.clone()),
        };
        let suffices = |part: &FeatureSet| {
            images == count || chosen.metrics.iter().all(|m| m.check(part, other).is_ok())
        };
        if let Some(part) = part.filter(suffices) {
            let scores = score_set(path, &part, other, &chosen.metrics)?;
            points.push(GrowthPoint { images, scores: scores.into_iter().map(row).collect() });
        }
        counter.add()?;
    }
    let convention = convention.map(ToString::to_string);
    Ok(Growth { points, convention, warnings: warned.warnings })
}

/// Some images of a set whose parts are known image by image; none if they are not, or there are none.
pub(super) fn rows_of(set: &FeatureSet, rows: &[usize]) -> Result<Option<FeatureSet>> {
    let Some(features) = set.features.as_ref().filter(|_| set.spatial.is_none()) else {
        return Ok(None);
    };
    if rows.is_empty() {
        return Ok(None);
    }
    let logits = match &set.logits {
        Some(logits) => Some(logits.to_features()?.select(rows).into()),
        None => None,
    };
    Ok(Some(FeatureSet { logits, ..FeatureSet::of_rows(features.select(rows))? }))
}

#[cfg(test)]
#[cfg(feature = "models")]
mod tests {
    use ganscope_fid::frechet_distance;
    use ganscope_stats::FeatureStats;

    use super::*;
    use crate::features::{Cache, Gatherer};
    use crate::score::{ScoreRequest, score};

    fn features() -> FeatureRequest {
        FeatureRequest {
            extractor: Some("fashion-cnn".into()),
            cache: Cache::Off,
            ..FeatureRequest::default()
        }
    }

    fn request(metrics: &[&str]) -> GrowthRequest {
        GrowthRequest {
            generated: concat!(env!("CARGO_MANIFEST_DIR"), "/models/samples").to_owned(),
            reference: Some("fashion-test".into()),
            metrics: metrics.iter().map(|&name| name.to_owned()).collect(),
            points: 4,
            features: features(),
            ..GrowthRequest::default()
        }
    }

    #[test]
    fn the_last_point_is_the_score_of_the_set() {
        let request = request(&["fid", "kid", "is"]);
        let options = MetricOptions { kid_subset_size: 20, is_splits: 2, ..Default::default() };
        let request = GrowthRequest { options, ..request };
        let found = growth(&request, &mut ()).unwrap();
        let whole = ScoreRequest {
            generated: vec![request.generated],
            reference: request.reference,
            metrics: Some(request.metrics),
            options: request.options,
            features: request.features,
            ..ScoreRequest::default()
        };
        let scores = score(&whole, &mut ()).unwrap().scores;
        assert_eq!(found.points.last().unwrap().scores, scores);
        assert!(found.points.iter().all(|point| point.scores.len() == scores.len()));
    }

    /// Each point, taken again of the features of its images.
    #[test]
    fn a_point_is_the_distance_of_the_beginning_of_the_shuffled_set() {
        let request = request(&["fid"]);
        let found = growth(&request, &mut ()).unwrap();
        let wanted = features();
        let extractor = wanted.open_extractor(Needs::FEATURES, None, &mut ()).unwrap();
        let mut gatherer = Gatherer::new(&wanted, &extractor);
        let mut rows = |name: &str| {
            let source = Source::open(name, &wanted.set_options()).unwrap();
            let needs = Needs::FEATURES | Needs::STATS;
            gatherer.gather(&source, needs, &mut ()).unwrap().set
        };
        let generated = rows(&request.generated).features.unwrap();
        let reference = rows("fashion-test").stats.unwrap();
        let order = RandomState::new(request.seed).permutation(generated.len());
        assert_eq!(found.points.len(), 4);
        for point in &found.points[..3] {
            let mut part = ganscope_stats::Features::new(generated.dim()).unwrap();
            for &i in &order[..point.images] {
                part.push_rows(generated.row(i)).unwrap();
            }
            let part = FeatureStats::from_features(&part);
            assert_eq!(point.scores[0].value, frechet_distance(&part, &reference).unwrap());
        }
        // Fewer images, a larger distance: the bias falls.
        let values: Vec<f64> = found.points.iter().map(|point| point.scores[0].value).collect();
        assert!(values.windows(2).all(|pair| pair[0] > pair[1]), "{values:?}");
    }

    #[test]
    fn sizes_that_a_metric_is_not_defined_for_are_left_out() {
        let count = growth(&request(&["fid"]), &mut ()).unwrap().points[3].images;
        let kid = |size: usize| {
            let options = MetricOptions { kid_subset_size: size, ..MetricOptions::default() };
            growth(&GrowthRequest { options, ..request(&["kid"]) }, &mut ())
        };
        let sizes: Vec<_> = kid(count / 2 + 1).unwrap().points.iter().map(|p| p.images).collect();
        assert_eq!(sizes, [count * 3 / 4, count]);
        assert!(kid(count + 1).is_err());
        assert!(growth(&request(&["sfid"]), &mut ()).is_err());
        assert!(growth(&GrowthRequest { points: 0, ..request(&["fid"]) }, &mut ()).is_err());
    }
}
