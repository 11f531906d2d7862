//! BigGAN and BigGAN-deep.
//!
//! Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2019,
//! <https://arxiv.org/abs/1809.11096>. The generator of the published 128, 256 and 512 pixel
//! checkpoints, and of smaller ones of the same kind; those of BigGAN-PyTorch, of the ports of the
//! TensorFlow generators to it, and of StudioGAN.

mod attention;
mod block;
mod config;
mod foreign;
mod names;
mod norm;
mod plan;
mod spectral;
mod yaml;

use std::path::Path;

use candle_core::{Device, Tensor};
use ganscope_model::ops::{Activation, Conv2d, Linear, to_channels_first};
use ganscope_model::{
    Checkpoint, Error, Generator, GeneratorInfo, Result, Synthesis, Truncation, go_on,
};
use ganscope_weights::{ReadOptions, Weights, read};
use serde_json::{Map, Value};

use attention::Attention;
use block::Block;
pub use config::{Config, Layer};
use foreign::Origin;
pub use norm::BnStats;
use norm::Norm;
use plan::{Columns, Conditions, Plan, Planned};
use spectral::take_weight;
pub use yaml::studio_config;

/// Side of the map that the first layer makes.
const START: usize = 4;
/// Most color channels; the last convolution of the published files makes more, of which these are used.
const COLORS: usize = 3;

/// A layer between the first map and the colors.
#[derive(Debug)]
enum Step {
    /// A residual block, and its row of `ws`.
    Block(Box<Block>, usize),
    Attention(Attention),
}

/// Whether these are the tensors of a BigGAN-deep generator of pytorch-pretrained-biggan, by their names.
pub fn is_biggan(weights: &Weights) -> bool {
    let has = |prefix: &str| weights.arrays.keys().any(|name| name.starts_with(prefix));
    has("embeddings.") && has("generator.gen_z.")
}

/// Whether these are the tensors of a generator of BigGAN-PyTorch, by their names.
pub fn is_pytorch(weights: &Weights) -> bool {
    Origin::of(|name| weights.arrays.contains_key(name)) == Some(Origin::Pytorch)
}

/// Whether these are the tensors of a BigGAN generator of StudioGAN, by their names.
pub fn is_studio(weights: &Weights) -> bool {
    Origin::of(|name| weights.arrays.contains_key(name)) == Some(Origin::Studio)
}

/// The generator.
///
/// A row of `ws` is the condition `cat(z, embedding of the class)`; row 0 makes the first map and row
/// i + 1 conditions block i, so mixing and interpolation act on coarse and fine blocks as they do
/// on a StyleGAN. Where `z` is split among the blocks, a row has its part of it.
///
/// A truncation of the mapping scales `z` towards its mean 0: with `z` from
/// `truncnorm(-2, 2)`, psi 0.5 is the noise for truncation 0.5 of the published checkpoints, whose
/// batch-norm statistics [`Synthesis::threshold`] selects. The other generators have one set of statistics.
#[derive(Debug)]
pub struct BigGan {
    plan: Plan,
    classes: Vec<String>,
    bn_stats: BnStats,
    /// (classes, E); without it, a class is one of so many units.
    embeddings: Option<Tensor>,
    first: Linear,
    steps: Vec<Step>,
    bn: Norm,
    colors: Conv2d,
    device: Device,
}

impl BigGan {
    /// Reads a checkpoint: a `.bin` or `.pth` of PyTorch with its `config.json` next to it, one of
    /// the three published `.bin` files alone, a `.safetensors` that carries its configuration, or a
    /// generator of BigGAN-PyTorch or StudioGAN.
    ///
    /// # Errors
    /// If the file is unreadable, its sizes cannot be known, or a tensor is missing or left over.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        let checkpoint = Checkpoint::from(read(path, &ReadOptions::default())?);
        match Config::beside(path) {
            Some(json) if checkpoint.config().is_empty() => {
                let text = std::fs::read_to_string(&json)
                    .map_err(|e| Error::Config(format!("read {}: {e}", json.display())))?;
                Self::new(Config::from_json(&text)?, checkpoint, device)
            }
            _ => Self::from_checkpoint(checkpoint, device),
        }
    }

    /// Builds the generator that a checkpoint describes; see [`Config::of_checkpoint`].
    ///
    /// # Errors
    /// If the sizes cannot be known, or a tensor is missing, of another shape or left over.
    pub fn from_checkpoint(checkpoint: Checkpoint, device: &Device) -> Result<Self> {
        if Origin::of(|name| checkpoint.contains(name)).is_some() {
            return Self::foreign(checkpoint, &Map::new(), device);
        }
        let config = Config::of_checkpoint(&checkpoint)?;
        Self::new(config, checkpoint, device)
    }

    /// Builds a generator of known sizes.
    ///
    /// # Errors
    /// If the sizes are impossible, or a tensor is missing, of another shape or left over.
    pub fn new(config: Config, checkpoint: Checkpoint, device: &Device) -> Result<Self> {
        config.check()?;
        Self::build(Plan::published(&config), checkpoint, device)
    }

    /// Builds a generator of BigGAN-PyTorch or of StudioGAN, whose sizes follow from its tensors.
    ///
    /// `config` has options by the names of their tools. Those that are sizes must be those of the tensors;
    /// of BigGAN-PyTorch, `BN_eps` is the term under the root of the conditional norms, by default 1e-4 for
    /// ports from TensorFlow, which lack `sv0`, and else 1e-5, and `accumulate_standing` divides stored
    /// statistics by the number of their batches.
    ///
    /// # Errors
    /// If the tensors are of neither tool, the configuration contradicts them, or a tensor is missing, of
    /// another shape or left over.
    pub fn foreign(
        mut checkpoint: Checkpoint,
        config: &Map<String, Value>,
        device: &Device,
    ) -> Result<Self> {
        let origin = Origin::of(|name| checkpoint.contains(name))
            .ok_or_else(|| Error::Config("no generator of BigGAN-PyTorch or StudioGAN".into()))?;
        let plan = foreign::plan(&checkpoint, origin, config)?;
        // Counters, and what only training reads.
        let counters: &[&str] = match plan.statistics.counter {
            Some(_) => &["num_batches_tracked"],
            None => &["num_batches_tracked", "accumulation_counter"],
        };
        checkpoint.discard(|name| {
            let leaf = name.rsplit('.').next().unwrap_or(name);
            let numbered = |prefix| leaf.strip_prefix(prefix).and_then(|n| n.parse::<u8>().ok());
            counters.contains(&leaf)
                || numbered("sv").is_some()
                || numbered("u").is_some_and(|number| number > 0)
        });
        Self::build(plan, checkpoint, device)
    }

    fn build(plan: Plan, mut checkpoint: Checkpoint, device: &Device) -> Result<Self> {
        let classes = config::class_names(&checkpoint, plan.classes)?;
        let source = &mut checkpoint;
        let names = plan.names;
        let embeddings = if plan.conditions.embedded {
            None
        } else if plan.channels_first {
            Some(source.tensor(names.embedding, &[plan.classes, plan.embedding], device)?)
        } else {
            let shape = [plan.embedding, plan.classes];
            Some(source.tensor(names.embedding, &shape, device)?.t()?.contiguous()?)
        };
        let first = first(source, &plan, device)?;
        let (mut steps, mut row) = (Vec::new(), 0);
        for planned in &plan.steps {
            steps.push(match planned {
                Planned::Block { name, up, input, output } => {
                    row += 1;
                    let sizes = (*up, *input, *output);
                    Step::Block(Box::new(Block::new(source, name, &plan, sizes, device)?), row)
                }
                Planned::Attention { name, channels } => {
                    Step::Attention(Attention::new(source, name, names, *channels, device)?)
                }
            });
        }
        let width = plan.width();
        let bn = Norm::new(source, &plan, width, device)?;
        let shape = [plan.last, width, 3, 3];
        let weight = take_weight(source, names.colors, &shape)?;
        let colors = plan.last.min(COLORS);
        let weight = Tensor::from_vec(weight, &shape, device)?.narrow(0, 0, colors)?;
        let bias = source.tensor(&format!("{}.bias", names.colors), &[plan.last], device)?;
        let colors = Conv2d::new(&weight.contiguous()?, 1, 1)?.bias(&bias.narrow(0, 0, colors)?)?;
        checkpoint.finish()?;
        let (bn_stats, device) = (BnStats::default(), device.clone());
        Ok(Self { plan, classes, bn_stats, embeddings, first, steps, bn, colors, device })
    }

    /// The same with another interpolation of the batch-norm statistics.
    #[must_use]
    pub fn with_bn_stats(self, bn_stats: BnStats) -> Self {
        Self { bn_stats, ..self }
    }

    /// Names of the classes, where the checkpoint carries them; otherwise empty.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The part of a class in a row of `ws`, (N, E).
    fn embedded(&self, classes: &[u32]) -> Result<Tensor> {
        if let Some(embeddings) = &self.embeddings {
            return Ok(embeddings.index_select(&Tensor::new(classes, &self.device)?, 0)?);
        }
        let width = self.plan.embedding;
        let mut units = vec![0f32; classes.len() * width];
        for (row, &class) in units.chunks_exact_mut(width).zip(classes) {
            row[class as usize] = 1.0;
        }
        Ok(Tensor::from_vec(units, (classes.len(), width), &self.device)?)
    }

    fn check_ws(&self, ws: &Tensor) -> Result<()> {
        let info = self.info();
        let (_, num_ws, w_dim) = ws.dims3()?;
        if (num_ws, w_dim) == (info.num_ws, info.w_dim) {
            return Ok(());
        }
        let (got, expected) = ((num_ws, w_dim), (info.num_ws, info.w_dim));
        Err(Error::Input(format!("ws of {got:?} for each image, expected {expected:?}")))
    }
}

/// The layer from a row of `ws` to the first map, pixel by pixel.
fn first(source: &mut Checkpoint, plan: &Plan, device: &Device) -> Result<Linear> {
    let name = plan.names.first;
    let (pixels, columns) = (START * START, plan.conditions.first);
    let outputs = pixels * plan.start;
    let width = columns.width(plan.chunk, plan.embedding);
    let weight = take_weight(source, name, &[outputs, width])?;
    let weight = columns.in_order(weight, plan.chunk, plan.embedding);
    let bias = source.tensor(&format!("{name}.bias"), &[outputs], device)?;
    let weight = Tensor::from_vec(weight, (outputs, width), device)?;
    let by_pixel = |x: Tensor| -> Result<Tensor> {
        if !plan.channels_first {
            return Ok(x);
        }
        let shape = x.shape().clone();
        Ok(x.reshape((plan.start, pixels, ()))?.transpose(0, 1)?.contiguous()?.reshape(shape)?)
    };
    Ok(Linear::new(&by_pixel(weight)?, Some(&by_pixel(bias)?), Activation::None)?)
}

impl Generator for BigGan {
    fn info(&self) -> GeneratorInfo {
        GeneratorInfo {
            z_dim: self.plan.z_dim,
            w_dim: self.plan.w_dim(),
            num_ws: self.plan.blocks() + 1,
            c_dim: self.plan.classes,
            img_resolution: self.plan.resolution,
            img_channels: self.plan.last.min(COLORS),
            rounding: self.plan.rounding,
            truncation: self.plan.truncation,
        }
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn map(&self, z: &Tensor, classes: Option<&[u32]>, truncation: Truncation) -> Result<Tensor> {
        let info = self.info();
        let (n, z_dim) = z.dims2()?;
        if z_dim != info.z_dim {
            return Err(Error::Input(format!("z of length {z_dim}, expected {}", info.z_dim)));
        }
        let Some(classes) = classes else {
            let problem = format!("the generator has {} classes and needs one", info.c_dim);
            return Err(Error::Input(problem));
        };
        if classes.len() != n {
            return Err(Error::Input(format!("{} classes for {n} latents", classes.len())));
        }
        if let Some(class) = classes.iter().find(|&&class| class as usize >= info.c_dim) {
            let last = info.c_dim - 1;
            return Err(Error::Input(format!("class {class} is beyond the classes 0 to {last}")));
        }
        let embedding = self.embedded(classes)?.to_dtype(z.dtype())?;
        let row = |i: usize| -> Result<Tensor> {
            let whole = truncation.cutoff.is_some_and(|cutoff| i >= cutoff);
            let psi = if whole { 1.0 } else { truncation.psi };
            let part = if self.plan.chunk == z_dim { 0 } else { i * self.plan.chunk };
            let part = z.narrow(1, part, self.plan.chunk)?;
            Ok(Tensor::cat(&[&(part * psi)?, &embedding], 1)?)
        };
        let rows = (0..info.num_ws).map(row).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::stack(&rows, 1)?)
    }

    fn synthesize_unless(
        &self,
        ws: &Tensor,
        options: &Synthesis,
        stop: &dyn Fn() -> bool,
    ) -> Result<Tensor> {
        self.check_ws(ws)?;
        if !(0.0..=1.0).contains(&options.threshold) {
            let threshold = options.threshold;
            return Err(Error::Input(format!("truncation {threshold}, expected between 0 and 1")));
        }
        let position =
            self.bn_stats.position(options.threshold, self.plan.statistics.rows.unwrap_or(1));
        let condition = |row: usize, columns: Columns| {
            columns.of(&ws.narrow(1, row, 1)?.squeeze(1)?.contiguous()?, self.plan.chunk)
        };
        let Conditions { first, blocks, .. } = self.plan.conditions;
        let first = self.first.forward(&condition(0, first)?)?;
        let mut x = first.reshape(((), START, START, self.plan.start))?;
        for step in &self.steps {
            go_on(stop)?;
            x = match step {
                Step::Block(block, row) => {
                    block.forward(&x, &condition(*row, blocks)?, position)?
                }
                Step::Attention(attention) => attention.forward(&x)?,
            };
        }
        let x = self.colors.forward(&self.bn.relu(&x, position)?)?;
        Ok(to_channels_first(&x.tanh()?)?)
    }
}
