//! Errors of checkpoints.

use std::io;
use std::path::{Path, PathBuf};

use crate::Dtype;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a checkpoint cannot be read or written.
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
        /// The cause.
        source: Box<Self>,
    },

    /// The error `source` is about one array.
    #[error("cannot read the array `{name}`")]
    Array {
        /// The array.
        name: String,
        /// The problem.
        source: Box<Self>,
    },

    /// The operating system refused, or the stream ended early.
    #[error(transparent)]
    Io(#[from] io::Error),

    /// The bytes are of no format that this crate reads.
    #[error("no known checkpoint format: {found}")]
    UnknownFormat {
        /// A description of the file.
        found: String,
    },

    /// The bytes contradict their own format.
    #[error("malformed {format}: {detail}")]
    Malformed {
        /// The format, as `pickle` or `npy header`.
        format: &'static str,
        /// The contradiction.
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

    /// A pickle contains an instruction that no checkpoint needs.
    #[error("unknown pickle opcode 0x{opcode:02x} at byte {offset}")]
    UnknownOpcode {
        /// The instruction.
        opcode: u8,
        /// Its position in the pickle.
        offset: usize,
    },

    /// The file requests more than its size justifies.
    #[error("{what} of {asked} is beyond the limit of {limit}")]
    Limit {
        /// The quantity.
        what: &'static str,
        /// The amount that the file requests.
        asked: u64,
        /// The limit of this crate.
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

    /// The wanted entry contains no arrays.
    #[error("the entry `{key}` holds no arrays; the file holds {}", list(found))]
    EmptyEntry {
        /// The wanted name.
        key: String,
        /// The names that are there.
        found: Vec<String>,
    },

    /// Several entries contain arrays, and none has one of the customary names.
    #[error("several entries hold arrays: {}", list(found))]
    AmbiguousKey {
        /// The entries with arrays in them.
        found: Vec<String>,
    },

    /// Nothing in the file is an array.
    #[error("the file holds no arrays, only {}", list(found))]
    NoArrays {
        /// The names that are there.
        found: Vec<String>,
    },
}

impl Error {
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
