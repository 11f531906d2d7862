//! Modulation of convolutions by styles.

use candle_core::Tensor;
use ganscope_model::ops::{Activation, Linear};
use ganscope_model::{Error, Result};

/// Added to the square norm of a modulated filter before its root.
const EPS: f64 = 1e-8;

/// `1 / sqrt(sum((w s)^2) + eps)` for each output channel: the norm of a filter after its input
/// channels were scaled by the styles.
#[derive(Debug)]
pub(crate) struct Demodulation(Linear);

impl Demodulation {
    /// For the filters `weight` (O, I, kh, kw).
    pub(crate) fn new(weight: &Tensor) -> Result<Self> {
        let energy = weight.sqr()?.sum((2, 3))?;
        Ok(Self(Linear::new(&energy, None, Activation::None)?))
    }

    /// Styles (N, I) to factors (N, O).
    pub(crate) fn forward(&self, styles: &Tensor) -> Result<Tensor> {
        Ok((self.0.forward(&styles.sqr()?)? + EPS)?.sqrt()?.recip()?)
    }
}

/// A 1x1 convolution by `weight` (O, I) with input channels scaled by `styles` (N, I), for few
/// output channels: (N, H, W, I) to (N, H, W, O).
pub(crate) fn to_rgb(x: &Tensor, weight: &Tensor, styles: &Tensor) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let weight = weight.to_dtype(x.dtype())?.t()?.unsqueeze(0)?;
    let modulated = weight.broadcast_mul(&styles.unsqueeze(2)?)?.contiguous()?;
    let outputs = modulated.dim(2)?;
    Ok(x.reshape((n, h * w, c))?.matmul(&modulated)?.reshape((n, h, w, outputs))?)
}

/// Row `index` of `ws` (N, `num_ws`, `w_dim`).
pub(crate) fn row(ws: &Tensor, index: usize) -> Result<Tensor> {
    Ok(ws.narrow(1, index, 1)?.squeeze(1)?.contiguous()?)
}

/// The number of images of `ws`, if its other sizes fit.
pub(crate) fn check_ws(ws: &Tensor, num_ws: usize, w_dim: usize) -> Result<usize> {
    match *ws.dims() {
        [n, rows, width] if n > 0 && rows == num_ws && width == w_dim => Ok(n),
        ref other => {
            let message =
                format!("style inputs have shape {other:?}, expected (N, {num_ws}, {w_dim})");
            Err(Error::Input(message))
        }
    }
}
