//! One pair of sets under the conventions of all tools: how far their numbers differ.

mod lanes;

use ganscope_inception_score::InceptionScore;
use ganscope_stats::files::Convention;
use ganscope_stats::{FeatureSet, FeatureStats, Logits, Metric, Needs, Side};
use serde::{Deserialize, Serialize};

use super::chosen::choose;
use super::{Row, Warned, lacks_images, named, network, refuse_one_image, score_set, warnings};
use crate::error::{Error, Hint, Result};
use crate::features::{FeatureRequest, SetFacts};
use crate::metrics::MetricOptions;
use crate::preset::{Covariance, Splits, Tool};
use crate::source::Source;
use crate::watch::{Warning, Watch};
use lanes::{Lane, Lanes, Set};

/// Which sets are compared under the conventions of all tools.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComparePresetsRequest {
    /// The generated set.
    pub generated: String,
    /// The reference set.
    pub reference: String,
    /// Names of metrics; those of the tools if missing.
    pub metrics: Option<Vec<String>>,
    /// Options of the metrics; `is_splits` is the number of parts of the tools that take parts of
    /// equal size.
    pub options: MetricOptions,
    /// How images become features: without an extractor, those of all published tools whose weights
    /// are at hand. A preset or a resize cannot be asked for.
    pub features: FeatureRequest,
}

/// Scores of one pair of sets under the conventions of several tools.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PresetComparison {
    /// One table for each kind of features: scores of different features cannot be compared.
    pub tables: Vec<ConventionTable>,
    /// Conventions without scores, with the reason.
    pub left_out: Vec<LeftOut>,
    /// The generated set.
    pub generated: SetFacts,
    /// The reference set.
    pub reference: SetFacts,
    /// Options of the metrics.
    pub options: MetricOptions,
    /// Passes of an image through a network that were computed; none for features from a cache.
    pub passes: usize,
    /// Warnings about scores that may mislead.
    pub warnings: Vec<Warning>,
}

/// Scores on one kind of features.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConventionTable {
    /// The extractor.
    pub extractor: String,
    /// Digest of the file of its weights.
    pub weights_sha256: String,
    /// Layer of the features.
    pub layer: String,
    /// The scores that any tool has.
    pub columns: Vec<Column>,
    /// One row for each tool.
    pub rows: Vec<ToolRow>,
}

/// A score under all conventions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    /// Name of the score.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Whether a larger value is better.
    pub higher_is_better: bool,
    /// Largest difference of two tools, as a share of the largest absolute value; none for fewer than
    /// two values.
    pub spread: Option<f64>,
    /// The tools with the lowest and the highest value.
    pub extremes: Option<[String; 2]>,
}

/// The scores of one tool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolRow {
    /// The tool.
    pub tool: &'static str,
    /// Tools with the same Fréchet distance.
    pub also: &'static [&'static str],
    /// The preset of its features.
    pub preset: &'static str,
    /// Its resize.
    pub resize: String,
    /// Its scaling of pixels.
    pub scaling: String,
    /// Its parts of the images of the Inception Score.
    pub splits: Splits,
    /// Its divisor of the scatter.
    pub covariance: Covariance,
    /// One score for each column, where the tool has it.
    pub scores: Vec<Option<Row>>,
}

/// A convention without scores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The extractor.
    pub extractor: &'static str,
    /// The preset.
    pub preset: &'static str,
    /// Why it has none.
    pub reason: String,
}

impl LeftOut {
    /// A line for each reason, with the conventions that it keeps out.
    pub fn lines(left_out: &[Self]) -> Vec<String> {
        let first = |(i, out): (usize, &Self)| {
            let same = |other: &Self| other.reason == out.reason;
            if left_out[..i].iter().any(same) {
                return None;
            }
            let names = left_out.iter().filter(|other| same(other));
            let names: Vec<String> =
                names.map(|out| format!("{} of {}", out.preset, out.extractor)).collect();
            Some(format!("{}: {}", names.join(", "), out.reason))
        };
        left_out.iter().enumerate().filter_map(first).collect()
    }
}

/// Scores one pair of sets under the conventions of all tools.
///
/// Each image is decoded once, and passes once through each network for each different input: tools
/// that differ in their covariance or their splits alone share the features, and resizes that leave
/// an image as it is share the pass. The metrics of the tools are computed where the tool has them;
/// any other metric, on the features of every tool.
///
/// ```
/// # fn main() -> ganscope::Result<()> {
/// use ganscope::score::compare::{ComparePresetsRequest, compare_presets};
///
/// let mut request = ComparePresetsRequest {
///     generated: "models/samples".into(),
///     reference: "fashion-test".into(),
///     metrics: Some(vec!["fid".into()]),
///     ..ComparePresetsRequest::default()
/// };
/// request.features.extractor = Some("fashion-cnn".into());
/// # request.features.cache = ganscope::features::Cache::Off;
/// let found = compare_presets(&request, &mut ())?;
/// // The shipped statistics are those of one resize; the other presets are left out.
/// assert_eq!(found.tables[0].rows.len(), 3);
/// assert_eq!(found.left_out.len(), 2);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the request is not sound, a set cannot be read, no convention is left, the sets do not suffice
/// for a metric that was asked for by name, or the task is stopped.
pub fn compare_presets(
    request: &ComparePresetsRequest,
    watch: &mut dyn Watch,
) -> Result<PresetComparison> {
    request.check()?;
    let open = |name: &String| Source::open(name, &request.features.set_options());
    let sources = [open(&request.generated)?, open(&request.reference)?];
    sources.iter().try_for_each(refuse_one_image)?;
    let metrics = request.metrics()?;
    if request.metrics.is_some() {
        // The Inception Score is taken in the parts of each tool.
        for metric in metrics.iter().filter(|metric| metric.name() != "is") {
            let sides = sources.iter().zip([Side::Generated, Side::Reference]);
            let mut lacks = sides.filter_map(|(set, side)| lacks_images(&**metric, set, side));
            lacks.next().map_or(Ok(()), Err)?;
        }
    }
    let mut warned = Warned::new(watch);
    let needs = metrics.iter().fold(Needs::NONE, |needs, metric| {
        needs | metric.needs(Side::Generated) | metric.needs(Side::Reference)
    });
    let mut lanes = Lanes::open(&request.features, needs, warned.watch)?;
    lanes.keep_comparable(&sources);
    lanes.check()?;
    let sets = lanes.gather(&request.features, &sources, warned.watch)?;

    let mut tables: Vec<ConventionTable> = Vec::new();
    for lane in &lanes.all {
        let part = needs & lanes.networks[lane.network].computes();
        let pair = [sets[0].of_lane(lane, part)?, sets[1].of_lane(lane, part)?];
        for (preset, tool) in &lane.members {
            let scored = ToolScores { request, tool, lane, lanes: &lanes };
            let scores = scored.compute(&metrics, &pair, &sets, &mut warned)?;
            ConventionTable::of(&mut tables, &lane.convention).push(
                preset.name,
                tool,
                lane,
                scores,
            );
        }
    }
    tables.iter_mut().for_each(ConventionTable::finish);
    tables.retain(|table| !table.columns.is_empty());
    if tables.is_empty() {
        let message = "the sets suffice for none of the metrics";
        return Err(Error::request(message).with_hint(Hint::of("give more images")));
    }
    let [generated, reference] = [&sets[0].gathered, &sets[1].gathered];
    let widest = lanes.networks.iter().max_by_key(|e| e.network.feature_dim()).map(network);
    warned.extend(warnings::about_sets(&[generated, reference], needs, widest));
    warned.extend(warnings::about_pair(generated, reference));
    Ok(PresetComparison {
        tables,
        left_out: lanes.left_out,
        generated: generated.facts.clone(),
        reference: reference.facts.clone(),
        options: request.options,
        passes: sets.iter().map(|set| set.passes).sum(),
        warnings: warned.warnings,
    })
}

/// Metrics that are computed unless others are asked for.
const DEFAULT: &[&str] = &["is", "fid", "kid"];

impl ComparePresetsRequest {
    /// Checks all of the request that does not depend on the sets.
    fn check(&self) -> Result<()> {
        self.features.check()?;
        if self.generated.is_empty() || self.reference.is_empty() {
            return Err(Error::request("a generated and a reference set are compared")
                .with_hint(Hint::of("give {generated} and {reference}")));
        }
        let field = match (&self.features.preset, &self.features.resize) {
            (Some(_), _) => "preset",
            (_, Some(_)) => "resize",
            (None, None) => return Ok(()),
        };
        Err(Error::request(format!("a comparison of all conventions has no `{field}`"))
            .with_hint(Hint::of("leave it out, or take one convention with {score.}")))
    }

    /// The metrics.
    fn metrics(&self) -> Result<Vec<Box<dyn Metric>>> {
        let asked = self.metrics.as_deref();
        let chosen = choose(asked, DEFAULT, &self.options, true)?;
        match chosen.metrics.iter().find(|metric| metric.needs_held_out()) {
            None => Ok(chosen.metrics),
            Some(metric) => Err(Error::request(format!("{} compares three sets", metric.title()))),
        }
    }
}

/// The way of one tool from features to scores.
struct ToolScores<'a> {
    request: &'a ComparePresetsRequest,
    tool: &'a Tool,
    lane: &'a Lane,
    lanes: &'a Lanes,
}

impl ToolScores<'_> {
    /// The scores of the tool; those that it does not have, or that the sets do not suffice for, are
    /// missing.
    fn compute(
        &self,
        metrics: &[Box<dyn Metric>],
        pair: &[FeatureSet; 2],
        sets: &[Set; 2],
        warned: &mut Warned<'_>,
    ) -> Result<Vec<Row>> {
        let pair = match self.tool.covariance {
            Covariance::Unbiased => pair.clone(),
            Covariance::Biased => [biased(&pair[0])?, biased(&pair[1])?],
        };
        let [generated, reference] = &pair;
        let computes = self.lanes.networks[self.lane.network].computes();
        let extractor = &self.lane.convention.extractor;
        let (path, against) = (&sets[0].gathered.facts.path, &sets[1].gathered.facts.path);
        let mut rows = Vec::new();
        for metric in metrics {
            if self.others_have(metric.name()) && !self.tool.metrics.contains(&metric.name()) {
                continue;
            }
            let title = metric.title();
            let missing = metric.needs(Side::Generated).difference(computes);
            if missing != Needs::NONE {
                let text = format!("{title} is left out: {extractor} does not compute {missing}");
                let asked = self.request.metrics.is_some();
                warned.extend(asked.then(|| Warning::from(text)));
                continue;
            }
            let own = self.splits(generated).map(|own| Box::new(own) as Box<dyn Metric>);
            let own = own.filter(|own| own.name() == metric.name());
            if metric.name() == "is" && own.is_none() {
                let text = format!("{title} of {} has parts of unequal size", self.tool.name);
                warned.extend([Warning::from(text + ", and is left out")]);
                continue;
            }
            let metric = own.as_ref().unwrap_or(metric);
            if let Err(error) = metric.check(generated, Some(reference)) {
                let error = named(error.into(), &**metric, path);
                if self.request.metrics.is_some() {
                    return Err(error);
                }
                let text = format!("{title} skipped: {}", error.cause());
                warned.extend([Warning { text, hint: error.hint() }]);
                continue;
            }
            let scores = score_set(path, generated, Some(reference), std::slice::from_ref(metric))?;
            let convention = Some(&self.lane.convention);
            rows.extend(scores.into_iter().map(|s| Row::new(s, convention, path, Some(against))));
        }
        Ok(rows)
    }

    /// Whether a metric is one of the tools that take features of this extractor.
    fn others_have(&self, metric: &str) -> bool {
        let same = |lane: &&Lane| lane.convention.extractor == self.lane.convention.extractor;
        let mut tools = self.lanes.all.iter().filter(same).flat_map(|lane| &lane.members);
        tools.any(|(_, tool)| tool.metrics.contains(&metric))
    }

    /// The Inception Score with the parts of the tool, if it can have them.
    fn splits(&self, generated: &FeatureSet) -> Option<InceptionScore> {
        let options = &self.request.options;
        let equal = |shuffle| InceptionScore { splits: options.is_splits, shuffle };
        match self.tool.splits {
            Splits::Shuffled => Some(equal(Some(options.seed))),
            Splits::InOrder => Some(equal(None)),
            Splits::Of(size) => {
                let images = generated.logits.as_ref().map_or(0, Logits::len);
                let fits = images <= size || images.is_multiple_of(size);
                let splits = (images / size).max(1);
                fits.then_some(InceptionScore { splits, shuffle: None })
            }
        }
    }
}

/// The same set with the scatter divided by the number of images; sets of unknown numbers stay.
fn biased(set: &FeatureSet) -> Result<FeatureSet> {
    let biased = |stats: &FeatureStats| -> Result<FeatureStats> {
        let Some(count) = stats.count().filter(|&count| count > 1) else {
            return Ok(stats.clone());
        };
        let cov = stats.cov()? * ((count - 1) as f64 / count as f64);
        let moments = FeatureStats::from_cov(Some(count), stats.mean().clone(), cov)?;
        Ok(match stats.sample() {
            Some(sample) => moments.with_sample(sample.clone())?,
            None => moments,
        })
    };
    let stats = set.stats.as_ref().map(biased).transpose()?;
    let spatial = set.spatial.as_ref().map(biased).transpose()?;
    Ok(FeatureSet { stats, spatial, ..set.clone() })
}

impl ConventionTable {
    /// The table of features of a convention, whatever its resize and scaling.
    fn of<'t>(tables: &'t mut Vec<Self>, convention: &Convention) -> &'t mut Self {
        let is_same = |table: &Self| {
            table.extractor == convention.extractor
                && table.weights_sha256 == convention.weights_sha256
                && table.layer == convention.layer
        };
        let place = tables.iter().position(is_same).unwrap_or_else(|| {
            let Convention { extractor, weights_sha256, layer, .. } = convention.clone();
            tables.push(Self { extractor, weights_sha256, layer, columns: vec![], rows: vec![] });
            tables.len() - 1
        });
        &mut tables[place]
    }

    fn push(&mut self, preset: &'static str, tool: &Tool, lane: &Lane, scores: Vec<Row>) {
        for score in &scores {
            if self.columns.iter().all(|column| column.name != score.name) {
                self.columns.push(Column {
                    name: score.name.clone(),
                    title: score.title.clone(),
                    higher_is_better: score.higher_is_better,
                    spread: None,
                    extremes: None,
                });
            }
        }
        self.rows.push(ToolRow {
            tool: tool.name,
            also: tool.also,
            preset,
            resize: lane.convention.resize.clone(),
            scaling: lane.convention.scaling.clone(),
            splits: tool.splits,
            covariance: tool.covariance,
            scores: scores.into_iter().map(Some).collect(),
        });
    }

    /// Puts the scores of each tool below their columns, and finds the spreads.
    fn finish(&mut self) {
        for row in &mut self.rows {
            let found = std::mem::take(&mut row.scores);
            let of = |column: &Column| {
                found.iter().flatten().find(|score| score.name == column.name).cloned()
            };
            row.scores = self.columns.iter().map(of).collect();
        }
        for (i, column) in self.columns.iter_mut().enumerate() {
            let value = |row: &ToolRow| Some((row.scores[i].as_ref()?.value, row.tool));
            let values: Vec<(f64, &str)> = self.rows.iter().filter_map(value).collect();
            let order = |a: &&(f64, &str), b: &&(f64, &str)| a.0.total_cmp(&b.0);
            if values.len() > 1
                && let (Some(low), Some(high)) =
                    (values.iter().min_by(order), values.iter().max_by(order))
            {
                let largest = low.0.abs().max(high.0.abs());
                column.spread = Some(if largest > 0.0 { (high.0 - low.0) / largest } else { 0.0 });
                column.extremes = Some([low.1.to_owned(), high.1.to_owned()]);
            }
        }
    }
}

#[cfg(test)]
mod tests;
