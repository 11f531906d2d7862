//! Residual blocks.
//!
//! Brock et al., <https://arxiv.org/abs/1809.11096>, appendix B, figures 15 and 16.

use candle_core::{Device, Tensor};
use ganscope_model::ops::{Activation, Affine, Conv2d, Extras, affine, upsample_nearest};
use ganscope_model::{Checkpoint, Result};

use crate::norm::ConditionalNorm;
use crate::plan::{BlockKind, Plan};
use crate::spectral::take_weight;

/// The bottleneck has a quarter of the input channels.
const REDUCTION: usize = 4;

/// Norm and ReLU before each convolution, and a skip path; both repeat pixels where the size doubles.
#[derive(Debug)]
pub(crate) struct Block {
    up: bool,
    /// The convolution before which the main path grows.
    grows_before: usize,
    out_channels: usize,
    layers: Vec<(ConditionalNorm, Conv2d)>,
    /// The skip path; without it, it drops channels.
    skip: Option<Conv2d>,
}

impl Block {
    /// Loads the norms and convolutions below `name`.
    pub(crate) fn new(
        checkpoint: &mut Checkpoint,
        name: &str,
        plan: &Plan,
        (up, input, output): (bool, usize, usize),
        device: &Device,
    ) -> Result<Self> {
        let middle = input / REDUCTION;
        // Channels in and out, and size.
        let (shapes, grows_before) = match plan.kind {
            BlockKind::Wide => (vec![(input, output, 3), (output, output, 3)], 0),
            BlockKind::Deep | BlockKind::DeepProjected => {
                let shapes = vec![
                    (input, middle, 1),
                    (middle, middle, 3),
                    (middle, middle, 3),
                    (middle, output, 1),
                ];
                (shapes, 1)
            }
        };
        let mut layers = Vec::new();
        let mut bias: Option<Vec<f32>> = None;
        for (index, &(from, to, kernel)) in shapes.iter().enumerate() {
            let (prefix, base) = plan.names.norm;
            let norm = format!("{name}.{prefix}{}", base + index);
            let norm =
                ConditionalNorm::new(checkpoint, &norm, plan, from, bias.as_deref(), device)?;
            let (prefix, base) = plan.names.conv;
            let name = format!("{name}.{prefix}{}", base + index);
            let (conv, values) =
                convolution(checkpoint, &name, [to, from, kernel, kernel], device)?;
            // The norm that follows takes the bias into its mean; after the last there is none.
            let conv = if index + 1 == shapes.len() {
                conv.bias(&Tensor::from_slice(&values, to, device)?)?
            } else {
                conv.activation(Activation::Relu)
            };
            bias = Some(values);
            layers.push((norm, conv));
        }
        let skip = if plan.kind == BlockKind::Deep {
            None
        } else {
            let name = format!("{name}.{}", plan.names.skip);
            let (conv, bias) = convolution(checkpoint, &name, [output, input, 1, 1], device)?;
            Some(conv.bias(&Tensor::from_vec(bias, output, device)?)?)
        };
        Ok(Self { up, grows_before, out_channels: output, layers, skip })
    }

    /// (N, H, W, C) to (N, H, W, C') or (N, 2H, 2W, C'), for conditions (N, D).
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        condition: &Tensor,
        position: (usize, f64),
    ) -> Result<Tensor> {
        let widen = |x: Tensor| if self.up { upsample_nearest(&x, 2) } else { Ok(x) };
        let skip = match &self.skip {
            Some(conv) => conv.forward(x)?,
            None => x.narrow(3, 0, self.out_channels)?.contiguous()?,
        };
        let skip = widen(skip)?;
        let terms = |norm: &ConditionalNorm| norm.terms(condition, position);
        let norms = self.layers.iter().map(|(norm, _)| terms(norm)).collect::<Result<Vec<_>>>()?;
        let [scale, offset] = &norms[0];
        let first = Affine { scale: Some(scale), bias: Some(offset), ..Affine::default() };
        let mut y = affine(x, &first, Activation::Relu)?;
        for (index, (_, conv)) in self.layers.iter().enumerate() {
            if index == self.grows_before {
                y = widen(y)?;
            }
            // The norm of the next convolution, and its ReLU, end this one.
            let extras = match norms.get(index + 1) {
                Some([scale, offset]) => {
                    Extras { scale: Some(scale), offset: Some(offset), ..Extras::default() }
                }
                None => Extras { residual: Some(&skip), ..Extras::default() },
            };
            y = conv.forward_with(&y, extras)?;
        }
        Ok(y)
    }
}

/// A convolution that keeps the size, and the values of its bias, which it does not add.
fn convolution(
    checkpoint: &mut Checkpoint,
    name: &str,
    shape: [usize; 4],
    device: &Device,
) -> Result<(Conv2d, Vec<f32>)> {
    let weight = take_weight(checkpoint, name, &shape)?;
    let weight = Tensor::from_vec(weight, &shape, device)?;
    let bias = checkpoint.take(&format!("{name}.bias"), &shape[..1])?;
    Ok((Conv2d::new(&weight, 1, shape[2] / 2)?, bias))
}
