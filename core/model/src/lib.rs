//! Networks as ganscope sees them: what a generator, an extractor and a classifier are, how a
//! checkpoint becomes one, and the layers that they are made of.
//!
//! - [`Checkpoint`] hands out the tensors of a file by name and shape, and knows what was left over.
//! - [`Network`] is a classifier or extractor as a list of named steps that an [`Engine`] runs on
//!   the fast kernels and that explanations walk backwards.
//! - [`Generator`] is the two-stage map of latents to images.
//! - [`ops`] holds the differentiable tensor operations that generators are made of.

mod checkpoint;
mod classifier;
mod classifier_features;
mod error;
mod extractor;
mod generator;
pub mod imagenet;
pub mod network;
mod normalization;
pub mod ops;
mod pictures;

pub use checkpoint::Checkpoint;
pub use classifier::Classifier;
pub use classifier_features::ClassifierFeatures;
pub use error::{Error, Result};
pub use extractor::FeatureExtractor;
pub use generator::{
    Generator, GeneratorInfo, NoiseMode, Rounding, Synthesis, Truncation, TruncationKind, go_on,
};
pub use network::{Engine, FeatureMap, Network, Node, Op, Shape, Step};
pub use normalization::Normalization;
pub use pictures::{render, to_images};
