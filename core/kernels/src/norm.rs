//! Layer normalization.

use crate::simd::{Isa, Job, LANES, Simd, read_part, sum_of_lanes, write_part};
use crate::{Map, MapMut};

/// `(x - mean) / sqrt(variance + eps) * gain + shift` over the channels of each pixel.
///
/// Ba et al., "Layer Normalization", 2016, <https://arxiv.org/abs/1607.06450>. The variance is the
/// mean of the squared differences.
///
/// # Panics
/// If the maps differ in shape, or `gain` or `shift` has another length than the channels.
pub fn layer_norm(input: Map<'_>, [gain, shift]: [&[f32]; 2], eps: f32, mut output: MapMut<'_>) {
    let [_, h, w, c] = input.shape();
    assert_eq!(output.shape(), input.shape(), "output shape");
    assert_eq!([gain.len(), shift.len()], [c; 2], "one gain and one shift per channel");
    let (isa, stride) = (Isa::best(), output.stride());
    output.for_each_row(|image, y, line| {
        for (x, out) in line.chunks_mut(stride).enumerate() {
            let values = input.pixel((image * h + y) * w + x);
            isa.run(Pixel { values, gain, shift, eps, out: &mut out[..c] });
        }
    });
}

/// The normalization of one pixel.
struct Pixel<'a> {
    values: &'a [f32],
    gain: &'a [f32],
    shift: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl Job for Pixel<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { values, gain, shift, eps, out } = self;
        let count = values.len() as f32;
        let mut sum = simd.splat(0.0);
        for part in values.chunks(LANES) {
            sum = simd.add(sum, read_part(simd, part));
        }
        let mean = sum_of_lanes(simd, sum) / count;
        let center = simd.splat(mean);
        let (whole, rest) = values.as_chunks::<LANES>();
        let mut squares = simd.splat(0.0);
        for part in whole {
            let difference = simd.sub(simd.load(part), center);
            squares = simd.mul_add(difference, difference, squares);
        }
        // Lanes beyond the last channel differ from no mean.
        let mut lanes = [mean; LANES];
        lanes[..rest.len()].copy_from_slice(rest);
        let difference = simd.sub(simd.load(&lanes), center);
        squares = simd.mul_add(difference, difference, squares);
        let variance = sum_of_lanes(simd, squares) / count;
        let factor = simd.splat(1.0 / (variance + eps).sqrt());
        for (at, out) in (0..values.len()).step_by(LANES).zip(out.chunks_mut(LANES)) {
            let part = at..at + out.len();
            let difference = simd.sub(read_part(simd, &values[part.clone()]), center);
            let normal = simd.mul(difference, factor);
            let gain = read_part(simd, &gain[part.clone()]);
            write_part(simd, simd.mul_add(normal, gain, read_part(simd, &shift[part])), out);
        }
    }
}
