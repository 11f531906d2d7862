//! Squared distances between rows: bounds from float32 products, and exact values in float64.

use std::ops::Range;

use ganscope_kernels::{Activation, Linear};
use ganscope_stats::{Error, Features, Result};
use rayon::prelude::*;

/// Rows on a side of a tile: a multiple of the width of the kernel's panels on any machine, so that
/// none of its work is on padding.
pub(crate) const TILE: usize = 576;

/// Rows that are summed before their sums are added up, whatever the number of threads.
const ROWS_AT_ONCE: usize = 256;

/// Unit roundoff of float32.
const ROUNDOFF: f64 = 1.0 / (1 << 24) as f64;

/// Roundings of a distance besides those of its product: of the centred rows, of their squared
/// lengths and of the three terms of the sum.
const OTHER_ROUNDINGS: f64 = 16.0;

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
    pub(crate) low: Vec<f32>,
    pub(crate) high: Vec<f32>,
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
        Self { features, frame, low, high }
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

/// Rows in their frame, tile by tile in the order in which products with them are computed.
#[derive(Debug)]
pub(crate) struct Packed<'a> {
    pub(crate) rows: &'a Rows<'a>,
    pub(crate) tiles: Vec<(Range<usize>, Linear)>,
}

impl<'a> Packed<'a> {
    pub(crate) fn new(rows: &'a Rows<'a>) -> Self {
        let dim = rows.features.dim();
        let pack = |placed: &mut Vec<f32>, tile: Range<usize>| {
            rows.place(tile.clone(), placed);
            let products = Linear::new([tile.len(), dim], placed, None, Activation::None);
            (tile, products)
        };
        let tiles = rows.tiles().into_par_iter().map_init(Vec::new, pack).collect();
        Self { rows, tiles }
    }
}

/// Buffers of one thread for the pairs of a tile.
#[derive(Debug, Default)]
pub(crate) struct Tile {
    placed: Vec<f32>,
    products: Vec<f32>,
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
        let (rows, (a, products)) = (packed.rows, &packed.tiles[tile]);
        columns.place(range.clone(), &mut self.placed);
        self.products.resize(a.len() * range.len(), 0.0);
        products.run(&self.placed, &mut self.products);

        self.near.clear();
        for ((products, column), &column_reach) in
            self.products.chunks_exact(a.len()).zip(range).zip(column_reach)
        {
            for (part, products) in products.chunks(LANES).enumerate() {
                let first = part * LANES;
                let row_reach = &row_reach[first..][..products.len()];
                let low = &rows.low[a.start + first..][..products.len()];
                let column_low = columns.low[column];
                if !any_near(products, low, row_reach, column_low, column_reach) {
                    continue;
                }
                for (k, p) in products.iter().enumerate() {
                    let low = low[k] + column_low - 2.0 * p;
                    if low <= row_reach[k] || low <= column_reach {
                        let row = a.start + first + k;
                        let high = rows.high[row] + columns.high[column] - 2.0 * p;
                        self.near.push(Near { row, column, low, high });
                    }
                }
            }
        }
        &self.near
    }
}

/// Pairs that are tested at once.
const LANES: usize = 32;

/// Whether any pair is near, without a branch for each.
fn any_near(
    products: &[f32],
    low: &[f32],
    reach: &[f32],
    column_low: f32,
    column_reach: f32,
) -> bool {
    let mut any = false;
    for ((p, low), &reach) in products.iter().zip(low).zip(reach) {
        let reach = if reach > column_reach { reach } else { column_reach };
        any |= low + column_low - 2.0 * p <= reach;
    }
    any
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
