//! What a feature extractor is: a network that turns images into rows of numbers.

use ganscope_images::ImageBatch;
use ganscope_stats::{FeatureBatch, Needs};

use crate::Result;

/// How pixel values on 0..255 become network input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scaling {
    /// `(x - 128) / 128`: TensorFlow's graph, and the tools that follow it.
    Tf,
    /// `2 (x / 255) - 1`: pytorch-fid.
    Unit,
}

impl Scaling {
    /// The network input for one pixel value on 0..255.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Tf => (x - 128.0) / 128.0,
            Self::Unit => 2.0 * (x / 255.0) - 1.0,
        }
    }
}

impl std::fmt::Display for Scaling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Tf => "(x - 128) / 128",
            Self::Unit => "2 x / 255 - 1",
        })
    }
}

/// A network whose activations are compared.
pub trait FeatureExtractor: std::fmt::Debug + Send + Sync {
    /// Architecture and weights, such as `inception-v3-fid`; part of every cache key.
    fn id(&self) -> &str;

    /// Width of a feature row.
    fn feature_dim(&self) -> usize;

    /// Height and width that the network reads, in pixels.
    fn input_size(&self) -> usize;

    /// Which parts a batch holds beside the features: [`Needs::LOGITS`], [`Needs::SPATIAL`].
    fn gives(&self) -> Needs;

    /// Activations of a batch of `input_size` images on 0..255.
    fn extract(&self, images: &ImageBatch) -> Result<FeatureBatch>;
}
