//! Winograd convolution: fewer multiplications, by transforms of tiles.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use crate::conv::epilogue::{Epilogue, write_part};
use crate::conv::points::{Points, Strided};
use crate::conv::target::Target;
use crate::conv::transform::{Columns, OUTPUTS, POINTS, Rows, Square, Transform};
use crate::panels::Panels;
use crate::scratch::{Lines, Scratch};
use crate::simd::{Isa, Job, LANES, Product, Simd};
use crate::{Map, share};

/// Floats of transformed input in a task: they share the second-level cache with the weights.
const TRANSFORMED: usize = 112 << 10;
/// Tasks per thread wanted, so that the last ones end together.
const TASKS_PER_THREAD: usize = 4;
/// Fewest inputs that may be no whole vectors: zeros in the rest of the last cost a quarter at most.
const PADDED: usize = 64;

/// The shape of a transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scheme {
    kernel: [usize; 2],
    /// Points along each axis; 1 leaves the axis alone.
    pub(crate) points: [usize; 2],
    /// Outputs of a tile along each axis.
    pub(crate) tile: [usize; 2],
}

impl Scheme {
    /// The transform for a kernel and its stride, if there is one.
    pub(crate) fn new(kernel: [usize; 2], stride: [usize; 2], inputs: usize) -> Option<Self> {
        if !inputs.is_multiple_of(LANES) && inputs < PADDED {
            return None;
        }
        let points = match (kernel, stride) {
            ([3, 3], [1, 1]) => [6, 6],
            ([3, 3], [2, 2]) => [7, 7],
            ([5, 5], [1, 1]) => [8, 8],
            ([1, 3], [1, 1]) => [1, 6],
            ([3, 1], [1, 1]) => [6, 1],
            ([1, 7], [1, 1]) => [1, 12],
            ([7, 1], [1, 1]) => [12, 1],
            _ => return None,
        };
        // As many inputs as points, and the outputs whose taps all lie among them.
        let tile = [0, 1].map(|axis| (points[axis] - kernel[axis]) / stride[axis] + 1);
        Some(Self { kernel, points, tile })
    }
}

/// A convolution of stride 1 as one matrix product per point.
#[derive(Clone, Debug)]
pub(crate) struct Winograd {
    isa: Isa,
    scheme: Scheme,
    /// Whole vectors of inputs.
    blocks: usize,
    outputs: usize,
    /// The input pixel of the first tap of the first output pixel.
    first: [isize; 2],
    products: Vec<Panels>,
    zeros: Lines,
}

/// The matrix from the taps of one axis to its points.
fn filter(points: usize, taps: usize) -> Vec<Vec<f64>> {
    match points {
        1 => vec![vec![1.0]],
        6 => Points::<6>::filter(taps),
        7 => Strided::filter(),
        8 => Points::<8>::filter(taps),
        _ => Points::<12>::filter(taps),
    }
}

impl Winograd {
    /// Transforms and packs `weight(tap, input, output)`.
    pub(crate) fn new(
        isa: Isa,
        scheme: Scheme,
        [inputs, outputs]: [usize; 2],
        first: [isize; 2],
        weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let Scheme { kernel, points: [rows, columns], .. } = scheme;
        let (vertical, horizontal) = (filter(rows, kernel[0]), filter(columns, kernel[1]));
        let product = |point: usize| {
            let (vertical, horizontal) = (&vertical[point / columns], &horizontal[point % columns]);
            Panels::new(isa, inputs, outputs, |i, o| {
                let mut sum = 0.0;
                for (y, above) in vertical.iter().enumerate() {
                    for (x, beside) in horizontal.iter().enumerate() {
                        sum += above * beside * f64::from(weight(y * kernel[1] + x, i, o));
                    }
                }
                sum as f32
            })
        };
        let products = (0..rows * columns).into_par_iter().map(product).collect();
        let (blocks, zeros) = (inputs.div_ceil(LANES), Lines::zeros(inputs));
        Self { isa, scheme, blocks, outputs, first, products, zeros }
    }

    /// Writes all pixels of `target`.
    pub(crate) fn run(&self, input: Map<'_>, target: Target<'_>, epilogue: Epilogue<'_>) {
        let [n, h, w, _] = target.shape();
        let grid = [h.div_ceil(self.scheme.tile[0]), w.div_ceil(self.scheme.tile[1])];
        let tiles = n * grid[0] * grid[1];
        let panels = self.products[0].count();
        if tiles == 0 {
            return;
        }
        let wanted = TASKS_PER_THREAD * share::threads();
        let rows = self.isa.tile()[0];
        let strips = tiles.div_ceil(rows);
        let whole = (TRANSFORMED / (self.products.len() * self.blocks * LANES * rows)).max(1);
        let runs = strips.div_ceil(whole).max(wanted.min(strips));
        let groups = wanted.div_ceil(runs).min(panels);
        let part = |index: usize, parts: usize, whole: usize| {
            index * whole / parts..(index + 1) * whole / parts
        };
        share::tasks(runs * groups, |task| {
            let strips = part(task / groups, runs, strips);
            let block = Block {
                conv: self,
                input,
                target,
                grid,
                epilogue,
                tiles: strips.start * rows..(strips.end * rows).min(tiles),
                panels: part(task % groups, groups, panels),
            };
            match (self.scheme.points, self.scheme.tile) {
                ([6, 6], [4, 4]) => self.isa.run(block.with::<Square<Points<6>, 6, 4>>()),
                ([7, 7], [3, 3]) => self.isa.run(block.with::<Square<Strided, 7, 3>>()),
                ([8, 8], [4, 4]) => self.isa.run(block.with::<Square<Points<8>, 8, 4>>()),
                ([6, 1], [4, 1]) => self.isa.run(block.with::<Rows<6, 4>>()),
                ([1, 6], [1, 4]) => self.isa.run(block.with::<Columns<6, 4>>()),
                ([12, 1], [6, 1]) => self.isa.run(block.with::<Rows<12, 6>>()),
                ([1, 12], [1, 6]) => self.isa.run(block.with::<Columns<12, 6>>()),
                (points, tile) => unreachable!("no transform of {points:?} points to {tile:?}"),
            }
        });
    }
}

/// Some tiles by some panels: one unit of work of a thread.
#[derive(Clone)]
struct Block<'a> {
    conv: &'a Winograd,
    input: Map<'a>,
    target: Target<'a>,
    grid: [usize; 2],
    epilogue: Epilogue<'a>,
    tiles: Range<usize>,
    panels: Range<usize>,
}

/// The output pixels of a tile: the first one, and how many rows and columns lie in the map.
#[derive(Clone, Copy)]
struct Place {
    pixel: usize,
    size: [usize; 2],
}

/// A [`Block`] with its transform.
struct Task<'a, T> {
    block: Block<'a>,
    transform: PhantomData<T>,
}

impl<'a> Block<'a> {
    fn with<T: Transform>(self) -> Task<'a, T> {
        Task { block: self, transform: PhantomData }
    }

    /// Image and first output row and column of a tile.
    #[inline(always)]
    fn corner(&self, tile: usize) -> (usize, [usize; 2]) {
        let [h, w] = self.grid;
        let [rows, columns] = self.conv.scheme.tile;
        (tile / (h * w), [tile / w % h * rows, tile % w * columns])
    }
}

impl<T: Transform> Job for Task<'_, T> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Block { conv, ref tiles, ref panels, .. } = self.block;
        let (blocks, depth) = (conv.blocks, conv.blocks * LANES);
        let rows = tiles.len().next_multiple_of(S::ROWS);
        let width = conv.products[0].width();
        // Values of one point: transformed input, `[strip][block][ROWS][16]`, and products.
        let (inputs, products) = (rows * depth, rows * width);
        let places: Vec<_> = tiles.clone().map(|tile| self.place(tile)).collect();
        let mut scratch = Scratch::take();
        let [transformed, sums] = scratch.split([T::POINTS * inputs, T::POINTS * products]);
        for (index, tile) in tiles.clone().enumerate() {
            let (strip, row) = (index / S::ROWS, index % S::ROWS);
            let start = (strip * blocks * S::ROWS + row) * LANES;
            self.analyse(simd, tile, &mut transformed[start..], inputs);
        }
        for index in panels.clone() {
            for (point, weights) in conv.products.iter().enumerate() {
                let panel = weights.panel(index);
                let next = match conv.products.get(point + 1) {
                    Some(weights) => weights.panel(index),
                    None if index + 1 < panels.end => conv.products[0].panel(index + 1),
                    None => conv.products[0].panel(panels.start),
                };
                for (strip, first) in (0..tiles.len()).step_by(S::ROWS).enumerate() {
                    let ahead = next.ahead(0..blocks, strip);
                    let strip = &transformed[point * inputs + first * depth..];
                    let sums = &mut sums[point * products + first * width..];
                    assert!(strip.len() >= S::ROWS * depth);
                    assert!(sums.len() >= S::ROWS * width);
                    let product = Product {
                        strip: strip.as_ptr(),
                        step: 0,
                        panel: panel.data.as_ptr(),
                        blocks,
                        sums: sums.as_mut_ptr(),
                        pitch: width,
                        ahead,
                        accumulate: false,
                    };
                    let rows = (tiles.len() - first).min(S::ROWS);
                    // SAFETY: strip and sums contain ROWS rows, as asserted; the panel contains
                    // all blocks of the depth.
                    unsafe { simd.product(rows, panel.vectors, product) };
                }
            }
            let first = index * width;
            for (row, &place) in places.iter().enumerate() {
                for channel in (first..(first + width).min(conv.outputs)).step_by(LANES) {
                    let sums = &sums[row * width + channel - first..];
                    self.synthesise(simd, place, channel, sums, products);
                }
            }
        }
    }
}

impl<T: Transform> Task<'_, T> {
    /// Transforms the input of a tile; the values of a point lie `pitch` floats apart.
    #[inline(always)]
    fn analyse<S: Simd>(&self, simd: S, tile: usize, to: &mut [f32], pitch: usize) {
        let Block { conv, input, .. } = self.block;
        let inputs = input.shape()[3];
        let sources = self.sources(tile);
        let (whole, rest) = (inputs / LANES, inputs % LANES);
        let place = |block: usize| block * S::ROWS * LANES;
        assert!(to.len() >= (T::POINTS - 1) * pitch + place(conv.blocks - 1) + LANES);
        let step = T::TILE[1] * T::STRIDE;
        let next = step * input.stride();
        for block in 0..whole {
            // The pixels that the next tile reads and this one does not.
            for (point, source) in sources.iter().enumerate().take(T::POINTS) {
                if point % T::AXES[1] >= T::AXES[1] - step {
                    simd.prefetch(source.wrapping_add(next + block * LANES));
                }
            }
            // SAFETY: each source contains `inputs` values, of which the vector `block` is one; the
            // place of each point lies in `to`, as asserted.
            unsafe {
                let to = to.as_mut_ptr().add(place(block));
                T::analyse(simd, &sources, block * LANES, to, pitch);
            }
        }
        if rest > 0 {
            let mut last = [[0.0; LANES]; POINTS];
            for (line, source) in last.iter_mut().zip(sources).take(T::POINTS) {
                // SAFETY: each source contains `inputs` values, the last of which are these.
                unsafe {
                    let source = source.add(whole * LANES);
                    line.as_mut_ptr().copy_from_nonoverlapping(source, rest);
                }
            }
            let sources = last.each_ref().map(|line| line.as_ptr());
            // SAFETY: each source is a vector; the place of each point lies in `to`, as asserted.
            unsafe { T::analyse(simd, &sources, 0, to.as_mut_ptr().add(place(whole)), pitch) };
        }
    }

    /// The first input of each pixel that a tile reads, zeros beyond the edge of the map.
    #[inline(always)]
    fn sources(&self, tile: usize) -> [*const f32; POINTS] {
        let Block { conv, input, .. } = self.block;
        let [n, h, w, inputs] = input.shape();
        let (image, [y, x]) = self.block.corner(tile);
        assert!(image < n);
        let top = (y * T::STRIDE).wrapping_add_signed(conv.first[0]);
        let left = (x * T::STRIDE).wrapping_add_signed(conv.first[1]);
        let mut sources = [conv.zeros[..inputs].as_ptr(); POINTS];
        for row in 0..T::AXES[0] {
            let y = top.wrapping_add(row);
            // The pixels of a row that lies in the map; beyond its ends they are not read.
            let line = (image * h + y.min(h)) * w * input.stride();
            let line = input.data().as_ptr().wrapping_add(line);
            for column in 0..T::AXES[1] {
                let x = left.wrapping_add(column);
                if y < h && x < w {
                    sources[row * T::AXES[1] + column] = line.wrapping_add(x * input.stride());
                }
            }
        }
        sources
    }

    /// Writes the outputs of a tile from `channel` on; the products of a point lie `pitch` apart.
    #[inline(always)]
    fn synthesise<S: Simd>(
        &self,
        simd: S,
        place: Place,
        channel: usize,
        sums: &[f32],
        pitch: usize,
    ) {
        let Block { conv, target, epilogue, .. } = self.block;
        let rest = (conv.outputs - channel).min(LANES);
        assert!(sums.len() >= (T::POINTS - 1) * pitch + LANES);
        let mut outputs = [simd.splat(0.0); OUTPUTS];
        // SAFETY: the products of each point lie in `sums`, as asserted.
        unsafe { T::synthesise(simd, sums.as_ptr(), pitch, &mut outputs) };
        let width = target.shape()[2];
        let ([rows, columns], [height, across]) = (T::TILE, place.size);
        if let Some(plain) = epilogue.plain(simd, channel)
            && place.size == T::TILE
            && rest == LANES
        {
            let first = target.pixel(place.pixel, channel);
            // The last one is checked, and the others lie before it.
            let _ = target.pixel(place.pixel + (rows - 1) * width + columns - 1, channel);
            for (index, &value) in outputs.iter().enumerate().take(rows * columns) {
                let pixels = index / columns * width + index % columns;
                // SAFETY: the pixel lies in the map and has a vector of channels from `channel` on,
                // which this task alone writes: tiles and panels are divided among tasks.
                unsafe { simd.write(plain.end(simd, value), first.add(pixels * target.stride())) };
            }
            return;
        }
        // Indexed at run time, so in memory: with a copy the values above stay in registers.
        let edge = outputs;
        for y in 0..height {
            for x in 0..across {
                let pixel = place.pixel + y * width + x;
                let value = epilogue.end(simd, edge[y * columns + x], channel, rest, pixel);
                // SAFETY: as above, for `rest` channels.
                unsafe { write_part(simd, value, rest, target.pixel(pixel, channel)) };
            }
        }
    }

    /// The output pixels of a tile.
    fn place(&self, tile: usize) -> Place {
        let target = self.block.target;
        let [_, h, w, _] = target.shape();
        let (image, [y, x]) = self.block.corner(tile);
        let size = [(h - y).min(T::TILE[0]), (w - x).min(T::TILE[1])];
        Place { pixel: target.index(image, y, x), size }
    }
}
