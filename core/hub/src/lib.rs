//! Downloads of weights: a table of [`KNOWN`] files, the Hugging Face hub, and plain addresses.
//!
//! Files of the hub are kept in the layout that all hub clients share, other files in the cache
//! folder of this project. A file gets its name only when it is complete and its digest is right;
//! an interrupted download continues where it stopped.
//!
//! # Why the client is written here
//!
//! Of the crate `hf-hub` only the cache layout is used. Its client (version 0.5) compares no
//! digest, reads files of the hub alone, and panics on some answers of a server. When it resumes
//! a download and the server answers 200 with the whole file, it appends the file to the part
//! that it has. This client
//!
//! - compares the SHA-256 of each file, where it is published, also of a cached file;
//! - downloads from plain addresses, where many published weights are;
//! - sends the access token to the hub alone, never to the server that a hub redirects to;
//! - continues with 206 and starts again with 200.
//!
//! ```
//! use ganscope_hub::{Hub, KNOWN};
//!
//! let hub = Hub::from_env()?;
//! for entry in KNOWN {
//!     let place = hub.cached(entry.id).map(|path| path.display().to_string());
//!     println!("{}: {}", entry.id, place.unwrap_or_else(|| hub.url(entry)));
//! }
//! # Ok::<(), ganscope_hub::Error>(())
//! ```

mod client;
mod error;
mod kept;
mod known;
mod metadata;
mod source;
mod transfer;

pub use client::{Hub, Progress};
pub use error::{Error, Result};
pub use kept::Kept;
pub use known::{KNOWN, Known, known};
pub use source::Source;
pub use transfer::sha256;
