//! Count, mean and scatter of feature rows, in float64 and mergeable.
//!
//! Chan, Golub and `LeVeque`, "Updating formulae and a pairwise algorithm for computing sample
//! variances", 1979.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use crate::features::check_rows;
use crate::{Error, Features, Result, RowSample};

/// Rows whose products are summed at once. Blocks start at multiples of it, counted from the first
/// row, which makes the sums independent of batches.
const BLOCK: usize = 256;

/// Columns of the scatter that one task updates.
const PANEL: usize = 128;

/// Largest difference of two mirrored entries of a covariance, relative to the largest variance:
/// float32 files are symmetric to their rounding.
const ASYMMETRY: f64 = 1e-6;

/// Widest rows that moments are taken of: their scatter has 8 GiB.
const WIDEST: usize = 1 << 15;

/// First and second moments of a set of feature rows.
///
/// The scatter is `sum_i (x_i - m)(x_i - m)^T`; the covariance divides it by `count - 1`.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureStats {
    count: Option<u64>,
    mean: DVector<f64>,
    /// The covariance itself where the count is unknown.
    scatter: DMatrix<f64>,
    sample: Option<Features>,
}

impl FeatureStats {
    /// Moments of all rows.
    pub fn from_features(features: &Features) -> Self {
        let mut builder = StatsBuilder::empty(features.dim());
        builder.push_slice(features.as_slice());
        builder.finish()
    }

    /// Moments from their parts, for readers of files.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the scatter is not (dim, dim), [`Error::NotFinite`] and
    /// [`Error::NotSymmetric`] if it cannot be one.
    pub fn from_scatter(count: u64, mean: DVector<f64>, scatter: DMatrix<f64>) -> Result<Self> {
        let scatter = checked(&mean, scatter)?;
        Ok(Self { count: Some(count), mean, scatter, sample: None })
    }

    /// Mean and covariance from a file, with the number of samples behind them if it is known.
    ///
    /// # Errors
    /// Those of [`FeatureStats::from_scatter`], and [`Error::TooFewSamples`] for a count below 2.
    pub fn from_cov(count: Option<u64>, mean: DVector<f64>, cov: DMatrix<f64>) -> Result<Self> {
        let mut scatter = checked(&mean, cov)?;
        if let Some(count) = count {
            scatter *= degrees_of_freedom(count)?;
        }
        Ok(Self { count, mean, scatter, sample: None })
    }

    /// The same moments with a [sample](RowSample) of the rows behind them.
    ///
    /// # Errors
    /// [`Error::Dimension`] and [`Error::NotFinite`] if it cannot be one, [`Error::RowCount`] for
    /// more rows than the moments have.
    pub fn with_sample(self, sample: Features) -> Result<Self> {
        if sample.dim() != self.dim() {
            let (expected, got) = (self.dim(), sample.dim());
            return Err(Error::Dimension { what: "the sample of rows", expected, got });
        }
        sample.check_finite("the sample of rows")?;
        let (most, got) = (self.count.unwrap_or(0), sample.len());
        if got as u64 > most {
            return Err(Error::RowCount {
                what: "the sample of rows",
                expected: most as usize,
                got,
            });
        }
        Ok(Self { sample: Some(sample), ..self })
    }

    /// A [sample](RowSample) of the rows behind the moments, from which errors of scores are
    /// estimated; `None` for moments from files without one.
    pub fn sample(&self) -> Option<&Features> {
        self.sample.as_ref()
    }

    /// Number of rows; `None` for [imported](FeatureStats::from_cov) moments without it.
    pub fn count(&self) -> Option<u64> {
        self.count
    }

    /// Width of a row.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// The mean.
    pub fn mean(&self) -> &DVector<f64> {
        &self.mean
    }

    /// The scatter; `None` where the count is unknown.
    pub fn scatter(&self) -> Option<&DMatrix<f64>> {
        self.count.map(|_| &self.scatter)
    }

    /// The unbiased covariance, `scatter / (count - 1)`.
    ///
    /// # Errors
    /// [`Error::TooFewSamples`] for fewer than two rows.
    pub fn cov(&self) -> Result<DMatrix<f64>> {
        match self.count {
            Some(count) => Ok(&self.scatter / degrees_of_freedom(count)?),
            None => Ok(self.scatter.clone()),
        }
    }

    /// Largest rank that the covariance can have: below the count, and at most the dimension.
    pub fn max_rank(&self) -> usize {
        let dim = self.dim();
        self.count.map_or(dim, |n| dim.min(usize::try_from(n).unwrap_or(dim).saturating_sub(1)))
    }

    /// Moments of the rows of both, exact up to rounding.
    ///
    /// # Errors
    /// [`Error::Dimension`] if `other` is not as wide, [`Error::UnknownCount`] if either does
    /// not tell its count.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.dim() != other.dim() {
            let (expected, got) = (self.dim(), other.dim());
            return Err(Error::Dimension { what: "the merged statistics", expected, got });
        }
        let (Some(a), Some(b)) = (self.count, other.count) else {
            return Err(Error::UnknownCount);
        };
        if b == 0 {
            return Ok(());
        }
        let total = a.checked_add(b).ok_or(Error::Parameter {
            name: "count",
            expected: "below 2^64 of both sets together",
            got: format!("{a} and {b}"),
        })?;
        self.sample = match (&self.sample, &other.sample) {
            (Some(mine), Some(other)) => Some(RowSample::merge(mine, other)?),
            _ if a == 0 => other.sample.clone(),
            _ => None,
        };
        let (weight, delta) = shift(&mut self.mean, a, &other.mean, b);
        self.count = Some(total);
        let dim = self.mean.len();
        let columns = self.scatter.as_mut_slice().par_chunks_mut(dim);
        columns.zip(other.scatter.as_slice().par_chunks(dim)).enumerate().for_each(
            |(j, (sum, add))| {
                for ((sum, add), d) in sum.iter_mut().zip(add).zip(&delta) {
                    *sum += add + weight * (d * delta[j]);
                }
            },
        );
        Ok(())
    }

    /// Moments of the rows that stay when those of `part`, which are among them, are taken away:
    /// [`merge`](Self::merge) undone, up to rounding. A sample of the rows is not kept.
    ///
    /// With `n` rows of mean `m` and scatter `S`, `k` of which have mean `q` and scatter `T`, the rest
    /// has mean `m - k (q - m) / (n - k)` and scatter `S - T - n k / (n - k) (q - m) (q - m)^T`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if `part` is not as wide, [`Error::UnknownCount`] if either does not tell its
    /// count, [`Error::TooFewSamples`] if no row stays.
    pub fn without(&self, part: &Self) -> Result<Self> {
        if self.dim() != part.dim() {
            let (expected, got) = (self.dim(), part.dim());
            return Err(Error::Dimension { what: "the part", expected, got });
        }
        let (Some(n), Some(k)) = (self.count, part.count) else {
            return Err(Error::UnknownCount);
        };
        if k >= n {
            let (what, needed) = ("the rest of a set", usize::try_from(k).unwrap_or(usize::MAX));
            let got = usize::try_from(n).unwrap_or(usize::MAX);
            return Err(Error::TooFewSamples { what, needed: needed.saturating_add(1), got });
        }
        let share = k as f64 / (n - k) as f64;
        let shift = &part.mean - &self.mean;
        let mut scatter = &self.scatter - &part.scatter;
        scatter.ger(-share * n as f64, &shift, &shift, 1.0);
        Self::from_scatter(n - k, &self.mean - shift * share, scatter)
    }
}

/// Sums moments row by row; the result depends on the rows and their order alone.
#[derive(Debug, Clone, PartialEq)]
pub struct StatsBuilder {
    pub(crate) count: u64,
    pub(crate) mean: DVector<f64>,
    /// Only the lower triangle is kept up to date.
    pub(crate) scatter: DMatrix<f64>,
    /// Rows of the block that is not full yet.
    pub(crate) pending: Vec<f32>,
    sample: RowSample,
}

impl StatsBuilder {
    /// No rows yet, each `dim` wide.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `dim` is zero or above 32,768.
    pub fn new(dim: usize) -> Result<Self> {
        check_rows(0, dim)?;
        check_width(dim)?;
        Ok(Self::empty(dim))
    }

    fn empty(dim: usize) -> Self {
        let (mean, scatter) = (DVector::zeros(dim), DMatrix::zeros(dim, dim));
        Self { count: 0, mean, scatter, pending: Vec::new(), sample: RowSample::empty(dim) }
    }

    /// Width of a row.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Rows pushed so far.
    pub fn count(&self) -> u64 {
        self.count + (self.pending.len() / self.dim()) as u64
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`Error::Dimension`] if they are not as wide as the earlier ones.
    pub fn push(&mut self, rows: &Features) -> Result<()> {
        if rows.dim() != self.dim() {
            let (expected, got) = (self.dim(), rows.dim());
            return Err(Error::Dimension { what: "the pushed features", expected, got });
        }
        self.push_slice(rows.as_slice());
        Ok(())
    }

    fn push_slice(&mut self, mut rows: &[f32]) {
        self.sample.push(rows);
        let block = BLOCK * self.dim();
        if !self.pending.is_empty() {
            let (head, tail) = rows.split_at(rows.len().min(block - self.pending.len()));
            self.pending.extend_from_slice(head);
            rows = tail;
            if self.pending.len() == block {
                let full = std::mem::take(&mut self.pending);
                self.add_block(&full);
            }
        }
        let blocks = rows.chunks_exact(block);
        self.pending.extend_from_slice(blocks.remainder());
        blocks.for_each(|full| self.add_block(full));
    }

    /// The moments of all rows.
    #[must_use]
    pub fn finish(mut self) -> FeatureStats {
        let last = std::mem::take(&mut self.pending);
        if !last.is_empty() {
            self.add_block(&last);
        }
        self.scatter.fill_upper_triangle_with_lower_triangle();
        let (mean, scatter, sample) = (self.mean, self.scatter, Some(self.sample.finish()));
        FeatureStats { count: Some(self.count), mean, scatter, sample }
    }

    /// Adds `sum_i (x_i - m)(x_i - m)^T` of the block, and the product of the shift of its mean,
    /// which takes part as one more row.
    fn add_block(&mut self, rows: &[f32]) {
        let dim = self.dim();
        let n = rows.len() / dim;
        let mut mean = DVector::<f64>::zeros(dim);
        for row in rows.chunks_exact(dim) {
            for (m, &x) in mean.iter_mut().zip(row) {
                *m += f64::from(x);
            }
        }
        mean /= n as f64;
        let mut centered = Vec::with_capacity((n + 1) * dim);
        for row in rows.chunks_exact(dim) {
            centered.extend(row.iter().zip(&mean).map(|(&x, m)| f64::from(x) - m));
        }
        let (weight, delta) = shift(&mut self.mean, self.count, &mean, n as u64);
        self.count += n as u64;
        centered.extend(delta.iter().map(|d| weight.sqrt() * d));

        let x = MatRef::from_column_major_slice(&centered, dim, n + 1);
        self.scatter.as_mut_slice().par_chunks_mut(PANEL * dim).enumerate().for_each(
            |(panel, columns)| {
                let first = panel * PANEL;
                let width = columns.len() / dim;
                let lower = MatMut::from_column_major_slice_mut(columns, dim, width)
                    .split_at_row_mut(first);
                let (below, own) = (x.subrows(first, dim - first), x.subrows(first, width));
                matmul(lower.1, Accum::Add, below, own.transpose(), 1.0, Par::Seq);
            },
        );
    }
}

/// Moves `mean`, of `a` rows, to the mean of those and of `b` rows with mean `other`. Returns
/// `a b / (a + b)` and the difference `d` of the means: the scatter of all rows exceeds the sum of
/// both scatters by their product with `d d^T`.
fn shift(mean: &mut DVector<f64>, a: u64, other: &DVector<f64>, b: u64) -> (f64, Vec<f64>) {
    let (a, b) = (a as f64, b as f64);
    let delta: Vec<f64> = other.iter().zip(mean.iter()).map(|(o, m)| o - m).collect();
    for (m, d) in mean.iter_mut().zip(&delta) {
        *m += d * (b / (a + b));
    }
    (a * b / (a + b), delta)
}

/// Fails if rows are so wide that their scatter cannot be kept in memory.
pub(crate) fn check_width(dim: usize) -> Result<()> {
    if dim <= WIDEST {
        return Ok(());
    }
    let expected = "at most 32768 for a covariance";
    Err(Error::Parameter { name: "the dimension of features", expected, got: dim.to_string() })
}

fn degrees_of_freedom(count: u64) -> Result<f64> {
    if count < 2 {
        let (what, got) = ("a covariance", count as usize);
        return Err(Error::TooFewSamples { what, needed: 2, got });
    }
    Ok((count - 1) as f64)
}

/// The symmetric part of `matrix`, once it is known to fit `mean` and to be symmetric up to
/// rounding.
fn checked(mean: &DVector<f64>, matrix: DMatrix<f64>) -> Result<DMatrix<f64>> {
    let dim = mean.len();
    check_rows(0, dim)?;
    for got in [matrix.nrows(), matrix.ncols()] {
        if got != dim {
            return Err(Error::Dimension { what: "the covariance", expected: dim, got });
        }
    }
    let finite = |values: &[f64]| values.iter().position(|v| !v.is_finite());
    if let Some(row) = finite(mean.as_slice()) {
        return Err(Error::NotFinite { what: "the mean", row });
    }
    if let Some(at) = finite(matrix.as_slice()) {
        return Err(Error::NotFinite { what: "the covariance", row: at % dim });
    }
    let tolerance = ASYMMETRY * matrix.diagonal().amax();
    for column in 0..dim {
        for row in column + 1..dim {
            let (lower, upper) = (matrix[(row, column)], matrix[(column, row)]);
            if (lower - upper).abs() > tolerance {
                return Err(Error::NotSymmetric { row, column, lower, upper });
            }
        }
    }
    Ok(symmetric_part(matrix))
}

fn symmetric_part(mut matrix: DMatrix<f64>) -> DMatrix<f64> {
    for column in 0..matrix.ncols() {
        for row in column + 1..matrix.nrows() {
            let middle = f64::midpoint(matrix[(row, column)], matrix[(column, row)]);
            matrix[(row, column)] = middle;
            matrix[(column, row)] = middle;
        }
    }
    matrix
}

#[cfg(test)]
mod tests;
