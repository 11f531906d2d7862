//! Self-attention between all pixels.
//!
//! Zhang et al., "Self-Attention Generative Adversarial Networks", 2019,
//! <https://arxiv.org/abs/1805.08318>.

use candle_core::{Device, Tensor};
use ganscope_model::ops::{Conv2d, Extras, attend, max_pool};
use ganscope_model::{Checkpoint, Error, Result};

use crate::names::Names;
use crate::spectral::take_weight;

/// `x + gamma o(softmax(theta(x) phi(x)^T) g(x))`, with `phi` and `g` pooled to half the size.
#[derive(Debug)]
pub(crate) struct Attention {
    theta: Conv2d,
    phi: Conv2d,
    g: Conv2d,
    /// Carries `gamma`.
    out: Conv2d,
}

impl Attention {
    /// Loads the factor and the four convolutions below `name`.
    pub(crate) fn new(
        checkpoint: &mut Checkpoint,
        name: &str,
        names: &Names,
        channels: usize,
        device: &Device,
    ) -> Result<Self> {
        if channels < 8 {
            return Err(Error::Config(format!(
                "attention `{name}` has {channels} channels, below 8"
            )));
        }
        let gamma = format!("{name}.{}", names.gamma);
        // BigGAN-PyTorch stores a number, the others a vector of one.
        let scalar = checkpoint.shape(&gamma).is_some_and(<[usize]>::is_empty);
        let gamma = checkpoint.take(&gamma, if scalar { &[] } else { &[1] })?[0] as f64;
        let mut conv = |leaf: &str, to: usize, from: usize, factor: f64| -> Result<Conv2d> {
            let shape = [to, from, 1, 1];
            let weight = take_weight(checkpoint, &format!("{name}.{leaf}"), &shape)?;
            let weight = (Tensor::from_vec(weight, &shape, device)? * factor)?;
            Ok(Conv2d::new(&weight, 1, 0)?)
        };
        let [theta, phi, g, out] = names.attention;
        Ok(Self {
            theta: conv(theta, channels / 8, channels, 1.0)?,
            phi: conv(phi, channels / 8, channels, 1.0)?,
            g: conv(g, channels / 2, channels, 1.0)?,
            out: conv(out, channels, channels / 2, gamma)?,
        })
    }

    /// (N, H, W, C) to (N, H, W, C).
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let theta = self.theta.forward(x)?; // (N, H, W, C/8)
        let phi = max_pool(&self.phi.forward(x)?, 2)?; // (N, H/2, W/2, C/8)
        let g = max_pool(&self.g.forward(x)?, 2)?; // (N, H/2, W/2, C/2)
        let seen = attend(&theta, &phi, &g)?;
        Ok(self.out.forward_with(&seen, Extras { residual: Some(x), ..Extras::default() })?)
    }
}
