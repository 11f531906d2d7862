//! How a linear step shares relevance among its inputs, by the terms of any rule.

use std::fmt;
use std::str::FromStr;

use ganscope_model::FeatureMap;
use ganscope_model::network::{Linear, Real, Visit};

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
    /// The inputs of an output share evenly what biases and stabilizers would keep, so that nothing is
    /// lost (`bias_factor` 1 of the LRP toolbox; Lapuschkin et al., "The LRP Toolbox for Artificial
    /// Neural Networks", 2016).
    Share,
}

impl Biases {
    /// Every treatment, in the order of lists.
    pub const ALL: [Self; 3] = [Self::Keep, Self::Ignore, Self::Share];

    /// Its name in requests and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Ignore => "ignore",
            Self::Share => "share",
        }
    }
}

impl fmt::Display for Biases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Biases {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|biases| biases.name() == name);
        let expected = "keep, ignore or share";
        found.ok_or_else(|| Error::Option { name: "biases", expected, got: name.to_owned() })
    }
}

/// How sums of contributions are divided by.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Treatment {
    /// What becomes of the relevance that falls to biases.
    pub biases: Biases,
    /// What is added to sums, away from zero, by rules that do not say it themselves.
    pub stabilizer: f64,
}

/// Contributions that share one sum.
pub(super) struct Terms<T> {
    pub(super) factor: f64,
    pub(super) stabilizer: f64,
    /// Outputs that they are for; all if missing.
    pub(super) outputs: Option<Outputs>,
    pub(super) parts: Vec<Part<T>>,
}

/// Outputs by their sign.
#[derive(Clone, Copy)]
pub(super) enum Outputs {
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
pub(super) struct Part<T> {
    weight: Weight<T>,
    input: Box<dyn Fn(usize, T) -> T>,
    bias: Option<Weight<T>>,
}

impl<T: Real> Part<T> {
    pub(super) fn new(
        weight: impl Fn(T) -> T + Sync + 'static,
        input: impl Fn(usize, T) -> T + 'static,
    ) -> Self {
        Self { weight: Box::new(weight), input: Box::new(input), bias: None }
    }

    pub(super) fn bias(self, bias: impl Fn(T) -> T + Sync + 'static) -> Self {
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
pub(super) fn redistribute<T: Real>(
    visit: &Visit<'_, T>,
    terms: &Terms<T>,
    biases: Biases,
) -> FeatureMap<T> {
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
pub(super) fn share<T: Real>(
    visit: &Visit<'_, T>,
    terms: &Terms<T>,
    biases: Biases,
) -> Vec<FeatureMap<T>> {
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
