//! Latent sampling, truncation, interpolation and mixing, for every [`Generator`].
//!
//! - [`Sampler`] turns seeds into images, number by number those of the published tools.
//! - [`MultiModal`] truncates towards the nearest of several centers of W.
//! - [`walk`] goes from one latent to the next in Z or in W; [`Spline`] makes smooth closed walks.
//!   [`Lengths`] measures their steps.
//! - [`mix`], [`mix_table`] and [`shift`] operate on `ws`.
//! - [`projector`] finds the latent of a given image.
//! - [`PathLength`] measures how evenly a generator moves; [`components`] and [`boundary`] find its
//!   directions.
//! - [`Seeds`], [`Truncations`] and [`Styles`] read lists as they are typed.
//!
//! [`Generator`]: ganscope_model::Generator

pub mod boundary;
mod clusters;
pub mod components;
mod error;
pub mod interpolate;
mod mixing;
mod multi_modal;
mod path_length;
pub mod projector;
mod ranges;
mod sample;
mod sampler;
mod spline;
#[cfg(test)]
mod toy;
mod walk;

pub use error::{Error, Result};
pub use ganscope_stats::random::RandomState;
pub use mixing::{mix, mix_table, shift};
pub use multi_modal::{Centers, MultiModal};
pub use path_length::{
    Estimate, PathLength, PathSpace, Sampling, euclidean, perceptual_path_length,
};
pub use ranges::{Seeds, Styles, Truncations};
pub use sample::{Prior, truncated_noise_sample, z_from_seed};
pub use sampler::{Batch, Class, Sampler, ThresholdPrior};
pub use spline::Spline;
pub use walk::{Lengths, Space, Summary, Waypoint, is_same_walk, walk, walk_through};
