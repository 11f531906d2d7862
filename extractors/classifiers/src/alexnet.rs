//! `AlexNet` as torchvision has it.
//!
//! Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014,
//! <https://arxiv.org/abs/1404.5997>.

use ganscope_model::network::{Builder, ConvSpec, PoolSpec};
use ganscope_model::{Checkpoint, Network, Node, Op, Result};

use crate::classes;

/// `AlexNet`, (N, 3, 224, 224) to logits.
///
/// # Errors
/// If a tensor is missing, has another shape, or is left over.
pub fn alexnet(mut checkpoint: Checkpoint) -> Result<Network> {
    let classes = classes(&checkpoint, "classifier.6");
    let mut b = Builder::new(3);
    let pool = PoolSpec::new(3, 2);
    let mut conv = |b: &mut Builder, layer: usize, x, spec| -> Result<Node> {
        let x = b.conv(&mut checkpoint, &format!("features.{layer}"), x, spec, true)?;
        Ok(b.relu(&format!("features.{}", layer + 1), x))
    };
    let first = ConvSpec::new(3, 64, [11, 11]).stride(4).padding(2, 2);
    let x = conv(&mut b, 0, Node::INPUT, first)?;
    let x = b.max_pool("features.2", x, pool);
    let x = conv(&mut b, 3, x, ConvSpec::new(64, 192, [5, 5]).padding(2, 2))?;
    let x = b.max_pool("features.5", x, pool);
    let x = conv(&mut b, 6, x, ConvSpec::new(192, 384, [3, 3]).padding(1, 1))?;
    let x = conv(&mut b, 8, x, ConvSpec::new(384, 256, [3, 3]).padding(1, 1))?;
    let x = conv(&mut b, 10, x, ConvSpec::new(256, 256, [3, 3]).padding(1, 1))?;
    let x = b.max_pool("features.12", x, pool);
    let x = b.step("avgpool", &[x], Op::AdaptiveAvgPool([6, 6]));
    let x = b.step("flatten", &[x], Op::Flatten);
    let x = b.linear(&mut checkpoint, "classifier.1", x, (256 * 6 * 6, 4096))?;
    let x = b.relu("classifier.2", x);
    let x = b.linear(&mut checkpoint, "classifier.4", x, (4096, 4096))?;
    let x = b.relu("classifier.5", x);
    b.linear(&mut checkpoint, "classifier.6", x, (4096, classes))?;
    checkpoint.finish()?;
    Ok(b.build())
}
