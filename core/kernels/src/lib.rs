//! Convolution, pooling, resampling, attention and products on plain slices.
//!
//! Every function reads and writes channel-last maps ([`Map`], [`MapMut`]): the channels of one
//! pixel are contiguous, so a vector register contains sixteen channels of one pixel and a
//! concatenation of branches is written in place through channel slices.
//!
//! How to call them, the largest gain first:
//!
//! - Build a [`Conv2d`] once: it packs and transforms its weights.
//! - Keep the memory of maps between runs. Pages that are touched for the first time cost more than
//!   the arithmetic of a small layer.
//! - Write the branches of a concatenation into its channels ([`MapMut::channels`]).
//!
//! A shape that does not fit is a broken contract of the caller and panics; the condition stands
//! under `# Panics`. No result depends on the batch size or on the number of threads: each output
//! value is one fixed sequence of additions.

#![expect(unsafe_code, reason = "vector instructions, and outputs divided among threads")]
#![expect(clippy::inline_always, reason = "vector code must be inlined into its instruction set")]

mod activation;
mod attention;
mod bytes;
mod conv;
mod fir;
mod linear;
mod map;
mod math;
mod memory;
mod norm;
mod panels;
mod pool;
mod scratch;
mod share;
mod simd;
mod transpose;

pub use activation::{Activation, activate, gate};
pub use attention::{attend, attend_with, attention, attention_with};
pub use bytes::{BytePanels, ByteRows};
pub use conv::{Algorithm, Branch, Conv2d, ConvSpec, Extras, JoinedConv};
pub use fir::{Fir, upfirdn2d, upfirdn2d_with, upsample_nearest};
pub use linear::Linear;
pub use map::{Map, MapMut, pixel_stride};
pub use memory::{keep_memory, zeros};
pub use norm::layer_norm;
pub use pool::{PoolSpec, avg_pool, global_average, max_pool, max_pool_switches, max_unpool};
pub use scratch::Lines;
pub use share::{for_each, pool};
pub use simd::Isa;
pub use transpose::{ConvTranspose2d, ConvTransposeSpec};
