//! Classifiers of `ImageNet` as inspectable networks, from their published checkpoints.
//!
//! `AlexNet`, VGG and `ResNet` take torchvision's names, `EfficientNet-Lite0` those of its `PyTorch`
//! port; batch normalization is folded. The number of classes is that of the checkpoint, so a
//! network that was tuned to other classes loads as well.
//!
//! ```
//! use ganscope_classifiers::Architecture;
//! use ganscope_model::{Checkpoint, Network, Result};
//!
//! fn load(checkpoint: Checkpoint) -> Result<Network> {
//!     let architecture: Architecture = "resnet18".parse()?;
//!     architecture.network(checkpoint)
//! }
//! ```

mod alexnet;
mod efficientnet;
mod resnet;
mod vgg;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ganscope_model::{Checkpoint, Classifier, Error, Network, Normalization, Result, imagenet};

pub use alexnet::alexnet;
pub use efficientnet::efficientnet_lite0;
pub use resnet::{ResNet, resnet};
pub use vgg::{Vgg, vgg};

/// An architecture by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Architecture {
    /// [`alexnet`].
    AlexNet,
    /// [`vgg`].
    Vgg(Vgg),
    /// [`resnet`].
    ResNet(ResNet),
    /// [`efficientnet_lite0`].
    EfficientNetLite0,
}

impl Architecture {
    /// Every architecture, in the order of lists.
    pub const ALL: [Self; 11] = [
        Self::AlexNet,
        Self::Vgg(Vgg::Vgg11),
        Self::Vgg(Vgg::Vgg13),
        Self::Vgg(Vgg::Vgg16),
        Self::Vgg(Vgg::Vgg19),
        Self::ResNet(ResNet::ResNet18),
        Self::ResNet(ResNet::ResNet34),
        Self::ResNet(ResNet::ResNet50),
        Self::ResNet(ResNet::ResNet101),
        Self::ResNet(ResNet::ResNet152),
        Self::EfficientNetLite0,
    ];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::AlexNet => "alexnet",
            Self::Vgg(depth) => depth.name(),
            Self::ResNet(depth) => depth.name(),
            Self::EfficientNetLite0 => "efficientnet-lite0",
        }
    }

    /// The network of a checkpoint, (N, 3, 224, 224) to logits.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or is left over.
    pub fn network(self, checkpoint: Checkpoint) -> Result<Network> {
        match self {
            Self::AlexNet => alexnet(checkpoint),
            Self::Vgg(depth) => vgg(depth, checkpoint),
            Self::ResNet(depth) => resnet(depth, checkpoint),
            Self::EfficientNetLite0 => efficientnet_lite0(checkpoint),
        }
    }

    /// The network of a checkpoint with its input size and scaling; classes have names if there
    /// are as many as in `ImageNet`.
    ///
    /// # Errors
    /// Those of [`network`](Self::network).
    pub fn classifier(self, checkpoint: Checkpoint) -> Result<Classifier> {
        let network = self.network(checkpoint)?;
        let input_size = 224;
        let classes = network.shapes(input_size, input_size)?[network.output().index()].c;
        let names = (0..imagenet::CLASSES).filter_map(imagenet::name).map(str::to_owned);
        let labels =
            if classes == imagenet::CLASSES as usize { names.collect() } else { Vec::new() };
        let normalization = match self {
            Self::EfficientNetLite0 => Normalization::Channels {
                mean: vec![127.0 / 255.0; 3],
                std: vec![128.0 / 255.0; 3],
            },
            _ => Normalization::imagenet(),
        };
        let network = Arc::new(network);
        Ok(Classifier { id: self.name().to_owned(), network, input_size, normalization, labels })
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|a| a.name() == name);
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|a| a.name()).collect();
            Error::Input(format!("no architecture `{name}` (there are: {})", names.join(", ")))
        })
    }
}

/// Rows of the last linear layer, as many as there are classes.
fn classes(checkpoint: &Checkpoint, head: &str) -> usize {
    let shape = checkpoint.shape(&format!("{head}.weight"));
    shape.and_then(|shape| shape.first()).copied().unwrap_or(imagenet::CLASSES as usize)
}
