//! The rules of relevance propagation: what an input contributes to an output.

use std::fmt;

use ganscope_model::network::{Op, Real, Rectifier, Visit};
use ganscope_model::{FeatureMap, Normalization};

use super::redistribute::{Outputs, Part, Terms, Treatment, redistribute, share};
use crate::{Error, Result};

/// A rule: input `i` gets of the relevance `R_j` of output `j` the share that its contribution has
/// in the sum of contributions.
///
/// With `z_ij = x_i w_ij` the contribution of input `i`, `b_j` the bias, and `+`, `-` for positive
/// and negative parts:
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// `z_ij / (z_j + e sign z_j)` with `z_j = sum_i z_ij + b_j`.
    Epsilon(f64),
    /// As epsilon with `z_ij + g z_ij+` for `z_ij`, and `b_j + g b_j+` for the bias, where the sum
    /// `z_j` is positive; with `z_ij + g z_ij-` and `b_j + g b_j-` where it is not, so that a
    /// favored sum is never smaller than `z_j` (Andeol et al., "Learning Domain Invariant
    /// Representations by Joint Wasserstein Distance Minimization", 2021).
    Gamma(f64),
    /// `a z_ij+ / (sum_i z_ij+ + b_j+) - (a - 1) z_ij- / (sum_i z_ij- + b_j-)`.
    AlphaBeta {
        /// Weight of what speaks for the output, at least 1; `beta` is one less.
        alpha: f64,
    },
    /// `w_ij^2 / sum_i w_ij^2`.
    WSquare,
    /// `1 / inputs`.
    Flat,
    /// `(x_i w_ij - l_i w_ij+ - h_i w_ij-)` as a share of its sum over the inputs, for pixels
    /// between `l` and `h` (Montavon et al., "Explaining nonlinear classification decisions with
    /// deep Taylor decomposition", 2017).
    ZBox {
        /// Lowest network input of each channel.
        low: Vec<f64>,
        /// Highest network input of each channel.
        high: Vec<f64>,
    },
}

impl Rule {
    /// `z+`: alpha-beta with alpha 1.
    pub const Z_PLUS: Self = Self::AlphaBeta { alpha: 1.0 };
    /// Alpha-beta with alpha 2 and beta 1.
    pub const ALPHA2_BETA1: Self = Self::AlphaBeta { alpha: 2.0 };

    /// [`Rule::ZBox`] for pixels on 0..255 under `normalization`.
    pub fn z_box(normalization: &Normalization) -> Self {
        let bound = |pixel: f32| {
            (0..normalization.mean().len()).map(|c| normalization.apply(c, pixel).into()).collect()
        };
        Self::ZBox { low: bound(0.0), high: bound(255.0) }
    }

    /// The rule that `text` names, as [`Display`](fmt::Display) writes it: `epsilon`,
    /// `epsilon=1e-6`, `gamma=0.25`, `alpha=2` (beta is one less), `z+`, `w2`, `flat`, or `z-box`,
    /// whose bounds are those of pixels under `normalization`.
    ///
    /// # Errors
    /// [`Error::Option`] if there is no such rule, or its number is out of range.
    pub fn parse(text: &str, normalization: &Normalization) -> Result<Self> {
        let refused = || Error::Option {
            name: "a rule",
            expected: "epsilon[=E], gamma[=G], alpha[=A], z+, w2, flat or z-box",
            got: text.to_owned(),
        };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.parse::<f64>().map_err(|_e| refused())?)),
            None => (text, None),
        };
        let known = value.is_none_or(|v| v.is_finite() && v >= 0.0);
        match (name, value) {
            _ if !known => Err(refused()),
            ("epsilon", e) => Ok(Self::Epsilon(e.unwrap_or(1e-6))),
            ("gamma", g) => Ok(Self::Gamma(g.unwrap_or(0.25))),
            ("alpha", a) if a.is_none_or(|a| a >= 1.0) => {
                Ok(Self::AlphaBeta { alpha: a.unwrap_or(2.0) })
            }
            ("z+", None) => Ok(Self::Z_PLUS),
            ("w2", None) => Ok(Self::WSquare),
            ("flat", None) => Ok(Self::Flat),
            ("z-box", None) => Ok(Self::z_box(normalization)),
            _ => Err(refused()),
        }
    }

    /// Relevance of each input of a step, given that of its output.
    ///
    /// In a mean and in an addition, whose weights are positive, the alpha-beta rules are `z+`: where
    /// nothing speaks against an output they would hand on `alpha` times its relevance.
    pub fn propagate<T: Real>(
        &self,
        visit: &Visit<'_, T>,
        treatment: Treatment,
    ) -> Vec<FeatureMap<T>> {
        let Treatment { biases, stabilizer } = treatment;
        let unweighted = if let Self::AlphaBeta { .. } = self { &Self::Z_PLUS } else { self };
        let linear = |terms: &Terms<T>| vec![redistribute(visit, terms, biases)];
        match &visit.step.op {
            Op::Relu | Op::Relu6 => vec![visit.signal.clone()],
            // `propagate` refuses networks with the steps of transformers.
            Op::MaxPool(_)
            | Op::Concat
            | Op::Flatten
            | Op::LayerNorm(_)
            | Op::Gelu
            | Op::QuickGelu
            | Op::SwiGlu
            | Op::Attention(_)
            | Op::Tokens(_)
            | Op::Rows(..)
            | Op::UnitLength => visit.gradient(Rectifier::Gradient),
            Op::Add => unweighted.sum(visit, stabilizer, |terms| share(visit, terms, biases)),
            Op::Conv(_) | Op::Linear(_) => self.sum(visit, stabilizer, linear),
            Op::AvgPool(..) | Op::AdaptiveAvgPool(_) | Op::GlobalAvgPool => {
                unweighted.sum(visit, stabilizer, linear)
            }
        }
    }

    /// The sum of what each group of terms hands to the inputs.
    fn sum<T: Real>(
        &self,
        visit: &Visit<'_, T>,
        stabilizer: f64,
        share: impl Fn(&Terms<T>) -> Vec<FeatureMap<T>>,
    ) -> Vec<FeatureMap<T>> {
        let zeros = |x: &&FeatureMap<T>| FeatureMap::filled(x.n, x.shape, T::ZERO);
        let mut sums: Vec<FeatureMap<T>> = visit.inputs.iter().map(zeros).collect();
        for terms in self.terms(stabilizer) {
            let factor = T::of(terms.factor);
            for (sum, part) in sums.iter_mut().zip(share(&terms)) {
                *sum = sum.zip(&part, |s, p| s + factor * p);
            }
        }
        sums
    }

    fn terms<T: Real>(&self, stabilizer: f64) -> Vec<Terms<T>> {
        let positive = |v: T| v.larger(T::ZERO);
        let negative = |v: T| v.smaller(T::ZERO);
        let terms = |factor, parts| Terms { factor, stabilizer, outputs: None, parts };
        let one = |parts| vec![terms(1.0, parts)];
        match self {
            Self::Epsilon(epsilon) => {
                let parts = vec![Part::new(|w| w, |_, x| x).bias(|b| b)];
                vec![Terms { stabilizer: *epsilon, ..terms(1.0, parts) }]
            }
            Self::Gamma(gamma) => {
                let gamma = T::of(*gamma);
                let up = move |w: T| w + gamma * positive(w);
                let down = move |w: T| w + gamma * negative(w);
                // `x w + g (x w)+` and `x w + g (x w)-`, whose second halves split by the sign of x.
                let pro = vec![
                    Part::new(up, move |_, x| positive(x)).bias(up),
                    Part::new(down, move |_, x| negative(x)),
                ];
                let contra = vec![
                    Part::new(down, move |_, x| positive(x)).bias(down),
                    Part::new(up, move |_, x| negative(x)),
                ];
                let of = |outputs, parts| Terms { outputs: Some(outputs), ..terms(1.0, parts) };
                vec![of(Outputs::Positive, pro), of(Outputs::Others, contra)]
            }
            Self::AlphaBeta { alpha } => {
                let pro = vec![
                    Part::new(positive, move |_, x| positive(x)).bias(positive),
                    Part::new(negative, move |_, x| negative(x)),
                ];
                let contra = vec![
                    Part::new(negative, move |_, x| positive(x)).bias(negative),
                    Part::new(positive, move |_, x| negative(x)),
                ];
                let mut groups = vec![terms(*alpha, pro)];
                if *alpha != 1.0 {
                    groups.push(terms(1.0 - alpha, contra));
                }
                groups
            }
            Self::WSquare => one(vec![Part::new(|w| w * w, |_, _| T::ONE)]),
            Self::Flat => one(vec![Part::new(|_| T::ONE, |_, _| T::ONE)]),
            Self::ZBox { low, high } => {
                let (low, high) = (low.clone(), high.clone());
                let at = |bounds: &[f64], c: usize| T::of(bounds[c % bounds.len()]);
                let parts = vec![
                    Part::new(|w| w, |_, x| x),
                    Part::new(positive, move |c, _| -at(&low, c)),
                    Part::new(negative, move |c, _| -at(&high, c)),
                ];
                one(parts)
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epsilon(epsilon) => write!(f, "epsilon={epsilon}"),
            Self::Gamma(gamma) => write!(f, "gamma={gamma}"),
            Self::AlphaBeta { alpha } if *alpha == 1.0 => f.write_str("z+"),
            Self::AlphaBeta { alpha } => write!(f, "alpha={alpha}"),
            Self::WSquare => f.write_str("w2"),
            Self::Flat => f.write_str("flat"),
            Self::ZBox { .. } => f.write_str("z-box"),
        }
    }
}
