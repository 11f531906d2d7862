//! Errors of downloads.

use std::io;
use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file cannot be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is neither that of a known file nor a [`Source`](crate::Source).
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
        /// Its SHA-256 or the first digits of it, where known.
        sha256: Option<String>,
        /// The HTTP status of the answer, if the server refused.
        status: Option<u16>,
        /// The reason.
        reason: String,
    },

    /// A file has another content than expected.
    #[error("`{what}` has the SHA-256 {found}, {expected} is expected")]
    Checksum {
        /// The file or its address.
        what: String,
        /// The expected digest, or its first digits.
        expected: String,
        /// The digest of the file.
        found: String,
    },

    /// A file of the cache cannot be read or written.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },

    /// The user has no home folder, and no environment variable names a cache folder.
    #[error("no home folder, and no variable that names a cache folder")]
    NoHome,
}

impl Error {
    /// The error of reading `path`.
    pub(crate) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action: "read", path: path.into(), source }
    }

    /// The error of writing `path`.
    pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action: "write", path: path.into(), source }
    }
}

/// Why one request failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The HTTP status, if the server refused.
    pub(crate) status: Option<u16>,
    /// The reason in words.
    pub(crate) reason: String,
    /// Whether the same request fails again, whenever it is made.
    lasts: bool,
}

impl Failure {
    /// The failure for a reason other than the status of an answer.
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { status: None, reason: reason.into(), lasts: false }
    }

    /// The failure of an answer with this status.
    pub(crate) fn of_status(status: u16) -> Self {
        let lasts = status < 500 && status != 408 && status != 429;
        Self { status: Some(status), reason: format!("the server answers {status}"), lasts }
    }

    /// Whether another attempt may succeed.
    pub(crate) fn may_pass(&self) -> bool {
        !self.lasts
    }

    /// The error of downloading `url`, a file with the digest `sha256`.
    pub(crate) fn of(self, url: &str, sha256: Option<&str>) -> Error {
        let Self { status, reason, .. } = self;
        Error::Download { url: url.to_owned(), sha256: sha256.map(str::to_owned), status, reason }
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::StatusCode(status) => Self::of_status(status),
            ureq::Error::HostNotFound => Self::new("the server is not found"),
            ureq::Error::TooManyRedirects
            | ureq::Error::RedirectFailed
            | ureq::Error::BadUri(_)
            | ureq::Error::RequireHttpsOnly(_) => {
                Self { status: None, reason: error.to_string(), lasts: true }
            }
            other => Self::new(other.to_string()),
        }
    }
}

/// A digest in words.
fn digest(sha256: Option<&str>) -> String {
    match sha256 {
        Some(digits) if digits.len() == 64 => format!("SHA-256 {digits}"),
        Some(digits) => format!("SHA-256 {digits}..."),
        None => "of unknown SHA-256".to_owned(),
    }
}
