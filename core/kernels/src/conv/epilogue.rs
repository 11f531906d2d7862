//! The last steps of each output value: scale, noise, offset, bias, residual and activation.

use crate::activation::Shape;
use crate::conv::Extras;
use crate::scratch::Lines;
use crate::simd::{LANES, Simd, read_part};
use crate::{Activation, MapMut};

/// Bias and activation of a layer, ready for vectors.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    bias: Lines,
    activation: Activation,
}

impl Ending {
    pub(crate) fn new(outputs: usize, bias: Option<&[f32]>, activation: Activation) -> Self {
        let mut padded = Lines::zeros(outputs + LANES);
        if let Some(bias) = bias {
            assert_eq!(bias.len(), outputs, "bias of {outputs} outputs");
            padded[..outputs].copy_from_slice(bias);
        }
        Self { bias: padded, activation }
    }

    /// The epilogue of one run into `output`.
    pub(crate) fn epilogue<'a>(&'a self, output: &MapMut<'_>, extras: Extras<'a>) -> Epilogue<'a> {
        let [n, h, w, c] = output.shape();
        for terms in [extras.scale, extras.offset].into_iter().flatten() {
            assert_eq!(terms.len(), n * c, "scale and offset per image and channel");
        }
        if let Some(noise) = extras.noise {
            assert!([h * w, n * h * w].contains(&noise.len()), "noise of {} values", noise.len());
        }
        if let Some(residual) = extras.residual {
            assert_eq!(residual.shape(), output.shape(), "residual shape");
        }
        let shape = self.activation.shape();
        let Extras { scale, noise, offset, residual } = extras;
        let joined = scale.is_some() || noise.is_some() || offset.is_some() || residual.is_some();
        let plain = !joined && shape.is_flat();
        Epilogue { bias: &self.bias, shape, extras, channels: c, plane: h * w, plain }
    }
}

/// The end of each output value of one run.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    bias: &'a [f32],
    shape: Shape,
    extras: Extras<'a>,
    channels: usize,
    plane: usize,
    /// No extras, and an activation without slopes.
    plain: bool,
}

impl Epilogue<'_> {
    /// Ends the sums of the `count` channels from `first` on of output pixel `pixel`.
    ///
    /// # Safety
    /// `sums` is readable for the whole vectors that contain `count` values, `out` writable for
    /// `count` values.
    #[inline(always)]
    pub(crate) unsafe fn finish<S: Simd>(
        &self,
        simd: S,
        sums: *const f32,
        count: usize,
        first: usize,
        pixel: usize,
        out: *mut f32,
    ) {
        assert!(first + count <= self.channels);
        for at in (0..count).step_by(LANES) {
            let rest = (count - at).min(LANES);
            // SAFETY: the vector at `at` is one of `sums`; `rest` values of `out` follow there.
            unsafe {
                let value = self.end(simd, simd.read(sums.add(at)), first + at, rest, pixel);
                write_part(simd, value, rest, out.add(at));
            }
        }
    }

    /// The end of the channels from `channel` on at any pixel, if it is bias and bounds alone.
    #[inline(always)]
    pub(crate) fn plain<S: Simd>(&self, simd: S, channel: usize) -> Option<Plain<S::Vector>> {
        assert!(channel + LANES <= self.bias.len());
        // SAFETY: a whole vector follows the last channel of the bias.
        let bias = unsafe { simd.read(self.bias.as_ptr().add(channel)) };
        let Shape { low, high, .. } = self.shape;
        let plain = Plain { bias, low: simd.splat(low), high: simd.splat(high) };
        self.plain.then_some(plain)
    }

    /// The final values of `rest` channels from `channel` on.
    #[inline(always)]
    pub(crate) fn end<S: Simd>(
        &self,
        simd: S,
        sum: S::Vector,
        channel: usize,
        rest: usize,
        pixel: usize,
    ) -> S::Vector {
        if let Some(plain) = self.plain(simd, channel) {
            return plain.end(simd, sum);
        }
        // SAFETY: a whole vector follows the last channel of the bias, as asserted.
        let bias = unsafe { simd.read(self.bias.as_ptr().add(channel)) };
        let value = simd.add(self.join(simd, sum, channel, rest, pixel), bias);
        self.shape.apply(simd, self.add_residual(simd, value, channel, rest, pixel))
    }

    /// Scale, noise and offset.
    #[inline(always)]
    fn join<S: Simd>(
        &self,
        simd: S,
        mut value: S::Vector,
        channel: usize,
        rest: usize,
        pixel: usize,
    ) -> S::Vector {
        let Extras { scale, noise, offset, .. } = self.extras;
        let start = pixel / self.plane * self.channels + channel;
        if let Some(scale) = scale {
            value = simd.mul(value, read_part(simd, &scale[start..start + rest]));
        }
        if let Some(noise) = noise {
            let place = if noise.len() == self.plane { pixel % self.plane } else { pixel };
            value = simd.add(value, simd.splat(noise[place]));
        }
        if let Some(offset) = offset {
            value = simd.add(value, read_part(simd, &offset[start..start + rest]));
        }
        value
    }

    #[inline(always)]
    fn add_residual<S: Simd>(
        &self,
        simd: S,
        value: S::Vector,
        channel: usize,
        rest: usize,
        pixel: usize,
    ) -> S::Vector {
        let Some(residual) = self.extras.residual else { return value };
        let pixel = residual.pixel(pixel);
        simd.add(value, read_part(simd, &pixel[channel..channel + rest]))
    }
}

/// Bias and bounds of a vector of channels.
#[derive(Clone, Copy)]
pub(crate) struct Plain<V> {
    bias: V,
    low: V,
    high: V,
}

impl<V: Copy> Plain<V> {
    /// The final values.
    #[inline(always)]
    pub(crate) fn end<S: Simd<Vector = V>>(&self, simd: S, sum: V) -> V {
        simd.at_most(self.high, simd.at_least(self.low, simd.add(sum, self.bias)))
    }
}

/// Writes the first `count` lanes.
///
/// # Safety
/// `to` is writable for `count` floats.
#[inline(always)]
pub(crate) unsafe fn write_part<S: Simd>(simd: S, vector: S::Vector, count: usize, to: *mut f32) {
    if count == LANES {
        // SAFETY: as promised by the caller.
        unsafe { simd.write(vector, to) };
    } else {
        let mut lanes = [0.0; LANES];
        simd.store(vector, &mut lanes);
        // SAFETY: as promised by the caller; `lanes` is a local of at least `count` floats.
        unsafe { to.copy_from_nonoverlapping(lanes.as_ptr(), count) };
    }
}
