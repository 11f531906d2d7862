//! How a linear step shares relevance among its inputs.

use std::fmt;
use std::str::FromStr;

use ganscope_model::network::{Linear, Op, Real, Rectifier, Visit};
use ganscope_model::{FeatureMap, Normalization};

use crate::Error;

/// Sums of contributions below this are taken as none.
const NOTHING: f64 = 1e-30;

/// What becomes of the relevance that falls to the biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Biases {
    /// A bias keeps its share, as published: the map sums to less than the target.
    #[default]
    Keep,
    /// Biases take no part in the sums, so that the inputs share everything (`IgnoreBias` in
    /// iNNvestigate, `zero_params` in zennit). Networks with many folded batch norms, such as
    /// `EfficientNet`, otherwise leave the pixels next to nothing.
    Ignore,
    /// The inputs of an output share evenly what biases and stabilisers would keep, so that nothing is
    /// lost (`bias_factor` 1 of the LRP toolbox; Lapuschkin et al., "The LRP Toolbox for Artificial
    /// Neural Networks", 2016).
    Share,
}

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
    /// favoured sum is never smaller than `z_j` (Andeol et al., "Learning Domain Invariant
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
            (0..normalization.mean.len()).map(|c| normalization.apply(c, pixel).into()).collect()
        };
        Self::ZBox { low: bound(0.0), high: bound(255.0) }
    }

    /// Relevance of each input of a step, given that of its output.
    ///
    /// In a mean and in an addition, whose weights are positive, the alpha-beta rules are `z+`: where
    /// nothing speaks against an output they would hand on `alpha` times its relevance.
    pub fn propagate<T: Real>(&self, visit: &Visit<'_, T>, biases: Biases) -> Vec<FeatureMap<T>> {
        let unweighted = if let Self::AlphaBeta { .. } = self { &Self::Z_PLUS } else { self };
        let linear = |terms: &Terms<T>| vec![redistribute(visit, terms, biases)];
        match &visit.step.op {
            Op::Relu | Op::Relu6 => vec![visit.signal.clone()],
            Op::MaxPool(_) | Op::Concat | Op::Flatten => visit.gradient(Rectifier::Gradient),
            Op::Add => unweighted.sum(visit, |terms| share(visit, terms, biases)),
            Op::Conv(_) | Op::Linear(_) => self.sum(visit, linear),
            Op::AvgPool(..) | Op::AdaptiveAvgPool(_) | Op::GlobalAvgPool => {
                unweighted.sum(visit, linear)
            }
        }
    }

    /// The sum of what each group of terms hands to the inputs.
    fn sum<T: Real>(
        &self,
        visit: &Visit<'_, T>,
        share: impl Fn(&Terms<T>) -> Vec<FeatureMap<T>>,
    ) -> Vec<FeatureMap<T>> {
        let zeros = |x: &&FeatureMap<T>| FeatureMap::filled(x.n, x.shape, T::ZERO);
        let mut sums: Vec<FeatureMap<T>> = visit.inputs.iter().map(zeros).collect();
        for terms in self.terms() {
            let factor = T::of(terms.factor);
            for (sum, part) in sums.iter_mut().zip(share(&terms)) {
                *sum = sum.zip(&part, |s, p| s + factor * p);
            }
        }
        sums
    }

    fn terms<T: Real>(&self) -> Vec<Terms<T>> {
        let positive = |v: T| v.larger(T::ZERO);
        let negative = |v: T| v.smaller(T::ZERO);
        let terms = |factor, stabilizer, parts| Terms { factor, stabilizer, outputs: None, parts };
        let one = |stabilizer, parts| vec![terms(1.0, stabilizer, parts)];
        match self {
            Self::Epsilon(epsilon) => one(*epsilon, vec![Part::new(|w| w, |_, x| x).bias(|b| b)]),
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
                let of =
                    |outputs, parts| Terms { outputs: Some(outputs), ..terms(1.0, 0.0, parts) };
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
                let mut groups = vec![terms(*alpha, 0.0, pro)];
                if *alpha != 1.0 {
                    groups.push(terms(1.0 - alpha, 0.0, contra));
                }
                groups
            }
            Self::WSquare => one(0.0, vec![Part::new(|w| w * w, |_, _| T::ONE)]),
            Self::Flat => one(0.0, vec![Part::new(|_| T::ONE, |_, _| T::ONE)]),
            Self::ZBox { low, high } => {
                let (low, high) = (low.clone(), high.clone());
                let at = |bounds: &[f64], c: usize| T::of(bounds[c % bounds.len()]);
                let parts = vec![
                    Part::new(|w| w, |_, x| x),
                    Part::new(positive, move |c, _| -at(&low, c)),
                    Part::new(negative, move |c, _| -at(&high, c)),
                ];
                one(0.0, parts)
            }
        }
    }
}

/// Contributions that share one sum.
struct Terms<T> {
    factor: f64,
    stabilizer: f64,
    /// Outputs that they are for; all if missing.
    outputs: Option<Outputs>,
    parts: Vec<Part<T>>,
}

/// Outputs by their sign.
#[derive(Clone, Copy)]
enum Outputs {
    Positive,
    Others,
}

impl<T: Real> Terms<T> {
    /// The relevance of the outputs that these terms are for; nothing if they have none.
    fn signal(&self, visit: &Visit<'_, T>, biases: Biases) -> Option<FeatureMap<T>> {
        let of = |positive: bool| {
            let keep = |r, z| if (z > T::ZERO) == positive { r } else { T::ZERO };
            let unbiased = match biases {
                Biases::Keep | Biases::Share => None,
                Biases::Ignore => visit.linear(|w| w, |_| T::ZERO),
            };
            let unbiased = unbiased.map(|linear| linear.forward(visit.inputs[0]));
            let kept = visit.signal.zip(unbiased.as_ref().unwrap_or(visit.output), keep);
            kept.data.iter().any(|&r| r != T::ZERO).then_some(kept)
        };
        match self.outputs {
            None => Some(visit.signal.clone()),
            Some(Outputs::Positive) => of(true),
            Some(Outputs::Others) => of(false),
        }
    }
}

type Weight<T> = Box<dyn Fn(T) -> T + Sync>;
/// The weights and the inputs of a part.
type Ready<'a, T> = (Linear<'a, T, &'a Weight<T>>, FeatureMap<T>);

/// Contributions `input(x) weight(w)` with a bias `bias(b)`.
struct Part<T> {
    weight: Weight<T>,
    input: Box<dyn Fn(usize, T) -> T>,
    bias: Option<Weight<T>>,
}

impl<T: Real> Part<T> {
    fn new(
        weight: impl Fn(T) -> T + Sync + 'static,
        input: impl Fn(usize, T) -> T + 'static,
    ) -> Self {
        Self { weight: Box::new(weight), input: Box::new(input), bias: None }
    }

    fn bias(self, bias: impl Fn(T) -> T + Sync + 'static) -> Self {
        Self { bias: Some(Box::new(bias)), ..self }
    }

    /// `input(x)` of every value, or none if all are zero and no bias takes part.
    fn apply(&self, x: &FeatureMap<T>) -> Option<FeatureMap<T>> {
        let c = x.shape.c;
        let data: Vec<T> =
            x.data.iter().enumerate().map(|(i, &v)| (self.input)(i % c, v)).collect();
        let takes_part = self.bias.is_some() || data.iter().any(|&v| v != T::ZERO);
        takes_part.then_some(FeatureMap { n: x.n, shape: x.shape, data })
    }
}

/// `R / (z + e sign z)`, nothing where `z` is nothing.
fn quotient<T: Real>(
    relevance: &FeatureMap<T>,
    z: &FeatureMap<T>,
    stabilizer: f64,
) -> FeatureMap<T> {
    let (e, nothing) = (T::of(stabilizer), T::of(NOTHING));
    relevance.zip(z, |r, z| {
        let stable = if z < T::ZERO { z - e } else { z + e };
        if stable.larger(-stable) > nothing { r / stable } else { T::ZERO }
    })
}

/// Relevance of the input of a linear step.
fn redistribute<T: Real>(visit: &Visit<'_, T>, terms: &Terms<T>, biases: Biases) -> FeatureMap<T> {
    let x = visit.inputs[0];
    let nothing = FeatureMap::filled(x.n, x.shape, T::ZERO);
    let Some(signal) = terms.signal(visit, biases) else { return nothing };
    let parts = |biases| -> Vec<Ready<'_, T>> {
        let of = terms.parts.iter().filter_map(|part| {
            let bias = part.bias.as_ref().filter(|_| biases != Biases::Ignore);
            let bias = |b| bias.map_or(T::ZERO, |bias| bias(b));
            Some((visit.linear(&part.weight, bias)?, part.apply(x)?))
        });
        of.collect()
    };
    let sum = |parts: &[Ready<'_, T>]| {
        let zeros = FeatureMap::filled(x.n, visit.output.shape, T::ZERO);
        parts.iter().fold(zeros, |z, (linear, x)| z.zip(&linear.forward(x), |a, b| a + b))
    };
    let taking_part = parts(biases);
    let message = quotient(&signal, &sum(&taking_part), terms.stabilizer);
    let relevance = taking_part.iter().fold(nothing, |relevance, (linear, x)| {
        let back = x.zip(&linear.transposed(&message), |x, c| x * c);
        relevance.zip(&back, |a, b| a + b)
    });
    let flat = visit.linear(|_| T::ONE, |_| T::ZERO).filter(|_| biases == Biases::Share);
    let Some(flat) = flat else { return relevance };
    let handed = message.zip(&sum(&parts(Biases::Ignore)), |m, z| m * z);
    let lost = signal.zip(&handed, |r, h| r - h);
    let inputs = flat.forward(&x.map(|_| T::ONE));
    relevance.zip(&flat.transposed(&lost.zip(&inputs, |lost, n| lost / n)), |a, b| a + b)
}

/// Relevance of each addend of an addition, a linear step whose weights are one.
fn share<T: Real>(visit: &Visit<'_, T>, terms: &Terms<T>, biases: Biases) -> Vec<FeatureMap<T>> {
    let nothing = |x: &&FeatureMap<T>| FeatureMap::filled(x.n, x.shape, T::ZERO);
    let Some(signal) = terms.signal(visit, Biases::Keep) else {
        return visit.inputs.iter().map(nothing).collect();
    };
    let contribution = |x: &&FeatureMap<T>| {
        terms.parts.iter().fold(nothing(x), |sum, part| {
            let weight = (part.weight)(T::ONE);
            part.apply(x).map_or(sum.clone(), |x| sum.zip(&x, |s, x| s + weight * x))
        })
    };
    let contributions: Vec<_> = visit.inputs.iter().map(contribution).collect();
    let zeros = FeatureMap::filled(visit.output.n, visit.output.shape, T::ZERO);
    let sum = contributions.iter().fold(zeros, |sum, x| sum.zip(x, |a, b| a + b));
    let message = quotient(&signal, &sum, terms.stabilizer);
    let shares = contributions.iter().map(|x| x.zip(&message, |x, m| x * m));
    if biases != Biases::Share {
        return shares.collect();
    }
    let addends = T::of(contributions.len() as f64);
    let handed = message.zip(&sum, |m, z| m * z);
    let evenly = signal.zip(&handed, |r, h| (r - h) / addends);
    shares.map(|share| share.zip(&evenly, |s, e| s + e)).collect()
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

impl FromStr for Rule {
    type Err = Error;

    /// `epsilon`, `epsilon=1e-6`, `gamma=0.25`, `alpha=2` (beta is one less), `z+`, `w2`, `flat`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || Error::Option {
            name: "a rule",
            expected: "epsilon[=E], gamma[=G], alpha[=A], z+, w2 or flat",
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
            _ => Err(refused()),
        }
    }
}
