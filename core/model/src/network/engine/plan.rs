//! How an engine runs a network.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ganscope_kernels::{Activation, Branch, Conv2d, JoinedConv};

use super::QUICK_GELU;
use super::folded::Folded;
use crate::network::{ConvSpec, Convolution, Network, Node, Op, PoolSpec, Shape};
use crate::{Error, Result};

/// Numbers in the maps of a step that are large: they fill a good part of the cache of a core.
const LARGE: usize = 1 << 16;
/// Channels per head and query at least, so that a product for each of these costs less than a product
/// for each token.
const FEW: usize = 4;

/// The layers of a network that its engine runs, and the buffers of its values.
#[derive(Debug)]
pub(super) struct Plan {
    /// One for each step.
    pub(super) layers: Vec<Layer>,
    /// For each step the one whose operation is run in its place.
    ops: Vec<usize>,
    /// For each value the one in whose buffer it lies: itself, or a concatenation.
    pub(super) roots: Vec<Node>,
    /// For each root the step after which nothing reads its buffer.
    pub(super) last_use: Vec<usize>,
    /// For each value how many of its rows are computed, the first ones, or all.
    rows: Vec<Option<usize>>,
}

/// How the engine runs a step.
#[derive(Debug)]
pub(super) enum Layer {
    /// Nothing that was asked for depends on it, or an earlier step computes it.
    Skip,
    /// Convolution or linear layer, plus another value, with the output `to`.
    Conv { conv: Box<Conv2d>, plus: Option<Node>, to: Node },
    /// Convolutions of one pixel that read the same value.
    Joined { conv: Box<JoinedConv>, to: Vec<Node> },
    /// A mean over windows and its activation, with the output `to`.
    AvgPool { window: PoolSpec, count_padding: bool, activation: Activation, to: Node },
    /// The attention of few tokens, from the `tokens` that its layer of queries, keys and values reads;
    /// after that of the `whole`, as the operation says, if it is read as well.
    Folded { folded: Box<Folded>, tokens: Node, whole: bool },
    /// Everything else, as the operation says.
    Plain,
}

/// How a step is run, before its weights are packed.
#[derive(Clone, Copy)]
enum Outline<'a> {
    Skip,
    Conv(Fused<'a>),
    AvgPool { window: PoolSpec, count_padding: bool, activation: Activation, to: Node },
    Folded(Fold<'a>),
    Plain,
}

/// An attention of few tokens.
#[derive(Clone, Copy)]
struct Fold<'a> {
    /// Queries, keys and values.
    layer: &'a Convolution,
    heads: usize,
    /// How many tokens, the first ones.
    rows: usize,
    /// What the layer reads.
    tokens: Node,
    /// Whether more tokens are read.
    whole: bool,
}

/// A convolution with what is fused into it.
#[derive(Clone, Copy)]
struct Fused<'a> {
    conv: &'a Convolution,
    plus: Option<Node>,
    activation: Activation,
    to: Node,
}

/// A network while it is planned.
struct Planned<'a> {
    network: &'a Network,
    taps: &'a [Node],
    /// Whether a value is asked for, or one that was depends on it.
    needed: Vec<bool>,
    ops: Vec<usize>,
    /// What each step reads.
    inputs: Vec<Vec<Node>>,
    folds: BTreeMap<usize, Fold<'a>>,
}

impl Plan {
    /// The plan for computing the values `taps`.
    pub(super) fn new(network: &Network, taps: &[Node]) -> Self {
        let mut planned = Planned::new(network, taps);
        planned.move_pools();
        planned.fold_attention();
        let roots = planned.roots();
        let last_use = planned.last_use(&roots);
        let rows = planned.rows();
        let layers = planned.layers(&planned.outline(&rows), &roots);
        Self { layers, ops: planned.ops, roots, last_use, rows }
    }

    /// The operation that is run in the place of step `i`.
    pub(super) fn op<'a>(&self, network: &'a Network, i: usize) -> &'a Op {
        &network.steps()[self.ops[i]].op
    }

    /// The shapes of all values as they are computed, from those of the network itself.
    pub(super) fn shapes(&self, network: &Network, mut shapes: Vec<Shape>) -> Result<Vec<Shape>> {
        for (i, step) in network.steps().iter().enumerate().filter(|(i, _)| self.ops[*i] != *i) {
            let inputs: Vec<Shape> = step.inputs.iter().map(|n| shapes[n.index()]).collect();
            let shape = self.op(network, i).output(&inputs);
            shapes[i + 1] =
                shape.map_err(|problem| Error::Graph { step: step.name.clone(), problem })?;
        }
        for (shape, rows) in shapes.iter_mut().zip(&self.rows) {
            shape.h = rows.unwrap_or(shape.h).min(shape.h);
        }
        Ok(shapes)
    }

    /// How many steps from the first on have large maps and fewer weights: they run faster on one
    /// image after the other, whose maps stay in the cache, than on many that share the weights.
    pub(super) fn front(&self, network: &Network, shapes: &[Shape]) -> usize {
        let ends = |i: usize| match self.op(network, i) {
            _ if matches!(self.layers[i], Layer::Skip) => false,
            Op::Conv(conv) | Op::Linear(conv) => {
                let input = shapes[network.steps()[i].inputs[0].index()];
                let maps = input.len() + shapes[i + 1].len();
                maps < LARGE.max(conv.weight.len())
            }
            Op::Attention(_) => true,
            _ => false,
        };
        let count = self.layers.len();
        (0..count).find(|&i| ends(i)).unwrap_or(count)
    }

    /// The roots that `steps` write and later ones, or the taps, read.
    pub(super) fn kept(&self, steps: Range<usize>) -> Vec<Node> {
        let written = steps.clone().flat_map(|i| match &self.layers[i] {
            Layer::Skip => vec![],
            Layer::Conv { to, .. } | Layer::AvgPool { to, .. } => vec![*to],
            Layer::Joined { to, .. } => to.clone(),
            Layer::Folded { .. } | Layer::Plain => vec![Node::of_step(i)],
        });
        let roots: BTreeSet<Node> = written.map(|node| self.roots[node.index()]).collect();
        roots.into_iter().filter(|root| self.last_use[root.index()] >= steps.end).collect()
    }
}

impl<'a> Planned<'a> {
    fn new(network: &'a Network, taps: &'a [Node]) -> Self {
        let steps = network.steps();
        let (needed, folds) = (vec![], BTreeMap::new());
        let inputs = steps.iter().map(|step| step.inputs.clone()).collect();
        let mut planned =
            Self { network, taps, needed, ops: (0..steps.len()).collect(), inputs, folds };
        planned.find_needed();
        planned
    }

    fn find_needed(&mut self) {
        self.needed = vec![false; self.ops.len() + 1];
        self.taps.iter().for_each(|tap| self.needed[tap.index()] = true);
        for (i, inputs) in self.inputs.iter().enumerate().rev() {
            if self.needed[i + 1] {
                for input in inputs {
                    self.needed[input.index()] = true;
                }
            }
        }
    }

    fn op(&self, i: usize) -> &'a Op {
        &self.network.steps()[self.ops[i]].op
    }

    fn inputs(&self, i: usize) -> &[Node] {
        &self.inputs[i]
    }

    /// The steps that are run, by index.
    fn steps(&self) -> impl DoubleEndedIterator<Item = usize> + use<'_, 'a> {
        (0..self.ops.len()).filter(|&i| self.needed[i + 1])
    }

    /// The step that alone reads a value, if the value itself was not asked for.
    fn sole_reader(&self, node: Node) -> Option<usize> {
        let mut readers = self.steps().filter(|&i| self.inputs(i).contains(&node));
        match (readers.next(), readers.next()) {
            (Some(i), None) if !self.taps.contains(&node) => Some(i),
            _ => None,
        }
    }

    /// Exchanges means over windows with the convolutions of one pixel after them that have fewer
    /// outputs than inputs: a mean of linear maps is the linear map of the mean, its bias
    /// included where the mean counts only pixels inside.
    fn move_pools(&mut self) {
        for i in 0..self.ops.len() {
            let Op::AvgPool(window, false) = self.op(i) else { continue };
            if let Some(j) = self.sole_reader(Node::of_step(i)).filter(|_| self.needed[i + 1])
                && let Op::Conv(conv) = self.op(j)
                && is_pointwise(&conv.spec)
                && window.stride == [1, 1]
                && conv.spec.out_channels < conv.spec.in_channels
            {
                self.ops.swap(i, j);
            }
        }
    }

    /// Folds the layer of queries, keys and values into each attention of which the output of the
    /// network depends on few tokens. These are computed so whatever was asked for, so that their
    /// values do not depend on it.
    fn fold_attention(&mut self) {
        let output = [self.network.output()];
        let (of_output, rows) = (Planned::new(self.network, &output).rows(), self.rows());
        for i in self.steps().collect::<Vec<_>>() {
            if let (&Op::Attention(heads), Some(first)) = (self.op(i), of_output[i + 1])
                && let &[qkv] = self.inputs(i)
                && let Some(j) = qkv.step()
                && let Op::Linear(layer) = self.op(j)
                && layer.spec.out_channels == 3 * layer.spec.in_channels
                && FEW * first * heads <= layer.spec.in_channels
            {
                let tokens = self.inputs(j)[0];
                let whole = rows[i + 1].is_none_or(|rows| rows > first);
                self.folds.insert(i, Fold { layer, heads, rows: first, tokens, whole });
                self.inputs[i] = if whole { vec![qkv, tokens] } else { vec![tokens] };
            }
        }
        self.find_needed();
    }

    /// For each value how many of its rows are computed, the first ones, or all: where a feature is
    /// that of the class token, the others end with their keys and values in the last attention.
    fn rows(&self) -> Vec<Option<usize>> {
        // Those that are read.
        let mut rows: Vec<_> = self.needed.iter().map(|needed| needed.then_some(0)).collect();
        self.taps.iter().for_each(|tap| rows[tap.index()] = None);
        for i in self.steps().rev() {
            let read = match self.op(i) {
                Op::Rows(first, None) => rows[i + 1].map(|rows| first + rows),
                Op::Rows(first, Some(count)) => {
                    Some(first + rows[i + 1].map_or(*count, |rows| rows.min(*count)))
                }
                op if matches!(op, Op::Add) || is_by_row(op) => rows[i + 1],
                _ => None,
            };
            for input in self.inputs(i) {
                let rows = &mut rows[input.index()];
                *rows = rows.zip(read).map(|(a, b)| a.max(b));
            }
        }
        // Most operations compute as many rows as they are given.
        for i in self.steps().filter(|&i| is_by_row(self.op(i))) {
            rows[i + 1] = rows[self.inputs(i)[0].index()];
        }
        rows
    }

    /// How each step is run: convolutions with the addition and the activation after them, where
    /// all of them compute the same `rows`.
    fn outline(&self, rows: &[Option<usize>]) -> Vec<Outline<'a>> {
        let mut fused = vec![false; self.ops.len()];
        let mut outline = Vec::with_capacity(self.ops.len());
        for i in 0..self.ops.len() {
            let mut to = Node::of_step(i);
            outline.push(match self.op(i) {
                _ if !self.needed[i + 1] || fused[i] => Outline::Skip,
                Op::Conv(conv) | Op::Linear(conv) => {
                    let mut plus = None;
                    if let Some(j) = self.sole_reader(to)
                        && let (Op::Add, &[a, b]) = (self.op(j), self.inputs(j))
                        && let other = if a == to { b } else { a }
                        && other < to
                        && [other, to].iter().all(|n| rows[n.index()] == rows[j + 1])
                    {
                        fused[j] = true;
                        (to, plus) = (Node::of_step(j), Some(other));
                    }
                    let activation = self.activation(&mut to, &mut fused);
                    Outline::Conv(Fused { conv, plus, activation, to })
                }
                &Op::AvgPool(window, count_padding) => {
                    let activation = self.activation(&mut to, &mut fused);
                    Outline::AvgPool { window, count_padding, activation, to }
                }
                _ => self.folds.get(&i).copied().map_or(Outline::Plain, Outline::Folded),
            });
        }
        outline
    }

    /// The activation that alone reads the value `to`, whose output is then `to`.
    fn activation(&self, to: &mut Node, fused: &mut [bool]) -> Activation {
        let reader = self.sole_reader(*to);
        match reader.and_then(|j| Some((j, activation_of(self.op(j))?))) {
            None => Activation::None,
            Some((j, activation)) => {
                fused[j] = true;
                *to = Node::of_step(j);
                activation
            }
        }
    }

    /// Packs the weights; convolutions of one pixel that read the same value are joined.
    fn layers(&self, outline: &[Outline<'a>], roots: &[Node]) -> Vec<Layer> {
        let mut joined = vec![false; outline.len()];
        let mut layers = Vec::with_capacity(outline.len());
        for (i, step) in outline.iter().enumerate() {
            layers.push(match *step {
                _ if joined[i] => Layer::Skip,
                Outline::Skip => Layer::Skip,
                Outline::Plain => Layer::Plain,
                Outline::Folded(Fold { layer, heads, rows, tokens, whole }) => {
                    let folded = Box::new(Folded::new(layer, heads, rows));
                    Layer::Folded { folded, tokens, whole }
                }
                Outline::AvgPool { window, count_padding, activation, to } => {
                    Layer::AvgPool { window, count_padding, activation, to }
                }
                Outline::Conv(fused) => {
                    let mut group = vec![];
                    for (j, branch) in self.branches(i, outline) {
                        // One buffer is written by one of them at a time.
                        let apart =
                            |other: &Fused<'_>| roots[other.to.index()] != roots[branch.to.index()];
                        if group.iter().all(apart) {
                            joined[j] = true;
                            group.push(branch);
                        }
                    }
                    if group.len() > 1 { join(&group) } else { pack(fused) }
                }
            });
        }
        layers
    }

    /// The convolutions from step `i` on that can be joined with it, itself included.
    fn branches(
        &self,
        i: usize,
        outline: &[Outline<'a>],
    ) -> impl Iterator<Item = (usize, Fused<'a>)> {
        let input = self.inputs(i)[0];
        let branch = move |j: usize| match (self.op(j), outline[j]) {
            (Op::Conv(conv), Outline::Conv(fused))
                if is_pointwise(&conv.spec)
                    && fused.plus.is_none()
                    && self.inputs(j)[0] == input =>
            {
                Some((j, fused))
            }
            _ => None,
        };
        let first = branch(i).is_some();
        (i..outline.len()).filter(move |_| first).filter_map(branch)
    }

    /// For each value the one in whose buffer it lies.
    fn roots(&self) -> Vec<Node> {
        // Backwards, so that a concatenation's own buffer is known before its inputs'.
        let mut roots: Vec<Node> = (0..=self.ops.len()).map(Node).collect();
        for i in self.steps().rev().filter(|&i| *self.op(i) == Op::Concat) {
            let once = |n: &&Node| self.inputs(i).iter().filter(|m| m == n).count() == 1;
            for &input in self.inputs(i).iter().filter(once) {
                if input != Node::INPUT && self.sole_reader(input) == Some(i) {
                    roots[input.index()] = roots[i + 1];
                }
            }
        }
        roots
    }

    /// For each root the step after which nothing reads its buffer.
    fn last_use(&self, roots: &[Node]) -> Vec<usize> {
        let mut last_use = vec![0; roots.len()];
        for i in self.steps() {
            self.inputs(i).iter().for_each(|input| last_use[roots[input.index()].index()] = i);
        }
        for tap in self.taps {
            last_use[roots[tap.index()].index()] = usize::MAX;
        }
        last_use
    }
}

/// Whether the operation has one input, and each row of its output depends on that row alone.
fn is_by_row(op: &Op) -> bool {
    let curve = activation_of(op).is_some() || matches!(op, Op::SwiGlu);
    curve || matches!(op, Op::Linear(_) | Op::LayerNorm(_) | Op::UnitLength)
}

/// Whether each output pixel depends on the input pixel in its place alone.
fn is_pointwise(spec: &ConvSpec) -> bool {
    *spec == ConvSpec::new(spec.in_channels, spec.out_channels, [1, 1])
}

fn pack(Fused { conv, plus, activation, to }: Fused<'_>) -> Layer {
    let conv = Conv2d::new(conv.spec, &conv.weight, Some(&conv.bias), activation);
    Layer::Conv { conv: Box::new(conv), plus, to }
}

fn join<'a>(group: &[Fused<'a>]) -> Layer {
    let branch = |fused: &Fused<'a>| Branch::<'a> {
        weight: &fused.conv.weight,
        bias: &fused.conv.bias,
        activation: fused.activation,
    };
    let branches: Vec<_> = group.iter().map(branch).collect();
    let conv = JoinedConv::new(group[0].conv.spec.in_channels, &branches);
    Layer::Joined { conv: Box::new(conv), to: group.iter().map(|fused| fused.to).collect() }
}

/// The activation that a step is, if it is one.
fn activation_of(op: &Op) -> Option<Activation> {
    match op {
        Op::Relu => Some(Activation::Relu),
        Op::Relu6 => Some(Activation::Relu6),
        Op::Gelu => Some(Activation::Gelu),
        Op::QuickGelu => Some(QUICK_GELU),
        _ => None,
    }
}
