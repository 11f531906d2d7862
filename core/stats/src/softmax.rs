//! Class probabilities of a classifier, and their entropy.

/// The softmax of a row of logits, `exp(l_i) / sum_j exp(l_j)`.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let mut probabilities = Vec::new();
    softmax_into(logits, &mut probabilities);
    probabilities
}

/// Replaces `probabilities` by the [`softmax`] of a row of logits. Returns its entropy in nats,
/// `log(sum_j exp(l_j)) - sum_i p_i l_i`, which loses no digits where a probability is near one.
pub fn softmax_into(logits: &[f32], probabilities: &mut Vec<f64>) -> f64 {
    let highest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let (mut total, mut weighted) = (0.0, 0.0);
    probabilities.clear();
    probabilities.extend(logits.iter().map(|&logit| {
        let logit = f64::from(logit) - highest;
        let weight = logit.exp();
        total += weight;
        weighted += weight * logit;
        weight
    }));
    for p in probabilities.iter_mut() {
        *p /= total;
    }
    total.ln() - weighted / total
}

/// The entropy of a distribution in nats, `-sum_i p_i log p_i`; values that are not positive count
/// as zero.
pub fn entropy(probabilities: impl IntoIterator<Item = f64>) -> f64 {
    probabilities.into_iter().filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_classes_by_hand() {
        // logits ln 3 and 0: probabilities 3/4 and 1/4
        let probabilities = softmax(&[3f32.ln(), 0.0]);
        assert!((probabilities[0] - 0.75).abs() < 1e-7, "{probabilities:?}"); // ln 3 is a float32
        assert!((probabilities[0] + probabilities[1] - 1.0).abs() < 1e-15);
        let expected = 0.75 * (4.0f64 / 3.0).ln() + 0.25 * 4f64.ln();
        assert!((entropy([0.75, 0.25, 0.0]) - expected).abs() < 1e-15);
    }

    #[test]
    fn the_entropy_of_a_softmax_is_that_of_its_probabilities() {
        let mut probabilities = vec![7.0];
        let logits = ganscope_golden::tensor("softmax", &[40], (-9.0, 9.0), 0);
        let found = softmax_into(&logits, &mut probabilities);
        assert_eq!(probabilities, softmax(&logits));
        assert!((found - entropy(probabilities)).abs() < 1e-13);
    }

    #[test]
    fn large_logits_do_not_overflow() {
        assert_eq!(softmax(&[1e30, 1e30, -1e30]), [0.5, 0.5, 0.0]);
        let mut probabilities = Vec::new();
        assert_eq!(softmax_into(&[3e38, -3e38], &mut probabilities), 0.0);
    }
}
