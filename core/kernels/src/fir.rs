//! Resampling: nearest neighbors, and FIR filters as StyleGAN defines them.
//!
//! Karras et al., "Alias-Free Generative Adversarial Networks", 2021,
//! <https://arxiv.org/abs/2106.12423>, for up- and downsampling around a nonlinearity.

use crate::conv::{Ending, Epilogue};
use crate::scratch::Scratch;
use crate::simd::{Isa, Job, LANES, Simd, read_part, write_part};
use crate::{Activation, Extras, Map, MapMut, share};

/// Bands of output rows per thread wanted, so that the last ones end together; the rows along the
/// border of two bands are filtered for both.
const BANDS_PER_THREAD: usize = 4;

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
    upfirdn2d_with(fir, input, output, Extras::default());
}

/// `activation(scale * filtered + noise + offset + residual)`.
///
/// # Panics
/// As [`upfirdn2d`], or if an extra does not have the shape of the output.
pub fn upfirdn2d_with(fir: &Fir, input: Map<'_>, mut output: MapMut<'_>, extras: Extras<'_>) {
    let [n, h, w, c] = input.shape();
    let [oh, ow] = fir.output_size(h, w);
    assert_eq!(output.shape(), [n, oh, ow, c], "output shape of {:?}", input.shape());
    let axes = [fir.axis(0, h), fir.axis(1, w)];
    let ending = Ending::new(c, None, fir.activation);
    let filter = Filter {
        taps: &fir.taps,
        axes,
        input,
        size: [oh, ow],
        stride: output.stride(),
        sources: (0..ow).map(|x| axes[1].pairs(x).collect()).collect(),
        epilogue: ending.epilogue(&output, extras),
    };
    let isa = Isa::best();
    let height = (n * oh).div_ceil(BANDS_PER_THREAD * share::threads()).max(1);
    output.for_each_band(height, |image, first, lines| {
        isa.run(Band { filter: &filter, image, first, lines });
    });
}

/// One run of a [`Fir`].
struct Filter<'a> {
    taps: &'a Taps,
    axes: [Axis; 2],
    input: Map<'a>,
    /// Height and width of the output.
    size: [usize; 2],
    /// Floats from pixel to pixel of the output.
    stride: usize,
    /// For each output column the pairs (filter index, input column).
    sources: Vec<Vec<(usize, usize)>>,
    epilogue: Epilogue<'a>,
}

/// Some output rows of an image.
struct Band<'a> {
    filter: &'a Filter<'a>,
    image: usize,
    first: usize,
    lines: &'a mut [f32],
}

impl Job for Band<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.filter.taps {
            Taps::Separable { rows, columns } => self.separable(simd, rows, columns),
            Taps::Full { taps, size } => self.full(simd, taps, *size),
        }
    }
}

impl Band<'_> {
    /// Rows first: those of the input that an output row depends on are filtered when the first
    /// output row needs them, and stay in the cache for the next.
    #[inline(always)]
    fn separable<S: Simd>(self, simd: S, rows: &[f32], columns: &[f32]) {
        let Self { filter, image, first, lines } = self;
        let ([_, h, _, c], [_, width]) = (filter.input.shape(), filter.size);
        let [vertical, _] = filter.axes;
        let kept = vertical.taps.div_ceil(vertical.up);
        let length = width * c;
        let mut scratch = Scratch::take();
        let [between] = scratch.split([kept * length]);
        let mut next = 0;
        for (index, out) in lines.chunks_mut(width * filter.stride).enumerate() {
            let y = first + index;
            let factors: Vec<_> = vertical.pairs(y).map(|(k, source)| (rows[k], source)).collect();
            for &(_, source) in &factors {
                if source >= next {
                    let line = &mut between[source % kept * length..][..length];
                    filter.row(simd, columns, image * h + source, line);
                    next = source + 1;
                }
            }
            let line = |source: usize| &between[source % kept * length..][..length];
            let terms: Vec<_> = factors.iter().map(|&(k, source)| (k, line(source))).collect();
            for (x, out) in out.chunks_mut(filter.stride).enumerate() {
                filter.end(simd, &terms, x * c, [image, y, x], out);
            }
        }
    }

    #[inline(always)]
    fn full<S: Simd>(self, simd: S, taps: &[f32], size: [usize; 2]) {
        let Self { filter, image, first, lines } = self;
        let ([_, h, w, _], [_, width]) = (filter.input.shape(), filter.size);
        let [vertical, _] = filter.axes;
        let mut terms = Vec::new();
        for (index, out) in lines.chunks_mut(width * filter.stride).enumerate() {
            let y = first + index;
            for (x, out) in out.chunks_mut(filter.stride).enumerate() {
                terms.clear();
                for (ky, y) in vertical.pairs(y) {
                    for &(kx, x) in &filter.sources[x] {
                        let pixel = filter.input.pixel((image * h + y) * w + x);
                        terms.push((taps[ky * size[1] + kx], pixel));
                    }
                }
                filter.end(simd, &terms, 0, [image, y, x], out);
            }
        }
    }
}

impl Filter<'_> {
    /// Filters input row `source`, counted through the images, along itself.
    #[inline(always)]
    fn row<S: Simd>(&self, simd: S, columns: &[f32], source: usize, line: &mut [f32]) {
        let [_, _, w, c] = self.input.shape();
        let mut terms = Vec::new();
        for (sources, out) in self.sources.iter().zip(line.chunks_mut(c)) {
            terms.clear();
            terms.extend(
                sources.iter().map(|&(k, x)| (columns[k], self.input.pixel(source * w + x))),
            );
            for (at, out) in (0..c).step_by(LANES).zip(out.chunks_mut(LANES)) {
                write_part(simd, weighted_sum(simd, &terms, at, out.len()), out);
            }
        }
    }

    /// Writes the channels of an output pixel, sums of the values of `terms` from `start` on.
    #[inline(always)]
    fn end<S: Simd>(
        &self,
        simd: S,
        terms: &[(f32, &[f32])],
        start: usize,
        [image, y, x]: [usize; 3],
        out: &mut [f32],
    ) {
        let [_, _, _, c] = self.input.shape();
        let pixel = (image * self.size[0] + y) * self.size[1] + x;
        for (at, out) in (0..c).step_by(LANES).zip(out[..c].chunks_mut(LANES)) {
            let sum = weighted_sum(simd, terms, start + at, out.len());
            write_part(simd, self.epilogue.end(simd, sum, at, out.len(), pixel), out);
        }
    }
}

/// The sum of factors times the `count` values from `at` on; other lanes are zero.
#[inline(always)]
fn weighted_sum<S: Simd>(simd: S, terms: &[(f32, &[f32])], at: usize, count: usize) -> S::Vector {
    let mut sum = simd.splat(0.0);
    for &(factor, values) in terms {
        let value = read_part(simd, &values[at..at + count]);
        sum = simd.mul_add(simd.splat(factor), value, sum);
    }
    sum
}
