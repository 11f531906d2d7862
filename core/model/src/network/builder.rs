//! Building a network step by step from a checkpoint.

use super::{ConvSpec, Convolution, Network, Node, Op, PoolSpec, Step};
use crate::{Checkpoint, Result};

/// Collects steps; each method appends one and returns its value.
#[derive(Debug)]
pub struct Builder {
    network: Network,
}

impl From<Network> for Builder {
    /// Goes on after the last step.
    fn from(network: Network) -> Self {
        Self { network }
    }
}

impl Builder {
    /// Starts a network that reads `in_channels` channels.
    pub fn new(in_channels: usize) -> Self {
        Self { network: Network { in_channels, steps: Vec::new() } }
    }

    /// Appends any step.
    pub fn step(&mut self, name: &str, inputs: &[Node], op: Op) -> Node {
        self.network.steps.push(Step { name: name.into(), inputs: inputs.into(), op });
        self.network.output()
    }

    /// Appends a convolution with the checkpoint's `NAME.weight` and, with `bias`, `NAME.bias`.
    pub fn conv(
        &mut self,
        checkpoint: &mut Checkpoint,
        name: &str,
        x: Node,
        spec: ConvSpec,
        bias: bool,
    ) -> Result<Node> {
        let convolution = convolution(checkpoint, name, spec, bias)?;
        Ok(self.step(name, &[x], Op::Conv(convolution)))
    }

    /// Appends a convolution with the checkpoint's `CONV.weight` and the batch normalization
    /// `NORM.*` after it, folded into one.
    pub fn conv_norm(
        &mut self,
        checkpoint: &mut Checkpoint,
        (conv, norm, eps): (&str, &str, f64),
        x: Node,
        spec: ConvSpec,
    ) -> Result<Node> {
        let mut convolution = convolution(checkpoint, conv, spec, false)?;
        fold_batch_norm(checkpoint, norm, eps, &mut convolution)?;
        Ok(self.step(conv, &[x], Op::Conv(convolution)))
    }

    /// Appends a linear layer with the checkpoint's `NAME.weight` (out, in) and `NAME.bias`.
    pub fn linear(
        &mut self,
        checkpoint: &mut Checkpoint,
        name: &str,
        x: Node,
        (inputs, outputs): (usize, usize),
    ) -> Result<Node> {
        let weight = checkpoint.take(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = checkpoint.take(&format!("{name}.bias"), &[outputs])?;
        let spec = ConvSpec::new(inputs, outputs, [1, 1]);
        Ok(self.step(name, &[x], Op::Linear(Convolution { spec, weight, bias })))
    }

    /// Appends `max(x, 0)`.
    pub fn relu(&mut self, name: &str, x: Node) -> Node {
        self.step(name, &[x], Op::Relu)
    }

    /// Appends a maximum over windows.
    pub fn max_pool(&mut self, name: &str, x: Node, window: PoolSpec) -> Node {
        self.step(name, &[x], Op::MaxPool(window))
    }

    /// Appends a mean over windows that counts only pixels inside the map.
    pub fn avg_pool(&mut self, name: &str, x: Node, window: PoolSpec) -> Node {
        self.step(name, &[x], Op::AvgPool(window, false))
    }

    /// Appends a concatenation along the channels.
    pub fn concat(&mut self, name: &str, inputs: &[Node]) -> Node {
        self.step(name, inputs, Op::Concat)
    }

    /// The network.
    pub fn build(self) -> Network {
        self.network
    }
}

/// Takes `NAME.weight` (out, in / groups, kh, kw) and, with `bias`, `NAME.bias` (else zeros).
pub(super) fn convolution(
    checkpoint: &mut Checkpoint,
    name: &str,
    spec: ConvSpec,
    bias: bool,
) -> Result<Convolution> {
    let [kh, kw] = spec.kernel;
    let shape = [spec.out_channels, spec.in_channels / spec.groups, kh, kw];
    let weight = checkpoint.take(&format!("{name}.weight"), &shape)?;
    let bias = if bias {
        checkpoint.take(&format!("{name}.bias"), &[spec.out_channels])?
    } else {
        vec![0.0; spec.out_channels]
    };
    Ok(Convolution { spec, weight, bias })
}

/// Folds the batch normalization `NAME.{weight,bias,running_mean,running_var}` into the
/// convolution before it: `w' = w g / sqrt(v + eps)`, `b' = (b - m) g / sqrt(v + eps) + beta`.
pub fn fold_batch_norm(
    checkpoint: &mut Checkpoint,
    name: &str,
    eps: f64,
    convolution: &mut Convolution,
) -> Result<()> {
    let channels = convolution.spec.out_channels;
    let mut take = |leaf: &str| checkpoint.take(&format!("{name}.{leaf}"), &[channels]);
    let (gain, shift) = (take("weight")?, take("bias")?);
    let (mean, var) = (take("running_mean")?, take("running_var")?);
    let per_channel = convolution.weight.len() / channels;
    for (c, weight) in convolution.weight.chunks_mut(per_channel).enumerate() {
        let scale = gain[c] as f64 / (var[c] as f64 + eps).sqrt();
        for w in weight.iter_mut() {
            *w = (*w as f64 * scale) as f32;
        }
        let bias = (convolution.bias[c] as f64 - mean[c] as f64) * scale + shift[c] as f64;
        convolution.bias[c] = bias as f32;
    }
    Ok(())
}
