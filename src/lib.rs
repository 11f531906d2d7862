//! ganscope scores generated image sets, explores latent spaces and looks inside networks.
//!
//! The program `ganscope` is a thin layer over this library; [`registry`] lists everything that can
//! be asked for by name.

pub mod animation;
pub mod cache;
pub mod captions;
pub mod classifiers;
#[cfg(feature = "cli")]
pub mod cli;
pub mod contributions;
pub mod device;
pub mod explain;
pub mod extraction;
pub mod extractors;
pub mod generators;
pub mod hint;
pub mod locate;
pub mod notices;
pub mod perceptual;
pub mod plot;
pub mod preset;
pub mod registry;
pub mod report;
pub mod sheet;
pub mod shipped;
pub mod side;
pub mod store;
pub mod sweep;
