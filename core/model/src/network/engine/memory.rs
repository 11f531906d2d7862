//! The buffers of the values of a network while it runs.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use ganscope_kernels::{Lines, Map, MapMut, pixel_stride};

use super::plain::combine;
use super::plan::Plan;
use crate::network::{Node, Op, Shape, Step};

/// Buffers of the values that are in use, and those to be used again.
pub(super) struct Memory<'a> {
    pub(super) n: usize,
    pub(super) values: &'a Values<'a>,
    pub(super) input: &'a [f32],
    pub(super) live: BTreeMap<Node, Buffer<'a>>,
    pub(super) spare: Vec<Lines>,
}

/// Shapes and places of the values of one image.
pub(super) struct Values<'a> {
    pub(super) shapes: &'a [Shape],
    roots: &'a [Node],
    /// First channel of each value in its root's buffer.
    offsets: Vec<usize>,
    /// The position embeddings of the patches that become tokens.
    pub(super) positions: BTreeMap<Node, Vec<f32>>,
}

/// The buffer of a root.
pub(super) enum Buffer<'a> {
    Own(Lines),
    /// A part of another memory's.
    Lent(&'a mut [f32]),
}

impl Deref for Buffer<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Own(lines) => lines,
            Self::Lent(part) => part,
        }
    }
}

impl DerefMut for Buffer<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Own(lines) => lines,
            Self::Lent(part) => part,
        }
    }
}

impl<'a> Values<'a> {
    pub(super) fn new(steps: &[Step], plan: &'a Plan, shapes: &'a [Shape]) -> Self {
        let roots = &plan.roots;
        let mut offsets = vec![0; shapes.len()];
        for (i, step) in steps.iter().enumerate().rev() {
            if step.op == Op::Concat {
                let mut offset = offsets[i + 1];
                for input in step.inputs.iter().map(|n| n.index()) {
                    if roots[input] == roots[i + 1] {
                        offsets[input] = offset;
                    }
                    offset += shapes[input].c;
                }
            }
        }
        let positions = steps.iter().filter_map(|step| match &step.op {
            Op::Tokens(tokens) => {
                let Shape { h, w, .. } = shapes[step.inputs[0].index()];
                Some((step.inputs[0], tokens.resized([h, w])))
            }
            _ => None,
        });
        Self { shapes, roots, offsets, positions: positions.collect() }
    }

    /// Numbers in the buffer of a root for one image.
    pub(super) fn size(&self, root: Node) -> usize {
        let Shape { c, h, w } = self.shapes[root.index()];
        h * w * pixel_stride(c)
    }
}

impl<'a> Memory<'a> {
    /// The map of a value that has been computed.
    pub(super) fn read(&self, node: Node) -> Map<'_> {
        let root = self.root(node);
        let Shape { c, h, w } = self.shape(node);
        let data = if root == Node::INPUT { self.input } else { &self.live[&root] };
        let data = &data[self.values.offsets[node.index()]..];
        let stride = if root == Node::INPUT { c } else { pixel_stride(self.shape(root).c) };
        Map::with_stride(data, [self.n, h, w, c], stride)
    }

    /// Lets `compute` read earlier values and write the value `node`.
    pub(super) fn write(&mut self, node: Node, compute: impl FnOnce(&Self, MapMut<'_>)) {
        self.write_channels(node, 0, self.shape(node).c, compute);
    }

    /// Lets `compute` write values of different roots.
    pub(super) fn write_all(
        &mut self,
        nodes: &[Node],
        compute: impl FnOnce(&Self, Vec<MapMut<'_>>),
    ) {
        let mut buffers: Vec<_> = nodes.iter().map(|&node| self.take(node)).collect();
        let pairs = nodes.iter().zip(&mut buffers);
        let outs = pairs.map(|(&node, buffer)| self.map(node, 0, self.shape(node).c, buffer));
        compute(self, outs.collect());
        for (&node, buffer) in nodes.iter().zip(buffers) {
            self.live.insert(self.root(node), buffer);
        }
    }

    /// Lets `compute` write `count` channels of the value `node`, from channel `first`.
    fn write_channels(
        &mut self,
        node: Node,
        first: usize,
        count: usize,
        compute: impl FnOnce(&Self, MapMut<'_>),
    ) {
        let mut buffer = self.take(node);
        compute(self, self.map(node, first, count, &mut buffer));
        self.live.insert(self.root(node), buffer);
    }

    /// The buffer in which a value lies.
    fn take(&mut self, node: Node) -> Buffer<'a> {
        let root = self.root(node);
        self.live.remove(&root).unwrap_or_else(|| Buffer::Own(self.allocate(root)))
    }

    /// `count` channels of a value, from channel `first`, in its buffer.
    fn map<'b>(&self, node: Node, first: usize, count: usize, buffer: &'b mut [f32]) -> MapMut<'b> {
        let Shape { c, h, w } = self.shape(self.root(node));
        let data = &mut buffer[self.values.offsets[node.index()] + first..];
        MapMut::with_stride(data, [self.n, h, w, count], pixel_stride(c))
    }

    /// Copies the inputs of a concatenation that do not lie in their place already.
    pub(super) fn join(&mut self, inputs: &[Node], node: Node) {
        let mut first = 0;
        for &input in inputs {
            let c = self.shape(input).c;
            if self.root(input) != self.root(node) {
                self.write_channels(node, first, c, |memory, mut out| {
                    combine(memory.read(input), &mut out, |_, v| v);
                });
            }
            first += c;
        }
    }

    /// A buffer of any numbers for a root, one used before if there is one large enough.
    pub(super) fn allocate(&mut self, root: Node) -> Lines {
        let len = self.n * self.values.size(root);
        let spare = self.spare.iter().enumerate().filter(|(_, lines)| lines.len() >= len);
        let best = spare.min_by_key(|(_, lines)| lines.len()).map(|(i, _)| i);
        best.map_or_else(|| Lines::zeros(len), |i| self.spare.swap_remove(i))
    }

    /// Takes back the buffers for which `done` is true.
    pub(super) fn retire(&mut self, done: impl Fn(Node) -> bool) {
        let done: Vec<Node> = self.live.keys().copied().filter(|&root| done(root)).collect();
        for root in done {
            if let Some(Buffer::Own(lines)) = self.live.remove(&root) {
                self.spare.push(lines);
            }
        }
    }

    fn root(&self, node: Node) -> Node {
        self.values.roots[node.index()]
    }

    fn shape(&self, node: Node) -> Shape {
        self.values.shapes[node.index()]
    }
}
