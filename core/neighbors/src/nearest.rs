//! The k nearest neighbors of each row, within a set or among the rows of another.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use crate::rows::{Columns, Packed, Rows, Tile, TileRows, round_down, round_up};

/// One of the nearest rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// Its index.
    pub row: usize,
    /// Its squared distance, in the frame of the rows.
    pub squared: f64,
}

/// A row that may be among the nearest, with bounds of its squared distance.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    row: usize,
    low: f32,
    high: f32,
}

/// Candidates of the rows of a tile.
#[derive(Debug)]
struct Block {
    first: usize,
    /// Squared distance beyond which no row is one of the nearest.
    reach: Vec<f32>,
    candidates: Vec<Vec<Candidate>>,
}

impl Block {
    fn new(range: &Range<usize>) -> Mutex<Self> {
        let rows = range.len();
        let (reach, candidates) = (vec![f32::INFINITY; rows], vec![Vec::new(); rows]);
        Mutex::new(Self { first: range.start, reach, candidates })
    }

    /// Offers a candidate, a row of `others`, to `row` of `rows`.
    fn offer(
        &mut self,
        (rows, others): (&Rows<'_>, &Rows<'_>),
        k: usize,
        row: usize,
        candidate: Candidate,
    ) {
        let at = row - self.first;
        let candidates = &mut self.candidates[at];
        if candidate.low > self.reach[at] {
            return;
        }
        candidates.push(candidate);
        // Most candidates fall out again when nearer ones are found; the list is cleared of them
        // when it is long, and by exact distances when that does not help.
        let long = 4 * k + 32;
        if candidates.len() < long {
            return;
        }
        self.reach[at] = prune(candidates, k);
        if candidates.len() > long / 2 {
            let exact = |c: &Candidate| rows.exact(row, others, c.row);
            let mut exact: Vec<_> = candidates.iter().map(|c| (exact(c), c.row)).collect();
            exact.select_nth_unstable_by(k - 1, |a, b| a.0.total_cmp(&b.0));
            self.reach[at] = round_up(exact[k - 1].0);
            candidates.clear();
            candidates.extend(exact[..k].iter().map(|&(exact, row)| Candidate {
                row,
                low: round_down(exact),
                high: round_up(exact),
            }));
        }
        if self.reach[at] == 0.0 {
            self.reach[at] = f32::NEG_INFINITY; // nothing is nearer than k copies
        }
    }
}

/// Drops the candidates that are surely not among the `k` nearest. Returns the upper bound of the
/// `k`-th smallest distance; the nearest candidates come first.
fn prune(candidates: &mut Vec<Candidate>, k: usize) -> f32 {
    candidates.select_nth_unstable_by(k - 1, |a, b| a.high.total_cmp(&b.high));
    let reach = candidates[k - 1].high;
    candidates.retain(|c| c.low <= reach);
    reach
}

/// The squared distance of each row to its `k`-th nearest other row, in the frame of the rows.
///
/// # Panics
/// Unless the set contains more than `k` rows, and `k` is positive.
pub fn squared_radii(packed: &Packed<'_>, k: usize) -> Vec<f64> {
    nearest(packed, k).into_iter().map(|nearest| nearest[k - 1].squared).collect()
}

/// The `k` nearest other rows of each row, the nearest first; of equally near ones any.
///
/// # Panics
/// Unless the set contains more than `k` rows, and `k` is positive.
pub fn nearest(packed: &Packed<'_>, k: usize) -> Vec<Vec<Neighbor>> {
    let (rows, tiles) = (packed.rows, &packed.tiles);
    assert!(0 < k && k < rows.len(), "{k} neighbors among {} rows", rows.len());
    let blocks: Vec<Mutex<Block>> = tiles.iter().map(|tile| Block::new(&tile.range)).collect();
    // Neighboring tasks work on different blocks.
    let pairs: Vec<(usize, usize)> =
        (0..tiles.len()).flat_map(|gap| (gap..tiles.len()).map(move |j| (j - gap, j))).collect();
    pairs.par_iter().for_each_init(Tile::default, |tile, &(i, j)| {
        let reach = |block: usize| lock(&blocks[block]).reach.clone();
        let (row_reach, column_reach) = (reach(i), reach(j));
        let columns = Columns { rows, range: tiles[j].range.clone(), reach: &column_reach };
        let near = tile.near(TileRows { packed, tile: i, reach: &row_reach }, &columns);
        let mut block = lock(&blocks[i]);
        let both = (rows, rows);
        for n in near.iter().filter(|n| n.row != n.column) {
            block.offer(both, k, n.row, Candidate { row: n.column, low: n.low, high: n.high });
        }
        if i == j {
            return; // a tile of a block with itself holds each pair twice
        }
        drop(block);
        let mut block = lock(&blocks[j]);
        for n in near {
            block.offer(both, k, n.column, Candidate { row: n.row, low: n.low, high: n.high });
        }
    });
    finish(blocks, (rows, rows), k)
}

/// The `k` nearest rows of `others` of each packed row, the nearest first; of equally near ones any.
///
/// # Panics
/// Unless `others` contains at least `k` rows, and `k` is positive.
pub fn nearest_of(packed: &Packed<'_>, others: &Rows<'_>, k: usize) -> Vec<Vec<Neighbor>> {
    let (rows, tiles) = (packed.rows, &packed.tiles);
    assert!(0 < k && k <= others.len(), "{k} neighbors among {} rows", others.len());
    let blocks: Vec<Mutex<Block>> = tiles.iter().map(|tile| Block::new(&tile.range)).collect();
    let nowhere = vec![f32::NEG_INFINITY; others.len()];
    let ranges = others.tiles();
    let pairs: Vec<_> = ranges
        .iter()
        .enumerate()
        .flat_map(|(i, range)| (0..tiles.len()).map(move |j| ((i + j) % tiles.len(), range)))
        .collect();
    pairs.par_iter().for_each_init(Tile::default, |tile, &(i, range)| {
        let reach = lock(&blocks[i]).reach.clone();
        let columns =
            Columns { rows: others, range: range.clone(), reach: &nowhere[range.clone()] };
        let near = tile.near(TileRows { packed, tile: i, reach: &reach }, &columns);
        let mut block = lock(&blocks[i]);
        for n in near {
            let candidate = Candidate { row: n.column, low: n.low, high: n.high };
            block.offer((rows, others), k, n.row, candidate);
        }
    });
    finish(blocks, (rows, others), k)
}

/// The `k` nearest of the candidates of each row.
fn finish(
    blocks: Vec<Mutex<Block>>,
    (rows, others): (&Rows<'_>, &Rows<'_>),
    k: usize,
) -> Vec<Vec<Neighbor>> {
    let nearest = move |(row, mut candidates): (usize, Vec<Candidate>)| {
        prune(&mut candidates, k);
        let exact =
            |c: &Candidate| Neighbor { row: c.row, squared: rows.exact(row, others, c.row) };
        let mut nearest: Vec<Neighbor> = candidates.iter().map(exact).collect();
        nearest.sort_by(|a, b| a.squared.total_cmp(&b.squared).then(a.row.cmp(&b.row)));
        nearest.truncate(k);
        nearest
    };
    blocks
        .into_par_iter()
        .flat_map_iter(|block| {
            let block = block.into_inner().unwrap_or_else(PoisonError::into_inner);
            (block.first..).zip(block.candidates).map(nearest)
        })
        .collect()
}

/// The block; a thread that panicked takes the whole computation with it.
fn lock(block: &Mutex<Block>) -> MutexGuard<'_, Block> {
    block.lock().unwrap_or_else(PoisonError::into_inner)
}
