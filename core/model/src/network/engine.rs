//! Running a network on the fast kernels.
//!
//! An [`Engine`] packs the weights once. An addition or an activation that alone reads a convolution
//! is computed by the convolution itself; a value that is read by a concatenation alone is written straight
//! into its place there; memory is handed on as soon as nothing reads it any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::Device;
use ganscope_kernels as kernels;
use ganscope_kernels::{Activation, Conv2d, Extras, Map, MapMut};
use rayon::prelude::*;

use super::curves::QUICK;
use super::on_device::OnDevice;
use super::{Convolution, FeatureMap, LayerNorm, Network, Node, Op, Shape};
use crate::{Error, Result};

/// Images that go through the network together: enough to fill the cores in small late layers,
/// few enough that the maps of early layers stay in the last-level cache.
const IMAGES_AT_ONCE: usize = 8;
/// Rows of tokens that go through a transformer together on a thread: enough to fill the tiles of
/// the matrix products, few enough that they stay in the caches of a core.
const ROWS_AT_ONCE: usize = 256;

/// A network with packed weights, ready to compute the values of some of its nodes.
#[derive(Debug)]
pub struct Engine {
    network: Arc<Network>,
    taps: Vec<Node>,
    layers: Vec<Layer>,
    /// For each value the one in whose buffer it lies: itself, or a concatenation.
    roots: Vec<Node>,
    /// For each root the step after which nothing reads its buffer.
    last_use: Vec<usize>,
    /// Buffers to be used again, one set for each chunk of images that ran at the same time.
    spare: Mutex<Vec<Vec<Vec<f32>>>>,
    /// The replacement of all that off the CPU.
    on_device: Option<OnDevice>,
}

/// How the engine runs a step.
#[derive(Debug)]
enum Layer {
    /// Nothing that was asked for depends on it, or an earlier step computes it.
    Skip,
    /// Convolution or linear layer, plus another value, with the output `to`.
    Conv { conv: Box<Conv2d>, plus: Option<Node>, to: Node },
    /// Everything else, as the step says.
    Plain,
}

impl Engine {
    /// Packs `network` so that [`run`](Self::run) returns the values `taps`.
    pub fn new(network: Arc<Network>, taps: &[Node]) -> Self {
        let steps = network.steps();
        let mut needed = vec![false; steps.len() + 1];
        for tap in taps {
            needed[tap.index()] = true;
        }
        for (i, step) in steps.iter().enumerate().rev() {
            if needed[i + 1] {
                step.inputs.iter().for_each(|n| needed[n.index()] = true);
            }
        }
        // The step that alone reads a value, if the value itself was not asked for.
        let sole_reader = |node: Node| {
            let mut readers = network.consumers(node).filter(|&i| needed[i + 1]);
            match (readers.next(), readers.next()) {
                (Some(i), None) if !taps.contains(&node) => Some(i),
                _ => None,
            }
        };

        let mut layers: Vec<Layer> = Vec::with_capacity(steps.len());
        let mut fused = vec![false; steps.len()];
        for (i, step) in steps.iter().enumerate() {
            layers.push(match &step.op {
                _ if !needed[i + 1] || fused[i] => Layer::Skip,
                Op::Conv(c) | Op::Linear(c) => {
                    let (mut to, mut plus, mut activation) =
                        (Node::of_step(i), None, Activation::None);
                    if let Some(j) = sole_reader(to)
                        && let (Op::Add, &[a, b]) = (&steps[j].op, steps[j].inputs.as_slice())
                        && let other = if a == to { b } else { a }
                        && other < to
                    {
                        fused[j] = true;
                        (to, plus) = (Node::of_step(j), Some(other));
                    }
                    if let Some(j) = sole_reader(to)
                        && let Some(last) = activation_of(&steps[j].op)
                    {
                        fused[j] = true;
                        (to, activation) = (Node::of_step(j), last);
                    }
                    Layer::Conv { conv: Box::new(pack(c, activation)), plus, to }
                }
                _ => Layer::Plain,
            });
        }

        // Backwards, so that a concatenation's own buffer is known before its inputs'.
        let mut roots: Vec<Node> = (0..=steps.len()).map(Node).collect();
        for (i, step) in steps.iter().enumerate().rev() {
            if step.op == Op::Concat && needed[i + 1] {
                let once = |n: &&Node| step.inputs.iter().filter(|m| m == n).count() == 1;
                for &input in step.inputs.iter().filter(once) {
                    if input != Node::INPUT && sole_reader(input) == Some(i) {
                        roots[input.index()] = roots[i + 1];
                    }
                }
            }
        }
        let mut last_use = vec![0; steps.len() + 1];
        for (i, step) in steps.iter().enumerate().filter(|(i, _)| needed[i + 1]) {
            step.inputs.iter().for_each(|input| last_use[roots[input.index()].index()] = i);
        }
        for tap in taps {
            last_use[roots[tap.index()].index()] = usize::MAX;
        }
        let (spare, on_device) = (Mutex::default(), None);
        Self { taps: taps.into(), layers, roots, last_use, spare, on_device, network }
    }

    /// As [`new`](Self::new), on `device`: on another than the CPU, candle's operations run there.
    ///
    /// # Errors
    /// If the weights cannot be moved there.
    pub fn on(network: Arc<Network>, taps: &[Node], device: &Device) -> Result<Self> {
        if device.is_cpu() {
            return Ok(Self::new(network, taps));
        }
        let on_device = Some(OnDevice::new(&network, taps, device)?);
        let (layers, roots, last_use) = (Vec::new(), Vec::new(), Vec::new());
        let spare = Mutex::default();
        Ok(Self { taps: taps.into(), layers, roots, last_use, spare, on_device, network })
    }

    /// The network.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Values of the taps, in their order, for channel-last images `input` of (n, h, w, channels).
    ///
    /// On the CPU the result for an image does not depend on the others, nor on the number of
    /// threads.
    ///
    /// # Errors
    /// If the length of `input` is not that of such images, or they are too small.
    pub fn run(&self, input: &[f32], (n, h, w): (usize, usize, usize)) -> Result<Vec<FeatureMap>> {
        let shapes = self.network.shapes(h, w)?;
        let image = shapes[0].len();
        if input.len() != n * image {
            let problem = format!("{n} images of {:?} are {} numbers", shapes[0], n * image);
            return Err(Error::Input(format!("{problem}, got {}", input.len())));
        }
        if let Some(on_device) = &self.on_device {
            return on_device.run(&self.network, &self.taps, input, (n, &shapes));
        }
        let map = |tap: &Node| {
            let shape = shapes[tap.index()];
            FeatureMap { n, shape, data: Vec::with_capacity(n * shape.len()) }
        };
        let mut outputs: Vec<FeatureMap> = self.taps.iter().map(map).collect();
        let [images, chunks] = self.at_once(&shapes);
        let chunk = images * image.max(1);
        // In turns, so that the memory depends on the threads and not on the images.
        for turn in input.chunks(chunks * chunk) {
            let run = |images: &[f32]| self.run_chunk(images, images.len() / image, &shapes);
            let parts: Vec<Vec<Vec<f32>>> = if turn.len() > chunk {
                turn.par_chunks(chunk).map(run).collect()
            } else {
                turn.chunks(chunk).map(|images| kernels::together(|| run(images))).collect()
            };
            for part in parts {
                outputs.iter_mut().zip(part).for_each(|(output, part)| output.data.extend(part));
            }
        }
        Ok(outputs)
    }

    /// How many images go through the network together, and how many such chunks run at the same
    /// time: one after the other, or for a transformer one on each thread.
    fn at_once(&self, shapes: &[Shape]) -> [usize; 2] {
        let steps = self.network.steps().iter().enumerate();
        let is_attention = |op: &Op| matches!(op, Op::Attention(_));
        match steps.filter(|(_, step)| is_attention(&step.op)).map(|(i, _)| shapes[i + 1]).next() {
            Some(Shape { h, w, .. }) => {
                let images = ROWS_AT_ONCE.div_ceil((h * w).max(1)).min(IMAGES_AT_ONCE);
                [images, rayon::current_num_threads()]
            }
            None => [IMAGES_AT_ONCE, 1],
        }
    }

    /// First channel of each value in its root's buffer.
    fn offsets(&self, shapes: &[Shape]) -> Vec<usize> {
        let mut offsets = vec![0; shapes.len()];
        for (i, step) in self.network.steps().iter().enumerate().rev() {
            if step.op == Op::Concat {
                let mut offset = offsets[i + 1];
                for input in step.inputs.iter().map(|n| n.index()) {
                    if self.roots[input] == self.roots[i + 1] {
                        offsets[input] = offset;
                    }
                    offset += shapes[input].c;
                }
            }
        }
        offsets
    }

    /// The values of the taps for `n` images.
    fn run_chunk(&self, input: &[f32], n: usize, shapes: &[Shape]) -> Vec<Vec<f32>> {
        let spare = self.lock_spare().pop().unwrap_or_default();
        let offsets = self.offsets(shapes);
        let roots = &self.roots;
        let mut memory = Memory { n, shapes, roots, offsets, input, live: BTreeMap::new(), spare };
        for (i, (step, layer)) in self.network.steps().iter().zip(&self.layers).enumerate() {
            match layer {
                Layer::Skip => continue,
                Layer::Conv { conv, plus, to } => memory.write(*to, |memory, out| {
                    let residual = plus.map(|node| memory.read(node));
                    let extras = Extras { residual, ..Extras::default() };
                    conv.run_with(memory.read(step.inputs[0]), out, extras);
                }),
                Layer::Plain if step.op == Op::Concat => {
                    memory.join(&step.inputs, Node::of_step(i));
                }
                Layer::Plain => memory.write(Node::of_step(i), |memory, out| {
                    plain(&step.op, &step.inputs, memory, out);
                }),
            }
            memory.retire(|root| self.last_use[root.index()] <= i);
        }
        let dense = |tap: &Node| {
            let map = memory.read(*tap);
            let mut values = Vec::with_capacity(n * shapes[tap.index()].len());
            (0..map.pixels()).for_each(|pixel| values.extend_from_slice(map.pixel(pixel)));
            values
        };
        let outputs = self.taps.iter().map(dense).collect();
        memory.retire(|_| true);
        self.lock_spare().push(memory.spare);
        outputs
    }

    fn lock_spare(&self) -> MutexGuard<'_, Vec<Vec<Vec<f32>>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Buffers of the values that are in use, and those to be used again.
struct Memory<'a> {
    n: usize,
    shapes: &'a [Shape],
    roots: &'a [Node],
    offsets: Vec<usize>,
    input: &'a [f32],
    live: BTreeMap<Node, Vec<f32>>,
    spare: Vec<Vec<f32>>,
}

impl Memory<'_> {
    /// The map of a value that has been computed.
    fn read(&self, node: Node) -> Map<'_> {
        let root = self.roots[node.index()];
        let Shape { c, h, w } = self.shapes[node.index()];
        let stride = self.shapes[root.index()].c;
        let data = if root == Node::INPUT { self.input } else { &self.live[&root] };
        Map::with_stride(&data[self.offsets[node.index()]..], [self.n, h, w, c], stride)
    }

    /// Lets `compute` read earlier values and write the value `node`.
    fn write(&mut self, node: Node, compute: impl FnOnce(&Self, MapMut<'_>)) {
        let c = self.shapes[node.index()].c;
        self.write_channels(node, 0, c, compute);
    }

    /// Lets `compute` write `count` channels of the value `node`, from channel `first`.
    fn write_channels(
        &mut self,
        node: Node,
        first: usize,
        count: usize,
        compute: impl FnOnce(&Self, MapMut<'_>),
    ) {
        let root = self.roots[node.index()];
        let Shape { c: stride, h, w } = self.shapes[root.index()];
        let len = self.n * self.shapes[root.index()].len();
        let mut buffer = self.live.remove(&root).unwrap_or_else(|| self.allocate(len));
        let offset = self.offsets[node.index()] + first;
        let out = MapMut::with_stride(&mut buffer[offset..], [self.n, h, w, count], stride);
        compute(self, out);
        self.live.insert(root, buffer);
    }

    /// Copies the inputs of a concatenation that do not lie in their place already.
    fn join(&mut self, inputs: &[Node], node: Node) {
        let mut first = 0;
        for &input in inputs {
            let c = self.shapes[input.index()].c;
            if self.roots[input.index()] != self.roots[node.index()] {
                self.write_channels(node, first, c, |memory, mut out| {
                    combine(memory.read(input), &mut out, |_, v| v);
                });
            }
            first += c;
        }
    }

    /// A buffer of `len` numbers of any value, one used before if there is one large enough.
    fn allocate(&mut self, len: usize) -> Vec<f32> {
        let fits = |(_, b): &(usize, &Vec<f32>)| b.capacity() >= len;
        let spare = self.spare.iter().enumerate().filter(fits);
        let best = spare.min_by_key(|(_, b)| b.capacity()).map(|(i, _)| i);
        let mut buffer = best.map(|i| self.spare.swap_remove(i)).unwrap_or_default();
        buffer.resize(len, 0.0);
        buffer
    }

    /// Takes back the buffers for which `done` is true.
    fn retire(&mut self, done: impl Fn(Node) -> bool) {
        let done: Vec<Node> = self.live.keys().copied().filter(|&root| done(root)).collect();
        for root in done {
            self.spare.extend(self.live.remove(&root));
        }
    }
}

/// Runs a step that has no weights.
fn plain(op: &Op, inputs: &[Node], memory: &Memory<'_>, mut out: MapMut<'_>) {
    let x = memory.read(inputs[0]);
    match op {
        Op::Relu => combine(x, &mut out, |_, v| v.max(0.0)),
        Op::Relu6 => combine(x, &mut out, |_, v| v.clamp(0.0, 6.0)),
        Op::MaxPool(window) => kernels::max_pool(window, x, out),
        Op::AvgPool(window, count_padding) => kernels::avg_pool(window, *count_padding, x, out),
        Op::AdaptiveAvgPool(_) => adaptive_avg_pool(x, &mut out),
        Op::GlobalAvgPool => {
            let mut means = vec![0.0; x.shape()[0] * x.shape()[3]];
            kernels::global_average(x, &mut means);
            combine(Map::new(&means, out.shape()), &mut out, |_, v| v);
        }
        Op::Add => {
            combine(x, &mut out, |_, v| v);
            inputs[1..]
                .iter()
                .for_each(|&other| combine(memory.read(other), &mut out, |o, v| o + v));
        }
        Op::Flatten => {
            let n = x.shape()[0];
            for (image, row) in x.to_nchw().chunks_exact(out.shape()[3]).enumerate().take(n) {
                out.pixel_mut(image).copy_from_slice(row);
            }
        }
        Op::LayerNorm(LayerNorm { gain, shift, eps }) => {
            kernels::layer_norm(x, [gain, shift], *eps, out);
        }
        Op::Gelu => kernels::activate(Activation::Gelu, x, out),
        Op::QuickGelu => kernels::activate(QUICK_GELU, x, out),
        Op::SwiGlu => kernels::gate(Activation::Swish { slope: 1.0 }, x, out),
        Op::Attention(heads) => kernels::attention(x, *heads, out),
        Op::Tokens(tokens) => {
            let front = tokens.front.chunks_exact(tokens.channels());
            let positions = tokens.resized([x.shape()[1], x.shape()[2]]);
            let patches = x.shape()[1] * x.shape()[2];
            let positions = positions.chunks_exact(tokens.channels());
            let mut pixel = 0;
            for image in 0..x.shape()[0] {
                for token in front.clone() {
                    out.pixel_mut(pixel).copy_from_slice(token);
                    pixel += 1;
                }
                for (patch, position) in positions.clone().enumerate() {
                    let values = x.pixel(image * patches + patch).iter().zip(position);
                    let sums = out.pixel_mut(pixel).iter_mut().zip(values);
                    sums.for_each(|(sum, (v, p))| *sum = v + p);
                    pixel += 1;
                }
            }
        }
        Op::Rows(first, _) => {
            let ([n, from, w, _], [_, to, ..]) = (x.shape(), out.shape());
            for (image, pixel) in (0..n * to * w).map(|i| (i / (to * w), i % (to * w))) {
                let values = x.pixel((image * from + first) * w + pixel);
                out.pixel_mut(image * to * w + pixel).copy_from_slice(values);
            }
        }
        Op::UnitLength => {
            for pixel in 0..x.pixels() {
                let values = x.pixel(pixel);
                let squares: f64 = values.iter().map(|&v| f64::from(v).powi(2)).sum();
                let length = if squares == 0.0 { 1.0 } else { squares.sqrt() };
                let units = values.iter().map(|&v| (f64::from(v) / length) as f32);
                out.pixel_mut(pixel).iter_mut().zip(units).for_each(|(o, unit)| *o = unit);
            }
        }
        Op::Conv(_) | Op::Linear(_) | Op::Concat => unreachable!("run by the engine itself"),
    }
}

/// Sets every value `o` of `out` to `f(o, v)`, with `v` its like in `x`.
fn combine(x: Map<'_>, out: &mut MapMut<'_>, f: impl Fn(f32, f32) -> f32) {
    for pixel in 0..x.pixels() {
        let values = x.pixel(pixel);
        out.pixel_mut(pixel).iter_mut().zip(values).for_each(|(o, &v)| *o = f(*o, v));
    }
}

/// Means over the bins `i * size / bins .. ceil((i + 1) * size / bins)` of each axis.
fn adaptive_avg_pool(x: Map<'_>, out: &mut MapMut<'_>) {
    let ([n, h, w, c], [_, oh, ow, _]) = (x.shape(), out.shape());
    let bin = |i: usize, size: usize, bins: usize| i * size / bins..((i + 1) * size).div_ceil(bins);
    for (image, oy, ox) in (0..n * oh * ow).map(|p| (p / (oh * ow), p / ow % oh, p % ow)) {
        let (rows, columns) = (bin(oy, h, oh), bin(ox, w, ow));
        let mut sums = vec![0.0_f32; c];
        for (y, x_) in rows.clone().flat_map(|y| columns.clone().map(move |x_| (y, x_))) {
            let values = x.pixel((image * h + y) * w + x_);
            sums.iter_mut().zip(values).for_each(|(s, &v)| *s += v);
        }
        let count = (rows.len() * columns.len()) as f32;
        let bins = out.pixel_mut((image * oh + oy) * ow + ox);
        bins.iter_mut().zip(sums).for_each(|(o, s)| *o = s / count);
    }
}

/// CLIP's approximation of the GELU.
const QUICK_GELU: Activation = Activation::Swish { slope: QUICK as f32 };

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

fn pack(c: &Convolution, activation: Activation) -> Conv2d {
    Conv2d::new(c.spec, &c.weight, Some(&c.bias), activation)
}
