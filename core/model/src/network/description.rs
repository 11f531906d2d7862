//! A network described by a list of layers, for custom networks.
//!
//! The list is JSON, beside a checkpoint or in its metadata. Layers name the tensors of the
//! checkpoint as PyTorch does (`NAME.weight`, `NAME.bias`, `NAME.running_mean`, ...); each reads
//! the layer before it, or those that `inputs` names. Batch normalization is folded into the layer
//! before it.
//!
//! ```
//! use ganscope_model::network::Description;
//!
//! let description: Description = serde_json::from_str(r#"{
//!     "img_resolution": 32, "img_channels": 1, "mean": [0.5], "std": [0.5],
//!     "layers": [
//!         {"kind": "conv2d", "name": "features.0", "in": 1, "out": 8, "kernel": 3, "padding": 1},
//!         {"kind": "relu", "name": "features.1"},
//!         {"kind": "global_average_pool", "name": "avgpool"},
//!         {"kind": "linear", "name": "classifier", "in": 8, "out": 2}
//!     ],
//!     "classes": ["intact", "defaced"]
//! }"#)?;
//! assert_eq!(description.layers.len(), 4);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod assemble;
mod layer;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use layer::{Layer, LayerKind, Padding, Pair};

use crate::{Checkpoint, Classifier, Error, Network, Normalization, Result};

/// A classifier as a list of layers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Kind of model, such as `cnn`.
    pub family: Option<String>,
    /// Class of the program that trained it.
    pub class: Option<String>,
    /// Height and width of the input, in pixels.
    pub img_resolution: usize,
    /// Channels of the input.
    #[serde(default = "three")]
    pub img_channels: usize,
    /// Mean of each channel on 0..1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel on 0..1.
    pub std: Vec<f32>,
    /// Layer whose output describes an image.
    pub features: Option<String>,
    /// The layers in the order of execution; the last computes the logits.
    pub layers: Vec<Layer>,
    /// A name for each class; may be empty.
    #[serde(default)]
    pub classes: Vec<String>,
}

fn three() -> usize {
    3
}

impl Description {
    /// The description in the metadata of a checkpoint.
    ///
    /// # Errors
    /// If it lacks a part, or has one that a description does not know.
    pub fn from_config(config: &Map<String, Value>) -> Result<Self> {
        let value = Value::Object(config.clone());
        serde_json::from_value(value).map_err(|e| Error::Config(e.to_string()))
    }

    /// The description in a JSON text.
    ///
    /// # Errors
    /// As [`from_config`](Self::from_config).
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| Error::Config(e.to_string()))
    }

    /// The network with the weights of `checkpoint`.
    ///
    /// # Errors
    /// If layers do not fit together or to the checkpoint, or a tensor is missing or left over.
    pub fn network(&self, checkpoint: Checkpoint) -> Result<Network> {
        assemble::network(self, checkpoint)
    }

    /// The classifier with the weights of `checkpoint`; `id` distinguishes it from others.
    ///
    /// # Errors
    /// Those of [`network`](Self::network), and if the scaling or the class names do not fit.
    pub fn classifier(&self, id: &str, checkpoint: Checkpoint) -> Result<Classifier> {
        let (channels, size) = (self.img_channels, self.img_resolution);
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() != channels || values.iter().any(|v| !v.is_finite()) {
                let expected = format!("`{name}` needs {channels} finite numbers");
                return Err(Error::Config(format!("{expected}, got {values:?}")));
            }
        }
        if self.std.iter().any(|&s| s <= 0.0) {
            return Err(Error::Config(format!("`std` must be positive, got {:?}", self.std)));
        }
        let network = self.network(checkpoint)?;
        let shapes = network.shapes(size, size)?;
        let out = shapes[network.output().index()];
        if (out.h, out.w) != (1, 1) {
            let got = format!("the last layer computes a map of {} x {} pixels", out.h, out.w);
            return Err(Error::Config(format!("{got}, expected one number a class")));
        }
        if !self.classes.is_empty() && self.classes.len() != out.c {
            let names = self.classes.len();
            return Err(Error::Config(format!("{names} class names for {} logits", out.c)));
        }
        Ok(Classifier {
            id: id.to_owned(),
            network: Arc::new(network),
            input_size: size,
            normalization: Normalization::Channels {
                mean: self.mean.clone(),
                std: self.std.clone(),
            },
            labels: self.classes.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
