//! Depthwise convolution: each channel has its own kernel.

use crate::conv::epilogue::{Epilogue, write_part};
use crate::conv::target::Target;
use crate::scratch::Lines;
use crate::simd::{Isa, Job, LANES, Simd, read_part};
use crate::{Map, share};

/// A depthwise convolution with its weights as `[tap][channel]`.
#[derive(Clone, Debug)]
pub(crate) struct Depthwise {
    isa: Isa,
    channels: usize,
    weight: Lines,
    taps: Vec<[isize; 2]>,
    step: [usize; 2],
}

impl Depthwise {
    /// Packs `weight(tap, channel)`.
    pub(crate) fn new(
        isa: Isa,
        channels: usize,
        taps: Vec<[isize; 2]>,
        step: [usize; 2],
        weight: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let mut packed = Lines::zeros(taps.len() * channels);
        for tap in 0..taps.len() {
            for channel in 0..channels {
                packed[tap * channels + channel] = weight(tap, channel);
            }
        }
        Self { isa, channels, weight: packed, taps, step }
    }

    /// Writes all pixels of `target`.
    pub(crate) fn run(&self, input: Map<'_>, target: Target<'_>, epilogue: Epilogue<'_>) {
        let [n, h, _, _] = target.shape();
        share::tasks(n * h, |row| {
            self.isa.run(Row { conv: self, input, target, epilogue, image: row / h, y: row % h });
        });
    }
}

/// One row of the output.
struct Row<'a> {
    conv: &'a Depthwise,
    input: Map<'a>,
    target: Target<'a>,
    epilogue: Epilogue<'a>,
    image: usize,
    y: usize,
}

impl Job for Row<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { conv, input, target, epilogue, image, y } = self;
        let [_, h, w, channels] = input.shape();
        for x in 0..target.shape()[2] {
            let pixel = target.index(image, y, x);
            for channel in (0..channels).step_by(LANES) {
                let rest = (channels - channel).min(LANES);
                let mut sum = simd.splat(0.0);
                for (tap, &[dy, dx]) in conv.taps.iter().enumerate() {
                    let y = (y * conv.step[0]).wrapping_add_signed(dy);
                    let x = (x * conv.step[1]).wrapping_add_signed(dx);
                    if y < h && x < w {
                        let source = &input.pixel((image * h + y) * w + x)[channel..][..rest];
                        let weight = &conv.weight[tap * conv.channels + channel..][..rest];
                        let (source, weight) = (read_part(simd, source), read_part(simd, weight));
                        sum = simd.mul_add(source, weight, sum);
                    }
                }
                let value = epilogue.end(simd, sum, channel, rest, pixel);
                // SAFETY: the pixel has `rest` channels from `channel` on; only this task, which
                // owns the row, writes them, and the map is borrowed exclusively by `run`.
                unsafe { write_part(simd, value, rest, target.pixel(pixel, channel)) };
            }
        }
    }
}
