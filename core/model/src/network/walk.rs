//! Walking a network backwards, step by step.
//!
//! A [`Walker`] runs the steps forward and keeps every value, a [`Trace`]. A walk starts with a
//! signal at one value and asks a rule, at every step from there back, what signal the step's
//! inputs get; signals from several readers of a value add up. With [`Visit::gradient`] as the rule
//! the signal is the gradient.

use std::sync::{Arc, OnceLock};

use super::attention::{attention, attention_gradient, attention_weights};
use super::curves::{self, Curve, QUICK};
use super::tokens::{rows, rows_transposed};
use super::windows::Windows;
use super::{Convolution, FeatureMap, Network, Node, Op, Real, Shape, Step};
use crate::{Error, Result};

/// The part of a signal that passes a rectifier on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rectifier {
    /// The signal where the rectifier was open: the gradient.
    #[default]
    Gradient,
    /// The positive part of the signal (Zeiler and Fergus, 2013,
    /// <https://arxiv.org/abs/1311.2901>).
    Deconvnet,
    /// The positive part of the signal where the rectifier was open (Springenberg et al., 2014,
    /// <https://arxiv.org/abs/1412.6806>).
    Guided,
}

/// Weights of one step, both ways.
#[derive(Debug)]
struct Packed<T: Real> {
    forward: OnceLock<T::Conv>,
    transposed: OnceLock<T::Transposed>,
}

/// A network that can be walked both ways; weights are packed when first needed.
#[derive(Debug)]
pub struct Walker<T: Real> {
    network: Arc<Network>,
    packed: Vec<Packed<T>>,
}

impl<T: Real> Walker<T> {
    /// A walker of `network`.
    pub fn new(network: Arc<Network>) -> Self {
        let unpacked = |_| Packed { forward: OnceLock::new(), transposed: OnceLock::new() };
        let packed = network.steps().iter().map(unpacked).collect();
        Self { network, packed }
    }

    /// The network.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Runs all steps on `input` and keeps every value.
    ///
    /// # Errors
    /// If the images are too small or have other channels than the network reads.
    pub fn run(&self, input: FeatureMap<T>) -> Result<Trace<'_, T>> {
        let Shape { c, h, w } = input.shape;
        if c != self.network.in_channels() {
            let expected = self.network.in_channels();
            return Err(Error::Input(format!("the network reads {expected} channels, got {c}")));
        }
        let shapes = self.network.shapes(h, w)?;
        let mut values = vec![input];
        for (i, step) in self.network.steps().iter().enumerate() {
            let inputs: Vec<_> = step.inputs.iter().map(|n| &values[n.index()]).collect();
            let value = self.forward(i, &step.op, &inputs, shapes[i + 1]);
            values.push(value);
        }
        Ok(Trace { walker: self, values })
    }

    fn forward(
        &self,
        index: usize,
        op: &Op,
        inputs: &[&FeatureMap<T>],
        out: Shape,
    ) -> FeatureMap<T> {
        let x = inputs[0];
        match op {
            Op::Conv(c) | Op::Linear(c) => {
                let pack = || {
                    let [weight, bias] = [&c.weight, &c.bias].map(|values| reals(values));
                    T::pack(&c.spec, &weight, &bias)
                };
                T::convolve(self.packed[index].forward.get_or_init(pack), x, out)
            }
            Op::Relu => x.map(|v| v.larger(T::ZERO)),
            Op::Relu6 => x.map(|v| v.larger(T::ZERO).smaller(T::of(6.0))),
            Op::MaxPool(_) => windows(op, x.shape).max(x, out).0,
            Op::AvgPool(..) | Op::AdaptiveAvgPool(_) | Op::GlobalAvgPool => {
                windows(op, x.shape).mean(x, out, |w| w)
            }
            Op::Concat => concat(inputs, out),
            Op::Add => inputs[1..].iter().fold(x.clone(), |sum, x| sum.zip(x, |a, b| a + b)),
            Op::Flatten => FeatureMap { n: x.n, shape: out, data: x.to_nchw() },
            Op::LayerNorm(norm) => norm.forward(x),
            Op::Gelu => x.map(|v| Curve::Gelu.at(v)),
            Op::QuickGelu => x.map(|v| Curve::Swish(QUICK).at(v)),
            Op::SwiGlu => curves::gate(Curve::Swish(1.0), x, out),
            Op::Attention(heads) => attention(x, *heads, out),
            Op::Tokens(tokens) => tokens.join(x, out),
            Op::Rows(first, _) => rows(x, *first, out),
            Op::UnitLength => curves::unit_length(x),
        }
    }
}

/// Every value of one forward pass.
#[derive(Debug)]
pub struct Trace<'a, T: Real> {
    walker: &'a Walker<T>,
    values: Vec<FeatureMap<T>>,
}

impl<'a, T: Real> Trace<'a, T> {
    /// The network.
    pub fn network(&self) -> &'a Network {
        &self.walker.network
    }

    /// The value of `node`.
    pub fn value(&self, node: Node) -> &FeatureMap<T> {
        &self.values[node.index()]
    }

    /// The output of the network.
    pub fn output(&self) -> &FeatureMap<T> {
        self.value(self.walker.network.output())
    }

    /// The weights that each token of image `image` gives to all tokens in the attention whose output
    /// is `node`, (tokens, tokens) for each head; none if the step is no attention.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn attention_weights(&self, node: Node, image: usize) -> Option<Vec<Vec<T>>> {
        let step = &self.network().steps()[node.step()?];
        let Op::Attention(heads) = step.op else { return None };
        Some(attention_weights(self.value(step.inputs[0]), heads, image))
    }

    /// Carries `seed`, a signal at `from`, back to the values `keep`, and returns their signals.
    ///
    /// At each step on the way, `rule` turns the signal at its output into one for each input.
    /// The signal of a value that no way leads to is zero.
    ///
    /// # Errors
    /// If `seed` has another shape than the value of `from`, and those of the rule.
    pub fn walk(
        &self,
        from: Node,
        seed: FeatureMap<T>,
        keep: &[Node],
        rule: impl FnMut(&Visit<'_, T>) -> Result<Vec<FeatureMap<T>>>,
    ) -> Result<Vec<FeatureMap<T>>> {
        self.walk_all(vec![(from, seed)], keep, rule)
    }

    /// As [`walk`](Self::walk), with a signal at each of several values.
    fn walk_all(
        &self,
        seeds: Vec<(Node, FeatureMap<T>)>,
        keep: &[Node],
        mut rule: impl FnMut(&Visit<'_, T>) -> Result<Vec<FeatureMap<T>>>,
    ) -> Result<Vec<FeatureMap<T>>> {
        let mut signals: Vec<Option<FeatureMap<T>>> = vec![None; self.values.len()];
        let last = seeds.iter().map(|(from, _)| from.index()).max().unwrap_or(0);
        for (from, seed) in seeds {
            let at = self.value(from);
            if (seed.n, seed.shape) != (at.n, at.shape) {
                let (got, expected) = ((seed.n, seed.shape), (at.n, at.shape));
                return Err(Error::Input(format!("a signal {got:?} at a value {expected:?}")));
            }
            signals[from.index()] = Some(seed);
        }
        let steps = self.walker.network.steps();
        let mut wanted: Vec<bool> = vec![false; self.values.len()];
        for node in keep {
            wanted[node.index()] = true;
        }
        for (i, step) in steps.iter().enumerate() {
            wanted[i + 1] |= step.inputs.iter().any(|n| wanted[n.index()]);
        }
        for index in (0..last).rev() {
            let step = &steps[index];
            if !step.inputs.iter().any(|n| wanted[n.index()]) {
                continue;
            }
            let node = Node::of_step(index);
            let signal = if keep.contains(&node) {
                signals[node.index()].clone()
            } else {
                signals[node.index()].take()
            };
            let Some(signal) = signal else { continue };
            let inputs = step.inputs.iter().map(|n| self.value(*n)).collect();
            let output = self.value(node);
            let visit = Visit { walker: self.walker, index, step, inputs, output, signal: &signal };
            for (input, part) in step.inputs.iter().zip(rule(&visit)?) {
                let sum = &mut signals[input.index()];
                *sum = Some(match sum.take() {
                    Some(sum) => sum.zip(&part, |a, b| a + b),
                    None => part,
                });
            }
        }
        let zeros = |node: &Node| {
            let value = self.value(*node);
            FeatureMap::filled(value.n, value.shape, T::ZERO)
        };
        Ok(keep.iter().map(|n| signals[n.index()].clone().unwrap_or_else(|| zeros(n))).collect())
    }

    /// The gradient, with respect to each value of `keep`, of the sum of `seed` times the value of
    /// `from`; rectifiers pass signals on as `rectifier` says.
    ///
    /// # Errors
    /// Those of [`walk`](Self::walk).
    pub fn gradient(
        &self,
        from: Node,
        seed: FeatureMap<T>,
        keep: &[Node],
        rectifier: Rectifier,
    ) -> Result<Vec<FeatureMap<T>>> {
        self.gradient_of(vec![(from, seed)], keep, rectifier)
    }

    /// As [`gradient`](Self::gradient), of the sum over several values, each named once.
    ///
    /// # Errors
    /// Those of [`walk`](Self::walk).
    pub fn gradient_of(
        &self,
        seeds: Vec<(Node, FeatureMap<T>)>,
        keep: &[Node],
        rectifier: Rectifier,
    ) -> Result<Vec<FeatureMap<T>>> {
        self.walk_all(seeds, keep, |visit| Ok(visit.gradient(rectifier)))
    }
}

/// One step of a walk: its inputs, its output, and the signal at its output.
#[derive(Debug)]
pub struct Visit<'a, T: Real> {
    walker: &'a Walker<T>,
    /// Position of the step.
    pub index: usize,
    /// The step.
    pub step: &'a Step,
    /// Its inputs.
    pub inputs: Vec<&'a FeatureMap<T>>,
    /// Its output.
    pub output: &'a FeatureMap<T>,
    /// The signal at its output.
    pub signal: &'a FeatureMap<T>,
}

impl<'a, T: Real> Visit<'a, T> {
    /// The same visit with another signal at the output.
    #[must_use]
    pub fn with_signal<'b>(&self, signal: &'b FeatureMap<T>) -> Visit<'b, T>
    where
        'a: 'b,
    {
        Visit { signal, inputs: self.inputs.clone(), ..*self }
    }

    /// Gradient of the sum of signal times output, for each input.
    pub fn gradient(&self, rectifier: Rectifier) -> Vec<FeatureMap<T>> {
        let (x, signal) = (self.inputs[0], self.signal);
        let rectified = |open: &(dyn Fn(T) -> bool + Sync)| {
            vec![x.zip(signal, |x, s| match rectifier {
                Rectifier::Deconvnet => s.larger(T::ZERO),
                _ if !open(x) => T::ZERO,
                Rectifier::Gradient => s,
                Rectifier::Guided => s.larger(T::ZERO),
            })]
        };
        match &self.step.op {
            Op::Relu => rectified(&|x| x > T::ZERO),
            Op::Relu6 => rectified(&|x| x > T::ZERO && x < T::of(6.0)),
            Op::MaxPool(_) => {
                let (_, switches) = windows(&self.step.op, x.shape).max(x, self.output.shape);
                vec![Windows::unpool(signal, &switches, x.shape)]
            }
            Op::Concat => self.split(),
            Op::Add => vec![signal.clone(); self.inputs.len()],
            Op::Flatten => vec![self.unflatten()],
            Op::Conv(c) | Op::Linear(c) => {
                let pack = || T::pack_transposed(&c.spec, &reals(&c.weight));
                let packed = self.walker.packed[self.index].transposed.get_or_init(pack);
                vec![T::convolve_transposed(packed, signal, x.shape)]
            }
            Op::AvgPool(..) | Op::AdaptiveAvgPool(_) | Op::GlobalAvgPool => {
                vec![windows(&self.step.op, x.shape).mean_transposed(signal, x.shape, |w| w)]
            }
            Op::LayerNorm(norm) => vec![norm.gradient(x, signal)],
            Op::Gelu => vec![x.zip(signal, |x, s| s * Curve::Gelu.slope(x))],
            Op::QuickGelu => vec![x.zip(signal, |x, s| s * Curve::Swish(QUICK).slope(x))],
            Op::SwiGlu => vec![curves::gate_gradient(Curve::Swish(1.0), x, signal)],
            Op::Attention(heads) => vec![attention_gradient(x, *heads, signal)],
            Op::Tokens(tokens) => {
                let patches = Shape { h: x.shape.h * x.shape.w, w: 1, ..x.shape };
                let FeatureMap { n, data, .. } = rows(signal, tokens.count(), patches);
                vec![FeatureMap { n, shape: x.shape, data }]
            }
            Op::Rows(first, _) => vec![rows_transposed(signal, *first, x.shape)],
            Op::UnitLength => vec![curves::unit_length_gradient(x, signal)],
        }
    }

    /// The convolution of a convolution or linear layer.
    pub fn convolution(&self) -> Option<&Convolution> {
        match &self.step.op {
            Op::Conv(c) | Op::Linear(c) => Some(c),
            _ => None,
        }
    }

    /// The linear step with each weight `w` replaced by `weight(w)` and each bias `b` by `bias(b)`,
    /// ready for use; none if the step is not linear with weights of its own. A mean is linear with
    /// the weights `1 / count`.
    pub fn linear<F, G>(&self, weight: F, bias: G) -> Option<Linear<'_, T, F>>
    where
        F: Fn(T) -> T + Sync,
        G: Fn(T) -> T,
    {
        let from = self.inputs[0].shape;
        let kind = match &self.step.op {
            Op::Conv(c) | Op::Linear(c) => {
                let weights = c.weight.iter().map(|&w| weight(T::of(w.into()))).collect();
                let biases = c.bias.iter().map(|&b| bias(T::of(b.into()))).collect();
                Kind::Convolution { convolution: c, weights, biases }
            }
            op @ (Op::AvgPool(..) | Op::AdaptiveAvgPool(_) | Op::GlobalAvgPool) => {
                Kind::Mean { windows: windows(op, from), weight }
            }
            _ => return None,
        };
        Some(Linear { kind, from, to: self.output.shape })
    }

    /// The parts of the signal that belong to the inputs of a concatenation.
    fn split(&self) -> Vec<FeatureMap<T>> {
        let mut first = 0;
        let mut part = |shape: Shape| {
            let pixels = self.signal.data.chunks_exact(self.signal.shape.c);
            let channels = first..first + shape.c;
            first += shape.c;
            let data = pixels.flat_map(|pixel| &pixel[channels.clone()]).copied().collect();
            FeatureMap { n: self.signal.n, shape, data }
        };
        self.inputs.iter().map(|x| part(x.shape)).collect()
    }

    /// The signal in the order that the input of a flattening has.
    fn unflatten(&self) -> FeatureMap<T> {
        let (from, n) = (self.inputs[0].shape, self.signal.n);
        let planes = Shape { c: from.h * from.w, h: from.c, w: 1 };
        // Channel-last and channel-first differ by exchanging pixels and channels.
        let exchanged = FeatureMap { n, shape: planes, data: self.signal.data.clone() };
        FeatureMap { n, shape: from, data: exchanged.to_nchw() }
    }
}

/// A linear step with chosen weights: `x -> W x + b`, and `y -> W^T y`.
#[derive(Debug)]
pub struct Linear<'a, T, F> {
    kind: Kind<'a, T, F>,
    from: Shape,
    to: Shape,
}

#[derive(Debug)]
enum Kind<'a, T, F> {
    Convolution { convolution: &'a Convolution, weights: Vec<T>, biases: Vec<T> },
    Mean { windows: Windows, weight: F },
}

impl<T: Real, F: Fn(T) -> T + Sync> Linear<'_, T, F> {
    /// `W x + b`.
    pub fn forward(&self, x: &FeatureMap<T>) -> FeatureMap<T> {
        match &self.kind {
            Kind::Convolution { convolution, weights, biases } => {
                T::convolve(&T::pack(&convolution.spec, weights, biases), x, self.to)
            }
            Kind::Mean { windows, weight } => windows.mean(x, self.to, weight),
        }
    }

    /// `W^T y`.
    pub fn transposed(&self, y: &FeatureMap<T>) -> FeatureMap<T> {
        match &self.kind {
            Kind::Convolution { convolution, weights, .. } => {
                let packed = T::pack_transposed(&convolution.spec, weights);
                T::convolve_transposed(&packed, y, self.from)
            }
            Kind::Mean { windows, weight } => windows.mean_transposed(y, self.from, weight),
        }
    }
}

/// The windows of a pooling step.
fn windows(op: &Op, shape: Shape) -> Windows {
    Windows::of(op, shape).expect("a pooling step")
}

fn reals<T: Real>(values: &[f32]) -> Vec<T> {
    values.iter().map(|&v| T::of(v.into())).collect()
}

fn concat<T: Real>(inputs: &[&FeatureMap<T>], shape: Shape) -> FeatureMap<T> {
    let n = inputs[0].n;
    let mut data = Vec::with_capacity(n * shape.len());
    for pixel in 0..n * shape.h * shape.w {
        for x in inputs {
            data.extend_from_slice(&x.data[pixel * x.shape.c..][..x.shape.c]);
        }
    }
    FeatureMap { n, shape, data }
}

#[cfg(test)]
mod tests;
