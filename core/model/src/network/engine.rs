//! Running a network on the fast kernels.
//!
//! An [`Engine`] packs the weights once. An addition or an activation that alone reads a convolution
//! is computed by the convolution itself; convolutions of one pixel that read the same value are one
//! product; a mean over windows follows the convolution of one pixel that reads it where that has
//! fewer channels; a value that is read by a concatenation alone is written straight into its place
//! there; of tokens only those are computed that what was asked for depends on, and where the output
//! depends on few tokens of an attention, these need no keys and values of the others; memory is
//! handed on as soon as nothing reads it any more.

mod folded;
mod memory;
mod plain;
mod plan;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::Device;
use ganscope_kernels::{self as kernels, Activation, Extras, Lines};
use rayon::prelude::*;

use super::curves::QUICK;
use super::on_device::OnDevice;
use super::{FeatureMap, Network, Node, Op, Shape, Step};
use crate::{Error, Result};
use memory::{Buffer, Memory, Values};
use plan::{Layer, Plan};

/// Images that are on their way through the network, on few threads.
const IMAGES_AT_ONCE: usize = 8;
/// Images that go through the network together at least, so that small late layers read their weights
/// less often.
const FEWEST_TOGETHER: usize = 2;
/// Rows of tokens that go through a transformer together on a thread: enough to fill the tiles of
/// the matrix products, few enough that they stay in the caches of a core.
const ROWS_AT_ONCE: usize = 256;
/// Share of the threads that must be busy if each takes images of its own.
const BUSY: f64 = 0.8;

/// CLIP's approximation of the GELU.
const QUICK_GELU: Activation = Activation::Swish { slope: QUICK as f32 };

/// A network with packed weights, ready to compute the values of some of its nodes.
#[derive(Debug)]
pub struct Engine {
    network: Arc<Network>,
    taps: Vec<Node>,
    runner: Runner,
}

/// What computes the values.
#[derive(Debug)]
enum Runner {
    Kernels {
        plan: Plan,
        /// Buffers to be used again, one set for each chunk of images that ran at the same time.
        spare: Mutex<Vec<Vec<Lines>>>,
    },
    Device(OnDevice),
}

impl Engine {
    /// Packs `network` so that [`run`](Self::run) returns the values `taps`.
    pub fn new(network: Arc<Network>, taps: &[Node]) -> Self {
        let runner = Runner::Kernels { plan: Plan::new(&network, taps), spare: Mutex::default() };
        Self { taps: taps.into(), runner, network }
    }

    /// As [`new`](Self::new), on `device`: on another than the CPU, candle's operations run there.
    ///
    /// # Errors
    /// If the weights cannot be moved there.
    pub fn on(network: Arc<Network>, taps: &[Node], device: &Device) -> Result<Self> {
        if device.is_cpu() {
            return Ok(Self::new(network, taps));
        }
        let runner = Runner::Device(OnDevice::new(&network, taps, device)?);
        Ok(Self { taps: taps.into(), runner, network })
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
        let (plan, spare) = match &self.runner {
            Runner::Kernels { plan, spare } => (plan, spare),
            Runner::Device(device) => {
                return device.run(&self.network, &self.taps, input, (n, &shapes));
            }
        };
        let map = |tap: &Node| {
            let shape = shapes[tap.index()];
            FeatureMap { n, shape, data: Vec::with_capacity(n * shape.len()) }
        };
        let mut outputs: Vec<FeatureMap> = self.taps.iter().map(map).collect();
        let shapes = plan.shapes(&self.network, shapes)?;
        let values = Values::new(self.network.steps(), plan, &shapes);
        let front = plan.front(&self.network, &shapes);
        let run = Run { network: &self.network, taps: &self.taps, plan, spare, values, front };
        let [images, chunks] = self.at_once(&shapes);
        let chunk = images * image.max(1);
        // In turns, so that the memory depends on the threads and not on the images.
        for turn in input.chunks(chunks * chunk) {
            let run = |images: &[f32]| run.chunk(images, images.len() / image);
            let parts: Vec<Vec<Vec<f32>>> = turn.par_chunks(chunk).map(run).collect();
            for part in parts {
                outputs.iter_mut().zip(part).for_each(|(output, part)| output.data.extend(part));
            }
        }
        Ok(outputs)
    }

    /// How many images go through the network together, and how many such chunks run at the same
    /// time: one on each thread, so that no thread waits at the end of a layer. A thread without a
    /// chunk takes part in those of others.
    fn at_once(&self, shapes: &[Shape]) -> [usize; 2] {
        let threads = rayon::current_num_threads();
        let is_attention = |step: &&Step| matches!(step.op, Op::Attention(_));
        let images = match self.network.steps().iter().find(is_attention) {
            Some(step) => {
                let Shape { h, w, .. } = shapes[step.inputs[0].index()];
                ROWS_AT_ONCE.div_ceil((h * w).max(1)).min(IMAGES_AT_ONCE)
            }
            None => IMAGES_AT_ONCE.div_ceil(threads).max(FEWEST_TOGETHER),
        };
        [images, threads]
    }
}

/// One run of an engine.
struct Run<'a> {
    network: &'a Network,
    taps: &'a [Node],
    plan: &'a Plan,
    spare: &'a Mutex<Vec<Vec<Lines>>>,
    values: Values<'a>,
    /// Steps that each image takes by itself.
    front: usize,
}

impl Run<'_> {
    /// The values of the taps for `n` images.
    fn chunk(&self, input: &[f32], n: usize) -> Vec<Vec<f32>> {
        let mut memory = self.memory(input, n);
        let front = if n > 1 { self.front } else { 0 };
        if front > 0 {
            self.each_image(0..front, &mut memory);
        }
        self.steps(front..self.plan.layers.len(), &mut memory);
        let dense = |tap: &Node| {
            let map = memory.read(*tap);
            let mut values = Vec::with_capacity(map.pixels() * map.shape()[3]);
            (0..map.pixels()).for_each(|pixel| values.extend_from_slice(map.pixel(pixel)));
            values
        };
        let outputs = self.taps.iter().map(dense).collect();
        self.give_back(memory);
        outputs
    }

    /// Runs some steps image by image; later steps find the values that they read in `memory`.
    fn each_image(&self, steps: Range<usize>, memory: &mut Memory<'_>) {
        let kept = self.plan.kept(steps.clone());
        let mut buffers: Vec<_> = kept.iter().map(|&root| memory.allocate(root)).collect();
        let size = self.values.shapes[0].len();
        let mut images: Vec<_> =
            memory.input.chunks(size).map(|image| (image, BTreeMap::new())).collect();
        for (root, buffer) in kept.iter().zip(&mut buffers) {
            let parts = buffer.chunks_mut(self.values.size(*root));
            for ((_, live), part) in images.iter_mut().zip(parts) {
                live.insert(*root, Buffer::Lent(part));
            }
        }
        let image = |(input, live)| {
            let mut memory = Memory { live, ..self.memory(input, 1) };
            self.steps(steps.clone(), &mut memory);
            self.give_back(memory);
        };
        let (count, threads) = (images.len(), rayon::current_num_threads());
        let busy = count as f64 / count.next_multiple_of(threads) as f64;
        if busy < BUSY {
            images.into_iter().for_each(image);
        } else {
            kernels::for_each(images, image);
        }
        memory.live.extend(kept.into_iter().zip(buffers.into_iter().map(Buffer::Own)));
    }

    /// Runs some steps.
    fn steps(&self, steps: Range<usize>, memory: &mut Memory<'_>) {
        for i in steps {
            let inputs = &self.network.steps()[i].inputs;
            let op = self.plan.op(self.network, i);
            match &self.plan.layers[i] {
                Layer::Skip => continue,
                Layer::Conv { conv, plus, to } => memory.write(*to, |memory, out| {
                    let residual = plus.map(|node| memory.read(node));
                    let extras = Extras { residual, ..Extras::default() };
                    conv.run_with(memory.read(inputs[0]), out, extras);
                }),
                Layer::Joined { conv, to } => memory.write_all(to, |memory, outs| {
                    conv.run(memory.read(inputs[0]), outs);
                }),
                Layer::AvgPool { window, count_padding, activation, to } => {
                    memory.write(*to, |memory, out| {
                        let x = memory.read(inputs[0]);
                        kernels::avg_pool(window, *count_padding, *activation, x, out);
                    });
                }
                Layer::Folded { folded, tokens, whole } => {
                    let to = Node::of_step(i);
                    if *whole {
                        memory.write(to, |memory, out| plain::plain(op, inputs, memory, out));
                    }
                    memory.write(to, |memory, mut out| folded.run(memory.read(*tokens), &mut out));
                }
                Layer::Plain if *op == Op::Concat => memory.join(inputs, Node::of_step(i)),
                Layer::Plain => memory.write(Node::of_step(i), |memory, out| {
                    plain::plain(op, inputs, memory, out);
                }),
            }
            memory.retire(|root| self.plan.last_use[root.index()] <= i);
        }
    }

    fn memory<'a>(&'a self, input: &'a [f32], n: usize) -> Memory<'a> {
        let spare = self.lock_spare().pop().unwrap_or_default();
        Memory { n, values: &self.values, input, live: BTreeMap::new(), spare }
    }

    fn give_back(&self, mut memory: Memory<'_>) {
        memory.retire(|_| true);
        self.lock_spare().push(memory.spare);
    }

    fn lock_spare(&self) -> MutexGuard<'_, Vec<Vec<Lines>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
