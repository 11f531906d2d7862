//! Precision and recall with soft balls of one radius.

use ganscope_neighbors::{Frame, Packed, Rows, check, squared_radii};
use ganscope_stats::linalg::row_products;
use ganscope_stats::{
    FeatureSet, Features, LeastImages, Metric, Needs, Result, Score, Side, Uncertainty,
    check_parameter,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{MANIFOLD, check_k, features_of, least_images};

/// Images of one side of a tile, whose products are taken at once.
const TILE: usize = 256;

/// Settings of [`probabilistic_manifolds`]; the default is that of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Probabilistic {
    /// Neighbor whose mean distance makes the radius.
    pub nearest_k: usize,
    /// The radius in units of that mean.
    pub factor: f64,
}

impl Probabilistic {
    /// The settings of published results.
    pub const PAPER: Self = Self { nearest_k: 4, factor: 1.2 };
}

impl Default for Probabilistic {
    fn default() -> Self {
        Self::PAPER
    }
}

/// How likely the images of each set are in the support of the other.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbabilisticManifolds {
    /// For each generated image the probability that it is in the support of the reference set.
    pub precision: Vec<f64>,
    /// For each reference image the probability that it is in the support of the generated set.
    pub recall: Vec<f64>,
}

/// `1 - prod_y (1 - max(0, 1 - |x - y| / R))` for each image `x`, over the images `y` of the other
/// set, where `R` is `factor` times the mean distance of those to their `nearest_k`-th neighbor.
///
/// Park and Kim, "Probabilistic Precision and Recall Towards Reliable Evaluation of Generative
/// Models", 2023, <https://arxiv.org/abs/2309.01590>.
///
/// # Errors
/// Those of [`manifolds`](crate::manifolds), and
/// [`Parameter`](ganscope_stats::Error::Parameter) unless `factor` is positive.
pub fn probabilistic_manifolds(
    generated: &Features,
    reference: &Features,
    options: &Probabilistic,
) -> Result<ProbabilisticManifolds> {
    check(generated, reference)?;
    options.validate()?;
    for (set, side) in [(generated, Side::Generated), (reference, Side::Reference)] {
        least_images(options.nearest_k).check(MANIFOLD, side, set.len())?;
    }
    let frame = Frame::around(&[generated, reference]);
    let (generated, reference) = (Rows::new(generated, &frame), Rows::new(reference, &frame));
    let radius = |rows: &Rows<'_>| {
        let radii = squared_radii(&Packed::new(rows), options.nearest_k);
        options.factor * radii.iter().map(|r| r.sqrt()).sum::<f64>() / radii.len() as f64
    };
    let recall_radius = radius(&generated);
    Ok(ProbabilisticManifolds {
        precision: inside(&generated, &reference, radius(&reference)),
        recall: inside(&reference, &generated, recall_radius),
    })
}

/// The probability of each of `images` to be in the support of `others`.
fn inside(images: &Rows<'_>, others: &Rows<'_>, radius: f64) -> Vec<f64> {
    let dim = images.dim();
    let squares = |rows: &[f64]| -> Vec<f64> {
        rows.chunks_exact(dim).map(|row| row.iter().map(|x| x * x).sum()).collect()
    };
    let all: Vec<usize> = (0..images.len()).collect();
    let centers: Vec<usize> = (0..others.len()).collect();
    all.par_chunks(TILE)
        .flat_map_iter(|images_here| {
            let rows = images.gather(images_here);
            let row_squares = squares(&rows);
            let mut outside = vec![1.0; images_here.len()];
            for centers in centers.chunks(TILE) {
                let columns = others.gather(centers);
                let products = row_products(&rows, &columns, dim);
                for (products, square) in products.column_iter().zip(squares(&columns)) {
                    let parts = outside.iter_mut().zip(&products).zip(&row_squares);
                    for ((outside, product), row_square) in parts {
                        let distance = (row_square + square - 2.0 * product).max(0.0).sqrt();
                        *outside *= (distance / radius).min(1.0);
                    }
                }
            }
            outside.into_iter().map(|outside| 1.0 - outside)
        })
        .collect()
}

impl Metric for Probabilistic {
    fn name(&self) -> &'static str {
        "p-prc"
    }

    fn title(&self) -> &'static str {
        "P-precision and P-recall"
    }

    fn needs(&self, _side: Side) -> Needs {
        Needs::FEATURES
    }

    fn least_images(&self, _side: Side) -> LeastImages {
        least_images(self.nearest_k)
    }

    fn validate(&self) -> Result<()> {
        check_k(self.nearest_k)?;
        let positive = self.factor.is_finite() && self.factor > 0.0;
        check_parameter("the factor of the radius", self.factor, "positive and finite", positive)
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let sets = features_of(self.title(), generated, reference)?;
        let found = probabilistic_manifolds(sets.generated, sets.reference, self)?;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let score =
            |name, title, values: &[f64]| crate::score(name, title, self.nearest_k, mean(values));
        // Of the recall, radius and balls depend on all generated images; its error is unknown.
        let known = Uncertainty::of_mean(&found.precision)?;
        Ok(vec![
            score("p_precision", "P-precision", &found.precision).with_uncertainty(known),
            score("p_recall", "P-recall", &found.recall),
        ])
    }
}
