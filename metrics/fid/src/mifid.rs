//! The Fréchet distance divided by a measure of memorization.

use ganscope_neighbors::{Frame, Packed, Rows, check, nearest_of};
use ganscope_stats::{FeatureSet, Features, LeastImages, Metric, Needs, Result, Score, Side};

use crate::{Estimate, frechet_distance_with_error};

/// Distances at least as large do not count as memorized.
const THRESHOLD: f64 = 0.1;

/// Added to the divisor, so that it is not zero.
const EPSILON: f64 = 1e-14;

/// Distances up to this are zero, whatever was memorized.
const NO_DISTANCE: f64 = 1e-8;

/// How near the images of one set come to those of another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memorization {
    /// Mean over the reference images of the least cosine distance `1 - |cos|` to a generated image.
    pub distance: f64,
    /// The distance if it is below 0.1, else 1: the divisor of MIFID.
    pub penalty: f64,
}

/// Cosine distances of the reference images to the nearest generated ones. Rows that sum to zero are
/// left out, as in `mifid.py` of torchmetrics.
///
/// # Errors
/// [`TooFewImages`](ganscope_stats::Error::TooFewImages) if no row is left in a set,
/// [`Dimension`](ganscope_stats::Error::Dimension) for sets of different width,
/// [`NotFinite`](ganscope_stats::Error::NotFinite) for features that are not finite.
pub fn memorization(generated: &Features, reference: &Features) -> Result<Memorization> {
    check(generated, reference)?;
    let kept = |set: &Features, side| -> Result<Features> {
        let sum = |row: &[f32]| row.iter().map(|&x| f64::from(x)).sum::<f64>();
        let rows: Vec<usize> = (0..set.len()).filter(|&i| sum(set.row(i)) != 0.0).collect();
        LeastImages::always(1).check("MIFID", side, rows.len())?;
        Ok(set.select(&rows))
    };
    let generated = kept(generated, Side::Generated)?;
    let reference = kept(reference, Side::Reference)?;
    // Of rows of length one, the least distance to a row or to its opposite has the largest |cos|.
    let (units, targets) = (reference.normalized(), generated.normalized());
    let mut largest = vec![0f64; reference.len()];
    for sign in [1.0, -1.0] {
        let turned = targets.as_slice().iter().map(|x| sign * x).collect();
        let turned = Features::from_vec(turned, targets.dim())?;
        let frame = Frame::around(&[&units, &turned]);
        let (rows, others) = (Rows::new(&units, &frame), Rows::new(&turned, &frame));
        let nearest = nearest_of(&Packed::new(&rows), &others, 1);
        for (i, (largest, nearest)) in largest.iter_mut().zip(nearest).enumerate() {
            let cosine = cosine(reference.row(i), generated.row(nearest[0].row)).abs();
            *largest = largest.max(cosine);
        }
    }
    let distance = largest.iter().map(|cosine| 1.0 - cosine).sum::<f64>() / largest.len() as f64;
    Ok(Memorization { distance, penalty: if distance < THRESHOLD { distance } else { 1.0 } })
}

/// The cosine of the angle between two rows.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let product = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

/// The Fréchet distance divided by the [`penalty`](Memorization::penalty) for memorized images: a
/// generator that copies the reference images has a large value.
///
/// Bai et al., "On Training Sample Memorization: Lessons from Benchmarking Generative Modeling with a
/// Large-scale Competition", 2021, <https://arxiv.org/abs/2106.03062>. As in torchmetrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mifid;

impl Metric for Mifid {
    fn name(&self) -> &'static str {
        "mifid"
    }

    fn title(&self) -> &'static str {
        "MIFID"
    }

    fn needs(&self, _side: Side) -> Needs {
        Needs::FEATURES | Needs::STATS
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let title = self.title();
        let reference = FeatureSet::reference_for(reference, title)?;
        let Estimate { distance, uncertainty } = frechet_distance_with_error(
            generated.stats_for(title, Side::Generated)?,
            reference.stats_for(title, Side::Reference)?,
        )?;
        let found = memorization(
            generated.features_for(title, Side::Generated)?,
            reference.features_for(title, Side::Reference)?,
        )?;
        let factor = if distance > NO_DISTANCE { 1.0 / (found.penalty + EPSILON) } else { 0.0 };
        let score = Score::new(self.name(), title, distance * factor, false);
        // The error of a penalty below 1 is unknown.
        Ok(vec![score.with_uncertainty(uncertainty.filter(|_| found.penalty == 1.0))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_by_hand() {
        // (1, 0) has cosine 1 with (2, 0); (1, 1) has 1/sqrt(2) with both; (0, 0) is left out
        let set = |data: &[f32]| Features::from_vec(data.to_vec(), 2).unwrap();
        let found =
            memorization(&set(&[2.0, 0.0, 0.0, 3.0]), &set(&[1.0, 0.0, 0.0, 0.0, 1.0, 1.0]));
        let expected = (1.0 - 0.5f64.sqrt()) / 2.0;
        assert!((found.unwrap().distance - expected).abs() < 1e-15);
        // opposite rows are as near as equal ones
        let found = memorization(&set(&[-1.0, -2.0]), &set(&[1.0, 2.0])).unwrap();
        assert!(found.distance.abs() < 1e-15 && found.penalty == found.distance);
        assert!(memorization(&set(&[0.0, 0.0]), &set(&[1.0, 2.0])).is_err());
    }
}
