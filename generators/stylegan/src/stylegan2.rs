//! StyleGAN2, with and without adaptive augmentation.
//!
//! Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2019,
//! <https://arxiv.org/abs/1912.04958>; Karras et al., "Training Generative Adversarial Networks
//! with Limited Data", 2020, <https://arxiv.org/abs/2006.06676>.

use candle_core::{Device, Tensor};
use ganscope_model::ops::{
    Activation, Affine, Conv2d, ConvTranspose2d, Extras, Fir, Linear, affine, to_channels_first,
};
use ganscope_model::{
    Checkpoint, Error, Generator, GeneratorInfo, Result, Rounding, Synthesis, Truncation,
    TruncationKind, go_on,
};

use crate::config::{Architecture, StyleGan2Config};
use crate::mapping::{Mapping, equalized, lrelu};
use crate::modulation::{Demodulation, check_ws, row, to_rgb};
use crate::noise::{Noise, NoiseSource};

/// A StyleGAN2 generator.
#[derive(Debug)]
pub struct StyleGan2 {
    config: StyleGan2Config,
    num_ws: usize,
    device: Device,
    mapping: Mapping,
    /// (1, 4, 4, C), or half as wide
    constant: Tensor,
    blocks: Vec<Block>,
}

/// The layers of one resolution.
#[derive(Debug)]
struct Block {
    conv0: Option<Layer>,
    conv1: Layer,
    to_rgb: Option<ToRgb>,
    skip: Option<(Conv2d, Fir)>,
    /// Doubles the image of the block before.
    upsample: Fir,
}

impl StyleGan2 {
    /// Loads `mapping.*` and `synthesis.*`, the names of the official PyTorch networks.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or is left over.
    pub fn new(
        mut checkpoint: Checkpoint,
        config: StyleGan2Config,
        device: &Device,
    ) -> Result<Self> {
        let size = config.img_resolution;
        if size < 4 || !size.is_power_of_two() {
            return Err(Error::Config(format!(
                "image size {size} is not a power of two of at least 4"
            )));
        }
        let num_ws = 2 * size.ilog2() as usize - 2;
        if config.num_ws.is_some_and(|stated| stated != num_ws) {
            let message =
                format!("{num_ws} style inputs at {size}x{size}, not {:?}", config.num_ws);
            return Err(Error::Config(message));
        }
        let sizes = (config.z_dim, config.c_dim, config.w_dim);
        let mapping =
            Mapping::official(&mut checkpoint, &config.mapping_kwargs, sizes, num_ws, device)?;
        let channels = config.channels(4);
        let shape = [channels, 4, config.width(4)];
        let constant = checkpoint.tensor("synthesis.b4.const", &shape, device)?;
        let constant = constant.permute((1, 2, 0))?.unsqueeze(0)?.contiguous()?;
        let blocks = (2..=size.ilog2())
            .map(|log2| Block::new(&mut checkpoint, &config, 1 << log2, device))
            .collect::<Result<_>>()?;
        // Filters of layers that do not resample.
        checkpoint.discard(|name| name.ends_with(".resample_filter"));
        checkpoint.finish()?;
        Ok(Self { config, num_ws, device: device.clone(), mapping, constant, blocks })
    }

    /// The hyper-parameters.
    pub fn config(&self) -> &StyleGan2Config {
        &self.config
    }

    fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.blocks.iter().flat_map(|block| block.conv0.iter().chain([&block.conv1]))
    }

    /// Images of `ws` (N, `num_ws`, `w_dim`), or those of the last block that a preview needs: each image is
    /// the one of the block before, doubled, plus the colors of its own block.
    fn images(
        &self,
        ws: &Tensor,
        mut noise: NoiseSource<'_>,
        preview: Option<usize>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Tensor> {
        let n = check_ws(ws, self.num_ws, self.config.w_dim)?;
        let (_, h, w, c) = self.constant.dims4()?;
        let constant = self.constant.to_dtype(ws.dtype())?;
        let mut x = constant.broadcast_as((n, h, w, c))?.contiguous()?;
        let mut image: Option<Tensor> = None;
        // Rows of `ws` are shared: the colors of a block take the row of the next block's first
        // layer.
        let mut next = 0;
        for block in &self.blocks {
            go_on(stop)?;
            let residual = match &block.skip {
                Some((conv, upsample)) => Some(upsample.forward(&conv.forward(&x)?)?),
                None => None,
            };
            for layer in block.conv0.iter().chain([&block.conv1]) {
                x = layer.forward(&x, &row(ws, next)?, &mut noise)?;
                next += 1;
            }
            if let Some(residual) = residual {
                x = (x + residual)?;
            }
            image = image.map(|image| block.upsample.forward(&image)).transpose()?;
            if let Some(to_rgb) = &block.to_rgb {
                let colors = to_rgb.forward(&x, &row(ws, next)?)?;
                image = Some(match image {
                    Some(image) => (image + colors)?,
                    None => colors,
                });
            }
            let next_height = 2 * x.dim(1)?;
            if image.is_some() && preview.is_some_and(|height| height < next_height) {
                break;
            }
        }
        let image = image.ok_or_else(|| Error::Config("no block makes colors".to_owned()))?;
        Ok(to_channels_first(&image)?)
    }
}

impl StyleGan2Config {
    /// Width of a map of this height.
    fn width(&self, resolution: usize) -> usize {
        if self.square { resolution } else { resolution / 2 }
    }

    fn channels(&self, resolution: usize) -> usize {
        (self.channel_base / resolution).min(self.channel_max)
    }

    fn upsampling_filter(
        &self,
        checkpoint: &mut Checkpoint,
        name: &str,
        device: &Device,
    ) -> Result<Tensor> {
        let name = format!("{name}.resample_filter");
        if checkpoint.contains(&name) {
            let (shape, values) = checkpoint.take_any(&name)?;
            return Ok(Tensor::from_vec(values, shape, device)?);
        }
        let taps = &self.resample_filter;
        let total: f32 = taps.iter().sum();
        let scaled = taps.iter().map(|a| a / (total * total));
        let values: Vec<f32> = scaled.flat_map(|a| taps.iter().map(move |b| a * b)).collect();
        Ok(Tensor::from_vec(values, (taps.len(), taps.len()), device)?)
    }
}

/// Doubling of height and width with a low-pass filter.
fn doubling(filter: &Tensor) -> Result<Fir> {
    let taps = filter.dim(0)? as isize;
    Ok(Fir::new(filter)?.gain(4.0).up(2).padding([(taps + 1) / 2, (taps - 2) / 2]))
}

impl Block {
    fn new(
        checkpoint: &mut Checkpoint,
        config: &StyleGan2Config,
        resolution: usize,
        device: &Device,
    ) -> Result<Self> {
        let name = format!("synthesis.b{resolution}");
        let (first, last) = (resolution == 4, resolution == config.img_resolution);
        let outputs = config.channels(resolution);
        let inputs = if first { outputs } else { config.channels(resolution / 2) };
        let residual = config.architecture == Architecture::Resnet && !first;
        let upsample = doubling(&config.upsampling_filter(checkpoint, &name, device)?)?;
        let conv0 = if first {
            None
        } else {
            let size = [outputs, inputs];
            Some(Layer::new(
                checkpoint,
                config,
                &format!("{name}.conv0"),
                size,
                resolution,
                (true, 1.0),
                device,
            )?)
        };
        let gain = if residual { 0.5f64.sqrt() } else { 1.0 };
        let size = [outputs, outputs];
        let conv1 = Layer::new(
            checkpoint,
            config,
            &format!("{name}.conv1"),
            size,
            resolution,
            (false, gain),
            device,
        )?;
        let to_rgb = if last || config.architecture == Architecture::Skip {
            Some(ToRgb::new(checkpoint, config, &format!("{name}.torgb"), outputs, device)?)
        } else {
            None
        };
        let skip = if residual {
            let name = format!("{name}.skip");
            let shape = [outputs, inputs, 1, 1];
            let weight = checkpoint.tensor(&format!("{name}.weight"), &shape, device)?;
            let weight = (weight * (0.5 / inputs as f64).sqrt())?;
            let filter = config.upsampling_filter(checkpoint, &name, device)?;
            Some((Conv2d::new(&weight, 1, 0)?, doubling(&filter)?))
        } else {
            None
        };
        Ok(Self { conv0, conv1, to_rgb, skip, upsample })
    }
}

/// A modulated convolution with noise, bias and leaky ReLU.
#[derive(Debug)]
struct Layer {
    affine: Linear,
    demodulation: Demodulation,
    convolution: Convolution,
    noise: Option<Noise>,
}

#[derive(Debug)]
enum Convolution {
    Same(Conv2d),
    /// A transposed convolution and a low-pass filter.
    Up {
        conv: ConvTranspose2d,
        filter: Fir,
        bias: Tensor,
    },
}

impl Layer {
    fn new(
        checkpoint: &mut Checkpoint,
        config: &StyleGan2Config,
        name: &str,
        [outputs, inputs]: [usize; 2],
        resolution: usize,
        (up, gain): (bool, f64),
        device: &Device,
    ) -> Result<Self> {
        let affine = equalized(
            checkpoint,
            &format!("{name}.affine"),
            [inputs, config.w_dim],
            (1.0, 1.0),
            Activation::None,
            device,
        )?;
        let shape = [outputs, inputs, 3, 3];
        let weight = checkpoint.tensor(&format!("{name}.weight"), &shape, device)?;
        let bias = checkpoint.tensor(&format!("{name}.bias"), &[outputs], device)?;
        let noise = if config.use_noise {
            let (_, strength) = checkpoint.take_any(&format!("{name}.noise_strength"))?;
            let &[strength] = strength.as_slice() else {
                let message = format!("`{name}.noise_strength` is not one number");
                return Err(Error::Config(message));
            };
            let shape = [resolution, config.width(resolution)];
            let map = checkpoint.tensor(&format!("{name}.noise_const"), &shape, device)?;
            Some(Noise::new(map, strength as f64))
        } else {
            None
        };
        let activation =
            lrelu(std::f64::consts::SQRT_2 * gain, config.conv_clamp.map(|limit| limit * gain));
        let demodulation = Demodulation::new(&weight)?;
        let convolution = if up {
            let filter = config.upsampling_filter(checkpoint, name, device)?;
            let taps = filter.dim(0)? as isize;
            // The transposed convolution has a row more than twice the input.
            let padding = [(taps + 1) / 2 - 1, (taps - 2) / 2];
            Convolution::Up {
                conv: ConvTranspose2d::new(&weight.transpose(0, 1)?.contiguous()?, 2, 0)?,
                filter: Fir::new(&filter)?.gain(4.0).padding(padding).activation(activation),
                bias,
            }
        } else {
            let conv = Conv2d::new(&weight, 1, 1)?.bias(&bias)?.activation(activation);
            Convolution::Same(if resolution <= 8 { conv.for_small_maps() } else { conv })
        };
        Ok(Self { affine, demodulation, convolution, noise })
    }

    fn forward(&self, x: &Tensor, w: &Tensor, noise: &mut NoiseSource<'_>) -> Result<Tensor> {
        let styles = self.affine.forward(w)?;
        let scale = self.demodulation.forward(&styles)?;
        let noise = noise.next(self.noise.as_ref(), x.dtype(), x.device())?;
        let x = affine(x, &Affine { scale: Some(&styles), ..Affine::default() }, Activation::None)?;
        let extras = Extras { scale: Some(&scale), noise: noise.as_ref(), ..Extras::default() };
        Ok(match &self.convolution {
            Convolution::Same(conv) => conv.forward_with(&x, extras)?,
            Convolution::Up { conv, filter, bias } => {
                let extras = Extras { offset: Some(bias), ..extras };
                filter.forward_with(&conv.forward(&x)?, extras)?
            }
        })
    }
}

/// A modulated 1x1 convolution to colors.
#[derive(Debug)]
struct ToRgb {
    affine: Linear,
    /// (C, I)
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
}

impl ToRgb {
    fn new(
        checkpoint: &mut Checkpoint,
        config: &StyleGan2Config,
        name: &str,
        inputs: usize,
        device: &Device,
    ) -> Result<Self> {
        let affine = equalized(
            checkpoint,
            &format!("{name}.affine"),
            [inputs, config.w_dim],
            (1.0, 1.0),
            Activation::None,
            device,
        )?;
        let colors = config.img_channels;
        let shape = [colors, inputs, 1, 1];
        let weight = checkpoint.tensor(&format!("{name}.weight"), &shape, device)?;
        let weight = (weight.reshape((colors, inputs))? / (inputs as f64).sqrt())?;
        let bias = checkpoint.tensor(&format!("{name}.bias"), &[colors], device)?;
        let clamp = config.conv_clamp.map(|limit| limit as f32);
        let activation = Activation::LeakyRelu { slope: 1.0, gain: 1.0, clamp };
        Ok(Self { affine, weight, bias, activation })
    }

    fn forward(&self, x: &Tensor, w: &Tensor) -> Result<Tensor> {
        let y = to_rgb(x, &self.weight, &self.affine.forward(w)?)?;
        let terms = Affine { bias: Some(&self.bias), ..Affine::default() };
        Ok(affine(&y, &terms, self.activation)?)
    }
}

impl Generator for StyleGan2 {
    fn info(&self) -> GeneratorInfo {
        GeneratorInfo {
            z_dim: self.config.z_dim,
            w_dim: self.config.w_dim,
            num_ws: self.num_ws,
            c_dim: self.config.c_dim,
            img_resolution: self.config.img_resolution,
            img_channels: self.config.img_channels,
            rounding: Rounding::StyleGan,
            truncation: TruncationKind::Psi,
        }
    }

    fn image_size(&self) -> [usize; 2] {
        let height = self.config.img_resolution;
        [height, self.config.width(height)]
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn map(&self, z: &Tensor, classes: Option<&[u32]>, truncation: Truncation) -> Result<Tensor> {
        self.mapping.forward(z, classes, truncation)
    }

    /// Of a row that a layer and the colors of the block before share, the weights of the layer.
    fn style_weights(&self) -> Vec<Tensor> {
        let colors = self.blocks.last().and_then(|block| block.to_rgb.as_ref());
        let layers =
            self.layers().map(|layer| &layer.affine).chain(colors.map(|colors| &colors.affine));
        layers.map(|affine| affine.weight().clone()).collect()
    }

    /// The images of all blocks but the last in a network of skips; none in others, whose last block alone has
    /// colors.
    fn preview_sizes(&self) -> Vec<usize> {
        let Some((_, before)) = self.blocks.split_last() else { return Vec::new() };
        let with_colors = before.iter().zip(2..).filter(|(block, _)| block.to_rgb.is_some());
        with_colors.map(|(_, log2)| 1 << log2).collect()
    }

    fn synthesize_unless(
        &self,
        ws: &Tensor,
        options: &Synthesis,
        stop: &dyn Fn() -> bool,
    ) -> Result<Tensor> {
        self.images(ws, NoiseSource::new(options, ws.dim(0)?), options.preview, stop)
    }

    fn noise_maps(&self) -> Vec<Tensor> {
        let noise = self.layers().filter_map(|layer| layer.noise.as_ref());
        noise.map(|noise| noise.map().clone()).collect()
    }

    fn synthesize_with_noise(&self, ws: &Tensor, maps: &[Tensor]) -> Result<Tensor> {
        self.images(ws, NoiseSource::given(maps, &self.noise_maps())?, None, &|| false)
    }
}
