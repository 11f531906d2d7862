//! `EfficientNet-Lite0`: `EfficientNet` without squeeze-and-excitation, with `ReLU6`.
//!
//! Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019,
//! <https://arxiv.org/abs/1905.11946>. Names are those of the `PyTorch` port of the TensorFlow
//! checkpoint; borders are TensorFlow's `SAME`.

use ganscope_model::network::{Builder, ConvSpec};
use ganscope_model::{Checkpoint, Network, Node, Op, Result};

use crate::classes;

/// Added to the variance by batch normalization.
const BATCH_NORM_EPS: f64 = 1e-3;

/// Blocks in a row: how many, kernel, stride of the first, expansion, channels of the output.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];

/// `EfficientNet-Lite0`, (N, 3, 224, 224) to logits.
///
/// A border of TensorFlow's `SAME` depends on the size of the map; those here hold for images whose
/// sides are multiples of 32.
///
/// # Errors
/// If a tensor is missing, has another shape, or is left over.
pub fn efficientnet_lite0(mut checkpoint: Checkpoint) -> Result<Network> {
    checkpoint.discard(|name| name.ends_with("num_batches_tracked"));
    let classes = classes(&checkpoint, "_fc");
    let mut g = Graph { checkpoint, builder: Builder::new(3) };
    let stem = same(ConvSpec::new(3, 32, [3, 3]).stride(2));
    let mut x = g.conv("_conv_stem", "_bn0", Node::INPUT, stem, true)?;
    let (mut channels, mut block) = (32, 0);
    for (repeats, kernel, first_stride, expansion, outputs) in STAGES {
        for repeat in 0..repeats {
            let stride = if repeat == 0 { first_stride } else { 1 };
            let sizes = (channels, expansion * channels, outputs);
            x = g.block(&format!("_blocks.{block}"), x, sizes, kernel, stride)?;
            (channels, block) = (outputs, block + 1);
        }
    }
    let x = g.conv("_conv_head", "_bn1", x, ConvSpec::new(channels, 1280, [1, 1]), true)?;
    let x = g.builder.step("_avg_pooling", &[x], Op::GlobalAvgPool);
    g.builder.linear(&mut g.checkpoint, "_fc", x, (1280, classes))?;
    g.checkpoint.finish()?;
    Ok(g.builder.build())
}

/// The border that TensorFlow calls `SAME`, for maps that the stride divides.
fn same(spec: ConvSpec) -> ConvSpec {
    let padding = [0, 1].map(|axis| {
        let total = spec.kernel[axis] - spec.stride[axis].min(spec.kernel[axis]);
        [total / 2, total - total / 2]
    });
    ConvSpec { padding, ..spec }
}

struct Graph {
    checkpoint: Checkpoint,
    builder: Builder,
}

impl Graph {
    /// Convolution and batch normalization, and a rectifier if `open`.
    fn conv(
        &mut self,
        conv: &str,
        norm: &str,
        x: Node,
        spec: ConvSpec,
        open: bool,
    ) -> Result<Node> {
        let names = (conv, norm, BATCH_NORM_EPS);
        let x = self.builder.conv_norm(&mut self.checkpoint, names, x, spec)?;
        Ok(if open { self.builder.step(&format!("{conv}.relu6"), &[x], Op::Relu6) } else { x })
    }

    /// An inverted bottleneck of (input, inner, output) channels.
    fn block(
        &mut self,
        name: &str,
        x: Node,
        (inputs, inner, outputs): (usize, usize, usize),
        kernel: usize,
        stride: usize,
    ) -> Result<Node> {
        let at = |leaf: &str| format!("{name}.{leaf}");
        let mut branch = x;
        if inner != inputs {
            let expand = ConvSpec::new(inputs, inner, [1, 1]);
            branch = self.conv(&at("_expand_conv"), &at("_bn0"), branch, expand, true)?;
        }
        let depthwise = ConvSpec::new(inner, inner, [kernel, kernel]).stride(stride);
        let depthwise = same(ConvSpec { groups: inner, ..depthwise });
        branch = self.conv(&at("_depthwise_conv"), &at("_bn1"), branch, depthwise, true)?;
        let project = ConvSpec::new(inner, outputs, [1, 1]);
        branch = self.conv(&at("_project_conv"), &at("_bn2"), branch, project, false)?;
        let residual = stride == 1 && inputs == outputs;
        Ok(if residual { self.builder.step(name, &[branch, x], Op::Add) } else { branch })
    }
}
