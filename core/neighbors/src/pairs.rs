//! Pairs of rows of two sets that lie within a distance of each other.

use std::cell::Cell;

use rayon::prelude::*;

use crate::rows::{Columns, Packed, Rows, Tile, TileRows, round_up};

/// Whether a ball contains the points at exactly its radius.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// Distances equal to the radius are inside, `<=`.
    Inside,
    /// They are outside, `<`.
    Outside,
}

/// Squared radii of the balls about the rows of two sets, in their frame.
#[derive(Debug, Clone, Copy)]
pub struct Reach<'a> {
    /// Of the packed set.
    pub rows: &'a [f64],
    /// Of the other set.
    pub columns: &'a [f64],
}

/// A row of the packed set and one of the other that may be within the radius of either.
#[derive(Debug)]
pub struct Pair<'a> {
    /// Index in the packed set.
    pub row: usize,
    /// Index in the other set.
    pub column: usize,
    low: f32,
    high: f32,
    exact: Cell<Option<f64>>,
    rows: &'a Rows<'a>,
    columns: &'a Rows<'a>,
}

impl Pair<'_> {
    /// The squared distance, in the frame.
    pub fn squared(&self) -> f64 {
        let exact = self.exact.get();
        exact.unwrap_or_else(|| {
            let exact = self.rows.exact(self.row, self.columns, self.column);
            self.exact.set(Some(exact));
            exact
        })
    }

    /// Whether the squared distance is within a squared radius.
    pub fn within(&self, radius: f64, boundary: Boundary) -> bool {
        if f64::from(self.high) < radius {
            return true;
        }
        if f64::from(self.low) > radius {
            return false;
        }
        match boundary {
            Boundary::Inside => self.squared() <= radius,
            Boundary::Outside => self.squared() < radius,
        }
    }
}

/// Calls `visit` with all pairs of a row of `packed` and one of `columns` that may be within the
/// radius of either, on many threads in any order; pairs that are surely in neither are left out.
///
/// # Panics
/// If there is not one radius for each row.
pub fn for_each_pair(
    packed: &Packed<'_>,
    columns: &Rows<'_>,
    reach: Reach<'_>,
    visit: impl Fn(&Pair<'_>) + Sync,
) {
    assert_eq!(reach.rows.len(), packed.rows.len(), "radii of the packed set");
    assert_eq!(reach.columns.len(), columns.len(), "radii of the other set");
    let rounded = |radii: &[f64]| radii.iter().map(|&r| round_up(r)).collect::<Vec<f32>>();
    let (row_reach, column_reach) = (rounded(reach.rows), rounded(reach.columns));
    let rows = packed.rows;
    let ranges = columns.tiles();
    let tiles: Vec<_> = (0..packed.tiles.len())
        .flat_map(|tile| ranges.iter().map(move |range| (tile, range.clone())))
        .collect();
    tiles.into_par_iter().for_each_init(Tile::default, |buffers, (tile, range)| {
        let reach = &row_reach[packed.tiles[tile].range.clone()];
        let tile = TileRows { packed, tile, reach };
        let reach = &column_reach[range.clone()];
        for n in buffers.near(tile, &Columns { rows: columns, range, reach }) {
            let (exact, low, high) = (Cell::new(None), n.low, n.high);
            visit(&Pair { row: n.row, column: n.column, low, high, exact, rows, columns });
        }
    });
}
