//! What can go wrong while a checkpoint is read, written or fetched.

use std::io;
use std::path::{Path, PathBuf};

use crate::Dtype;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a checkpoint cannot be read, written or fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The error `source` happened to the file `path`.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What happened.
        source: Box<Self>,
    },

    /// The error `source` is about one array.
    #[error("cannot read the array `{name}`")]
    Array {
        /// The array.
        name: String,
        /// What is wrong with it.
        source: Box<Self>,
    },

    /// The operating system refused, or the stream ended early.
    #[error(transparent)]
    Io(#[from] io::Error),

    /// The bytes are of no format that this crate reads.
    #[error("no known checkpoint format: {found}")]
    UnknownFormat {
        /// What the file looks like.
        found: String,
    },

    /// The bytes contradict their own format.
    #[error("malformed {format}: {detail}")]
    Malformed {
        /// The format, as `pickle` or `npy header`.
        format: &'static str,
        /// What contradicts what.
        detail: String,
    },

    /// A pickle wants to call something that is not on the list of harmless globals.
    #[error("the pickle asks for `{module}.{name}`, which is not on the list of allowed globals")]
    ForbiddenGlobal {
        /// Python module.
        module: String,
        /// Name in that module.
        name: String,
    },

    /// A pickle holds an instruction that no checkpoint needs.
    #[error("unknown pickle opcode 0x{opcode:02x} at byte {offset}")]
    UnknownOpcode {
        /// The instruction.
        opcode: u8,
        /// Where it stands in the pickle.
        offset: usize,
    },

    /// The file asks for more than its size justifies.
    #[error("{what} of {asked} is beyond the limit of {limit}")]
    Limit {
        /// The quantity.
        what: &'static str,
        /// What the file asks for.
        asked: u64,
        /// What this crate allows.
        limit: u64,
    },

    /// The element type has no counterpart here.
    #[error("unsupported element type {dtype} of `{name}`")]
    UnsupportedDtype {
        /// Array.
        name: String,
        /// Its element type in the words of the format.
        dtype: String,
    },

    /// The number of bytes is not what shape and element type need.
    #[error("shape {shape:?} of {dtype} does not fit {bytes} bytes")]
    ShapeMismatch {
        /// The shape.
        shape: Vec<usize>,
        /// The element type.
        dtype: Dtype,
        /// Bytes that are there.
        bytes: usize,
    },

    /// The file has no entry of the wanted name.
    #[error("no entry `{key}`; the file holds {}", list(found))]
    MissingKey {
        /// The wanted name.
        key: String,
        /// The names that are there.
        found: Vec<String>,
    },

    /// The wanted entry holds no arrays.
    #[error("the entry `{key}` holds no arrays; the file holds {}", list(found))]
    EmptyEntry {
        /// The wanted name.
        key: String,
        /// The names that are there.
        found: Vec<String>,
    },

    /// Several entries hold arrays, and none has one of the customary names.
    #[error("several entries hold arrays: {}", list(found))]
    AmbiguousKey {
        /// The entries with arrays in them.
        found: Vec<String>,
    },

    /// No known file and no source of files is named so.
    #[error("unknown weights `{id}`")]
    UnknownId {
        /// The name.
        id: String,
    },

    /// A file cannot be downloaded.
    #[error("cannot download `{url}` ({}): {reason}", digest(sha256.as_deref()))]
    Download {
        /// Its address.
        url: String,
        /// The SHA-256 that it has, or its first digits, where it is known.
        sha256: Option<String>,
        /// What the network or the server says.
        reason: String,
    },

    /// A file is not the one that was meant.
    #[error("`{what}` has the SHA-256 {found}, {expected} is expected")]
    Checksum {
        /// The file or its address.
        what: String,
        /// The digest that it has to have, or its first digits.
        expected: String,
        /// The digest that it has.
        found: String,
    },

    /// Nothing in the file is an array.
    #[error("the file holds no arrays, only {}", list(found))]
    NoArrays {
        /// The names that are there.
        found: Vec<String>,
    },
}

/// Advice for a file that contradicts itself.
const DAMAGED: &str = "the file is damaged or was cut short; copy or download it again";

impl Error {
    /// Advice for the person at the terminal, where there is some.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File { source, .. } | Self::Array { source, .. } => source.hint(),
            Self::ForbiddenGlobal { .. } => Some(
                "only plain state dicts and NVIDIA snapshots are read, and no code in them is ever \
                 run; save the model's `state_dict()` instead"
                    .to_owned(),
            ),
            Self::UnknownFormat { .. } => Some(
                "checkpoints are safetensors, state dicts of PyTorch, NVIDIA snapshots (`.pkl`) and npz"
                    .to_owned(),
            ),
            Self::Malformed { .. }
            | Self::ShapeMismatch { .. }
            | Self::UnknownOpcode { .. }
            | Self::Limit { .. } => Some(DAMAGED.to_owned()),
            Self::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Some(DAMAGED.to_owned())
            }
            Self::MissingKey { .. } | Self::EmptyEntry { .. } | Self::AmbiguousKey { .. } => {
                Some("name the entry to read with `--key NAME`".to_owned())
            }
            Self::UnknownId { .. } => Some(
                "`ganscope list` shows the known weights; `hub:OWNER/REPO/FILE` and addresses \
                 work too"
                    .to_owned(),
            ),
            Self::Download { reason, .. } if reason.ends_with("401") || reason.ends_with("403") => {
                Some("set `HF_TOKEN` to a token with access to the repository".to_owned())
            }
            Self::Download { .. } => Some(
                "download the file by other means and pass it with `--weights FILE`".to_owned(),
            ),
            Self::Checksum { .. } => Some(
                "the file is damaged or another one; delete it if it is in a cache, or pass a good \
                 copy with `--weights FILE`"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// The error of reading `path`.
    pub(crate) fn reading(path: &Path) -> impl FnOnce(Self) -> Self {
        move |source| Self::File { action: "read", path: path.into(), source: Box::new(source) }
    }

    /// The error of reading the array `name`.
    pub(crate) fn in_array(name: &str) -> impl FnOnce(Self) -> Self {
        move |source| Self::Array { name: name.to_owned(), source: Box::new(source) }
    }

    /// The error of writing `path`.
    pub(crate) fn writing(path: &Path) -> impl FnOnce(Self) -> Self {
        move |source| Self::File { action: "write", path: path.into(), source: Box::new(source) }
    }
}

/// `Err(Malformed)` of a format and a formatted detail.
macro_rules! malformed {
    ($format:expr, $($detail:tt)+) => {
        Err($crate::Error::Malformed { format: $format, detail: format!($($detail)+) })
    };
}
pub(crate) use malformed;

/// What is known of a digest.
fn digest(sha256: Option<&str>) -> String {
    match sha256 {
        Some(digits) if digits.len() == 64 => format!("SHA-256 {digits}"),
        Some(digits) => format!("SHA-256 {digits}..."),
        None => "of unknown SHA-256".to_owned(),
    }
}

/// The first names of a list, quoted.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 12;
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let rest = names.len().saturating_sub(SHOWN);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    shown.join(", ") + &more
}
