//! R3GAN: a generator of residual blocks without normalization, styles or noise.
//!
//! Huang et al., "The GAN is dead; long live the GAN! A Modern GAN Baseline", 2024,
//! <https://arxiv.org/abs/2501.05441>.

use candle_core::{Device, Tensor};
use ganscope_model::ops::{Activation, Conv2d, Fir, Linear, to_channels_first};
use ganscope_model::{
    Checkpoint, Error, Generator, GeneratorInfo, Result, Rounding, Synthesis, Truncation,
    TruncationKind, go_on,
};
use ganscope_weights::Weights;

/// Height and width of the first map.
const START: usize = 4;
/// Most stages, of a generator of 4096 pixels, and most blocks of a stage.
const MOST_STAGES: usize = 11;
const MOST_BLOCKS: usize = 64;
/// The rectifier after the first two convolutions of a block.
const LEAKY: Activation = Activation::LeakyRelu { slope: 0.2, gain: 1.0, clamp: None };

/// Whether these are the weights of an R3GAN generator.
pub fn is_r3gan(weights: &Weights) -> bool {
    let name = "Model.MainLayers.0.Layers.0.Basis";
    weights.arrays.contains_key(name)
}

/// An R3GAN generator.
///
/// A row of `ws` is `cat(z, embedding of the class)`; there is one. Truncation multiplies `z` by psi.
#[derive(Debug)]
pub struct R3Gan {
    device: Device,
    z_dim: usize,
    /// (classes, E); none of an unconditional network.
    embedding: Option<Tensor>,
    /// From `w` to the weights of the basis.
    linear: Linear,
    /// (1, 4, 4, C)
    basis: Tensor,
    stages: Vec<Stage>,
    /// To colors.
    to_rgb: Conv2d,
    colors: usize,
}

impl R3Gan {
    /// Loads the names of the published networks: `Model.MainLayers.*`, `Model.AggregationLayer.*` and,
    /// of a conditional one, `Model.EmbeddingLayer.weight`. All sizes follow from the tensors.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or is left over.
    pub fn new(mut checkpoint: Checkpoint, device: &Device) -> Result<Self> {
        let network = Self::take(&mut checkpoint, device)?;
        checkpoint.finish()?;
        Ok(network)
    }

    fn take(checkpoint: &mut Checkpoint, device: &Device) -> Result<Self> {
        let first = "Model.MainLayers.0.Layers.0";
        let [width, ..] = dims::<3>(checkpoint, &format!("{first}.Basis"))?;
        let basis = checkpoint.tensor(&format!("{first}.Basis"), &[width, START, START], device)?;
        let linear = format!("{first}.LinearLayer.weight");
        let [_, w_dim] = dims::<2>(checkpoint, &linear)?;
        let linear = checkpoint.tensor(&linear, &[width, w_dim], device)?;
        let name = "Model.EmbeddingLayer.weight";
        let embedding = if checkpoint.contains(name) {
            let shape = dims::<2>(checkpoint, name)?;
            Some(checkpoint.tensor(name, &shape, device)?.t()?.contiguous()?)
        } else {
            None
        };
        let embedded = embedding.as_ref().map_or(Ok(0), |embedding| embedding.dim(1))?;
        let z_dim = w_dim.checked_sub(embedded).filter(|&z_dim| z_dim > 0).ok_or_else(|| {
            Error::Config(format!("a latent of {w_dim} with an embedding of {embedded}"))
        })?;
        let (mut stages, mut channels) = (Vec::new(), width);
        for index in 0..MOST_STAGES {
            let name = format!("Model.MainLayers.{index}.Layers");
            if !checkpoint.names().any(|other| other.starts_with(&format!("{name}."))) {
                break;
            }
            let stage = Stage::new(checkpoint, &name, (index > 0).then_some(channels), device)?;
            channels = stage.channels;
            stages.push(stage);
        }
        let name = "Model.AggregationLayer.Layer.weight";
        let [colors, ..] = dims::<4>(checkpoint, name)?;
        let to_rgb = checkpoint.tensor(name, &[colors, channels, 1, 1], device)?;
        let to_rgb = Conv2d::new(&to_rgb, 1, 0)?;
        Ok(Self {
            device: device.clone(),
            z_dim,
            embedding,
            linear: Linear::new(&linear, None, Activation::None)?,
            basis: basis.permute((1, 2, 0))?.unsqueeze(0)?.contiguous()?,
            stages,
            to_rgb,
            colors,
        })
    }
}

/// Sizes of a tensor of a given rank.
fn dims<const N: usize>(checkpoint: &Checkpoint, name: &str) -> Result<[usize; N]> {
    let shape = checkpoint.shape(name).unwrap_or_default();
    let found = || Error::Config(format!("`{name}` has shape {shape:?}, expected {N} axes"));
    shape.try_into().ok().filter(|dims: &[usize; N]| !dims.contains(&0)).ok_or_else(found)
}

/// The blocks of one resolution, and what leads there.
#[derive(Debug)]
struct Stage {
    transition: Option<Upsample>,
    blocks: Vec<Block>,
    channels: usize,
}

impl Stage {
    /// `inputs` are the channels of the stage before; none of the first, which begins with the basis.
    fn new(
        checkpoint: &mut Checkpoint,
        name: &str,
        inputs: Option<usize>,
        device: &Device,
    ) -> Result<Self> {
        let last = format!("{name}.1.LinearLayer3.Layer.weight");
        let [channels, ..] = dims::<4>(checkpoint, &last)?;
        let transition = inputs.map(|inputs| {
            Upsample::new(checkpoint, &format!("{name}.0"), [inputs, channels], device)
        });
        let transition = transition.transpose()?;
        let mut blocks = Vec::new();
        for index in 1..=MOST_BLOCKS {
            let name = format!("{name}.{index}");
            if !checkpoint.contains(&format!("{name}.LinearLayer1.Layer.weight")) {
                break;
            }
            blocks.push(Block::new(checkpoint, &name, channels, device)?);
        }
        Ok(Self { transition, blocks, channels })
    }
}

/// A pointwise convolution where the width changes, and twice the height and width.
#[derive(Debug)]
struct Upsample {
    linear: Option<Conv2d>,
    filter: Fir,
}

impl Upsample {
    fn new(
        checkpoint: &mut Checkpoint,
        name: &str,
        [inputs, outputs]: [usize; 2],
        device: &Device,
    ) -> Result<Self> {
        let linear = if inputs == outputs {
            None
        } else {
            let shape = [outputs, inputs, 1, 1];
            let weight = format!("{name}.LinearLayer.Layer.weight");
            Some(Conv2d::new(&checkpoint.tensor(&weight, &shape, device)?, 1, 0)?)
        };
        let kernel = format!("{name}.Resampler.Kernel");
        let [taps, _] = dims::<2>(checkpoint, &kernel)?;
        let kernel = checkpoint.tensor(&kernel, &[taps, taps], device)?;
        let taps = taps as isize;
        let filter = Fir::new(&kernel)?.gain(4.0).up(2).padding([(taps + 1) / 2, (taps - 2) / 2]);
        Ok(Self { linear, filter })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(match &self.linear {
            Some(linear) => self.filter.forward(&linear.forward(x)?)?,
            None => self.filter.forward(x)?,
        })
    }
}

/// `x + narrow(leaky(grouped 3x3(leaky(widen(x)))))`.
#[derive(Debug)]
struct Block {
    widen: Conv2d,
    spatial: Conv2d,
    narrow: Conv2d,
}

impl Block {
    fn new(
        checkpoint: &mut Checkpoint,
        name: &str,
        channels: usize,
        device: &Device,
    ) -> Result<Self> {
        let [wide, ..] = dims::<4>(checkpoint, &format!("{name}.LinearLayer1.Layer.weight"))?;
        let [_, group, ..] = dims::<4>(checkpoint, &format!("{name}.LinearLayer2.Layer.weight"))?;
        if !wide.is_multiple_of(group) {
            return Err(Error::Config(format!("`{name}`: groups of {group} of {wide} channels")));
        }
        let mut conv = |index: usize, shape: [usize; 4]| {
            checkpoint.tensor(&format!("{name}.LinearLayer{index}.Layer.weight"), &shape, device)
        };
        let widen = conv(1, [wide, channels, 1, 1])?;
        let spatial = conv(2, [wide, group, 3, 3])?;
        let narrow = conv(3, [channels, wide, 1, 1])?;
        let mut bias = |index: usize| {
            checkpoint.tensor(&format!("{name}.NonLinearity{index}.Bias"), &[wide], device)
        };
        let spatial = Conv2d::grouped(&spatial, 1, 1, wide / group)?;
        Ok(Self {
            widen: Conv2d::new(&widen, 1, 0)?.bias(&bias(1)?)?.activation(LEAKY),
            spatial: spatial.bias(&bias(2)?)?.activation(LEAKY),
            narrow: Conv2d::new(&narrow, 1, 0)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.narrow.forward(&self.spatial.forward(&self.widen.forward(x)?)?)?;
        Ok((x + y)?)
    }
}

impl Generator for R3Gan {
    fn info(&self) -> GeneratorInfo {
        let (classes, embedded) =
            self.embedding.as_ref().map_or((0, 0), |e| (e.dims()[0], e.dims()[1]));
        GeneratorInfo {
            z_dim: self.z_dim,
            w_dim: self.z_dim + embedded,
            num_ws: 1,
            c_dim: classes,
            img_resolution: START << self.stages.len().saturating_sub(1),
            img_channels: self.colors,
            rounding: Rounding::StyleGan,
            truncation: TruncationKind::Psi,
        }
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn map(&self, z: &Tensor, classes: Option<&[u32]>, truncation: Truncation) -> Result<Tensor> {
        let (n, z_dim) = z.dims2()?;
        if z_dim != self.z_dim {
            return Err(Error::Input(format!("z of length {z_dim}, expected {}", self.z_dim)));
        }
        let z = if truncation.rows(1)? == 0 { z.clone() } else { (z * truncation.psi)? };
        let Some(embedding) = &self.embedding else { return Ok(z.unsqueeze(1)?) };
        let count = embedding.dim(0)?;
        let classes = classes
            .filter(|classes| classes.len() == n && classes.iter().all(|&c| (c as usize) < count));
        let classes = classes.ok_or_else(|| {
            Error::Input(format!("{n} latents need a class each, from 0 to {}", count - 1))
        })?;
        let classes = Tensor::new(classes, &self.device)?;
        let embedded = embedding.index_select(&classes, 0)?.to_dtype(z.dtype())?;
        Ok(Tensor::cat(&[&z, &embedded], 1)?.unsqueeze(1)?)
    }

    /// R3GAN has no noise inputs; the noise mode is ignored.
    fn synthesize_unless(
        &self,
        ws: &Tensor,
        _options: &Synthesis,
        stop: &dyn Fn() -> bool,
    ) -> Result<Tensor> {
        let info = self.info();
        let (n, num_ws, w_dim) = ws.dims3()?;
        if (num_ws, w_dim) != (1, info.w_dim) {
            let (got, expected) = ((num_ws, w_dim), (1, info.w_dim));
            let problem = format!("ws of {got:?} for each image, expected {expected:?}");
            return Err(Error::Input(problem));
        }
        let weights = self.linear.forward(&ws.squeeze(1)?.contiguous()?)?;
        let weights = weights.reshape((n, 1, 1, ()))?;
        let mut x = self.basis.to_dtype(ws.dtype())?.broadcast_mul(&weights)?;
        for stage in &self.stages {
            if let Some(transition) = &stage.transition {
                x = transition.forward(&x)?;
            }
            for block in &stage.blocks {
                go_on(stop)?;
                x = block.forward(&x)?;
            }
        }
        Ok(to_channels_first(&self.to_rgb.forward(&x)?)?)
    }
}
