use ganscope_golden::{json, tensor};
use ganscope_stats::Error;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Sums of some hundred thousand float64 terms that nearly cancel.
const ROUNDING: f64 = 1e-11;

fn features(data: Vec<f32>, dim: usize) -> Features {
    Features::from_vec(data, dim).unwrap()
}

fn set(name: &str, rows: usize, dim: usize, range: (f64, f64)) -> Features {
    features(tensor(name, &[rows, dim], range, 0), dim)
}

fn case(metrics: &Value, side: &str) -> Features {
    let entry = &metrics["full-rank"][side];
    let number = |i: usize| entry[i].as_f64().unwrap();
    let (rows, dim) = (number(0) as usize, number(1) as usize);
    set(&format!("features/full-rank/{side}"), rows, dim, (number(2), number(3)))
}

/// The estimate by its definition.
fn slow(x: &Features, y: &Features, k: impl Fn(&[f32], &[f32]) -> f64) -> f64 {
    let within = |set: &Features| {
        let mut sum = 0.0;
        for i in 0..set.len() {
            sum +=
                (0..set.len()).filter(|&j| j != i).map(|j| k(set.row(i), set.row(j))).sum::<f64>();
        }
        sum / (set.len() * (set.len() - 1)) as f64
    };
    let between: f64 = x.rows().flat_map(|a| y.rows().map(|b| k(a, b)).collect::<Vec<_>>()).sum();
    within(x) + within(y) - 2.0 * between / (x.len() * y.len()) as f64
}

fn cubic(a: &[f32], b: &[f32]) -> f64 {
    let product: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    (product / a.len() as f64 + 1.0).powi(3)
}

#[test]
fn golden_distances_in_float64() {
    let metrics = json("metrics.json");
    let expected = &metrics["full-rank"];
    let (generated, reference) = (case(&metrics, "fake"), case(&metrics, "real"));
    let options = Kid { subsets: 20, subset_size: 200, ..Kid::TORCH_FIDELITY };
    let kid = kernel_distance(&generated, &reference, &options).unwrap();
    let full = full_kernel_distance(&generated, &reference, Kernel::CUBIC).unwrap();
    let cmmd = cmmd(&generated, &reference).unwrap().value;
    for (actual, expected) in [
        (kid.mean, &expected["kid_f64"]["mean"]),
        (kid.std, &expected["kid_f64"]["std"]),
        (full, &expected["kid_full_unbiased_f64"]),
        (cmmd, &expected["cmmd"]),
    ] {
        let expected = expected.as_f64().unwrap();
        assert!((actual / expected - 1.0).abs() < 1e-9, "{actual} for {expected}");
    }
}

#[test]
fn a_table_of_the_kernel_changes_nothing() {
    let (x, y) = (set("x", 300, 16, (0.0, 1.0)), set("y", 280, 16, (0.1, 1.0)));
    let pool = Pool::new(&x, &y, Kernel::CUBIC).unwrap();
    let table = pool.table();
    let (rows, columns): (Vec<usize>, Vec<usize>) =
        ((3..270).rev().collect(), (290..579).collect());
    for (table, pool) in [
        (table.among(&rows), pool.among(&rows)),
        (table.among(&columns), pool.among(&columns)),
        (table.between(&rows, &columns), pool.between(&rows, &columns)),
    ] {
        assert!((table / pool - 1.0).abs() < 1e-13, "{table} {pool}");
    }
}

#[test]
fn four_points_by_hand() {
    // k(x, y) = (x y + 1)^3 in one dimension: x = {0, 1}, y = {1, 2}
    // within x: 1; within y: 27; between: k(0,1) + k(0,2) + k(1,1) + k(1,2) = 1 + 1 + 8 + 27
    let (x, y) = (features(vec![0.0, 1.0], 1), features(vec![1.0, 2.0], 1));
    let distance = full_kernel_distance(&x, &y, Kernel::CUBIC).unwrap();
    assert!((distance - (1.0 + 27.0 - 2.0 * 37.0 / 4.0)).abs() < ROUNDING);
    let options = Kid { subsets: 3, subset_size: 2, ..Kid::TORCH_FIDELITY };
    let spread = kernel_distance(&x, &y, &options).unwrap();
    assert!((spread.mean - distance).abs() < ROUNDING && spread.std < ROUNDING);
}

#[test]
fn a_subset_larger_than_a_set_is_refused_with_the_numbers() {
    let (x, y) = (set("x", 1500, 2, (0.0, 1.0)), set("y", 900, 2, (0.0, 1.0)));
    assert_eq!(
        kernel_distance(&x, &y, &Kid::TORCH_FIDELITY).unwrap_err().to_string(),
        "KID needs at least 1000 images (the size of a subset); the reference set has 900"
    );
    for options in
        [Kid { subsets: 0, ..Kid::TORCH_FIDELITY }, Kid { subset_size: 1, ..Kid::TORCH_FIDELITY }]
    {
        assert!(matches!(kernel_distance(&x, &x, &options), Err(Error::Parameter { .. })));
    }
    assert!(full_kernel_distance(&x, &set("y", 1, 2, (0.0, 1.0)), Kernel::CUBIC).is_err());
    assert!(full_kernel_distance(&x, &set("y", 9, 3, (0.0, 1.0)), Kernel::CUBIC).is_err());
    assert!(cmmd(&x, &Features::new(2).unwrap()).is_err());
}

#[test]
fn the_check_tells_what_the_score_would_tell() {
    let rows = |n, dim| FeatureSet {
        features: Some(set("x", n, dim, (0.0, 1.0))),
        ..FeatureSet::default()
    };
    let metric = Kid { subset_size: 5, ..Kid::default() };
    let nothing = FeatureSet::default();
    let moments = FeatureSet {
        stats: Some(ganscope_stats::FeatureStats::from_features(&set("x", 9, 3, (0.0, 1.0)))),
        ..FeatureSet::default()
    };
    let (whole, few, one, wide) = (rows(9, 3), rows(4, 3), rows(1, 3), rows(9, 4));
    let cases = [&nothing, &moments, &few, &one, &wide];
    let sides = cases.iter().flat_map(|&other| [(other, &whole), (&whole, other)]);
    for (generated, reference) in sides {
        let error = metric.check(generated, Some(reference)).unwrap_err().to_string();
        let score = metric.score(generated, Some(reference));
        assert_eq!(score.unwrap_err().to_string(), error);
    }
    assert!(
        metric.check(&whole, Some(&whole)).is_ok() && metric.score(&whole, Some(&whole)).is_ok()
    );
    assert!(matches!(
        metric.check(&few, Some(&whole)),
        Err(Error::TooFewImages {
            side: Side::Generated,
            needed: 5,
            got: 4,
            parameter: Some(Parameter::KidSubsetSize),
            ..
        })
    ));
    assert!(matches!(
        metric.check(&whole, Some(&one)),
        Err(Error::TooFewImages { side: Side::Reference, needed: 2, got: 1, parameter: None, .. })
    ));
}

#[test]
fn options_are_read_with_the_published_defaults() {
    let read = |text: &str| serde_json::from_str::<Kid>(text);
    assert_eq!(read("{}").unwrap(), Kid::TORCH_FIDELITY);
    let small = read(r#"{"subset_size": 50, "kernel": {"gaussian": {"sigma": 2.0}}}"#).unwrap();
    let expected =
        Kid { subset_size: 50, kernel: Kernel::Gaussian { sigma: 2.0 }, ..Kid::TORCH_FIDELITY };
    assert_eq!(small, expected);
    assert_eq!(read(&serde_json::to_string(&small).unwrap()).unwrap(), small);
    assert!(read(r#"{"size": 50}"#).is_err());
    for (text, message) in [
        (r#"{"subsets": 0}"#, "the number of subsets must be between 1 and 100000, got 0"),
        (r#"{"subset_size": 1}"#, "the size of a subset must be at least 2, got 1"),
        (
            r#"{"kernel": {"gaussian": {"sigma": 0.0}}}"#,
            "sigma of the kernel must be positive and finite, got 0",
        ),
    ] {
        assert_eq!(read(text).unwrap().validate().unwrap_err().to_string(), message);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (x, y) = (set("x", 700, 8, (0.0, 1.0)), set("y", 600, 8, (0.0, 2.0)));
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| full_kernel_distance(&x, &y, Kernel::CUBIC).unwrap())
    };
    assert_eq!(with(1).to_bits(), with(3).to_bits());
}

#[test]
fn equal_embeddings_have_no_distance() {
    let x = set("x", 40, 8, (0.1, 1.0));
    assert!(cmmd(&x, &x).unwrap().value.abs() < 1e-10);
}

proptest! {
    #[test]
    fn the_distance_is_that_of_the_definition(n in 2usize..30, m in 2usize..30, dim in 1usize..9) {
        let (x, y) = (set("x", n, dim, (-1.0, 1.0)), set("y", m, dim, (-1.0, 2.0)));
        let actual = full_kernel_distance(&x, &y, Kernel::CUBIC).unwrap();
        prop_assert!((actual - slow(&x, &y, cubic)).abs() < ROUNDING);
        let sigma = 0.7;
        let gaussian = |a: &[f32], b: &[f32]| {
            let square = |(&a, &b): (&f32, &f32)| (f64::from(a) - f64::from(b)).powi(2);
            (-a.iter().zip(b).map(square).sum::<f64>() / (2.0 * sigma * sigma)).exp()
        };
        let actual = full_kernel_distance(&x, &y, Kernel::Gaussian { sigma }).unwrap();
        prop_assert!((actual - slow(&x, &y, gaussian)).abs() < ROUNDING);
    }

    #[test]
    fn the_full_distance_is_symmetric(n in 2usize..30, m in 2usize..30) {
        let (x, y) = (set("x", n, 5, (-1.0, 1.0)), set("y", m, 5, (-1.0, 2.0)));
        let forth = full_kernel_distance(&x, &y, Kernel::CUBIC).unwrap();
        let back = full_kernel_distance(&y, &x, Kernel::CUBIC).unwrap();
        prop_assert!((forth - back).abs() < ROUNDING);
    }
}

/// The standard error from values that leave out one image each.
fn jackknife(x: &Features, value: impl Fn(&Features) -> f64) -> f64 {
    let n = x.len();
    let without = |i: usize| x.select(&(0..n).filter(|&j| j != i).collect::<Vec<_>>());
    let values: Vec<f64> = (0..n).map(|i| value(&without(i))).collect();
    let mean = values.iter().sum::<f64>() / n as f64;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (squares * (n - 1) as f64 / n as f64).sqrt()
}

/// The jackknife counts what two images add together twice.
const PAIRS: f64 = 0.05;

#[test]
fn the_error_of_cmmd_is_that_of_leaving_out_each_image() {
    // Far apart, so that single images outweigh pairs.
    let (x, y) = (set("x", 150, 6, (0.0, 1.0)), set("y", 90, 6, (-1.0, 0.5)));
    let known = cmmd(&x, &y).unwrap().uncertainty.unwrap();
    let expected = jackknife(&x, |x| cmmd(x, &y).unwrap().value);
    let error = (known.standard_error / expected - 1.0).abs();
    assert!(error < PAIRS, "{} for {expected}", known.standard_error);
    assert!(cmmd(&x.select(&[0]), &y).unwrap().uncertainty.is_none());
}

#[test]
fn the_error_of_kid_is_that_of_all_images_and_of_the_draws() {
    let (x, y) = (set("x", 500, 6, (0.0, 1.0)), set("y", 500, 6, (0.2, 1.5)));
    let of_all = jackknife(&x, |x| full_kernel_distance(x, &y, Kernel::CUBIC).unwrap());
    let options = Kid { subsets: 100, subset_size: 250, ..Kid::TORCH_FIDELITY };
    let (spread, known) = kernel_distance_with_error(&x, &y, &options).unwrap();
    let known = known.unwrap();
    let expected = (of_all * of_all + spread.std * spread.std / 99.0).sqrt();
    let error = (known.standard_error / expected - 1.0).abs();
    // a variance of 500 images, seen in subsets: to sqrt(2 / 500) / 2, three percent, and pairs
    assert!(error < 0.03 + PAIRS, "{} for {expected}", known.standard_error);
    // subsets of all images do not scatter, and still the score is uncertain
    let whole = Kid { subsets: 3, subset_size: 500, ..Kid::TORCH_FIDELITY };
    let (spread, known) = kernel_distance_with_error(&x, &y, &whole).unwrap();
    assert!(spread.std < ROUNDING && known.unwrap().standard_error > 0.9 * of_all);
    let one = Kid { subsets: 1, ..options };
    assert_eq!(kernel_distance_with_error(&x, &y, &one).unwrap().1, None);
}
