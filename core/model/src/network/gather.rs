//! Convolution and its transpose in float64 by plain loops: each output pixel gathers the input
//! pixels that its taps name.

use rayon::prelude::*;

use super::{ConvSpec, FeatureMap, Shape};

/// A convolution or the transpose of one, its weight as (group, tap, source, destination).
#[derive(Debug, Clone)]
pub struct Gather {
    spec: ConvSpec,
    transposed: bool,
    weight: Vec<f64>,
    /// None for a transpose.
    bias: Option<Vec<f64>>,
    /// Channels of a group that are read, and that are written.
    channels: [usize; 2],
}

impl Gather {
    /// `W x + b`, with a weight of (O, I / groups, H, W).
    pub(super) fn forward(spec: &ConvSpec, weight: &[f64], bias: &[f64]) -> Self {
        let channels = [spec.in_channels / spec.groups, spec.out_channels / spec.groups];
        Self::new(spec, false, channels, Some(bias.to_vec()), |group, tap, i, o| {
            let place = (group * channels[1] + o) * channels[0] + i;
            weight[place * spec.kernel[0] * spec.kernel[1] + tap]
        })
    }

    /// `W^T y` of the same convolution.
    pub(super) fn transposed(spec: &ConvSpec, weight: &[f64]) -> Self {
        let channels = [spec.out_channels / spec.groups, spec.in_channels / spec.groups];
        Self::new(spec, true, channels, None, |group, tap, o, i| {
            let place = (group * channels[0] + o) * channels[1] + i;
            weight[place * spec.kernel[0] * spec.kernel[1] + tap]
        })
    }

    fn new(
        spec: &ConvSpec,
        transposed: bool,
        channels: [usize; 2],
        bias: Option<Vec<f64>>,
        at: impl Fn(usize, usize, usize, usize) -> f64,
    ) -> Self {
        let taps = spec.kernel[0] * spec.kernel[1];
        let mut weight = Vec::with_capacity(spec.weight_len());
        for (group, tap) in (0..spec.groups * taps).map(|k| (k / taps, k % taps)) {
            for source in 0..channels[0] {
                weight.extend((0..channels[1]).map(|to| at(group, tap, source, to)));
            }
        }
        Self { spec: *spec, transposed, weight, bias, channels }
    }

    /// The place along an axis of `size` that `tap` of the output place `to` reads.
    fn source(&self, axis: usize, to: usize, tap: usize, size: usize) -> Option<usize> {
        let (stride, before) = (self.spec.stride[axis], self.spec.padding[axis][0]);
        let reach = tap * self.spec.dilation[axis];
        let place = if self.transposed {
            let shifted = (to + before).checked_sub(reach)?;
            (shifted % stride == 0).then_some(shifted / stride)?
        } else {
            (to * stride + reach).checked_sub(before)?
        };
        (place < size).then_some(place)
    }

    /// The result, of the shape `out`.
    pub(super) fn run(&self, x: &FeatureMap<f64>, out: Shape) -> FeatureMap<f64> {
        let mut y = FeatureMap::filled(x.n, out, 0.0);
        let rows = y.data.par_chunks_mut(out.w * out.c).enumerate();
        rows.for_each(|(row, line)| {
            for (column, pixel) in line.chunks_exact_mut(out.c).enumerate() {
                self.pixel(x, [row / out.h, row % out.h, column], pixel);
            }
        });
        y
    }

    fn pixel(&self, x: &FeatureMap<f64>, [image, row, column]: [usize; 3], out: &mut [f64]) {
        if let Some(bias) = &self.bias {
            out.copy_from_slice(bias);
        }
        let [kh, kw] = self.spec.kernel;
        let [sources, destinations] = self.channels;
        for (ky, kx) in (0..kh * kw).map(|tap| (tap / kw, tap % kw)) {
            let (Some(sy), Some(sx)) =
                (self.source(0, row, ky, x.shape.h), self.source(1, column, kx, x.shape.w))
            else {
                continue;
            };
            let start = ((image * x.shape.h + sy) * x.shape.w + sx) * x.shape.c;
            for (group, out) in out.chunks_exact_mut(destinations).enumerate() {
                let weight = (group * kh * kw + ky * kw + kx) * sources * destinations;
                let values = &x.data[start + group * sources..][..sources];
                for (source, &value) in values.iter().enumerate().filter(|(_, v)| **v != 0.0) {
                    let line = &self.weight[weight + source * destinations..][..destinations];
                    out.iter_mut().zip(line).for_each(|(o, w)| *o += value * w);
                }
            }
        }
    }
}
