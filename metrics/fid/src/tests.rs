use ganscope_stats::Features;
use ganscope_stats::linalg::sqrt_psd;
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;

use super::*;

/// Rounding of decompositions of a few dozen columns.
const CLOSED_FORM: f64 = 1e-10;

fn gaussian(mean: &[f64], cov: DMatrix<f64>) -> FeatureStats {
    FeatureStats::from_cov(None, DVector::from_column_slice(mean), cov).unwrap()
}

fn stats(name: &str, rows: usize, dim: usize, range: (f64, f64)) -> FeatureStats {
    let data = ganscope_golden::tensor(name, &[rows, dim], range, 0);
    FeatureStats::from_features(&Features::from_vec(data, dim).unwrap())
}

fn assert_near(actual: f64, expected: f64) {
    assert!((actual - expected).abs() <= CLOSED_FORM * (1.0 + expected), "{actual} {expected}");
}

/// The distance by two roots, `tr (C1^(1/2) C2 C1^(1/2))^(1/2)`.
fn by_roots(generated: &FeatureStats, reference: &FeatureStats) -> f64 {
    let (c1, c2) = (generated.cov().unwrap(), reference.cov().unwrap());
    let root = sqrt_psd(&c1).unwrap();
    let middle = &root * &c2 * &root;
    let overlap = sqrt_psd(&((&middle + middle.transpose()) / 2.0)).unwrap().trace();
    let shift = (generated.mean() - reference.mean()).norm_squared();
    shift + c1.trace() + c2.trace() - 2.0 * overlap
}

#[test]
fn gaussians_of_one_dimension_differ_by_means_and_deviations() {
    // (3 - 1)^2 + (2 - 5)^2
    let generated = gaussian(&[3.0], DMatrix::from_element(1, 1, 4.0));
    let reference = gaussian(&[1.0], DMatrix::from_element(1, 1, 25.0));
    assert_near(frechet_distance(&generated, &reference).unwrap(), 13.0);
}

#[test]
fn diagonal_covariances_add_up() {
    // one direction is flat in the generated set, another in the reference
    let (a, b) = ([1.0, 0.0, 9.0, 4.0], [4.0, 2.0, 0.0, 4.0]);
    let diagonal = |v: [f64; 4]| DMatrix::from_diagonal(&DVector::from_column_slice(&v));
    let expected: f64 =
        a.iter().zip(b).map(|(a, b): (&f64, f64)| (a.sqrt() - b.sqrt()).powi(2)).sum();
    let actual =
        frechet_distance(&gaussian(&[0.0; 4], diagonal(a)), &gaussian(&[0.0; 4], diagonal(b)));
    assert_near(actual.unwrap(), expected);
}

#[test]
fn constant_features_differ_by_their_means_alone() {
    let constant =
        |value: f32| FeatureStats::from_features(&Features::from_vec(vec![value; 12], 4).unwrap());
    assert_eq!(frechet_distance(&constant(1.0), &constant(3.0)).unwrap(), 16.0);
    assert_eq!(frechet_distance(&constant(3.0), &constant(3.0)).unwrap(), 0.0);
}

#[test]
fn one_image_has_no_distance() {
    let (one, two) = (stats("a", 1, 4, (0.0, 1.0)), stats("b", 2, 4, (0.0, 1.0)));
    assert!(matches!(frechet_distance(&one, &two), Err(Error::TooFewImages { got: 1, .. })));
    assert!(frechet_distance(&two, &two).is_ok());
}

#[test]
fn sets_of_different_width_are_refused() {
    let (a, b) = (stats("a", 9, 4, (0.0, 1.0)), stats("b", 9, 5, (0.0, 1.0)));
    assert!(matches!(frechet_distance(&a, &b), Err(Error::Dimension { expected: 5, got: 4, .. })));
}

fn moments(rows: usize) -> FeatureSet {
    FeatureSet { stats: Some(stats("a", rows, 4, (0.0, 1.0))), ..FeatureSet::default() }
}

#[test]
fn a_metric_tells_what_a_set_lacks() {
    let set = moments(9);
    let message = |metric: &dyn Metric, generated: &FeatureSet, reference| {
        let error = metric.score(generated, reference).unwrap_err().to_string();
        assert_eq!(metric.check(generated, reference).unwrap_err().to_string(), error);
        error
    };
    assert!(Fid.check(&set, Some(&set)).is_ok());
    assert_eq!(Fid.score(&set, Some(&set)).unwrap()[0].value, 0.0);
    assert_eq!(message(&Fid, &set, None), "FID needs a reference set");
    assert_eq!(
        message(&Sfid, &set, Some(&set)),
        "sFID needs the mean and covariance of the spatial features; the generated set contains \
         only the mean and covariance of the features"
    );
    assert_eq!(
        message(&FidInfinity::PAPER, &set, Some(&set)),
        "FID infinity needs the features of each image; the generated set contains only the mean \
         and covariance of the features"
    );
}

#[test]
fn sets_without_images_and_of_one_image_are_refused_by_name() {
    let set = moments(9);
    for (images, few) in [(0, FeatureSet::default()), (0, moments(0)), (1, moments(1))] {
        for (side, generated, reference) in [("generated", &few, &set), ("reference", &set, &few)] {
            let expected = format!("FID needs at least 2 images; the {side} set has {images}");
            assert_eq!(Fid.check(generated, Some(reference)).unwrap_err().to_string(), expected);
            assert_eq!(Fid.score(generated, Some(reference)).unwrap_err().to_string(), expected);
        }
    }
}

proptest! {
    #[test]
    fn the_distance_to_itself_is_zero(rows in 2usize..80, dim in 1usize..40) {
        let set = stats("a", rows, dim, (0.0, 30.0));
        prop_assert_eq!(frechet_distance(&set, &set).unwrap(), 0.0);
        let imported = gaussian(set.mean().as_slice(), set.cov().unwrap());
        prop_assert!(frechet_distance(&set, &imported).unwrap().abs() < 1e-6);
    }

    #[test]
    fn the_order_of_rows_and_of_arguments_changes_nothing(rows in 2usize..80, dim in 1usize..40) {
        let data = ganscope_golden::tensor("a", &[rows, dim], (0.0, 1.0), 0);
        let features = Features::from_vec(data, dim).unwrap();
        let reversed: Vec<usize> = (0..rows).rev().collect();
        let a = FeatureStats::from_features(&features);
        let reversed = FeatureStats::from_features(&features.select(&reversed));
        let b = stats("b", 50, dim, (0.2, 1.5));
        let distance = frechet_distance(&a, &b).unwrap();
        assert_near(frechet_distance(&b, &a).unwrap(), distance);
        assert_near(frechet_distance(&reversed, &b).unwrap(), distance);
        prop_assert!(frechet_distance(&reversed, &a).unwrap().abs() < 1e-12 * rows as f64);
    }

    #[test]
    fn a_shift_of_the_mean_adds_its_squared_length(
        rows in 2usize..80, shift in prop::collection::vec(-5f64..5.0, 1..30)
    ) {
        let set = stats("a", rows, shift.len(), (0.0, 1.0));
        let moved = set.mean() + DVector::from_column_slice(&shift);
        let moved = FeatureStats::from_cov(set.count(), moved, set.cov().unwrap()).unwrap();
        let expected: f64 = shift.iter().map(|s| s * s).sum();
        assert_near(frechet_distance(&moved, &set).unwrap(), expected);
    }

    #[test]
    fn scaled_features_are_as_far_as_their_deviations(rows in 2usize..80, dim in 1usize..30, by in 0f64..3.0) {
        // covariances that commute: tr (C^(1/2) - s C^(1/2))^2 = (1 - s)^2 tr C
        let set = stats("a", rows, dim, (0.0, 1.0));
        let cov = set.cov().unwrap();
        let scaled = gaussian(set.mean().as_slice(), &cov * (by * by));
        assert_near(frechet_distance(&scaled, &set).unwrap(), (1.0 - by).powi(2) * cov.trace());
    }

    #[test]
    fn the_factors_give_what_two_roots_give(rows in 41usize..80, other in 41usize..80, dim in 1usize..40) {
        let (a, b) = (stats("a", rows, dim, (0.0, 1.0)), stats("b", other, dim, (0.1, 1.7)));
        assert_near(frechet_distance(&a, &b).unwrap(), by_roots(&a, &b));
    }
}
