//! Errors of loading a generator.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file does not become a generator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tensors belong to something else.
    #[error("the file holds no StyleGAN generator, but {found}")]
    NotAGenerator {
        /// A description by the names of its tensors.
        found: String,
    },
    /// Neither the tensors nor the file's configuration determine a hyper-parameter.
    #[error("the file does not determine `{field}` of a {family} generator")]
    Undetermined {
        /// The hyper-parameter.
        field: &'static str,
        /// `StyleGAN2` and the like.
        family: &'static str,
        /// A configuration that fits the published networks.
        example: &'static str,
    },
    /// A hyper-parameter is malformed, unknown, contradictory, or of a variant that is not built.
    #[error("configuration: {0}")]
    Config(String),
    /// The tensors do not fit the configuration.
    #[error(transparent)]
    Model(#[from] ganscope_model::Error),
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}
