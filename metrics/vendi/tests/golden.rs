//! Vendi scores against the Vendi-Score package, and their errors against the jackknife.

use ganscope_golden::{json, sets};
use ganscope_stats::{Error, FeatureStats, Features};
use ganscope_vendi::{Spectrum, unit_moments};
use proptest::prelude::*;

/// Rows are rounded to float32 once more when they are normalized.
const GIVEN: f64 = 1e-6;

/// The jackknife contains terms of higher order.
const HIGHER_ORDER: f64 = 0.08;

const ORDERS: [(f64, &str); 4] = [(1.0, "q1"), (2.0, "q2"), (0.5, "q0.5"), (f64::INFINITY, "qinf")];

fn rows(case: &str, name: &str) -> Features {
    let sets::Rows { data, dim } = sets::rows(case, name);
    Features::from_vec(data, dim).unwrap()
}

fn spectrum(features: &Features) -> Spectrum {
    Spectrum::new(&unit_moments(features).unwrap()).unwrap()
}

#[test]
fn scores_are_those_of_the_package() {
    let metrics = json("metrics2.json");
    for (case, name) in
        [("full-rank", "fake"), ("rank-deficient", "fake"), ("clusters", "generated")]
    {
        let spectrum = spectrum(&rows(case, name));
        for (q, key) in ORDERS {
            let expected =
                metrics["vendi"][format!("{case}/{name}")][key]["dual"].as_f64().unwrap();
            let found = spectrum.score(q).unwrap();
            // Roots of eigenvalues that should be zero leak in for small orders.
            let error = (found / expected - 1.0).abs();
            assert!(error <= GIVEN, "{case} {key}: {found} for {expected}, off by {error:e}");
        }
    }
}

#[test]
fn shards_in_any_order_give_one_score() {
    let all = rows("full-rank", "fake");
    let part = |range: std::ops::Range<usize>| {
        unit_moments(&all.select(&range.collect::<Vec<_>>())).unwrap()
    };
    let parts = [part(0..9), part(9..400), part(400..600)];
    let whole = spectrum(&all);
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let mut merged: FeatureStats = parts[order[0]].clone();
        order[1..].iter().for_each(|&i| merged.merge(&parts[i]).unwrap());
        let merged = Spectrum::new(&merged).unwrap();
        for (q, _) in [ORDERS[0], ORDERS[1], ORDERS[3]] {
            let (a, b) = (merged.score(q).unwrap(), whole.score(q).unwrap());
            assert!((a / b - 1.0).abs() < 1e-9, "{q}: {a} {b}");
            let error = |s: &Spectrum| s.uncertainty(q).unwrap().unwrap().standard_error;
            assert!((error(&merged) / error(&whole) - 1.0).abs() < 1e-9);
        }
    }
}

#[test]
fn errors_are_those_of_the_jackknife() {
    let all = rows("clusters", "generated");
    let whole = spectrum(&all);
    for (q, key) in [ORDERS[0], ORDERS[1], ORDERS[3]] {
        let without = |left_out: usize| {
            let others: Vec<usize> = (0..all.len()).filter(|&i| i != left_out).collect();
            spectrum(&all.select(&others)).score(q).unwrap()
        };
        let values: Vec<f64> = (0..all.len()).map(without).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let jackknife = (squares * (n - 1.0) / n).sqrt();
        let found = whole.uncertainty(q).unwrap().unwrap().standard_error;
        let error = (found / jackknife - 1.0).abs();
        assert!(error < HIGHER_ORDER, "{key}: {found} for {jackknife}");
    }
}

#[test]
fn equal_images_count_as_one_and_orthogonal_ones_each() {
    let equal = spectrum(&Features::from_vec([1.0, 2.0, 2.0].repeat(10), 3).unwrap());
    let mut identity = vec![0.0; 25];
    (0..5).for_each(|i| identity[6 * i] = i as f32 + 1.0);
    let orthogonal = spectrum(&Features::from_vec(identity, 5).unwrap());
    for (q, key) in [ORDERS[0], ORDERS[1], ORDERS[3]] {
        assert!((equal.score(q).unwrap() - 1.0).abs() < GIVEN, "{key}");
        assert!((orthogonal.score(q).unwrap() - 5.0).abs() < GIVEN, "{key}");
    }
    assert!(equal.score(0.0).is_err() && equal.score(f64::NAN).is_err());
    let zeros = Features::from_vec(vec![0.0; 6], 3).unwrap();
    assert!(matches!(unit_moments(&zeros), Err(Error::TooFewSamples { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn larger_orders_have_smaller_scores(n in 1usize..40, dim in 1usize..12, scale in 0.1f32..9.0) {
        let data = ganscope_golden::tensor("x", &[n, dim], (-1.0, 1.0), 0);
        let spectrum = spectrum(&Features::from_vec(data.clone(), dim).unwrap());
        let scores: Vec<f64> =
            [1.0, 2.0, f64::INFINITY].map(|q| spectrum.score(q).unwrap()).to_vec();
        prop_assert!(scores.is_sorted_by(|a, b| a >= &(b - GIVEN)), "{:?}", scores);
        prop_assert!(scores[2] >= 1.0 - GIVEN && scores[0] <= n.min(dim) as f64 + GIVEN);
        // and lengths do not matter
        let scaled = data.iter().map(|x| x * scale).collect();
        let other = Spectrum::new(&unit_moments(&Features::from_vec(scaled, dim).unwrap()).unwrap());
        prop_assert!((other.unwrap().score(1.0).unwrap() / scores[0] - 1.0).abs() < GIVEN);
    }
}
