//! The standard error of the distance against jackknives, and MIFID against torchmetrics.

use ganscope_fid::{
    Fid, LeaveOneOut, Mifid, frechet_distance, frechet_distance_with_error, memorization,
};
use ganscope_golden::{json, sets};
use ganscope_stats::{FeatureSet, FeatureStats, Features, Metric};

/// Metrics on given features, both sides float64.
const GIVEN: f64 = 1e-6;

/// An error from ten shards has nine degrees of freedom: its own relative error is
/// `1 / sqrt(18)`, 24 %, and two of those are allowed.
const TEN_SHARDS: f64 = 0.5;

fn rows(case: &str, name: &str) -> Features {
    let sets::Rows { data, dim } = sets::rows(case, name);
    Features::from_vec(data, dim).unwrap()
}

fn stats(case: &str, name: &str) -> FeatureStats {
    FeatureStats::from_features(&rows(case, name))
}

fn near(actual: f64, expected: f64, tolerance: f64) {
    let error = (actual / expected - 1.0).abs();
    assert!(error <= tolerance, "{actual} for {expected}, off by {error:e}");
}

/// Standard error from values that leave out one of `n` parts each.
fn jackknife(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (squares * (n - 1.0) / n).sqrt()
}

#[test]
fn the_error_is_near_the_jackknife_over_ten_shards() {
    for (case, generated, reference) in
        [("full-rank", "fake", "real"), ("clusters", "generated", "test")]
    {
        let expected = &json("metrics2.json")["jackknife_fid"][case];
        let number = |key: &str| expected[key].as_f64().unwrap();
        let (all, reference) = (rows(case, generated), stats(case, reference));
        let shard = all.len() / 10;
        let left_out: Vec<f64> = (0..10)
            .map(|i| {
                // the other nine, merged
                let parts = (0..10).filter(|&j| j != i).map(|j| {
                    let part: Vec<usize> = (j * shard..(j + 1) * shard).collect();
                    FeatureStats::from_features(&all.select(&part))
                });
                let merged = parts.reduce(|mut all, part| all.merge(&part).map(|()| all).unwrap());
                frechet_distance(&merged.unwrap(), &reference).unwrap()
            })
            .collect();
        for (found, expected) in
            left_out.iter().zip(expected["leave_one_shard_out"].as_array().unwrap())
        {
            near(*found, expected.as_f64().unwrap(), GIVEN);
        }
        near(jackknife(&left_out), number("standard_error"), GIVEN);
        let whole = FeatureStats::from_features(&all);
        let found = frechet_distance_with_error(&whole, &reference).unwrap();
        near(found.distance, number("fid"), GIVEN);
        // Rows of `clusters` take their centers in turn, so its shards are more alike than draws.
        if case == "full-rank" {
            let error = found.uncertainty.unwrap().standard_error;
            near(error, number("standard_error"), TEN_SHARDS);
        }
    }
}

#[test]
fn the_error_is_that_of_the_jackknife_over_images() {
    for (case, generated, reference) in [
        ("full-rank", "fake", "real"),
        ("clusters", "generated", "train"),
        ("wide", "generated", "train"),
    ] {
        let (rows, reference) = (rows(case, generated), stats(case, reference));
        let stats = FeatureStats::from_features(&rows);
        let set = LeaveOneOut::new(&stats, &reference).unwrap();
        let contributions = set.contributions(&rows).unwrap();
        let found = frechet_distance_with_error(&stats, &reference).unwrap();
        assert_eq!(found.distance, frechet_distance(&stats, &reference).unwrap());
        let error = found.uncertainty.unwrap().standard_error;
        // The jackknife contains terms of higher order, which are of the size of d / n.
        let higher_order = rows.dim() as f64 / rows.len() as f64;
        near(error, jackknife(&contributions), higher_order);
    }
}

#[test]
fn shards_in_any_order_give_one_score_and_one_error() {
    let (all, reference) = (rows("full-rank", "fake"), stats("full-rank", "real"));
    let part = |range: std::ops::Range<usize>| {
        FeatureStats::from_features(&all.select(&range.collect::<Vec<_>>()))
    };
    let parts = [part(0..7), part(7..350), part(350..600)];
    let scored = |order: [usize; 3]| {
        let mut merged = parts[order[0]].clone();
        order[1..].iter().for_each(|&i| merged.merge(&parts[i]).unwrap());
        frechet_distance_with_error(&merged, &reference).unwrap()
    };
    let whole = frechet_distance_with_error(&part(0..600), &reference).unwrap();
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let found = scored(order);
        near(found.distance, whole.distance, 1e-9);
        let error = |e: ganscope_fid::Estimate| e.uncertainty.unwrap().standard_error;
        near(error(found), error(whole), 1e-9);
    }
}

#[test]
fn moments_without_rows_have_no_error() {
    let (generated, reference) = (stats("equal", "fake"), stats("equal", "real"));
    let cov = generated.cov().unwrap();
    let bare = FeatureStats::from_cov(Some(500), generated.mean().clone(), cov).unwrap();
    let [set, reference] =
        [bare, reference].map(|stats| FeatureSet { stats: Some(stats), ..FeatureSet::default() });
    let score = &Fid.score(&set, Some(&reference)).unwrap()[0];
    assert_eq!((score.standard_error, score.interval), (None, None));
    let score = &Fid.score(&reference, Some(&set)).unwrap()[0];
    assert!(score.interval.unwrap()[0] < score.value && score.standard_error.unwrap() > 0.0);
}

#[test]
fn mifid_is_that_of_torchmetrics() {
    let metrics = json("metrics2.json");
    for (case, generated, reference) in [
        ("full-rank", "fake", "real"),
        ("clusters", "generated", "train"),
        ("clusters", "train", "test"),
        ("wide", "generated", "train"),
    ] {
        let name = format!("{case}: reference {reference}, generated {generated}");
        let expected = |key: &str| metrics["mifid"][&name][key].as_f64().unwrap();
        let (x, y) = (rows(case, generated), rows(case, reference));
        let found = memorization(&x, &y).unwrap();
        near(found.distance, expected("mean_least_distance"), GIVEN);
        near(found.penalty, expected("penalty"), GIVEN);
        let back = memorization(&y, &x).unwrap();
        near(back.distance, expected("mean_least_distance_the_other_way"), GIVEN);
        let set = |rows: Features| FeatureSet {
            stats: Some(FeatureStats::from_features(&rows)),
            features: Some(rows),
            ..FeatureSet::default()
        };
        let scores = Mifid.score(&set(x), Some(&set(y))).unwrap();
        near(scores[0].value, expected("mifid"), GIVEN);
    }
}
