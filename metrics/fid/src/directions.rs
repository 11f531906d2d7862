//! The Fréchet distance along the directions of the optimal transport.

use ganscope_stats::linalg::{
    factor_psd, leading_eigenvectors, mul, singular, symmetric_eigen, tr_mul,
};
use ganscope_stats::{Chance, FeatureStats, Features, Result, check_parameter};
use nalgebra::{DMatrix, DVector};

use crate::check_pair;

/// The part of a Fréchet distance that lies along one direction of the features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Direction {
    /// The squared difference of the means along it, `(u . (m_g - m_r))^2`.
    pub shift: f64,
    /// The part of the covariances, `(1 - a)^2 u^T R u`.
    pub spread: f64,
    /// The factor `a` between the standard deviations of the reference and the generated set: below
    /// 1 the generated images vary too little, above 1 too much. `None` where the reference does not
    /// vary at all.
    pub stretch: Option<f64>,
}

impl Direction {
    /// Its part of the distance, never negative.
    pub fn distance(&self) -> f64 {
        self.shift + self.spread
    }
}

/// A Fréchet distance, split without negative parts into those of orthogonal directions.
///
/// The optimal transport between the Gaussians is the map `A` with `A R A = G`, for the covariances
/// `R` of the reference and `G` of the generated set. Along its unit eigenvectors `u` with the
/// eigenvalues `a`
///
/// `FD = sum (u . (m_g - m_r))^2 + (1 - a)^2 u^T R u`.
///
/// Where `R` is singular, as in sets of fewer images than features, the map is that between the
/// range of `R` and itself. The directions of the rest are eigenvectors of `G` there; all spread
/// along them is too much, so their parts are `u^T G u`.
#[derive(Debug, Clone)]
pub struct Directions {
    /// The parts, the largest first.
    pub parts: Vec<Direction>,
    /// The sum of the parts, which is the distance.
    pub distance: f64,
    /// Dimensions in which the reference varies; the map exists in no others.
    pub rank: usize,
    /// The directions, unit vectors, one per column in the order of the parts, (dim, parts). Their
    /// signs are such that the generated mean is not below that of the reference.
    pub vectors: DMatrix<f64>,
}

/// Splits the Fréchet distance by [`Directions`].
///
/// With factors `R = F F^T`, `G = H H^T` and the polar part `Q` of `H^T F`, the transport moves `F z`
/// to `H Q z`, so no covariance is inverted for the parts: they sum to the distance whatever the
/// condition of `R`.
///
/// ```
/// use ganscope_fid::{directions, frechet_distance};
/// use ganscope_stats::{FeatureStats, Features};
///
/// let reference = Features::from_vec((0..40).map(|i| (i * i % 17) as f32).collect(), 2)?;
/// let generated = Features::from_vec((0..40).map(|i| (i * i % 23) as f32).collect(), 2)?;
/// let [g, r] = [&generated, &reference].map(FeatureStats::from_features);
/// let found = directions(&g, &r)?;
/// let sum: f64 = found.parts.iter().map(|part| part.distance()).sum();
/// assert!((sum / frechet_distance(&g, &r)? - 1.0).abs() < 1e-9);
/// # Ok::<(), ganscope_stats::Error>(())
/// ```
///
/// # Errors
/// Those of [`frechet_distance`](crate::frechet_distance).
pub fn directions(generated: &FeatureStats, reference: &FeatureStats) -> Result<Directions> {
    check_pair(generated, reference)?;
    let shift = generated.mean() - reference.mean();
    let (of_generated, of_reference) = (generated.cov()?, reference.cov()?);
    let factor = factor_psd(of_generated.clone(), generated.max_rank())?;
    let (values, basis) = symmetric_eigen(&of_reference)?;
    let dim = values.len();
    // An eigenvalue is known to the rounding of the largest one.
    let smallest = dim as f64 * f64::EPSILON * values.max();
    let rank = values.iter().filter(|&&value| value > smallest).count();
    let rank = rank.min(reference.max_rank());
    // Ascending eigenvalues: the range of the reference is at the end.
    let rest = basis.columns(0, dim - rank).into_owned();
    let range = basis.columns(dim - rank, rank).into_owned();
    let roots: Vec<f64> = values.iter().skip(dim - rank).map(|value| value.sqrt()).collect();
    let mut root = range.clone();
    root.column_iter_mut().zip(&roots).for_each(|(mut column, root)| column *= *root);

    let product = tr_mul(&factor, &root);
    let polar = singular(&product)?;
    let right = &polar.right;
    let mut left = mul(&product, right);
    left.column_iter_mut().zip(&polar.values).for_each(|(mut column, value)| column /= *value);
    // The covariance of what is moved: R + G - X - X^T, X that of both ends of the transport.
    let both = mul(&mul(&root, right), &mul(&factor, &left).transpose());
    let moved = &of_reference + &of_generated - &both - both.transpose();

    let (stretches, inside) = map_in_range(&polar.values, right, &roots)?;
    let mut vectors = mul(&range, &inside);
    let mut stretch: Vec<Option<f64>> = stretches.into_iter().map(Some).collect();
    if dim > rank {
        let (_, outside) = symmetric_eigen(&tr_mul(&rest, &mul(&of_generated, &rest)))?;
        let outside = mul(&rest, &outside);
        let columns = vectors.column_iter().chain(outside.column_iter());
        vectors = DMatrix::from_columns(&columns.collect::<Vec<_>>());
        stretch.resize(dim, None);
    }
    Ok(Directions::sorted(&shift, &moved, vectors, &stretch, rank))
}

/// The largest part of a direction, beside what it is by chance.
///
/// Both are taken in the `leading` principal components of the images of both sets together, which have
/// the moments `pooled`: large parts lie where images vary much, and small covariances are quick. The
/// components do not depend on how the images are divided, so the test is exact.
///
/// # Errors
/// [`Error::Parameter`](ganscope_stats::Error::Parameter) without components or draws, and those of
/// [`directions`].
pub fn largest_part(
    [generated, reference]: [&Features; 2],
    pooled: &FeatureStats,
    leading: usize,
    (draws, seed): (u32, u32),
) -> Result<Chance> {
    check_parameter("the number of components", leading, "at least 1", leading > 0)?;
    let basis = leading_eigenvectors(&pooled.cov()?, leading)?;
    let largest = |a: &Features, b: &Features| -> Result<f64> {
        let [a, b] = [a, b].map(FeatureStats::from_features);
        Ok(directions(&a, &b)?.parts.first().map_or(0.0, Direction::distance))
    };
    Chance::new([&generated.along(&basis)?, &reference.along(&basis)?], draws, seed, largest)
}

/// Eigenvalues and unit eigenvectors, one per column, of the map `L^(-1/2) M L^(-1/2)`, where `L` are
/// the eigenvalues of the reference covariance, of which the roots are given, and `M` has these
/// singular values and right vectors.
fn map_in_range(
    values: &[f64],
    right: &DMatrix<f64>,
    roots: &[f64],
) -> Result<(Vec<f64>, DMatrix<f64>)> {
    let mut half = right.clone();
    half.row_iter_mut().zip(roots).for_each(|(mut row, root)| row /= *root);
    half.column_iter_mut().zip(values).for_each(|(mut column, value)| column *= value.sqrt());
    let half = half.transpose();
    let (stretches, vectors) = symmetric_eigen(&tr_mul(&half, &half))?;
    Ok((stretches.iter().map(|a| a.max(0.0)).collect(), vectors))
}

impl Directions {
    fn sorted(
        shift: &DVector<f64>,
        moved: &DMatrix<f64>,
        mut vectors: DMatrix<f64>,
        stretch: &[Option<f64>],
        rank: usize,
    ) -> Self {
        let spreads = mul(moved, &vectors);
        let mut parts = Vec::with_capacity(vectors.ncols());
        for (i, &stretch) in stretch.iter().enumerate() {
            let along = vectors.column(i).dot(shift);
            if along < 0.0 {
                vectors.column_mut(i).neg_mut();
            }
            let spread = spreads.column(i).dot(&vectors.column(i)).abs();
            parts.push(Direction { shift: along * along, spread, stretch });
        }
        let mut order: Vec<usize> = (0..parts.len()).collect();
        let size = |i: usize| parts[i].distance();
        order.sort_by(|&a, &b| size(b).total_cmp(&size(a)).then(a.cmp(&b)));
        let parts: Vec<Direction> = order.iter().map(|&i| parts[i]).collect();
        let distance = parts.iter().map(Direction::distance).sum();
        Self { distance, rank, vectors: vectors.select_columns(&order), parts }
    }
}
