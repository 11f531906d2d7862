//! Terms that end an operation in its own pass.

use candle_core::{Layout, Result, Storage, Tensor, bail};
use ganscope_kernels::{self as kernels, Map, MapMut};

use super::epilogue::activate;
use super::{Activation, Affine, affine, constant, map_shape, values};

/// Terms that a convolution or a filter joins to its sums; absent ones are 1 and 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras<'a> {
    /// Factor of each image and output channel, (N, O): StyleGAN2's demodulation.
    pub scale: Option<&'a Tensor>,
    /// Term of each output pixel, (H, W) or (N, H, W).
    pub noise: Option<&'a Tensor>,
    /// Term of each output channel, (O) or (N, O): a bias, or the offset of a norm.
    pub offset: Option<&'a Tensor>,
    /// Term of each output value, (N, H, W, O).
    pub residual: Option<&'a Tensor>,
}

impl Extras<'_> {
    /// Whether a term needs gradients, which the kernels do not carry.
    pub(super) fn tracked(&self) -> bool {
        let tensors = [self.scale, self.noise, self.offset, self.residual];
        tensors.into_iter().flatten().any(Tensor::track_op)
    }

    /// `activation(scale * y + noise + offset + bias + residual)` by operations with gradients.
    pub(super) fn join(
        &self,
        y: &Tensor,
        bias: Option<&Tensor>,
        activation: Activation,
    ) -> Result<Tensor> {
        let bias = match (bias, self.offset) {
            (Some(bias), Some(offset)) => {
                Some(offset.broadcast_add(&bias.to_dtype(offset.dtype())?)?)
            }
            (bias, offset) => bias.or(offset).cloned(),
        };
        let (scale, noise) = (self.scale, self.noise);
        let terms = Affine { scale, noise, bias: bias.as_ref(), ..Affine::default() };
        match self.residual {
            None => affine(y, &terms, activation),
            Some(residual) => {
                activate(&(affine(y, &terms, Activation::None)? + residual)?, activation)
            }
        }
    }

    /// The map of `shape` that the kernel `run` makes of `x` and these terms in one pass, without
    /// gradients.
    pub(super) fn in_one_pass(
        &self,
        x: &Tensor,
        shape: [usize; 4],
        run: impl FnOnce(Map<'_>, MapMut<'_>, kernels::Extras<'_>),
    ) -> Result<Tensor> {
        let [n, h, w, c] = shape;
        let per_channel = |t: &Tensor| constant(&t.broadcast_as((n, c))?.contiguous()?);
        let scale = self.scale.map(per_channel).transpose()?;
        let offset = self.offset.map(per_channel).transpose()?;
        let fits = |t: &Tensor| [h * w, n * h * w].contains(&t.elem_count());
        if let Some(noise) = self.noise.filter(|t| !fits(t)) {
            bail!("noise of shape {:?} for a map {shape:?}", noise.dims());
        }
        let noise = self.noise.map(constant).transpose()?;
        if let Some(residual) = self.residual.filter(|t| t.dims() != shape) {
            bail!("residual of shape {:?} for a map {shape:?}", residual.dims());
        }
        let residual = self.residual.map(Tensor::contiguous).transpose()?;
        let residual = residual.as_ref().map(Tensor::storage_and_layout);
        let residual = match &residual {
            Some((storage, layout)) => Some(Map::new(host(storage, layout)?, shape)),
            None => None,
        };
        let x = x.contiguous()?;
        let (storage, layout) = x.storage_and_layout();
        let input = Map::new(host(&storage, layout)?, map_shape(layout)?);
        let mut y = kernels::zeros(shape.iter().product());
        let (scale, noise, offset) = (scale.as_deref(), noise.as_deref(), offset.as_deref());
        let extras = kernels::Extras { scale, noise, offset, residual };
        run(input, MapMut::new(&mut y, shape), extras);
        Tensor::from_vec(y, &shape[..], x.device())
    }
}

/// The values of a contiguous float32 tensor in host memory.
fn host<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => values(storage, layout),
        _ => bail!("operation needs a tensor in host memory"),
    }
}
