//! `ResNet` as torchvision has it: the stride of a bottleneck lies in its 3 x 3 convolution.
//!
//! He et al., "Deep Residual Learning for Image Recognition", 2015,
//! <https://arxiv.org/abs/1512.03385>.

use ganscope_model::network::{Builder, ConvSpec, PoolSpec};
use ganscope_model::{Checkpoint, Network, Node, Op, Result};

use crate::classes;

/// Added to the variance by batch normalization.
const BATCH_NORM_EPS: f64 = 1e-5;

/// Depth of a `ResNet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResNet {
    /// Eight basic blocks.
    ResNet18,
    /// Sixteen basic blocks.
    ResNet34,
    /// Sixteen bottlenecks.
    ResNet50,
    /// Thirty-three bottlenecks.
    ResNet101,
    /// Fifty bottlenecks.
    ResNet152,
}

impl ResNet {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResNet18 => "resnet18",
            Self::ResNet34 => "resnet34",
            Self::ResNet50 => "resnet50",
            Self::ResNet101 => "resnet101",
            Self::ResNet152 => "resnet152",
        }
    }

    /// Blocks of each of the four layers.
    fn layers(self) -> [usize; 4] {
        match self {
            Self::ResNet18 => [2, 2, 2, 2],
            Self::ResNet34 | Self::ResNet50 => [3, 4, 6, 3],
            Self::ResNet101 => [3, 4, 23, 3],
            Self::ResNet152 => [3, 8, 36, 3],
        }
    }

    fn bottleneck(self) -> bool {
        !matches!(self, Self::ResNet18 | Self::ResNet34)
    }
}

/// A `ResNet`, (N, 3, 224, 224) to logits. The output of a block is the step `layerL.B`.
///
/// # Errors
/// If a tensor is missing, has another shape, or is left over.
pub fn resnet(depth: ResNet, mut checkpoint: Checkpoint) -> Result<Network> {
    checkpoint.discard(|name| name.ends_with("num_batches_tracked"));
    let classes = classes(&checkpoint, "fc");
    let mut g = Graph { checkpoint, builder: Builder::new(3) };
    let first = ConvSpec::new(3, 64, [7, 7]).stride(2).padding(3, 3);
    let x = g.conv("conv1", "bn1", Node::INPUT, first)?;
    let x = g.builder.relu("relu", x);
    let mut x = g.builder.max_pool("maxpool", x, PoolSpec::new(3, 2).padding(1));
    let mut channels = 64;
    for (layer, blocks) in depth.layers().into_iter().enumerate() {
        for block in 0..blocks {
            let name = format!("layer{}.{block}", layer + 1);
            let stride = if layer > 0 && block == 0 { 2 } else { 1 };
            let width = 64 << layer;
            (x, channels) = g.block(&name, x, (channels, width), stride, depth.bottleneck())?;
        }
    }
    let x = g.builder.step("avgpool", &[x], Op::GlobalAvgPool);
    g.builder.linear(&mut g.checkpoint, "fc", x, (channels, classes))?;
    g.checkpoint.finish()?;
    Ok(g.builder.build())
}

struct Graph {
    checkpoint: Checkpoint,
    builder: Builder,
}

impl Graph {
    fn conv(&mut self, conv: &str, norm: &str, x: Node, spec: ConvSpec) -> Result<Node> {
        self.builder.conv_norm(&mut self.checkpoint, (conv, norm, BATCH_NORM_EPS), x, spec)
    }

    /// A residual block; returns its output and the number of its channels.
    fn block(
        &mut self,
        name: &str,
        x: Node,
        (inputs, width): (usize, usize),
        stride: usize,
        bottleneck: bool,
    ) -> Result<(Node, usize)> {
        let outputs = if bottleneck { 4 * width } else { width };
        let square = |inputs| ConvSpec::new(inputs, width, [3, 3]).padding(1, 1);
        let point = |inputs, outputs| ConvSpec::new(inputs, outputs, [1, 1]);
        let specs = if bottleneck {
            vec![point(inputs, width), square(width).stride(stride), point(width, outputs)]
        } else {
            vec![square(inputs).stride(stride), square(width)]
        };
        let mut branch = x;
        for (i, &spec) in specs.iter().enumerate() {
            let (conv, norm) = (format!("{name}.conv{}", i + 1), format!("{name}.bn{}", i + 1));
            branch = self.conv(&conv, &norm, branch, spec)?;
            if i + 1 < specs.len() {
                branch = self.builder.relu(&format!("{name}.relu{}", i + 1), branch);
            }
        }
        let skip = if stride == 1 && inputs == outputs {
            x
        } else {
            let names = [0, 1].map(|i| format!("{name}.downsample.{i}"));
            self.conv(&names[0], &names[1], x, point(inputs, outputs).stride(stride))?
        };
        let sum = self.builder.step(&format!("{name}.add"), &[branch, skip], Op::Add);
        Ok((self.builder.relu(name, sum), outputs))
    }
}
