use super::*;
use crate::{FeatureStats, Features};

#[test]
fn the_spread_is_that_of_the_population() {
    let spread = Spread::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
    assert_eq!((spread.mean, spread.std), (5.0, 2.0));
    assert!(Spread::of(&[]).is_err());
}

/// A metric that compares moments of the generated set with rows of the reference.
struct Mixed;

impl Metric for Mixed {
    fn name(&self) -> &'static str {
        "mixed"
    }

    fn title(&self) -> &'static str {
        "Mixed"
    }

    fn needs(&self, side: Side) -> Needs {
        match side {
            Side::Generated => Needs::STATS,
            Side::Reference => Needs::FEATURES,
        }
    }

    fn least_images(&self, side: Side) -> LeastImages {
        match side {
            Side::Generated => LeastImages::always(1),
            Side::Reference => {
                LeastImages { always: 2, with_options: 4, parameter: Some(Parameter::NearestK) }
            }
        }
    }

    fn compute(&self, _: &FeatureSet, _: Option<&FeatureSet>) -> Result<Vec<Score>> {
        Ok(Vec::new())
    }
}

fn rows(n: usize, dim: usize) -> Features {
    Features::from_vec(vec![0.5; n * dim], dim).unwrap()
}

fn moments(n: usize, dim: usize) -> FeatureSet {
    let stats = Some(FeatureStats::from_features(&rows(n, dim)));
    FeatureSet { stats, ..FeatureSet::default() }
}

fn features(n: usize, dim: usize) -> FeatureSet {
    FeatureSet { features: Some(rows(n, dim)), ..FeatureSet::default() }
}

fn refusal(generated: &FeatureSet, reference: Option<&FeatureSet>) -> String {
    let error = Mixed.check(generated, reference).unwrap_err().to_string();
    assert_eq!(Mixed.score(generated, reference).unwrap_err().to_string(), error);
    error
}

#[test]
fn each_reason_not_to_score_is_told_before() {
    let reference = features(4, 3);
    assert!(Mixed.check(&moments(1, 3), Some(&reference)).is_ok());
    assert_eq!(refusal(&moments(1, 3), None), "Mixed needs a reference set");
    assert_eq!(
        refusal(&reference, Some(&reference)),
        "Mixed needs the mean and covariance of the features; the generated set contains only the \
         features of each image"
    );
    assert_eq!(
        refusal(&moments(2, 3), Some(&features(3, 3))),
        "Mixed needs at least 4 images (one more than the number of nearest neighbors); the \
         reference set has 3"
    );
    assert_eq!(
        refusal(&moments(2, 3), Some(&features(1, 3))),
        "Mixed needs at least 2 images; the reference set has 1"
    );
    assert_eq!(
        refusal(&FeatureSet::default(), Some(&reference)),
        "Mixed needs at least 1 image; the generated set has 0"
    );
    assert_eq!(
        refusal(&moments(2, 2), Some(&reference)),
        "the generated set has 2 dimensions, expected 3"
    );
}

#[test]
fn the_missing_part_is_told_as_data() {
    let error = Mixed.check(&features(4, 3), Some(&features(4, 3))).unwrap_err();
    assert!(matches!(
        error,
        Error::Missing { part: Needs::STATS, side: Side::Generated, held: Needs::FEATURES, .. }
    ));
}

#[test]
fn moments_of_unknown_count_are_not_counted() {
    let mut set = moments(2, 3);
    let known = set.stats.take().unwrap();
    set.stats = FeatureStats::from_cov(None, known.mean().clone(), known.cov().unwrap()).ok();
    assert!(Mixed.check(&set, Some(&features(4, 3))).is_ok());
}
