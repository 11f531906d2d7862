//! Instance normalization.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use ganscope_kernels as kernels;
use rayon::prelude::*;

use super::{has_kernels, map_shape, pixel_sum, values};

/// `(x - mean) / sqrt(var + eps)`, with mean and (biased) variance of each image and channel over
/// its pixels, (N, H, W, C).
///
/// Ulyanov et al., "Instance Normalization", 2016, <https://arxiv.org/abs/1607.08022>.
pub fn instance_norm(x: &Tensor, eps: f64) -> Result<Tensor> {
    if has_kernels(x) {
        return x.contiguous()?.apply_op1(InstanceNorm(eps));
    }
    let centerd = x.broadcast_sub(&mean(x)?)?;
    let variance = mean(&centerd.sqr()?)?;
    centerd.broadcast_div(&(variance + eps)?.sqrt()?)
}

/// Mean over pixels, (N, 1, 1, C).
fn mean(x: &Tensor) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    pixel_sum(x)?.reshape((n, 1, 1, c))? / (h * w) as f64
}

struct InstanceNorm(f64);

/// `1 / sqrt(var + eps)` and the mean of each channel of one image.
fn moments(x: &[f32], c: usize, eps: f64) -> Vec<(f32, f32)> {
    let pixels = (x.len() / c) as f64;
    let mut mean = vec![0.0; c];
    for pixel in x.chunks_exact(c) {
        for (sum, &v) in mean.iter_mut().zip(pixel) {
            *sum += v as f64;
        }
    }
    for sum in &mut mean {
        *sum /= pixels;
    }
    let mut square = vec![0.0; c];
    for pixel in x.chunks_exact(c) {
        for ((sum, &v), mean) in square.iter_mut().zip(pixel).zip(&mean) {
            *sum += (v as f64 - mean) * (v as f64 - mean);
        }
    }
    let factor = |sum: &f64| (sum / pixels + eps).sqrt().recip() as f32;
    square.iter().map(factor).zip(mean.iter().map(|&m| m as f32)).collect()
}

impl CustomOp1 for InstanceNorm {
    fn name(&self) -> &'static str {
        "instance_norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let [_, h, w, c] = map_shape(layout)?;
        let x = values(x, layout)?;
        let mut y = kernels::zeros(x.len());
        if !x.is_empty() {
            let images = y.par_chunks_mut(h * w * c).zip(x.par_chunks(h * w * c));
            images.for_each(|(y, x)| {
                let moments = moments(x, c, self.0);
                y.par_chunks_mut(w * c).zip(x.par_chunks(w * c)).for_each(|(y, x)| {
                    for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
                        for ((y, x), (factor, mean)) in y.iter_mut().zip(x).zip(&moments) {
                            *y = (x - mean) * factor;
                        }
                    }
                });
            });
        }
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let centerd = x.broadcast_sub(&mean(x)?)?;
        let deviation = (mean(&centerd.sqr()?)? + self.0)?.sqrt()?;
        let along = y.broadcast_mul(&mean(&(g * y)?)?)?;
        let g = (g.broadcast_sub(&mean(g)?)? - along)?;
        g.broadcast_div(&deviation).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradients, assert_same, ramp};

    #[test]
    fn gradients_are_those_of_central_differences() {
        let inputs = [ramp(&[2, 4, 3, 5], 1)];
        assert_gradients(&inputs, |t| instance_norm(&t[0], 1e-8));
        assert_same(&inputs, |t| instance_norm(&t[0], 1e-8));
    }
}
