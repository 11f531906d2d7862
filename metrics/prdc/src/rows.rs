//! Squared distances between rows: bounds from products of bytes or of float32, and exact values
//! in float64.

use std::ops::Range;
use std::sync::OnceLock;

use ganscope_kernels::{Activation, BytePanels, Linear};
use ganscope_stats::{Error, Features, Result};
use rayon::prelude::*;

use crate::screen::Screen;

/// Rows on a side of a tile: a multiple of the width of the kernel's panels on any machine, so that
/// none of its work is on padding.
pub(crate) const TILE: usize = 576;

/// Rows that are summed before their sums are added up, whatever the number of threads.
const ROWS_AT_ONCE: usize = 256;

/// Unit roundoff of float32.
const ROUNDOFF: f64 = 1.0 / (1 << 24) as f64;

/// Roundings of a distance besides those of its product, as parts of `|x|^2 + |y|^2`: of the centred
/// rows, of their squared lengths, of scales and errors, and of the terms of the sum.
const OTHER_ROUNDINGS: f64 = 64.0;

/// What products lose to underflow, with rows scaled to at most one.
const UNDERFLOW: f64 = 1e-30;

/// Powers of two that are normal float32 numbers, and their reciprocals too.
const LARGEST_POWER: f64 = 126.0;

/// Where rows are moved and scaled to before their products are taken, so that neither a common
/// offset nor a common factor costs digits.
#[derive(Debug)]
pub(crate) struct Frame {
    centre: Vec<f32>,
    /// A power of two.
    scale: f64,
}

impl Frame {
    /// The frame around all rows of `sets`.
    pub(crate) fn around(sets: &[&Features]) -> Self {
        let dim = sets[0].dim();
        let parts = |set: &Features| -> Vec<Vec<f64>> {
            set.as_slice().par_chunks(ROWS_AT_ONCE * dim).map(|rows| sum(rows, dim)).collect()
        };
        let parts: Vec<Vec<f64>> = sets.iter().flat_map(|set| parts(set)).collect();
        let total = sum(&parts.concat(), dim);
        let rows: usize = sets.iter().map(|set| set.len()).sum();
        let centre = total.iter().map(|sum| (sum / rows as f64) as f32).collect();
        let mut frame = Self { centre, scale: 1.0 };
        let longest = |set: &Features| frame.squares(set).into_iter().fold(0.0, f64::max);
        let longest = sets.iter().map(|set| longest(set)).fold(0.0, f64::max).sqrt();
        if longest > 0.0 {
            frame.scale = (-longest.log2().ceil()).clamp(-LARGEST_POWER, LARGEST_POWER).exp2();
        }
        frame
    }

    /// The squared length of each row in the frame.
    fn squares(&self, set: &Features) -> Vec<f64> {
        let scale = self.scale * self.scale;
        let rows = set.as_slice().par_chunks(set.dim());
        rows.map(|row| squared_distance(row, &self.centre) * scale).collect()
    }

    /// A row in the frame.
    fn place<'a>(&'a self, row: &'a [f32]) -> impl Iterator<Item = f64> + 'a {
        let differences = row.iter().zip(&self.centre).map(|(&x, &c)| f64::from(x) - f64::from(c));
        differences.map(|x| x * self.scale)
    }

    /// A row in the frame, in float32.
    fn place_f32(&self, row: &[f32], placed: &mut [f32]) {
        let scale = self.scale as f32;
        for ((placed, x), c) in placed.iter_mut().zip(row).zip(&self.centre) {
            *placed = x * scale - c * scale;
        }
    }

    /// A squared distance between rows of features, in the frame.
    fn squared(&self, distance: f64) -> f64 {
        distance * self.scale * self.scale
    }
}

/// The rows of a set in a [`Frame`].
///
/// The distance of rows `i` and `j` with product `p` lies between `low[i] + low[j] - 2 p` and
/// `high[i] + high[j] - 2 p`, whatever the order of summation: the product of `d` terms is off by
/// at most `d` roundings of `|x| |y|`, and `2 |x| |y| <= |x|^2 + |y|^2`.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) features: &'a Features,
    frame: &'a Frame,
    low: Vec<f32>,
    high: Vec<f32>,
    screen: Option<Screen>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(features: &'a Features, frame: &'a Frame) -> Self {
        let error = (features.dim() as f64 + OTHER_ROUNDINGS) * ROUNDOFF;
        let error = error / (1.0 - error);
        let squares = frame.squares(features);
        let bound = |factor: f64, slack: f64| {
            squares.iter().map(|square| (square * factor + slack) as f32).collect()
        };
        let (low, high) = (bound(1.0 - error, -UNDERFLOW), bound(1.0 + error, UNDERFLOW));
        let place = |row: usize, placed: &mut [f32]| frame.place_f32(features.row(row), placed);
        let screen = Screen::new(features.len(), features.dim(), place);
        Self { features, frame, low, high, screen }
    }

    pub(crate) fn len(&self) -> usize {
        self.features.len()
    }

    /// The ranges of rows that are taken at once.
    pub(crate) fn tiles(&self) -> Vec<Range<usize>> {
        (0..self.len()).step_by(TILE).map(|i| i..self.len().min(i + TILE)).collect()
    }

    /// The squared distance of a row to one of `other`, summed over exact differences.
    pub(crate) fn exact(&self, row: usize, other: &Self, column: usize) -> f64 {
        let (a, b) = (self.features.row(row), other.features.row(column));
        self.frame.squared(squared_distance(a, b))
    }

    /// Some rows in the frame, end to end.
    pub(crate) fn gather(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter().flat_map(|&row| self.frame.place(self.features.row(row))).collect()
    }

    fn place(&self, range: Range<usize>, placed: &mut Vec<f32>) {
        let dim = self.features.dim();
        placed.resize(range.len() * dim, 0.0);
        for (row, placed) in range.zip(placed.chunks_exact_mut(dim)) {
            self.frame.place_f32(self.features.row(row), placed);
        }
    }
}

/// The sum of rows laid end to end.
fn sum<T: Copy + Into<f64>>(rows: &[T], dim: usize) -> Vec<f64> {
    let mut sum = vec![0.0; dim];
    for row in rows.chunks_exact(dim) {
        for (sum, &x) in sum.iter_mut().zip(row) {
            *sum += x.into();
        }
    }
    sum
}

/// `|a - b|^2` in float64, the same for `a` and `b` exchanged.
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let (a_lanes, a_rest) = a.as_chunks::<8>();
    let (b_lanes, b_rest) = b.as_chunks::<8>();
    let square = |(&a, &b): (&f32, &f32)| (f64::from(a) - f64::from(b)).powi(2);
    let mut sums = [0.0; 8];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for (sum, pair) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += square(pair);
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(square).sum::<f64>()
}

/// A pair of rows whose distance may be within the reach of either.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Near {
    pub(crate) row: usize,
    pub(crate) column: usize,
    /// Bounds of the squared distance.
    pub(crate) low: f32,
    pub(crate) high: f32,
}

/// Rows of a set, tile by tile in the order in which products with them are computed.
#[derive(Debug)]
pub(crate) struct Packed<'a> {
    pub(crate) rows: &'a Rows<'a>,
    pub(crate) tiles: Vec<PackedTile>,
}

/// Some rows of a set, packed for products with others.
#[derive(Debug)]
pub(crate) struct PackedTile {
    pub(crate) range: Range<usize>,
    bytes: Option<BytePanels>,
    /// Packed when bytes cannot tell the pairs apart.
    floats: OnceLock<Linear>,
}

impl<'a> Packed<'a> {
    pub(crate) fn new(rows: &'a Rows<'a>) -> Self {
        let pack = |range: Range<usize>| {
            let bytes = rows.screen.as_ref().map(|screen| screen.pack(range.clone()));
            PackedTile { range, bytes, floats: OnceLock::new() }
        };
        Self { rows, tiles: rows.tiles().into_par_iter().map(pack).collect() }
    }

    fn floats(&self, tile: usize) -> &Linear {
        let PackedTile { range, floats, .. } = &self.tiles[tile];
        floats.get_or_init(|| {
            let mut placed = Vec::new();
            self.rows.place(range.clone(), &mut placed);
            let shape = [range.len(), self.rows.features.dim()];
            Linear::new(shape, &placed, None, Activation::None)
        })
    }
}

/// Buffers of one thread for the pairs of a tile.
#[derive(Debug, Default)]
pub(crate) struct Tile {
    placed: Vec<f32>,
    products: Vec<f32>,
    bytes: Vec<i32>,
    lows: Vec<f32>,
    near: Vec<Near>,
}

impl Tile {
    /// The pairs of a row of tile `tile` and a column in `range` whose lower bound is within the reach
    /// of the row or of the column: the squared distance up to which its pairs are of interest.
    pub(crate) fn near(
        &mut self,
        (packed, tile, row_reach): (&Packed<'_>, usize, &[f32]),
        (columns, range, column_reach): (&Rows<'_>, Range<usize>, &[f32]),
    ) -> &[Near] {
        let rows = (packed.rows, &packed.tiles[tile], row_reach);
        let columns = (columns, range, column_reach);
        if !self.near_in_bytes(rows, &columns) {
            self.near_in_floats(packed.floats(tile), rows, &columns);
        }
        &self.near
    }

    /// Finds pairs by products of bytes. Returns whether they are few.
    fn near_in_bytes(
        &mut self,
        (rows, PackedTile { range: a, bytes, .. }, row_reach): (&Rows<'_>, &PackedTile, &[f32]),
        (columns, range, column_reach): &(&Rows<'_>, Range<usize>, &[f32]),
    ) -> bool {
        let (Some(bytes), Some(r), Some(c)) = (bytes, &rows.screen, &columns.screen) else {
            return false;
        };
        self.near.clear();
        self.lows.resize(a.len(), 0.0);
        self.bytes.resize(a.len() * range.len(), 0);
        c.products(bytes, range.clone(), &mut self.bytes);
        let (low, high) = (&rows.low[a.clone()], &rows.high[a.clone()]);
        let [scale, length, error] = [&r.scale, &r.length, &r.error].map(|of| &of[a.clone()]);
        for ((products, column), &reach) in
            self.bytes.chunks_exact(a.len()).zip(range.clone()).zip(*column_reach)
        {
            let [factor, c_length, c_error] =
                [&c.scale, &c.length, &c.error].map(|of| 2.0 * of[column]);
            let product = |q: i32, scale: f32| q as f32 * scale * factor;
            let margin = |length: f32, error: f32| length * c_error + error * c_length;
            let parts = products.iter().zip(low).zip(scale).zip(length).zip(error);
            for (to, ((((&q, low), &s), &l), &e)) in self.lows.iter_mut().zip(parts) {
                *to = low + columns.low[column] - product(q, s) - margin(l, e);
            }
            let high = |k: usize| {
                high[k] + columns.high[column] - product(products[k], scale[k])
                    + margin(length[k], error[k])
            };
            search(&self.lows, high, (a.start, row_reach), (column, reach), &mut self.near);
            if self.near.len() > self.bytes.len() / FEW {
                return false;
            }
        }
        true
    }

    /// Finds pairs by products of float32.
    fn near_in_floats(
        &mut self,
        packed: &Linear,
        (rows, PackedTile { range: a, .. }, row_reach): (&Rows<'_>, &PackedTile, &[f32]),
        (columns, range, column_reach): &(&Rows<'_>, Range<usize>, &[f32]),
    ) {
        self.near.clear();
        self.lows.resize(a.len(), 0.0);
        self.products.resize(a.len() * range.len(), 0.0);
        columns.place(range.clone(), &mut self.placed);
        packed.run(&self.placed, &mut self.products);
        let (low, high) = (&rows.low[a.clone()], &rows.high[a.clone()]);
        for ((products, column), &reach) in
            self.products.chunks_exact(a.len()).zip(range.clone()).zip(*column_reach)
        {
            for (to, (low, p)) in self.lows.iter_mut().zip(low.iter().zip(products)) {
                *to = low + columns.low[column] - 2.0 * p;
            }
            let high = |k: usize| high[k] + columns.high[column] - 2.0 * products[k];
            search(&self.lows, high, (a.start, row_reach), (column, reach), &mut self.near);
        }
    }
}

/// Pairs of a tile for each one that is near, at least, for bytes to be worth their while: with more
/// of them to look at, float32 is faster.
const FEW: usize = 32;

/// Pairs that are tested at once.
const LANES: usize = 32;

/// Adds the pairs of a column whose lower bound is within the reach of the row or of the column.
fn search(
    lows: &[f32],
    high: impl Fn(usize) -> f32,
    (first, row_reach): (usize, &[f32]),
    (column, column_reach): (usize, f32),
    near: &mut Vec<Near>,
) {
    for (part, (lows, row_reach)) in lows.chunks(LANES).zip(row_reach.chunks(LANES)).enumerate() {
        let mut any = false; // without a branch for each
        for (&low, &reach) in lows.iter().zip(row_reach) {
            any |= low <= if reach > column_reach { reach } else { column_reach };
        }
        if !any {
            continue;
        }
        for (i, (&low, &reach)) in lows.iter().zip(row_reach).enumerate() {
            if low <= reach || low <= column_reach {
                let k = part * LANES + i;
                near.push(Near { row: first + k, column, low, high: high(k) });
            }
        }
    }
}

/// The least float32 that is not below `value`.
pub(crate) fn round_up(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) < value { near.next_up() } else { near }
}

/// The greatest float32 that is not above `value`.
pub(crate) fn round_down(value: f64) -> f32 {
    -round_up(-value)
}

/// Checks that both sets are equally wide and hold numbers.
pub(crate) fn check(generated: &Features, reference: &Features) -> Result<()> {
    if generated.dim() != reference.dim() {
        let (what, expected, got) = ("the generated set", reference.dim(), generated.dim());
        return Err(Error::Dimension { what, expected, got });
    }
    generated.check_finite("the generated set")?;
    reference.check_finite("the reference set")
}
