//! Convolution and transposed convolution with constant weights.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use ganscope_kernels::{self as kernels, Algorithm, ConvSpec, ConvTransposeSpec, Isa, Map, MapMut};

use super::{Activation, Extras, constant, has_kernels, map_shape, values};
use super::{to_channels_first, to_channels_last};

/// Cross-correlation with bias and activation, (N, H, W, I) to (N, H', W', O).
#[derive(Debug, Clone)]
pub struct Conv2d {
    filter: Arc<Filter>,
    bias: Option<Tensor>,
    activation: Activation,
    algorithm: Algorithm,
    fused: Arc<OnceLock<kernels::Conv2d>>,
}

impl Conv2d {
    /// A convolution by `weight` (O, I, kh, kw), with `stride` and zero `padding` along both axes.
    pub fn new(weight: &Tensor, stride: usize, padding: usize) -> Result<Self> {
        Self::grouped(weight, stride, padding, 1)
    }

    /// The same of groups of channels, which do not see each other; `weight` (O, I / groups, kh, kw).
    pub fn grouped(weight: &Tensor, stride: usize, padding: usize, groups: usize) -> Result<Self> {
        let filter = Arc::new(Filter::new(weight, stride, padding, groups)?);
        let algorithm = Algorithm::best(&filter.spec);
        let (activation, fused) = (Activation::None, Arc::default());
        Ok(Self { filter, bias: None, activation, algorithm, fused })
    }

    /// The same with a bias (O).
    pub fn bias(self, bias: &Tensor) -> Result<Self> {
        let bias = Some(bias.reshape(self.filter.spec.out_channels)?);
        Ok(Self { bias, fused: Arc::default(), ..self })
    }

    /// The same with an activation after the bias.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Self { activation, fused: Arc::default(), ..self }
    }

    /// The same for maps of some ten pixels, on which reading transformed weights takes longer than
    /// all products with plain ones.
    #[must_use]
    pub fn for_small_maps(self) -> Self {
        Self { algorithm: Algorithm::Direct, fused: Arc::default(), ..self }
    }

    /// `activation(conv(x) + bias)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_with(x, Extras::default())
    }

    /// `activation(scale * conv(x) + noise + offset + bias + residual)`.
    pub fn forward_with(&self, x: &Tensor, extras: Extras<'_>) -> Result<Tensor> {
        if has_kernels(x) && !x.track_op() && !extras.tracked() {
            return self.run(x, extras);
        }
        extras.join(&self.filter.apply(x)?, self.bias.as_ref(), self.activation)
    }

    /// The kernel with bias and activation.
    fn kernel(&self) -> Result<&kernels::Conv2d> {
        if self.fused.get().is_none() {
            let bias = self.bias.as_ref().map(constant).transpose()?;
            let weight = constant(&self.filter.weight)?;
            let (spec, bias, isa) = (self.filter.spec, bias.as_deref(), Isa::best());
            let (activation, algorithm) = (self.activation, self.algorithm);
            let made = kernels::Conv2d::with(spec, &weight, bias, activation, algorithm, isa);
            self.fused.get_or_init(|| made);
        }
        Ok(self.fused.get().expect("packed above"))
    }

    /// All in one pass.
    fn run(&self, x: &Tensor, extras: Extras<'_>) -> Result<Tensor> {
        let kernel = self.kernel()?;
        let (n, h, w, c) = x.dims4()?;
        let shape = self.filter.output_shape([n, h, w, c])?;
        extras.in_one_pass(x, shape, |x, y, extras| kernel.run_with(x, y, extras))
    }
}

/// Transposed convolution, (N, H, W, I) to (N, H', W', O) with
/// `H' = (H - 1) stride + kh - 2 padding`; the input gradient of a [`Conv2d`].
#[derive(Debug, Clone)]
pub struct ConvTranspose2d(Arc<Filter>);

impl ConvTranspose2d {
    /// A transposed convolution by `weight` (I, O, kh, kw), PyTorch's layout; `padding` rows and
    /// columns are cut off on each side.
    pub fn new(weight: &Tensor, stride: usize, padding: usize) -> Result<Self> {
        Ok(Self(Arc::new(Filter::new(weight, stride, padding, 1)?)))
    }

    /// Spreads `x`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, h, w, _) = x.dims4()?;
        let filter = &self.0;
        let along = |axis: usize, size: usize| {
            let full = (size.max(1) - 1) * filter.spec.stride[axis] + filter.spec.kernel[axis];
            full.checked_sub(filter.spec.padding[axis].iter().sum())
        };
        match (along(0, h), along(1, w)) {
            (Some(h), Some(w)) => filter.adjoint(x, [h, w]),
            _ => bail!("padding {:?} exceeds the output", filter.spec.padding),
        }
    }
}

/// The linear map of a convolution, and its adjoint; each is the gradient of the other.
#[derive(Debug)]
struct Filter {
    /// (O, I / groups, kh, kw)
    weight: Tensor,
    spec: ConvSpec,
    conv: OnceLock<kernels::Conv2d>,
    adjoint: OnceLock<kernels::ConvTranspose2d>,
}

impl Filter {
    fn new(weight: &Tensor, stride: usize, padding: usize, groups: usize) -> Result<Self> {
        let (o, i, kh, kw) = weight.dims4()?;
        if stride == 0 || weight.elem_count() == 0 {
            bail!("convolution of weight {:?} with stride {stride}", weight.dims());
        }
        if groups == 0 || !o.is_multiple_of(groups) {
            bail!("{groups} groups of {o} channels");
        }
        let spec = ConvSpec::new(i * groups, o, [kh, kw]).stride(stride).padding(padding, padding);
        let spec = ConvSpec { groups, ..spec };
        Ok(Self { weight: weight.detach(), spec, conv: OnceLock::new(), adjoint: OnceLock::new() })
    }

    fn output_shape(&self, [n, h, w, c]: [usize; 4]) -> Result<[usize; 4]> {
        if c != self.spec.in_channels {
            bail!("convolution of {} channels on a map of {c}", self.spec.in_channels);
        }
        let [oh, ow] = self.spec.output_size(h, w);
        if oh * ow == 0 && h * w != 0 {
            bail!("kernel {:?} is larger than a map of {h}x{w}", self.spec.kernel);
        }
        Ok([n, oh, ow, self.spec.out_channels])
    }

    /// The convolution, without bias.
    fn apply(self: &Arc<Self>, x: &Tensor) -> Result<Tensor> {
        let (n, h, w, c) = x.dims4()?;
        self.output_shape([n, h, w, c])?;
        if has_kernels(x) {
            return x.contiguous()?.apply_op1(Forward(Arc::clone(self)));
        }
        let weight = self.weight.to_dtype(x.dtype())?;
        let (padding, stride) = (self.spec.padding[0][0], self.spec.stride[0]);
        to_channels_last(&to_channels_first(x)?.conv2d(
            &weight,
            padding,
            stride,
            1,
            self.spec.groups,
        )?)
    }

    /// The transposed convolution to a map of `size`.
    fn adjoint(self: &Arc<Self>, y: &Tensor, size: [usize; 2]) -> Result<Tensor> {
        let (_, h, w, c) = y.dims4()?;
        if c != self.spec.out_channels {
            bail!("transposed convolution of {} channels on {c}", self.spec.out_channels);
        }
        if has_kernels(y) {
            return y.contiguous()?.apply_op1(Adjoint(Arc::clone(self), size));
        }
        let weight = self.weight.to_dtype(y.dtype())?;
        let (padding, stride) = (self.spec.padding[0][0], self.spec.stride[0]);
        let reach = |axis: usize, size: usize| {
            (size.max(1) - 1) * stride + self.spec.kernel[axis] - 2 * padding
        };
        let beyond = size[0].saturating_sub(reach(0, h)).max(size[1].saturating_sub(reach(1, w)));
        let groups = self.spec.groups;
        let (y, inner) = (to_channels_first(y)?, c / groups);
        let group = |g: usize| {
            let (y, weight) = (y.narrow(1, g * inner, inner)?, weight.narrow(0, g * inner, inner)?);
            let (y, weight) = (y.contiguous()?, weight.contiguous()?);
            y.conv_transpose2d(&weight, padding, beyond, stride, 1)
        };
        let x = Tensor::cat(&(0..groups).map(group).collect::<Result<Vec<_>>>()?, 1)?;
        to_channels_last(&x.narrow(2, 0, size[0])?.narrow(3, 0, size[1])?)
    }

    fn conv(&self) -> Result<&kernels::Conv2d> {
        if self.conv.get().is_none() {
            let weight = constant(&self.weight)?;
            let made = kernels::Conv2d::new(self.spec, &weight, None, Activation::None);
            self.conv.get_or_init(|| made);
        }
        Ok(self.conv.get().expect("packed above"))
    }

    fn transposed(&self) -> Result<&kernels::ConvTranspose2d> {
        if self.adjoint.get().is_none() {
            let weight = constant(&self.weight)?;
            let spec = ConvTransposeSpec::gradient_of(&self.spec);
            let made = kernels::ConvTranspose2d::new(spec, &weight, None, Activation::None);
            self.adjoint.get_or_init(|| made);
        }
        Ok(self.adjoint.get().expect("packed above"))
    }
}

struct Forward(Arc<Filter>);

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let shape = map_shape(layout)?;
        let output = self.0.output_shape(shape)?;
        let mut y = kernels::zeros(output.iter().product());
        let input = Map::new(values(x, layout)?, shape);
        self.0.conv()?.run(input, MapMut::new(&mut y, output));
        Ok((CpuStorage::F32(y), Shape::from(&output[..])))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let (_, h, w, _) = x.dims4()?;
        self.0.adjoint(g, [h, w]).map(Some)
    }
}

struct Adjoint(Arc<Filter>, [usize; 2]);

impl CustomOp1 for Adjoint {
    fn name(&self) -> &'static str {
        "conv_transpose2d"
    }

    fn cpu_fwd(&self, y: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let shape = map_shape(layout)?;
        let output = [shape[0], self.1[0], self.1[1], self.0.spec.in_channels];
        let mut x = kernels::zeros(output.iter().product());
        let input = Map::new(values(y, layout)?, shape);
        self.0.transposed()?.run(input, MapMut::new(&mut x, output));
        Ok((CpuStorage::F32(x), Shape::from(&output[..])))
    }

    fn bwd(&self, _y: &Tensor, _x: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        self.0.apply(g).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::ops::check::{assert_gradients, assert_same, ramp};

    fn weight(shape: &[usize]) -> Tensor {
        ramp(shape, 50).to_dtype(DType::F32).unwrap()
    }

    #[test]
    fn convolution_has_the_gradient_of_central_differences() {
        let bias = weight(&[2]);
        let conv = Conv2d::new(&weight(&[2, 3, 3, 3]), 1, 1).unwrap().bias(&bias).unwrap();
        let conv = conv.activation(Activation::LeakyRelu { slope: 0.2, gain: 1.5, clamp: None });
        let inputs =
            [ramp(&[2, 4, 5, 3], 1), ramp(&[2, 2], 2), ramp(&[2, 4, 5, 2], 3), ramp(&[2, 2], 5)];
        let noise = ramp(&[4, 5], 4);
        let f = |t: &[Tensor]| {
            let [scale, residual, offset] = [1, 2, 3].map(|i| Some(&t[i]));
            let extras = Extras { scale, noise: Some(&noise), offset, residual };
            conv.forward_with(&t[0], extras)
        };
        assert_gradients(&inputs, f);
        assert_same(&inputs, f);
    }

    #[test]
    fn the_fused_kernel_and_the_tracked_path_agree() {
        let bias = weight(&[2]);
        let conv = Conv2d::new(&weight(&[2, 3, 3, 3]), 1, 1).unwrap().bias(&bias).unwrap();
        let conv = conv.activation(Activation::Relu);
        let x = ramp(&[2, 4, 5, 3], 1).to_dtype(DType::F32).unwrap();
        let [scale, offset] = [2, 3].map(|seed| ramp(&[2, 2], seed).to_dtype(DType::F32).unwrap());
        let extras = Extras { scale: Some(&scale), offset: Some(&offset), ..Extras::default() };
        let fused = conv.forward_with(&x, extras).unwrap();
        let tracked = candle_core::Var::from_tensor(&x).unwrap();
        let tracked = conv.forward_with(tracked.as_tensor(), extras).unwrap();
        let difference = (fused - tracked).unwrap().abs().unwrap().max_all().unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 1e-5);
    }

    #[test]
    fn direct_sums_agree_with_transformed_ones() {
        let conv = Conv2d::new(&weight(&[8, 32, 3, 3]), 1, 1).unwrap();
        let x = ramp(&[2, 4, 4, 32], 1).to_dtype(DType::F32).unwrap();
        let direct = conv.clone().for_small_maps().forward(&x).unwrap();
        let difference = (conv.forward(&x).unwrap() - direct).unwrap().abs().unwrap();
        assert!(difference.max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-4);
    }

    #[test]
    fn strided_and_pointwise_convolutions_agree_with_candle() {
        for (kernel, stride, padding, size) in [(1, 1, 0, 5), (3, 2, 1, 5), (4, 2, 1, 6)] {
            let conv = Conv2d::new(&weight(&[2, 3, kernel, kernel]), stride, padding).unwrap();
            assert_same(&[ramp(&[2, size, size, 3], 1)], |t| conv.forward(&t[0]));
        }
    }

    #[test]
    fn groups_do_not_see_each_other() {
        let weight = weight(&[4, 3, 3, 3]);
        let conv = Conv2d::grouped(&weight, 1, 1, 2).unwrap();
        let x = ramp(&[2, 5, 4, 6], 1);
        let halves = [0, 1].map(|g| {
            let half = Conv2d::new(&weight.narrow(0, 2 * g, 2).unwrap(), 1, 1).unwrap();
            half.forward(&x.narrow(3, 3 * g, 3).unwrap().contiguous().unwrap()).unwrap()
        });
        let expected = Tensor::cat(&halves, 3).unwrap();
        let difference = (conv.forward(&x).unwrap() - expected).unwrap().abs().unwrap();
        assert!(difference.max_all().unwrap().to_scalar::<f64>().unwrap() < 1e-12);
        assert_gradients(std::slice::from_ref(&x), |t| conv.forward(&t[0]));
        assert_same(&[x], |t| conv.forward(&t[0]));
        assert!(Conv2d::grouped(&weight, 1, 1, 3).is_err());
    }

    #[test]
    fn transposed_convolution_has_the_gradient_of_central_differences() {
        for (kernel, stride, padding) in [(3, 2, 0), (4, 2, 1), (3, 1, 1)] {
            let weight = weight(&[3, 2, kernel, kernel]);
            let conv = ConvTranspose2d::new(&weight, stride, padding).unwrap();
            let inputs = [ramp(&[2, 3, 4, 3], 1)];
            assert_gradients(&inputs, |t| conv.forward(&t[0]));
            assert_same(&inputs, |t| conv.forward(&t[0]));
        }
    }

    #[test]
    fn a_map_of_other_channels_is_an_error() {
        let conv = Conv2d::new(&weight(&[2, 3, 3, 3]), 1, 1).unwrap();
        for dtype in [DType::F32, DType::F64] {
            let x = ramp(&[1, 4, 4, 2], 1).to_dtype(dtype).unwrap();
            let error = conv.forward(&x).unwrap_err().to_string();
            assert!(error.contains("3 channels on a map of 2"), "{error}");
        }
    }
}
