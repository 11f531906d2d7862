//! Errors of the library: what happened, of which kind, and what the user can do.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use crate::hint::Hint;

/// Result of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a task did not succeed.
///
/// The message of an error is that of its outermost layer; [`std::error::Error::source`] leads to
/// the layers below. [`kind`](Self::kind) tells a front end how to report it (an exit code, an HTTP
/// status, a class of exceptions) and [`hint`](Self::hint) what the user can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A problem that this library found itself.
    #[error("{message}")]
    Problem {
        /// The problem.
        message: String,
        /// Of which kind it is.
        kind: Kind,
        /// Advice.
        hint: Option<Hint>,
    },
    /// Another error, with the operation that failed.
    #[error("{message}")]
    Context {
        /// The operation that failed.
        message: String,
        /// Advice that replaces that of the error below.
        hint: Option<Hint>,
        /// The cause.
        source: Box<Self>,
    },
    /// The task was stopped through [`Watch::stop`](crate::Watch::stop). What was computed is kept
    /// where the request keeps features, and the next run of the same request continues there.
    #[error("stopped")]
    Cancelled,
    /// The operating system refused an operation on a file.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// `read`, `write` or the like.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Its reason.
        source: std::io::Error,
    },
    /// The operating system refused an operation.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file or a request is not the JSON that it should be.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Images cannot be read or written.
    #[error(transparent)]
    Images(#[from] ganscope_images::Error),
    /// A checkpoint or an array file cannot be read or written.
    #[error(transparent)]
    Weights(#[from] ganscope_weights::Error),
    /// Weights cannot be downloaded, or are not those that were meant.
    #[error(transparent)]
    Hub(#[from] ganscope_hub::Error),
    /// Statistics do not fit together, or lack a part.
    #[error(transparent)]
    Stats(#[from] ganscope_stats::Error),
    /// A checkpoint does not fit its network, or an input does not.
    #[error(transparent)]
    Model(#[from] ganscope_model::Error),
    /// A file does not become a StyleGAN.
    #[error(transparent)]
    StyleGan(#[from] ganscope_stylegan::Error),
    /// A latent tool was asked for something that has no meaning.
    #[error(transparent)]
    Latent(#[from] ganscope_latent::Error),
    /// A method of explanation does not suit the network.
    #[error(transparent)]
    Explain(#[from] ganscope_explain::Error),
    /// A figure cannot be drawn or encoded.
    #[error(transparent)]
    Figure(#[from] crate::figures::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Kinds of errors, so that a front end can react to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// The request contradicts itself, or asks for something that does not exist.
    BadRequest,
    /// Images, statistics or another input cannot be read, or an output cannot be written.
    UnreadableInput,
    /// A checkpoint is not one of the network that it was given for.
    UnfitCheckpoint,
    /// A file or a name is not there.
    NotFound,
    /// A download failed.
    Network,
    /// The task was stopped from outside.
    Cancelled,
    /// A defect of the library or of the machine.
    Internal,
}

impl Error {
    /// A request that cannot be carried out.
    pub fn request(message: impl Into<String>) -> Self {
        Self::problem(Kind::BadRequest, message)
    }

    /// A file or a name that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::problem(Kind::NotFound, message)
    }

    /// A problem of a kind.
    pub fn problem(kind: Kind, message: impl Into<String>) -> Self {
        Self::Problem { message: message.into(), kind, hint: None }
    }

    /// The same error of opening `model`; where it cannot be downloaded, its path is what helps.
    pub(crate) fn of_model(self, model: &str) -> Self {
        let hint = match &self {
            Self::Hub(ganscope_hub::Error::Download { url, status: None, .. }) => {
                of_download(url, "give its path as ", "model")
            }
            _ => return self,
        };
        let message = format!("open `{model}`");
        Self::Context { message, hint: Some(hint), source: Box::new(self) }
    }

    /// The same error with this hint. Errors of lower crates keep their own: add a
    /// [`Context`](Self::Context) first.
    #[must_use]
    pub fn with_hint(mut self, advice: impl Into<Hint>) -> Self {
        if let Self::Problem { hint, .. } | Self::Context { hint, .. } = &mut self {
            *hint = Some(advice.into());
        }
        self
    }

    /// The error of an operation on a file.
    pub(crate) fn file(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }

    /// The kind of the error.
    pub fn kind(&self) -> Kind {
        use ganscope_hub::Error as Hub;
        use ganscope_images::Error as Images;
        use ganscope_stats::Error as Stats;
        match self {
            Self::Problem { kind, .. } => *kind,
            Self::Context { source, .. } => source.kind(),
            Self::Cancelled | Self::Model(ganscope_model::Error::Stopped) => Kind::Cancelled,
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Kind::NotFound
            }
            Self::Hub(Hub::UnknownId { .. }) => Kind::NotFound,
            Self::Hub(_) => Kind::Network,
            Self::Images(Images::Array { .. } | Images::UnknownAxes { .. }) => Kind::BadRequest,
            Self::Images(Images::Read { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Kind::NotFound
            }
            Self::File { .. }
            | Self::Io(_)
            | Self::Images(_)
            | Self::Json(_)
            | Self::Weights(_)
            | Self::Stats(Stats::NotStatistics(_) | Stats::File(_)) => Kind::UnreadableInput,
            Self::Stats(_)
            | Self::Latent(_)
            | Self::Explain(_)
            | Self::Figure(_)
            | Self::Model(ganscope_model::Error::Input(_)) => Kind::BadRequest,
            Self::Model(_) | Self::StyleGan(_) => Kind::UnfitCheckpoint,
            Self::Tensor(_) => Kind::Internal,
        }
    }

    /// Advice for the user, if there is any.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Problem { hint, .. } => hint.clone(),
            Self::Context { hint: Some(hint), .. } => Some(hint.clone()),
            Self::Context { source, .. } => source.hint(),
            Self::Images(ganscope_images::Error::NoImages { path, found, .. })
                if found.contains('/') && path.is_dir() =>
            {
                Some(Hint::of("search the folders within it with {recursive}"))
            }
            Self::Images(ganscope_images::Error::TooLarge { is_packed: false, .. }) => {
                Some(Hint::of("raise the limit with {max_pixels}"))
            }
            Self::Images(
                ganscope_images::Error::TooLarge { .. } | ganscope_images::Error::OverLimit { .. },
            ) => Some(Hint::of("if the file is meant to be so large: {allow_large}")),
            Self::Images(ganscope_images::Error::Array { is_ambiguous: true, .. }) => {
                Some(Hint::of("tell the order of the axes with {axes}: `NHWC`, `NCHW` or `NHW`"))
            }
            Self::Weights(error) | Self::Model(ganscope_model::Error::Weights(error)) => {
                of_weights(error)
            }
            Self::Hub(error) => of_hub(error),
            Self::StyleGan(error) => of_stylegan(error),
            Self::Stats(error)
            | Self::Model(ganscope_model::Error::Stats(error))
            | Self::Latent(ganscope_latent::Error::Stats(error))
            | Self::Explain(ganscope_explain::Error::Stats(error)) => of_stats(error),
            Self::Explain(ganscope_explain::Error::Unsuited { method: "CAM", .. }) => {
                Some("`grad-cam` shows the same for any network".into())
            }
            _ => None,
        }
    }

    /// The innermost message.
    pub fn cause(&self) -> String {
        let mut below: &dyn std::error::Error = self;
        while let Some(error) = below.source() {
            below = error;
        }
        below.to_string()
    }

    /// The messages of all layers, the outermost first, with colons between them.
    pub fn report(&self) -> String {
        let mut report = self.to_string();
        let mut below = std::error::Error::source(self);
        while let Some(error) = below {
            report.push_str(": ");
            report.push_str(&error.to_string());
            below = error.source();
        }
        report
    }
}

/// Advice for a file that contradicts itself.
const DAMAGED: &str = "the file is damaged or was cut short; copy or download it again";

fn of_weights(error: &ganscope_weights::Error) -> Option<Hint> {
    use ganscope_weights::Error;
    Some(match error {
        Error::File { source, .. } | Error::Array { source, .. } => return of_weights(source),
        Error::ForbiddenGlobal { .. } => {
            "only plain state dicts and NVIDIA snapshots are read, and \
             no code in them is ever run; save the model's `state_dict()` instead"
                .into()
        }
        Error::UnknownFormat { .. } => {
            "checkpoints are safetensors, state dicts of PyTorch, NVIDIA \
             snapshots (`.pkl`) and npz"
                .into()
        }
        Error::Malformed { .. }
        | Error::ShapeMismatch { .. }
        | Error::UnknownOpcode { .. }
        | Error::Limit { .. } => DAMAGED.into(),
        Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => DAMAGED.into(),
        Error::MissingKey { .. } | Error::EmptyEntry { .. } | Error::AmbiguousKey { .. } => {
            Hint::of("name the entry to read with {key}")
        }
        _ => return None,
    })
}

fn of_hub(error: &ganscope_hub::Error) -> Option<Hint> {
    use ganscope_hub::Error;
    Some(match error {
        Error::UnknownId { .. } => Hint::of(
            "{list.} shows the known weights; `hub:OWNER/REPO/FILE` and addresses work too",
        ),
        Error::Download { status: Some(401 | 403), .. } => {
            "set `HF_TOKEN` to a token with access to the repository".into()
        }
        Error::Download { url, .. } => of_download(url, "pass it with ", "weights"),
        Error::Checksum { .. } => Hint::of(
            "the file is damaged or another one; delete it if it is in a cache, or pass a good copy \
             with {weights}",
        ),
        _ => return None,
    })
}

/// Advice for a file that cannot be downloaded: where a copy is looked for, or which field takes one.
fn of_download(url: &str, give: &'static str, field: &'static str) -> Hint {
    let place = ganscope_hub::Hub::from_env().ok().and_then(|hub| {
        let known = ganscope_hub::KNOWN.iter().find(|known| hub.url(known) == *url)?;
        Some(format!("save it as `{}`", hub.place(known.id).display()))
    });
    let get = "download the file by other means and ";
    match place {
        Some(place) => {
            let otherwise = format!("{get}{place}");
            Hint::from(get).then(place).then(", or ").then(give).field(field).or(otherwise)
        }
        None => Hint::from(get).then(give).field(field),
    }
}

fn of_stats(error: &ganscope_stats::Error) -> Option<Hint> {
    use ganscope_stats::{Error, Needs, Parameter};
    match error {
        Error::TooFewImages { parameter: Some(parameter), .. } => Some(Hint::of(match parameter {
            Parameter::IsSplits => "take fewer splits with {is_splits}, or name other {metrics}",
            Parameter::KidSubsetSize => {
                "take smaller subsets with {kid_subset_size}, or name other {metrics}"
            }
            Parameter::NearestK => "take fewer neighbors with {nearest_k}, or name other {metrics}",
            _ => return None,
        })),
        Error::Dimension { .. } => Some(Hint::of(
            "the sets have features of different networks; name that of the reference with \
             {extractor} or {layer}",
        )),
        Error::Missing { part, .. } if part.contains(Needs::SPATIAL) => {
            Some(Hint::of("give images, or statistics with them ({stats.spatial})"))
        }
        Error::Missing { .. } => {
            Some(Hint::of("give images, or statistics with them ({stats.rows})"))
        }
        Error::File(error) => of_weights(error),
        Error::Merge { source, .. } => of_stats(source),
        _ => None,
    }
}

fn of_stylegan(error: &ganscope_stylegan::Error) -> Option<Hint> {
    use ganscope_stylegan::Error;
    match error {
        Error::NotAGenerator { .. } => Some(Hint::of(
            "give a generator: BigGAN, R3GAN, or StyleGAN 1, 2, 3 or XL, as official file, state dict or \
             safetensors; {inspect.} shows what a file contains",
        )),
        Error::Undetermined { example, .. } => Some(
            Hint::of("give a JSON file with {config}; for the published networks it is ")
                .then(format!("`{example}`")),
        ),
        Error::Model(ganscope_model::Error::Weights(error)) => of_weights(error),
        _ => None,
    }
}

/// Adds the operation that failed to an error.
pub(crate) trait Context<T> {
    /// The same result, whose error begins with `message`.
    fn context(self, message: impl Into<String>) -> Result<T>;

    /// The same result, whose error begins with what `message` returns.
    fn with_context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, message: impl Into<String>) -> Result<T> {
        self.with_context(|| message)
    }

    fn with_context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| Error::Context {
            message: message().into(),
            hint: None,
            source: Box::new(error.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_every_layer_once() {
        let error: Result<()> = Err(Error::request("inner").with_hint("do this"));
        let error = error.context("middle").context("outer").unwrap_err();
        assert_eq!(error.report(), "outer: middle: inner");
        assert_eq!(error.kind(), Kind::BadRequest);
        assert_eq!(error.hint(), Some("do this".into()));
    }
}
