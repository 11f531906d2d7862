//! Activations that end a convolution, and those that stand alone.

use crate::math::{gelu, swish};
use crate::simd::portable::Portable;
use crate::simd::{Isa, Job, LANES, Simd, read_part, write_part};
use crate::{Map, MapMut};

/// A function applied to each output value, after the bias.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// `x`.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `gain * (x if x > 0 else slope * x)`, then limited to `[-clamp, clamp]`.
    ///
    /// StyleGAN's `bias_act` with `lrelu`: slope 0.2, gain `sqrt(2)`, clamp 256. A slope of 1 is
    /// its `linear`.
    LeakyRelu {
        /// Factor of negative values.
        slope: f32,
        /// Factor of all values.
        gain: f32,
        /// Largest absolute value of the result.
        clamp: Option<f32>,
    },
    /// `x Phi(x)` with the distribution function `Phi` of the normal distribution (Hendrycks and
    /// Gimpel, 2016, <https://arxiv.org/abs/1606.08415>); absolute error 3e-7 of `x`.
    Gelu,
    /// `x / (1 + e^(-slope x))`: `SiLU` with slope 1, CLIP's `QuickGELU` with 1.702.
    Swish {
        /// Steepness of the step.
        slope: f32,
    },
}

/// An activation as two slopes and two limits, then a curve: the one form that the inner loops know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) positive: f32,
    pub(crate) negative: f32,
    pub(crate) low: f32,
    pub(crate) high: f32,
    pub(crate) curve: Curve,
}

/// The curved part of an activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Curve {
    None,
    Gelu,
    Swish(f32),
}

impl Shape {
    /// Whether the slopes are 1 and nothing is curved.
    pub(crate) fn is_flat(self) -> bool {
        self.positive == 1.0 && self.negative == 1.0 && self.curve == Curve::None
    }

    /// The function of each lane; a NaN stays a NaN.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(self, simd: S, mut value: S::Vector) -> S::Vector {
        match self.curve {
            Curve::None => {}
            Curve::Gelu => return gelu(simd, value),
            Curve::Swish(slope) => return swish(simd, value, slope),
        }
        if !self.is_flat() {
            let zero = simd.splat(0.0);
            let above = simd.mul(simd.at_least(zero, value), simd.splat(self.positive));
            value = simd.mul_add(simd.at_most(zero, value), simd.splat(self.negative), above);
        }
        simd.at_most(simd.splat(self.high), simd.at_least(simd.splat(self.low), value))
    }
}

impl Activation {
    pub(crate) fn shape(self) -> Shape {
        let all = f32::INFINITY;
        let plain =
            Shape { positive: 1.0, negative: 1.0, low: -all, high: all, curve: Curve::None };
        match self {
            Self::None => plain,
            Self::Relu => Shape { low: 0.0, ..plain },
            Self::Relu6 => Shape { low: 0.0, high: 6.0, ..plain },
            Self::LeakyRelu { slope, gain, clamp } => {
                let limit = clamp.unwrap_or(all);
                Shape { positive: gain, negative: gain * slope, low: -limit, high: limit, ..plain }
            }
            Self::Gelu => Shape { curve: Curve::Gelu, ..plain },
            Self::Swish { slope } => Shape { curve: Curve::Swish(slope), ..plain },
        }
    }

    /// The function of one value; a NaN stays a NaN.
    pub fn apply(self, x: f32) -> f32 {
        let shape = self.shape();
        if shape.curve != Curve::None {
            return shape.apply(Portable, [x; LANES])[0];
        }
        let scaled = x * if x > 0.0 { shape.positive } else { shape.negative };
        if scaled < shape.low {
            shape.low
        } else if scaled > shape.high {
            shape.high
        } else {
            scaled
        }
    }
}

/// `activation(x)` of every value `x`.
///
/// # Panics
/// If the maps differ in shape.
pub fn activate(activation: Activation, input: Map<'_>, output: MapMut<'_>) {
    assert_eq!(output.shape(), input.shape(), "output shape");
    run(activation, input, output);
}

/// `activation(a) b` of the values `a` in the first half of the channels and `b` in the second.
///
/// Shazeer, "GLU Variants Improve Transformer", 2020, <https://arxiv.org/abs/2002.05202>.
///
/// # Panics
/// If the output has not the pixels of the input and half of its channels.
pub fn gate(activation: Activation, input: Map<'_>, output: MapMut<'_>) {
    let [n, h, w, c] = input.shape();
    assert!(c.is_multiple_of(2), "{c} channels in two halves");
    assert_eq!(output.shape(), [n, h, w, c / 2], "output shape");
    run(activation, input, output);
}

/// The activation of the first channels of each pixel, times the channels that the output lacks.
fn run(activation: Activation, input: Map<'_>, mut output: MapMut<'_>) {
    let [_, h, w, c] = output.shape();
    let (isa, stride, shape) = (Isa::best(), output.stride(), activation.shape());
    output.for_each_row(|image, y, line| {
        for (x, out) in line.chunks_mut(stride).enumerate() {
            let (values, factors) = input.pixel((image * h + y) * w + x).split_at(c);
            isa.run(Pixel { values, factors, shape, out: &mut out[..c] });
        }
    });
}

/// The activation of one pixel.
struct Pixel<'a> {
    values: &'a [f32],
    /// As many as values, or none.
    factors: &'a [f32],
    shape: Shape,
    out: &'a mut [f32],
}

impl Job for Pixel<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { values, factors, shape, out } = self;
        for (at, out) in (0..values.len()).step_by(LANES).zip(out.chunks_mut(LANES)) {
            let part = at..at + out.len();
            let mut value = shape.apply(simd, read_part(simd, &values[part.clone()]));
            if !factors.is_empty() {
                value = simd.mul(value, read_part(simd, &factors[part]));
            }
            write_part(simd, value, out);
        }
    }
}
