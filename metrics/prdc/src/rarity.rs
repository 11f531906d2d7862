//! Rarity of single images.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ganscope_neighbors::{
    Boundary, Frame, Packed, Reach, Rows, check, for_each_pair, squared_radii,
};
use ganscope_stats::{
    FeatureSet, Features, LeastImages, Metric, Needs, Result, Score, Side, Uncertainty,
};
use serde::{Deserialize, Serialize};

use crate::{check_k, features_of, least_images, score};

/// The rarity of each generated image: the least radius of the reference balls that contain it, the
/// distance of their center to its `nearest_k`-th neighbor; zero outside of all balls.
///
/// Large where real images are few.
///
/// # Errors
/// Those of [`manifolds`](crate::manifolds), of the generated set only its width and its values.
pub fn rarity(generated: &Features, reference: &Features, nearest_k: usize) -> Result<Vec<f64>> {
    check(generated, reference)?;
    check_k(nearest_k)?;
    least_images(nearest_k).check("rarity", Side::Reference, reference.len())?;
    let frame = Frame::around(&[generated, reference]);
    let (generated, reference) = (Rows::new(generated, &frame), Rows::new(reference, &frame));
    let packed = Packed::new(&reference);
    let radii = squared_radii(&packed, nearest_k);
    // Numbers that are not negative are ordered as their bits.
    let outside = f64::INFINITY.to_bits();
    let least: Vec<AtomicU64> = (0..generated.len()).map(|_| AtomicU64::new(outside)).collect();
    let nowhere = vec![f64::NEG_INFINITY; generated.len()];
    for_each_pair(&packed, &generated, Reach { rows: &radii, columns: &nowhere }, |pair| {
        if pair.within(radii[pair.row], Boundary::Outside) {
            least[pair.column].fetch_min(radii[pair.row].to_bits(), Relaxed);
        }
    });
    let rarity = |bits: AtomicU64| {
        let squared = f64::from_bits(bits.into_inner());
        if squared.is_finite() { generated.distance(squared) } else { 0.0 }
    };
    Ok(least.into_iter().map(rarity).collect())
}

/// The mean [`rarity`] of the generated images within the reference manifold.
///
/// Han et al., "Rarity Score: A New Metric to Evaluate the Uncommonness of Synthesized Images", 2023,
/// <https://arxiv.org/abs/2206.08549>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rarity {
    /// Neighbor whose distance is the radius of a ball.
    pub nearest_k: usize,
}

impl Rarity {
    /// The settings of published results.
    pub const PAPER: Self = Self { nearest_k: 3 };
}

impl Default for Rarity {
    fn default() -> Self {
        Self::PAPER
    }
}

impl Metric for Rarity {
    fn name(&self) -> &'static str {
        "rarity"
    }

    fn title(&self) -> &'static str {
        "rarity"
    }

    fn needs(&self, _side: Side) -> Needs {
        Needs::FEATURES
    }

    fn least_images(&self, side: Side) -> LeastImages {
        match side {
            Side::Generated => LeastImages::always(1),
            Side::Reference => least_images(self.nearest_k),
        }
    }

    fn validate(&self) -> Result<()> {
        check_k(self.nearest_k)
    }

    /// Zero if no image is within the manifold.
    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let sets = features_of(self.title(), generated, reference)?;
        let mut found = rarity(sets.generated, sets.reference, self.nearest_k)?;
        found.retain(|&rarity| rarity > 0.0);
        let mean = found.iter().sum::<f64>() / found.len().max(1) as f64;
        let known = (found.len() > 1).then(|| Uncertainty::of_mean(&found)).transpose()?;
        Ok(vec![score("rarity", "rarity", self.nearest_k, mean).with_uncertainty(known)])
    }
}
