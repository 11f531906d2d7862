//! A classifier: a network with its input size, input scaling and class names.

use std::sync::Arc;

use crate::{Network, Normalization};

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
