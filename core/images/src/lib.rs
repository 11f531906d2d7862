//! Image sets: walking, decoding, resizing by convention, saving.
//!
//! An [`ImageSet`] is an ordered collection of images in a folder, an archive, an array or memory.
//! [`batches`] decodes and resizes it on worker threads, ahead of the network that reads them, and
//! hands out [`ImageBatch`]es in order: floats on 0..255, channel last, under the [`Resize`]
//! convention of the tool that a score is compared with.
//!
//! ```
//! use ganscope_images::{BatchOptions, Image, ImageSet, Preprocess, Resize, batches};
//!
//! let set = ImageSet::from_images(vec![Image::filled(64, 48, [200, 30, 30]); 5]);
//! let preprocess = Preprocess { resize: Resize::TfBilinear, size: 299 };
//! for batch in batches(&set, 0..set.len(), preprocess, BatchOptions { batch: 2, ..Default::default() }) {
//!     let batch = batch?;
//!     assert_eq!(batch.data.len(), batch.n * 299 * 299 * 3);
//! }
//! # Ok::<(), ganscope_images::Error>(())
//! ```

mod batches;
mod decode;
mod error;
mod facts;
mod limits;
mod pixels;
mod resize;
mod save;
mod set;

pub use batches::{BatchOptions, Batches, ImageBatch, Skipped, batches};
pub use decode::{Decoded, Format, decode, probe};
pub use error::{Error, Result};
pub use facts::{Digest, Facts, Survey};
pub use limits::{Limits, MAX_ENCODED, MAX_PIXELS};
pub use pixels::{Image, grid, quantize_biggan, quantize_floor, quantize_stylegan};
pub use resize::{Preprocess, Resize, resize_planes};
pub use save::{encode_png, save_png};
pub use set::{Axes, EXTENSIONS, ImageSet, SetOptions};
