//! The residual block of BigGAN-deep: a bottleneck of four convolutions.
//!
//! Brock et al., <https://arxiv.org/abs/1809.11096>, appendix B, figure 16.

use candle_core::{Device, Tensor};
use ganscope_model::ops::{Conv2d, Extras, upsample_nearest};
use ganscope_model::{Checkpoint, Result};

use crate::Config;
use crate::config::Layer;
use crate::norm::ConditionalNorm;
use crate::spectral::take_weight;

/// The bottleneck has a quarter of the input channels.
const REDUCTION: usize = 4;

/// Norm and ReLU before each convolution; the skip path drops channels and repeats pixels.
#[derive(Debug)]
pub(crate) struct Block {
    up: bool,
    out_channels: usize,
    norms: [ConditionalNorm; 4],
    convs: [Conv2d; 4],
}

impl Block {
    /// Loads `name.bn_{0..3}` and `name.conv_{0..3}`.
    pub(crate) fn new(
        checkpoint: &mut Checkpoint,
        name: &str,
        config: &Config,
        layer: Layer,
        device: &Device,
    ) -> Result<Self> {
        let Layer(up, input, output) = layer;
        let (input, output) = (input * config.channel_width, output * config.channel_width);
        let middle = input / REDUCTION;
        let condition = 2 * config.z_dim;
        let mut bias: Option<Vec<f32>> = None;
        let mut stage = |index: usize, from: usize, to: usize, kernel: usize| {
            let norm = ConditionalNorm::new(
                checkpoint,
                &format!("{name}.bn_{index}"),
                [config.n_stats, from],
                condition,
                config.eps,
                bias.as_deref(),
                device,
            )?;
            let name = format!("{name}.conv_{index}");
            let shape = [to, from, kernel, kernel];
            let weight = take_weight(checkpoint, &name, &shape)?;
            let weight = Tensor::from_vec(weight, &shape, device)?;
            let conv = Conv2d::new(&weight, 1, kernel / 2)?;
            // The norm that follows takes the bias into its mean; the last convolution has none.
            let values = checkpoint.take(&format!("{name}.bias"), &[to])?;
            let conv = if index == 3 {
                conv.bias(&Tensor::from_slice(&values, to, device)?)?
            } else {
                conv
            };
            bias = Some(values);
            Ok::<_, ganscope_model::Error>((norm, conv))
        };
        let (norm_0, conv_0) = stage(0, input, middle, 1)?;
        let (norm_1, conv_1) = stage(1, middle, middle, 3)?;
        let (norm_2, conv_2) = stage(2, middle, middle, 3)?;
        let (norm_3, conv_3) = stage(3, middle, output, 1)?;
        Ok(Self {
            up,
            out_channels: output,
            norms: [norm_0, norm_1, norm_2, norm_3],
            convs: [conv_0, conv_1, conv_2, conv_3],
        })
    }

    /// (N, H, W, C) to (N, H, W, C') or (N, 2H, 2W, C'), for conditions (N, D).
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        condition: &Tensor,
        position: (usize, f64),
    ) -> Result<Tensor> {
        let [norm_0, norm_1, norm_2, norm_3] = &self.norms;
        let [conv_0, conv_1, conv_2, conv_3] = &self.convs;
        let widen = |x: Tensor| if self.up { upsample_nearest(&x, 2) } else { Ok(x) };
        let y = conv_0.forward(&norm_0.relu(x, condition, position)?)?;
        let y = conv_1.forward(&widen(norm_1.relu(&y, condition, position)?)?)?;
        let y = conv_2.forward(&norm_2.relu(&y, condition, position)?)?;
        let y = norm_3.relu(&y, condition, position)?;
        let skip = widen(x.narrow(3, 0, self.out_channels)?.contiguous()?)?;
        Ok(conv_3.forward_with(&y, Extras { residual: Some(&skip), ..Extras::default() })?)
    }
}
