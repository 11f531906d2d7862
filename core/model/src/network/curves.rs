//! Normalizations and curved activations with their gradients, in any number type.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use rayon::prelude::*;

use super::{FeatureMap, LayerNorm, Real, Shape};

/// Steepness of `QuickGELU`.
pub(super) const QUICK: f64 = 1.702;

/// A function of one variable with a derivative everywhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Curve {
    /// `x Phi(x)`.
    Gelu,
    /// `x / (1 + e^(-slope x))`.
    Swish(f64),
}

impl Curve {
    pub(super) fn at<T: Real>(self, x: T) -> T {
        let x = x.to_f64();
        T::of(x * self.step(x))
    }

    pub(super) fn slope<T: Real>(self, x: T) -> T {
        let x = x.to_f64();
        let step = self.step(x);
        T::of(match self {
            Self::Gelu => step + x * (-x * x / 2.0).exp() / TAU.sqrt(),
            Self::Swish(slope) => step + slope * x * step * (1.0 - step),
        })
    }

    /// What the curve multiplies its argument by.
    pub(super) fn factor<T: Real>(self, x: T) -> T {
        T::of(self.step(x.to_f64()))
    }

    fn step(self, x: f64) -> f64 {
        match self {
            Self::Gelu => 0.5 * libm::erfc(-x * FRAC_1_SQRT_2),
            Self::Swish(slope) => 1.0 / (1.0 + (-slope * x).exp()),
        }
    }
}

/// `curve(a) b` of the halves `a`, `b` of the channels.
pub(super) fn gate<T: Real>(curve: Curve, x: &FeatureMap<T>, out: Shape) -> FeatureMap<T> {
    let mut y = FeatureMap::filled(x.n, out, T::ZERO);
    let pixels = y.data.par_chunks_mut(out.c).zip(x.data.par_chunks(x.shape.c));
    pixels.for_each(|(y, x)| {
        let (a, b) = x.split_at(out.c);
        y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (&a, &b))| *y = curve.at(a) * b);
    });
    y
}

/// The gradient of [`gate`].
pub(super) fn gate_gradient<T: Real>(
    curve: Curve,
    x: &FeatureMap<T>,
    signal: &FeatureMap<T>,
) -> FeatureMap<T> {
    let half = signal.shape.c;
    each_pixel(x, signal, |x, signal, to| {
        let (a, b) = x.split_at(half);
        for (k, &signal) in signal.iter().enumerate() {
            to[k] = signal * curve.slope(a[k]) * b[k];
            to[half + k] = signal * curve.at(a[k]);
        }
    })
}

/// The shares of the signal that reach the halves `a`, `b` if `curve(a) / a` were constant.
pub(super) fn gate_held<T: Real>(
    curve: Curve,
    x: &FeatureMap<T>,
    signal: &FeatureMap<T>,
    [gate, gated]: [f64; 2],
) -> FeatureMap<T> {
    let (half, gate, gated) = (signal.shape.c, T::of(gate), T::of(gated));
    each_pixel(x, signal, |x, signal, to| {
        let (a, b) = x.split_at(half);
        for (k, &signal) in signal.iter().enumerate() {
            to[k] = gate * signal * curve.factor(a[k]) * b[k];
            to[half + k] = gated * signal * curve.at(a[k]);
        }
    })
}

/// A map of the shape of `x`, written pixel by pixel from the pixels of `x` and `signal`.
fn each_pixel<T: Real>(
    x: &FeatureMap<T>,
    signal: &FeatureMap<T>,
    write: impl Fn(&[T], &[T], &mut [T]) + Sync,
) -> FeatureMap<T> {
    let mut out = FeatureMap::filled(x.n, x.shape, T::ZERO);
    let inputs = x.data.par_chunks(x.shape.c).zip(signal.data.par_chunks(signal.shape.c));
    let pixels = out.data.par_chunks_mut(x.shape.c).zip(inputs);
    pixels.for_each(|(out, (x, signal))| write(x, signal, out));
    out
}

/// Mean of all numbers.
fn mean<T: Real>(values: impl ExactSizeIterator<Item = T>) -> T {
    let count = values.len();
    T::of(values.map(T::to_f64).sum::<f64>() / count as f64)
}

impl LayerNorm {
    /// The values of a pixel less their mean and over their deviation, and that factor.
    fn normal<T: Real>(&self, x: &[T]) -> (Vec<T>, T) {
        let center = mean(x.iter().copied());
        let square = |&v: &T| (v - center) * (v - center);
        let variance = mean(x.iter().map(square)).to_f64();
        let factor = T::of(1.0 / (variance + f64::from(self.eps)).sqrt());
        (x.iter().map(|&v| (v - center) * factor).collect(), factor)
    }

    pub(super) fn forward<T: Real>(&self, x: &FeatureMap<T>) -> FeatureMap<T> {
        each_pixel(x, x, |x, _, to| {
            let (normal, _) = self.normal(x);
            for (to, (&v, (gain, shift))) in
                to.iter_mut().zip(normal.iter().zip(self.gain.iter().zip(&self.shift)))
            {
                *to = v * T::of((*gain).into()) + T::of((*shift).into());
            }
        })
    }

    /// `f (g - mean g - z mean(g z))` with the normalized values `z`, their factor `f`, and
    /// `g = gain * signal`.
    pub(super) fn gradient<T: Real>(
        &self,
        x: &FeatureMap<T>,
        signal: &FeatureMap<T>,
    ) -> FeatureMap<T> {
        each_pixel(x, signal, |x, signal, to| {
            let (normal, factor) = self.normal(x);
            let gained: Vec<T> =
                signal.iter().zip(&self.gain).map(|(&s, &g)| s * T::of(g.into())).collect();
            let center = mean(gained.iter().copied());
            let along = mean(gained.iter().zip(&normal).map(|(&g, &z)| g * z));
            for (to, (&g, &z)) in to.iter_mut().zip(gained.iter().zip(&normal)) {
                *to = factor * (g - center - z * along);
            }
        })
    }
}

impl LayerNorm {
    /// As [`gradient`](Self::gradient) with the factor held constant: `f (g - mean g)`.
    pub(super) fn held_gradient<T: Real>(
        &self,
        x: &FeatureMap<T>,
        signal: &FeatureMap<T>,
    ) -> FeatureMap<T> {
        each_pixel(x, signal, |x, signal, to| {
            let (_, factor) = self.normal(x);
            for (to, (&s, &g)) in to.iter_mut().zip(signal.iter().zip(&self.gain)) {
                *to = s * T::of(g.into());
            }
            let center = mean(to.iter().copied());
            for to in to.iter_mut() {
                *to = factor * (*to - center);
            }
        })
    }
}

/// The length of a vector; 1 where it has none.
fn length<T: Real>(x: &[T]) -> f64 {
    let squares: f64 = x.iter().map(|v| v.to_f64() * v.to_f64()).sum();
    if squares == 0.0 { 1.0 } else { squares.sqrt() }
}

/// The channels of each pixel over their length.
pub(super) fn unit_length<T: Real>(x: &FeatureMap<T>) -> FeatureMap<T> {
    each_pixel(x, x, |x, _, to| {
        let length = length(x);
        to.iter_mut().zip(x).for_each(|(to, &v)| *to = T::of(v.to_f64() / length));
    })
}

/// The gradient of [`unit_length`]: `(s - u (u s)) / |x|` with `u = x / |x|`.
pub(super) fn unit_length_gradient<T: Real>(
    x: &FeatureMap<T>,
    signal: &FeatureMap<T>,
) -> FeatureMap<T> {
    each_pixel(x, signal, |x, signal, to| {
        let length = length(x);
        let along: f64 = x.iter().zip(signal).map(|(x, s)| x.to_f64() / length * s.to_f64()).sum();
        for (to, (x, s)) in to.iter_mut().zip(x.iter().zip(signal)) {
            *to = T::of((s.to_f64() - x.to_f64() / length * along) / length);
        }
    })
}

/// The signal over the length, which is held constant.
pub(super) fn unit_length_held<T: Real>(
    x: &FeatureMap<T>,
    signal: &FeatureMap<T>,
) -> FeatureMap<T> {
    each_pixel(x, signal, |x, signal, to| {
        let length = length(x);
        to.iter_mut().zip(signal).for_each(|(to, s)| *to = T::of(s.to_f64() / length));
    })
}
