//! Singular values alone, as exact as those of an SVD, mostly by matrix products, and what needs no more
//! than the band on the way to them.
//!
//! Two stages: Householder blocks from both sides leave a band (Großer and Lang, "Efficient parallel
//! reduction to bidiagonal form", 1999), which chased bulges narrow to two diagonals; then the quotient
//! differences with shifts of Fernando and Parlett, "Accurate singular values and differential qd
//! algorithms", 1994.

#![expect(clippy::inline_always, reason = "what `pulp` dispatches must be inlined into it")]

use std::cmp::Ordering;
use std::ops::Range;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::matmul;
use faer::linalg::qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch};
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::prelude::{Reborrow, ReborrowMut, default};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use nalgebra::DMatrix;
use pulp::Arch;

use super::inverse_root::Gram;
use super::{parallelism, view_mut};
use crate::{Error, Result};

/// Columns that are reduced at once: more make products wider, fewer make the band quick to narrow.
pub(super) const BAND: usize = 32;
/// Sums of a dot product, which fill the widest registers.
const LANES: usize = 8;
/// Share of a square below which what lies beside it is zero, as in LAPACK's `dlasq2`.
const NEGLIGIBLE: f64 = (100.0 * f64::EPSILON) * (100.0 * f64::EPSILON);
/// Transforms for one value, of which two or three are usual.
const TRANSFORMS: usize = 1000;

/// A matrix `M` that reflections from both sides have reduced to a band.
pub(super) struct Reduced {
    band: Band,
    /// Of the values of the matrix to those of the band.
    scale: f64,
    /// Whether the band is that of the transpose.
    wide: bool,
    /// Vectors of the rows of the matrix, reflected as the rows were.
    vectors: Mat<f64>,
}

impl Reduced {
    /// Reduces `matrix`, and takes with it the columns of `vectors`, which are as long as its rows.
    pub(super) fn new(matrix: &DMatrix<f64>, vectors: Mat<f64>) -> Self {
        let wide = matrix.ncols() > matrix.nrows();
        let mut dense = if wide { matrix.transpose() } else { matrix.clone() };
        // A power of two, so that nothing is rounded: squares of tiny numbers would vanish.
        let largest = if dense.is_empty() { 0.0 } else { dense.amax() };
        let scale = if largest > 0.0 { largest.log2().floor().exp2() } else { 1.0 };
        dense /= scale;
        let mut sides = [Mat::zeros(dense.nrows(), 0), Mat::zeros(dense.ncols(), 0)];
        sides[usize::from(!wide)] = vectors;
        let [left, right] = &mut sides;
        reduce_to_band(view_mut(&mut dense), left.as_mut(), right.as_mut());
        let [left, right] = sides;
        let vectors = if wide { left } else { right };
        Self { band: Band::new(&dense), scale, wide, vectors }
    }

    /// All singular values, in no order.
    ///
    /// # Errors
    /// [`Error::NoConvergence`].
    pub(super) fn values(&self) -> Result<Vec<f64>> {
        let mut band = self.band.clone();
        Arch::new().dispatch(|| band.narrow());
        let squares = Quotients::of(&band).squares()?;
        Ok(squares.into_iter().map(|square| self.scale * square.sqrt()).collect())
    }

    /// `y^T (M^T M)^(-1/2) y` for each of the vectors.
    ///
    /// # Errors
    /// [`Error::NoConvergence`].
    pub(super) fn inverse_root_forms(&self) -> Result<Vec<f64>> {
        let forms = Gram::new(&self.band, self.wide).inverse_root_forms(self.vectors.as_ref())?;
        Ok(forms.into_iter().map(|form| form / self.scale).collect())
    }
}

/// Leaves a matrix of at least as many rows as columns with the same singular values in the diagonal
/// and the `BAND` diagonals above it; what is elsewhere has no meaning.
///
/// The reflections of some columns, `1 - U V^T`, and those of as many rows, `1 - W X^T`, change the rest
/// `A` at once, as it is read from memory: it becomes `A - V C - D X^T` with `C = U^T A` and
/// `D = (A - V C) W`. The columns of `left` and `right` are reflected as those and the rows of `A`.
fn reduce_to_band(mut a: MatMut<'_, f64>, mut left: MatMut<'_, f64>, mut right: MatMut<'_, f64>) {
    let ((rows, columns), par) = (a.shape(), parallelism());
    for first in (0..columns).step_by(BAND) {
        let width = BAND.min(columns - first);
        let rest = a.rb_mut().submatrix_mut(first, first, rows - first, columns - first);
        let (panel, beside) = rest.split_at_col_mut(width);
        let Reflections { u, v } = Reflections::new(panel);
        reflect(v.as_ref(), u.as_ref(), left.rb_mut().subrows_mut(first, rows - first));
        if beside.ncols() == 0 {
            return;
        }
        let c = product(u.transpose(), beside.rb());
        let (mut top, mut below) = beside.split_at_row_mut(width);
        matmul(top.rb_mut(), Accum::Add, v.get(..width, ..), c.as_ref(), -1.0, par);
        let mut transposed = top.rb().transpose().to_owned();
        let Reflections { u: w, v: x } = Reflections::new(transposed.as_mut());
        top.copy_from(transposed.transpose());
        let others = first + width;
        reflect(x.as_ref(), w.as_ref(), right.rb_mut().subrows_mut(others, columns - others));

        let (v, kept) = (v.get(width.., ..), x.ncols());
        let mut tall = Mat::zeros(below.nrows(), width + kept);
        let mut flat = Mat::zeros(width + kept, below.ncols());
        tall.get_mut(.., ..width).copy_from(v);
        flat.get_mut(..width, ..).copy_from(&c);
        flat.get_mut(width.., ..).copy_from(x.transpose());
        let mut d = tall.get_mut(.., width..);
        matmul(d.rb_mut(), Accum::Replace, below.rb(), w.as_ref(), 1.0, par);
        matmul(d, Accum::Add, v, product(c.as_ref(), w.as_ref()).as_ref(), -1.0, par);
        matmul(below.rb_mut(), Accum::Add, tall.as_ref(), flat.as_ref(), -1.0, par);
    }
}

/// `y -= V U^T y`.
fn reflect(v: MatRef<'_, f64>, u: MatRef<'_, f64>, y: MatMut<'_, f64>) {
    if y.ncols() > 0 {
        let along = product(u.transpose(), y.rb());
        matmul(y, Accum::Add, v, along.as_ref(), -1.0, parallelism());
    }
}

fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut product = Mat::zeros(a.nrows(), b.ncols());
    matmul(product.as_mut(), Accum::Replace, a, b, 1.0, parallelism());
    product
}

/// Reflections that turn a matrix into an upper triangle, as `Q = 1 - U V^T`.
struct Reflections {
    u: Mat<f64>,
    v: Mat<f64>,
}

impl Reflections {
    /// Leaves the triangle in `matrix`; what is below has no meaning.
    fn new(mut matrix: MatMut<'_, f64>) -> Self {
        let (rows, columns) = matrix.shape();
        let size = rows.min(columns);
        let mut factor = Mat::zeros(size, size);
        let scratch = qr_in_place_scratch::<f64>(rows, columns, size, Par::Seq, default());
        let stack = &mut MemBuffer::new(scratch);
        qr_in_place(matrix.rb_mut(), factor.as_mut(), Par::Seq, MemStack::new(stack), default());
        let v = Mat::from_fn(rows, size, |i, j| match i.cmp(&j) {
            Ordering::Less => 0.0,
            Ordering::Equal => 1.0,
            Ordering::Greater => matrix[(i, j)],
        });
        let mut u = v.clone();
        let transposed = u.as_mut().transpose_mut();
        solve_lower_triangular_in_place(factor.transpose(), transposed, Par::Seq);
        Self { u, v }
    }
}

/// An upper triangular matrix with few diagonals, and room for bulges.
#[derive(Clone)]
pub(super) struct Band {
    size: usize,
    /// Row by row, the columns from `BAND` before the diagonal to `2 BAND` after it.
    rows: Vec<[f64; 3 * BAND + 1]>,
}

impl Band {
    /// The diagonal and the `BAND` diagonals above it.
    fn new(dense: &DMatrix<f64>) -> Self {
        let size = dense.ncols();
        let mut band = Self { size, rows: vec![[0.0; 3 * BAND + 1]; size] };
        for row in 0..size {
            for column in row..size.min(row + BAND + 1) {
                band.rows[row][column + BAND - row] = dense[(row, column)];
            }
        }
        band
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn at(&self, row: usize, column: usize) -> f64 {
        self.rows[row][column + BAND - row]
    }

    #[inline(always)]
    fn part(&mut self, row: usize, columns: &Range<usize>) -> &mut [f64] {
        &mut self.rows[row][columns.start + BAND - row..columns.end + BAND - row]
    }

    /// Leaves the diagonal and the one above it. Row by row, a reflection from the right clears the row;
    /// the bulge below the diagonal that it makes is cleared in its first column by one from the left,
    /// the bulge of that in its first row by the next from the right, and so on to the end.
    #[inline(always)]
    fn narrow(&mut self) {
        let mut vector = [0.0; BAND];
        let mut sums = [0.0; 2 * BAND];
        for start in 0..self.size.saturating_sub(1) {
            let mut row = start;
            let mut first = start + 1;
            while first < self.size {
                let columns = first..self.size.min(first + BAND);
                let vector = &mut vector[..columns.len()];
                vector.copy_from_slice(self.part(row, &columns));
                let (factor, end) = reflection(vector);
                self.part(row, &columns).fill(0.0);
                self.part(row, &columns)[0] = end;
                if factor != 0.0 {
                    for below in row + 1..columns.end {
                        let part = self.part(below, &columns);
                        let sum = factor * dot(part, vector);
                        subtract(part, sum, vector);
                    }
                }
                for (value, row) in vector.iter_mut().zip(columns.clone()) {
                    let part = self.part(row, &(first..first + 1));
                    *value = part[0];
                    part[0] = 0.0;
                }
                let (factor, end) = reflection(vector);
                self.part(first, &(first..first + 1))[0] = end;
                if factor != 0.0 {
                    let right = first + 1..self.size.min(columns.end + BAND);
                    let sums = &mut sums[..right.len()];
                    sums.fill(0.0);
                    for (value, row) in vector.iter().zip(columns.clone()) {
                        subtract(sums, -factor * value, self.part(row, &right));
                    }
                    for (value, row) in vector.iter().zip(columns.clone()) {
                        subtract(self.part(row, &right), *value, sums);
                    }
                }
                row = first;
                first += BAND;
            }
        }
    }
}

/// Turns a vector into the `v` of the reflection `1 - t v v^T` that maps it to its first axis, with `v`
/// 1 in front; returns `t` and the length with its sign.
#[inline(always)]
fn reflection(vector: &mut [f64]) -> (f64, f64) {
    let (head, tail) = vector.split_first_mut().expect("a vector of at least one value");
    let first = *head;
    let square = dot(tail, tail);
    *head = 1.0;
    if square == 0.0 {
        return (0.0, first);
    }
    let length = -(first * first + square).sqrt().copysign(first);
    let factor = 1.0 / (first - length);
    for value in tail {
        *value *= factor;
    }
    ((length - first) / length, length)
}

#[inline(always)]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (a, rest_a) = a.as_chunks::<LANES>();
    let (b, rest_b) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// `a -= factor * b`.
#[inline(always)]
fn subtract(a: &mut [f64], factor: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a -= factor * b);
}

/// The squares of a bidiagonal matrix, as quotients and differences of the qd algorithm.
struct Quotients {
    /// Squares of the diagonal.
    q: Vec<f64>,
    /// Squares of the diagonal above.
    e: Vec<f64>,
    /// Those after the next transform.
    next: (Vec<f64>, Vec<f64>),
    /// The sum of the shifts so far.
    shift: f64,
}

impl Quotients {
    fn of(band: &Band) -> Self {
        let square = |row: usize, column: usize| band.at(row, column) * band.at(row, column);
        let q = (0..band.size).map(|i| square(i, i)).collect();
        Self::new(q, (1..band.size).map(|i| square(i - 1, i)).collect(), 0.0)
    }

    fn new(mut q: Vec<f64>, mut e: Vec<f64>, shift: f64) -> Self {
        // Small values are found at the end.
        if q.first() < q.last() {
            q.reverse();
            e.reverse();
        }
        let next = (vec![0.0; q.len()], vec![0.0; e.len()]);
        Self { q, e, next, shift }
    }

    /// The squares of the singular values.
    fn squares(self) -> Result<Vec<f64>> {
        let mut squares = Vec::with_capacity(self.q.len());
        let floor = self.q.iter().sum::<f64>() * NEGLIGIBLE * f64::EPSILON;
        let mut parts = vec![self];
        while let Some(mut part) = parts.pop() {
            let mut left = TRANSFORMS;
            while part.q.len() > 1 {
                let mut pairs = part.e.iter().zip(&part.q[1..]);
                let Some(end) =
                    pairs.rposition(|(e, q)| *e <= floor + NEGLIGIBLE * (part.shift + q))
                else {
                    left = left.checked_sub(1).ok_or(Error::NoConvergence("singular values"))?;
                    part.transform();
                    continue;
                };
                let (q, e) = (part.q.split_off(end + 1), part.e.split_off(end + 1));
                part.e.pop();
                parts.push(Self::new(q, e, part.shift));
                left = TRANSFORMS;
            }
            squares.extend(part.q.iter().map(|q| part.shift + q));
        }
        Ok(squares)
    }

    /// One transform with a shift below the smallest value.
    fn transform(&mut self) {
        let mut shift = self.guess();
        let mut refused = 0;
        while let Err(last) = self.shifted(shift) {
            refused += 1;
            shift = match last {
                // By Rutishauser below the smallest value, and near it.
                Some(last) if refused == 1 => (shift + last).max(0.0),
                _ if refused < 4 => shift / 4.0,
                _ => 0.0,
            };
        }
        self.shift += shift;
        self.next.0.truncate(self.q.len());
        self.next.1.truncate(self.e.len());
        std::mem::swap(&mut self.q, &mut self.next.0);
        std::mem::swap(&mut self.e, &mut self.next.1);
    }

    /// A shift that is probably a little below the smallest value: the smaller eigenvalue of the last
    /// two rows, which is never below it, less twice what their coupling to the row above changes.
    fn guess(&self) -> f64 {
        let n = self.q.len();
        let (above, coupling) =
            if n > 2 { (self.e[n - 3], self.q[n - 3] * self.e[n - 3]) } else { (0.0, 0.0) };
        let (a, d) = (self.q[n - 2] + above, self.q[n - 1] + self.e[n - 2]);
        let off = self.q[n - 2] * self.e[n - 2];
        let larger = 0.5 * (a + d) + (0.25 * (a - d) * (a - d) + off).sqrt();
        // The product of both is their determinant.
        let smaller = (a * d - off).max(0.0) / larger;
        // The share of the upper row in the eigenvector, and the change to second order.
        let share = off / (off + (a - smaller) * (a - smaller));
        let change = 2.0 * coupling * share / (larger - smaller);
        if change < 0.75 * smaller { smaller - change } else { 0.25 * smaller.max(0.0) }
    }

    /// Writes what follows from a shift, unless a value becomes negative: then the last one if it is it.
    fn shifted(&mut self, shift: f64) -> std::result::Result<(), Option<f64>> {
        let last = self.e.len();
        let (q, e) = (&self.q[..=last], &self.e[..last]);
        let (next_q, next_e) = (&mut self.next.0[..=last], &mut self.next.1[..last]);
        let mut d = q[0] - shift;
        for i in 0..last {
            if d < 0.0 {
                return Err(None);
            }
            let sum = d + e[i];
            let ratio = if sum > 0.0 { q[i + 1] / sum } else { 0.0 };
            next_q[i] = sum;
            next_e[i] = e[i] * ratio;
            d = if sum > 0.0 { d * ratio } else { q[i + 1] } - shift;
        }
        next_q[last] = d;
        if d < 0.0 { Err(Some(d)) } else { Ok(()) }
    }
}
