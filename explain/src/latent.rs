//! Activation maximisation through a generator: the picture that a class or unit answers to most
//! among those that the generator can make.
//!
//! Nguyen et al., "Synthesizing the Preferred Inputs for Neurons in Neural Networks via Deep
//! Generator Networks", 2016, <https://arxiv.org/abs/1605.09304>.

use candle_core::{Device, Tensor, Var};
use ganscope_model::network::Rectifier;
use ganscope_model::{FeatureMap, Shape};

use crate::error::require;
use crate::explainer::LUMA;
use crate::gradient::gradient;
use crate::{Error, Explainer, Result, Target};

/// Share of the last steps in the next one: generators are rough, and the mean of some gradients
/// points further than each.
const MOMENTUM: f64 = 0.8;

/// Gradient ascent on `target(x(l)) - decay |l - center|^2 / s^2`, where `x(l)` is the image of the
/// latent `l` and `s` the root mean square of `start - center`, along a running mean of gradients of
/// equal length, in steps that shrink to nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatentMaximization {
    /// Steps of the ascent.
    pub steps: usize,
    /// Length of the first step, as a share of the distance of the start from the center.
    pub rate: f64,
    /// Weight of the squared distance from the center: how much a likely latent matters.
    pub decay: f64,
}

impl Default for LatentMaximization {
    fn default() -> Self {
        Self { steps: 100, rate: 0.1, decay: 0.02 }
    }
}

impl LatentMaximization {
    /// The latent after the ascent from `start`, of any shape.
    ///
    /// `center` is the mean of the latents, of the same shape; `synthesize` makes one image of a
    /// latent, (1, C, H, W) nominally in [-1, 1], by operations that candle can differentiate.
    ///
    /// # Errors
    /// If an option is out of range, the target does not exist, and those of `synthesize`.
    pub fn explain(
        &self,
        explainer: &Explainer,
        target: &Target,
        [start, center]: [&Tensor; 2],
        synthesize: impl Fn(&Tensor) -> ganscope_model::Result<Tensor>,
    ) -> Result<Tensor> {
        for (name, value) in [("the rate", self.rate), ("the decay", self.decay)] {
            require(value >= 0.0 && value.is_finite(), name, "at least 0", value)?;
        }
        let spread = root_mean_square(&(start - center)?)?;
        let decay = if spread == 0.0 { 0.0 } else { 2.0 * self.decay / (spread * spread) };
        let mut latent = start.detach();
        let mut velocity = latent.zeros_like()?;
        for step in 0..self.steps {
            let ascent = latent_gradient(explainer, target, &latent, &synthesize)?;
            let direction = (ascent - ((&latent - center)? * decay)?)?;
            let length = root_mean_square(&direction)?;
            if length == 0.0 {
                break;
            }
            velocity = ((velocity * MOMENTUM)? + (direction * ((1.0 - MOMENTUM) / length))?)?;
            let rate = self.rate * spread * (self.steps - step) as f64 / self.steps as f64;
            latent = (latent + (&velocity * rate)?)?;
        }
        Ok(latent)
    }
}

/// Gradient of the target with respect to a latent: that with respect to the input of the network,
/// carried through the generator.
///
/// # Errors
/// If the target does not exist, `synthesize` fails, or cannot be differentiated.
pub fn latent_gradient(
    explainer: &Explainer,
    target: &Target,
    latent: &Tensor,
    synthesize: impl Fn(&Tensor) -> ganscope_model::Result<Tensor>,
) -> Result<Tensor> {
    let latent = Var::from_tensor(latent)?;
    let input = network_input(explainer, &synthesize(&latent)?)?;
    let signal = gradient(explainer.walker(), &feature_map(&input)?, target, Rectifier::Gradient)?;
    let signal = Tensor::from_vec(signal.to_nchw(), input.dims(), input.device())?;
    let gradients = (input * signal)?.sum_all()?.backward()?;
    let (method, needs) = ("an ascent in latents", "a generator that can be differentiated");
    gradients.get(&latent).cloned().ok_or(Error::Unsuited { method, needs })
}

/// The network input for an image of a generator, as [`Explainer::prepare`] makes it of a picture,
/// but neither rounded nor clipped: (1, C, H, W) in [-1, 1] to (1, C', S, S).
///
/// # Errors
/// If the image has neither one nor three channels.
pub fn network_input(explainer: &Explainer, image: &Tensor) -> Result<Tensor> {
    let classifier = explainer.classifier();
    let (channels, size) = (classifier.network.in_channels(), classifier.input_size);
    let (scaling, device) = (&classifier.normalization, image.device());
    let (_, c, h, w) = image.dims4()?;
    let image = match (c, channels) {
        (3, 1) => {
            let luma = Tensor::new(&LUMA, device)?.reshape((1, 3, 1, 1))?;
            image.broadcast_mul(&luma)?.sum_keepdim(1)?
        }
        (1, 3) => image.broadcast_as((1, 3, h, w))?.contiguous()?,
        _ => image.clone(),
    };
    // Rows are resized after a transposition, which the second one undoes.
    let along = |image: &Tensor, from: usize| -> Result<Tensor> {
        let resized = image.broadcast_matmul(&resampling(from, size, device)?.t()?)?;
        Ok(resized.transpose(2, 3)?.contiguous()?)
    };
    let image = if (h, w) == (size, size) { image } else { along(&along(&image, w)?, h)? };
    let row = |values: &[f32]| Tensor::new(values, device)?.reshape((1, (), 1, 1));
    let light = ((image + 1.0)? / 2.0)?;
    Ok(light.broadcast_sub(&row(&scaling.mean())?)?.broadcast_div(&row(&scaling.std())?)?)
}

fn root_mean_square(tensor: &Tensor) -> Result<f64> {
    Ok(f64::from(tensor.sqr()?.mean_all()?.to_scalar::<f32>()?).sqrt())
}

/// The values of a tensor (1, C, H, W).
///
/// # Errors
/// If it has another shape.
pub fn feature_map(tensor: &Tensor) -> Result<FeatureMap> {
    let (_, c, h, w) = tensor.dims4()?;
    let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
    Ok(FeatureMap::from_nchw(1, Shape { c, h, w }, &values)?)
}

/// The matrix, (`to`, `from`), of Pillow's bicubic filter along one axis.
fn resampling(from: usize, to: usize, device: &Device) -> candle_core::Result<Tensor> {
    let ratio = from as f64 / to as f64;
    let width = ratio.max(1.0);
    let cubic = |x: f64| {
        let x = x.abs();
        if x < 1.0 {
            (1.5 * x - 2.5) * x * x + 1.0
        } else if x < 2.0 {
            ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
        } else {
            0.0
        }
    };
    let row = |i: usize| {
        let center = (i as f64 + 0.5) * ratio;
        let weights: Vec<f64> =
            (0..from).map(|j| cubic((j as f64 + 0.5 - center) / width)).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(move |w| (w / sum) as f32)
    };
    Tensor::from_vec((0..to).flat_map(row).collect(), (to, from), device)
}
