//! Pooling and its way back.

use crate::activation::Shape;
use crate::simd::{Isa, Job, LANES, Simd, read_part, write_part};
use crate::{Activation, Map, MapMut};

/// Window of a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSpec {
    /// Window height and width.
    pub kernel: [usize; 2],
    /// Step along rows and columns.
    pub stride: [usize; 2],
    /// Border at `[[top, bottom], [left, right]]`, narrower than the window.
    pub padding: [[usize; 2]; 2],
}

impl PoolSpec {
    /// A square window without border.
    pub fn new(kernel: usize, stride: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: [[0; 2]; 2] }
    }

    /// The same with a border of `size` pixels on all sides.
    #[must_use]
    pub fn padding(self, size: usize) -> Self {
        Self { padding: [[size; 2]; 2], ..self }
    }

    /// Height and width of the output for an input of `h x w`; zero where the window does not fit.
    pub fn output_size(&self, h: usize, w: usize) -> [usize; 2] {
        let along = |axis: usize, size: usize| {
            let padded = size + self.padding[axis][0] + self.padding[axis][1];
            if padded < self.kernel[axis] {
                0
            } else {
                (padded - self.kernel[axis]) / self.stride[axis] + 1
            }
        };
        [along(0, h), along(1, w)]
    }

    /// The input rows or columns that output `place` sees.
    fn window(&self, axis: usize, place: usize, size: usize) -> std::ops::Range<usize> {
        let start = place * self.stride[axis];
        let before = self.padding[axis][0];
        start.saturating_sub(before)..(start + self.kernel[axis]).saturating_sub(before).min(size)
    }

    fn check(&self, input: [usize; 4], output: [usize; 4]) {
        for axis in 0..2 {
            assert!(
                self.kernel[axis] > 0
                    && self.stride[axis] > 0
                    && self.padding[axis].iter().all(|&size| size < self.kernel[axis]),
                "window and stride must be positive, the border narrower: {self:?}"
            );
        }
        let [oh, ow] = self.output_size(input[1], input[2]);
        assert_eq!(output, [input[0], oh, ow, input[3]], "pooled shape of {input:?}");
    }
}

/// The largest value of each window; the border never wins, a NaN always.
///
/// # Panics
/// If `output` does not have the pooled shape.
pub fn max_pool(spec: &PoolSpec, input: Map<'_>, output: MapMut<'_>) {
    pool(spec, Reduction::Max, input, output);
}

/// How the values of a window become one.
#[derive(Clone, Copy)]
enum Reduction {
    Max,
    Mean { count_padding: bool, shape: Shape },
}

impl Reduction {
    /// What the first value is joined to.
    #[inline(always)]
    fn start<S: Simd>(self, simd: S) -> S::Vector {
        simd.splat(match self {
            Self::Max => f32::NEG_INFINITY,
            Self::Mean { .. } => 0.0,
        })
    }

    #[inline(always)]
    fn join<S: Simd>(self, simd: S, value: S::Vector, next: S::Vector) -> S::Vector {
        match self {
            Self::Max => simd.larger(value, next),
            Self::Mean { .. } => simd.add(value, next),
        }
    }

    /// The output for a window of which `inside` rows and columns lie in the map.
    #[inline(always)]
    fn end<S: Simd>(
        self,
        simd: S,
        value: S::Vector,
        spec: &PoolSpec,
        inside: [usize; 2],
    ) -> S::Vector {
        let Self::Mean { count_padding, shape } = self else { return value };
        let [rows, columns] = if count_padding { spec.kernel } else { inside };
        shape.apply(simd, simd.mul(value, simd.splat(1.0 / (rows * columns) as f32)))
    }
}

fn pool(spec: &PoolSpec, reduction: Reduction, input: Map<'_>, mut output: MapMut<'_>) {
    spec.check(input.shape(), output.shape());
    let (isa, stride) = (Isa::best(), output.stride());
    output.for_each_row(|image, y, line| {
        isa.run(Row { spec, reduction, input, image, y, line, stride });
    });
}

/// One row of a pooled map.
struct Row<'a> {
    spec: &'a PoolSpec,
    reduction: Reduction,
    input: Map<'a>,
    image: usize,
    y: usize,
    line: &'a mut [f32],
    stride: usize,
}

impl Job for Row<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { spec, reduction, input, image, y, line, stride } = self;
        let [_, h, w, c] = input.shape();
        let rows = spec.window(0, y, h);
        // The windows that follow are asked for.
        let ahead = spec.kernel[1] * input.stride();
        let mut pixels = Vec::with_capacity(spec.kernel[0] * spec.kernel[1]);
        for (x, out) in line.chunks_mut(stride).enumerate() {
            let columns = spec.window(1, x, w);
            pixels.clear();
            for y in rows.clone() {
                let start = (image * h + y) * w;
                pixels.extend(columns.clone().map(|x| input.pixel(start + x)));
            }
            let inside = [rows.len(), columns.len()];
            let (vectors, rest) = out[..c].as_chunks_mut::<LANES>();
            for (at, out) in (0..).step_by(LANES).zip(vectors) {
                let mut value = reduction.start(simd);
                for pixel in &pixels {
                    let next = pixel[at..].first_chunk().expect("as many channels as the output");
                    simd.prefetch(next.as_ptr().wrapping_add(ahead));
                    value = reduction.join(simd, value, simd.load(next));
                }
                simd.store(reduction.end(simd, value, spec, inside), out);
            }
            if !rest.is_empty() {
                let mut value = reduction.start(simd);
                for pixel in &pixels {
                    value = reduction.join(simd, value, read_part(simd, &pixel[c - rest.len()..]));
                }
                write_part(simd, reduction.end(simd, value, spec, inside), rest);
            }
        }
    }
}

/// The larger of two values; a NaN stays.
#[inline]
fn larger(best: f32, value: f32) -> f32 {
    if best >= value || best.is_nan() { best } else { value }
}

/// For each output value of [`max_pool`], (N, H, W, C), the place `y * w + x` of its maximum in
/// the input image, the first of equal ones.
///
/// # Panics
/// If an input image has more than `u32::MAX` pixels.
pub fn max_pool_switches(spec: &PoolSpec, input: Map<'_>) -> Vec<u32> {
    let [n, h, w, c] = input.shape();
    let [oh, ow] = spec.output_size(h, w);
    spec.check(input.shape(), [n, oh, ow, c]);
    assert!(u32::try_from(h * w).is_ok(), "switches of an image of {h}x{w}");
    let mut switches = Vec::with_capacity(n * oh * ow * c);
    for (image, oy, ox) in places([n, oh, ow]) {
        for channel in 0..c {
            let (mut best, mut place) = (f32::NEG_INFINITY, None);
            for y in spec.window(0, oy, h) {
                for x in spec.window(1, ox, w) {
                    let value = input.pixel((image * h + y) * w + x)[channel];
                    if place.is_none() || larger(best, value).to_bits() != best.to_bits() {
                        (best, place) = (value, Some(y * w + x));
                    }
                }
            }
            switches.push(place.unwrap_or(0) as u32);
        }
    }
    switches
}

fn places([n, h, w]: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..n * h * w).map(move |index| (index / (h * w), index / w % h, index % w))
}

/// Adds each value to the place its switch names, from zero: the gradient of [`max_pool`], and
/// the unpooling of a deconvolutional network.
///
/// `switches` are those of [`max_pool_switches`], one per value of `input`.
///
/// # Panics
/// If the number of switches, of images or of channels does not fit, or a switch lies outside.
pub fn max_unpool(switches: &[u32], input: Map<'_>, mut output: MapMut<'_>) {
    let [n, ih, iw, c] = input.shape();
    let [on, oh, ow, oc] = output.shape();
    assert_eq!([n, c], [on, oc], "images and channels");
    assert_eq!(switches.len(), n * ih * iw * c, "one switch per value");
    for pixel in 0..output.pixels() {
        output.pixel_mut(pixel).fill(0.0);
    }
    for pixel in 0..input.pixels() {
        let image = pixel / (ih * iw);
        let places = &switches[pixel * c..][..c];
        for (channel, (&value, &place)) in input.pixel(pixel).iter().zip(places).enumerate() {
            assert!((place as usize) < oh * ow, "switch {place} outside {oh}x{ow}");
            output.pixel_mut(image * oh * ow + place as usize)[channel] += value;
        }
    }
}

/// `activation` of the mean of each window; `count_padding` divides by the whole window, else by
/// its inner part.
///
/// # Panics
/// If `output` does not have the pooled shape.
pub fn avg_pool(
    spec: &PoolSpec,
    count_padding: bool,
    activation: Activation,
    input: Map<'_>,
    output: MapMut<'_>,
) {
    let shape = activation.shape();
    pool(spec, Reduction::Mean { count_padding, shape }, input, output);
}

/// Mean over all pixels of each image and channel, (N, C).
///
/// # Panics
/// If `output` is not one value per image and channel.
pub fn global_average(input: Map<'_>, output: &mut [f32]) {
    let [n, h, w, c] = input.shape();
    assert_eq!(output.len(), n * c, "one mean per image and channel");
    if c == 0 {
        return;
    }
    for (image, means) in output.chunks_exact_mut(c).enumerate() {
        means.fill(0.0);
        for pixel in image * h * w..(image + 1) * h * w {
            for (sum, &value) in means.iter_mut().zip(input.pixel(pixel)) {
                *sum += value;
            }
        }
        for sum in means {
            *sum /= (h * w) as f32;
        }
    }
}
