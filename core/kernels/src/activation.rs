//! Activations that end a convolution.

use crate::simd::Simd;

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
}

/// An activation as two slopes and two limits: the one form that the inner loops know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) positive: f32,
    pub(crate) negative: f32,
    pub(crate) low: f32,
    pub(crate) high: f32,
}

impl Shape {
    /// Whether the slopes are 1.
    pub(crate) fn is_flat(self) -> bool {
        self.positive == 1.0 && self.negative == 1.0
    }

    /// The function of each lane; a NaN stays a NaN.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(self, simd: S, mut value: S::Vector) -> S::Vector {
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
        match self {
            Self::None => Shape { positive: 1.0, negative: 1.0, low: -all, high: all },
            Self::Relu => Shape { positive: 1.0, negative: 1.0, low: 0.0, high: all },
            Self::Relu6 => Shape { positive: 1.0, negative: 1.0, low: 0.0, high: 6.0 },
            Self::LeakyRelu { slope, gain, clamp } => {
                let limit = clamp.unwrap_or(all);
                Shape { positive: gain, negative: gain * slope, low: -limit, high: limit }
            }
        }
    }

    /// The function of one value; a NaN stays a NaN.
    pub fn apply(self, x: f32) -> f32 {
        let shape = self.shape();
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
