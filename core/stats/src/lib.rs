//! Features, their exact moments, and the linear algebra of scores.
//!
//! A [`FeatureSet`] contains the features of a set of images; a [`Metric`] turns one or two of them
//! into [`Score`]s. Moments are accumulated in float64 in an order that depends on the rows
//! alone, so neither the batch size nor the number of threads changes a digit.

mod chance;
mod feature_set;
mod features;
pub mod files;
pub mod linalg;
mod logits;
mod metric;
mod moments;
pub mod random;
mod sample;
mod softmax;
mod uncertainty;

pub use chance::Chance;
pub use feature_set::{FeatureBatch, FeatureSet, FeatureSetBuilder, Needs};
pub use features::Features;
pub use logits::{Logits, Rows};
pub use metric::{LeastImages, Metric, Parameter, Score, Side, Spread};
pub use moments::{FeatureStats, StatsBuilder};
pub use sample::{RowSample, SAMPLE};
pub use softmax::{entropy, softmax, softmax_into};
pub use uncertainty::{CONFIDENCE, Uncertainty};

/// Errors of features, statistics and the parameters of a metric.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two things that must be equally wide are not.
    #[error("{what} has {got} dimensions, expected {expected}")]
    Dimension {
        /// The set or part that is too wide or too narrow.
        what: &'static str,
        /// Dimensions it must have.
        expected: usize,
        /// Dimensions it has.
        got: usize,
    },
    /// A flat buffer does not consist of whole rows.
    #[error("{len} values cannot be divided into rows of {dim}")]
    RaggedRows {
        /// Values in the buffer.
        len: usize,
        /// Values of a row.
        dim: usize,
    },
    /// Two parts of a batch disagree about the number of images.
    #[error("{what} has {got} rows, expected {expected}")]
    RowCount {
        /// The part.
        what: &'static str,
        /// Rows it must have.
        expected: usize,
        /// Rows it has.
        got: usize,
    },
    /// A value is infinite or not a number.
    #[error("{what} contains an infinite value or NaN in row {row}")]
    NotFinite {
        /// The set or part that contains it.
        what: &'static str,
        /// First such row.
        row: usize,
    },
    /// A matrix that must be symmetric is not.
    #[error("the covariance is not symmetric: {lower} at [{row}, {column}], {upper} mirrored")]
    NotSymmetric {
        /// Row of the entry below the diagonal.
        row: usize,
        /// Its column.
        column: usize,
        /// The entry below the diagonal.
        lower: f64,
        /// The entry above it.
        upper: f64,
    },
    /// Too few samples for the requested quantity.
    #[error("{what} needs at least {needed} samples, got {got}")]
    TooFewSamples {
        /// The quantity.
        what: &'static str,
        /// Samples it needs.
        needed: usize,
        /// Samples there are.
        got: usize,
    },
    /// A set has fewer images than a metric needs.
    #[error(
        "{metric} needs at least {}{}; the {side} set has {got}",
        images(*needed),
        reason(*parameter)
    )]
    TooFewImages {
        /// Title of the metric.
        metric: &'static str,
        /// The set.
        side: Side,
        /// Images that the metric needs.
        needed: usize,
        /// Images of the set.
        got: usize,
        /// The option that sets `needed`, if a smaller value of it would help.
        parameter: Option<Parameter>,
    },
    /// A set does not contain what a metric needs.
    #[error("{metric} needs {part}; the {side} set contains only {held}")]
    Missing {
        /// Title of the metric.
        metric: &'static str,
        /// The part that is missing.
        part: Needs,
        /// The set.
        side: Side,
        /// The parts that the set contains.
        held: Needs,
    },
    /// A batch or a set does not contain what has to be collected or written.
    #[error("{what} does not contain {part}")]
    Lacks {
        /// The batch or set.
        what: &'static str,
        /// The part that is missing.
        part: &'static str,
    },
    /// A metric compares with a reference, and there is none.
    #[error("{metric} needs a reference set")]
    NoReference {
        /// Title of the metric.
        metric: &'static str,
    },
    /// A metric compares with held-out images, and there are none.
    #[error("{metric} needs held-out images")]
    NoHeldOut {
        /// Title of the metric.
        metric: &'static str,
    },
    /// Two sets contain different parts, so they cannot be merged.
    #[error(
        "different parts cannot be merged: the first set contains {first}, the second {second}"
    )]
    PartsDiffer {
        /// Parts of the first set.
        first: Needs,
        /// Parts of the second set.
        second: Needs,
    },
    /// The number of images behind mean and covariance is needed and unknown.
    #[error("the mean and covariance come without the number of images")]
    UnknownCount,
    /// A file of statistics does not contain the number of images.
    #[error(
        "cannot merge `{}`: it does not contain the number of its images (npz files of other \
         programs never do)",
        path.display()
    )]
    Uncounted {
        /// The file.
        path: std::path::PathBuf,
    },
    /// A file of statistics does not fit to those before it.
    #[error("cannot merge `{}`", path.display())]
    Merge {
        /// The file.
        path: std::path::PathBuf,
        /// The difference.
        source: Box<Self>,
    },
    /// A parameter is outside its domain.
    #[error("{name} must be {expected}, got {got}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// Its domain.
        expected: &'static str,
        /// The value given.
        got: String,
    },
    /// A matrix that must be square is not.
    #[error("the matrix is not square but {rows} x {columns}")]
    NotSquare {
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
    },
    /// A covariance has a negative eigenvalue.
    #[error(
        "the covariance is not positive semidefinite: off by {lost:.2e} for a trace of {trace:.2e}"
    )]
    NotPsd {
        /// By how much the trace of the nearest such matrix differs.
        lost: f64,
        /// The trace.
        trace: f64,
    },
    /// Features were computed under different conditions.
    #[error("the features were computed under other conditions: {differences}")]
    OtherConvention {
        /// Every difference.
        differences: String,
    },
    /// A file contains something else.
    #[error("not a file of statistics: {0}")]
    NotStatistics(String),
    /// A file is at fault.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// The problem.
        source: Box<Self>,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] ganscope_weights::Error),
    /// Rows that are not in memory cannot be read.
    #[error("cannot read stored rows")]
    Rows(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An iteration did not converge.
    #[error("the {0} did not converge")]
    NoConvergence(&'static str),
}

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

fn images(n: usize) -> String {
    if n == 1 { "1 image".into() } else { format!("{n} images") }
}

fn reason(parameter: Option<Parameter>) -> String {
    parameter.map(|parameter| format!(" ({parameter})")).unwrap_or_default()
}

/// Checks that `value` of the option `name` is within its range, which `expected` states.
///
/// # Errors
/// [`Error::Parameter`] unless `holds`.
pub fn check_parameter(
    name: &'static str,
    value: impl ToString,
    expected: &'static str,
    holds: bool,
) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Parameter { name, expected, got: value.to_string() }) }
}

impl Error {
    /// The error of reading `path`; an error that names its file already stays unchanged.
    fn reading(path: &std::path::Path) -> impl FnOnce(Self) -> Self {
        move |source| match source {
            Self::File(error @ ganscope_weights::Error::File { .. }) => Self::File(error),
            source => Self::Read { path: path.into(), source: Box::new(source) },
        }
    }
}
