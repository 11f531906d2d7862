//! The distance on given features against its closed form in float64 and against torch-fidelity.

use ganscope_fid::{FidInfinity, frechet_distance, frechet_distance_at_infinity};
use ganscope_golden::{json, tensor};
use ganscope_stats::{FeatureStats, Features};

/// Both sides are float64.
const EXACT: f64 = 1e-9;

/// torch-fidelity takes covariances of float32 features, in part in float32.
const PRINTED: f64 = 2e-6;

fn stats(case: &str, side: &str) -> FeatureStats {
    let metrics = json("metrics.json");
    let entry = &metrics[case][side];
    let number = |i: usize| entry[i].as_f64().expect("a number");
    let (rows, dim) = (number(0) as usize, number(1) as usize);
    let name = format!("features/{case}/{side}");
    let data = tensor(&name, &[rows, dim], (number(2), number(3)), 0);
    FeatureStats::from_features(&Features::from_vec(data, dim).expect("whole rows"))
}

fn check(case: &str) {
    let expected = |key: &str| json("metrics.json")[case][key].as_f64().expect("a number");
    let (generated, reference) = (stats(case, "fake"), stats(case, "real"));
    let assert_near = |actual: f64, expected: f64, tolerance: f64| {
        let error = (actual / expected - 1.0).abs();
        assert!(error <= tolerance, "{case}: {actual} for {expected}, off by {error:e}");
    };
    let distance = frechet_distance(&generated, &reference).expect("a distance");
    assert_near(distance, expected("fid_exact"), EXACT);
    assert_near(distance, expected("fid_torch_fidelity"), PRINTED);

    // as from a file of other tools, which does not tell the count
    let imported = |stats: &FeatureStats| {
        let cov = stats.cov().expect("two rows");
        FeatureStats::from_cov(None, stats.mean().clone(), cov).expect("a covariance")
    };
    let distance = frechet_distance(&imported(&generated), &imported(&reference));
    assert_near(distance.expect("a distance"), expected("fid_exact"), 1e-6);
}

#[test]
fn full_rank() {
    check("full-rank");
}

#[test]
fn fewer_images_than_dimensions() {
    check("rank-deficient");
}

#[test]
fn three_images_against_seven_hundred() {
    check("one-each-side-small");
}

#[test]
fn the_line_of_chong_and_forsyth() {
    let golden = json("metrics2.json");
    let expected = golden["fd_infinity"]["shuffle in place"]["intercept"].as_f64().unwrap();
    let data = tensor("features/full-rank/fake", &[600, 64], (0.1, 1.2), 0);
    let generated = Features::from_vec(data, 64).unwrap();
    let reference = stats("full-rank", "real");
    // a tenth of the images is 60, the smallest size of the reference implementation
    let found = frechet_distance_at_infinity(&generated, &reference, &FidInfinity::PAPER).unwrap();
    let error = (found.distance / expected - 1.0).abs();
    assert!(error <= EXACT, "{} for {expected}, off by {error:e}", found.distance);
    // 13 degrees of freedom: the points scatter about the line by its share of the variance
    let fit = found.of_fit.unwrap();
    assert!(fit.interval[0] < 1.561_318_394 && 1.561_318_394 < fit.interval[1]); // other subsets
}
