//! A network that names what it sees, with what one needs to feed it.

use std::sync::Arc;

use crate::Network;

/// Channel-wise input scaling: `(x / 255 - mean) / std`, x on 0..255.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    /// Mean of each channel on 0..1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel on 0..1.
    pub std: Vec<f32>,
}

impl Normalization {
    /// That of torchvision's `ImageNet` models.
    pub fn imagenet() -> Self {
        Self { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] }
    }

    /// Input of the network for channel `c` of a pixel.
    pub fn apply(&self, c: usize, x: f32) -> f32 {
        (x / 255.0 - self.mean[c]) / self.std[c]
    }
}

/// A network with class logits.
#[derive(Debug, Clone)]
pub struct Classifier {
    /// Architecture and weights, such as `resnet18`.
    pub id: String,
    /// The network; its last step gives the logits, (N, 1, 1, classes).
    pub network: Arc<Network>,
    /// Height and width of the input, in pixels.
    pub input_size: usize,
    /// Input scaling.
    pub normalization: Normalization,
    /// A name for each class; may be empty.
    pub labels: Vec<String>,
}
