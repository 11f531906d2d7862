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

/// Roundings of a distance besides those of its product, as parts of `|x|^2 + |y|^2`: of the
/// centered rows, of their squared lengths, of scales and errors, and of the terms of the sum.
const OTHER_ROUNDINGS: f64 = 64.0;

/// The loss of products to underflow, with rows scaled to at most one.
const UNDERFLOW: f64 = 1e-30;

/// Powers of two that are normal float32 numbers, and their reciprocals too.
const LARGEST_POWER: f64 = 126.0;

/// Where rows are moved and scaled to before their products are taken, so that neither a common
/// offset nor a common factor costs digits.
#[derive(Debug)]
pub struct Frame {
    center: Vec<f32>,
    /// A power of two.
    scale: f64,
}

impl Frame {
    /// The frame around all rows of `sets`.
    ///
    /// # Panics
    /// If there is no set.
    pub fn around(sets: &[&Features]) -> Self {
        let dim = sets[0].dim();
        let parts = |set: &Features| -> Vec<Vec<f64>> {
            set.as_slice().par_chunks(ROWS_AT_ONCE * dim).map(|rows| sum(rows, dim)).collect()
        };
        let parts: Vec<Vec<f64>> = sets.iter().flat_map(|set| parts(set)).collect();
        let total = sum(&parts.concat(), dim);
        let rows: usize = sets.iter().map(|set| set.len()).sum();
        let center = total.iter().map(|sum| (sum / rows as f64) as f32).collect();
        let mut frame = Self { center, scale: 1.0 };
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
        rows.map(|row| squared_distance(row, &self.center) * scale).collect()
    }

    /// A row in the frame.
    fn place<'a>(&'a self, row: &'a [f32]) -> impl Iterator<Item = f64> + 'a {
        let differences = row.iter().zip(&self.center).map(|(&x, &c)| f64::from(x) - f64::from(c));
        differences.map(|x| x * self.scale)
    }

    /// A row in the frame, in float32.
    fn place_f32(&self, row: &[f32], placed: &mut [f32]) {
        let scale = self.scale as f32;
        for ((placed, x), c) in placed.iter_mut().zip(row).zip(&self.center) {
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
pub struct Rows<'a> {
    features: &'a Features,
    frame: &'a Frame,
    low: Vec<f32>,
    high: Vec<f32>,
    screen: Option<Screen>,
}

impl<'a> Rows<'a> {
    /// Rows of `features`, which the frame is around.
    pub fn new(features: &'a Features, frame: &'a Frame) -> Self {
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

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// Width of a row.
    pub fn dim(&self) -> usize {
        self.features.dim()
    }

    /// The distance of features for a squared distance in the frame.
    pub fn distance(&self, squared: f64) -> f64 {
        squared.sqrt() / self.frame.scale
    }

    /// The ranges of rows that are taken at once.
    pub(crate) fn tiles(&self) -> Vec<Range<usize>> {
        (0..self.len()).step_by(TILE).map(|i| i..self.len().min(i + TILE)).collect()
    }

    /// The squared distance of a row to one of `other`, summed over exact differences, in the frame.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn exact(&self, row: usize, other: &Self, column: usize) -> f64 {
        let (a, b) = (self.features.row(row), other.features.row(column));
        self.frame.squared(squared_distance(a, b))
    }

    /// Some rows in the frame, end to end.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn gather(&self, rows: &[usize]) -> Vec<f64> {
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
pub struct Packed<'a> {
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
    /// Packs all rows.
    pub fn new(rows: &'a Rows<'a>) -> Self {
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

/// The rows of one tile, against which others are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TileRows<'a> {
    pub(crate) packed: &'a Packed<'a>,
    /// Index of the tile.
    pub(crate) tile: usize,
    /// Squared distance up to which the pairs of each row are of interest.
    pub(crate) reach: &'a [f32],
}

/// Some rows of a set, of which each is compared with all rows of a tile.
#[derive(Debug, Clone)]
pub(crate) struct Columns<'a> {
    pub(crate) rows: &'a Rows<'a>,
    pub(crate) range: Range<usize>,
    /// Squared distance up to which the pairs of each column are of interest.
    pub(crate) reach: &'a [f32],
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
    /// The pairs of a row and a column whose lower bound is within the reach of the row or of the
    /// column.
    pub(crate) fn near(&mut self, rows: TileRows<'_>, columns: &Columns<'_>) -> &[Near] {
        if !self.near_in_bytes(rows, columns) {
            self.near_in_floats(rows, columns);
        }
        &self.near
    }

    /// Finds pairs by products of bytes. Returns whether they are few.
    fn near_in_bytes(&mut self, tile_rows: TileRows<'_>, columns: &Columns<'_>) -> bool {
        let TileRows { packed: Packed { rows, tiles }, tile, reach: row_reach } = tile_rows;
        let PackedTile { range: a, bytes, .. } = &tiles[tile];
        let (Some(bytes), Some(r), Some(c)) = (bytes, &rows.screen, &columns.rows.screen) else {
            return false;
        };
        self.near.clear();
        self.lows.resize(a.len(), 0.0);
        self.bytes.resize(a.len() * columns.range.len(), 0);
        c.products(bytes, columns.range.clone(), &mut self.bytes);
        let (low, high) = (&rows.low[a.clone()], &rows.high[a.clone()]);
        let [scale, length, error] = [&r.scale, &r.length, &r.error].map(|of| &of[a.clone()]);
        let products = self.bytes.chunks_exact(a.len());
        for ((products, column), &reach) in products.zip(columns.range.clone()).zip(columns.reach) {
            let [factor, c_length, c_error] =
                [&c.scale, &c.length, &c.error].map(|of| 2.0 * of[column]);
            let product = |q: i32, scale: f32| q as f32 * scale * factor;
            let margin = |length: f32, error: f32| length * c_error + error * c_length;
            let parts = products.iter().zip(low).zip(scale).zip(length).zip(error);
            for (to, ((((&q, low), &s), &l), &e)) in self.lows.iter_mut().zip(parts) {
                *to = low + columns.rows.low[column] - product(q, s) - margin(l, e);
            }
            let high = |k: usize| {
                high[k] + columns.rows.high[column] - product(products[k], scale[k])
                    + margin(length[k], error[k])
            };
            let bounds = Bounds { lows: &self.lows, first: a.start, row_reach, column, reach };
            bounds.search(high, &mut self.near);
            if self.near.len() > self.bytes.len() / FEW {
                return false;
            }
        }
        true
    }

    /// Finds pairs by products of float32.
    fn near_in_floats(&mut self, tile_rows: TileRows<'_>, columns: &Columns<'_>) {
        let TileRows { packed, tile, reach: row_reach } = tile_rows;
        let (rows, a) = (packed.rows, &packed.tiles[tile].range);
        self.near.clear();
        self.lows.resize(a.len(), 0.0);
        self.products.resize(a.len() * columns.range.len(), 0.0);
        columns.rows.place(columns.range.clone(), &mut self.placed);
        packed.floats(tile).run(&self.placed, &mut self.products);
        let (low, high) = (&rows.low[a.clone()], &rows.high[a.clone()]);
        let products = self.products.chunks_exact(a.len());
        for ((products, column), &reach) in products.zip(columns.range.clone()).zip(columns.reach) {
            for (to, (low, p)) in self.lows.iter_mut().zip(low.iter().zip(products)) {
                *to = low + columns.rows.low[column] - 2.0 * p;
            }
            let high = |k: usize| high[k] + columns.rows.high[column] - 2.0 * products[k];
            let bounds = Bounds { lows: &self.lows, first: a.start, row_reach, column, reach };
            bounds.search(high, &mut self.near);
        }
    }
}

/// Pairs of a tile for each one that is near, at least, for bytes to be worth their while: with
/// more of them to look at, float32 is faster.
const FEW: usize = 32;

/// Pairs that are tested at once.
const LANES: usize = 32;

/// Lower bounds of the squared distances of one column to the rows of a tile.
struct Bounds<'a> {
    lows: &'a [f32],
    /// The first row of the tile.
    first: usize,
    row_reach: &'a [f32],
    column: usize,
    /// The reach of the column.
    reach: f32,
}

impl Bounds<'_> {
    /// Adds the pairs whose lower bound is within the reach of the row or of the column; `high` is
    /// the upper bound of a row of the tile.
    fn search(&self, high: impl Fn(usize) -> f32, near: &mut Vec<Near>) {
        let parts = self.lows.chunks(LANES).zip(self.row_reach.chunks(LANES));
        for (part, (lows, row_reach)) in parts.enumerate() {
            let mut any = false; // without a branch for each
            for (&low, &reach) in lows.iter().zip(row_reach) {
                any |= low <= if reach > self.reach { reach } else { self.reach };
            }
            if !any {
                continue;
            }
            for (i, (&low, &reach)) in lows.iter().zip(row_reach).enumerate() {
                if low <= reach || low <= self.reach {
                    let k = part * LANES + i;
                    let (row, column) = (self.first + k, self.column);
                    near.push(Near { row, column, low, high: high(k) });
                }
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

/// Checks that both sets are equally wide and contain finite numbers.
///
/// # Errors
/// [`Error::Dimension`] and [`Error::NotFinite`].
pub fn check(generated: &Features, reference: &Features) -> Result<()> {
    if generated.dim() != reference.dim() {
        let (what, expected, got) = ("the generated set", reference.dim(), generated.dim());
        return Err(Error::Dimension { what, expected, got });
    }
    generated.check_finite("the generated set")?;
    reference.check_finite("the reference set")
}
