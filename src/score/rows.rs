//! Scores of rows that are at hand: features, logits or spatial features of some network.

use ganscope_stats::{FeatureBatch, FeatureSet, FeatureSetBuilder, Features, Needs, Score, Side};

use crate::catalog;
use crate::error::{Context as _, Result};
use crate::metrics::MetricOptions;

/// Scores of the metric `name` on rows, (N, dim): the logits of a classifier for the Inception Score,
/// spatial features for sFID, features for all others.
///
/// ```
/// use ganscope::metrics::MetricOptions;
/// use ganscope::score::rows::score_rows;
/// use ganscope::stats::Features;
///
/// let rows = |shift: f32| Features::from_vec(vec![shift - 1.0, shift + 1.0], 1);
/// let options = MetricOptions::default();
/// // Equal variances: the squared distance of the means is left.
/// let scores = score_rows("fid", rows(3.0)?, Some(rows(0.0)?), &options)?;
/// assert_eq!(scores[0].value, 9.0);
/// # Ok::<(), ganscope::Error>(())
/// ```
///
/// # Errors
/// If there is no such metric, an option is out of range, a value is not finite, or the sets do not
/// suffice for the metric.
pub fn score_rows(
    name: &str,
    generated: Features,
    reference: Option<Features>,
    options: &MetricOptions,
) -> Result<Vec<Score>> {
    options.check()?;
    let metric = catalog::metric(name, options)?;
    let set = |rows: Features, side: Side| {
        set(rows, metric.needs(side)).with_context(|| format!("the {side} set"))
    };
    let generated = set(generated, Side::Generated)?;
    let reference = reference.map(|rows| set(rows, Side::Reference)).transpose()?;
    Ok(metric.score(&generated, reference.as_ref())?)
}

/// The set that has what a metric reads, made of the one kind of rows that it reads.
fn set(rows: Features, needs: Needs) -> Result<FeatureSet> {
    let mut builder = FeatureSetBuilder::new(needs);
    let beside = |part| needs.contains(part).then(|| rows.clone());
    let (logits, spatial) = (beside(Needs::LOGITS), beside(Needs::SPATIAL));
    builder.push(&FeatureBatch { features: rows, logits, spatial })?;
    Ok(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[f32], dim: usize) -> Features {
        Features::from_vec(values.to_vec(), dim).unwrap()
    }

    #[test]
    fn logits_become_an_inception_score() {
        // Two sure answers of two classes: the score is the number of classes.
        let logits = rows(&[99.0, 0.0, 0.0, 99.0], 2);
        let options = MetricOptions { is_splits: 1, ..MetricOptions::default() };
        let found = score_rows("is", logits, None, &options).unwrap();
        assert!((found[0].value - 2.0).abs() < 1e-12, "{}", found[0].value);
    }

    #[test]
    fn spatial_features_have_the_distance_of_features() {
        let options = MetricOptions::default();
        let distance = |name| {
            let sets = (rows(&[0.0, 1.0, 3.0], 1), rows(&[5.0, 7.0, 9.0], 1));
            score_rows(name, sets.0, Some(sets.1), &options).unwrap()[0].value
        };
        assert_eq!(distance("sfid"), distance("fid"));
    }

    #[test]
    fn what_cannot_be_scored_is_refused_with_the_side() {
        let options = MetricOptions::default();
        let fails = |generated, reference| {
            score_rows("fid", generated, reference, &options).unwrap_err().report()
        };
        let (good, bad) = (rows(&[0.0, 1.0], 1), rows(&[0.0, f32::NAN], 1));
        assert!(fails(good.clone(), Some(bad)).contains("reference set: features contains"));
        assert!(fails(good.clone(), None).contains("needs a reference"));
        assert!(fails(good, Some(rows(&[0.0, 1.0, 2.0, 3.0], 2))).contains("dimensions"));
        assert!(score_rows("xyz", rows(&[0.0], 1), None, &options).is_err());
    }
}
