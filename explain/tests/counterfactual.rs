//! Counterfactuals, where the boundary of the class is known.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use candle_core::{Device, Tensor};
use ganscope_explain::{Changed, Counterfactual, Explainer};
use ganscope_model::network::{Builder, ConvSpec, Convolution};
use ganscope_model::{Classifier, Node, Normalization, Op, Result};

/// Ten halvings of the way to the boundary, in float32.
const HALVED: f64 = 2e-3;
/// What has to be exceeded for the second class.
const THRESHOLD: f64 = 0.6;
const SEARCH: Counterfactual = Counterfactual { steps: 100, rate: 0.05, rounds: 20, margin: 0.1 };

/// Two classes of a picture of one pixel: the second one if its red is above the threshold; the third
/// is never the largest.
fn explainer() -> Explainer {
    let mut b = Builder::new(3);
    let x = b.step("mean", &[Node::INPUT], Op::GlobalAvgPool);
    let weight = vec![0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let bias = vec![0.0, -THRESHOLD as f32, -9.0];
    let linear = Convolution { spec: ConvSpec::new(3, 3, [1, 1]), weight, bias };
    b.step("fc", &[x], Op::Linear(linear));
    Explainer::new(Classifier {
        id: "red".into(),
        network: Arc::new(b.build()),
        input_size: 1,
        normalization: Normalization::Unit,
        labels: Vec::new(),
    })
}

/// The picture of the latent (x, y): its red is `x + curve y^2`.
fn picture(latent: &Tensor, curve: f64) -> Result<Tensor> {
    let (x, y) = (latent.narrow(1, 0, 1)?, latent.narrow(1, 1, 1)?);
    let red = (x + (y.sqr()? * curve)?)?;
    Ok(Tensor::cat(&[&red, &y.zeros_like()?, &y.zeros_like()?], 1)?.reshape((1, 3, 1, 1))?)
}

fn latent(x: f32, y: f32) -> Tensor {
    Tensor::new(&[[x, y]], &Device::Cpu).unwrap()
}

fn found(start: &Tensor, curve: f64, to: Option<usize>) -> Option<Changed> {
    SEARCH.explain(&explainer(), to, start, &[], |latent| picture(latent, curve)).unwrap()
}

#[test]
fn a_straight_boundary_is_reached_at_a_right_angle() {
    let changed = found(&latent(-0.3, 2.0), 0.0, Some(1)).unwrap();
    let expected = 0.3 + THRESHOLD + SEARCH.margin;
    assert!((changed.distance / expected - 1.0).abs() < HALVED, "{}", changed.distance);
    assert_eq!(changed.class, 1);
    let end: Vec<f32> = changed.latent.flatten_all().unwrap().to_vec1().unwrap();
    assert!((f64::from(end[1]) - 2.0).abs() < HALVED, "{end:?}");
}

#[test]
fn the_nearest_point_of_a_curved_boundary_is_found() {
    for (curve, x, y) in [(0.5, 0.0, 0.4), (-0.4, 0.2, 0.8), (1.5, -0.2, 0.3)] {
        let changed = found(&latent(x, y), curve, None).unwrap();
        // All points of the boundary, one by one.
        let level = THRESHOLD + SEARCH.margin;
        let away = |i: i32| {
            let v = f64::from(i) * 1e-4;
            (level - curve * v * v - f64::from(x)).hypot(v - f64::from(y))
        };
        let nearest = (-30_000..30_000).map(away).fold(f64::INFINITY, f64::min);
        let ratio = changed.distance / nearest;
        assert!((1.0 - HALVED..1.0 + HALVED).contains(&ratio), "{curve}: {ratio}");
    }
}

#[test]
fn a_class_that_the_gradient_does_not_reach_is_found_from_another_picture() {
    // Where nothing changes the red there is no gradient.
    let flat = |latent: &Tensor| -> Result<Tensor> {
        let rest = (latent.clamp(1.0, f64::INFINITY)? - 1.0)?;
        picture(&rest, 0.0)
    };
    let (explainer, start) = (explainer(), latent(0.0, 0.0));
    let none = SEARCH.explain(&explainer, Some(1), &start, &[], flat).unwrap();
    assert!(none.is_none());
    // The farther end is of the class, too; the nearest is not.
    let ends = [latent(9.0, 9.0), latent(3.0, 2.0), latent(0.5, 0.0)];
    let changed = SEARCH.explain(&explainer, Some(1), &start, &ends, flat).unwrap().unwrap();
    let expected = 1.0 + THRESHOLD + SEARCH.margin;
    assert!((changed.distance / expected - 1.0).abs() < HALVED, "{}", changed.distance);
}

#[test]
fn what_cannot_be_sought_is_refused() {
    let explainer = explainer();
    let fails = |search: Counterfactual, to| {
        let start = latent(0.0, 0.0);
        search.explain(&explainer, to, &start, &[], |l| picture(l, 0.0)).unwrap_err().to_string()
    };
    assert!(fails(SEARCH, Some(3)).contains("no class 3 among 3"));
    assert!(fails(SEARCH, Some(0)).contains("another than that of the picture"));
    assert!(fails(Counterfactual { rate: 0.0, ..SEARCH }, None).contains("rate"));
    assert!(fails(Counterfactual { margin: f64::NAN, ..SEARCH }, None).contains("margin"));
}
