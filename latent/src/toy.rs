//! A generator whose images can be computed by hand.

use candle_core::{D, Device, Tensor};
use ganscope_model::{
    Error, Generator, GeneratorInfo, Result, Rounding, Synthesis, Truncation, TruncationKind, go_on,
};

/// Side of an image.
pub(crate) const SIDE: usize = 2;
/// Length of `z` and `w`: the values of an image.
pub(crate) const DIM: usize = 3 * SIDE * SIDE;
/// Style inputs.
pub(crate) const NUM_WS: usize = 3;

/// `w = z + class`, truncated towards the class; the image is `w_0 + 2 w_1 + 4 w_2`.
pub(crate) struct Toy(pub(crate) TruncationKind);

impl Generator for Toy {
    fn info(&self) -> GeneratorInfo {
        GeneratorInfo {
            z_dim: DIM,
            w_dim: DIM,
            num_ws: NUM_WS,
            c_dim: 10,
            img_resolution: SIDE,
            img_channels: 3,
            rounding: Rounding::StyleGan,
            truncation: self.0,
        }
    }

    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn map(&self, z: &Tensor, classes: Option<&[u32]>, truncation: Truncation) -> Result<Tensor> {
        let n = z.dim(0)?;
        let classes = classes.map_or_else(|| vec![0; n], <[u32]>::to_vec);
        if classes.iter().any(|&c| c >= 10) {
            return Err(Error::Input("class beyond the generator".into()));
        }
        let mean: Vec<f32> = classes.into_iter().map(|c| c as f32).collect();
        let mean = Tensor::from_vec(mean, (n, 1), &Device::Cpu)?;
        let row = |i: usize| {
            let truncated = truncation.cutoff.is_none_or(|cutoff| i < cutoff);
            let psi = if truncated { truncation.psi } else { 1.0 };
            (z * psi)?.broadcast_add(&mean)
        };
        let rows = (0..NUM_WS).map(row).collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Tensor::stack(&rows, 1)?)
    }

    fn synthesize_unless(
        &self,
        ws: &Tensor,
        _options: &Synthesis,
        stop: &dyn Fn() -> bool,
    ) -> Result<Tensor> {
        go_on(stop)?;
        let weights = Tensor::new(&[1f32, 2.0, 4.0], &Device::Cpu)?.reshape((1, NUM_WS, 1))?;
        let image = ws.broadcast_mul(&weights)?.sum(D::Minus2)?;
        Ok(image.reshape((ws.dim(0)?, 3, SIDE, SIDE))?)
    }
}
