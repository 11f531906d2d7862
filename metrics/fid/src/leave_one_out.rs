//! How much each generated image adds to the Fréchet distance, in closed form.

use ganscope_stats::linalg::{mul, nuclear_norm, symmetric_eigen, tr_mul};
use ganscope_stats::{Error, FeatureStats, Features, Result, Side};
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use crate::{Gaussians, check_count, check_width};

/// Eigenvalues below this share of the largest are rounding errors of a singular covariance.
const SINGULAR: f64 = 1e-12;

/// Step of the integral over the logarithm of its variable. The integrand is analytic up to
/// `pi / 2` off the real axis, so the error of the trapezoid rule is `exp(-pi^2 / step)`, 1e-14.
const STEP: f64 = 0.3;

/// The integral runs to this logarithm on both sides of the root of the largest eigenvalue; beyond
/// lies `exp(-30)` of it.
const REACH: f64 = 30.0;

/// The Fréchet distance of a generated set, prepared for the contribution and the gradient of each
/// of its images.
///
/// With factors `C = F F^T` and `R = G G^T` of the generated and the reference covariance, the
/// trace of `(C R)^(1/2)` is that of the root of `M = G^T C G`.
///
/// ```
/// use ganscope_fid::{LeaveOneOut, frechet_distance, worst_first};
/// use ganscope_stats::{FeatureStats, Features};
///
/// let reference = Features::from_vec((0..40).map(|i| (i * i % 17) as f32).collect(), 2)?;
/// let generated = Features::from_vec((0..40).map(|i| (i * i % 23) as f32).collect(), 2)?;
/// let [g, r] = [&generated, &reference].map(FeatureStats::from_features);
/// let set = LeaveOneOut::new(&g, &r)?;
/// assert_eq!(set.distance(), frechet_distance(&g, &r)?);
/// assert_eq!(worst_first(&set.contributions(&generated)?).len(), 20);
/// # Ok::<(), ganscope_stats::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LeaveOneOut {
    count: f64,
    mean: DVector<f64>,
    /// Difference of the means, generated minus reference.
    shift: DVector<f64>,
    distance: f64,
    /// Trace of the generated covariance.
    trace: f64,
    /// Trace of `M^(1/2)`.
    overlap: f64,
    /// Positive eigenvalues of `M`.
    eigenvalues: Vec<f64>,
    /// Their unit eigenvectors times `G^T`, one per row, (eigenvalues, dim).
    basis: DMatrix<f64>,
}

impl LeaveOneOut {
    /// Decomposes the distance between the two sets.
    ///
    /// # Errors
    /// [`Error::UnknownCount`] if the number of generated images is unknown,
    /// [`Error::TooFewImages`] if it is below 3, and those of
    /// [`frechet_distance`](crate::frechet_distance).
    pub fn new(generated: &FeatureStats, reference: &FeatureStats) -> Result<Self> {
        let count = generated.count().ok_or(Error::UnknownCount)?;
        check_count(generated, "leaving out one image", Side::Generated, 3)?;
        let gaussians = Gaussians::new(generated, reference)?;
        let product = gaussians.product();
        let overlap = nuclear_norm(&product)?;
        let (eigenvalues, vectors) = right_eigenvectors(&product)?;
        Ok(Self {
            count: count as f64,
            mean: generated.mean().clone(),
            distance: gaussians.distance(overlap),
            trace: gaussians.generated.norm_squared(),
            overlap,
            eigenvalues,
            basis: mul(&vectors.transpose(), &gaussians.reference.transpose()),
            shift: gaussians.shift,
        })
    }

    /// The distance of all images: the number of [`frechet_distance`](crate::frechet_distance).
    pub fn distance(&self) -> f64 {
        self.distance
    }

    /// The distance of the set minus that of the set without the image, for each image. Negative
    /// where an image makes the distance smaller.
    ///
    /// Leaving out an image changes `M` by a factor and by a matrix of rank one, `a M - b u u^T`.
    /// Its root has the trace `a^(1/2) tr M^(1/2) + 1/pi int_0^inf log(1 - b u^T (a M + t^2)^-1 u) dt`,
    /// which is one integral per image and no decomposition.
    ///
    /// # Errors
    /// [`Error::Dimension`] and [`Error::RowCount`] if the features are not those of the
    /// generated set.
    pub fn contributions(&self, features: &Features) -> Result<Vec<f64>> {
        self.check_width(features.dim())?;
        let (expected, got) = (self.count as usize, features.len());
        if expected != got {
            return Err(Error::RowCount { what: "the generated set", expected, got });
        }
        let rows: Vec<&[f32]> = features.rows().collect();
        Ok(rows.into_par_iter().map(|row| self.contribution(row)).collect())
    }

    fn contribution(&self, row: &[f32]) -> f64 {
        let n = self.count;
        let offset = self.offset(row);
        let (length, factor) = (offset.norm_squared(), (n - 1.0) / (n - 2.0));
        let rank_one = n / ((n - 1.0) * (n - 2.0));
        let shift = 2.0 * self.shift.dot(&offset) / (n - 1.0) - length / ((n - 1.0) * (n - 1.0));
        let trace = rank_one * length - self.trace / (n - 2.0);

        let along = &self.basis * &offset;
        let terms: Vec<(f64, f64)> = self
            .eigenvalues
            .iter()
            .zip(&along)
            .map(|(l, v)| (factor * l, rank_one * v * v))
            .collect();
        let scale = terms.iter().map(|t| t.0).fold(0.0, f64::max).sqrt();
        let points = (2.0 * REACH / STEP) as i32;
        let integrand = |point: i32| {
            let t = scale * (f64::from(point) * STEP - REACH).exp();
            let sum: f64 = terms.iter().map(|(l, v)| v / (l + t * t)).sum();
            // Where leaving out the image lowers the rank, the argument falls to rounding.
            t * (1.0 - sum).max(f64::EPSILON * f64::EPSILON).ln()
        };
        let integral = if scale > 0.0 {
            STEP * (0..=points).map(integrand).sum::<f64>() / std::f64::consts::PI
        } else {
            0.0
        };
        let overlap = (1.0 - factor.sqrt()) * self.overlap - integral;
        shift + trace - 2.0 * overlap
    }

    /// Gradient of the distance with respect to the features of one generated image:
    /// `2/n (m - m_r) + 2/(n - 1) (I - G M^(-1/2) G^T) (x - m)`.
    ///
    /// Where the covariance is singular, as in sets of fewer images than features, the root of `M`
    /// has no derivative in the directions that no image takes; these count as zero.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the row has another width.
    pub fn gradient(&self, row: &[f32]) -> Result<Vec<f64>> {
        self.check_width(row.len())?;
        let offset = self.offset(row);
        let mut along = &self.basis * &offset;
        along.iter_mut().zip(&self.eigenvalues).for_each(|(a, l)| *a /= l.sqrt());
        let spread = &offset - self.basis.tr_mul(&along);
        let gradient = &self.shift * (2.0 / self.count) + spread * (2.0 / (self.count - 1.0));
        Ok(gradient.iter().copied().collect())
    }

    fn check_width(&self, got: usize) -> Result<()> {
        check_width("the generated set", self.mean.len(), got)
    }

    /// Difference of a row from the mean.
    fn offset(&self, row: &[f32]) -> DVector<f64> {
        DVector::from_fn(row.len(), |i, _| f64::from(row[i]) - self.mean[i])
    }
}

/// The positive eigenvalues of `A^T A` and their unit eigenvectors, one per column, from the
/// smaller of `A^T A` and `A A^T`.
fn right_eigenvectors(a: &DMatrix<f64>) -> Result<(Vec<f64>, DMatrix<f64>)> {
    if a.is_empty() {
        return Ok((Vec::new(), DMatrix::zeros(a.ncols(), 0)));
    }
    let wide = a.ncols() > a.nrows();
    let transposed = a.transpose();
    let tall = if wide { &transposed } else { a };
    let (values, vectors) = symmetric_eigen(&tr_mul(tall, tall))?;
    let smallest = SINGULAR * values.max();
    let kept: Vec<usize> = (0..values.len()).filter(|&i| values[i] > smallest).collect();
    let mut vectors = vectors.select_columns(&kept);
    let values: Vec<f64> = kept.iter().map(|&i| values[i]).collect();
    if wide {
        vectors = mul(tall, &vectors);
        vectors.column_iter_mut().zip(&values).for_each(|(mut v, l)| v /= l.sqrt());
    }
    Ok((values, vectors))
}

/// Indices of the images, the largest contribution first.
pub fn worst_first(contributions: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..contributions.len()).collect();
    order.sort_by(|&a, &b| contributions[b].total_cmp(&contributions[a]).then(a.cmp(&b)));
    order
}
