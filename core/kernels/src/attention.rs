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
    let c = input.shape()[3];
    assert!(heads > 0 && c.is_multiple_of(3 * heads), "{c} channels of {heads} heads");
    let parts = [0, 1, 2].map(|part| input.channels(part * c / 3..(part + 1) * c / 3));
    let scale = 1.0 / ((c / 3 / heads) as f32).sqrt();
    attend_with(parts, heads, scale, output, isa);
}

/// `softmax(scale Q K^T) V` of each head, for maps of queries, keys and values.
///
/// Keys and values have the same pixels; those of the queries may be others. A channel of a head of
/// the queries has one of the keys; values have as many channels as the output. With fewer rows than
/// the queries it is that of the tokens in the first rows alone.
///
/// # Panics
/// If sizes or the number of images do not fit, or channels do not divide into `heads`.
pub fn attend(parts: [Map<'_>; 3], heads: usize, scale: f32, output: MapMut<'_>) {
    attend_with(parts, heads, scale, output, Isa::best());
}

/// As [`attend`], on a given instruction set.
///
/// # Panics
/// As [`attend`], and if the processor lacks `isa`.
pub fn attend_with(parts: [Map<'_>; 3], heads: usize, scale: f32, output: MapMut<'_>, isa: Isa) {
    let [[n, h, w, c], keys, values] = parts.map(|part| part.shape());
    let rows = output.shape()[1];
    assert!(rows <= h, "{rows} rows of {h}");
    assert_eq!(keys, [n, keys[1], keys[2], c], "keys for the queries");
    assert_eq!(values[..3], keys[..3], "a value for each key");
    assert_eq!(output.shape(), [n, rows, w, values[3]], "output shape");
    let divides = |channels: usize| heads > 0 && channels.is_multiple_of(heads);
    assert!(divides(c) && divides(values[3]), "{c} and {} channels of {heads} heads", values[3]);
    let queries = rows * w;
    if n * queries * values[3] == 0 {
        return;
    }
    let strips = queries.div_ceil(isa.tile()[0]);
    let wanted = TASKS_PER_THREAD * share::threads();
    let pieces = wanted.div_ceil(n * heads).min(strips);
    let target = Target::new(output);
    share::tasks(n * heads * pieces, |task| {
        let (place, piece) = (task / pieces, task % pieces);
        let rows = isa.tile()[0];
        let strips = piece * strips / pieces..(piece + 1) * strips / pieces;
        isa.run(Head {
            parts,
            target,
            image: place / heads,
            tokens: keys[1] * keys[2],
            queries,
            index: place % heads,
            size: c / heads,
            value_size: values[3] / heads,
            scale,
            rows: strips.start * rows..(strips.end * rows).min(queries),
        });
    });
}

/// Places of the maps of queries, keys and values.
const QUERIES: usize = 0;
const KEYS: usize = 1;
const VALUES: usize = 2;

/// Some rows of one head of one image.
struct Head<'a> {
    /// Queries, keys and values.
    parts: [Map<'a>; 3],
    target: Target<'a>,
    image: usize,
    /// Keys of an image.
    tokens: usize,
    /// Queries of an image for which there is an output.
    queries: usize,
    /// Which of the heads.
    index: usize,
    /// Channels of a query and of a key of a head.
    size: usize,
    /// Channels of a value of a head.
    value_size: usize,
    scale: f32,
    rows: Range<usize>,
}

impl Job for Head<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let depth = self.size.next_multiple_of(LANES);
        let width = self.value_size.next_multiple_of(LANES);
        let columns = self.tokens.next_multiple_of(LANES);
        let mut scratch = Scratch::take();
        let [keys, values, query, scores, weights, sums] = scratch.split([
            depth * columns,
            columns * width,
            S::ROWS * depth,
            S::ROWS * columns,
            S::ROWS * columns,
            S::ROWS * width,
        ]);
        self.pack_keys(S::VECTORS, [depth, columns], keys);
        self.pack_values(S::VECTORS, [columns, width], values);
        let scale = simd.splat(self.scale);
        for first in self.rows.clone().step_by(S::ROWS) {
            let rows = (self.rows.end - first).min(S::ROWS);
            for row in 0..rows {
                let (query, _) = query[row * LANES..].as_chunks_mut::<LANES>();
                let parts = self.channels(first + row, QUERIES).chunks(LANES);
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
            // SAFETY: as above, with `columns` for the depth and `width` for the columns.
            unsafe { multiply(simd, rows, [columns, width], weights, values, sums) };
            for (row, total) in totals.iter().enumerate().take(rows) {
                let factor = simd.splat(1.0 / total);
                let pixel = self.image * self.queries + first + row;
                for at in (0..self.value_size).step_by(LANES) {
                    let count = (self.value_size - at).min(LANES);
                    let out = self.target.pixel(pixel, self.index * self.value_size + at);
                    let (sums, _) = sums[row * width + at..].as_chunks::<LANES>();
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
    /// The channels of a token in one of the maps.
    #[inline(always)]
    fn channels(&self, token: usize, part: usize) -> &[f32] {
        let map = &self.parts[part];
        let [_, h, w, _] = map.shape();
        let size = if part == VALUES { self.value_size } else { self.size };
        &map.pixel(self.image * h * w + token)[self.index * size..(self.index + 1) * size]
    }

    /// `K^T` as panels of `depth x columns`.
    #[inline(always)]
    fn pack_keys(&self, vectors: usize, [depth, columns]: [usize; 2], to: &mut [f32]) {
        to.fill(0.0);
        for token in 0..self.tokens {
            let (start, width) = column(vectors, [depth, columns], token);
            let places = to[start..].iter_mut().step_by(width);
            places.zip(self.channels(token, KEYS)).for_each(|(to, &value)| *to = value);
        }
    }

    /// `V` as panels of `depth x columns`.
    #[inline(always)]
    fn pack_values(&self, vectors: usize, [depth, columns]: [usize; 2], to: &mut [f32]) {
        to.fill(0.0);
        for token in 0..self.tokens {
            for (at, part) in
                (0..self.value_size).step_by(LANES).zip(self.channels(token, VALUES).chunks(LANES))
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
                step: 0,
                panel: panels.as_ptr().add(first * depth),
                blocks: depth / LANES,
                sums: sums.as_mut_ptr().add(first),
                pitch: columns,
                ahead: panels.as_ptr(),
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
