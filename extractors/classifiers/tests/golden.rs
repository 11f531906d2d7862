//! Logits on recipe weights against torchvision.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use ganscope_classifiers::Architecture;
use ganscope_golden as golden;
use ganscope_model::{Checkpoint, Engine, FeatureMap, Shape};

/// Float32 through at most 21 layers.
const F32_NETWORK: f64 = 1e-4;

fn check(name: &str, image: usize, size: usize) {
    let weights = golden::weights(&format!("classifier-{name}-weights.json"));
    let architecture: Architecture = name.parse().unwrap();
    let classifier = architecture.classifier(Checkpoint::from_f32(weights).unwrap()).unwrap();
    let pixels = golden::image(image, size, size);
    let scaled = pixels
        .iter()
        .enumerate()
        .map(|(i, &v)| classifier.normalization.apply(i % 3, f32::from(v)))
        .collect();
    let input = FeatureMap::new(1, Shape { c: 3, h: size, w: size }, scaled).unwrap();
    let network = Arc::clone(&classifier.network);
    let engine = Engine::new(Arc::clone(&network), &[network.output()]);
    let logits = engine.run(&input.data, (1, size, size)).unwrap().remove(0);
    let expected = &golden::arrays("explain.safetensors")[&format!("{name}/logits")];
    let error = golden::relative_l2(&logits.data, &expected.data);
    assert!(error < F32_NETWORK, "{name}: {error:.2e}");
    assert_eq!(classifier.labels.len(), 1000);
}

#[test]
fn alexnet_gives_the_logits_of_torchvision() {
    check("alexnet", 51, 224);
}

#[test]
fn resnet18_gives_the_logits_of_torchvision() {
    check("resnet18", 52, 224);
}

#[test]
fn vgg11_gives_the_logits_of_torchvision() {
    check("vgg11", 53, 96);
}

#[test]
fn names_are_unique_and_parse_back() {
    for architecture in Architecture::ALL {
        assert_eq!(architecture.name().parse::<Architecture>().unwrap(), architecture);
    }
    let error = "resnet19".parse::<Architecture>().unwrap_err().to_string();
    assert!(error.contains("resnet18"), "{error}");
}
