//! BigGAN-deep.
//!
//! Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2019,
//! <https://arxiv.org/abs/1809.11096>. The generator of the published 128, 256 and 512 pixel
//! checkpoints, and of smaller ones of the same kind.

mod attention;
mod block;
mod config;
mod norm;
mod spectral;

use std::path::Path;

use candle_core::{Device, Tensor};
use ganscope_model::ops::{Activation, Conv2d, Linear, to_channels_first};
use ganscope_model::{
    Checkpoint, Error, Generator, GeneratorInfo, Result, Rounding, Synthesis, Truncation,
    TruncationKind,
};
use ganscope_weights::{ReadOptions, Weights, read};

use attention::Attention;
use block::Block;
pub use config::{Config, Layer};
pub use norm::BnStats;
use norm::Norm;
use spectral::take_weight;

/// Side of the map that the first layer makes.
const START: usize = 4;
/// Channels of that map, in multiples of `channel_width`.
const START_WIDTH: usize = 16;
/// Color channels; the last convolution of the files makes `channel_width`, of which these are
/// used.
const COLORS: usize = 3;

/// A layer between the first map and the colors.
#[derive(Debug)]
enum Step {
    /// A residual block, and its row of `ws`.
    Block(Box<Block>, usize),
    Attention(Attention),
}

/// Whether these are the tensors of a BigGAN-deep generator, by their names.
pub fn is_biggan(weights: &Weights) -> bool {
    let has = |prefix: &str| weights.arrays.keys().any(|name| name.starts_with(prefix));
    has("embeddings.") && has("generator.gen_z.")
}

/// The generator.
///
/// `w` is the condition `cat(z, embedding of the class)`; row 0 of `ws` makes the first map and row
/// i + 1 conditions block i, so mixing and interpolation act on coarse and fine blocks as they do
/// on a StyleGAN. A truncation of the mapping scales `z` towards its mean 0: with `z` from
/// `truncnorm(-2, 2)`, psi 0.5 is the published noise for truncation 0.5, whose batch-norm
/// statistics [`Synthesis::threshold`] selects.
#[derive(Debug)]
pub struct BigGan {
    config: Config,
    classes: Vec<String>,
    bn_stats: BnStats,
    /// (classes, `z_dim`)
    embeddings: Tensor,
    gen_z: Linear,
    steps: Vec<Step>,
    bn: Norm,
    conv_to_rgb: Conv2d,
    device: Device,
}

impl BigGan {
    /// Reads a checkpoint: a `.bin` or `.pth` of PyTorch with its `config.json` next to it, one of
    /// the three published `.bin` files alone, or a `.safetensors` that carries its configuration.
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
        let config = Config::of_checkpoint(&checkpoint)?;
        Self::new(config, checkpoint, device)
    }

    /// Builds a generator of known sizes.
    ///
    /// # Errors
    /// If the sizes are impossible, or a tensor is missing, of another shape or left over.
    pub fn new(config: Config, mut checkpoint: Checkpoint, device: &Device) -> Result<Self> {
        config.check()?;
        let classes = config::class_names(&checkpoint, config.num_classes)?;
        let source = &mut checkpoint;
        let width = config.channel_width;
        let shape = [config.z_dim, config.num_classes];
        let embeddings = source.tensor("embeddings.weight", &shape, device)?.t()?.contiguous()?;

        let (start, condition) = (START * START * START_WIDTH * width, 2 * config.z_dim);
        let weight = take_weight(source, "generator.gen_z", &[start, condition])?;
        let weight = Tensor::from_vec(weight, (start, condition), device)?;
        let bias = source.tensor("generator.gen_z.bias", &[start], device)?;
        let gen_z = Linear::new(&weight, Some(&bias), Activation::None)?;

        let mut steps = Vec::new();
        for (i, &layer) in config.layers.iter().enumerate() {
            if i == config.attention_layer_position {
                let name = format!("generator.layers.{}", steps.len());
                let attention = Attention::new(source, &name, layer.1 * width, device)?;
                steps.push(Step::Attention(attention));
            }
            let name = format!("generator.layers.{}", steps.len());
            let block = Block::new(source, &name, &config, layer, device)?;
            steps.push(Step::Block(Box::new(block), i + 1));
        }

        let bn = Norm::new(source, "generator.bn", [config.n_stats, width], config.eps, device)?;
        let shape = [width, width, 3, 3];
        let weight = take_weight(source, "generator.conv_to_rgb", &shape)?;
        let weight = Tensor::from_vec(weight, &shape, device)?.narrow(0, 0, COLORS)?;
        let bias = source.tensor("generator.conv_to_rgb.bias", &[width], device)?;
        let conv_to_rgb = Conv2d::new(&weight.contiguous()?, 1, 1)?;
        let conv_to_rgb = conv_to_rgb.bias(&bias.narrow(0, 0, COLORS)?)?;

        checkpoint.finish()?;
        let (bn_stats, device) = (BnStats::default(), device.clone());
        Ok(Self { config, classes, bn_stats, embeddings, gen_z, steps, bn, conv_to_rgb, device })
    }

    /// The same with another interpolation of the batch-norm statistics.
    #[must_use]
    pub fn with_bn_stats(self, bn_stats: BnStats) -> Self {
        Self { bn_stats, ..self }
    }

    /// Sizes of the network.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Names of the classes, where the checkpoint carries them; otherwise empty.
    pub fn classes(&self) -> &[String] {
        &self.classes
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

impl Generator for BigGan {
    fn info(&self) -> GeneratorInfo {
        GeneratorInfo {
            z_dim: self.config.z_dim,
            w_dim: 2 * self.config.z_dim,
            num_ws: self.config.layers.len() + 1,
            c_dim: self.config.num_classes,
            img_resolution: self.config.output_dim,
            img_channels: COLORS,
            rounding: Rounding::BigGan,
            truncation: TruncationKind::Threshold,
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
        let classes = Tensor::new(classes, &self.device)?;
        let embedding = self.embeddings.index_select(&classes, 0)?;
        let row = |i: usize| -> Result<Tensor> {
            let whole = truncation.cutoff.is_some_and(|cutoff| i >= cutoff);
            let psi = if whole { 1.0 } else { truncation.psi };
            Ok(Tensor::cat(&[&(z * psi)?, &embedding], 1)?)
        };
        let rows = (0..info.num_ws).map(row).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::stack(&rows, 1)?)
    }

    fn synthesize(&self, ws: &Tensor, options: &Synthesis) -> Result<Tensor> {
        self.check_ws(ws)?;
        if !(0.0..=1.0).contains(&options.threshold) {
            let threshold = options.threshold;
            return Err(Error::Input(format!("truncation {threshold}, expected between 0 and 1")));
        }
        let position = self.bn_stats.position(options.threshold, self.config.n_stats);
        let condition = |row: usize| ws.narrow(1, row, 1)?.squeeze(1)?.contiguous();
        let width = START_WIDTH * self.config.channel_width;
        let first = self.gen_z.forward(&condition(0)?)?;
        let mut x = first.reshape(((), START, START, width))?;
        for step in &self.steps {
            x = match step {
                Step::Block(block, row) => block.forward(&x, &condition(*row)?, position)?,
                Step::Attention(attention) => attention.forward(&x)?,
            };
        }
        let x = self.conv_to_rgb.forward(&self.bn.relu(&x, position)?)?;
        Ok(to_channels_first(&x.tanh()?)?)
    }
}
