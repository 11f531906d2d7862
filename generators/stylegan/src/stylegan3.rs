//! StyleGAN3, in its translation (T) and rotation (R) equivariant forms.
//!
//! Karras et al., "Alias-Free Generative Adversarial Networks", 2021,
//! <https://arxiv.org/abs/2106.12423>.

use candle_core::{Device, Tensor};
use ganscope_model::ops::{
    Activation, Affine, Conv2d, Extras, Fir, Linear, affine, to_channels_first,
};
use ganscope_model::{
    Checkpoint, Error, Generator, GeneratorInfo, Result, Rounding, Synthesis, Truncation,
    TruncationKind, go_on,
};

use crate::config::StyleGan3Config;
use crate::mapping::{Mapping, equalized, lrelu};
use crate::modulation::{Demodulation, check_ws, row};

mod input;
pub(crate) mod names;
mod plan;

use input::Input;
pub use input::Transform;
use plan::{LayerPlan, plan};

/// A StyleGAN3 generator, or one of StyleGAN-XL, whose synthesis is the same.
#[derive(Debug)]
pub struct StyleGan3 {
    config: StyleGan3Config,
    device: Device,
    mapping: Mapping,
    input: Input,
    layers: Vec<Layer>,
    rounding: Rounding,
}

impl StyleGan3 {
    /// Loads `mapping.*` and `synthesis.*`, the names of the official PyTorch networks.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or is left over.
    pub fn new(
        mut checkpoint: Checkpoint,
        config: StyleGan3Config,
        device: &Device,
    ) -> Result<Self> {
        let num_ws = config.num_layers + 2;
        if config.num_ws.is_some_and(|stated| stated != num_ws) {
            let message = format!("{num_ws} style inputs, not {:?}", config.num_ws);
            return Err(Error::Config(message));
        }
        let sizes = (config.z_dim, config.c_dim, config.w_dim);
        let arguments = &config.mapping_kwargs;
        let mapping = Mapping::official(&mut checkpoint, arguments, sizes, num_ws, device)?;
        let plans = plan(&config)?;
        Self::build(checkpoint, config, mapping, &plans, Rounding::StyleGan, device)
    }

    /// Loads the tensors of a StyleGAN-XL network.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or is left over.
    pub fn xl(
        mut checkpoint: Checkpoint,
        config: StyleGan3Config,
        device: &Device,
    ) -> Result<Self> {
        let num_ws = config.num_layers + 2;
        let sizes = (config.z_dim, config.c_dim, config.w_dim);
        let plans = names::plan(&checkpoint, &config)?;
        let arguments = &config.mapping_kwargs;
        let mapping = Mapping::of_classes(&mut checkpoint, arguments, sizes, num_ws, device)?;
        Self::build(checkpoint, config, mapping, &plans, Rounding::Floor, device)
    }

    fn build(
        mut checkpoint: Checkpoint,
        config: StyleGan3Config,
        mapping: Mapping,
        plans: &[LayerPlan],
        rounding: Rounding,
        device: &Device,
    ) -> Result<Self> {
        let input = Input::new(&mut checkpoint, &plans[0], config.w_dim, device)?;
        let layers = plans
            .iter()
            .map(|plan| Layer::new(&mut checkpoint, plan, config.w_dim, device))
            .collect::<Result<_>>()?;
        checkpoint.finish()?;
        Ok(Self { config, device: device.clone(), mapping, input, layers, rounding })
    }

    /// The hyper-parameters.
    pub fn config(&self) -> &StyleGan3Config {
        &self.config
    }

    /// Moves and turns all images from now on; replaces the transform stored in the file.
    pub fn set_transform(&mut self, transform: Transform) {
        self.input.transform = transform.inverse();
    }
}

/// A modulated convolution and a leaky ReLU between an up- and a downsampling filter.
#[derive(Debug)]
struct Layer {
    affine: Linear,
    /// Absent for colors.
    demodulation: Option<Demodulation>,
    /// With bias; with the activation where nothing is upsampled.
    conv: Conv2d,
    /// With the activation.
    up: Option<Fir>,
    down: Option<Fir>,
}

impl Layer {
    fn new(
        checkpoint: &mut Checkpoint,
        plan: &LayerPlan,
        w_dim: usize,
        device: &Device,
    ) -> Result<Self> {
        let name = format!("synthesis.{}", plan.name);
        let size = [plan.in_channels, w_dim];
        let affine = equalized(
            checkpoint,
            &format!("{name}.affine"),
            size,
            (1.0, 1.0),
            Activation::None,
            device,
        )?;
        let shape = [plan.out_channels, plan.in_channels, plan.kernel, plan.kernel];
        let weight = checkpoint.tensor(&format!("{name}.weight"), &shape, device)?;
        let bias = checkpoint.tensor(&format!("{name}.bias"), &shape[..1], device)?;
        let (_, magnitude) = checkpoint.take_any(&format!("{name}.magnitude_ema"))?;
        let &[magnitude] = magnitude.as_slice() else {
            return Err(Error::Config(format!("`{name}.magnitude_ema` is not one number")));
        };
        let input_gain = (magnitude as f64).sqrt().recip();
        let fan_in = (plan.in_channels * plan.kernel * plan.kernel) as f64;
        let (weight, demodulation) = if plan.is_torgb {
            ((weight / fan_in.sqrt())?, None)
        } else {
            let energy = (weight.sqr()?.sum_keepdim((1, 2, 3))? / fan_in)?;
            let weight = weight.broadcast_div(&energy.sqrt()?)?;
            let demodulation = Demodulation::new(&weight)?;
            (weight, Some(demodulation))
        };
        let activation = if plan.is_torgb {
            let clamp = plan.clamp.map(|limit| limit as f32);
            Activation::LeakyRelu { slope: 1.0, gain: 1.0, clamp }
        } else {
            lrelu(std::f64::consts::SQRT_2, plan.clamp)
        };
        let mut conv = Conv2d::new(&(weight * input_gain)?, 1, plan.kernel - 1)?.bias(&bias)?;
        let mut filter = |leaf: &str, taps: usize, radial: bool| -> Result<Option<Fir>> {
            if taps == 1 {
                return Ok(None);
            }
            let shape = if radial { vec![taps, taps] } else { vec![taps] };
            let filter = checkpoint.tensor(&format!("{name}.{leaf}"), &shape, device)?;
            Ok(Some(Fir::new(&filter)?))
        };
        let up = filter("up_filter", plan.up_taps, false)?;
        let down = filter("down_filter", plan.down_taps, plan.down_radial)?;
        let up = up.map(|fir| {
            let fir = fir.gain((plan.up * plan.up) as f64).up(plan.up);
            fir.padding_by_axis(plan.padding).activation(activation)
        });
        let down = down.map(|fir| fir.down(plan.down));
        if up.is_none() {
            conv = conv.activation(activation);
        }
        Ok(Self { affine, demodulation, conv, up, down })
    }

    fn forward(&self, x: &Tensor, w: &Tensor) -> Result<Tensor> {
        let mut styles = self.affine.forward(w)?;
        let scale = match &self.demodulation {
            Some(demodulation) => {
                let energy = styles.sqr()?.mean_keepdim(1)?;
                styles = styles.broadcast_div(&energy.sqrt()?)?;
                Some(demodulation.forward(&styles)?)
            }
            None => None,
        };
        let x = affine(x, &Affine { scale: Some(&styles), ..Affine::default() }, Activation::None)?;
        let extras = Extras { scale: scale.as_ref(), ..Extras::default() };
        let mut x = self.conv.forward_with(&x, extras)?;
        if let Some(up) = &self.up {
            x = up.forward(&x)?;
        }
        Ok(match &self.down {
            Some(down) => down.forward(&x)?,
            None => x,
        })
    }
}

impl Generator for StyleGan3 {
    fn info(&self) -> GeneratorInfo {
        GeneratorInfo {
            z_dim: self.config.z_dim,
            w_dim: self.config.w_dim,
            num_ws: self.config.num_layers + 2,
            c_dim: self.config.c_dim,
            img_resolution: self.config.img_resolution,
            img_channels: self.config.img_channels,
            rounding: self.rounding,
            truncation: TruncationKind::Psi,
        }
    }

    fn image_size(&self) -> [usize; 2] {
        let height = self.config.img_resolution;
        [height, if self.config.square { height } else { height / 2 }]
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn map(&self, z: &Tensor, classes: Option<&[u32]>, truncation: Truncation) -> Result<Tensor> {
        self.mapping.forward(z, classes, truncation)
    }

    fn style_weights(&self) -> Vec<Tensor> {
        let layers = self.layers.iter().map(|layer| &layer.affine);
        std::iter::once(self.input.affine()).chain(layers).map(|a| a.weight().clone()).collect()
    }

    /// StyleGAN3 has no noise inputs; the noise mode is ignored.
    fn synthesize_unless(
        &self,
        ws: &Tensor,
        _options: &Synthesis,
        stop: &dyn Fn() -> bool,
    ) -> Result<Tensor> {
        check_ws(ws, self.config.num_layers + 2, self.config.w_dim)?;
        let mut x = self.input.forward(&row(ws, 0)?)?;
        for (index, layer) in self.layers.iter().enumerate() {
            go_on(stop)?;
            x = layer.forward(&x, &row(ws, index + 1)?)?;
        }
        to_channels_first(&(x * self.config.output_scale)?).map_err(Error::from)
    }
}
