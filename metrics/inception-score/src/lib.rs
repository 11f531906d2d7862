//! Inception Score.
//!
//! Salimans et al., "Improved Techniques for Training GANs", 2016,
//! <https://arxiv.org/abs/1606.03498>. Agrees with `metric_isc.py` of torch-fidelity.

mod leave_one_out;

pub use leave_one_out::{LeaveOneOut, leave_one_out};

use std::borrow::Borrow;

use ganscope_stats::random::RandomState;
use ganscope_stats::{
    Error, FeatureSet, Features, LeastImages, Metric, Needs, Parameter, Result, Score, Side,
    Spread, Uncertainty, check_parameter, entropy, softmax_into,
};
use serde::{Deserialize, Serialize};

/// Settings of [`inception_score`]; the default is that of torch-fidelity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InceptionScore {
    /// Parts that are scored on their own; part `i` of `N` images is `i * N / splits` up to
    /// `(i + 1) * N / splits`.
    pub splits: usize,
    /// Seed of the shuffle before the cut; `None` keeps the order of the images.
    pub shuffle: Option<u32>,
}

impl InceptionScore {
    /// torch-fidelity: ten parts of shuffled images.
    pub const TORCH_FIDELITY: Self = Self { splits: 10, shuffle: Some(2020) };
    /// The StyleGAN tools: ten parts in the order of the images.
    pub const NVIDIA: Self = Self { splits: 10, shuffle: None };
    /// All images at once.
    pub const WHOLE: Self = Self { splits: 1, shuffle: None };
}

impl Default for InceptionScore {
    fn default() -> Self {
        Self::TORCH_FIDELITY
    }
}

/// `exp(mean_x KL(p(y|x) || p(y)))` for each part of the images, as mean and spread over the parts.
///
/// `p(y|x)` is the softmax of a row of `logits`, (N, classes), and `p(y)` its mean over the part.
/// Between 1 and the number of classes; larger is better.
///
/// # Errors
/// [`Error::TooFewImages`] for fewer images than parts, [`Error::Parameter`] for no part at all,
/// [`Error::NotFinite`] for logits that are not finite.
pub fn inception_score(logits: &Features, options: &InceptionScore) -> Result<Spread> {
    streamed_inception_score(logits.len(), [Ok(logits)], options)
}

/// As [`inception_score`], of `n` rows of logits that come in batches, one in memory at a time.
///
/// # Errors
/// As [`inception_score`], with [`Error::RowCount`] for other than `n` rows, and those of a batch.
pub fn streamed_inception_score<B: Borrow<Features>>(
    n: usize,
    batches: impl IntoIterator<Item = Result<B>>,
    options: &InceptionScore,
) -> Result<Spread> {
    options.validate()?;
    options.least_images(Side::Generated).check(options.title(), Side::Generated, n)?;
    let splits = options.splits;
    let mut parts = vec![Part::default(); splits];
    let part_of_row = part_of_row(n, options);
    let (mut done, mut probabilities) = (0, Vec::new());
    for batch in batches {
        let batch = batch?;
        let batch = batch.borrow();
        batch.check_finite("logits")?;
        for row in batch.rows() {
            if let Some(&part) = part_of_row.get(done) {
                parts[part].push(row, &mut probabilities);
            }
            done += 1;
        }
    }
    if done != n {
        return Err(Error::RowCount { what: "logits", expected: n, got: done });
    }
    let scores: Vec<f64> = parts.iter().map(Part::score).collect();
    Spread::of(&scores)
}

/// The uncertainty of the mean over parts about the expected score of parts of that size, from their
/// scatter; none for a single part.
///
/// # Errors
/// None for a spread over `splits` parts.
pub fn error_of_mean(found: Spread, splits: usize) -> Result<Option<Uncertainty>> {
    if splits < 2 {
        return Ok(None);
    }
    let freedom = (splits - 1) as f64;
    let known = Uncertainty::student(found.mean, found.std / freedom.sqrt(), freedom)?;
    Ok(Some(known))
}

/// The part that each row falls into.
fn part_of_row(n: usize, options: &InceptionScore) -> Vec<usize> {
    let order = match options.shuffle {
        Some(seed) => RandomState::new(seed).permutation(n),
        None => (0..n).collect(),
    };
    let mut part_of_row = vec![0; n];
    for part in 0..options.splits {
        for &row in &order[part * n / options.splits..(part + 1) * n / options.splits] {
            part_of_row[row] = part;
        }
    }
    part_of_row
}

/// Sums over the rows of one part.
#[derive(Debug, Clone, Default)]
struct Part {
    rows: usize,
    /// Sum of `p(y|x)`, for each class.
    marginal: Vec<f64>,
    /// Sum of the entropies of `p(y|x)`.
    entropy: f64,
}

impl Part {
    /// Adds a row of logits; `probabilities` is memory to work in.
    fn push(&mut self, row: &[f32], probabilities: &mut Vec<f64>) {
        self.entropy += softmax_into(row, probabilities);
        self.rows += 1;
        self.marginal.resize(row.len(), 0.0);
        for (sum, p) in self.marginal.iter_mut().zip(probabilities) {
            *sum += *p;
        }
    }

    /// The mean divergence is the entropy of the mean distribution minus the mean entropy.
    fn score(&self) -> f64 {
        let n = self.rows as f64;
        (entropy(self.marginal.iter().map(|sum| sum / n)) - self.entropy / n).exp()
    }
}

impl Metric for InceptionScore {
    fn name(&self) -> &'static str {
        "is"
    }

    fn title(&self) -> &'static str {
        "Inception Score"
    }

    fn needs(&self, side: Side) -> Needs {
        match side {
            Side::Generated => Needs::LOGITS,
            Side::Reference => Needs::NONE,
        }
    }

    fn least_images(&self, _side: Side) -> LeastImages {
        LeastImages { always: 1, with_options: self.splits, parameter: Some(Parameter::IsSplits) }
    }

    fn validate(&self) -> Result<()> {
        check_parameter("the number of splits", self.splits, "at least 1", self.splits >= 1)
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        _reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let title = self.title();
        let logits = generated.logits_for(title, Side::Generated)?;
        let found = streamed_inception_score(logits.len(), logits.batches(), self)?;
        let score = Score::new(self.name(), title, found.mean, true).with_std(found.std);
        Ok(vec![score.with_uncertainty(error_of_mean(found, self.splits)?)])
    }
}

#[cfg(test)]
mod tests {
    use ganscope_golden::{json, tensor};
    use proptest::prelude::*;

    use super::*;

    /// Sums of some thousand float64 terms.
    const ROUNDING: f64 = 1e-11;

    fn features(data: Vec<f32>, dim: usize) -> Features {
        Features::from_vec(data, dim).unwrap()
    }

    fn whole(logits: &Features) -> f64 {
        inception_score(logits, &InceptionScore::WHOLE).unwrap().mean
    }

    /// The definition, with the divergence of each image.
    fn slow(logits: &Features) -> f64 {
        let softmax = |row: &[f32]| -> Vec<f64> {
            let total: f64 = row.iter().map(|&l| f64::from(l).exp()).sum();
            row.iter().map(|&l| f64::from(l).exp() / total).collect()
        };
        let rows: Vec<Vec<f64>> = logits.rows().map(softmax).collect();
        let n = rows.len() as f64;
        let mean = |class: usize| rows.iter().map(|row| row[class]).sum::<f64>() / n;
        let mean: Vec<f64> = (0..logits.dim()).map(mean).collect();
        let divergence =
            |row: &Vec<f64>| row.iter().zip(&mean).map(|(p, q)| p * (p / q).ln()).sum::<f64>();
        (rows.iter().map(divergence).sum::<f64>() / n).exp()
    }

    #[test]
    fn golden_scores_of_torch_fidelity() {
        let metrics = json("metrics.json");
        let logits = features(tensor("logits", &[1003, 1008], (-4.0, 4.0), 0), 1008);
        for splits in [1, 10] {
            for (order, shuffle) in [("shuffled_seed2020", Some(2020)), ("unshuffled", None)] {
                let expected = &metrics["inception_score"][format!("splits{splits}_{order}")];
                let actual = inception_score(&logits, &InceptionScore { splits, shuffle }).unwrap();
                let near = |actual: f64, key: &str| {
                    let expected = expected[key].as_f64().unwrap();
                    assert!((actual - expected).abs() <= ROUNDING, "{splits} {order}: {actual}");
                };
                near(actual.mean, "inception_score_mean");
                near(actual.std, "inception_score_std");
            }
        }
    }

    #[test]
    fn the_error_is_that_of_the_mean_of_the_parts() {
        let logits = features(tensor("logits", &[40, 6], (-4.0, 4.0), 0), 6);
        let found = inception_score(&logits, &InceptionScore::NVIDIA).unwrap();
        let part = |i: usize| logits.select(&(4 * i..4 * i + 4).collect::<Vec<_>>());
        let scores: Vec<f64> = (0..10).map(|i| whole(&part(i))).collect();
        let expected = Uncertainty::of_mean(&scores).unwrap();
        let known = error_of_mean(found, 10).unwrap().unwrap();
        assert!((known.standard_error - expected.standard_error).abs() < ROUNDING);
        assert!((known.interval[1] - expected.interval[1]).abs() < ROUNDING);
        assert_eq!(error_of_mean(found, 1).unwrap(), None);
    }

    #[test]
    fn certain_and_balanced_predictions_score_the_number_of_classes() {
        let classes = 7;
        let logit = |i: usize| if i.is_multiple_of(classes + 1) { 1000.0 } else { -1000.0 };
        let logits = features((0..classes * classes).map(logit).collect(), classes);
        assert!((whole(&logits) - classes as f64).abs() < ROUNDING);
    }

    #[test]
    fn equal_predictions_score_one() {
        let row = tensor("row", &[9], (-3.0, 3.0), 0);
        assert!((whole(&features(row.repeat(20), 9)) - 1.0).abs() < ROUNDING);
    }

    #[test]
    fn two_kinds_of_two_classes_by_hand() {
        // p = (3/4, 1/4) and (1/4, 3/4): KL = 3/4 ln(3/2) + 1/4 ln(1/2)
        let ln3 = 3f32.ln();
        let expected = (0.75 * 1.5f64.ln() - 0.25 * 2f64.ln()).exp();
        let actual = whole(&features(vec![ln3, 0.0, 0.0, ln3], 2));
        assert!((actual - expected).abs() < 1e-7, "{actual} {expected}"); // ln 3 is a float32
    }

    #[test]
    fn fewer_images_than_splits_and_no_split_are_refused() {
        let logits = features(vec![0.0; 18], 2);
        let result = inception_score(&logits, &InceptionScore::TORCH_FIDELITY);
        assert_eq!(
            result.unwrap_err().to_string(),
            "Inception Score needs at least 10 images (one per split); the generated set has 9"
        );
        let none = InceptionScore { splits: 0, shuffle: None };
        assert!(matches!(inception_score(&logits, &none), Err(Error::Parameter { .. })));
        assert!(inception_score(&features(vec![f32::NAN], 1), &InceptionScore::WHOLE).is_err());
    }

    #[test]
    fn the_check_tells_what_the_score_would_tell() {
        let set = |n: usize| FeatureSet {
            logits: Some(features(vec![0.0; 2 * n], 2).into()),
            ..FeatureSet::default()
        };
        let metric = InceptionScore::default();
        for set in [set(0), set(1), set(9), FeatureSet::default()] {
            let error = metric.check(&set, None).unwrap_err().to_string();
            assert_eq!(metric.score(&set, None).unwrap_err().to_string(), error);
        }
        let error = metric.check(&set(0), None).unwrap_err().to_string();
        assert_eq!(error, "Inception Score needs at least 1 image; the generated set has 0");
        assert!(metric.check(&set(10), None).is_ok() && metric.score(&set(10), None).is_ok());
        let features = Some(features(vec![0.0; 20], 2));
        let set = FeatureSet { features, ..FeatureSet::default() };
        assert!(matches!(
            metric.check(&set, None),
            Err(Error::Missing { part: Needs::LOGITS, side: Side::Generated, .. })
        ));
    }

    #[test]
    fn options_are_read_with_the_published_defaults() {
        let read = |text: &str| serde_json::from_str::<InceptionScore>(text);
        assert_eq!(read("{}").unwrap(), InceptionScore::TORCH_FIDELITY);
        let ordered = read(r#"{"shuffle": null}"#).unwrap();
        assert_eq!(ordered, InceptionScore::NVIDIA);
        assert_eq!(read(&serde_json::to_string(&ordered).unwrap()).unwrap(), ordered);
        assert!(read(r#"{"split": 3}"#).is_err());
        let none = read(r#"{"splits": 0}"#).unwrap();
        assert_eq!(
            none.validate().unwrap_err().to_string(),
            "the number of splits must be at least 1, got 0"
        );
    }

    #[test]
    fn rows_that_are_missing_or_too_many_are_noticed() {
        let logits = features(vec![0.0; 18], 2);
        for n in [8, 10] {
            let result = streamed_inception_score(n, [Ok(&logits)], &InceptionScore::WHOLE);
            assert!(matches!(result, Err(Error::RowCount { got: 9, .. })));
        }
    }

    proptest! {
        #[test]
        fn batches_change_nothing(rows in 1usize..40, cut in 0usize..40, splits in 1usize..9) {
            let logits = features(tensor("logits", &[rows, 5], (-9.0, 9.0), 0), 5);
            let (cut, options) = (cut.min(rows), InceptionScore { splits, shuffle: Some(1) });
            let part = |rows: std::ops::Range<usize>| Ok(logits.select(&rows.collect::<Vec<_>>()));
            let batches = [part(0..cut), part(cut..rows)];
            let streamed = streamed_inception_score(rows, batches, &options);
            prop_assert_eq!(streamed.ok(), inception_score(&logits, &options).ok());
        }

        #[test]
        fn the_score_is_that_of_the_definition(rows in 1usize..40, classes in 1usize..40) {
            let logits = features(tensor("logits", &[rows, classes], (-9.0, 9.0), 0), classes);
            prop_assert!((whole(&logits) - slow(&logits)).abs() < ROUNDING * classes as f64);
        }

        #[test]
        fn the_score_lies_between_one_and_the_number_of_classes(
            rows in 1usize..40, classes in 1usize..40, contrast in 0f64..200.0
        ) {
            let data = tensor("logits", &[rows, classes], (-contrast, contrast + 1e-3), 0);
            let score = whole(&features(data, classes));
            prop_assert!(score >= 1.0 - ROUNDING && score <= classes as f64 + ROUNDING, "{}", score);
        }
    }
}
