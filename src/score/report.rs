//! Scores with the conditions they were taken under.

use std::collections::BTreeMap;

use ganscope_stats::Score;
use ganscope_stats::files::Convention;
use serde::Serialize;

use super::by_class::ClassScores;
use super::chosen::title;
use super::differences::{LEVEL, ScoreDifferences};
use super::{ScoreRequest, VERSION};
use crate::features::SetFacts;
use crate::metrics::MetricOptions;
use crate::watch::Warning;

/// A score of one set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The generated set.
    pub generated: String,
    /// The reference set, where there is one.
    pub reference: Option<String>,
    /// Name of the score, as `fid`.
    pub name: String,
    /// Name for people, as `FID` or `FD (fashion-cnn)`.
    pub title: String,
    /// The value, in full precision.
    pub value: f64,
    /// Standard deviation over splits or subsets, where the metric has any.
    pub std: Option<f64>,
    /// Standard error over other draws of equally many generated images, where it is known.
    pub standard_error: Option<f64>,
    /// Ends of the 95 % confidence interval, where one holds.
    pub interval: Option<[f64; 2]>,
    /// Whether a larger value is better.
    pub higher_is_better: bool,
}

/// Everything that another run needs for the same numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conditions {
    /// Version of this library.
    pub ganscope: &'static str,
    /// Preset that the rest started from.
    pub preset: String,
    /// Extractor, its weights, layer, resize and scaling; unknown if all sets are statistics
    /// without a convention.
    #[serde(flatten)]
    pub convention: Option<Convention>,
    /// The decoder of the images.
    pub decoder: &'static str,
    /// Options of the metrics; the numbers of neighbors are in `nearest_k`.
    #[serde(flatten)]
    pub options: MetricOptions,
    /// Number of neighbors that each metric of neighbors takes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub nearest_k: BTreeMap<&'static str, usize>,
    /// Whether different conventions were compared on request.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// The generated sets.
    pub generated: Vec<SetFacts>,
    /// The reference set.
    pub reference: Option<SetFacts>,
    /// The held-out set, where a metric reads one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<SetFacts>,
}

/// Scores with the conditions they were taken under.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The scores.
    pub scores: Vec<Row>,
    /// For each score, which differences of several generated sets are larger than chance.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<ScoreDifferences>,
    /// The scores of each class, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassScores>,
    /// The conditions.
    pub conditions: Conditions,
    /// Warnings about scores that may mislead.
    pub warnings: Vec<Warning>,
}

impl Report {
    /// The conditions in a line.
    pub fn summary(&self) -> String {
        let Conditions { generated, reference, convention, options, .. } = &self.conditions;
        let unknown = || "an unknown number of".to_owned();
        let images = |facts: &SetFacts| facts.images.map_or_else(unknown, |n| n.to_string());
        let generated: Vec<String> = generated.iter().map(images).collect();
        let mut parts = vec![format!("{} generated", generated.join(" + "))];
        parts.extend(reference.as_ref().map(|set| format!("{} reference images", images(set))));
        parts.push(convention.as_ref().map_or("unknown features".into(), ToString::to_string));
        parts.push(format!("seed {}", options.seed));
        if self.scores.iter().any(|row| row.standard_error.is_some()) {
            parts.push("± is the standard error".into());
        }
        if self.differences.iter().any(|of| of.letters.iter().any(Option::is_some)) {
            let level = 100.0 * LEVEL;
            parts.push(format!("sets that share a letter do not differ at {level} % (Holm)"));
        }
        if self.scores.iter().any(|row| row.std.is_some()) {
            parts.push("std is the standard deviation over splits or subsets".into());
        }
        parts.join("; ")
    }
}

/// The decoder of images.
const DECODER: &str = "as Pillow converts to RGB";

impl Row {
    pub(crate) fn new(
        score: Score,
        convention: Option<&Convention>,
        generated: &str,
        reference: Option<&str>,
    ) -> Self {
        Self {
            generated: generated.into(),
            reference: reference.map(Into::into),
            name: score.name.into(),
            title: title(&score, convention),
            value: score.value,
            std: score.std,
            standard_error: score.standard_error,
            interval: score.interval,
            higher_is_better: score.higher_is_better,
        }
    }
}

impl Conditions {
    /// The conditions that a request tells.
    pub(super) fn of(request: &ScoreRequest) -> Self {
        Self {
            ganscope: VERSION,
            preset: String::new(),
            convention: None,
            decoder: DECODER,
            options: MetricOptions { nearest_k: None, ..request.options },
            nearest_k: BTreeMap::new(),
            forced: request.force,
            generated: Vec::new(),
            reference: None,
            held_out: None,
        }
    }
}
