//! The mapping network: latents to style inputs, with truncation.

use candle_core::{D, DType, Device, Tensor};
use ganscope_model::ops::{Activation, Linear};
use ganscope_model::{Checkpoint, Error, Result, Truncation};

use crate::config::MappingConfig;

/// More layers than any mapping network has.
pub(crate) const MOST_LAYERS: usize = 1000;
/// Added to the mean square of a latent before its root.
const EPS: f64 = 1e-8;

/// Leaky ReLU of the official networks, limited to `clamp`.
pub(crate) fn lrelu(gain: f64, clamp: Option<f64>) -> Activation {
    let clamp = clamp.map(|limit| limit as f32);
    Activation::LeakyRelu { slope: 0.2, gain: gain as f32, clamp }
}

/// A layer of weights stored at unit scale: `activation(m (x W^T gain / sqrt(in) + b))` with `m`
/// the learning rate multiplier.
pub(crate) fn equalized(
    checkpoint: &mut Checkpoint,
    name: &str,
    [outputs, inputs]: [usize; 2],
    (gain, multiplier): (f64, f64),
    activation: Activation,
    device: &Device,
) -> Result<Linear> {
    let weight = checkpoint.tensor(&format!("{name}.weight"), &[outputs, inputs], device)?;
    let bias = checkpoint.tensor(&format!("{name}.bias"), &[outputs], device)?;
    let weight = (weight * (multiplier * gain / (inputs as f64).sqrt()))?;
    Ok(Linear::new(&weight, Some(&(bias * multiplier)?), activation)?)
}

/// Label embeddings and how they join the latent.
#[derive(Debug)]
enum Labels {
    /// Normalized apart, then joined to the normalized latent.
    Apart(Tensor),
    /// Projected, then normalized apart.
    Projected(Tensor, Linear),
    /// Joined first, then normalized together.
    Together(Tensor),
}

impl Labels {
    /// (classes, features)
    fn table(&self) -> &Tensor {
        match self {
            Self::Apart(table) | Self::Projected(table, _) | Self::Together(table) => table,
        }
    }
}

/// Fully connected layers between Z and W.
#[derive(Debug)]
pub(crate) struct Mapping {
    z_dim: usize,
    num_ws: usize,
    labels: Option<Labels>,
    layers: Vec<Linear>,
    /// (1, `w_dim`), or one for each class, (classes, `w_dim`).
    w_avg: Tensor,
}

impl Mapping {
    /// Loads `mapping.*` of the official StyleGAN2 and 3 networks.
    pub(crate) fn official(
        checkpoint: &mut Checkpoint,
        config: &MappingConfig,
        (z_dim, c_dim, w_dim): (usize, usize, usize),
        num_ws: usize,
        device: &Device,
    ) -> Result<Self> {
        let embedded = if c_dim == 0 { 0 } else { config.embed_features.unwrap_or(w_dim) };
        let labels = if c_dim == 0 {
            None
        } else {
            let weight = checkpoint.tensor("mapping.embed.weight", &[embedded, c_dim], device)?;
            let bias = checkpoint.tensor("mapping.embed.bias", &[embedded], device)?;
            let weight = (weight.t()? / (c_dim as f64).sqrt())?;
            Some(Labels::Apart(weight.broadcast_add(&bias)?.contiguous()?))
        };
        let hidden = config.layer_features.unwrap_or(w_dim);
        let sizes = sizes(z_dim + embedded, hidden, w_dim, config.num_layers)?;
        let activation = lrelu(std::f64::consts::SQRT_2, None);
        let mut layers = Vec::new();
        for (i, size) in sizes.into_iter().enumerate() {
            let (name, scale) = (format!("mapping.fc{i}"), (1.0, config.lr_multiplier));
            layers.push(equalized(checkpoint, &name, size, scale, activation, device)?);
        }
        let w_avg = checkpoint.tensor("mapping.w_avg", &[w_dim], device)?.unsqueeze(0)?;
        Ok(Self { z_dim, num_ws, labels, layers, w_avg })
    }

    /// Loads `mapping.*` of StyleGAN-XL: classes are rows of a table of image features, of which there may be
    /// more than the network has classes, projected to the length of `z`; each has a mean of its own.
    pub(crate) fn of_classes(
        checkpoint: &mut Checkpoint,
        config: &MappingConfig,
        (z_dim, c_dim, w_dim): (usize, usize, usize),
        num_ws: usize,
        device: &Device,
    ) -> Result<Self> {
        let activation = lrelu(std::f64::consts::SQRT_2, None);
        let (shape, table) = checkpoint.take_any("mapping.embed.weight")?;
        let &[rows, features] = &shape[..] else {
            let problem = format!("`mapping.embed.weight` has shape {shape:?}, expected two axes");
            return Err(Error::Config(problem));
        };
        if rows < c_dim {
            let problem = format!("a table of {rows} classes for a network of {c_dim}");
            return Err(Error::Config(problem));
        }
        let labels = if c_dim == 0 {
            None
        } else {
            let table = Tensor::from_vec(table, (rows, features), device)?.narrow(0, 0, c_dim)?;
            let (name, size) = ("mapping.embed_proj", [z_dim, features]);
            let project = equalized(checkpoint, name, size, (1.0, 1.0), activation, device)?;
            Some(Labels::Projected(table.contiguous()?, project))
        };
        let inputs = if c_dim == 0 { z_dim } else { 2 * z_dim };
        let mut layers = Vec::new();
        let hidden = config.layer_features.unwrap_or(w_dim);
        for (i, size) in sizes(inputs, hidden, w_dim, config.num_layers)?.into_iter().enumerate() {
            let (name, scale) = (format!("mapping.fc{i}"), (1.0, config.lr_multiplier));
            layers.push(equalized(checkpoint, &name, size, scale, activation, device)?);
        }
        let shape = [c_dim, w_dim];
        let shape = if c_dim == 0 { &shape[1..] } else { &shape[..] };
        let w_avg = checkpoint.tensor("mapping.w_avg", shape, device)?.reshape(((), w_dim))?;
        Ok(Self { z_dim, num_ws, labels, layers, w_avg })
    }

    /// Loads `mapping.*` and `truncation.w_avg` of a StyleGAN network.
    pub(crate) fn first_generation(
        checkpoint: &mut Checkpoint,
        config: &crate::StyleGan1Config,
        num_ws: usize,
        device: &Device,
    ) -> Result<Self> {
        let (z_dim, w_dim) = (config.z_space_dim, config.w_space_dim);
        let labels = if config.label_size == 0 {
            None
        } else {
            let shape = [config.label_size, z_dim];
            Some(Labels::Together(checkpoint.tensor("mapping.label_weight", &shape, device)?))
        };
        let inputs = if labels.is_some() { 2 * z_dim } else { z_dim };
        let mut layers = Vec::new();
        let sizes = sizes(inputs, config.mapping_fmaps, w_dim, config.mapping_layers)?;
        for (i, size) in sizes.into_iter().enumerate() {
            let name = format!("mapping.dense{i}");
            let scale = (std::f64::consts::SQRT_2, config.mapping_lr_mul);
            layers.push(equalized(checkpoint, &name, size, scale, lrelu(1.0, None), device)?);
        }
        let w_avg = checkpoint.tensor("truncation.w_avg", &[w_dim], device)?.unsqueeze(0)?;
        Ok(Self { z_dim, num_ws, labels, layers, w_avg })
    }

    /// `z` (N, `z_dim`) to `ws` (N, `num_ws`, `w_dim`).
    pub(crate) fn forward(
        &self,
        z: &Tensor,
        classes: Option<&[u32]>,
        truncation: Truncation,
    ) -> Result<Tensor> {
        let n = match *z.dims() {
            [n, z_dim] if n > 0 && z_dim == self.z_dim => n,
            ref other => {
                let message = format!("latents have shape {other:?}, expected (N, {})", self.z_dim);
                return Err(Error::Input(message));
            }
        };
        let embedding = self.embedding(classes, n, z.dtype())?;
        let mut x = match (&self.labels, embedding) {
            (Some(Labels::Together(_)), Some(y)) => normalized(&Tensor::cat(&[z, &y], 1)?)?,
            (Some(Labels::Apart(_)), Some(y)) => {
                Tensor::cat(&[&normalized(z)?, &normalized(&y)?], 1)?
            }
            (Some(Labels::Projected(_, project)), Some(y)) => {
                Tensor::cat(&[&normalized(z)?, &normalized(&project.forward(&y)?)?], 1)?
            }
            _ => normalized(z)?,
        };
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        self.truncated(&x, classes, truncation)
    }

    /// The embedding of each class, (N, features).
    fn embedding(&self, classes: Option<&[u32]>, n: usize, dtype: DType) -> Result<Option<Tensor>> {
        let (table, classes) = match (&self.labels, classes) {
            (None, None) => return Ok(None),
            (None, Some(_)) => {
                let message = "the generator is unconditional, it takes no class";
                return Err(Error::Input(message.to_owned()));
            }
            (Some(labels), Some(classes)) => (labels.table(), classes),
            (Some(labels), None) => {
                let last = labels.table().dim(0)? - 1;
                let message = format!(
                    "the generator is conditional: give a class from 0 to {last} for each image"
                );
                return Err(Error::Input(message));
            }
        };
        let count = table.dim(0)?;
        if let Some(class) = classes.iter().find(|&&class| class as usize >= count) {
            let message = format!("class {class} is beyond the last class, {}", count - 1);
            return Err(Error::Input(message));
        }
        if classes.len() != n {
            let message = format!("{} classes for {n} latents", classes.len());
            return Err(Error::Input(message));
        }
        let classes = Tensor::new(classes, table.device())?;
        Ok(Some(table.index_select(&classes, 0)?.to_dtype(dtype)?))
    }

    /// `w` (N, `w_dim`), moved towards the mean where asked, once for each style input.
    fn truncated(
        &self,
        w: &Tensor,
        classes: Option<&[u32]>,
        truncation: Truncation,
    ) -> Result<Tensor> {
        let moved_rows = truncation.rows(self.num_ws)?;
        let (n, w_dim) = w.dims2()?;
        let rows = |w: &Tensor, count: usize| w.unsqueeze(1)?.broadcast_as((n, count, w_dim));
        if moved_rows == 0 {
            return Ok(rows(w, self.num_ws)?.contiguous()?);
        }
        let mut w_avg = self.w_avg.to_dtype(w.dtype())?;
        if let Some(classes) = classes.filter(|_| w_avg.dims()[0] > 1) {
            w_avg = w_avg.index_select(&Tensor::new(classes, w.device())?, 0)?;
        }
        let moved = (w.broadcast_sub(&w_avg)? * truncation.psi)?.broadcast_add(&w_avg)?;
        let rest = self.num_ws - moved_rows;
        if rest == 0 {
            return Ok(rows(&moved, moved_rows)?.contiguous()?);
        }
        Ok(Tensor::cat(&[rows(&moved, moved_rows)?, rows(w, rest)?], 1)?)
    }
}

/// (out, in) of each layer.
fn sizes(inputs: usize, hidden: usize, outputs: usize, count: usize) -> Result<Vec<[usize; 2]>> {
    if !(1..=MOST_LAYERS).contains(&count) {
        return Err(Error::Config(format!("a mapping network of {count} layers")));
    }
    let input = |i: usize| if i == 0 { inputs } else { hidden };
    let output = |i: usize| if i + 1 == count { outputs } else { hidden };
    Ok((0..count).map(|i| [output(i), input(i)]).collect())
}

/// `x / sqrt(mean(x^2) + eps)` of each row.
fn normalized(x: &Tensor) -> Result<Tensor> {
    Ok(x.broadcast_div(&(x.sqr()?.mean_keepdim(D::Minus1)? + EPS)?.sqrt()?)?)
}
