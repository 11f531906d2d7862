//! Softmax over rows.

use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{has_kernels, values};

/// `exp(x) / sum(exp(x))` along the last axis.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    if has_kernels(x) {
        return x.contiguous()?.apply_op1(Softmax);
    }
    let e = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?.exp()?;
    e.broadcast_div(&e.sum_keepdim(D::Minus1)?)
}

struct Softmax;

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let width = layout.dims().last().copied().unwrap_or(1).max(1);
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(width).zip(x.par_chunks(width)).for_each(|(y, x)| {
            let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for (y, x) in y.iter_mut().zip(x) {
                *y = (x - most).exp();
                sum += *y;
            }
            let factor = 1.0 / sum;
            for y in y {
                *y *= factor;
            }
        });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let mean = (g * y)?.sum_keepdim(D::Minus1)?;
        (y * g.broadcast_sub(&mean)?).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradients, assert_same, ramp};

    #[test]
    fn gradients_are_those_of_central_differences() {
        let inputs = [(ramp(&[2, 3, 7], 1) * 4.0).unwrap()];
        assert_gradients(&inputs, |t| softmax(&t[0]));
        assert_same(&inputs, |t| softmax(&t[0]));
    }
}
