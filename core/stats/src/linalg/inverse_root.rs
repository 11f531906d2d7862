//! `y^T S^(-1/2) y` for a positive semidefinite band matrix `S` and many `y`, without eigenvectors.
//!
//! The inverse root is the integral of `2 / pi (S + t^2)^(-1)` over `t > 0`. By a substitution with
//! elliptic functions a sum over few points is exact to some `exp(-2 pi^2 points / (log c + 3))` for
//! eigenvalues that spread by the factor `c`: Hale, Higham and Trefethen, "Computing `A^alpha`,
//! `log(A)`, and related matrix functions by contour integrals", 2008.

#![expect(clippy::inline_always, reason = "what `pulp` dispatches must be inlined into it")]

use std::f64::consts::{FRAC_2_PI, PI};

use faer::MatRef;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::singular_values::{BAND, Band, dot};
use crate::{Error, Result};

/// Points of the sum: it is exact to 1e-7.
const POINTS: usize = 28;
/// Smallest eigenvalue, as a share of the largest, of which the root is exact; smaller ones count as
/// if they were not much smaller. What `y` has of them is small, too, where `y` is drawn from a set
/// whose covariance they come from.
const SMALLEST: f64 = 1e-12;
/// Vectors that are solved for together.
const LANES: usize = 16;

/// The values of a row of a symmetric band matrix, or of its Cholesky factor, up to the diagonal.
type Row = [f64; BAND + 1];

/// The lower half of a symmetric band matrix.
pub(super) struct Gram {
    rows: Vec<Row>,
}

impl Gram {
    /// `B^T B` of an upper triangular band matrix `B`, or `B B^T`.
    pub(super) fn new(band: &Band, of_rows: bool) -> Self {
        let size = band.size();
        let value = |row: usize, column: usize| -> f64 {
            if of_rows {
                let shared = row..size.min(column + BAND + 1);
                shared.map(|k| band.at(row, k) * band.at(column, k)).sum()
            } else {
                let shared = row.saturating_sub(BAND)..=column;
                shared.map(|k| band.at(k, row) * band.at(k, column)).sum()
            }
        };
        let mut rows = vec![[0.0; BAND + 1]; size];
        for (row, values) in rows.iter_mut().enumerate() {
            for column in row.saturating_sub(BAND)..=row {
                values[column + BAND - row] = value(row, column);
            }
        }
        Self { rows }
    }

    /// The form of each column of `vectors`, whose rows beyond those of the matrix do not count.
    ///
    /// # Errors
    /// [`Error::NoConvergence`] if a matrix with its shift has no factor; none is known.
    pub(super) fn inverse_root_forms(&self, vectors: MatRef<'_, f64>) -> Result<Vec<f64>> {
        let bound = self.bound();
        if bound == 0.0 {
            return Ok(vec![0.0; vectors.ncols()]);
        }
        let factors = points(SMALLEST * bound, bound).into_par_iter().map(|(shift, weight)| {
            let factor = Arch::new().dispatch(Factor { gram: self, shift });
            factor.map(|factor| (factor, weight)).ok_or(Error::NoConvergence("inverse root"))
        });
        let factors = factors.collect::<Result<Vec<_>>>()?;
        let firsts: Vec<usize> = (0..vectors.ncols()).step_by(LANES).collect();
        let forms = firsts.into_par_iter().flat_map_iter(|first| {
            let count = LANES.min(vectors.ncols() - first);
            let mut lines = vec![[0.0; LANES]; self.rows.len()];
            for (row, line) in lines.iter_mut().enumerate() {
                let columns = first..first + count;
                line.iter_mut().zip(columns).for_each(|(v, column)| *v = vectors[(row, column)]);
            }
            let mut solved = lines.clone();
            let mut sums = [0.0; LANES];
            for (factor, weight) in &factors {
                let task = Solve { factor, lines: &lines, solved: &mut solved };
                let squares = Arch::new().dispatch(task);
                sums.iter_mut().zip(squares).for_each(|(sum, square)| *sum += weight * square);
            }
            sums.into_iter().take(count)
        });
        Ok(forms.collect())
    }

    /// The largest sum of the sizes in a row, which no eigenvalue exceeds.
    fn bound(&self) -> f64 {
        let mut sums = vec![0.0; self.rows.len()];
        for (row, values) in self.rows.iter().enumerate() {
            for column in row.saturating_sub(BAND)..=row {
                let size = values[column + BAND - row].abs();
                sums[row] += size;
                sums[column] += if column < row { size } else { 0.0 };
            }
        }
        sums.into_iter().fold(0.0, f64::max)
    }
}

/// Cholesky's factor of a matrix plus `shift`, with the diagonal inverted.
struct Factor<'a> {
    gram: &'a Gram,
    shift: f64,
}

impl WithSimd for Factor<'_> {
    type Output = Option<Vec<Row>>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Option<Vec<Row>> {
        let mut factor = self.gram.rows.clone();
        for row in 0..factor.len() {
            let first = row.saturating_sub(BAND);
            let (above, rest) = factor.split_at_mut(row);
            let own = &mut rest[0];
            // Row by row above, from the first column that both rows have.
            let left = first + BAND - row;
            for (count, other) in above[first..].iter().enumerate() {
                let sum = dot(&own[left..left + count], &other[BAND - count..BAND]);
                own[left + count] = (own[left + count] - sum) * other[BAND];
            }
            let pivot = own[BAND] + self.shift - dot(&own[..BAND], &own[..BAND]);
            own[BAND] = (pivot > 0.0).then(|| 1.0 / pivot.sqrt())?;
        }
        Some(factor)
    }
}

/// The squared lengths of the solutions `x` of `factor x = y` for the lanes of `lines`.
struct Solve<'a> {
    factor: &'a [Row],
    lines: &'a [[f64; LANES]],
    solved: &'a mut [[f64; LANES]],
}

impl WithSimd for Solve<'_> {
    type Output = [f64; LANES];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> [f64; LANES] {
        let Self { factor, lines, solved } = self;
        let mut squares = [0.0; LANES];
        for (row, (values, line)) in factor.iter().zip(lines).enumerate() {
            let first = row.saturating_sub(BAND);
            let mut own = *line;
            for (value, other) in values[first + BAND - row..BAND].iter().zip(&solved[first..row]) {
                for lane in 0..LANES {
                    own[lane] -= value * other[lane];
                }
            }
            for (own, square) in own.iter_mut().zip(&mut squares) {
                *own *= values[BAND];
                *square += *own * *own;
            }
            solved[row] = own;
        }
        squares
    }
}

/// Shifts and weights whose sum of `weight / (x + shift)` is `x^(-1/2)` for `lowest <= x <= highest`.
fn points(lowest: f64, highest: f64) -> Vec<(f64, f64)> {
    // Jacobi's functions of the parameter 1 - lowest / highest, by the arithmetic-geometric mean.
    let (mut a, mut b) = (1.0, (lowest / highest).sqrt());
    let mut ratios = Vec::new();
    while a - b > f64::EPSILON * a {
        let mean = 0.5 * (a + b);
        ratios.push(0.5 * (a - b) / mean);
        (a, b) = (mean, (a * b).sqrt());
    }
    let point = |index: usize| {
        // The quarter period is pi / 2a.
        let part = (index as f64 + 0.5) / POINTS as f64;
        let mut angle = (1u64 << ratios.len()) as f64 * 0.5 * PI * part;
        let mut last = angle;
        for ratio in ratios.iter().rev() {
            last = angle;
            angle = 0.5 * (angle + (ratio * angle.sin()).asin());
        }
        let (sine, cosine) = angle.sin_cos();
        let delta = cosine / (last - angle).cos();
        let step = 0.5 * PI / a / POINTS as f64;
        let weight = FRAC_2_PI * step * lowest.sqrt() * delta / (cosine * cosine);
        (lowest * (sine / cosine).powi(2), weight)
    };
    (0..POINTS).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What [`POINTS`] promises.
    const EXACT: f64 = 1e-7;

    #[test]
    fn the_sum_is_the_inverse_root() {
        for highest in [1.0, 3e-5, 7e8] {
            let lowest = SMALLEST * highest;
            let points = points(lowest, highest);
            for i in 0..=600 {
                let x = lowest * (highest / lowest).powf(f64::from(i) / 600.0);
                let sum: f64 = points.iter().map(|(shift, weight)| weight / (x + shift)).sum();
                assert!((sum * x.sqrt() - 1.0).abs() < EXACT, "{x}: {sum}");
            }
            // Smaller ones count as if they were at most a few times smaller.
            let least: f64 = points.iter().map(|(shift, weight)| weight / shift).sum();
            assert!(least * lowest.sqrt() < 20.0, "{}", least * lowest.sqrt());
        }
    }
}
