//! Contributions of images to a score, against recomputation, differences and planted outliers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use ganscope_explain::fid::{Frechet, inception_score_contributions, pixels, worst_first};
use ganscope_explain::lrp::{Composite, Rule};
use ganscope_golden as golden;
use ganscope_model::network::{Builder, ConvSpec, Convolution, Walker};
use ganscope_model::{FeatureMap, Node, Op, Shape};
use ganscope_stats::linalg::{mul, sqrt_psd, symmetric_eigen};
use ganscope_stats::random::RandomState;
use ganscope_stats::{FeatureStats, Features};

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
    let frechet = Frechet::new(&g, &r).unwrap();
    let whole = distance(&generated, &reference);
    assert!((frechet.value() - whole).abs() < CONTRIBUTION * whole);
    for (image, part) in frechet.contributions(&generated).unwrap().into_iter().enumerate() {
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
fn the_gradient_is_that_of_differences() {
    let generated = normal(40, 6, 3, |k, v| v * (1.0 + k as f64) + 0.5);
    let reference = normal(50, 6, 4, |_, v| v);
    let [g, r] = [&generated, &reference].map(FeatureStats::from_features);
    let gradient = Frechet::new(&g, &r).unwrap().gradient(generated.row(7)).unwrap();
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
    let parts = Frechet::new(&g, &r).unwrap().contributions(&generated).unwrap();
    let found = worst_first(&parts)[..25].iter().filter(|&&i| outlier(i)).count();
    assert!(found >= 18, "{found} of 20 outliers among the worst 25");
}

#[test]
fn features_of_another_set_are_refused() {
    let generated = normal(10, 4, 1, |_, v| v);
    let [g, r] = [&generated, &normal(10, 4, 2, |_, v| v)].map(FeatureStats::from_features);
    let frechet = Frechet::new(&g, &r).unwrap();
    assert!(frechet.contributions(&normal(9, 4, 1, |_, v| v)).is_err());
    assert!(frechet.gradient(&[0.0; 3]).is_err());
    let wide = FeatureStats::from_features(&normal(10, 5, 2, |_, v| v));
    assert!(Frechet::new(&g, &wide).is_err());
    let two = FeatureStats::from_features(&normal(2, 4, 2, |_, v| v));
    assert!(Frechet::new(&two, &r).is_err());
}

#[test]
fn inception_score_contributions_are_those_of_recomputation() {
    let logits = normal(30, 5, 7, |_, v| 2.0 * v);
    let score = |logits: &Features| {
        let probs: Vec<Vec<f64>> = logits
            .rows()
            .map(|row| {
                let powers: Vec<f64> = row.iter().map(|&v| f64::from(v).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.iter().map(|p| p / sum).collect()
            })
            .collect();
        let n = probs.len() as f64;
        let mean: Vec<f64> = (0..5).map(|k| probs.iter().map(|p| p[k]).sum::<f64>() / n).collect();
        let divergence =
            |p: &Vec<f64>| p.iter().zip(&mean).map(|(p, m)| p * (p / m).ln()).sum::<f64>();
        (probs.iter().map(divergence).sum::<f64>() / n).exp()
    };
    let parts = inception_score_contributions(&logits).unwrap();
    for (image, part) in parts.into_iter().enumerate() {
        let expected = score(&logits) - score(&without(&logits, image));
        assert!((part - expected).abs() < 1e-12, "{image}: {part} instead of {expected}");
    }
}

#[test]
fn the_pixels_of_a_linear_extractor_share_the_first_order_change() {
    let spec = ConvSpec::new(3, 4, [4, 4]);
    let weight = golden::tensor("w", &[spec.weight_len()], (-1.0, 1.0), 0);
    let mut builder = Builder::new(3);
    let conv = Convolution { spec, weight, bias: vec![0.0; 4] };
    let features = builder.step("features", &[Node::INPUT], Op::Conv(conv));
    let walker = Walker::<f64>::new(Arc::new(builder.build()));
    let data = golden::tensor("x", &[48], (-1.0, 1.0), 0).iter().map(|&v| v.into()).collect();
    let image = FeatureMap::new(1, Shape { c: 3, h: 4, w: 4 }, data).unwrap();
    let gradient = [0.5, -1.0, 2.0, 0.25];
    let composite = Composite::from(Rule::Epsilon(0.0));
    let map = pixels(&walker, &image, features, &gradient, &composite).unwrap();
    let row = walker.run(image).unwrap().output().data.clone();
    let change: f64 = row.iter().zip(gradient).map(|(f, g)| f * g).sum();
    assert!((map.sum - change).abs() < 1e-12 * change.abs().max(1.0));
    assert!(pixels(&walker, &map.map, features, &gradient[..3], &composite).is_err());
}
