//! `AuthPct` against dgm-eval.

use ganscope_golden::{json, sets};
use ganscope_memorization::{AuthPct, nearest_training_images};
use ganscope_stats::{FeatureSet, Features, Metric};

fn rows(case: &str, name: &str) -> Features {
    let sets::Rows { data, dim } = sets::rows(case, name);
    Features::from_vec(data, dim).unwrap()
}

#[test]
fn the_percentage_is_that_of_dgm_eval() {
    let metrics = json("metrics2.json");
    for case in ["clusters", "wide"] {
        let [x, y] = ["generated", "train"]
            .map(|name| FeatureSet { features: Some(rows(case, name)), ..FeatureSet::default() });
        let score = &AuthPct.score(&x, Some(&y)).unwrap()[0];
        let expected = metrics["authpct"][case]["float64"].as_f64().unwrap();
        // a count of some hundred images
        assert!((score.value - expected).abs() < 1e-12, "{case}: {} {expected}", score.value);
        let [low, high] = score.interval.unwrap();
        assert!(low < score.value && score.value < high);
    }
}

#[test]
fn copies_are_nearest_to_their_originals() {
    let (x, y) = (rows("clusters", "generated"), rows("clusters", "train"));
    let found = nearest_training_images(&x, &y).unwrap();
    // every fourth generated row is the training row of its index, off by at most 0.01 each
    for (i, nearest) in found.iter().enumerate().step_by(4) {
        assert!(nearest.training == i && nearest.distance < 0.04, "{i}: {nearest:?}");
        assert!(!nearest.is_authentic());
    }
}
