//! Neighbor metrics against their reference implementations, and errors against the jackknife.

use ganscope_golden::{arrays, json, relative_l2, sets};
use ganscope_prdc::{
    Boundary, Calibration, Probabilistic, clipped_manifolds, manifolds, manifolds_with_errors,
    probabilistic_manifolds, rarity, realism,
};
use ganscope_stats::{Features, Uncertainty};
use serde_json::Value;

/// Metrics on given features, both sides float64.
const GIVEN: f64 = 1e-6;
/// Counts over some hundred images, written with 16 digits.
const COUNT: f64 = 1e-12;
/// The reference takes beta functions of large numbers, which lose digits.
const BETA: f64 = 1e-9;

fn rows(case: &str, name: &str) -> Features {
    let sets::Rows { data, dim } = sets::rows(case, name);
    Features::from_vec(data, dim).unwrap()
}

fn near(actual: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    assert!(
        (actual - expected).abs() <= tolerance * expected.abs().max(1.0),
        "{actual} {expected}"
    );
}

#[test]
fn clipped_density_and_coverage_are_those_of_the_authors() {
    let metrics = json("metrics2.json");
    for (case, reference, generated) in [
        ("clusters", "train", "generated"),
        ("clusters", "test", "generated"),
        ("clusters", "train", "outliers"),
        ("equal", "real", "fake"),
        ("wide", "train", "test"),
    ] {
        let name = format!("{case}: reference {reference}, generated {generated}, k 5");
        let expected = &metrics["clipped"][&name];
        let (x, y) = (rows(case, generated), rows(case, reference));
        let found = clipped_manifolds(&x, &y, 5).unwrap();
        near(found.density, &expected["clipped_density"], COUNT);
        near(found.uncut_density, &expected["clipped_density_before_the_last_clip"], COUNT);
        near(found.coverage, &expected["clipped_coverage"], COUNT);
        near(found.uncalibrated_coverage, &expected["coverage_before_calibration"], COUNT);
        let table = Calibration::new(5, y.len(), x.len());
        let expected = &expected["calibration_table"];
        assert_eq!(table.table().len() as u64, expected["length"].as_u64().unwrap());
        for (m, entry) in expected["entries"].as_object().unwrap() {
            near(table.table()[m.parse::<usize>().unwrap()], entry, BETA);
        }
    }
}

#[test]
fn rarity_and_realism_are_those_of_the_authors() {
    let (metrics, arrays) = (json("metrics2.json"), arrays("metrics2.safetensors"));
    for (case, generated, reference) in
        [("clusters", "generated", "train"), ("equal", "fake", "real")]
    {
        let (x, y) = (rows(case, generated), rows(case, reference));
        let found = rarity(&x, &y, 3).unwrap();
        let expected = &arrays[&format!("rarity_k3/{case}")].data;
        assert!(relative_l2(&found, expected) < GIVEN, "{case}");
        let none = found.iter().filter(|&&rarity| rarity == 0.0).count() as u64;
        assert_eq!(none, metrics["rarity_k3"][case]["in_no_ball"].as_u64().unwrap());
        let expected = &arrays[&format!("realism_k3/{case}/half_of_the_balls")].data;
        assert!(relative_l2(&realism(&x, &y, 3).unwrap(), expected) < GIVEN, "{case}");
    }
}

#[test]
fn probabilistic_precision_and_recall_are_those_of_the_authors() {
    let metrics = json("metrics2.json");
    for (case, generated, reference) in
        [("clusters", "generated", "train"), ("equal", "fake", "real")]
    {
        let (x, y) = (rows(case, generated), rows(case, reference));
        let found = probabilistic_manifolds(&x, &y, &Probabilistic::PAPER).unwrap();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let expected = &metrics["p_precision_recall"][case];
        near(mean(&found.precision), &expected["p_precision"], GIVEN);
        near(mean(&found.recall), &expected["p_recall"], GIVEN);
    }
}

/// The standard error from values that leave out one image each.
fn jackknife(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (squares * (n - 1.0) / n).sqrt()
}

fn without(set: &Features, left_out: usize) -> Features {
    set.select(&(0..set.len()).filter(|&i| i != left_out).collect::<Vec<_>>())
}

#[test]
fn errors_are_those_of_leaving_out_each_image() {
    let (x, y) = (rows("clusters", "generated"), rows("clusters", "test"));
    for (k, boundary) in [(5, Boundary::Outside), (3, Boundary::Inside)] {
        let (found, errors) = manifolds_with_errors(&x, &y, k, boundary).unwrap();
        assert_eq!(found, manifolds(&x, &y, k, boundary).unwrap());
        let left_out: Vec<_> =
            (0..x.len()).map(|i| manifolds(&without(&x, i), &y, k, boundary).unwrap()).collect();
        let check = |name: &str, known: Uncertainty, values: Vec<f64>| {
            let expected = jackknife(&values);
            let error = (known.standard_error - expected).abs();
            assert!(error < 1e-9, "{name}: {} for {expected}", known.standard_error);
        };
        check("recall", errors.recall, left_out.iter().map(|m| m.recall).collect());
        check("coverage", errors.coverage, left_out.iter().map(|m| m.coverage).collect());
        check(
            "f",
            errors.f_score,
            left_out.iter().map(ganscope_prdc::Manifolds::f_score).collect(),
        );
        check("density", errors.density, left_out.iter().map(|m| m.density).collect());
        // that of a share divides by n, the jackknife by n - 1
        let n = x.len() as f64;
        let precision: Vec<f64> =
            left_out.iter().map(|m| m.precision * ((n - 1.0) / n).sqrt()).collect();
        check("precision", errors.precision, precision);
    }
}

#[test]
fn the_error_of_the_clipped_coverage_is_that_of_leaving_out_each_image() {
    let (x, y) = (rows("clusters", "outliers"), rows("clusters", "train"));
    let found = clipped_manifolds(&x, &y, 5).unwrap();
    let coverage =
        |i: usize| clipped_manifolds(&without(&x, i), &y, 5).unwrap().uncalibrated_coverage;
    let values: Vec<f64> = (0..x.len()).map(coverage).collect();
    let table = Calibration::new(5, y.len(), x.len());
    let ends =
        [-1.0, 1.0].map(|s| table.share(found.uncalibrated_coverage + s * jackknife(&values)));
    let expected = (ends[1] - ends[0]) / 2.0;
    assert!((found.coverage_error.unwrap().standard_error - expected).abs() < 1e-9);
    assert!(expected > 0.0);
}
