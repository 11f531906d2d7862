//! Features, their exact moments, and the linear algebra of scores.
//!
//! A [`FeatureSet`] is what a network says about a set of images; a [`Metric`] turns one or two of
//! them into [`Score`]s. Moments are accumulated in float64 in an order that depends on the rows
//! alone, so neither the batch size nor the number of threads changes a digit.

mod feature_set;
mod features;
pub mod files;
pub mod linalg;
mod logits;
mod metric;
mod moments;
pub mod random;

pub use feature_set::{FeatureBatch, FeatureSet, FeatureSetBuilder, Needs};
pub use features::Features;
pub use logits::{Logits, Rows};
pub use metric::{Metric, Score, Spread};
pub use moments::{FeatureStats, StatsBuilder};

/// What can be wrong with features, statistics, or the parameters of a metric.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two things that must be equally wide are not.
    #[error("{what} has {got} dimensions, expected {expected}")]
    Dimension {
        /// What was too wide or too narrow.
        what: &'static str,
        /// Dimensions it must have.
        expected: usize,
        /// Dimensions it has.
        got: usize,
    },
    /// A flat buffer does not hold whole rows.
    #[error("{len} values do not make whole rows of {dim}")]
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
    #[error("{what} holds a value that is not finite, in row {row}")]
    NotFinite {
        /// What holds it.
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
    /// A metric needs something that was not collected.
    #[error("{metric} needs {what}, which the {side} set does not hold")]
    Missing {
        /// Name of the metric.
        metric: &'static str,
        /// What it needs.
        what: &'static str,
        /// `generated` or `reference`.
        side: &'static str,
    },
    /// A metric compares with a reference, and there is none.
    #[error("{metric} needs a reference")]
    NoReference {
        /// Name of the metric.
        metric: &'static str,
    },
    /// Statistics of unknown count cannot be merged.
    #[error("statistics that do not tell their count cannot be merged")]
    UnknownCount,
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
    /// Features were taken under different conditions.
    #[error("taken under another convention: {differences}")]
    OtherConvention {
        /// Every difference.
        differences: String,
    },
    /// A file holds something else.
    #[error("no statistics: {0}")]
    NotStatistics(String),
    /// A file is at fault.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] ganscope_weights::Error),
    /// Rows that are kept elsewhere cannot be read.
    #[error("cannot read kept rows")]
    Rows(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An iteration did not converge.
    #[error("the {0} did not converge")]
    NoConvergence(&'static str),
}

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The error of reading `path`; what tells its file already stays as it is.
    fn reading(path: &std::path::Path) -> impl FnOnce(Self) -> Self {
        move |source| match source {
            Self::File(error @ ganscope_weights::Error::File { .. }) => Self::File(error),
            source => Self::Read { path: path.into(), source: Box::new(source) },
        }
    }
}
