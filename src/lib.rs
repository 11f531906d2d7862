//! ganscope scores generated image sets, explores latent spaces and looks inside networks.
//!
//! Each task is a function of a request: plain data that serializes both ways, with the published
//! protocol as default. Results are data, too; drawing them is a separate step. Progress goes to a
//! [`Watch`], which can also stop a task. [`catalog`] lists everything that can be asked for by
//! name.

pub mod cache;
pub mod catalog;
mod checks;
pub mod error;
pub mod explain;
pub mod features;
pub mod figures;
pub mod files;
pub mod hint;
pub mod latents;
pub mod listing;
pub mod metrics;
pub mod models;
mod names;
pub mod preset;
pub mod requests;
pub mod score;
pub mod source;
mod text;
pub mod watch;

pub use error::{Error, Hint, Kind, Result};
pub use watch::{Step, Unit, Warning, Watch};

// The crates below, for those who build on their types.
pub use ganscope_biggan as biggan;
pub use ganscope_explain as methods;
pub use ganscope_hub as hub;
pub use ganscope_images as images;
pub use ganscope_kernels::{keep_memory, pool};
pub use ganscope_latent as latent;
pub use ganscope_model as model;
pub use ganscope_r3gan as r3gan;
pub use ganscope_stats as stats;
pub use ganscope_stylegan as stylegan;
pub use ganscope_weights as weights;

/// The examples of the page about the library.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
struct LibraryPage;
