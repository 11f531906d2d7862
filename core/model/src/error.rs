//! Errors of loading and running networks.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors, by whose fault it is: the checkpoint's, the caller's, or the device's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The checkpoint lacks a tensor that the network needs.
    #[error("checkpoint has no tensor `{name}` of shape {shape:?}{}", but_has(.similar.as_deref()))]
    MissingTensor {
        /// Name that was looked for.
        name: String,
        /// Shape that the network needs.
        shape: Vec<usize>,
        /// A name in the file that resembles it.
        similar: Option<String>,
    },
    /// A tensor has another shape than the network needs.
    #[error("tensor `{name}` has shape {got:?}, expected {expected:?}")]
    WrongShape {
        /// Name of the tensor.
        name: String,
        /// Shape that the network needs.
        expected: Vec<usize>,
        /// Shape in the file.
        got: Vec<usize>,
    },
    /// The checkpoint contains tensors that the network does not use.
    #[error("checkpoint has {count} tensors that the network does not use, among them `{first}`")]
    Leftover {
        /// How many.
        count: usize,
        /// The first by name.
        first: String,
    },
    /// A hyper-parameter is missing, contradictory or out of range.
    #[error("configuration: {0}")]
    Config(String),
    /// The caller gave something that the network cannot take.
    #[error("{0}")]
    Input(String),
    /// Steps of a network do not fit together.
    #[error("step `{step}`: {problem}")]
    Graph {
        /// Name of the step.
        step: String,
        /// The problem.
        problem: String,
    },
    /// A network computed something that is no number, or beyond the range of numbers.
    #[error("{0} contain NaN or infinity: the weights are damaged, or too large")]
    NotFinite(&'static str),
    /// Whoever asked for it wants it no longer.
    #[error("stopped")]
    Stopped,
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// Features do not fit together.
    #[error(transparent)]
    Stats(#[from] ganscope_stats::Error),
    /// A checkpoint could not be read.
    #[error(transparent)]
    Weights(#[from] ganscope_weights::Error),
}

fn but_has(name: Option<&str>) -> String {
    name.map(|n| format!(" (but has `{n}`)")).unwrap_or_default()
}
