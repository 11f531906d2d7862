//! The standard error of the Fréchet distance.

use ganscope_stats::linalg::{nuclear_norm_and_forms, tr_mul};
use ganscope_stats::{FeatureStats, Features, Result, Uncertainty};
use nalgebra::{DMatrix, DVectorView};

use crate::{Gaussians, frechet_distance};

/// Images for an estimate of a variance.
const FEWEST: usize = 8;

/// The Fréchet distance with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The distance: the number of [`frechet_distance`](crate::frechet_distance).
    pub distance: f64,
    /// Its uncertainty about the expected distance of equally many generated images; `None` where
    /// the generated moments come without a [sample](FeatureStats::sample) of rows.
    pub uncertainty: Option<Uncertainty>,
}

/// [`frechet_distance`](crate::frechet_distance) with its standard error over other draws of equally
/// many generated images, the reference set as given.
///
/// To first order an image `x` moves the distance by its influence
/// `2 (m - m_r) . (x - m) + (x - m)^T (I - T) (x - m)`, up to a constant, where
/// `T = G (G^T C G)^(-1/2) G^T` maps the generated Gaussian to the reference one, `C` is the
/// generated covariance and `G G^T` that of the reference. The squared error is the variance of the
/// influence over a sample of the images, divided by their number. What it takes of `T` follows from
/// the reduction of the matrix whose nuclear norm the distance needs.
///
/// The distance of few images is biased upwards; the interval is one for the expected distance of
/// that number of images, not for the distance of infinitely many.
///
/// # Errors
/// Those of [`frechet_distance`](crate::frechet_distance).
pub fn frechet_distance_with_error(
    generated: &FeatureStats,
    reference: &FeatureStats,
) -> Result<Estimate> {
    let sample = generated.sample().filter(|sample| sample.len() >= FEWEST);
    let (Some(count), Some(sample)) = (generated.count(), sample) else {
        let distance = frechet_distance(generated, reference)?;
        return Ok(Estimate { distance, uncertainty: None });
    };
    let gaussians = Gaussians::new(generated, reference)?;
    let offsets = offsets(generated, sample);
    let along = tr_mul(&gaussians.reference, &offsets);
    let (overlap, mapped) = nuclear_norm_and_forms(&gaussians.product(), &along)?;
    let distance = gaussians.distance(overlap);
    let influence = |(offset, mapped): (DVectorView<'_, f64>, f64)| {
        2.0 * gaussians.shift.dot(&offset) + offset.norm_squared() - mapped
    };
    let influences: Vec<f64> = offsets.column_iter().zip(mapped).map(influence).collect();
    let sampled = influences.len() as f64;
    let mean = influences.iter().sum::<f64>() / sampled;
    let squares = influences.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    let error = (squares / (sampled - 1.0) / count as f64).sqrt();
    let mut uncertainty = Uncertainty::normal(distance, error);
    uncertainty.interval[0] = uncertainty.interval[0].max(0.0);
    Ok(Estimate { distance, uncertainty: Some(uncertainty) })
}

/// The differences of rows from the generated mean, one per column.
fn offsets(generated: &FeatureStats, rows: &Features) -> DMatrix<f64> {
    let mean = generated.mean();
    DMatrix::from_iterator(
        rows.dim(),
        rows.len(),
        rows.rows().flat_map(|row| row.iter().zip(mean).map(|(&x, m)| f64::from(x) - m)),
    )
}
