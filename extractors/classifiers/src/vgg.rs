//! VGG.
//!
//! Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
//! 2014, <https://arxiv.org/abs/1409.1556>.

use ganscope_model::network::{Builder, ConvSpec, PoolSpec};
use ganscope_model::{Checkpoint, Network, Node, Op, Result};

use crate::classes;

/// Added to the variance by batch normalization.
const BATCH_NORM_EPS: f64 = 1e-5;

/// Depth of a VGG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vgg {
    /// Configuration A.
    Vgg11,
    /// Configuration B.
    Vgg13,
    /// Configuration D.
    Vgg16,
    /// Configuration E.
    Vgg19,
}

impl Vgg {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vgg11 => "vgg11",
            Self::Vgg13 => "vgg13",
            Self::Vgg16 => "vgg16",
            Self::Vgg19 => "vgg19",
        }
    }

    /// Convolutions of each of the five blocks, which are 64, 128, 256, 512 and 512 channels wide.
    fn blocks(self) -> [usize; 5] {
        match self {
            Self::Vgg11 => [1, 1, 2, 2, 2],
            Self::Vgg13 => [2, 2, 2, 2, 2],
            Self::Vgg16 => [2, 2, 3, 3, 3],
            Self::Vgg19 => [2, 2, 4, 4, 4],
        }
    }
}

/// A VGG, with batch normalization if the checkpoint has it, (N, 3, 224, 224) to logits.
///
/// # Errors
/// If a tensor is missing, has another shape, or is left over.
pub fn vgg(depth: Vgg, mut checkpoint: Checkpoint) -> Result<Network> {
    checkpoint.discard(|name| name.ends_with("num_batches_tracked"));
    let classes = classes(&checkpoint, "classifier.6");
    let normalized = checkpoint.contains("features.1.running_mean");
    let mut b = Builder::new(3);
    let (mut x, mut channels, mut layer) = (Node::INPUT, 3, 0);
    for (convolutions, width) in depth.blocks().into_iter().zip([64, 128, 256, 512, 512]) {
        for _ in 0..convolutions {
            let spec = ConvSpec::new(channels, width, [3, 3]).padding(1, 1);
            let name = format!("features.{layer}");
            x = if normalized {
                let norm = format!("features.{}", layer + 1);
                b.conv_norm(&mut checkpoint, (&name, &norm, BATCH_NORM_EPS), x, spec)?
            } else {
                b.conv(&mut checkpoint, &name, x, spec, true)?
            };
            layer += if normalized { 2 } else { 1 };
            x = b.relu(&format!("features.{layer}"), x);
            (channels, layer) = (width, layer + 1);
        }
        x = b.max_pool(&format!("features.{layer}"), x, PoolSpec::new(2, 2));
        layer += 1;
    }
    let x = b.step("avgpool", &[x], Op::AdaptiveAvgPool([7, 7]));
    let x = b.step("flatten", &[x], Op::Flatten);
    let x = b.linear(&mut checkpoint, "classifier.0", x, (512 * 7 * 7, 4096))?;
    let x = b.relu("classifier.1", x);
    let x = b.linear(&mut checkpoint, "classifier.3", x, (4096, 4096))?;
    let x = b.relu("classifier.4", x);
    b.linear(&mut checkpoint, "classifier.6", x, (4096, classes))?;
    checkpoint.finish()?;
    Ok(b.build())
}
