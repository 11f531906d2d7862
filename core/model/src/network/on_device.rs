//! Running a network with candle's own operations, for devices that the fast kernels do not know.

use std::sync::Arc;

use candle_core::{D, Device, Tensor};

use super::curves::QUICK;
use super::{Convolution, FeatureMap, Network, Node, Op, PoolSpec, Shape};
use crate::{Error, Result};

/// A network whose weights live on a device.
#[derive(Debug)]
pub(super) struct OnDevice {
    device: Device,
    /// Weight and bias of each step that has them.
    weights: Vec<Option<(Tensor, Tensor)>>,
    /// For each value the step after which nothing reads it.
    last_use: Vec<usize>,
}

impl OnDevice {
    pub(super) fn new(network: &Network, taps: &[Node], device: &Device) -> Result<Self> {
        let weights = network.steps().iter().map(|step| match &step.op {
            Op::Conv(c) | Op::Linear(c) => upload(c, device).map(Some),
            _ => Ok(None),
        });
        let mut last_use = vec![0; network.steps().len() + 1];
        for (i, step) in network.steps().iter().enumerate() {
            step.inputs.iter().for_each(|n| last_use[n.index()] = i);
        }
        for tap in taps {
            last_use[tap.index()] = usize::MAX;
        }
        Ok(Self { device: device.clone(), weights: weights.collect::<Result<_>>()?, last_use })
    }

    /// As [`Engine::run`](super::Engine::run), for all images at once.
    pub(super) fn run(
        &self,
        network: &Arc<Network>,
        taps: &[Node],
        input: &[f32],
        (n, shapes): (usize, &[Shape]),
    ) -> Result<Vec<FeatureMap>> {
        let Shape { c, h, w } = shapes[0];
        let x = Tensor::from_slice(input, (n, h, w, c), &self.device)?;
        let mut values = vec![None; shapes.len()];
        values[0] = Some(x.permute((0, 3, 1, 2))?.contiguous()?);
        let last = taps.iter().map(|tap| tap.index()).max().unwrap_or(0);
        for (i, step) in network.steps().iter().enumerate().take(last) {
            let inputs: Vec<&Tensor> =
                step.inputs.iter().filter_map(|input| values[input.index()].as_ref()).collect();
            let value = apply(&step.op, self.weights[i].as_ref(), &inputs, shapes[i + 1])?;
            values[i + 1] = Some(value);
            for input in step.inputs.iter().filter(|input| self.last_use[input.index()] <= i) {
                values[input.index()] = None;
            }
        }
        let output = |tap: &Node| {
            let value = values[tap.index()].as_ref().expect("the value of a tap stays");
            let data = value.permute((0, 2, 3, 1))?.flatten_all()?.to_vec1()?;
            FeatureMap::new(n, shapes[tap.index()], data)
        };
        taps.iter().map(output).collect()
    }
}

fn upload(c: &Convolution, device: &Device) -> Result<(Tensor, Tensor)> {
    let spec = &c.spec;
    if spec.dilation[0] != spec.dilation[1] {
        let problem = format!("dilation {:?} along rows and columns", spec.dilation);
        return Err(Error::Input(format!("{problem} does not run on another device")));
    }
    let shape = (spec.out_channels, spec.in_channels / spec.groups, spec.kernel[0], spec.kernel[1]);
    let bias = Tensor::from_slice(&c.bias, (1, spec.out_channels, 1, 1), device)?;
    Ok((Tensor::from_slice(&c.weight, shape, device)?, bias))
}

/// The output of a step, (N, C, H, W).
fn apply(
    op: &Op,
    weights: Option<&(Tensor, Tensor)>,
    inputs: &[&Tensor],
    out: Shape,
) -> candle_core::Result<Tensor> {
    let x = inputs[0];
    match (op, weights) {
        (Op::Conv(c) | Op::Linear(c), Some((weight, bias))) => convolve(c, x, weight, bias, out),
        (Op::Conv(_) | Op::Linear(_), None) => unreachable!("weights were uploaded"),
        (Op::Relu, _) => x.relu(),
        (Op::Relu6, _) => x.clamp(0.0, 6.0),
        (Op::MaxPool(window), _) => {
            // A repeated edge lies in every window that reaches over it, and changes no maximum.
            let [rows, columns] = window.padding;
            let x = x.pad_with_same(2, rows[0], rows[1])?;
            let x = x.pad_with_same(3, columns[0], columns[1])?;
            fold(window, &x, out, |a, b| a.maximum(b))
        }
        (Op::AvgPool(window, count_padding), _) => {
            let sums = |x: &Tensor| fold(window, &padded(x, window.padding)?, out, |a, b| a + b);
            if *count_padding {
                return sums(x)? / (window.kernel[0] * window.kernel[1]) as f64;
            }
            let (_, _, h, w) = x.dims4()?;
            let counts = sums(&Tensor::ones((1, 1, h, w), x.dtype(), x.device())?)?;
            sums(x)?.broadcast_div(&counts)
        }
        (Op::AdaptiveAvgPool(bins), _) => bin_means(&bin_means(x, 2, bins[0])?, 3, bins[1]),
        (Op::GlobalAvgPool, _) => x.mean_keepdim(D::Minus1)?.mean_keepdim(D::Minus2),
        (Op::Concat, _) => Tensor::cat(inputs, 1)?.contiguous(),
        (Op::Add, _) => inputs[1..].iter().try_fold(x.clone(), |sum, other| sum + *other),
        (Op::Flatten, _) => x.contiguous()?.reshape((x.dim(0)?, out.c, 1, 1)),
        (Op::LayerNorm(norm), _) => {
            let centered = x.broadcast_sub(&x.mean_keepdim(1)?)?;
            let variance = centered.sqr()?.mean_keepdim(1)?;
            let normal = centered.broadcast_div(&(variance + f64::from(norm.eps))?.sqrt()?)?;
            let [gain, shift] = [&norm.gain, &norm.shift]
                .map(|values| Tensor::from_slice(values, (1, values.len(), 1, 1), x.device()));
            normal.broadcast_mul(&gain?)?.broadcast_add(&shift?)
        }
        (Op::Gelu, _) => x.gelu_erf(),
        (Op::QuickGelu, _) => swish(x, QUICK),
        (Op::SwiGlu, _) => swish(&x.narrow(1, 0, out.c)?, 1.0)? * x.narrow(1, out.c, out.c)?,
        (Op::Attention(heads), _) => attend(x, *heads, out),
        (Op::Tokens(tokens), _) => {
            let (n, c, h, w) = x.dims4()?;
            let positions = Tensor::from_vec(tokens.resized([h, w]), (1, h * w, c), x.device())?;
            let front = Tensor::from_slice(&tokens.front, (1, tokens.count(), c), x.device())?;
            let patches = x.flatten_from(2)?.broadcast_add(&positions.t()?)?;
            let front = front.t()?.broadcast_as((n, c, tokens.count()))?;
            Tensor::cat(&[&front, &patches], 2)?.unsqueeze(3)?.contiguous()
        }
        (Op::Rows(first, _), _) => x.narrow(2, *first, out.h)?.contiguous(),
        (Op::UnitLength, _) => {
            let length = x.sqr()?.sum_keepdim(1)?.sqrt()?;
            x.broadcast_div(&(&length + length.eq(0.0)?.to_dtype(x.dtype())?)?)
        }
    }
}

/// `x / (1 + e^(-slope x))`.
fn swish(x: &Tensor, slope: f64) -> candle_core::Result<Tensor> {
    x / ((x * -slope)?.exp()? + 1.0)?
}

/// Attention of all pixels, (N, 3 C, H, W) to (N, C, H, W), one image after the other.
fn attend(x: &Tensor, heads: usize, out: Shape) -> candle_core::Result<Tensor> {
    let (n, size, tokens) = (x.dim(0)?, out.c / heads, out.h * out.w);
    let image = |image: usize| {
        let x = x.narrow(0, image, 1)?.reshape((3, heads, size, tokens))?;
        let part = |kind: usize| x.narrow(0, kind, 1)?.squeeze(0)?.contiguous();
        let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
        let scores =
            (queries.transpose(1, 2)?.contiguous()?.matmul(&keys)? * (1.0 / (size as f64).sqrt()))?;
        let powers = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        let weights = powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?;
        // (heads, size, tokens) of values times (heads, tokens, tokens) of weights, turned around.
        let mixed = values.matmul(&weights.transpose(1, 2)?.contiguous()?)?;
        mixed.reshape((1, out.c, out.h, out.w))
    };
    Tensor::cat(&(0..n).map(image).collect::<candle_core::Result<Vec<_>>>()?, 0)
}

fn padded(x: &Tensor, [rows, columns]: [[usize; 2]; 2]) -> candle_core::Result<Tensor> {
    x.pad_with_zeros(2, rows[0], rows[1])?.pad_with_zeros(3, columns[0], columns[1])?.contiguous()
}

fn convolve(
    c: &Convolution,
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    out: Shape,
) -> candle_core::Result<Tensor> {
    let spec = &c.spec;
    let x = padded(x, spec.padding)?;
    let [rows, columns] = spec.stride;
    let stride = if rows == columns { rows } else { 1 };
    let y = x.conv2d(weight, 0, stride, spec.dilation[0], spec.groups)?;
    let y = if rows == columns {
        y
    } else {
        every(&every(&y, 2, 0, rows, out.h)?, 3, 0, columns, out.w)?
    };
    y.broadcast_add(bias)
}

/// `count` slices along `axis`, from `first` on, `step` apart.
fn every(
    x: &Tensor,
    axis: usize,
    first: usize,
    step: usize,
    count: usize,
) -> candle_core::Result<Tensor> {
    if step == 1 {
        return x.narrow(axis, first, count);
    }
    let indices: Vec<u32> = (0..count).map(|i| (first + i * step) as u32).collect();
    x.contiguous()?.index_select(&Tensor::new(indices, x.device())?, axis)
}

/// Joins the values of each window of a padded map.
fn fold(
    window: &PoolSpec,
    x: &Tensor,
    out: Shape,
    join: impl Fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>,
) -> candle_core::Result<Tensor> {
    let mut joined: Option<Tensor> = None;
    for row in 0..window.kernel[0] {
        let rows = every(x, 2, row, window.stride[0], out.h)?;
        for column in 0..window.kernel[1] {
            let part = every(&rows, 3, column, window.stride[1], out.w)?.contiguous()?;
            joined = Some(match joined {
                Some(joined) => join(&joined, &part)?,
                None => part,
            });
        }
    }
    Ok(joined.expect("a window has a pixel"))
}

/// Means over the bins `i * size / bins .. ceil((i + 1) * size / bins)` of one axis.
fn bin_means(x: &Tensor, axis: usize, bins: usize) -> candle_core::Result<Tensor> {
    let size = x.dim(axis)?;
    let mean = |i: usize| {
        let (first, end) = (i * size / bins, ((i + 1) * size).div_ceil(bins));
        x.narrow(axis, first, end - first)?.mean_keepdim(axis)
    };
    Tensor::cat(&(0..bins).map(mean).collect::<candle_core::Result<Vec<_>>>()?, axis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Builder, ConvSpec, Engine, LayerNorm, Positions, Tokens};

    /// Float32 through a few steps.
    const F32: f32 = 1e-5;

    fn convolution(name: &str, spec: ConvSpec) -> Convolution {
        let random = |name: &str, n| ganscope_golden::tensor(name, &[n], (-0.5, 0.5), 0);
        let (weight, bias) = (random(name, spec.weight_len()), random("bias", spec.out_channels));
        Convolution { spec, weight, bias }
    }

    /// Every kind of step, with each of its options.
    fn network() -> Network {
        let mut builder = Builder::new(3);
        let spec = ConvSpec::new(3, 8, [3, 3]).stride(2).padding(1, 1);
        let x = builder.step("a", &[Node::INPUT], Op::Conv(convolution("a", spec)));
        let x = builder.step("relu", &[x], Op::Relu);
        let spec = ConvSpec::new(8, 8, [1, 7]).padding(0, 3);
        let wide = builder.step("wide", &[x], Op::Conv(convolution("wide", spec)));
        let spec = ConvSpec { groups: 8, ..ConvSpec::new(8, 8, [3, 3]).padding(1, 1) };
        let deep = builder.step("deep", &[x], Op::Conv(convolution("deep", spec)));
        let sum = builder.step("sum", &[wide, deep], Op::Add);
        let sum = builder.step("relu6", &[sum], Op::Relu6);
        let joined = builder.step("joined", &[x, sum], Op::Concat);
        let window = PoolSpec::new(3, 2).padding(1);
        let max = builder.step("max", &[joined], Op::MaxPool(window));
        let window = PoolSpec::new(3, 1).padding(1);
        let all = builder.step("all", &[max], Op::AvgPool(window, true));
        let inside = builder.step("inside", &[max], Op::AvgPool(window, false));
        let joined = builder.step("pools", &[all, inside], Op::Concat);
        let spec = ConvSpec { stride: [2, 1], ..ConvSpec::new(32, 6, [2, 2]) };
        let uneven = builder.step("uneven", &[joined], Op::Conv(convolution("uneven", spec)));
        let bins = builder.step("bins", &[uneven], Op::AdaptiveAvgPool([2, 3]));
        let flat = builder.step("flat", &[bins], Op::Flatten);
        let head = convolution("head", ConvSpec::new(36, 5, [1, 1]));
        builder.step("head", &[flat], Op::Linear(head));
        let global = builder.step("global", &[joined], Op::GlobalAvgPool);
        let spec = ConvSpec::new(32, 4, [1, 1]);
        builder.step("last", &[global], Op::Linear(convolution("last", spec)));
        let random = |name: &str, n| ganscope_golden::tensor(name, &[n], (-0.5, 0.5), 0);
        let tokens = Tokens {
            front: random("front", 2 * 32),
            positions: random("positions", 3 * 4 * 32),
            grid: [3, 4],
            resize: Positions::Antialiased,
        };
        let x = builder.step("tokens", &[joined], Op::Tokens(tokens));
        let norm = LayerNorm { gain: random("gain", 32), shift: random("shift", 32), eps: 1e-5 };
        let x = builder.step("norm", &[x], Op::LayerNorm(norm));
        let spec = ConvSpec::new(32, 72, [1, 1]);
        let x = builder.step("qkv", &[x], Op::Linear(convolution("qkv", spec)));
        let x = builder.step("attention", &[x], Op::Attention(3));
        let gelu = builder.step("gelu", &[x], Op::Gelu);
        let quick = builder.step("quick", &[x], Op::QuickGelu);
        let x = builder.step("curves", &[gelu, quick], Op::Concat);
        let x = builder.step("swiglu", &[x], Op::SwiGlu);
        let x = builder.step("patches", &[x], Op::Rows(2, None));
        let x = builder.step("two", &[x], Op::Rows(1, Some(2)));
        builder.step("unit", &[x], Op::UnitLength);
        builder.build()
    }

    #[test]
    fn values_are_those_of_the_kernels() {
        let network = Arc::new(network());
        let taps: Vec<Node> = (0..network.steps().len()).map(Node::of_step).collect();
        let (h, w) = (23, 30);
        let input = ganscope_golden::tensor("input", &[2, h, w, 3], (-1.0, 1.0), 0);
        let expected = Engine::new(network.clone(), &taps).run(&input, (2, h, w)).unwrap();
        let on_device = OnDevice::new(&network, &taps, &Device::Cpu).unwrap();
        let shapes = network.shapes(h, w).unwrap();
        let actual = on_device.run(&network, &taps, &input, (2, &shapes)).unwrap();
        for ((actual, expected), step) in actual.iter().zip(&expected).zip(network.steps()) {
            assert_eq!(actual.shape, expected.shape, "{}", step.name);
            for (a, e) in actual.data.iter().zip(&expected.data) {
                assert!((a - e).abs() < F32 * (1.0 + e.abs()), "{}: {a} {e}", step.name);
            }
        }
    }
}
