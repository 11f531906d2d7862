//! Scores with the conditions they were taken under, as a table or as JSON.

use std::io::Write as _;
use std::path::Path;

use anyhow::Result;
use ganscope_stats::Score;
use ganscope_stats::files::Convention;
use serde::Serialize;

/// Writes a text file that is whole or not there.
///
/// # Errors
/// When it cannot be written.
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    Ok(ganscope_weights::write_atomically(path, |file| Ok(file.write_all(text.as_bytes())?))?)
}

/// A score of one set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The generated set.
    pub generated: String,
    /// The reference set, where the metric has one.
    pub reference: Option<String>,
    /// Name of the metric, as `fid`.
    pub name: String,
    /// Name for people, as `FID` or `FD (fashion-cnn)`.
    #[serde(skip)]
    pub title: String,
    /// The value, in full precision.
    pub value: f64,
    /// Spread over splits or subsets, where the metric has one.
    pub std: Option<f64>,
    /// Whether a larger value speaks for the generated set.
    pub higher_is_better: bool,
}

/// One set of images, as it was read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetFacts {
    /// Path as given.
    pub path: String,
    /// Images that took part.
    pub images: Option<u64>,
    /// Names of the images that could not be read and were left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
}

/// Everything that another run needs to give the same numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conditions {
    /// Version of this program.
    pub ganscope: &'static str,
    /// Preset that the rest started from.
    pub preset: String,
    /// Extractor, its weights, layer, resize and scaling.
    #[serde(flatten)]
    pub convention: Convention,
    /// What decoded the images.
    pub decoder: String,
    /// Seed of shuffles and subsets.
    pub seed: u32,
    /// Splits of the Inception Score.
    pub is_splits: usize,
    /// Subsets of KID.
    pub kid_subsets: usize,
    /// Images in each subset of KID.
    pub kid_subset_size: usize,
    /// Neighbours of precision, recall, density and coverage, where others than each metric's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest_k: Option<usize>,
    /// The generated sets.
    pub generated: Vec<SetFacts>,
    /// The reference set.
    pub reference: Option<SetFacts>,
}

/// What `score` found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The scores.
    pub scores: Vec<Row>,
    /// The conditions.
    pub conditions: Conditions,
    /// What makes a number doubtful.
    pub warnings: Vec<String>,
}

impl Report {
    /// A report without scores yet.
    pub fn new(conditions: Conditions) -> Self {
        Self { scores: Vec::new(), conditions, warnings: Vec::new() }
    }
}

impl Row {
    /// The row of a score.
    pub fn new(score: Score, title: String, generated: &str, reference: Option<&str>) -> Self {
        Self {
            generated: generated.into(),
            reference: reference.map(Into::into),
            name: score.name.into(),
            title,
            value: score.value,
            std: score.std,
            higher_is_better: score.higher_is_better,
        }
    }

    /// The direction in words.
    pub fn direction(&self) -> &'static str {
        if self.higher_is_better { "better if higher" } else { "better if lower" }
    }
}
