//! The transpose of a convolution in float32: the gradient with respect to its input.

use std::borrow::Cow;

use ganscope_kernels::{Activation, Conv2d, ConvTranspose2d, ConvTransposeSpec, MapMut};

use super::real::map;
use super::{ConvSpec, FeatureMap, Shape};

/// `W^T y` with packed weights.
#[derive(Debug, Clone)]
pub struct Transposed(Plan);

#[derive(Debug, Clone)]
enum Plan {
    General(ConvTranspose2d),
    /// Each channel by itself: a convolution with the kernel turned around, over a map that
    /// contains `stride - 1` zeros between the values.
    Depthwise {
        turned: Conv2d,
        stride: [usize; 2],
    },
}

impl Transposed {
    /// Packs the weight (O, I / groups, H, W) of the convolution.
    pub(super) fn new(spec: &ConvSpec, weight: &[f32]) -> Self {
        let (spec, weight) = without_dilation(spec, weight);
        let depthwise = spec.groups > 1
            && [spec.in_channels, spec.out_channels] == [spec.groups; 2]
            && (0..2).all(|axis| spec.padding[axis].iter().all(|&p| p < spec.kernel[axis]));
        Self(if depthwise {
            let taps = spec.kernel[0] * spec.kernel[1];
            let turned: Vec<f32> =
                weight.chunks_exact(taps).flat_map(|kernel| kernel.iter().rev()).copied().collect();
            let padding = [0, 1].map(|axis| spec.padding[axis].map(|p| spec.kernel[axis] - 1 - p));
            let turned_spec = ConvSpec { stride: [1, 1], padding, ..spec };
            let turned = Conv2d::new(turned_spec, &turned, None, Activation::None);
            Plan::Depthwise { turned, stride: spec.stride }
        } else {
            let transposed = ConvTransposeSpec::gradient_of(&spec);
            Plan::General(ConvTranspose2d::new(transposed, &weight, None, Activation::None))
        })
    }

    /// The result, of the shape `out` that the convolution reads.
    pub(super) fn run(&self, y: &FeatureMap, out: Shape) -> FeatureMap {
        let mut x = FeatureMap::filled(y.n, out, 0.0);
        let target = MapMut::new(&mut x.data, [y.n, out.h, out.w, out.c]);
        match &self.0 {
            Plan::General(conv) => conv.run(map(y), target),
            Plan::Depthwise { turned, stride: [1, 1] } => turned.run(map(y), target),
            Plan::Depthwise { turned, stride } => {
                let ConvSpec { kernel: [kh, kw], padding: [rows, columns], .. } = *turned.spec();
                let h = out.h + kh - 1 - rows[0] - rows[1];
                let w = out.w + kw - 1 - columns[0] - columns[1];
                let sparse = Shape { c: y.shape.c, h, w };
                turned.run(map(&spread(y, *stride, sparse)), target);
            }
        }
        x
    }
}

/// The values of `y`, `stride` pixels apart, with zeros between them.
fn spread(y: &FeatureMap, stride: [usize; 2], shape: Shape) -> FeatureMap {
    let mut wide = FeatureMap::filled(y.n, shape, 0.0);
    for (pixel, values) in y.data.chunks_exact(shape.c).enumerate() {
        let (row, column) = (pixel / y.shape.w % y.shape.h, pixel % y.shape.w);
        let image = pixel / (y.shape.w * y.shape.h);
        let to = (image * shape.h + row * stride[0]) * shape.w + column * stride[1];
        wide.data[to * shape.c..][..shape.c].copy_from_slice(values);
    }
    wide
}

/// The same convolution with zeros between the taps instead of a dilation.
fn without_dilation<'a>(spec: &ConvSpec, weight: &'a [f32]) -> (ConvSpec, Cow<'a, [f32]>) {
    if spec.dilation == [1, 1] {
        return (*spec, Cow::Borrowed(weight));
    }
    let [kh, kw] = spec.kernel;
    let kernel = [0, 1].map(|axis| spec.dilation[axis] * (spec.kernel[axis] - 1) + 1);
    let mut wide = vec![0.0; weight.len() / (kh * kw) * kernel[0] * kernel[1]];
    for (place, &w) in weight.iter().enumerate() {
        let (filter, tap) = (place / (kh * kw), place % (kh * kw));
        let (row, column) = (tap / kw * spec.dilation[0], tap % kw * spec.dilation[1]);
        wide[(filter * kernel[0] + row) * kernel[1] + column] = w;
    }
    (ConvSpec { kernel, dilation: [1, 1], ..*spec }, Cow::Owned(wide))
}
