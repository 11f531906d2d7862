//! The gradient of a class with respect to the pixels, against torch in float64.

use ganscope_golden::tensor;
use ganscope_model::network::{Real, Rectifier, Walker};
use ganscope_model::{FeatureMap, Node, Shape};

use super::dinov2::config;
use super::*;

/// Float64, on weights of which the factors of the branches are multiplied in float32, and with
/// position embeddings in float32; stored in float32.
const F64: f64 = 1e-6;
/// Float32 forward and back.
const F32: f64 = 1e-4;

/// A head of ten classes on the class token, class 3.
const TARGET: usize = 3;

fn check_gradient<T: Real>(tolerance: f64) {
    let vit = Vit::dinov2(open("dinov2-tiny.pth"), &config(r#"{"num_heads": 3}"#)).unwrap();
    let images = whole(70, 224, 224);
    let scale = |(i, &x): (usize, &f32)| {
        // Pixels are scaled in the precision of the rest.
        let (mean, std) = (vit.normalization().mean()[i % 3], vit.normalization().std()[i % 3]);
        let decimal = |v: f32| v.to_string().parse::<f64>().unwrap();
        T::of((f64::from(x) / 255.0 - decimal(mean)) / decimal(std))
    };
    let input = images.data.iter().enumerate().map(scale).collect();
    let shape = Shape { c: 3, h: 224, w: 224 };
    let walker = Walker::<T>::new(vit.network().clone());
    let trace = walker.run(FeatureMap::new(1, shape, input).unwrap()).unwrap();
    let cls = vit.network().node("cls").unwrap();
    let width = trace.value(cls).shape.c;

    // The logit of a linear layer on the class token.
    let bound = (6.0 / width as f64).sqrt();
    let weight = tensor("head.weight", &[10, width], (-bound, bound), 0);
    let bias = tensor("head.bias", &[10], (-0.1, 0.1), 0);
    let numbers = arrays("vit-explain.safetensors");
    let logits: Vec<f64> = (0..10)
        .map(|class| {
            let row = weight[class * width..][..width].iter();
            let product = row.zip(&trace.value(cls).data).map(|(&w, v)| f64::from(w) * v.to_f64());
            f64::from(bias[class]) + product.sum::<f64>()
        })
        .collect();
    let error = relative_l2(&logits, &numbers["logits"].data);
    assert!(error < tolerance, "logits: {error:.2e}");

    let seed = weight[TARGET * width..][..width].iter().map(|&w| T::of(w.into())).collect();
    let seed = FeatureMap::new(1, trace.value(cls).shape, seed).unwrap();
    let tokens = vit.network().node("tokens").unwrap();
    let keep = [Node::INPUT, tokens];
    let mut signals = trace.gradient(cls, seed, &keep, Rectifier::Gradient).unwrap();
    let at_tokens: Vec<f64> = signals.remove(1).data.iter().map(|v| v.to_f64()).collect();
    let error = relative_l2(&at_tokens, &numbers["gradient_tokens_in"].data);
    assert!(error < tolerance, "gradient of the tokens: {error:.2e}");

    let gradient = signals.remove(0).to_nchw();
    let gradient: Vec<f64> = gradient.iter().map(|v| v.to_f64()).collect();
    let at = |c: usize, y: usize, x: usize| gradient[(c * 224 + y) * 224 + x];
    let crop: Vec<f64> =
        (0..3 * 64 * 64).map(|i| at(i / 4096, 80 + i / 64 % 64, 80 + i % 64)).collect();
    let patch = |p: usize| {
        let pixels = (0..3 * 14 * 14).map(|i| (i / 196, i / 14 % 14, i % 14));
        pixels.map(|(c, y, x)| at(c, p / 16 * 14 + y, p % 16 * 14 + x)).sum::<f64>()
    };
    let patches: Vec<f64> = (0..256).map(patch).collect();
    let length = gradient.iter().map(|v| v * v).sum::<f64>().sqrt();
    let sums = [gradient.iter().sum::<f64>(), length];
    for (entry, actual) in [("crop80", &crop[..]), ("patch_sum", &patches), ("sum_l2", &sums)] {
        let error = relative_l2(actual, &numbers[&format!("gradient/{entry}")].data);
        assert!(error < tolerance, "{entry}: {error:.2e}");
    }
}

#[test]
fn the_gradient_in_float64_is_that_of_torch() {
    check_gradient::<f64>(F64);
}

#[test]
fn the_gradient_in_float32_is_near() {
    check_gradient::<f32>(F32);
}
