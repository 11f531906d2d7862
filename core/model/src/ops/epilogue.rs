//! Scale, noise, bias and activation of a feature map in one pass.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use ganscope_kernels as kernels;
use rayon::prelude::*;

use super::{Activation, has_kernels, map_shape, pixel_sum, values};

/// The terms of [`affine`]; absent ones are 1 and 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct Affine<'a> {
    /// Factor of each channel, (C) or (N, C).
    pub scale: Option<&'a Tensor>,
    /// Term of each pixel, (H, W) or (N, H, W).
    pub noise: Option<&'a Tensor>,
    /// Factor of the noise in each channel, (C); a constant without gradient.
    pub noise_gain: Option<&'a Tensor>,
    /// Term of each channel, (C) or (N, C).
    pub bias: Option<&'a Tensor>,
}

/// `activation(scale * x + noise_gain * noise + bias)` for a feature map (N, H, W, C).
///
/// StyleGAN's demodulation, noise, bias and leaky ReLU; its modulation; batch norm and ReLU.
pub fn affine(x: &Tensor, terms: &Affine<'_>, activation: Activation) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let like = |t: &Tensor| t.to_dtype(x.dtype());
    let per_channel =
        |t: Option<&Tensor>, default: fn(&Tensor, (usize, usize)) -> Result<Tensor>| match t {
            Some(t) => like(t)?.broadcast_as((n, c))?.contiguous(),
            None => default(x, (n, c)),
        };
    let scale = per_channel(terms.scale, |x, shape| Tensor::ones(shape, x.dtype(), x.device()))?;
    let bias = per_channel(terms.bias, |x, shape| Tensor::zeros(shape, x.dtype(), x.device()))?;
    let noise = terms.noise.map(|t| like(t)?.broadcast_as((n, h, w))?.contiguous()).transpose()?;
    let gain = terms.noise_gain.map(|t| like(t)?.reshape(c)).transpose()?;
    let add_noise = |y: Tensor, noise: &Tensor| {
        let noise = noise.unsqueeze(3)?;
        match &gain {
            Some(gain) => y + noise.broadcast_mul(&gain.detach())?,
            None => y.broadcast_add(&noise),
        }
    };
    // The pass has no gradient for the noise.
    if let Some(noise) = noise.as_ref().filter(|noise| has_kernels(x) && noise.track_op()) {
        let terms = Affine { scale: Some(&scale), ..Affine::default() };
        let y = add_noise(affine(x, &terms, Activation::None)?, noise)?;
        let terms = Affine { bias: Some(&bias), ..Affine::default() };
        return affine(&y, &terms, activation);
    }
    if has_kernels(x) {
        let constant = |t: Tensor| t.flatten_all()?.to_vec1();
        let op = Epilogue {
            noise: noise.map(constant).transpose()?,
            noise_gain: gain.map(constant).transpose()?,
            activation,
        };
        return x.contiguous()?.apply_op3(&scale, &bias, op);
    }
    let mut y = x.broadcast_mul(&scale.reshape((n, 1, 1, c))?)?;
    if let Some(noise) = &noise {
        y = add_noise(y, noise)?;
    }
    activate(&y.broadcast_add(&bias.reshape((n, 1, 1, c))?)?, activation)
}

/// Slopes above and below zero, and the limits of the result.
fn shape(activation: Activation) -> Result<(f64, f64, f64, f64)> {
    let all = f64::INFINITY;
    Ok(match activation {
        Activation::None => (1.0, 1.0, -all, all),
        Activation::Relu => (1.0, 0.0, 0.0, all),
        Activation::Relu6 => (1.0, 0.0, 0.0, 6.0),
        Activation::LeakyRelu { slope, gain, clamp } => {
            let limit = clamp.map_or(all, f64::from);
            (gain as f64, (gain * slope) as f64, -limit, limit)
        }
        // Their gradient is not a function of their result.
        Activation::Gelu | Activation::Swish { .. } => {
            candle_core::bail!("{activation:?} does not end an operation of generators")
        }
    })
}

/// `activation(x)`, from candle's operations.
pub(super) fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    let (above, below, low, high) = shape(activation)?;
    if activation == Activation::None {
        return Ok(x.clone());
    }
    let positive = x.relu()?;
    let y = ((&positive * above)? + ((x - &positive)? * below)?)?;
    if high.is_finite() { y.clamp(low, high) } else { Ok(y) }
}

/// Gradient before the activation, from its result `y` and the gradient `g` after it.
pub(super) fn activate_backward(y: &Tensor, g: &Tensor, activation: Activation) -> Result<Tensor> {
    let (above, below, low, high) = shape(activation)?;
    if activation == Activation::None {
        return Ok(g.clone());
    }
    let slope =
        |condition: Tensor, yes: f64, no: f64| condition.to_dtype(y.dtype())?.affine(yes - no, no);
    let mut g = (g * slope(y.gt(0.0)?, above, below)?)?;
    if high.is_finite() {
        g = (g * slope(y.lt(high)?, 1.0, 0.0)?)?;
        g = (g * slope(y.gt(low)?, 1.0, 0.0)?)?;
    }
    Ok(g)
}

/// The pass over memory, with arguments `x` (N, H, W, C), `scale` and `bias` (N, C).
struct Epilogue {
    /// (N, H, W)
    noise: Option<Vec<f32>>,
    /// (C)
    noise_gain: Option<Vec<f32>>,
    activation: Activation,
}

impl CustomOp3 for Epilogue {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [n, h, w, c] = map_shape(x_layout)?;
        let x = values(x, x_layout)?;
        let (scale, bias) = (values(scale, scale_layout)?, values(bias, bias_layout)?);
        if scale.len() != n * c || bias.len() != n * c {
            bail!("affine: scale and bias need one value per image and channel");
        }
        let (above, below, low, high) = shape(self.activation)?;
        let limits = (low as f32, high as f32);
        let finish = Finish { slopes: (above as f32, below as f32), limits };
        let mut y = kernels::zeros(x.len());
        if w * c > 0 {
            let rows = y.par_chunks_mut(w * c).zip(x.par_chunks(w * c)).enumerate();
            rows.for_each(|(row, (y, x))| {
                let image = row / h * c..(row / h + 1) * c;
                let noise = self.noise.as_ref().map(|noise| &noise[row * w..(row + 1) * w]);
                let gain = self.noise_gain.as_deref();
                finish.row(y, x, (&scale[image.clone()], &bias[image]), noise, gain);
            });
        }
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        _bias: &Tensor,
        y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (n, _, _, c) = x.dims4()?;
        let g = activate_backward(y, g, self.activation)?;
        let for_scale = pixel_sum(&(&g * x)?)?;
        let for_bias = pixel_sum(&g)?;
        let for_x = g.broadcast_mul(&scale.reshape((n, 1, 1, c))?)?;
        Ok((Some(for_x), Some(for_scale), Some(for_bias)))
    }
}

/// The arithmetic of one value.
#[derive(Clone, Copy)]
struct Finish {
    slopes: (f32, f32),
    limits: (f32, f32),
}

impl Finish {
    #[inline]
    fn value(self, t: f32) -> f32 {
        let t = t * if t > 0.0 { self.slopes.0 } else { self.slopes.1 };
        // Written so that a NaN stays one.
        let t = if t < self.limits.0 { self.limits.0 } else { t };
        if t > self.limits.1 { self.limits.1 } else { t }
    }

    /// One row of pixels.
    fn row(
        self,
        y: &mut [f32],
        x: &[f32],
        (scale, bias): (&[f32], &[f32]),
        noise: Option<&[f32]>,
        gain: Option<&[f32]>,
    ) {
        let c = scale.len();
        for (pixel, (y, x)) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)).enumerate() {
            let noise = noise.map_or(0.0, |noise| noise[pixel]);
            let terms = y.iter_mut().zip(x).zip(scale).zip(bias);
            match gain {
                None => {
                    for (((y, x), s), b) in terms {
                        *y = self.value(x * s + noise + b);
                    }
                }
                Some(gain) => {
                    for ((((y, x), s), b), g) in terms.zip(gain) {
                        *y = self.value(x * s + noise * g + b);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradients, assert_same, ramp};

    const LEAKY: Activation =
        Activation::LeakyRelu { slope: 0.2, gain: std::f32::consts::SQRT_2, clamp: Some(1.1) };

    #[test]
    fn gradients_are_those_of_central_differences() {
        let noise = ramp(&[2, 3, 4], 7);
        let gain = ramp(&[5], 8);
        for activation in [Activation::None, Activation::Relu, LEAKY] {
            let inputs = [ramp(&[2, 3, 4, 5], 1), ramp(&[2, 5], 2), ramp(&[5], 3)];
            assert_gradients(&inputs, |t| {
                let terms = Affine {
                    scale: Some(&t[1]),
                    bias: Some(&t[2]),
                    noise: Some(&noise),
                    noise_gain: Some(&gain),
                };
                affine(&t[0], &terms, activation)
            });
        }
    }

    #[test]
    fn noise_has_the_gradient_of_central_differences() {
        let gain = ramp(&[5], 8);
        let inputs = [ramp(&[2, 3, 4, 5], 1), ramp(&[2, 5], 2), ramp(&[2, 3, 4], 7)];
        for noise_gain in [None, Some(&gain)] {
            let f = |t: &[Tensor]| {
                let (scale, noise) = (Some(&t[1]), Some(&t[2]));
                affine(&t[0], &Affine { scale, noise, noise_gain, ..Affine::default() }, LEAKY)
            };
            assert_gradients(&inputs, f);
            assert_same(&inputs, f);
        }
    }

    #[test]
    fn kernel_and_candle_agree() {
        let noise = ramp(&[3, 4], 7);
        for activation in [Activation::None, Activation::Relu, Activation::Relu6, LEAKY] {
            let inputs = [ramp(&[2, 3, 4, 5], 1), ramp(&[2, 5], 2), ramp(&[5], 3)];
            assert_same(&inputs, |t| {
                let terms = Affine {
                    scale: Some(&t[1]),
                    bias: Some(&t[2]),
                    noise: Some(&noise),
                    ..Affine::default()
                };
                affine(&t[0], &terms, activation)
            });
        }
    }

    #[test]
    fn a_value_by_hand() {
        let device = &candle_core::Device::Cpu;
        let x = Tensor::new(&[[[[1f32, -1.0]]]], device).unwrap();
        let scale = Tensor::new(&[[2f32, 3.0]], device).unwrap();
        let bias = Tensor::new(&[0.25f32, 0.5], device).unwrap();
        let noise = Tensor::new(&[[0.5f32]], device).unwrap();
        let terms = Affine {
            scale: Some(&scale),
            bias: Some(&bias),
            noise: Some(&noise),
            ..Affine::default()
        };
        let activation = Activation::LeakyRelu { slope: 0.5, gain: 2.0, clamp: Some(4.0) };
        let y = affine(&x, &terms, activation).unwrap();
        // 2 + 0.5 + 0.25 = 2.75, doubled and limited; (-3 + 0.5 + 0.5) / 2, doubled.
        assert_eq!(y.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [4.0, -2.0]);
    }
}
