//! Attention of all tokens of an image to all others.
//!
//! Vaswani et al., "Attention Is All You Need", 2017, <https://arxiv.org/abs/1706.03762>. Keys and
//! values of a head are packed once as panels; then as many rows of scores as the register tile has
//! are computed, turned into weights, and multiplied by the values, so that no square matrix of
//! scores exists.

use std::ops::Range;

use crate::conv::{Target, write_part};
use crate::math::exp;
use crate::scratch::Scratch;
use crate::simd::{Isa, Job, LANES, Product, Simd, fold_lanes, read_part, sum_of_lanes};
use crate::{Map, MapMut, share};

/// Tasks per thread wanted, so that the last ones end together; those of a head pack its keys each.
const TASKS_PER_THREAD: usize = 2;

/// `softmax(Q K^T / sqrt(size)) V` of each head: the pixels of an image are its tokens.
///
/// The channels of `input` are queries, keys and values, `3 heads size` of them, those of one head
/// side by side; the output has `heads size`. With fewer rows than the input it is that of the
/// tokens in the first rows alone.
///
/// # Panics
/// If the channels of the input do not divide into three times `heads`, or the output has not a
/// third of them, or more rows, or another width.
pub fn attention(input: Map<'_>, heads: usize, output: MapMut<'_>) {
    attention_with(input, heads, output, Isa::best());
}

/// As [`attention`], on a given instruction set.
///
/// # Panics
/// As [`attention`], and if the processor lacks `isa`.
pub fn attention_with(input: Map<'_>, heads: usize, output: MapMut<'_>, isa: Isa) {
    let [n, h, w, c] = input.shape();
    assert!(heads > 0 && c.is_multiple_of(3 * heads), "{c} channels of {heads} heads");
    let rows = output.shape()[1];
    assert!(rows <= h, "{rows} rows of {h}");
    assert_eq!(output.shape(), [n, rows, w, c / 3], "output shape");
    let (tokens, queries, size) = (h * w, rows * w, c / 3 / heads);
    if n * queries * size == 0 {
        return;
    }
    let strips = queries.div_ceil(isa.tile()[0]);
    let wanted = TASKS_PER_THREAD * share::threads();
    let parts = wanted.div_ceil(n * heads).min(strips);
    let target = Target::new(output);
    share::tasks(n * heads * parts, |task| {
        let (place, part) = (task / parts, task % parts);
        let rows = isa.tile()[0];
        let strips = part * strips / parts..(part + 1) * strips / parts;
        isa.run(Head {
            input,
            target,
            image: place / heads,
            tokens,
            queries,
            index: place % heads,
            heads,
            size,
            rows: strips.start * rows..(strips.end * rows).min(queries),
        });
    });
}

/// Some rows of one head of one image.
struct Head<'a> {
    input: Map<'a>,
    target: Target<'a>,
    image: usize,
    /// Tokens of an image.
    tokens: usize,
    /// Those of them for which there is an output.
    queries: usize,
    /// Which of the heads.
    index: usize,
    heads: usize,
    /// Channels of a head.
    size: usize,
    rows: Range<usize>,
}

impl Job for Head<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let depth = self.size.next_multiple_of(LANES);
        let columns = self.tokens.next_multiple_of(LANES);
        let mut scratch = Scratch::take();
        let [keys, values, query, scores, weights, sums] = scratch.split([
            depth * columns,
            columns * depth,
            S::ROWS * depth,
            S::ROWS * columns,
            S::ROWS * columns,
            S::ROWS * depth,
        ]);
        self.pack_keys(S::VECTORS, [depth, columns], keys);
        self.pack_values(S::VECTORS, [columns, depth], values);
        let scale = simd.splat(1.0 / (self.size as f32).sqrt());
        for first in self.rows.clone().step_by(S::ROWS) {
            let rows = (self.rows.end - first).min(S::ROWS);
            for row in 0..rows {
                let (query, _) = query[row * LANES..].as_chunks_mut::<LANES>();
                let parts = self.channels(first + row, 0).chunks(LANES);
                for (part, to) in parts.zip(query.iter_mut().step_by(S::ROWS)) {
                    simd.store(simd.mul(read_part(simd, part), scale), to);
                }
            }
            // SAFETY: the strip contains `depth` and the panels `depth x columns` values; `scores`
            // has `ROWS` rows of `columns`.
            unsafe { multiply(simd, rows, [depth, columns], query, keys, scores) };
            let mut totals = [0.0; MOST_ROWS];
            for (row, total) in totals.iter_mut().enumerate().take(rows) {
                let scores = &mut scores[row * columns..][..columns];
                *total = softmax(simd, scores, self.tokens, &mut weights[row * LANES..]);
            }
            // SAFETY: as above, with depth and columns exchanged.
            unsafe { multiply(simd, rows, [columns, depth], weights, values, sums) };
            for (row, total) in totals.iter().enumerate().take(rows) {
                let factor = simd.splat(1.0 / total);
                let pixel = self.image * self.queries + first + row;
                for at in (0..self.size).step_by(LANES) {
                    let count = (self.size - at).min(LANES);
                    let out = self.target.pixel(pixel, self.index * self.size + at);
                    let (sums, _) = sums[row * depth + at..].as_chunks::<LANES>();
                    // SAFETY: these channels of the pixel belong to this head and row alone, and
                    // `count` of them are left in the head.
                    unsafe { write_part(simd, simd.mul(simd.load(&sums[0]), factor), count, out) };
                }
            }
        }
    }
}

/// Rows of the largest tile.
const MOST_ROWS: usize = 16;

impl Head<'_> {
    /// Queries (0), keys (1) or values (2) of a token.
    #[inline(always)]
    fn channels(&self, token: usize, kind: usize) -> &[f32] {
        let start = (kind * self.heads + self.index) * self.size;
        &self.input.pixel(self.image * self.tokens + token)[start..start + self.size]
    }

    /// `K^T` as panels of `depth x columns`.
    #[inline(always)]
    fn pack_keys(&self, vectors: usize, [depth, columns]: [usize; 2], to: &mut [f32]) {
        to.fill(0.0);
        for token in 0..self.tokens {
            let (start, width) = column(vectors, [depth, columns], token);
            let places = to[start..].iter_mut().step_by(width);
            places.zip(self.channels(token, 1)).for_each(|(to, &value)| *to = value);
        }
    }

    /// `V` as panels of `depth x columns`.
    #[inline(always)]
    fn pack_values(&self, vectors: usize, [depth, columns]: [usize; 2], to: &mut [f32]) {
        to.fill(0.0);
        for token in 0..self.tokens {
            for (at, part) in
                (0..self.size).step_by(LANES).zip(self.channels(token, 2).chunks(LANES))
            {
                let (start, width) = column(vectors, [depth, columns], at);
                to[start + token * width..][..part.len()].copy_from_slice(part);
            }
        }
    }
}

/// The first value of a column of panels of `depth x columns`, and the distance to the next.
#[inline(always)]
fn column(vectors: usize, [depth, columns]: [usize; 2], column: usize) -> (usize, usize) {
    let first = column / (vectors * LANES) * (vectors * LANES);
    let width = (columns - first).min(vectors * LANES);
    (first * depth + column - first, width)
}

/// `sums = strip * panels`, for panels of `depth x columns`, both whole vectors.
///
/// # Safety
/// `strip` contains `ROWS x depth` values, `panels` `depth x columns`, `sums` `ROWS x columns`.
#[inline(always)]
unsafe fn multiply<S: Simd>(
    simd: S,
    rows: usize,
    [depth, columns]: [usize; 2],
    strip: &[f32],
    panels: &[f32],
    sums: &mut [f32],
) {
    assert!(strip.len() >= S::ROWS * depth && panels.len() >= depth * columns);
    assert!(sums.len() >= S::ROWS * columns);
    for first in (0..columns).step_by(S::VECTORS * LANES) {
        let vectors = ((columns - first) / LANES).min(S::VECTORS);
        // SAFETY: the panel at `first * depth` has `depth` rows of `vectors` vectors, as many
        // columns of `sums` follow at `first`; the caller promises the rest.
        unsafe {
            let product = Product {
                strip: strip.as_ptr(),
                panel: panels.as_ptr().add(first * depth),
                blocks: depth / LANES,
                sums: sums.as_mut_ptr().add(first),
                pitch: columns,
                accumulate: false,
            };
            simd.product(rows, vectors, product);
        }
    }
}

/// Writes `e^(score - largest score)` to every `ROWS`-th vector of `weights`; returns the sum.
#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [f32], tokens: usize, weights: &mut [f32]) -> f32 {
    scores[tokens..].fill(f32::NEG_INFINITY);
    let (scores, _) = scores.as_chunks::<LANES>();
    let mut largest = simd.splat(f32::NEG_INFINITY);
    for part in scores {
        largest = simd.larger(largest, simd.load(part));
    }
    let larger = |a: f32, b: f32| if a > b || a.is_nan() { a } else { b };
    let largest = simd.splat(fold_lanes(simd, largest, larger));
    let mut sum = simd.splat(0.0);
    let (weights, _) = weights.as_chunks_mut::<LANES>();
    for (part, to) in scores.iter().zip(weights.iter_mut().step_by(S::ROWS)) {
        let weight = exp(simd, simd.sub(simd.load(part), largest));
        sum = simd.add(sum, weight);
        simd.store(weight, to);
    }
    sum_of_lanes(simd, sum)
}
