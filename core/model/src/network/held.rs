//! The way back with what multiplies a signal held constant, which relevance takes instead of the
//! gradient.

use super::attention::attention_gradient;
use super::curves::{self, Curve, QUICK};
use super::walk::Visit;
use super::{FeatureMap, Op, Real, Rectifier};

/// The share of the gradient that reaches each factor of a product of two signals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Products {
    /// Queries and keys, through the softmax of attention.
    pub scores: f64,
    /// The values that attention weighs.
    pub values: f64,
    /// The gate `a` and the gated value `b` of `curve(a) b`.
    pub gate: [f64; 2],
}

impl<T: Real> Visit<'_, T> {
    /// The gradient for each input if the factors were constants that an activation multiplies its
    /// argument by (`Phi(x)` in `x Phi(x)`), the deviation that a normalization divides by, and a
    /// length; products of two signals share it as `products` says.
    ///
    /// Steps without such factors have their gradient.
    pub fn held_gradient(&self, products: Products) -> Vec<FeatureMap<T>> {
        let (x, signal) = (self.inputs[0], self.signal);
        let curve = |curve: Curve| x.zip(signal, |x, s| s * curve.factor(x));
        let held = match &self.step.op {
            Op::LayerNorm(norm) => norm.held_gradient(x, signal),
            Op::Gelu => curve(Curve::Gelu),
            Op::QuickGelu => curve(Curve::Swish(QUICK)),
            Op::SwiGlu => curves::gate_held(Curve::Swish(1.0), x, signal, products.gate),
            Op::UnitLength => curves::unit_length_held(x, signal),
            Op::Attention(heads) => {
                let mut gradient = attention_gradient(x, *heads, signal);
                let (c, scores) = (x.shape.c, x.shape.c / 3 * 2);
                let [of_scores, of_values] = [products.scores, products.values].map(T::of);
                for pixel in gradient.data.chunks_exact_mut(c) {
                    for (k, v) in pixel.iter_mut().enumerate() {
                        *v = *v * if k < scores { of_scores } else { of_values };
                    }
                }
                gradient
            }
            _ => return self.gradient(Rectifier::Gradient),
        };
        vec![held]
    }
}
