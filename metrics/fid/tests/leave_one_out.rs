//! Contributions of images to the distance, against recomputation, differences and planted outliers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ganscope_fid::{LeaveOneOut, frechet_distance, worst_first};
use ganscope_stats::linalg::{mul, sqrt_psd, symmetric_eigen};
use ganscope_stats::random::RandomState;
use ganscope_stats::{Error, FeatureStats, Features};

/// Contributions against recomputed distances.
const CONTRIBUTION: f64 = 1e-6;
/// Gradients against differences of float32 features.
const GRADIENT: f64 = 1e-3;

fn normal(n: usize, dim: usize, seed: u32, place: impl Fn(usize, f64) -> f64) -> Features {
    let mut random = RandomState::new(seed);
    let value = |i: usize| place(i % dim, random.standard_normal()) as f32;
    Features::from_vec((0..n * dim).map(value).collect(), dim).unwrap()
}

/// The distance from its definition: `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1^(1/2) C2 C1^(1/2))^(1/2))`.
fn distance(generated: &Features, reference: &Features) -> f64 {
    let [a, b] = [generated, reference].map(FeatureStats::from_features);
    let (cov_a, cov_b) = (a.cov().unwrap(), b.cov().unwrap());
    let root = sqrt_psd(&cov_b).unwrap();
    let (values, _) = symmetric_eigen(&mul(&mul(&root, &cov_a), &root)).unwrap();
    let trace: f64 = values.iter().map(|v| v.max(0.0).sqrt()).sum();
    (a.mean() - b.mean()).norm_squared() + cov_a.trace() + cov_b.trace() - 2.0 * trace
}

fn without(features: &Features, image: usize) -> Features {
    let rest: Vec<usize> = (0..features.len()).filter(|&i| i != image).collect();
    features.select(&rest)
}

fn check_contributions(n: usize, dim: usize) {
    let generated = normal(n, dim, 1, |k, v| v * (1.0 + k as f64 / 4.0) + 0.3);
    let reference = normal(60, dim, 2, |k, v| v * (2.0 - k as f64 / dim as f64));
    let [g, r] = [&generated, &reference].map(FeatureStats::from_features);
    let set = LeaveOneOut::new(&g, &r).unwrap();
    let whole = distance(&generated, &reference);
    assert_eq!(set.distance().to_bits(), frechet_distance(&g, &r).unwrap().to_bits());
    assert!((set.distance() - whole).abs() < CONTRIBUTION * whole);
    for (image, part) in set.contributions(&generated).unwrap().into_iter().enumerate() {
        let expected = whole - distance(&without(&generated, image), &reference);
        let error = (part - expected).abs();
        assert!(error < CONTRIBUTION * whole, "{n} x {dim}, image {image}: {error:.2e}");
    }
}

#[test]
fn contributions_are_those_of_recomputation() {
    check_contributions(50, 8);
}

#[test]
fn contributions_are_those_of_recomputation_where_the_covariance_is_singular() {
    check_contributions(12, 20);
    check_contributions(21, 20);
}

#[test]
fn contributions_are_those_of_recomputation_where_the_reference_is_singular() {
    check_contributions(90, 75);
    check_contributions(70, 75);
}

#[test]
fn constant_images_differ_by_their_mean_alone() {
    // the distance is (1 - 3)^2 per feature, whichever image is left out
    let constant = |value: f32| Features::from_vec(vec![value; 12], 4).unwrap();
    let [g, r] = [&constant(1.0), &constant(3.0)].map(FeatureStats::from_features);
    let set = LeaveOneOut::new(&g, &r).unwrap();
    assert_eq!(set.distance(), 16.0);
    assert_eq!(set.contributions(&constant(1.0)).unwrap(), [0.0; 3]);
    // 2/3 (1 - 3)
    let gradient = set.gradient(&[1.0; 4]).unwrap();
    assert!(gradient.iter().all(|g| (g + 4.0 / 3.0).abs() < 1e-15), "{gradient:?}");
}

#[test]
fn the_gradient_is_that_of_differences() {
    let generated = normal(40, 6, 3, |k, v| v * (1.0 + k as f64) + 0.5);
    let reference = normal(50, 6, 4, |_, v| v);
    let [g, r] = [&generated, &reference].map(FeatureStats::from_features);
    let gradient = LeaveOneOut::new(&g, &r).unwrap().gradient(generated.row(7)).unwrap();
    let scale = gradient.iter().map(|g| g.abs()).fold(0.0, f64::max);
    for (k, got) in gradient.iter().enumerate() {
        // A step that float32 features represent exactly enough.
        let at = |step: f32| {
            let mut moved = generated.as_slice().to_vec();
            moved[7 * 6 + k] += step;
            let moved_by = f64::from(moved[7 * 6 + k]);
            (distance(&Features::from_vec(moved, 6).unwrap(), &reference), moved_by)
        };
        let ((high, right), (low, left)) = (at(0.0625), at(-0.0625));
        let expected = (high - low) / (right - left);
        assert!((got - expected).abs() < GRADIENT * scale, "{k}: {got} instead of {expected}");
    }
}

#[test]
fn planted_outliers_rank_among_the_worst() {
    let dim = 16;
    let outlier = |row: usize| row % 25 == 13;
    let mut rows = normal(500, dim, 5, |_, v| v).into_vec();
    for (i, v) in rows.iter_mut().enumerate() {
        if outlier(i / dim) {
            *v = 2.5 * *v + 1.0;
        }
    }
    let generated = Features::from_vec(rows, dim).unwrap();
    let reference = normal(500, dim, 6, |_, v| v);
    let [g, r] = [&generated, &reference].map(FeatureStats::from_features);
    let parts = LeaveOneOut::new(&g, &r).unwrap().contributions(&generated).unwrap();
    let found = worst_first(&parts)[..25].iter().filter(|&&i| outlier(i)).count();
    assert!(found >= 18, "{found} of 20 outliers among the worst 25");
}

#[test]
fn features_of_another_set_are_refused() {
    let generated = normal(10, 4, 1, |_, v| v);
    let [g, r] = [&generated, &normal(10, 4, 2, |_, v| v)].map(FeatureStats::from_features);
    let set = LeaveOneOut::new(&g, &r).unwrap();
    let fewer = set.contributions(&normal(9, 4, 1, |_, v| v));
    assert!(matches!(fewer, Err(Error::RowCount { expected: 10, got: 9, .. })));
    let narrow = set.gradient(&[0.0; 3]);
    assert!(matches!(narrow, Err(Error::Dimension { expected: 4, got: 3, .. })));
    let wide = FeatureStats::from_features(&normal(10, 5, 2, |_, v| v));
    assert!(matches!(LeaveOneOut::new(&g, &wide), Err(Error::Dimension { .. })));
    let two = FeatureStats::from_features(&normal(2, 4, 2, |_, v| v));
    assert!(matches!(LeaveOneOut::new(&two, &r), Err(Error::TooFewImages { needed: 3, .. })));
    let unknown = FeatureStats::from_cov(None, g.mean().clone(), g.cov().unwrap()).unwrap();
    assert!(matches!(LeaveOneOut::new(&unknown, &r), Err(Error::UnknownCount)));
}
