//! Composites by name against those of zennit, on networks with additions and concatenations.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use ganscope_classifiers::Architecture;
use ganscope_explain::lrp::Composite;
use ganscope_explain::{Target, relevance};
use ganscope_golden as golden;
use ganscope_model::network::Walker;
use ganscope_model::{Checkpoint, FeatureMap, Normalization, Shape};

/// Float64 on batch norms that are folded in float32.
const MAP: f64 = 1e-4;

fn check(name: &str, weights: &str) {
    let checkpoint = Checkpoint::from_f32(golden::weights(weights)).unwrap();
    let network = match name {
        "inception" => ganscope_inception::network(checkpoint).unwrap(),
        _ => name.parse::<Architecture>().unwrap().network(checkpoint).unwrap(),
    };
    let facts = &golden::json("composites.json")[name];
    let number = |key: &str| facts[key].as_u64().unwrap() as usize;
    let (size, class) = (number("size"), number("target"));
    let scaling = Normalization::imagenet();
    let pixels = golden::image(number("image"), size, size);
    let decimal = |v: f32| v.to_string().parse::<f64>().unwrap();
    let scale = |(i, &v): (usize, &u8)| {
        let (mean, std) = (scaling.mean()[i % 3], scaling.std()[i % 3]);
        (f64::from(v) / 255.0 - decimal(mean)) / decimal(std)
    };
    let data = pixels.iter().enumerate().map(scale).collect();
    let image = FeatureMap::new(1, Shape { c: 3, h: size, w: size }, data).unwrap();
    let target = Target::class(&network, class);
    let walker = Walker::<f64>::new(Arc::new(network));
    let numbers = golden::arrays("composites.safetensors");
    for composite in [
        "epsilon-plus",
        "epsilon-alpha2-beta1",
        "epsilon-plus-flat",
        "epsilon-alpha2-beta1-flat",
        "epsilon-gamma-box",
    ] {
        let rules = Composite::parse(composite, &scaling).unwrap();
        let map = relevance(&walker, &image, &target, &rules).unwrap().map;
        let length = map.data.iter().map(|v| v * v).sum::<f64>().sqrt();
        let planes = map.to_nchw();
        let inside = (0..3 * 32 * 32).map(|i| {
            let (k, y, x) = (i / 1024, i / 32 % 32, i % 32);
            planes[(k * size + 32 + y) * size + 32 + x]
        });
        let expected = |entry: &str| &numbers[&format!("{name}/{composite}/{entry}")].data;
        let error = golden::relative_l2(&inside.collect::<Vec<f64>>(), expected("crop32"));
        assert!(error < MAP, "{name} {composite}: {error:.2e}");
        let sums = [map.data.iter().sum(), length];
        let error = golden::relative_l2(&sums, expected("sum_l2"));
        assert!(error < MAP, "{name} {composite}, sum and length: {error:.2e}");
    }
}

#[test]
fn relevance_in_resnet18_is_that_of_zennit() {
    check("resnet18", "classifier-resnet18-weights.json");
}

#[test]
fn relevance_in_efficientnet_lite0_is_that_of_zennit() {
    check("efficientnet-lite0", "classifier-efficientnet-lite0-weights.json");
}

#[test]
fn relevance_in_inception_is_that_of_zennit() {
    check("inception", "inception-weights.json");
}
