//! Explaining a score: which images, and which of their pixels, make it what it is.
//!
//! The Frechet distance depends on an image through its feature row alone. So does its gradient,
//! which names the direction in feature space that would lower the distance; walked back through
//! the extractor it becomes a heat map of the image.

use ganscope_model::network::{Real, Walker};
use ganscope_model::{FeatureMap, Node};
use ganscope_stats::linalg::{mul, sqrt_psd, symmetric_eigen};
use ganscope_stats::{FeatureStats, Features};
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use crate::error::require;
use crate::lrp::{self, Composite, Relevance};
use crate::{Error, Result};

/// Eigenvalues below this share of the largest are those of a singular covariance.
const SINGULAR: f64 = 1e-12;

/// Step of the integral over the logarithm of its variable. The integrand is analytic up to
/// `pi / 2` off the real axis, so the error of the trapezoid rule is `exp(-pi^2 / step)`, 1e-14.
const STEP: f64 = 0.3;

/// The integral runs to this logarithm on both sides of the root of the largest eigenvalue; beyond
/// lies `exp(-30)` of it.
const REACH: f64 = 30.0;

/// The Frechet distance of a set, ready to be asked for the part of each image.
///
/// ```
/// use ganscope_explain::fid::{Frechet, worst_first};
/// use ganscope_stats::{FeatureStats, Features};
///
/// let reference = Features::from_vec((0..40).map(|i| (i * i % 17) as f32).collect(), 2)?;
/// let generated = Features::from_vec((0..40).map(|i| (i * i % 23) as f32).collect(), 2)?;
/// let [g, r] = [&generated, &reference].map(FeatureStats::from_features);
/// let parts = Frechet::new(&g, &r)?.contributions(&generated)?;
/// assert_eq!(worst_first(&parts).len(), 20);
/// # Ok::<(), ganscope_explain::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Frechet {
    count: f64,
    mean: DVector<f64>,
    /// Difference of the means, generated less reference.
    shift: DVector<f64>,
    trace: f64,
    reference_trace: f64,
    /// Positive eigenvalues of `M = R^(1/2) C R^(1/2)`, for covariances `C` and `R`.
    eigenvalues: Vec<f64>,
    /// Their eigenvectors times `R^(1/2)`, one a row.
    basis: DMatrix<f64>,
}

impl Frechet {
    /// Decomposes the distance of the two sets.
    ///
    /// # Errors
    /// When the widths differ, the number of generated images is unknown or below 3, or a
    /// covariance is not one.
    pub fn new(generated: &FeatureStats, reference: &FeatureStats) -> Result<Self> {
        if generated.dim() != reference.dim() {
            let [expected, got] = [reference.dim(), generated.dim()].map(|d| d.to_string());
            return Err(Error::Mismatch { what: "width of the generated features", expected, got });
        }
        let count = generated.count().ok_or(ganscope_stats::Error::UnknownCount)?;
        require(count > 2, "the number of generated images", "at least 3", count)?;
        let (cov, reference_cov) = (generated.cov()?, reference.cov()?);
        let root = sqrt_psd(&reference_cov)?;
        let product = mul(&mul(&root, &cov), &root);
        let (values, vectors) = symmetric_eigen(&product)?;
        let smallest = SINGULAR * values.max();
        let kept: Vec<usize> = (0..values.len()).filter(|&i| values[i] > smallest).collect();
        Ok(Self {
            count: count as f64,
            mean: generated.mean().clone(),
            shift: generated.mean() - reference.mean(),
            trace: cov.trace(),
            reference_trace: reference_cov.trace(),
            eigenvalues: kept.iter().map(|&i| values[i]).collect(),
            basis: mul(&vectors.select_columns(&kept).transpose(), &root),
        })
    }

    /// The distance.
    pub fn value(&self) -> f64 {
        let root: f64 = self.eigenvalues.iter().map(|v| v.sqrt()).sum();
        self.shift.norm_squared() + self.trace + self.reference_trace - 2.0 * root
    }

    /// How much each image of the generated set adds to the distance: that of the set less that of
    /// the set without the image. Negative where an image makes the distance smaller.
    ///
    /// Leaving out an image changes `M` by a factor and by a matrix of rank one, `a M - b u u^T`.
    /// Its root has the trace `a^(1/2) tr M^(1/2) + 1/pi int_0^inf log(1 - b u^T (a M + t^2)^-1 u) dt`,
    /// which is one integral an image and no decomposition.
    ///
    /// # Errors
    /// When the features are not those of the generated set by their width and number.
    pub fn contributions(&self, features: &Features) -> Result<Vec<f64>> {
        let (expected, got) = (self.count, features.len() as f64);
        if features.dim() != self.mean.len() || expected != got {
            return Err(Error::Mismatch {
                what: "features of the generated set",
                expected: format!("{expected} rows of {}", self.mean.len()),
                got: format!("{got} rows of {}", features.dim()),
            });
        }
        let value = self.value();
        let rows: Vec<&[f32]> = features.rows().collect();
        Ok(rows.into_par_iter().map(|row| value - self.without(row)).collect())
    }

    /// The distance of the set without the image of these features.
    fn without(&self, row: &[f32]) -> f64 {
        let n = self.count;
        let offset = self.offset(row);
        let (length, factor) = (offset.norm_squared(), (n - 1.0) / (n - 2.0));
        let rank_one = n / ((n - 1.0) * (n - 2.0));
        let shift = self.shift.norm_squared() - 2.0 * self.shift.dot(&offset) / (n - 1.0)
            + length / ((n - 1.0) * (n - 1.0));
        let trace = factor * self.trace - rank_one * length;

        let along = &self.basis * &offset;
        let terms: Vec<(f64, f64)> = self
            .eigenvalues
            .iter()
            .zip(&along)
            .map(|(l, v)| (factor * l, rank_one * v * v))
            .collect();
        let root: f64 = terms.iter().map(|(l, _)| l.sqrt()).sum();
        let scale = terms.iter().map(|t| t.0).fold(0.0, f64::max).sqrt();
        let points = (2.0 * REACH / STEP) as i32;
        let integrand = |point: i32| {
            let t = scale * (f64::from(point) * STEP - REACH).exp();
            let sum: f64 = terms.iter().map(|(l, v)| v / (l + t * t)).sum();
            // Where leaving out the image lowers the rank, the argument falls to rounding.
            t * (1.0 - sum).max(f64::EPSILON * f64::EPSILON).ln()
        };
        let change = if scale > 0.0 {
            STEP * (0..=points).map(integrand).sum::<f64>() / std::f64::consts::PI
        } else {
            0.0
        };
        shift + trace + self.reference_trace - 2.0 * (root + change)
    }

    /// Gradient of the distance with respect to the features of one image of the generated set:
    /// `2/n (m - m_r) + 2/(n - 1) (I - R^(1/2) M^(-1/2) R^(1/2)) (x - m)`.
    ///
    /// Where the covariance is singular, as in sets of fewer images than features, the root of `M`
    /// has no derivative in the directions that no image takes; these count as zero.
    ///
    /// # Errors
    /// When the row has another width.
    pub fn gradient(&self, row: &[f32]) -> Result<Vec<f64>> {
        if row.len() != self.mean.len() {
            let [expected, got] = [self.mean.len(), row.len()].map(|d| d.to_string());
            return Err(Error::Mismatch { what: "width of a feature row", expected, got });
        }
        let offset = self.offset(row);
        let mut along = &self.basis * &offset;
        along.iter_mut().zip(&self.eigenvalues).for_each(|(a, l)| *a /= l.sqrt());
        let spread = &offset - self.basis.tr_mul(&along);
        let gradient = &self.shift * (2.0 / self.count) + spread * (2.0 / (self.count - 1.0));
        Ok(gradient.iter().copied().collect())
    }

    /// Difference of a row from the mean.
    fn offset(&self, row: &[f32]) -> DVector<f64> {
        DVector::from_fn(row.len(), |i, _| f64::from(row[i]) - self.mean[i])
    }
}

/// Indices from the largest contribution to the smallest.
pub fn worst_first(contributions: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..contributions.len()).collect();
    order.sort_by(|&a, &b| contributions[b].total_cmp(&contributions[a]).then(a.cmp(&b)));
    order
}

/// Relevance of the pixels of an image for a score: each feature starts with its value times the
/// `gradient` of the score, its share to first order.
///
/// `features` is the value of the extractor whose channel means are the feature row. Positive
/// relevance raises the score.
///
/// # Errors
/// When the image does not suit the network or the gradient is not as wide as the value.
pub fn pixels<T: Real>(
    walker: &Walker<T>,
    image: &FeatureMap<T>,
    features: Node,
    gradient: &[f64],
    composite: &Composite,
) -> Result<Relevance<T>> {
    let trace = walker.run(image.clone())?;
    let value = trace.value(features);
    let shape = value.shape;
    if gradient.len() != shape.c {
        let [expected, got] = [shape.c, gradient.len()].map(|d| d.to_string());
        return Err(Error::Mismatch { what: "width of the gradient", expected, got });
    }
    let pixels = (shape.h * shape.w) as f64;
    let mut seed = value.clone();
    for (i, v) in seed.data.iter_mut().enumerate() {
        *v = *v * T::of(gradient[i % shape.c] / pixels);
    }
    lrp::propagate(&trace, features, seed, composite)
}

/// How much each image adds to the Inception Score of the whole set,
/// `exp(H(mean p) - mean H(p))`: that of the set less that of the set without the image. Images
/// that lower the score have negative values.
///
/// # Errors
/// When there are fewer than two images.
pub fn inception_score_contributions(logits: &Features) -> Result<Vec<f64>> {
    let n = logits.len() as f64;
    require(logits.len() > 1, "the number of images", "at least 2", logits.len())?;
    logits.check_finite("the logits")?;
    let probs: Vec<Vec<f64>> = logits.rows().map(softmax).collect();
    let entropies: Vec<f64> = probs.iter().map(|p| entropy(p)).collect();
    let mut sums = vec![0.0; logits.dim()];
    for p in &probs {
        sums.iter_mut().zip(p).for_each(|(s, p)| *s += p);
    }
    let total: f64 = entropies.iter().sum();
    let mean: Vec<f64> = sums.iter().map(|s| s / n).collect();
    let whole = (entropy(&mean) - total / n).exp();
    let without = |(p, own): (&Vec<f64>, &f64)| {
        let mean: Vec<f64> =
            sums.iter().zip(p).map(|(s, p)| (s - p).max(0.0) / (n - 1.0)).collect();
        whole - (entropy(&mean) - (total - own) / (n - 1.0)).exp()
    };
    Ok(probs.iter().zip(&entropies).map(without).collect())
}

fn softmax(row: &[f32]) -> Vec<f64> {
    let largest = f64::from(row.iter().copied().fold(f32::MIN, f32::max));
    let powers: Vec<f64> = row.iter().map(|&v| (f64::from(v) - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

fn entropy(p: &[f64]) -> f64 {
    p.iter().filter(|&&p| p > 0.0).map(|p| -p * p.ln()).sum()
}
