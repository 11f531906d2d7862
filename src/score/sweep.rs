//! Truncation sweeps: scores of one generator at many truncations.

pub mod figures;

use std::fmt::Write as _;

use ganscope_images::Image;
use ganscope_latent::Truncations;
use ganscope_stats::files::Convention;
use ganscope_stats::{FeatureSet, Side};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::chosen::choose;
use super::{Row, Task, VERSION, Warned, network, score_set, warnings};
use crate::checks::{at_least, within};
use crate::error::{Context as _, Error, Hint, Result};
use crate::features::{FeatureRequest, Gathered, Gatherer, SetFacts};
use crate::latents::codes::Codes;
use crate::latents::{Drawing, DrawingRequest, EACH};
use crate::metrics::MetricOptions;
use crate::source::Source;
use crate::watch::{Counter, Warning, Watch};

/// Images at each truncation unless told.
pub const IMAGES: usize = 5000;

/// Which generator is scored at which truncations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SweepRequest {
    /// The generator and its options; its truncation is replaced by those of the sweep, and a
    /// conditional generator without a class draws [`EACH`] class.
    pub drawing: DrawingRequest,
    /// The truncations, at least one; in JSON a list, or a text such as `0.1:1.0:0.1`.
    #[serde(deserialize_with = "read_truncations")]
    pub truncations: Vec<f64>,
    /// The reference set: real images, or their statistics.
    pub reference: String,
    /// Names of the metrics.
    pub metrics: Vec<String>,
    /// Options of the metrics.
    pub options: MetricOptions,
    /// How images become features; `num` is the number of images at each truncation, [`IMAGES`] if
    /// missing, at least 2.
    pub features: FeatureRequest,
    /// First seed; image `i` has this seed plus `i`, at every truncation.
    pub first_seed: u32,
    /// Samples in a row of the grid, at least 1.
    pub columns: usize,
    /// A file of style inputs that the grid shows instead of the first seeds, each under all truncations.
    pub ws: Option<std::path::PathBuf>,
    /// Whether sets are compared that were taken under different conventions.
    pub force: bool,
}

fn read_truncations<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Truncated {
        One(f64),
        List(Vec<f64>),
        Text(String),
    }
    match Truncated::deserialize(from)? {
        Truncated::One(truncation) => Ok(vec![truncation]),
        Truncated::List(truncations) => Ok(truncations),
        Truncated::Text(text) => {
            text.parse().map(|Truncations(list)| list).map_err(serde::de::Error::custom)
        }
    }
}

impl Default for SweepRequest {
    fn default() -> Self {
        Self {
            drawing: DrawingRequest { batch: 16, ..DrawingRequest::default() },
            truncations: (1..=10).map(|i| f64::from(i) / 10.0).collect(),
            reference: String::new(),
            metrics: ["is", "fid", "prdc"].map(str::to_owned).to_vec(),
            options: MetricOptions::default(),
            features: FeatureRequest::default(),
            first_seed: 0,
            columns: 10,
            ws: None,
            force: false,
        }
    }
}

/// Scores at one truncation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// The truncation: psi, or the threshold of BigGAN.
    pub truncation: f64,
    /// The scores.
    pub scores: Vec<Row>,
}

/// The result of a sweep.
#[derive(Debug, Clone, Serialize)]
pub struct Sweep {
    /// The model as it was named.
    pub model: String,
    /// Its family, its class, and how latents were drawn for it.
    pub generator: Map<String, Value>,
    /// The reference set as it was named.
    pub reference: String,
    /// Images of the reference set, where they are counted.
    pub reference_images: Option<u64>,
    /// How stored statistics of the reference were taken, where they tell.
    pub reference_convention: Option<Convention>,
    /// Images at each truncation.
    pub images: usize,
    /// First seed; image `i` has this seed plus `i`, at every truncation.
    pub first_seed: u32,
    /// Extractor, its weights, layer, resize and scaling.
    pub convention: Convention,
    /// Options of the metrics.
    pub metrics: Value,
    /// What may mislead.
    pub warnings: Vec<Warning>,
    /// Version of this library.
    pub ganscope: &'static str,
    /// The request, without what does not affect the results: batches, devices, the cache.
    pub request: SweepRequest,
    /// The points, in the order asked for.
    pub points: Vec<Point>,
    /// The same seeds at every truncation: a row of pictures per point.
    #[serde(skip)]
    pub samples: Vec<Vec<Image>>,
}

/// Generates and scores at many truncations. Images go from the generator to the extractor without
/// touching the disk; a sweep that was stopped continues where it was, if features are kept.
///
/// # Errors
/// If the request is not sound, a network or the reference cannot be read, or the task is stopped.
pub fn sweep(request: &SweepRequest, watch: &mut dyn Watch) -> Result<Sweep> {
    let SweepRequest { drawing, truncations, features, first_seed, .. } = request;
    features.check()?;
    let images = features.num.unwrap_or(IMAGES);
    at_least("num", images, 2)?;
    within("columns", request.columns, 1..=1000)?;
    if truncations.is_empty() {
        return Err(Error::request("no truncation").with_hint(Hint::of("give {truncations}")));
    }
    let last = u32::try_from(images).ok().and_then(|images| first_seed.checked_add(images));
    let Some(last) = last else {
        return Err(Error::request(format!(
            "{images} seeds from {first_seed} go beyond {}",
            u32::MAX
        ))
        .with_hint(Hint::of("begin at a lower {first_seed}")));
    };
    let chosen = choose(Some(&request.metrics), &[], &request.options, true)?;
    if let Some(metric) = chosen.metrics.iter().find(|metric| metric.needs_held_out()) {
        let message = format!("{} compares three sets, and a sweep has two", metric.title());
        return Err(Error::request(message).with_hint(Hint::of("name other {metrics}")));
    }
    let reference = Source::open(&request.reference, &features.set_options())?;

    let mut warned = Warned::new(watch);
    let mut drawing = open_drawing(drawing, truncations, warned.watch)?;
    for &truncation in truncations {
        drawing.set_truncation(truncation)?;
    }
    let needs = chosen.needs(Side::Generated);
    let extractor = features.open_extractor(needs, reference.convention(), warned.watch)?;
    let convention = &extractor.convention;
    let task = Task { chosen: &chosen, features, force: request.force };
    task.check_convention(&reference, Some(convention), &mut warned)?;
    let of_reference = chosen.needs(Side::Reference);
    // The number of images is that of the generated ones.
    let whole = FeatureRequest { num: None, ..features.clone() };
    let gathered =
        Gatherer::new(&whole, &extractor).gather(&reference, of_reference, warned.watch)?;

    let model = &request.drawing.model;
    let generated = SetFacts {
        path: model.clone(),
        images: Some(images as u64),
        convention: Some(convention.clone()),
        skipped: Vec::new(),
    };
    let (set, survey, places) = (FeatureSet::default(), None, Vec::new());
    let generated = Gathered { set, facts: generated, survey, places, rows: None };
    let sets = [&generated, &gathered];
    warned.extend(warnings::about_sets(&sets, of_reference, Some(network(&extractor))));
    if chosen.metrics.iter().any(|metric| metric.name() == "is") {
        warned.extend(warnings::about_splits(&[&generated.facts], request.options.is_splits));
    }

    let mut gatherer = Gatherer::new(features, &extractor);
    let mut points = Vec::new();
    for (&truncation, label) in truncations.iter().zip(labels(truncations)) {
        drawing.set_truncation(truncation)?;
        let what = format!("truncation {label}");
        let seeds = *first_seed..last;
        let set = gatherer.gather_generated(&drawing, seeds, needs, &what, warned.watch)?;
        let scores = score_set(model, &set, Some(&gathered.set), &chosen.metrics)
            .with_context(|| what.clone())?;
        let row = |score| Row::new(score, Some(convention), model, Some(reference.name()));
        let scores: Vec<Row> = scores.into_iter().map(row).collect();
        let listed: Vec<_> = scores.iter().map(|s| format!("{} {:.4}", s.title, s.value)).collect();
        warned.watch.note(&format!("{what}: {}", listed.join(", ")));
        points.push(Point { truncation, scores });
    }
    let mut options = serde_json::to_value(MetricOptions { nearest_k: None, ..request.options })?;
    options["nearest_k"] = serde_json::to_value(chosen.nearest_k(&request.options))?;
    Ok(Sweep {
        model: model.clone(),
        generator: drawing.conditions(),
        reference: reference.name().into(),
        reference_images: gathered.facts.images,
        reference_convention: gathered.facts.convention.clone(),
        images,
        first_seed: *first_seed,
        convention: convention.clone(),
        metrics: options,
        samples: samples(request, &mut drawing, warned.watch)?,
        warnings: warned.warnings,
        ganscope: VERSION,
        request: figures::decisive(request),
        points,
    })
}

/// Opens the generator; a conditional one without a class draws each.
fn open_drawing(
    request: &DrawingRequest,
    truncations: &[f64],
    watch: &mut dyn Watch,
) -> Result<Drawing> {
    Drawing::open_with_class(
        &DrawingRequest { truncation: truncations[0], ..request.clone() },
        EACH,
        watch,
    )
}

/// The same seeds, or style inputs of a file, at every truncation.
fn samples(
    request: &SweepRequest,
    drawing: &mut Drawing,
    watch: &mut dyn Watch,
) -> Result<Vec<Vec<Image>>> {
    let seeds: Vec<u32> = (request.first_seed..).take(request.columns).collect();
    let codes = request.ws.as_deref().map(Codes::read).transpose()?;
    let ws = codes.map(|codes| codes.of(&*drawing.generator.network)).transpose()?;
    let columns = ws.as_ref().map_or(seeds.len(), |ws| ws.dims()[0]);
    within("columns", columns, 1..=1000)?;
    let total = request.truncations.len() * columns;
    let mut counter = Counter::new(watch, "samples of the grid", 0, total);
    let mut rows = Vec::new();
    for &truncation in &request.truncations {
        drawing.set_truncation(truncation)?;
        if let Some(ws) = &ws {
            let made = drawing.render(&drawing.truncated(ws)?)?;
            made.iter().try_for_each(|_| counter.add())?;
            rows.push(made);
            continue;
        }
        let mut row = Vec::new();
        for batch in drawing.pictures(seeds.iter().copied()) {
            for image in batch? {
                row.push(image);
                counter.add()?;
            }
        }
        rows.push(row);
    }
    Ok(rows)
}

impl Sweep {
    /// One line per truncation, one column per score; a standard deviation follows its score.
    pub fn csv(&self) -> String {
        let mut csv = "truncation".to_owned();
        for row in self.points.first().map_or(&[][..], |p| &p.scores) {
            let std = row.std.map(|_| format!(",{}_std", row.name)).unwrap_or_default();
            write!(csv, ",{}{std}", row.name).expect("writing to a string");
        }
        for point in &self.points {
            write!(csv, "\n{}", point.truncation).expect("writing to a string");
            for row in &point.scores {
                let std = row.std.map(|std| format!(",{std}")).unwrap_or_default();
                write!(csv, ",{}{std}", row.value).expect("writing to a string");
            }
        }
        csv + "\n"
    }

    /// The best value of the score `i`.
    pub(crate) fn best(&self, i: usize) -> f64 {
        let better = |a: f64, row: &Row| {
            if row.higher_is_better { a.max(row.value) } else { a.min(row.value) }
        };
        self.points.iter().map(|p| &p.scores[i]).fold(f64::NAN, better)
    }
}

/// Truncations in one number of digits: as many as one of them has, four at most.
pub(crate) fn labels(truncations: &[f64]) -> Vec<String> {
    let digits = |truncation: &f64| {
        let text = format!("{truncation:.4}");
        text.trim_end_matches('0').split('.').nth(1).map_or(0, str::len)
    };
    let digits = truncations.iter().map(digits).max().unwrap_or(0);
    truncations.iter().map(|truncation| format!("{truncation:.digits$}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_equally_many_digits() {
        assert_eq!(labels(&[0.2, 0.8, 1.0]), ["0.2", "0.8", "1.0"]);
        assert_eq!(labels(&[0.5, 0.505, -1.0]), ["0.500", "0.505", "-1.000"]);
        assert_eq!(labels(&[1.0, 2.0]), ["1", "2"]);
    }
}
