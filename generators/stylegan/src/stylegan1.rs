//! StyleGAN.
//!
//! Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks",
//! 2018, <https://arxiv.org/abs/1812.04948>.

use candle_core::{Device, Tensor};
use ganscope_model::ops::{
    Activation, Affine, Conv2d, ConvTranspose2d, Fir, Linear, affine, instance_norm,
    to_channels_first, upsample_nearest,
};
use ganscope_model::{
    Checkpoint, Error, Generator, GeneratorInfo, Result, Rounding, Synthesis, Truncation,
    TruncationKind, go_on,
};

use crate::config::{FusedScale, StyleGan1Config};
use crate::mapping::{Mapping, equalized, lrelu};
use crate::modulation::{check_ws, row};
use crate::noise::{Noise, NoiseSource};

/// Added to the variance of instance normalization.
const EPS: f64 = 1e-8;
/// Resolution from which on [`FusedScale::Auto`] upsamples with the convolution.
const FUSED_FROM: usize = 128;

/// A StyleGAN generator.
#[derive(Debug)]
pub struct StyleGan1 {
    config: StyleGan1Config,
    num_ws: usize,
    device: Device,
    mapping: Mapping,
    /// (1, 4, 4, C)
    constant: Tensor,
    layers: Vec<Layer>,
    /// Of the last resolutions: all of them, or one.
    to_rgb: Vec<Conv2d>,
}

impl StyleGan1 {
    /// Loads `mapping.dense*`, `synthesis.layer*` and the last `synthesis.output*`; the others, which are of
    /// progressive training, for previews, if all of them are there.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or is left over; if the file was saved at a
    /// lower level of detail.
    pub fn new(
        mut checkpoint: Checkpoint,
        config: StyleGan1Config,
        device: &Device,
    ) -> Result<Self> {
        let size = config.resolution;
        if size < 8 || !size.is_power_of_two() {
            return Err(Error::Config(format!(
                "image size {size} is not a power of two of at least 8"
            )));
        }
        let num_ws = 2 * size.ilog2() as usize - 2;
        if checkpoint.contains("synthesis.lod") {
            let (_, lod) = checkpoint.take_any("synthesis.lod")?;
            if lod.iter().any(|&lod| lod != 0.0) {
                let message = format!("the network was saved at level of detail {lod:?}, not 0");
                return Err(Error::Config(message));
            }
        }
        let mapping = Mapping::first_generation(&mut checkpoint, &config, num_ws, device)?;
        let channels = config.channels(4);
        let constant = checkpoint.tensor("synthesis.layer0.const", &[1, channels, 4, 4], device)?;
        let constant = constant.permute((0, 2, 3, 1))?.contiguous()?;
        let layers = (0..num_ws)
            .map(|index| Layer::new(&mut checkpoint, &config, index, device))
            .collect::<Result<_>>()?;
        let blocks = num_ws / 2;
        let has_colors =
            |block: usize| checkpoint.contains(&format!("synthesis.output{block}.weight"));
        let first = if (0..blocks).all(has_colors) { 0 } else { blocks - 1 };
        let to_rgb = (first..blocks)
            .map(|block| to_rgb(&mut checkpoint, &config, block, device))
            .collect::<Result<_>>()?;
        checkpoint.discard(|name| name.starts_with("synthesis.output"));
        checkpoint.finish()?;
        Ok(Self { config, num_ws, device: device.clone(), mapping, constant, layers, to_rgb })
    }

    /// The hyper-parameters.
    pub fn config(&self) -> &StyleGan1Config {
        &self.config
    }

    /// Which layer of colors makes the images of a preview.
    fn colors(&self, preview: Option<usize>) -> usize {
        let fits = |size: &usize| preview.is_none_or(|height| *size <= height);
        let all = self.preview_sizes().into_iter().chain([self.config.resolution]);
        all.skip(1).take_while(fits).count()
    }

    /// Images of `ws` (N, `num_ws`, `w_dim`), or those of a preview.
    fn images(
        &self,
        ws: &Tensor,
        mut noise: NoiseSource<'_>,
        preview: Option<usize>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Tensor> {
        let n = check_ws(ws, self.num_ws, self.config.w_space_dim)?;
        let (_, h, w, c) = self.constant.dims4()?;
        let constant = self.constant.to_dtype(ws.dtype())?;
        let mut x = constant.broadcast_as((n, h, w, c))?.contiguous()?;
        let first = self.layers.len() / 2 - self.to_rgb.len();
        let colors = self.colors(preview);
        for (index, layer) in self.layers.iter().take(2 * (first + colors + 1)).enumerate() {
            go_on(stop)?;
            x = layer.forward(&x, &row(ws, index)?, &mut noise)?;
        }
        let image = to_channels_first(&self.to_rgb[colors].forward(&x)?)?;
        Ok(if self.config.final_tanh { image.tanh()? } else { image })
    }
}

impl StyleGan1Config {
    fn channels(&self, resolution: usize) -> usize {
        (self.fmaps_base / resolution).min(self.fmaps_max)
    }

    fn is_fused(&self, resolution: usize) -> bool {
        match self.fused_scale {
            FusedScale::Auto => resolution >= FUSED_FROM,
            FusedScale::Always(fused) => fused,
        }
    }
}

fn to_rgb(
    checkpoint: &mut Checkpoint,
    config: &StyleGan1Config,
    block: usize,
    device: &Device,
) -> Result<Conv2d> {
    let inputs = config.channels(4 << block);
    let name = format!("synthesis.output{block}");
    let shape = [config.image_channels, inputs, 1, 1];
    let weight = checkpoint.tensor(&format!("{name}.weight"), &shape, device)?;
    let bias = checkpoint.tensor(&format!("{name}.bias"), &shape[..1], device)?;
    Ok(Conv2d::new(&(weight / (inputs as f64).sqrt())?, 1, 0)?.bias(&bias)?)
}

/// Convolution, noise, bias, leaky ReLU, instance normalization and style.
#[derive(Debug)]
struct Layer {
    convolution: Convolution,
    /// (O)
    bias: Tensor,
    noise: Noise,
    /// (O)
    noise_gain: Tensor,
    style: Linear,
}

#[derive(Debug)]
enum Convolution {
    /// The constant input is used unchanged.
    None,
    Same(Conv2d),
    /// Nearest neighbors, convolution and blur.
    Up(Conv2d, Fir),
    /// Transposed convolution and blur.
    FusedUp(ConvTranspose2d, Fir),
}

impl Layer {
    fn new(
        checkpoint: &mut Checkpoint,
        config: &StyleGan1Config,
        index: usize,
        device: &Device,
    ) -> Result<Self> {
        let name = format!("synthesis.layer{index}");
        let resolution = 4usize << (index / 2);
        let outputs = config.channels(resolution);
        let up = index > 0 && index.is_multiple_of(2);
        let inputs = if up { config.channels(resolution / 2) } else { outputs };
        let convolution = if index == 0 {
            Convolution::None
        } else {
            let shape = [outputs, inputs, 3, 3];
            let weight = checkpoint.tensor(&format!("{name}.weight"), &shape, device)?;
            let weight = (weight * (2.0 / (9 * inputs) as f64).sqrt())?;
            match (up, config.is_fused(resolution)) {
                (false, _) => Convolution::Same(Conv2d::new(&weight, 1, 1)?),
                (true, false) => {
                    let blur = blur(checkpoint, &name, device)?;
                    Convolution::Up(Conv2d::new(&weight, 1, 1)?, blur)
                }
                (true, true) => {
                    let blur = blur(checkpoint, &name, device)?;
                    let weight = quadrupled(&weight.transpose(0, 1)?)?;
                    Convolution::FusedUp(ConvTranspose2d::new(&weight, 2, 1)?, blur)
                }
            }
        };
        let bias = checkpoint.tensor(&format!("{name}.bias"), &[outputs], device)?;
        let noise_gain =
            checkpoint.tensor(&format!("{name}.apply_noise.weight"), &[outputs], device)?;
        let shape = [1, 1, resolution, resolution];
        let map = checkpoint.tensor(&format!("{name}.apply_noise.noise"), &shape, device)?;
        let noise = Noise::new(map.squeeze(0)?.squeeze(0)?, 1.0);
        let style = equalized(
            checkpoint,
            &format!("{name}.style"),
            [2 * outputs, config.w_space_dim],
            (1.0, 1.0),
            Activation::None,
            device,
        )?;
        Ok(Self { convolution, bias, noise, noise_gain, style })
    }

    fn forward(&self, x: &Tensor, w: &Tensor, noise: &mut NoiseSource<'_>) -> Result<Tensor> {
        let x = match &self.convolution {
            Convolution::None => x.clone(),
            Convolution::Same(conv) => conv.forward(x)?,
            Convolution::Up(conv, blur) => {
                blur.forward(&conv.forward(&upsample_nearest(x, 2)?)?)?
            }
            Convolution::FusedUp(conv, blur) => blur.forward(&conv.forward(x)?)?,
        };
        let noise = noise.next(Some(&self.noise), x.dtype(), x.device())?;
        let terms = Affine {
            noise: noise.as_ref(),
            noise_gain: Some(&self.noise_gain),
            bias: Some(&self.bias),
            scale: None,
        };
        let x = instance_norm(&affine(&x, &terms, lrelu(1.0, None))?, EPS)?;
        let style = self.style.forward(w)?;
        let channels = style.dim(1)? / 2;
        let scale = (style.narrow(1, 0, channels)? + 1.0)?;
        let bias = style.narrow(1, channels, channels)?;
        let terms = Affine { scale: Some(&scale), bias: Some(&bias), ..Affine::default() };
        Ok(affine(&x, &terms, Activation::None)?)
    }
}

/// The blur after upsampling: the stored filter, or the binomial one where none is stored.
fn blur(checkpoint: &mut Checkpoint, name: &str, device: &Device) -> Result<Fir> {
    let name = format!("{name}.blur.kernel");
    let (taps, size) = if checkpoint.contains(&name) {
        let (shape, values) = checkpoint.take_any(&name)?;
        let &[_, 1, h, w] = shape.as_slice() else {
            return Err(Error::Config(format!("`{name}` has shape {shape:?}, not (C, 1, h, w)")));
        };
        let first = values.get(..h * w).unwrap_or_default().to_vec();
        if first.is_empty() || values.chunks(h * w).any(|taps| taps != first) {
            return Err(Error::Config(format!("the filters of `{name}` differ by channel")));
        }
        (first, (h, w))
    } else {
        let binomial = [1.0, 2.0, 1.0];
        let outer = |a: &f32| binomial.map(|b| a * b / 16.0);
        (binomial.iter().flat_map(outer).collect(), (3, 3))
    };
    let padding = (size.0 / 2) as isize;
    Ok(Fir::new(&Tensor::from_vec(taps, size, device)?)?.padding([padding, padding]))
}

/// The sum of a 3x3 filter at its four offsets in 4x4.
fn quadrupled(weight: &Tensor) -> Result<Tensor> {
    let along =
        |x: &Tensor, axis: usize| x.pad_with_zeros(axis, 0, 1)? + x.pad_with_zeros(axis, 1, 0)?;
    Ok(along(&along(weight, 2)?, 3)?.contiguous()?)
}

impl Generator for StyleGan1 {
    fn info(&self) -> GeneratorInfo {
        GeneratorInfo {
            z_dim: self.config.z_space_dim,
            w_dim: self.config.w_space_dim,
            num_ws: self.num_ws,
            c_dim: self.config.label_size,
            img_resolution: self.config.resolution,
            img_channels: self.config.image_channels,
            rounding: Rounding::StyleGan,
            truncation: TruncationKind::Psi,
        }
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn map(&self, z: &Tensor, classes: Option<&[u32]>, truncation: Truncation) -> Result<Tensor> {
        self.mapping.forward(z, classes, truncation)
    }

    fn style_weights(&self) -> Vec<Tensor> {
        self.layers.iter().map(|layer| layer.style.weight().clone()).collect()
    }

    /// All resolutions, if the file has the colors of progressive training: those of a resolution are as they
    /// were when training left it.
    fn preview_sizes(&self) -> Vec<usize> {
        (1..self.to_rgb.len()).rev().map(|doublings| self.config.resolution >> doublings).collect()
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
        self.layers.iter().map(|layer| layer.noise.map().clone()).collect()
    }

    fn synthesize_with_noise(&self, ws: &Tensor, maps: &[Tensor]) -> Result<Tensor> {
        self.images(ws, NoiseSource::given(maps, &self.noise_maps())?, None, &|| false)
    }
}
