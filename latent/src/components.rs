//! Directions in which a latent space varies most, and to which a generator answers most.
//!
//! Härkönen et al., "`GANSpace`: Discovering Interpretable GAN Controls", 2020,
//! <https://arxiv.org/abs/2004.02546>; Shen and Zhou, "Closed-Form Factorization of Latent Semantics
//! in GANs", 2021, <https://arxiv.org/abs/2007.06600>.

use ganscope_stats::{FeatureStats, Features};
use nalgebra::DMatrix;

use crate::{Error, Result};

/// Orthonormal directions, the strongest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Directions {
    /// Unit vectors; the coordinate of largest size is positive.
    pub vectors: Vec<Vec<f32>>,
    /// Strength of each: the standard deviation along a principal component, the singular value of a
    /// semantic direction.
    pub strengths: Vec<f64>,
}

/// Principal components of latents (`GANSpace`): eigenvectors of their covariance.
///
/// Rows are one row of `ws` for each seed. For a StyleGAN this is the published method in W. The `w`
/// of a BigGAN is its `z` and class, whose components mean nothing; give the outputs of its first
/// layer instead.
///
/// # Errors
/// If there are fewer than two rows, or fewer than `count` coordinates.
pub fn principal_components(rows: &Features, count: usize) -> Result<Directions> {
    let cov = FeatureStats::from_features(rows).cov()?;
    directions(cov, count)
}

/// Directions to which the style layers answer most (`SeFa`): right singular vectors of their weights.
///
/// `weights` has one row for each output of the affine layers of the wanted style inputs, each as
/// long as `w`. Rows are normalized first, as the published tool does it.
///
/// # Errors
/// If there are fewer than `count` coordinates.
pub fn semantic_directions(weights: &Features, count: usize) -> Result<Directions> {
    let dim = weights.dim();
    let mut gram = DMatrix::zeros(dim, dim);
    for row in weights.rows() {
        let square: f64 = row.iter().map(|&v| v as f64 * v as f64).sum();
        if square > 0.0 {
            let row = nalgebra::DVector::from_iterator(dim, row.iter().map(|&v| v as f64));
            gram.syger(1.0 / square, &row, &row, 1.0);
        }
    }
    gram.fill_upper_triangle_with_lower_triangle();
    directions(gram, count)
}

/// The `count` leading eigenvectors of a symmetric matrix and the roots of their eigenvalues.
fn directions(matrix: DMatrix<f64>, count: usize) -> Result<Directions> {
    let dim = matrix.nrows();
    if count == 0 || count > dim {
        let expected = format!("1 to {dim}");
        return Err(Error::OutOfRange {
            name: "number of directions",
            got: count as f64,
            expected,
        });
    }
    let eigen = matrix.symmetric_eigen();
    let mut order: Vec<usize> = (0..dim).collect();
    order.sort_by(|&i, &j| eigen.eigenvalues[j].total_cmp(&eigen.eigenvalues[i]));
    order.truncate(count);
    let vectors = order.iter().map(|&i| {
        let vector = eigen.eigenvectors.column(i);
        let sign = vector[vector.icamax()].signum();
        vector.iter().map(|v| (v * sign) as f32).collect()
    });
    let strengths = order.iter().map(|&i| eigen.eigenvalues[i].max(0.0).sqrt()).collect();
    Ok(Directions { vectors: vectors.collect(), strengths })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directions are rounded to float32.
    const F32_ROUNDING: f32 = 1e-6;

    fn features(rows: &[f32], dim: usize) -> Features {
        Features::from_vec(rows.to_vec(), dim).unwrap()
    }

    fn assert_close(actual: &[f32], expected: &[f32]) {
        for (a, e) in actual.iter().zip(expected) {
            assert!((a - e).abs() < F32_ROUNDING, "{actual:?} against {expected:?}");
        }
    }

    #[test]
    fn components_of_a_tilted_cross_are_its_arms() {
        // Arms of length 5 along (3, -4) / 5 and 1 along (4, 3) / 5, around (10, 10).
        let rows = [13.0, 6.0, 7.0, 14.0, 10.8, 10.6, 9.2, 9.4];
        let found = principal_components(&features(&rows, 2), 2).unwrap();
        assert_close(&found.vectors[0], &[-0.6, 0.8]);
        assert_close(&found.vectors[1], &[0.8, 0.6]);
        // Variances 50 / 3 and 2 / 3.
        assert!((found.strengths[0] - (50f64 / 3.0).sqrt()).abs() < 1e-5);
        assert!((found.strengths[1] - (2f64 / 3.0).sqrt()).abs() < 1e-5);
    }

    #[test]
    fn a_semantic_direction_is_the_one_most_rows_share() {
        // Two parallel rows of different length and one across: strengths sqrt 2 and 1.
        let rows = [2.0, 0.0, 0.0, 300.0, 0.0, 0.0, 0.0, 0.5, 0.0];
        let found = semantic_directions(&features(&rows, 3), 3).unwrap();
        assert_close(&found.vectors[0], &[1.0, 0.0, 0.0]);
        assert_close(&found.vectors[1], &[0.0, 1.0, 0.0]);
        for (strength, expected) in found.strengths.iter().zip([2f64.sqrt(), 1.0, 0.0]) {
            assert!((strength - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn more_directions_than_coordinates_are_an_error() {
        let error = semantic_directions(&features(&[1.0, 2.0], 2), 3).unwrap_err().to_string();
        assert_eq!(error, "number of directions is 3, expected 1 to 2");
        assert!(principal_components(&features(&[1.0, 2.0], 2), 1).is_err());
    }
}
