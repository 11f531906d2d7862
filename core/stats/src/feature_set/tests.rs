use proptest::prelude::*;

use super::*;

fn rows(name: &str, n: usize, dim: usize) -> Features {
    Features::from_vec(ganscope_golden::tensor(name, &[n, dim], (-1.0, 1.0), 0), dim).unwrap()
}

fn batch(n: usize) -> FeatureBatch {
    FeatureBatch {
        features: rows("features", n, 3),
        logits: Some(rows("logits", n, 2)),
        spatial: Some(rows("spatial", n, 4)),
    }
}

fn set(needs: Needs, batches: &[FeatureBatch]) -> FeatureSet {
    let mut builder = FeatureSetBuilder::new(needs);
    for batch in batches {
        builder.push(batch).unwrap();
    }
    builder.finish()
}

const ALL: [Needs; 4] = [Needs::STATS, Needs::FEATURES, Needs::LOGITS, Needs::SPATIAL];

fn everything() -> Needs {
    ALL.into_iter().collect()
}

#[test]
fn nothing_is_kept_that_is_not_needed() {
    for needs in ALL {
        let set = set(needs, &[batch(5)]);
        assert_eq!(set.holds(), needs);
        assert_eq!(set.count(), Some(5));
    }
    assert_eq!(set(everything(), &[batch(5)]).holds(), everything());
    assert_eq!(set(everything(), &[]), FeatureSet::default());
}

#[test]
fn a_batch_that_lacks_a_part_is_refused_only_where_it_is_needed() {
    let bare = FeatureBatch { logits: None, spatial: None, ..batch(5) };
    for (needs, refused) in ALL.into_iter().zip([false, false, true, true]) {
        assert_eq!(FeatureSetBuilder::new(needs).push(&bare).is_err(), refused);
    }
}

#[test]
fn a_refused_batch_leaves_the_set_as_it_was() {
    let mut builder = FeatureSetBuilder::new(everything());
    builder.push(&batch(5)).unwrap();
    let before = builder.clone();
    let mut nan = rows("spatial", 5, 4).into_vec();
    nan[9] = f32::NAN;
    let wrong = [
        FeatureBatch { features: rows("features", 5, 4), ..batch(5) },
        FeatureBatch { logits: Some(rows("logits", 5, 3)), ..batch(5) },
        FeatureBatch { logits: Some(rows("logits", 4, 2)), ..batch(5) },
        FeatureBatch { spatial: Some(Features::from_vec(nan, 4).unwrap()), ..batch(5) },
        FeatureBatch { spatial: None, ..batch(5) },
    ];
    for wrong in wrong {
        assert!(builder.push(&wrong).is_err());
        assert_eq!(builder, before);
    }
}

#[test]
fn parts_that_do_not_match_are_not_merged() {
    let whole = set(everything(), &[batch(5)]);
    let mut merged = whole.clone();
    let lacking = FeatureSet { logits: None, ..whole.clone() };
    assert_eq!(
        merged.merge(lacking.clone()).unwrap_err().to_string(),
        "different parts cannot be merged: the first set contains the mean and covariance of the \
         features, the mean and covariance of the spatial features, the features of each image and \
         the logits of each image, the second the mean and covariance of the features, the mean and \
         covariance of the spatial features and the features of each image"
    );
    assert_eq!(merged, whole);
    let found = lacking.clone().merge(whole.clone());
    assert!(matches!(found, Err(Error::PartsDiffer { first, second })
        if second.difference(first) == Needs::LOGITS));
    let wide = FeatureSet { logits: Some(rows("logits", 5, 3).into()), ..whole.clone() };
    assert!(matches!(merged.merge(wide), Err(Error::Dimension { expected: 2, got: 3, .. })));
    assert_eq!(merged, whole);
}

proptest! {
    #[test]
    fn batches_and_merged_parts_give_the_same_rows(sizes in prop::collection::vec(1usize..300, 1..6)) {
        let total: usize = sizes.iter().sum();
        let whole = batch(total);
        let mut batches = Vec::new();
        let mut first = 0;
        for n in sizes {
            let part: Vec<usize> = (first..first + n).collect();
            let select = |rows: &Option<Features>| rows.as_ref().map(|rows| rows.select(&part));
            batches.push(FeatureBatch {
                features: whole.features.select(&part),
                logits: select(&whole.logits),
                spatial: select(&whole.spatial),
            });
            first += n;
        }
        let expected = set(everything(), &[whole]);
        prop_assert_eq!(&set(everything(), &batches), &expected);
        let parts = batches.into_iter().map(|batch| set(everything(), &[batch]));
        let merged = parts.reduce(|mut merged, part| { merged.merge(part).unwrap(); merged }).unwrap();
        prop_assert_eq!(&merged.features, &expected.features);
        prop_assert_eq!(&merged.logits, &expected.logits);
        prop_assert_eq!(merged.count(), Some(total as u64));
    }
}
