//! Feature extractors: networks that turn images into rows of numbers.

use ganscope_images::ImageBatch;
use ganscope_stats::{FeatureBatch, Needs};

use crate::Result;

/// A network whose activations are compared.
pub trait FeatureExtractor: std::fmt::Debug + Send + Sync {
    /// Width of a feature row.
    fn feature_dim(&self) -> usize;

    /// Height and width that the network reads, in pixels.
    fn input_size(&self) -> usize;

    /// Parts of a batch besides the features: [`Needs::LOGITS`], [`Needs::SPATIAL`].
    fn gives(&self) -> Needs;

    /// Activations of a batch of `input_size` images on 0..255.
    fn extract(&self, images: &ImageBatch) -> Result<FeatureBatch>;
}
