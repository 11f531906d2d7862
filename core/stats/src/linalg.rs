//! Linear algebra of scores: symmetric eigenvalues, roots and factors of covariances.
//!
//! Matrices are nalgebra's; faer does the heavy work on views of their column-major storage.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor as llt;
use faer::linalg::cholesky::llt_pivoting::factor as cholesky;
use faer::linalg::evd::{self, ComputeEigenvectors};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::prelude::default;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use nalgebra::{DMatrix, DVector};

use crate::{Error, Result};
use singular_values::Reduced;

mod inverse_root;
mod singular_values;

/// Share of the trace that a factor of a positive semidefinite matrix may lack: a singular
/// covariance that was rounded to float32 lacks some 1e-6.
const LOST_MASS: f64 = 1e-5;

/// Share of the largest diagonal value of a Cholesky factor above which the smallest is no rounding.
/// Rounding of covariances of some thousand dimensions stays below 1e-6.
const CLEAR: f64 = 1e-5;

/// Eigenvalues of a Gram matrix below this share of the largest have lost digits to it. At the
/// limit a singular value is still known to 1e-13 of the largest.
const TRUSTED: f64 = 1e-6;

/// Share of a nuclear norm that does not change a score.
const NEGLIGIBLE: f64 = 1e-14;

/// Eigenvalues, ascending, and their unit eigenvectors, one per column.
///
/// Only the lower triangle is read.
///
/// # Errors
/// [`Error::NotSquare`] by its shape, [`Error::NotFinite`] by its values, and
/// [`Error::NoConvergence`].
pub fn symmetric_eigen(matrix: &DMatrix<f64>) -> Result<(DVector<f64>, DMatrix<f64>)> {
    let n = checked_size(matrix)?;
    let (mut values, mut vectors) = (Diag::<f64>::zeros(n), DMatrix::zeros(n, n));
    let (both, par) = (ComputeEigenvectors::Yes, parallelism());
    let mut memory = MemBuffer::new(evd::self_adjoint_evd_scratch::<f64>(n, both, par, default()));
    evd::self_adjoint_evd(
        view(matrix),
        values.as_mut(),
        Some(view_mut(&mut vectors)),
        par,
        MemStack::new(&mut memory),
        default(),
    )
    .map_err(|evd::EvdError::NoConvergence| Error::NoConvergence("eigendecomposition"))?;
    Ok((DVector::from_iterator(n, values.column_vector().iter().copied()), vectors))
}

/// The unit eigenvectors of the `count` largest eigenvalues of a symmetric matrix, the largest first,
/// one per column; all of them if there are no more.
///
/// # Errors
/// Those of [`symmetric_eigen`].
pub fn leading_eigenvectors(matrix: &DMatrix<f64>, count: usize) -> Result<DMatrix<f64>> {
    let (values, vectors) = symmetric_eigen(matrix)?;
    let leading: Vec<usize> = (0..values.len()).rev().take(count).collect();
    Ok(vectors.select_columns(&leading))
}

/// The positive semidefinite root `R` of a positive semidefinite matrix, `R R = matrix`.
///
/// Negative eigenvalues are taken as zero as long as they are rounding.
///
/// # Errors
/// [`Error::NotPsd`] if they are not, and those of [`symmetric_eigen`].
pub fn sqrt_psd(matrix: &DMatrix<f64>) -> Result<DMatrix<f64>> {
    let (values, vectors) = symmetric_eigen(matrix)?;
    let (trace, lost) =
        values.iter().fold(
            (0.0, 0.0),
            |(trace, lost), &v| {
                if v < 0.0 { (trace, lost - v) } else { (trace + v, lost) }
            },
        );
    check_mass(lost, trace)?;
    let mut scaled = vectors;
    for (mut column, &value) in scaled.column_iter_mut().zip(&values) {
        column *= value.max(0.0).sqrt().sqrt();
    }
    let scaled = scaled.transpose();
    Ok(tr_mul(&scaled, &scaled))
}

/// A thin factor `F` of a positive semidefinite matrix, `F F^T = matrix`, with as many columns as
/// the matrix has rank, and at most `max_rank`: a Cholesky factorisation, with complete pivoting
/// where the matrix may be singular.
///
/// Only the lower triangle is read.
///
/// # Errors
/// [`Error::NotPsd`] if no such factor comes near the matrix, [`Error::NotSquare`],
/// [`Error::NotFinite`], and [`Error::NoConvergence`] if a product is beyond the range of numbers.
pub fn factor_psd(matrix: DMatrix<f64>, max_rank: usize) -> Result<DMatrix<f64>> {
    let n = checked_size(&matrix)?;
    let trace = matrix.trace();
    let (lowest, highest) = (matrix.diagonal().min(), matrix.diagonal().max());
    if lowest < 0.0 {
        return Err(Error::NotPsd { lost: -lowest, trace });
    }
    if highest == 0.0 {
        check_mass(matrix.amax(), 0.0)?;
        return Ok(DMatrix::zeros(n, 0));
    }
    if max_rank >= n
        && let Some(factor) = clearly_definite(&matrix)
    {
        return Ok(factor);
    }
    let mut lower = matrix;
    let (mut order, mut inverse, par) = (vec![0usize; n], vec![0usize; n], parallelism());
    let mut memory =
        MemBuffer::new(cholesky::cholesky_in_place_scratch::<usize, f64>(n, par, default()));
    let stack = MemStack::new(&mut memory);
    let (info, _permutation) = cholesky::cholesky_in_place(
        view_mut(&mut lower),
        &mut order,
        &mut inverse,
        par,
        stack,
        default(),
    )
    .map_err(|_no_number| Error::NoConvergence("pivoted Cholesky factorisation"))?;
    let rank = info.rank.min(max_rank);
    let factor = DMatrix::from_fn(n, rank, |row, column| {
        let row = inverse[row];
        if row < column { 0.0 } else { lower[(row, column)] }
    });
    check_mass((trace - factor.norm_squared()).abs(), trace)?;
    Ok(factor)
}

/// The lower triangle of Cholesky, unless a pivot is so small that it may be rounding: pivoting is then
/// what tells rounding from rank, at four times the cost.
fn clearly_definite(matrix: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    let (n, par) = (matrix.nrows(), parallelism());
    let mut lower = matrix.clone();
    let mut memory = MemBuffer::new(llt::cholesky_in_place_scratch::<f64>(n, par, default()));
    let (stack, view) = (MemStack::new(&mut memory), view_mut(&mut lower));
    llt::cholesky_in_place(view, default(), par, stack, default()).ok()?;
    // What is above the diagonal has no meaning.
    lower.fill_upper_triangle(0.0, 1);
    let pivots = lower.diagonal();
    (pivots.min() > CLEAR * pivots.max()).then_some(lower)
}

/// The sum of the singular values, each to the rounding of the largest.
///
/// # Errors
/// [`Error::NotFinite`] and [`Error::NoConvergence`].
pub fn nuclear_norm(matrix: &DMatrix<f64>) -> Result<f64> {
    check_finite(matrix)?;
    norm_of(matrix, &Reduced::new(matrix, Mat::zeros(matrix.ncols(), 0)))
}

/// The [`nuclear_norm`] of a matrix `M`, and `y^T (M^T M)^(-1/2) y` for each column `y` of `vectors`,
/// to 1e-7 for what belongs to singular values above a millionth of the largest. The vectors are to lie
/// in the range of `M^T`: the form of what `M` maps to zero is infinite, and what is returned for it
/// has no meaning.
///
/// Both need the same reduction of the matrix, and the forms cost little more.
///
/// # Errors
/// Those of [`nuclear_norm`].
///
/// # Panics
/// If the vectors are not as long as the rows of the matrix.
pub fn nuclear_norm_and_forms(
    matrix: &DMatrix<f64>,
    vectors: &DMatrix<f64>,
) -> Result<(f64, Vec<f64>)> {
    assert_eq!(matrix.ncols(), vectors.nrows(), "length of the vectors");
    check_finite(matrix)?;
    check_finite(vectors)?;
    let reduced = Reduced::new(matrix, view(vectors).to_owned());
    let (norm, forms) = rayon::join(|| norm_of(matrix, &reduced), || reduced.inverse_root_forms());
    Ok((norm?, forms?))
}

fn norm_of(matrix: &DMatrix<f64>, reduced: &Reduced) -> Result<f64> {
    match reduced.values() {
        Ok(values) => Ok(values.iter().sum()),
        // No such matrix is known. The slow way has no shifts that could fail.
        Err(_) => descend(matrix, |_values, _vectors| ()),
    }
}

/// The positive singular values and the right singular vectors, one per column.
#[derive(Debug, Clone)]
pub struct Singular {
    /// The singular values.
    pub values: Vec<f64>,
    /// The right singular vectors, (columns, values).
    pub right: DMatrix<f64>,
}

/// The singular values that make up the [`nuclear_norm`], with their right vectors.
///
/// # Errors
/// As [`nuclear_norm`].
pub fn singular(matrix: &DMatrix<f64>) -> Result<Singular> {
    let wide = matrix.ncols() > matrix.nrows();
    let (mut values, mut parts) = (Vec::new(), Vec::new());
    let mut subspace: Option<DMatrix<f64>> = None;
    descend(matrix, |found, vectors| {
        let small = vectors.ncols() - found.len();
        let whole = subspace.as_ref().map_or_else(|| vectors.clone(), |space| mul(space, vectors));
        values.extend_from_slice(found);
        parts.extend(
            whole.columns(small, found.len()).column_iter().map(nalgebra::Matrix::into_owned),
        );
        subspace = Some(whole.columns(0, small).into_owned());
    })?;
    let mut right = match parts.as_slice() {
        [] => DMatrix::zeros(matrix.ncols(), 0),
        parts => DMatrix::from_columns(parts),
    };
    if wide && !values.is_empty() {
        // These are the left vectors `u`; the right ones are `M^T u / s`.
        right = product(view(matrix).transpose(), view(&right));
        right.column_iter_mut().zip(&values).for_each(|(mut v, s)| v /= *s);
    }
    Ok(Singular { values, right })
}

/// The nuclear norm. `each` gets the singular values of each decomposition that are trusted, and all
/// its vectors, those of the trusted ones last, in the space that the decompositions before left.
fn descend(matrix: &DMatrix<f64>, mut each: impl FnMut(&[f64], &DMatrix<f64>)) -> Result<f64> {
    check_finite(matrix)?;
    let wide = matrix.ncols() > matrix.nrows();
    let mut rest = if wide { matrix.transpose() } else { matrix.clone() };
    // A power of two, so that nothing is rounded: squares of tiny numbers would vanish.
    let largest = rest.amax();
    let scale = if largest > 0.0 { largest.log2().floor().exp2() } else { 1.0 };
    rest /= scale;
    let mut sum = 0.0;
    while (rest.ncols() as f64).sqrt() * rest.norm() > NEGLIGIBLE * sum {
        let (values, vectors) = symmetric_eigen(&lower_gram(&rest))?;
        let trusted = TRUSTED * values[values.len() - 1];
        let small = values.iter().take_while(|&&v| v < trusted).count();
        let found: Vec<f64> = values.iter().skip(small).map(|v| v.sqrt()).collect();
        sum += found.iter().sum::<f64>();
        rest = mul(&rest, &vectors.columns(0, small).into_owned());
        each(&found.iter().map(|v| v * scale).collect::<Vec<_>>(), &vectors);
    }
    Ok(scale * sum)
}

/// `a^T b`, at less than half the cost for two lower triangles.
///
/// # Panics
/// If the numbers of rows differ.
pub fn tr_mul(a: &DMatrix<f64>, b: &DMatrix<f64>) -> DMatrix<f64> {
    if !(is_lower_triangle(a) && is_lower_triangle(b)) {
        return product(view(a).transpose(), view(b));
    }
    let mut result = DMatrix::zeros(a.ncols(), b.ncols());
    triangular::matmul(
        view_mut(&mut result),
        BlockStructure::Rectangular,
        Accum::Replace,
        view(a).transpose(),
        BlockStructure::TriangularUpper,
        view(b),
        BlockStructure::TriangularLower,
        1.0,
        parallelism(),
    );
    result
}

/// Whether a matrix is square and has zeros above the diagonal.
fn is_lower_triangle(matrix: &DMatrix<f64>) -> bool {
    let mut columns = matrix.column_iter().enumerate();
    matrix.is_square() && columns.all(|(j, column)| column.iter().take(j).all(|&v| v == 0.0))
}

/// `a b`.
///
/// # Panics
/// If `a` has not as many columns as `b` has rows.
pub fn mul(a: &DMatrix<f64>, b: &DMatrix<f64>) -> DMatrix<f64> {
    product(view(a), view(b))
}

/// All dot products of the rows of `a` with those of `b`, (rows of a, rows of b); rows are `dim`
/// long and laid end to end. Runs on the calling thread, for use on tiles.
///
/// # Panics
/// If a length is not a multiple of `dim`.
pub fn row_products(a: &[f64], b: &[f64], dim: usize) -> DMatrix<f64> {
    let mut products = DMatrix::zeros(a.len() / dim, b.len() / dim);
    let out = view_mut(&mut products);
    matmul(out, Accum::Replace, row_view(a, dim).transpose(), row_view(b, dim), 1.0, Par::Seq);
    products
}

fn row_view<T>(rows: &[T], dim: usize) -> MatRef<'_, T> {
    assert!(dim > 0 && rows.len().is_multiple_of(dim), "{} values in rows of {dim}", rows.len());
    MatRef::from_column_major_slice(rows, dim, rows.len() / dim)
}

fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> DMatrix<f64> {
    assert_eq!(a.ncols(), b.nrows(), "inner dimensions of a product");
    let mut result = DMatrix::zeros(a.nrows(), b.ncols());
    matmul(view_mut(&mut result), Accum::Replace, a, b, 1.0, parallelism());
    result
}

/// The lower triangle of `a^T a`; zeros above it.
fn lower_gram(a: &DMatrix<f64>) -> DMatrix<f64> {
    let mut gram = DMatrix::zeros(a.ncols(), a.ncols());
    triangular::matmul(
        view_mut(&mut gram),
        BlockStructure::TriangularLower,
        Accum::Replace,
        view(a).transpose(),
        BlockStructure::Rectangular,
        view(a),
        BlockStructure::Rectangular,
        1.0,
        parallelism(),
    );
    gram
}

fn check_mass(lost: f64, trace: f64) -> Result<()> {
    if lost <= LOST_MASS * trace { Ok(()) } else { Err(Error::NotPsd { lost, trace }) }
}

fn checked_size(matrix: &DMatrix<f64>) -> Result<usize> {
    let (rows, columns) = matrix.shape();
    if rows != columns {
        return Err(Error::NotSquare { rows, columns });
    }
    check_finite(matrix)?;
    Ok(rows)
}

fn check_finite(matrix: &DMatrix<f64>) -> Result<()> {
    match matrix.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(Error::NotFinite { what: "the matrix", row: at % matrix.nrows() }),
        None => Ok(()),
    }
}

fn view(matrix: &DMatrix<f64>) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(matrix.as_slice(), matrix.nrows(), matrix.ncols())
}

fn view_mut(matrix: &mut DMatrix<f64>) -> MatMut<'_, f64> {
    let (rows, columns) = matrix.shape();
    MatMut::from_column_major_slice_mut(matrix.as_mut_slice(), rows, columns)
}

/// As many threads as the rayon pool has.
fn parallelism() -> Par {
    Par::rayon(0)
}

#[cfg(test)]
mod tests;
