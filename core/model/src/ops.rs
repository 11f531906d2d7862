//! Differentiable tensor operations that generators are made of.
//!
//! Feature maps are channel-last, (N, H, W, C). On the processor in float32 an operation runs on
//! `ganscope-kernels`; for any other device or type it is put together from candle's own
//! operations, which are right everywhere and need no kernel. Both carry gradients with respect to
//! activations, scales and biases; weights and filters are constants.
//!
//! No result on the processor depends on the batch: image `i` of a batch is, bit for bit, the image
//! computed alone.

mod attention;
mod convolution;
mod epilogue;
mod extras;
mod linear;
mod norm;
mod pool;
mod resample;

use candle_core::{CpuStorage, DType, Layout, Result, Tensor, bail};

pub use attention::attend;
pub use convolution::{Conv2d, ConvTranspose2d};
pub use epilogue::{Affine, affine};
pub use extras::Extras;
pub use ganscope_kernels::Activation;
pub use linear::Linear;
pub use norm::instance_norm;
pub use pool::max_pool;
pub use resample::{Fir, upsample_nearest};

/// (N, C, H, W) to (N, H, W, C).
pub fn to_channels_last(x: &Tensor) -> Result<Tensor> {
    x.permute((0, 2, 3, 1))?.contiguous()
}

/// (N, H, W, C) to (N, C, H, W).
pub fn to_channels_first(x: &Tensor) -> Result<Tensor> {
    x.permute((0, 3, 1, 2))?.contiguous()
}

/// Whether the kernels compute on `x`.
fn has_kernels(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// The sum over the pixels of each image and channel, (N, H, W, C) to (N, C).
///
/// A product with ones: candle's sum over axes that are not the last divides for each value.
fn pixel_sum(x: &Tensor) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let ones = Tensor::ones((n, 1, h * w), x.dtype(), x.device())?;
    ones.matmul(&x.reshape((n, h * w, c))?)?.squeeze(1)
}

/// The values of a contiguous float32 tensor.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(data), Some((start, end))) => Ok(&data[start..end]),
        (CpuStorage::F32(_), None) => bail!("operation needs a contiguous tensor"),
        _ => bail!("operation needs float32"),
    }
}

/// The values of a tensor as float32.
fn constant(t: &Tensor) -> Result<Vec<f32>> {
    t.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

/// The sizes of a feature map.
fn map_shape(layout: &Layout) -> Result<[usize; 4]> {
    let (n, h, w, c) = layout.shape().dims4()?;
    Ok([n, h, w, c])
}

#[cfg(test)]
mod check;
