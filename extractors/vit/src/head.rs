//! DINOv2 with a linear layer of classes.

use std::sync::Arc;

use ganscope_model::network::{Builder, ConvSpec, Convolution};
use ganscope_model::{Checkpoint, Classifier, Error, Normalization, Op, Result, imagenet};

use crate::{Config, DINOV2_SIZE, Vit};

/// What the layer of classes may be called: beside a network, in a file with the whole of it, in
/// transformers, and alone in a file.
const HEADS: [&str; 4] = ["head.", "linear_head.", "classifier.", ""];
/// What may stand before the names of the network in a file with a layer of classes.
const NETWORKS: [&str; 2] = ["backbone.", "dinov2."];

/// Whether a file contains a layer of classes.
pub fn has_head(checkpoint: &Checkpoint) -> bool {
    HEADS[..3].iter().any(|name| checkpoint.contains(&format!("{name}weight")))
}

impl Vit {
    /// DINOv2 with a linear layer of classes, of the same file or of `head`: a weight of (classes, D)
    /// reads the class token, one of (classes, 2 D) the class token and the mean over the patches,
    /// as the published classifiers do. Names are `head`, `linear_head` or `classifier` with
    /// `.weight` and `.bias`, or these alone in `head`.
    ///
    /// Classes have names if there are as many as in `ImageNet`.
    ///
    /// # Errors
    /// As [`dinov2`](Self::dinov2), and if there is no such layer.
    pub fn dinov2_classifier(
        mut checkpoint: Checkpoint,
        head: Option<Checkpoint>,
        config: &Config,
    ) -> Result<Classifier> {
        let (weight, bias) = match head {
            Some(mut head) => {
                let layer = take(&mut head, &HEADS)?;
                head.finish()?;
                layer
            }
            None => take(&mut checkpoint, &HEADS[..3])?,
        };
        let checkpoint = NETWORKS.iter().fold(checkpoint, |c, prefix| c.without_prefix(prefix));
        let vit = Self::dinov2(checkpoint, config)?;
        let (width, classes) = (vit.sizes.width, bias.len());
        let network = Arc::unwrap_or_clone(vit.network);
        let [class, patches] = ["cls", "patch_mean"].map(|name| network.node(name));
        let (class, patches) = (class?, patches?);
        let mut builder = Builder::from(network);
        let inputs = weight.len() / classes.max(1);
        let x = if inputs == width {
            class
        } else if inputs == 2 * width {
            builder.concat("cls_patch_mean", &[class, patches])
        } else {
            let expected = format!("{width}, or {} with the mean over the patches", 2 * width);
            let problem = format!("the layer of classes reads {inputs} numbers");
            return Err(Error::Input(format!("{problem}, expected {expected}")));
        };
        let spec = ConvSpec::new(inputs, classes, [1, 1]);
        builder.step("head", &[x], Op::Linear(Convolution { spec, weight, bias }));
        let names = (0..imagenet::CLASSES).filter_map(imagenet::name).map(str::to_owned);
        let is_imagenet = classes == imagenet::CLASSES as usize;
        Ok(Classifier {
            id: "dinov2".to_owned(),
            network: Arc::new(builder.build()),
            input_size: DINOV2_SIZE,
            normalization: Normalization::imagenet(),
            labels: if is_imagenet { names.collect() } else { Vec::new() },
        })
    }
}

/// Weight (classes, inputs) and bias of the layer of classes.
fn take(checkpoint: &mut Checkpoint, names: &[&str]) -> Result<(Vec<f32>, Vec<f32>)> {
    let weight = |name: &&&str| checkpoint.contains(&format!("{name}weight"));
    let Some(name) = names.iter().find(weight) else {
        let wanted: Vec<String> = names.iter().map(|name| format!("`{name}weight`")).collect();
        return Err(Error::Input(format!(
            "there is no layer of classes: {} is missing",
            wanted.join(" or ")
        )));
    };
    let (shape, weight) = checkpoint.take_any(&format!("{name}weight"))?;
    let &[classes, _] = shape.as_slice() else {
        let problem = format!("tensor `{name}weight` has shape {shape:?}");
        return Err(Error::Input(format!("{problem}, expected (classes, inputs)")));
    };
    let bias = checkpoint.take(&format!("{name}bias"), &[classes])?;
    Ok((weight, bias))
}
