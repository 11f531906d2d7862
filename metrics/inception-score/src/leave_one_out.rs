//! How much each image adds to the Inception Score of the whole set.

use ganscope_stats::{LeastImages, Logits, Result, Side, softmax_into};

use crate::Part;

/// The Inception Score of a whole set and the contribution of each image.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaveOneOut {
    /// The score of all images at once, that of [`InceptionScore::WHOLE`](crate::InceptionScore).
    pub score: f64,
    /// The score of the set minus that of the set without the image, for each image. Negative
    /// where an image lowers the score.
    pub contributions: Vec<f64>,
}

/// `exp(H(mean p) - mean H(p))` of all images, minus the same without each image in turn.
///
/// The logits are read twice, batch by batch.
///
/// # Errors
/// [`TooFewImages`](ganscope_stats::Error::TooFewImages) for fewer than two images, [`NotFinite`](ganscope_stats::Error::NotFinite) for logits that are not
/// finite, and those of reading the logits.
pub fn leave_one_out(logits: &Logits) -> Result<LeaveOneOut> {
    LeastImages::always(2).check("leaving out one image", Side::Generated, logits.len())?;
    let (mut all, mut probabilities) = (Part::default(), Vec::new());
    for batch in logits.batches() {
        let batch = batch?;
        batch.check_finite("logits")?;
        for row in batch.rows() {
            all.push(row, &mut probabilities);
        }
    }
    let score = all.score();
    let mut contributions = Vec::with_capacity(all.rows);
    for batch in logits.batches() {
        contributions.extend(batch?.rows().map(|row| {
            let entropy = softmax_into(row, &mut probabilities);
            score - all.without(&probabilities, entropy).score()
        }));
    }
    Ok(LeaveOneOut { score, contributions })
}

impl Part {
    /// The sums without a row of these probabilities and this entropy.
    fn without(&self, probabilities: &[f64], entropy: f64) -> Self {
        let marginal = self.marginal.iter().zip(probabilities).map(|(sum, p)| sum - p).collect();
        Self { rows: self.rows - 1, marginal, entropy: self.entropy - entropy }
    }
}

#[cfg(test)]
mod tests {
    use ganscope_golden::tensor;
    use ganscope_stats::{Error, Features};

    use super::*;
    use crate::{InceptionScore, inception_score};

    fn whole(logits: &Features) -> f64 {
        inception_score(logits, &InceptionScore::WHOLE).unwrap().mean
    }

    #[test]
    fn contributions_are_those_of_recomputation() {
        let logits = Features::from_vec(tensor("logits", &[30, 5], (-4.0, 4.0), 0), 5).unwrap();
        let found = leave_one_out(&logits.clone().into()).unwrap();
        assert_eq!(found.score.to_bits(), whole(&logits).to_bits());
        assert_eq!(found.contributions.len(), 30);
        for (image, part) in found.contributions.into_iter().enumerate() {
            let rest: Vec<usize> = (0..30).filter(|&i| i != image).collect();
            let expected = found.score - whole(&logits.select(&rest));
            assert!((part - expected).abs() < 1e-12, "{image}: {part} instead of {expected}");
        }
    }

    #[test]
    fn one_image_and_logits_that_are_not_finite_are_refused() {
        let one = Features::from_vec(vec![0.5, 1.0], 2).unwrap();
        assert!(matches!(leave_one_out(&one.into()), Err(Error::TooFewImages { got: 1, .. })));
        let nan = Features::from_vec(vec![0.5, 1.0, f32::NAN, 0.0], 2).unwrap();
        assert!(matches!(leave_one_out(&nan.into()), Err(Error::NotFinite { row: 1, .. })));
    }
}
