//! The distance at the class frequencies of another set.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ganscope_fid::{distance_at_histogram, frechet_distance};
use ganscope_stats::random::RandomState;
use ganscope_stats::{Error, FeatureStats, Features};

/// Rows about the center of their class, in turn by `classes`.
fn rows(classes: &[usize], seed: u32) -> Features {
    let mut random = RandomState::new(seed);
    let row = |&class: &usize| -> Vec<f32> {
        let noise = random.standard_normals(3);
        (0..3).map(|k| (noise[k] + if k == class { 5.0 } else { 0.0 }) as f32).collect()
    };
    Features::from_vec(classes.iter().flat_map(row).collect(), 3).unwrap()
}

fn distance(generated: &Features, reference: &Features) -> f64 {
    let [g, r] = [generated, reference].map(FeatureStats::from_features);
    frechet_distance(&g, &r).unwrap()
}

#[test]
fn the_own_histogram_changes_nothing() {
    let classes: Vec<usize> = (0..300).map(|i| i % 3).collect();
    let (generated, reference) = (rows(&classes, 1), rows(&classes, 2));
    let stats = FeatureStats::from_features(&reference);
    let third = [1.0 / 3.0; 3];
    let found = distance_at_histogram(&generated, &classes, &third, &stats).unwrap();
    let expected = distance(&generated, &reference);
    assert!((found.distance / expected - 1.0).abs() < 1e-9, "{found:?} for {expected}");
    assert!(found.lost.abs() < 1e-12);
}

#[test]
fn weights_are_as_good_as_repeated_images() {
    // Class 0 is twice as frequent as class 1 in the reference: repeating its images is the same but
    // for the degrees of freedom.
    let classes: Vec<usize> = (0..4000).map(|i| i % 2).collect();
    let generated = rows(&classes, 1);
    let reference = rows(&(0..6000).map(|i| usize::from(i % 3 == 2)).collect::<Vec<_>>(), 2);
    let stats = FeatureStats::from_features(&reference);
    let found = distance_at_histogram(&generated, &classes, &[2.0, 1.0], &stats).unwrap();
    let repeated: Vec<usize> = (0..4000).chain((0..4000).step_by(2)).collect();
    let expected = distance(&generated.select(&repeated), &reference);
    assert!((found.distance - expected).abs() < 1e-3, "{found:?} for {expected}");
    assert!(found.distance < 0.05 * distance(&generated, &reference));
}

#[test]
fn a_class_without_images_is_lost() {
    let generated = rows(&[0; 50], 1);
    let stats = FeatureStats::from_features(&rows(&[0, 1, 2, 0], 2));
    let found = distance_at_histogram(&generated, &[0; 50], &[0.5, 0.3, 0.2], &stats).unwrap();
    assert!((found.lost - 0.5).abs() < 1e-12);
    let fails = |classes: &[usize], histogram: &[f64]| {
        distance_at_histogram(&generated, classes, histogram, &stats).unwrap_err()
    };
    assert!(matches!(fails(&[0; 50], &[0.0, 1.0]), Error::Parameter { .. }));
    assert!(matches!(fails(&[2; 50], &[0.5, 0.5]), Error::Parameter { .. }));
    assert!(matches!(fails(&[0; 49], &[1.0]), Error::RowCount { got: 49, .. }));
}
