//! Pooling.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, Layout, Result, Shape, Tensor, bail};
use ganscope_kernels::{self as kernels, Map, MapMut, PoolSpec};

use super::{has_kernels, map_shape, values};

/// The largest value of each `size x size` window, (N, H, W, C) to (N, H / size, W / size, C).
///
/// The gradient goes to the first of equal maxima. Height and width must be multiples of `size`.
pub fn max_pool(x: &Tensor, size: usize) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    if size == 0 || h % size != 0 || w % size != 0 {
        bail!("max_pool: windows of {size} do not tile a map of {h}x{w}");
    }
    if has_kernels(x) {
        return x.contiguous()?.apply_op1(MaxPool(size));
    }
    let windows = x
        .reshape((n, h / size, size, w / size, size, c))?
        .permute((0, 1, 3, 5, 2, 4))?
        .reshape((n, h / size, w / size, c, size * size))?;
    let place = windows.detach().contiguous()?.argmax_keepdim(D::Minus1)?;
    windows.contiguous()?.gather(&place, D::Minus1)?.squeeze(D::Minus1)
}

struct MaxPool(usize);

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let [n, h, w, c] = map_shape(layout)?;
        let output = [n, h / self.0, w / self.0, c];
        let mut y = kernels::zeros(output.iter().product());
        let input = Map::new(values(x, layout)?, [n, h, w, c]);
        kernels::max_pool(&PoolSpec::new(self.0, self.0), input, MapMut::new(&mut y, output));
        Ok((CpuStorage::F32(y), Shape::from(&output[..])))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        x.contiguous()?.apply_op2_no_bwd(&g.contiguous()?, &Unpool(self.0)).map(Some)
    }
}

/// Gradient of [`MaxPool`], from its input and the gradient of its result.
struct Unpool(usize);

impl CustomOp2 for Unpool {
    fn name(&self) -> &'static str {
        "max_unpool"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        g: &CpuStorage,
        g_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = map_shape(x_layout)?;
        let spec = PoolSpec::new(self.0, self.0);
        let switches = kernels::max_pool_switches(&spec, Map::new(values(x, x_layout)?, shape));
        let gradient = Map::new(values(g, g_layout)?, map_shape(g_layout)?);
        let mut back = kernels::zeros(shape.iter().product());
        kernels::max_unpool(&switches, gradient, MapMut::new(&mut back, shape));
        Ok((CpuStorage::F32(back), x_layout.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::ops::check::{assert_gradients, assert_same, ramp};

    #[test]
    fn gradients_are_those_of_central_differences() {
        let inputs = [ramp(&[2, 4, 6, 3], 1)];
        assert_gradients(&inputs, |t| max_pool(&t[0], 2));
        assert_same(&inputs, |t| max_pool(&t[0], 2));
    }

    #[test]
    fn the_first_of_equal_maxima_has_the_gradient() {
        for dtype in [DType::F32, DType::F64] {
            let ones = Tensor::ones((1, 2, 2, 1), dtype, &candle_core::Device::Cpu).unwrap();
            let x = candle_core::Var::from_tensor(&ones).unwrap();
            let grads = max_pool(x.as_tensor(), 2).unwrap().backward().unwrap();
            let gradient = grads.get(x.as_tensor()).unwrap().to_dtype(DType::F64).unwrap();
            let gradient = gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(gradient, [1.0, 0.0, 0.0, 0.0]);
        }
    }
}
