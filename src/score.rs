//! Scoring generated image sets.

pub mod by_class;
pub(crate) mod chosen;
pub mod clip_score;
pub mod compare;
pub mod differences;
pub mod growth;
pub mod map;
pub mod plan;
mod report;
pub mod rows;
pub mod statistics;
pub mod stream;
pub mod sweep;
pub(crate) mod warnings;

use std::path::Path;

pub use report::{Conditions, Report, Row};

use ganscope_stats::files::Convention;
use ganscope_stats::{FeatureSet, Metric, Needs, Score, Side};
use serde::{Deserialize, Serialize};

use crate::catalog;
use crate::error::{Context as _, Error, Hint, Kind, Result};
use crate::explain::score::classes::about_classes;
use crate::features::{FeatureRequest, Gathered, Gatherer, SetFacts};
use crate::metrics::MetricOptions;
use crate::models::extractor::Extractor;
use crate::source::Source;
use crate::watch::{Warning, Watch};
use chosen::{Chosen, choose};
use differences::differences;

/// Version of this library.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Which sets are scored, by which metrics, under which conventions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScoreRequest {
    /// The generated sets: folders, archives, arrays, or files of statistics.
    pub generated: Vec<String>,
    /// The reference set.
    pub reference: Option<String>,
    /// Real images that the generator was not trained on, for metrics that compare three sets; the
    /// reference is the training set then.
    pub held_out: Option<String>,
    /// Names of metrics; those of the preset that the sets allow if missing.
    pub metrics: Option<Vec<String>>,
    /// Options of the metrics.
    pub options: MetricOptions,
    /// How images become features.
    pub features: FeatureRequest,
    /// Whether sets are compared that were taken under different conventions.
    pub force: bool,
    /// Whether each class of images is scored, too: sub-folders, or labels of a `dataset.json` or of an
    /// array. Folders within folders are searched then.
    pub by_class: bool,
}

/// Sets, metrics and an extractor of the caller, which replace those that a request names.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "a metric is a function")]
pub struct Custom {
    /// The generated sets, unless there are none.
    pub generated: Vec<Source>,
    /// The reference set.
    pub reference: Option<Source>,
    /// The metrics, unless there are none.
    pub metrics: Vec<Box<dyn Metric>>,
    /// The extractor.
    pub extractor: Option<Extractor>,
}

/// Scores generated sets, against a reference set unless the metrics stand alone.
///
/// ```
/// # fn main() -> ganscope::Result<()> {
/// use ganscope::score::{ScoreRequest, score};
///
/// let mut request = ScoreRequest {
///     generated: vec!["models/samples".into()],
///     reference: Some("fashion-test".into()),
///     metrics: Some(vec!["fid".into()]),
///     ..ScoreRequest::default()
/// };
/// request.features.extractor = Some("fashion-cnn".into());
/// # request.features.cache = ganscope::features::Cache::Off;
/// let report = score(&request, &mut ())?;
/// assert_eq!(report.scores[0].title, "FD (fashion-cnn)");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the request is not sound, a set or the extractor cannot be read, the sets do not suffice for
/// a metric that was asked for by name, or the task is stopped.
pub fn score(request: &ScoreRequest, watch: &mut dyn Watch) -> Result<Report> {
    score_with(request, Custom::default(), watch)
}

/// As [`score`], of sets that are at hand, by metrics or with an extractor that are in no catalog.
///
/// ```
/// use ganscope::images::{Image, ImageSet};
/// use ganscope::score::{Custom, ScoreRequest, score_with};
/// use ganscope::source::Source;
///
/// # #[cfg(feature = "models")] {
/// let gray = |i: usize| Image::filled(32, 32, [10 * i as u8; 3]);
/// let images = ImageSet::from_images((0..20).map(gray).collect());
/// let custom = Custom { generated: vec![Source::of_images("gray", images)], ..Custom::default() };
/// let mut request = ScoreRequest { reference: Some("fashion-test".into()), ..Default::default() };
/// # request.features.cache = ganscope::features::Cache::Off;
/// request.metrics = Some(vec!["fid".into()]);
/// let report = score_with(&request, custom, &mut ())?;
/// assert_eq!(report.scores[0].generated, "gray");
/// # }
/// # Ok::<(), ganscope::Error>(())
/// ```
///
/// # Errors
/// As [`score`].
pub fn score_with(request: &ScoreRequest, custom: Custom, watch: &mut dyn Watch) -> Result<Report> {
    // What can fail at once fails before the long work.
    request.features.check()?;
    let (by_class, mut features) = (request.by_class, request.features.clone());
    features.recursive |= by_class;
    if request.generated.is_empty() && custom.generated.is_empty() {
        return Err(Error::request("no generated set").with_hint(Hint::of("give {generated}")));
    }
    let open = |name: &String| {
        let source = Source::open(name, &features.set_options())?;
        if by_class { source.only_images() } else { Ok(source) }
    };
    let reference = match custom.reference {
        None => request.reference.as_ref().map(open).transpose()?,
        own => own,
    };
    let stored = reference.as_ref().and_then(Source::convention);
    let preset = features.preset(stored)?;
    let asked = request.metrics.as_deref();
    let has_reference = reference.is_some();
    let mut chosen = if custom.metrics.is_empty() {
        choose(asked, preset.metrics, &request.options, has_reference)?
    } else {
        Chosen { metrics: custom.metrics, by_name: true }
    };
    let generated: Vec<Source> = match custom.generated {
        none if none.is_empty() => request.generated.iter().map(open).collect::<Result<_>>()?,
        own => own,
    };
    let held_out = chosen.held_out(request.held_out.as_ref())?.map(open).transpose()?;

    for source in generated.iter().chain(&reference).chain(&held_out) {
        refuse_one_image(source)?;
    }
    if by_class {
        generated.iter().chain(&reference).try_for_each(by_class::check)?;
    }
    let mut warned = Warned::new(watch);
    let sides = || sides(&generated, reference.as_ref());
    warned.leave_out(&mut chosen, |metric| {
        let stored = sides().find_map(|(source, side)| lacks_stored(metric, source, side));
        stored.or_else(|| sides().find_map(|(source, side)| lacks_images(metric, source, side)))
    })?;
    chosen.refuse_none()?;
    let task = Task { chosen: &chosen, features: &features, force: request.force };
    let extractor = match custom.extractor {
        None => task.open_extractor(&generated, [&reference, &held_out], warned.watch)?,
        own => own,
    };
    let convention = extractor.as_ref().map(|extractor| &extractor.convention);
    let convention = convention.or(sides().find_map(|(source, _)| source.convention())).cloned();
    for source in generated.iter().chain(&reference).chain(&held_out) {
        task.check_convention(source, convention.as_ref(), &mut warned)?;
    }
    if let Some(extractor) = &extractor {
        warned.leave_out(&mut chosen, |metric| {
            sides().find_map(|(source, side)| lacks_computed(metric, source, side, extractor))
        })?;
    }

    let needs = [chosen.needs(Side::Generated), chosen.needs(Side::Reference)];
    let reference_source = reference;
    let (beside, network_of) = ([&reference_source, &held_out], (&features, extractor.as_ref()));
    let (sets, [reference, held_out]) =
        gather(network_of, needs, &generated, beside, warned.watch)?;
    held_out.iter().try_for_each(|held_out| chosen.take_held_out(held_out))?;
    // Nobody asked for the default metrics by name: those that a set is too small for are left out.
    warned.leave_out(&mut chosen, |metric| {
        sets.iter().find_map(|set| {
            let other = reference.as_ref().map(|reference| &reference.set);
            Some(named(metric.check(&set.set, other).err()?.into(), metric, &set.facts.path))
        })
    })?;
    chosen.refuse_none()?;

    let all: Vec<&Gathered> = sets.iter().chain(&reference).chain(&held_out).collect();
    let moments = chosen.needs(Side::Generated);
    warned.extend(warnings::about_sets(&all, moments, extractor.as_ref().map(network)));
    let facts: Vec<&SetFacts> = sets.iter().map(|set| &set.facts).collect();
    warned.extend(warnings::about_numbers(&facts));
    if chosen.metrics.iter().any(|metric| metric.name() == "is") {
        warned.extend(warnings::about_splits(&facts, request.options.is_splits));
    }
    let scores = score_sets(&sets, reference.as_ref(), convention.as_ref(), &chosen.metrics)?;
    if let Some(reference) = &reference {
        warned.extend(about_pairs(&sets, reference, &scores)?);
    }
    let (sources, pair) =
        ((&*generated, &*sets), reference_source.as_ref().zip(reference.as_ref()));
    let classes = if by_class {
        by_class::scores(sources, pair, &chosen, convention.as_ref())?
    } else {
        Vec::new()
    };
    let differences = differences(&scores, sets.len());
    let conditions = Conditions {
        preset: preset.name.into(),
        convention,
        nearest_k: chosen.nearest_k(&request.options),
        generated: sets.into_iter().map(|set| set.facts).collect(),
        reference: reference.map(|reference| reference.facts),
        held_out: held_out.map(|set| set.facts),
        ..Conditions::of(request)
    };
    Ok(Report { scores, differences, classes, conditions, warnings: warned.warnings })
}

/// The features of generated sets and of sets beside them, as far as [`Side`]s need them.
pub(crate) fn gather<const N: usize>(
    (request, extractor): (&FeatureRequest, Option<&Extractor>),
    [generated, beside]: [Needs; 2],
    sources: &[Source],
    others: [&Option<Source>; N],
    watch: &mut dyn Watch,
) -> Result<(Vec<Gathered>, [Option<Gathered>; N])> {
    let mut gatherer = extractor.map(|extractor| Gatherer::new(request, extractor));
    // Classes of images that are read anyway tell how much of FID is their mix.
    let tells = generated.contains(Needs::FEATURES | Needs::LOGITS);
    let mut gather = |source: &Source, needs| match &mut gatherer {
        Some(gatherer) if tells && source.stored().is_none() => {
            gatherer.gather(source, needs | Needs::LOGITS, watch)
        }
        Some(gatherer) => gatherer.gather(source, needs, watch),
        None => Gathered::of_stored(source, needs, watch),
    };
    let mut sets = Vec::new();
    for source in sources {
        sets.push(gather(source, generated)?);
    }
    let mut found = others.map(|_| None);
    for (place, source) in found.iter_mut().zip(others) {
        *place = source.as_ref().map(|source| gather(source, beside)).transpose()?;
    }
    Ok((sets, found))
}

/// Warnings about each set beside the reference.
fn about_pairs(sets: &[Gathered], reference: &Gathered, scores: &[Row]) -> Result<Vec<Warning>> {
    let mut warnings = Vec::new();
    for set in sets {
        warnings.extend(warnings::about_pair(set, reference));
        let fid = scores.iter().find(|row| row.name == "fid" && row.generated == set.facts.path);
        if let Some(row) = fid {
            let distance = (row.title.as_str(), row.value);
            warnings.extend(about_classes(&set.set, &reference.set, distance)?);
        }
    }
    Ok(warnings)
}

/// The rows of every set, against the reference if there is one.
fn score_sets(
    sets: &[Gathered],
    reference: Option<&Gathered>,
    convention: Option<&Convention>,
    metrics: &[Box<dyn Metric>],
) -> Result<Vec<Row>> {
    let other = reference.map(|reference| &reference.set);
    let against = reference.map(|reference| reference.facts.path.as_str());
    let mut rows = Vec::new();
    for set in sets {
        let path = &set.facts.path;
        let scores = score_set(path, &set.set, other, metrics)?;
        rows.extend(scores.into_iter().map(|score| Row::new(score, convention, path, against)));
    }
    Ok(rows)
}

/// The scores of the set `name` by several metrics: the one loop that scores.
///
/// # Errors
/// If the sets do not suffice for a metric; the message names metric and set.
pub(crate) fn score_set(
    name: &str,
    generated: &FeatureSet,
    reference: Option<&FeatureSet>,
    metrics: &[Box<dyn Metric>],
) -> Result<Vec<Score>> {
    let mut scores = Vec::new();
    for metric in metrics {
        let found = metric.score(generated, reference);
        let found = found.map_err(|error| named(error.into(), &**metric, name))?;
        if let Some(score) = found.iter().find(|score| !score.value.is_finite()) {
            let problem =
                format!("the result is {}: the numbers of the sets are too large", score.value);
            return Err(named(Error::problem(Kind::UnreadableInput, problem), &**metric, name));
        }
        scores.extend(found);
    }
    Ok(scores)
}

/// An error of a metric, with the name of the set.
pub(crate) fn named(error: Error, metric: &dyn Metric, set: &str) -> Error {
    let failed: Result<(), Error> = Err(error);
    failed
        .with_context(|| format!("{} of `{set}`", metric.title()))
        .expect_err("an error stays an error")
}

/// Why a metric cannot be computed from images by an extractor.
fn lacks_computed(
    metric: &dyn Metric,
    source: &Source,
    side: Side,
    extractor: &Extractor,
) -> Option<Error> {
    let missing = metric.needs(side).difference(extractor.computes());
    let (title, name) = (metric.title(), &extractor.convention.extractor);
    let message = format!("{title} needs {missing}, which {name} does not compute at this layer");
    (source.holds().is_none() && missing != Needs::NONE).then(|| Error::request(message))
}

/// The sizes of a network that warnings use.
pub(crate) fn network(extractor: &Extractor) -> warnings::Network {
    let network = &extractor.network;
    warnings::Network { dim: network.feature_dim(), input: network.input_size() }
}

/// The sets of a comparison with their sides.
fn sides<'a>(
    generated: &'a [Source],
    reference: Option<&'a Source>,
) -> impl Iterator<Item = (&'a Source, Side)> {
    let generated = generated.iter().map(|source| (source, Side::Generated));
    generated.chain(reference.map(|source| (source, Side::Reference)))
}

/// Fails for a path to a single image: a set was meant.
fn refuse_one_image(source: &Source) -> Result<()> {
    let path = Path::new(source.name());
    let one = source.images().is_some_and(|images| images.len() == 1) && path.is_file();
    let Some(name) = path.file_name().filter(|_| one && is_image(path)) else { return Ok(()) };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let message = format!("`{}` is one image, not a set", name.display());
    Err(Error::request(message).with_hint(format!("give its folder, `{}`", folder.display())))
}

/// Whether a path ends as an image does.
fn is_image(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ganscope_images::EXTENSIONS.contains(&ending.to_ascii_lowercase().as_str())
}

/// Why a metric cannot be computed from a set that consists of stored statistics.
fn lacks_stored(metric: &dyn Metric, source: &Source, side: Side) -> Option<Error> {
    let held = source.holds().filter(|_| source.images().is_none())?;
    let published = catalog::EXTRACTORS[0].name;
    if let Some(c) = source.convention().filter(|c| c.extractor != published)
        && metric.needs(side).contains(Needs::SPATIAL)
    {
        let (title, name) = (metric.title(), &c.extractor);
        let message = format!("{title} needs spatial features, which {name} does not compute");
        return Some(Error::request(message));
    }
    let part = metric.needs(side).difference(held);
    let missing = ganscope_stats::Error::Missing { metric: metric.title(), part, side, held };
    (part != Needs::NONE).then(|| named(missing.into(), metric, source.name()))
}

/// Why a set of images is too small for a metric.
fn lacks_images(metric: &dyn Metric, source: &Source, side: Side) -> Option<Error> {
    let read = side == Side::Generated || metric.needs_reference();
    let images = source.images().filter(|_| read)?.len();
    let error = metric.least_images(side).check(metric.title(), side, images).err()?;
    Some(named(error.into(), metric, source.name()))
}

/// The parts of a comparison that scores, sweeps and contributions share.
pub(crate) struct Task<'a> {
    pub(crate) chosen: &'a Chosen,
    pub(crate) features: &'a FeatureRequest,
    pub(crate) force: bool,
}

impl Task<'_> {
    /// The extractor, unless all sets are statistics that suffice.
    fn open_extractor(
        &self,
        generated: &[Source],
        [reference, held_out]: [&Option<Source>; 2],
        watch: &mut dyn Watch,
    ) -> Result<Option<Extractor>> {
        let suffices = |(source, side): (&Source, Side)| {
            source.holds().is_some_and(|held| held.contains(self.chosen.needs(side)))
        };
        let held_out = held_out.iter().map(|source| (source, Side::Reference));
        if sides(generated, reference.as_ref()).chain(held_out).all(suffices) {
            return Ok(None);
        }
        let stored = reference.as_ref().and_then(Source::convention);
        let needs = self.chosen.needs(Side::Generated);
        self.features.open_extractor(needs, stored, watch).map(Some)
    }

    /// Fails, or warns if the comparison is forced, if statistics were taken under another
    /// convention than that of the comparison; warns if they contain no convention.
    pub(crate) fn check_convention(
        &self,
        source: &Source,
        convention: Option<&Convention>,
        warned: &mut Warned<'_>,
    ) -> Result<()> {
        if source.holds().is_none() {
            return Ok(());
        }
        if let Some(convention) = convention.filter(|_| !self.force) {
            source.check(convention)?;
        }
        warned.extend(warnings::about_convention(source.name(), source.convention(), convention));
        Ok(())
    }
}

/// Warnings that were reported to an observer and go into the result.
pub(crate) struct Warned<'w> {
    pub(crate) watch: &'w mut dyn Watch,
    pub(crate) warnings: Vec<Warning>,
}

impl<'w> Warned<'w> {
    pub(crate) fn new(watch: &'w mut dyn Watch) -> Self {
        Self { watch, warnings: Vec::new() }
    }

    /// Reports warnings, each once.
    pub(crate) fn extend(&mut self, warnings: impl IntoIterator<Item = Warning>) {
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.watch.warn(&warning);
                self.warnings.push(warning);
            }
        }
    }

    /// Leaves out, with a warning, the metrics that `lacks` has a reason against.
    ///
    /// # Errors
    /// The reason, if the metrics were asked for by name.
    fn leave_out(
        &mut self,
        chosen: &mut Chosen,
        lacks: impl Fn(&dyn Metric) -> Option<Error>,
    ) -> Result<()> {
        let mut reasons = Vec::new();
        let mut failed = None;
        chosen.metrics.retain(|metric| match lacks(&**metric) {
            None => true,
            Some(error) if chosen.by_name => {
                failed = failed.take().or(Some(error));
                true
            }
            Some(error) => {
                let text = format!("{} skipped: {}", metric.title(), error.cause());
                reasons.push(Warning { text, hint: error.hint() });
                false
            }
        });
        self.extend(reasons);
        failed.map_or(Ok(()), Err)
    }
}
