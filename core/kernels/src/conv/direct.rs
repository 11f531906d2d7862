//! Direct convolution as a matrix product whose left side is gathered strip by strip.
//!
//! The rows of the left matrix are output pixels, its columns the inputs of all kernel taps. A
//! strip of it, as many rows as the register tile has, is copied from the map into the cache of
//! the core just before use; the whole matrix never exists. Where the rows are pixels of the map, as
//! in a layer of one tap, most strips are read where they lie. Dukhan, "The Indirect Convolution
//! Algorithm", 2019, <https://arxiv.org/abs/1907.02129>, avoids the copy everywhere; here it costs one
//! store per 28 multiply-adds and panel, and gives the innermost loop a single base address.

use std::ops::Range;

use crate::conv::epilogue::Epilogue;
use crate::conv::target::{Grid, Target};
use crate::map::CROWDED;
use crate::panels::Panels;
use crate::scratch::Scratch;
use crate::simd::{Isa, Job, LANES, Product, Simd, read_part};
use crate::{Map, share};

/// Blocks of the depth in one pass: a strip of 14 rows takes 14 KB of the 32 KB first-level cache.
const PASS: usize = 16;
/// Strips in a task: the weights of a pass are read once per strip from the second-level cache.
const STRIPS: usize = 8;
/// Outputs in a task at most: their weights of one pass take 448 KB of the second-level cache.
const OUTPUTS: usize = 448;
/// Tasks per thread wanted, so that the last ones end together.
const TASKS_PER_THREAD: usize = 4;

/// A dense convolution without padding of its own: a list of taps.
#[derive(Clone, Debug)]
pub(crate) struct Direct {
    isa: Isa,
    panels: Panels,
    /// The input pixel of a tap, relative to `step` times the output pixel.
    taps: Vec<[isize; 2]>,
    /// How many taps from each one on are neighbors in a row.
    runs: Vec<usize>,
    step: [usize; 2],
}

impl Direct {
    /// Packs `weight(tap, input, output)`.
    pub(crate) fn new(
        isa: Isa,
        [inputs, outputs]: [usize; 2],
        taps: Vec<[isize; 2]>,
        step: [usize; 2],
        weight: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        let panels = Panels::new(isa, taps.len() * inputs, outputs, |k, o| {
            weight(k / inputs, k % inputs, o)
        });
        let next = |[a, b]: &[[isize; 2]; 2]| a[0] == b[0] && a[1] + 1 == b[1];
        let mut runs = vec![1; taps.len()];
        for tap in (1..taps.len()).rev() {
            if next(&[taps[tap - 1], taps[tap]]) {
                runs[tap - 1] += runs[tap];
            }
        }
        Self { isa, panels, taps, runs, step }
    }

    /// Writes the parts of the outputs, the pixels of `grid` of each.
    ///
    /// # Safety
    /// Nobody else may access those values during the call, and no two parts may contain the same.
    pub(crate) unsafe fn run(&self, input: Map<'_>, grid: Grid, parts: &[Part<'_>]) {
        let pixels = input.shape()[0] * grid.size[0] * grid.size[1];
        let panels = self.panels.count();
        if pixels == 0 || panels == 0 {
            return;
        }
        let wanted = TASKS_PER_THREAD * share::threads();
        let strips = pixels.div_ceil(self.isa.tile()[0]);
        let runs = strips.div_ceil(STRIPS).max(wanted.min(strips.div_ceil(2)));
        let groups = wanted.div_ceil(runs).max(self.panels.outputs().div_ceil(OUTPUTS)).min(panels);
        let part = |index: usize, parts: usize, whole: usize| {
            index * whole / parts..(index + 1) * whole / parts
        };
        share::tasks(runs * groups, |task| {
            let strips = part(task / groups, runs, strips);
            let rows = self.isa.tile()[0];
            self.isa.run(Block {
                conv: self,
                input,
                grid,
                parts,
                pixels: strips.start * rows..(strips.end * rows).min(pixels),
                panels: part(task % groups, groups, panels),
            });
        });
    }
}

/// Where some of the outputs go.
#[derive(Clone)]
pub(crate) struct Part<'a> {
    pub(crate) columns: Range<usize>,
    pub(crate) target: Target<'a>,
    /// The channel of the target for the first column.
    pub(crate) first: usize,
    pub(crate) epilogue: Epilogue<'a>,
}

/// Some output pixels by some panels: one unit of work of a thread.
struct Block<'a> {
    conv: &'a Direct,
    input: Map<'a>,
    grid: Grid,
    parts: &'a [Part<'a>],
    pixels: Range<usize>,
    panels: Range<usize>,
}

impl Job for Block<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let panels = &self.conv.panels;
        let columns = self.panels.start * panels.width()
            ..(self.panels.end * panels.width()).min(panels.outputs());
        let pitch = columns.len().next_multiple_of(LANES);
        let rows = self.pixels.len().next_multiple_of(S::ROWS);
        let pass = panels.blocks().min(PASS);
        let mut scratch = Scratch::take();
        // A part may end within a vector, which is read as a whole.
        let [strip, sums] = scratch.split([pass * S::ROWS * LANES, rows * pitch + LANES]);
        if panels.blocks() == 0 {
            sums.fill(0.0);
        }
        let in_place = self.is_in_place();
        for start in (0..panels.blocks()).step_by(PASS) {
            let blocks = start..(start + PASS).min(panels.blocks());
            let next = match blocks.end {
                end if end < panels.blocks() => end..(end + PASS).min(panels.blocks()),
                _ => 0..pass,
            };
            for (index, first) in self.pixels.clone().step_by(S::ROWS).enumerate() {
                let pixels = first..(first + S::ROWS).min(self.pixels.end);
                let sums = &mut sums[index * S::ROWS * pitch..];
                let pass = Pass { blocks: blocks.clone(), next: next.clone(), strip: index };
                let (rows, step) = if in_place && pixels.len() == S::ROWS {
                    (self.rows_in_place(simd, first, blocks.clone()), self.input.stride())
                } else {
                    self.gather(simd, pixels.clone(), blocks.clone(), strip);
                    (&*strip, 0)
                };
                self.multiply(simd, pixels.len(), pass, (rows, step), sums, pitch);
            }
        }
        for Part { columns: own, target, first, epilogue } in self.parts {
            let here = own.start.max(columns.start)..own.end.min(columns.end);
            if here.is_empty() {
                continue;
            }
            let channel = first + here.start - own.start;
            for (index, place) in self.places(self.pixels.clone()).enumerate() {
                let [image, y, x] = place;
                let [y, x] = [
                    self.grid.first[0] + y * self.grid.step[0],
                    self.grid.first[1] + x * self.grid.step[1],
                ];
                let pixel = target.index(image, y, x);
                let sums = &sums[index * pitch + here.start - columns.start..];
                assert!(sums.len() >= here.len().next_multiple_of(LANES));
                let out = target.pixel(pixel, channel);
                // SAFETY: `sums` contains the vectors of this pixel, as asserted; `out` is the
                // pixel's place from `channel` on, which this task alone writes, as the caller of
                // `Direct::run` promises and the division into tasks keeps.
                unsafe { epilogue.finish(simd, sums.as_ptr(), here.len(), channel, pixel, out) };
            }
        }
    }
}

impl Block<'_> {
    /// Image, row and column of each of some pixels of the grid.
    #[inline(always)]
    fn places(&self, pixels: Range<usize>) -> impl Iterator<Item = [usize; 3]> + use<> {
        let [h, w] = self.grid.size;
        let first = pixels.start;
        let mut next = [first / (h * w), first / w % h, first % w];
        pixels.map(move |_| {
            let place = next;
            next[2] += 1;
            if next[2] == w {
                next = [next[0], next[1] + 1, 0];
            }
            if next[1] == h {
                next = [next[0] + 1, 0, 0];
            }
            place
        })
    }

    /// Whether strips of whole rows need no copy: each row is a pixel of the map, in the order of
    /// the map, and rows do not displace each other in the first-level cache.
    fn is_in_place(&self) -> bool {
        let Self { conv, input, grid, .. } = self;
        let [_, h, w, inputs] = input.shape();
        let same = conv.taps == [[0, 0]] && conv.step == [1, 1] && grid.size == [h, w];
        same && inputs.is_multiple_of(LANES) && !input.stride().is_multiple_of(CROWDED)
    }

    /// The values of the map from the first of some blocks of pixel `first` on. Those of the next
    /// strip are asked for.
    #[inline(always)]
    fn rows_in_place<S: Simd>(&self, simd: S, first: usize, blocks: Range<usize>) -> &[f32] {
        let stride = self.input.stride();
        let rows = &self.input.data()[first * stride + blocks.start * LANES..];
        for row in S::ROWS..2 * S::ROWS {
            for block in 0..blocks.len() {
                simd.prefetch_far(rows.as_ptr().wrapping_add(row * stride + block * LANES));
            }
        }
        rows
    }

    /// Copies the inputs of some pixels for some blocks of the depth, `[block][ROWS][16]`.
    #[inline(always)]
    fn gather<S: Simd>(
        &self,
        simd: S,
        pixels: Range<usize>,
        blocks: Range<usize>,
        strip: &mut [f32],
    ) {
        let conv = self.conv;
        let [_, h, w, inputs] = self.input.shape();
        let whole = inputs.is_multiple_of(LANES);
        let depth = blocks.start * LANES..(blocks.end * LANES).min(conv.taps.len() * inputs);
        if depth.is_empty() {
            return;
        }
        let first = (depth.start / inputs, depth.start % inputs);
        // Where pixels are dense, the taps of a row that lies inside are one run of values.
        let merge = !whole && self.input.stride() == inputs;
        let ahead = S::ROWS * conv.step[1] * self.input.stride();
        let mut line = [0.0; (PASS + 1) * LANES];
        for (row, [image, y, x]) in self.places(pixels).enumerate() {
            let (mut k, (mut tap, mut channel)) = (depth.start, first);
            while k < depth.end {
                let [dy, dx] = conv.taps[tap];
                let y = (y * conv.step[0]).wrapping_add_signed(dy);
                let x = (x * conv.step[1]).wrapping_add_signed(dx);
                let inside = y < h && x < w;
                let run = if merge && inside { conv.runs[tap].min(w - x) } else { 1 };
                let count = (run * inputs - channel).min(depth.end - k);
                let source = if inside {
                    let start = ((image * h + y) * w + x) * self.input.stride() + channel;
                    &self.input.data()[start..]
                } else {
                    &[]
                };
                if whole {
                    let lines = &mut strip[((k - depth.start) / LANES * S::ROWS + row) * LANES..];
                    copy_lines(simd, source, count / LANES, lines, ahead);
                } else {
                    copy_run(simd, source, count, &mut line[k - depth.start..]);
                }
                (k, tap, channel) = (k + count, tap + run, 0);
            }
            if !whole {
                line[depth.len()..blocks.len() * LANES].fill(0.0);
                copy_lines(simd, &line, blocks.len(), &mut strip[row * LANES..], 0);
            }
        }
    }

    /// Multiplies a strip by all panels of the task: a copy, or whole rows in place that lie `step`
    /// floats apart.
    #[inline(always)]
    fn multiply<S: Simd>(
        &self,
        simd: S,
        rows: usize,
        Pass { blocks, next, strip: place }: Pass,
        (strip, step): (&[f32], usize),
        sums: &mut [f32],
        pitch: usize,
    ) {
        let needed = match step {
            0 => blocks.len() * S::ROWS * LANES,
            _ => (S::ROWS - 1) * step + blocks.len() * LANES,
        };
        assert!(strip.len() >= needed && (step == 0 || rows == S::ROWS));
        assert!(sums.len() >= S::ROWS * pitch);
        let panels = &self.conv.panels;
        for (index, panel) in self.panels.clone().map(|index| panels.panel(index)).enumerate() {
            let weights = &panel.data[blocks.start * LANES * panel.vectors * LANES..];
            assert!(weights.len() >= blocks.len() * LANES * panel.vectors * LANES);
            // SAFETY: strip, weights and sums contain the blocks, rows and columns of the tile, as
            // the assertions above restate.
            unsafe {
                let product = Product {
                    strip: strip.as_ptr(),
                    step,
                    panel: weights.as_ptr(),
                    blocks: blocks.len(),
                    sums: sums.as_mut_ptr().add(index * panels.width()),
                    pitch,
                    ahead: panel.ahead(next.clone(), place),
                    accumulate: blocks.start > 0,
                };
                simd.product(rows, panel.vectors, product);
            }
        }
    }
}

/// One strip of one pass.
struct Pass {
    /// Its blocks of the depth.
    blocks: Range<usize>,
    /// Those of the next pass.
    next: Range<usize>,
    /// The strip's place in its task.
    strip: usize,
}

/// Copies `count` vectors, zeros where `source` is empty, to every `ROWS`-th vector of `lines`.
///
/// The cache lines `ahead` floats further are asked for: the next strip needs them.
#[inline(always)]
fn copy_lines<S: Simd>(simd: S, source: &[f32], count: usize, lines: &mut [f32], ahead: usize) {
    let (lines, _) = lines.as_chunks_mut::<LANES>();
    let lines = lines.iter_mut().step_by(S::ROWS).take(count);
    if source.is_empty() {
        for line in lines {
            simd.store(simd.splat(0.0), line);
        }
        return;
    }
    for (line, values) in lines.zip(source.as_chunks::<LANES>().0) {
        simd.prefetch(values.as_ptr().wrapping_add(ahead));
        simd.store(simd.load(values), line);
    }
}

/// Copies `count` values, zeros where `source` is empty; up to fifteen more may be overwritten.
#[inline(always)]
fn copy_run<S: Simd>(simd: S, source: &[f32], count: usize, to: &mut [f32]) {
    for at in (0..count).step_by(LANES) {
        let to = to[at..].first_chunk_mut().expect("a vector follows the last value");
        let value = match source.get(at..) {
            Some(source) => match source.first_chunk() {
                Some(whole) => simd.load(whole),
                None => read_part(simd, source),
            },
            None => simd.splat(0.0),
        };
        simd.store(value, to);
    }
}
