//! Errors of reading and writing images.

use std::io;
use std::path::PathBuf;

use crate::Format;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an image or a set of images cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused to read.
    #[error("read `{}`", path.display())]
    Read {
        /// File or folder.
        path: PathBuf,
        /// Reason of the operating system.
        source: io::Error,
    },
    /// The file system refused to write.
    #[error("write `{}`: {reason}", path.display())]
    Write {
        /// File that was to be written.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// The file is neither an image nor a container of images.
    #[error(
        "find images in `{}`: expected a folder, a zip, tar, npz or npy file, or an image, found {found}",
        path.display()
    )]
    UnknownSource {
        /// File.
        path: PathBuf,
        /// A description of its first bytes.
        found: String,
    },
    /// An archive, an array in it, or one of its members is damaged or packed in an unknown way.
    #[error("unpack `{}`: {reason}", path.display())]
    Archive {
        /// Archive, followed by the name of the member that it is about.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// An archive, a member of it or a file of labels unpacks to more than the limit.
    #[error("unpack `{}`: {reason}", path.display())]
    OverLimit {
        /// Archive, followed by the name of the member that it is about.
        path: PathBuf,
        /// What was found, and the limit.
        reason: String,
    },
    /// The file of labels is not JSON.
    #[error("read labels of `{}`: {reason}", path.display())]
    Labels {
        /// File, in an archive preceded by the path of the archive.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// Nothing in the folder, archive or array is an image.
    #[error("find images in `{}`: expected {expected}, found {found}", path.display())]
    NoImages {
        /// Folder, archive or array.
        path: PathBuf,
        /// The formats that are recognized.
        expected: String,
        /// The content that was found.
        found: String,
    },
    /// The bytes begin like no image format that is read.
    #[error("decode `{name}`: expected an image ({expected}), found {found}")]
    UnknownFormat {
        /// Name of the image within its set.
        name: String,
        /// Formats that are read.
        expected: String,
        /// A description of the bytes.
        found: String,
    },
    /// The image is cut short or damaged, or uses a feature that is not read.
    #[error("decode `{name}`: unreadable {format}: {reason}")]
    Unreadable {
        /// Name of the image within its set.
        name: String,
        /// Format that its first bytes announce.
        format: Format,
        /// Reason of the decoder.
        reason: String,
    },
    /// The image claims more pixels than its file can plausibly contain.
    #[error(
        "decode `{name}`: claims {width} x {height} pixels, the limit{} is {limit}",
        if *is_packed { " for a file of its size" } else { "" }
    )]
    TooLarge {
        /// Name of the image within its set.
        name: String,
        /// Claimed width in pixels.
        width: u64,
        /// Claimed height in pixels.
        height: u64,
        /// Largest number of pixels that is accepted.
        limit: u64,
        /// Whether the size of the file sets this limit.
        is_packed: bool,
    },
    /// An array in memory is no set of images, or may be several.
    #[error("images in an array of shape {shape:?}: {reason}")]
    Array {
        /// Its shape.
        shape: Vec<usize>,
        /// The problem.
        reason: String,
        /// Whether naming the order of the axes would help.
        is_ambiguous: bool,
    },
    /// No order of axes has this name.
    #[error("axes `{found}`, expected NHWC, NCHW or NHW")]
    UnknownAxes {
        /// The name.
        found: String,
    },
    /// The worker threads cannot be started.
    #[error("start {threads} threads: {reason}")]
    Threads {
        /// How many were wanted.
        threads: usize,
        /// Reason of the operating system.
        reason: String,
    },
}

/// An error and its causes as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
