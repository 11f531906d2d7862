//! The part of a Fréchet distance that the frequencies of classes make.
//!
//! Kynkäänniemi et al., "The Role of ImageNet Classes in Fréchet Inception Distance", 2023,
//! <https://arxiv.org/abs/2203.06026>.

use ganscope_stats::linalg::mul;
use ganscope_stats::{Error, FeatureStats, Features, Result};
use nalgebra::{DMatrix, DVector};

use crate::{check_width, frechet_distance};

/// Rows whose products are summed at once.
const BLOCK: usize = 1024;

/// A Fréchet distance after the generated images were weighted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighted {
    /// The distance of the weighted set.
    pub distance: f64,
    /// The share of the histogram in classes that no generated image has: it is spread over the others.
    pub lost: f64,
}

/// The Fréchet distance of the generated set whose classes are as frequent as `histogram`: each image
/// has the weight `h_c / n_c`, where `h_c` is the share of its class `c` there, and `n_c` the number of
/// generated images of the class. This is the expectation of drawing images to match the histogram,
/// without its noise.
///
/// The covariance of weights `w` that sum to one is `sum w (x - m)(x - m)^T / (1 - sum w^2)`, which for
/// equal weights is that over `n - 1`; so the distance of a set with the histogram of the reference
/// stays as it is.
///
/// `classes` are those of the generated images, below the length of `histogram`.
///
/// # Errors
/// [`Error::RowCount`] unless each image has a class, [`Error::Parameter`] for a class beyond the
/// histogram or a histogram that shares no class with the images, and those of
/// [`frechet_distance`](crate::frechet_distance).
pub fn distance_at_histogram(
    features: &Features,
    classes: &[usize],
    histogram: &[f64],
    reference: &FeatureStats,
) -> Result<Weighted> {
    let (what, expected, got) = ("the classes", features.len(), classes.len());
    if expected != got {
        return Err(Error::RowCount { what, expected, got });
    }
    check_width("the generated set", reference.dim(), features.dim())?;
    let parameter = |name, expected, got: String| Error::Parameter { name, expected, got };
    if let Some(class) = classes.iter().find(|&&class| class >= histogram.len()) {
        return Err(parameter("a class", "within the histogram", class.to_string()));
    }
    let mut counts = vec![0_usize; histogram.len()];
    for &class in classes {
        counts[class] += 1;
    }
    let all: f64 = histogram.iter().sum();
    let present = histogram.iter().zip(&counts).filter(|(_, count)| **count > 0);
    let kept: f64 = present.map(|(share, _)| share).sum();
    if !(kept > 0.0 && all.is_finite()) {
        let expected = "positive for a class of the generated images";
        return Err(parameter("the histogram", expected, kept.to_string()));
    }
    let weight = |&class: &usize| histogram[class] / kept / counts[class] as f64;
    let weights: Vec<f64> = classes.iter().map(weight).collect();
    let weighted = weighted_moments(features, &weights)?;
    let distance = frechet_distance(&weighted, reference)?;
    Ok(Weighted { distance, lost: 1.0 - kept / all })
}

/// Mean and covariance of rows with weights that sum to one.
fn weighted_moments(features: &Features, weights: &[f64]) -> Result<FeatureStats> {
    let dim = features.dim();
    let mut mean = DVector::zeros(dim);
    for (row, weight) in features.rows().zip(weights) {
        mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += weight * f64::from(x));
    }
    let mut scatter = DMatrix::zeros(dim, dim);
    for (rows, weights) in features.as_slice().chunks(BLOCK * dim).zip(weights.chunks(BLOCK)) {
        let centered = DMatrix::from_fn(dim, weights.len(), |k, i| {
            weights[i].sqrt() * (f64::from(rows[i * dim + k]) - mean[k])
        });
        scatter += mul(&centered, &centered.transpose());
    }
    let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
    let left = 1.0 - squares;
    if left <= f64::EPSILON {
        let what = "the covariance of weighted images";
        return Err(Error::TooFewSamples { what, needed: 2, got: 1 });
    }
    let weighted = weights.iter().filter(|&&weight| weight > 0.0).count() as u64;
    FeatureStats::from_cov(Some(weighted), mean, scatter / left)
}
