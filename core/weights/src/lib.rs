//! Checkpoint files of every kind as named arrays.
//!
//! [`read`] turns any of these into [`Weights`]: safetensors; the zip archives and the older
//! legacy files of `torch.save`; NVIDIA snapshots of StyleGAN networks; `.npz` and `.npy`. The
//! format is decided by the content, never by the file's name. Nothing in a file is ever run.
//!
//! A hostile file results in an [`Error`]: never a panic, never a hang, and never more memory than
//! some multiple of its size. Pickles take about a hundred bytes a byte, up to 400 MB; all arrays
//! of one file take at most 16 times its size, or 64 MiB if that is more.
//!
//! ```
//! use ganscope_weights::{Array, Weights, ReadOptions, read, write_safetensors};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("model.safetensors");
//! let mut weights = Weights::default();
//! weights.arrays.insert("fc.bias".to_owned(), Array::from_f32([2], &[0.5, -1.0])?);
//! write_safetensors(&path, &weights)?;
//! let copy = read(&path, &ReadOptions::default())?;
//! assert_eq!(copy.arrays["fc.bias"].to_f32(), [0.5, -1.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod array;
mod budget;
mod error;
mod file;
mod listing;
pub mod npy;
pub mod npz;
mod numpy;
mod pickle;
mod read;
mod safetensors;
mod snapshot;
mod torch;
mod tree;

pub use array::{Array, Dtype};
pub use error::{Error, Result};
pub use file::{SharedFile, check_folder, write_atomically};
pub use listing::{Entry, Listing, inspect, inspect_bytes};
pub use read::{Format, ReadOptions, Weights, read, read_bytes};
pub use safetensors::{safetensors_bytes, write_safetensors};
pub use tree::KEYS;
