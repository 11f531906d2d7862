//! Resampling: nearest neighbors, and FIR filters as StyleGAN defines them.
//!
//! Karras et al., "Alias-Free Generative Adversarial Networks", 2021,
//! <https://arxiv.org/abs/2106.12423>, for up- and downsampling around a nonlinearity.

use crate::activation::Shape;
use crate::simd::{Isa, Job, LANES, Simd, read_part, write_part};
use crate::{Activation, Map, MapMut};

/// Repeats pixels: output `(y, x)` is input `(y * h / H, x * w / W)`, rounded down.
///
/// # Panics
/// If images or channels differ.
pub fn upsample_nearest(input: Map<'_>, mut output: MapMut<'_>) {
    let [n, h, w, c] = input.shape();
    let ([on, oh, ow, oc], stride) = (output.shape(), output.stride());
    assert_eq!([n, c], [on, oc], "images and channels");
    assert!(input.pixels() > 0 || output.pixels() == 0, "upsampling of an empty map");
    output.for_each_row(|image, oy, line| {
        for ox in 0..ow {
            let source = input.pixel((image * h + oy * h / oh) * w + ox * w / ow);
            line[ox * stride..][..c].copy_from_slice(source);
        }
    });
}

/// Zero insertion, border, FIR filter and decimation: StyleGAN's `upfirdn2d`.
///
/// Along each axis the input is spread with `up - 1` zeros after each sample, gets
/// `padding = [before, after]` zeros (negative values crop), is convolved with the filter (true
/// convolution: the filter runs backwards), and each `down`-th sample is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Fir {
    taps: Taps,
    /// Samples out per sample in, along rows and columns.
    pub up: [usize; 2],
    /// Samples per sample kept, along rows and columns.
    pub down: [usize; 2],
    /// Zeros at `[[top, bottom], [left, right]]` of the spread input; negative crops.
    pub padding: [[isize; 2]; 2],
    /// Applied to the results: with upsampling before and downsampling after it, this is
    /// StyleGAN3's filtered nonlinearity.
    pub activation: Activation,
}

#[derive(Clone, Debug, PartialEq)]
enum Taps {
    Separable { rows: Vec<f32>, columns: Vec<f32> },
    Full { taps: Vec<f32>, size: [usize; 2] },
}

/// One axis of a [`Fir`].
#[derive(Clone, Copy)]
struct Axis {
    up: usize,
    down: usize,
    before: isize,
    taps: usize,
    size: usize,
}

impl Axis {
    /// The pairs (filter index, input place) of output `place`.
    fn pairs(self, place: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
        let start = (place * self.down) as isize - self.before;
        let skip = (-start).rem_euclid(self.up as isize) as usize;
        (skip..self.taps).step_by(self.up).filter_map(move |tap| {
            let source = (start + tap as isize) / self.up as isize;
            let inside = start + tap as isize >= 0 && source < self.size as isize;
            inside.then_some((self.taps - 1 - tap, source as usize))
        })
    }
}

impl Fir {
    /// A filter that runs along rows (`vertical`) and columns (`horizontal`), without resampling.
    ///
    /// # Panics
    /// If a filter is empty.
    pub fn separable(vertical: &[f32], horizontal: &[f32]) -> Self {
        assert!(!vertical.is_empty() && !horizontal.is_empty(), "empty filter");
        Self::plain(Taps::Separable { rows: vertical.to_vec(), columns: horizontal.to_vec() })
    }

    /// A filter of `size = [height, width]`, without resampling.
    ///
    /// # Panics
    /// If the number of taps is not `size`, or zero.
    pub fn full(taps: &[f32], size: [usize; 2]) -> Self {
        assert!(!taps.is_empty() && taps.len() == size[0] * size[1], "filter of {size:?}");
        Self::plain(Taps::Full { taps: taps.to_vec(), size })
    }

    fn plain(taps: Taps) -> Self {
        Self { taps, up: [1; 2], down: [1; 2], padding: [[0; 2]; 2], activation: Activation::None }
    }

    /// The same with all products times `gain`.
    #[must_use]
    pub fn gain(mut self, gain: f32) -> Self {
        let taps = match &mut self.taps {
            Taps::Separable { rows, .. } => rows,
            Taps::Full { taps, .. } => taps,
        };
        for tap in taps {
            *tap *= gain;
        }
        self
    }

    /// The same with `factor` samples out per sample in, along both axes.
    #[must_use]
    pub fn up(self, factor: usize) -> Self {
        Self { up: [factor; 2], ..self }
    }

    /// The same with each `factor`-th sample kept, along both axes.
    #[must_use]
    pub fn down(self, factor: usize) -> Self {
        Self { down: [factor; 2], ..self }
    }

    /// The same with `[[top, bottom], [left, right]]` zeros around the spread input.
    #[must_use]
    pub fn padding(self, padding: [[isize; 2]; 2]) -> Self {
        Self { padding, ..self }
    }

    /// The same with an activation of the results.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Filter height and width.
    pub fn size(&self) -> [usize; 2] {
        match &self.taps {
            Taps::Separable { rows, columns } => [rows.len(), columns.len()],
            Taps::Full { size, .. } => *size,
        }
    }

    /// Height and width of the output for an input of `h x w`:
    /// `(size * up + padding - taps) / down + 1`.
    pub fn output_size(&self, h: usize, w: usize) -> [usize; 2] {
        let along = |axis: usize, size: usize| {
            let padded =
                (size * self.up[axis]) as isize + self.padding[axis][0] + self.padding[axis][1]
                    - self.size()[axis] as isize;
            if padded < 0 { 0 } else { padded as usize / self.down[axis] + 1 }
        };
        [along(0, h), along(1, w)]
    }

    fn axis(&self, axis: usize, size: usize) -> Axis {
        assert!(self.up[axis] > 0 && self.down[axis] > 0, "factors must be positive: {self:?}");
        Axis {
            up: self.up[axis],
            down: self.down[axis],
            before: self.padding[axis][0],
            taps: self.size()[axis],
            size,
        }
    }
}

/// Applies `fir` to each channel.
///
/// # Panics
/// If `output` is not of [`Fir::output_size`], or a factor is zero.
pub fn upfirdn2d(fir: &Fir, input: Map<'_>, output: MapMut<'_>) {
    let [n, h, w, c] = input.shape();
    let [oh, ow] = fir.output_size(h, w);
    assert_eq!(output.shape(), [n, oh, ow, c], "output shape of {:?}", input.shape());
    let (vertical, horizontal) = (fir.axis(0, h), fir.axis(1, w));
    match &fir.taps {
        Taps::Full { taps, size } => {
            weighted_sums(input, output, fir.activation, |y, x, terms| {
                for (ky, y) in vertical.pairs(y) {
                    let row = horizontal.pairs(x);
                    terms.extend(row.map(|(kx, x)| (taps[ky * size[1] + kx], y * w + x)));
                }
            });
        }
        Taps::Separable { rows, columns } => {
            let mut between = vec![0.0; n * h * ow * c];
            let shape = [n, h, ow, c];
            let map = MapMut::new(&mut between, shape);
            weighted_sums(input, map, Activation::None, |y, x, terms| {
                terms.extend(horizontal.pairs(x).map(|(k, x)| (columns[k], y * w + x)));
            });
            weighted_sums(Map::new(&between, shape), output, fir.activation, |y, x, terms| {
                terms.extend(vertical.pairs(y).map(|(k, y)| (rows[k], y * ow + x)));
            });
        }
    }
}

/// Writes to each output pixel the sum of the terms (factor, input pixel of the same image) that
/// `collect(y, x, terms)` finds.
fn weighted_sums(
    input: Map<'_>,
    mut output: MapMut<'_>,
    activation: Activation,
    collect: impl Fn(usize, usize, &mut Vec<(f32, usize)>) + Sync,
) {
    let (isa, stride, shape) = (Isa::best(), output.stride(), activation.shape());
    output.for_each_row(|image, y, line| {
        isa.run(Row { input, collect: &collect, shape, image, y, line, stride });
    });
}

/// One row of weighted sums.
struct Row<'a, F> {
    input: Map<'a>,
    collect: &'a F,
    shape: Shape,
    image: usize,
    y: usize,
    line: &'a mut [f32],
    stride: usize,
}

impl<F: Fn(usize, usize, &mut Vec<(f32, usize)>)> Job for Row<'_, F> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { input, collect, shape, image, y, line, stride } = self;
        let [_, h, w, c] = input.shape();
        let (mut terms, mut pixels) = (Vec::new(), Vec::new());
        for (x, out) in line.chunks_mut(stride).enumerate() {
            terms.clear();
            collect(y, x, &mut terms);
            pixels.clear();
            let first = image * h * w;
            pixels
                .extend(terms.iter().map(|&(factor, place)| (factor, input.pixel(first + place))));
            for (at, out) in (0..c).step_by(LANES).zip(out[..c].chunks_mut(LANES)) {
                let mut sum = simd.splat(0.0);
                for &(factor, pixel) in &pixels {
                    let value = read_part(simd, &pixel[at..][..out.len()]);
                    sum = simd.mul_add(simd.splat(factor), value, sum);
                }
                write_part(simd, shape.apply(simd, sum), out);
            }
        }
    }
}
