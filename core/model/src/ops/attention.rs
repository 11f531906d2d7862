//! Attention of the pixels of one map to those of another.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, D, Layout, Result, Shape, Tensor, bail};
use ganscope_kernels::{self as kernels, Map, MapMut};
use rayon::prelude::*;

use super::{has_kernels, map_shape, values};

/// `softmax(Q K^T) V` of each image, for `queries` (N, H, W, C), `keys` (N, H', W', C) and `values`
/// (N, H', W', D); the result is (N, H, W, D).
pub fn attend(queries: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
    let (n, h, w, _) = queries.dims4()?;
    let tracked = [queries, keys, values].into_iter().any(Tensor::track_op);
    if has_kernels(queries) && !tracked {
        return queries.contiguous()?.apply_op3_no_bwd(
            &keys.contiguous()?,
            &values.contiguous()?,
            &Attend,
        );
    }
    let [queries, keys, values] = [queries, keys, values].map(|map| map.flatten(1, 2));
    let weights = softmax(&queries?.matmul(&keys?.t()?)?)?;
    weights.matmul(&values?)?.reshape((n, h, w, ()))
}

struct Attend;

impl CustomOp3 for Attend {
    fn name(&self) -> &'static str {
        "attend"
    }

    fn cpu_fwd(
        &self,
        queries: &CpuStorage,
        queries_layout: &Layout,
        keys: &CpuStorage,
        keys_layout: &Layout,
        others: &CpuStorage,
        others_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shapes = [queries_layout, keys_layout, others_layout];
        let [of_queries, of_keys, of_values] = shapes.map(map_shape);
        let [of_queries, of_keys, of_values] = [of_queries?, of_keys?, of_values?];
        let [n, h, w, c] = of_queries;
        if [of_keys[0], of_keys[3]] != [n, c] || of_keys[..3] != of_values[..3] {
            bail!("attention of {of_queries:?} to keys {of_keys:?} and values {of_values:?}");
        }
        let output = [n, h, w, of_values[3]];
        let mut y = kernels::zeros(output.iter().product());
        let parts = [
            Map::new(values(queries, queries_layout)?, of_queries),
            Map::new(values(keys, keys_layout)?, of_keys),
            Map::new(values(others, others_layout)?, of_values),
        ];
        kernels::attend(parts, 1, 1.0, MapMut::new(&mut y, output));
        Ok((CpuStorage::F32(y), Shape::from(&output[..])))
    }
}

/// `exp(x) / sum(exp(x))` along the last axis.
fn softmax(x: &Tensor) -> Result<Tensor> {
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
        let mut y = kernels::zeros(x.len());
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
    fn pixels_attend_to_those_of_another_map() {
        let parts = [ramp(&[2, 3, 4, 5], 1), ramp(&[2, 1, 3, 5], 2), ramp(&[2, 1, 3, 2], 3)];
        let attend = |t: &[Tensor]| attend(&t[0], &t[1], &t[2]);
        assert_eq!(attend(&parts).unwrap().dims(), [2, 3, 4, 2]);
        assert_gradients(&parts, attend);
        assert_same(&parts, attend);
        let wrong = ramp(&[2, 1, 2, 2], 3);
        let float = |t: &Tensor| t.to_dtype(candle_core::DType::F32).unwrap();
        assert!(attend(&[&parts[0], &parts[1], &wrong].map(float)).is_err());
    }

    #[test]
    fn gradients_are_those_of_central_differences() {
        let inputs = [(ramp(&[2, 3, 7], 1) * 4.0).unwrap()];
        assert_gradients(&inputs, |t| softmax(&t[0]));
        assert_same(&inputs, |t| softmax(&t[0]));
    }
}
