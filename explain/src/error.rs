//! What can go wrong between an image and its explanation.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of explanations.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The target names a class or channel that there is not.
    #[error("no class {index} among {count}")]
    Class {
        /// Class or channel.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// A setting is out of range.
    #[error("{name} must be {expected}, got {got}")]
    Option {
        /// The setting.
        name: &'static str,
        /// What it can be.
        expected: &'static str,
        /// What it was.
        got: String,
    },
    /// The network has not the form that the method explains.
    #[error("{method} needs {needs}")]
    Unsuited {
        /// The method.
        method: &'static str,
        /// What the network lacks.
        needs: &'static str,
    },
    /// Maps, images or sets do not fit together.
    #[error("{what}: expected {expected}, got {got}")]
    Mismatch {
        /// What does not fit.
        what: &'static str,
        /// What would fit.
        expected: String,
        /// What there was.
        got: String,
    },
    /// The parts of an explanation do not sum to what they share out.
    #[error(
        "{method}: the map sums to {sum:.6}, but the answer differs by {difference:.6} from that to the \
         baseline; take more samples"
    )]
    Gap {
        /// The method.
        method: &'static str,
        /// The answer to the image less that to the baseline.
        difference: f64,
        /// The sum of the parts.
        sum: f64,
    },
    /// The network refused.
    #[error(transparent)]
    Model(#[from] ganscope_model::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// Features do not fit together.
    #[error(transparent)]
    Stats(#[from] ganscope_stats::Error),
}

/// `Ok` if `holds`, else the error that the option `name` must be `expected`.
pub(crate) fn require(
    holds: bool,
    name: &'static str,
    expected: &'static str,
    got: impl ToString,
) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Option { name, expected, got: got.to_string() }) }
}
