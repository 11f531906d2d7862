//! What can go wrong with a latent.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors, by whose fault it is: the caller's, or the generator's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A list of seeds, styles or truncations that cannot be read.
    #[error("{what} `{text}`: {problem}; write them as `{form}`")]
    List {
        /// What the list holds.
        what: &'static str,
        /// The list as it was typed.
        text: String,
        /// What is wrong with it.
        problem: String,
        /// An example of the right form.
        form: &'static str,
    },
    /// A number is outside the range in which the request has a meaning.
    #[error("{name} is {got}, expected {expected}")]
    OutOfRange {
        /// Name of the number.
        name: &'static str,
        /// Its value.
        got: f64,
        /// The range, in words.
        expected: String,
    },
    /// A spline through points of which the last is not the first.
    #[error("a spline needs a closed walk, whose last point is its first")]
    OpenSpline,
    /// A walk in Z through style inputs.
    #[error("a walk in Z needs latents, and style inputs have none")]
    NoLatents,
    /// No plane lies between latents of high and of low score.
    #[error("no boundary: {0}")]
    Boundary(String),
    /// A generator whose images do not depend on its latents by known operations.
    #[error("the generator cannot be differentiated")]
    Undifferentiated,
    /// No optimizer has this name.
    #[error("`{0}`: expected adam or lbfgs")]
    Optimizer(String),
    /// Noise maps, which are normalized after each step, under L-BFGS, which knows no steps but its own.
    #[error("L-BFGS does not move noise maps")]
    MovedNoise,
    /// The state of a projection lacks a tensor, or has it in another shape.
    #[error("the state of the projection has no fitting `{0}`")]
    State(String),
    /// The generator failed.
    #[error(transparent)]
    Model(#[from] ganscope_model::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A statistic could not be computed.
    #[error(transparent)]
    Stats(#[from] ganscope_stats::Error),
}
