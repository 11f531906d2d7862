//! `LayerCAM` and `Score-CAM` against pytorch-grad-cam.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use ganscope_classifiers::Architecture;
use ganscope_explain::{Evidence, Target, layer_cam, score_cam};
use ganscope_golden as golden;
use ganscope_model::network::{Builder, ConvSpec, PoolSpec, Real, Walker};
use ganscope_model::{Checkpoint, FeatureMap, Network, Node, Normalization, Op, Shape};

/// Float32 forward and back.
const F32: f64 = 1e-4;
/// Float64, stored in float32; batch norms are folded in float32.
const F64: f64 = 1e-5;

/// Three convolutions, a global mean and a linear layer.
fn small(mut checkpoint: Checkpoint) -> Network {
    let mut b = Builder::new(3);
    let mut x = Node::INPUT;
    for (layer, inputs, outputs) in [(0, 3, 8), (3, 8, 16), (6, 16, 24)] {
        let spec = ConvSpec::new(inputs, outputs, [3, 3]).padding(1, 1);
        x = b.conv(&mut checkpoint, &format!("features.{layer}"), x, spec, true).unwrap();
        x = b.relu(&format!("features.{}", layer + 1), x);
        if layer < 6 {
            x = b.max_pool(&format!("features.{}", layer + 2), x, PoolSpec::new(2, 2));
        }
    }
    let x = b.step("avgpool", &[x], Op::GlobalAvgPool);
    b.linear(&mut checkpoint, "classifier", x, (24, 10)).unwrap();
    b.build()
}

fn check<T: Real>(name: &str, (k, size): (usize, usize), layer: &str, tolerance: f64) {
    let weights = golden::weights(&format!("classifier-{name}-weights.json"));
    let checkpoint = Checkpoint::from_f32(weights).unwrap();
    let network = match name {
        "small" => small(checkpoint),
        _ => name.parse::<Architecture>().unwrap().network(checkpoint).unwrap(),
    };
    let scaling = Normalization::imagenet();
    let decimal = |v: f32| v.to_string().parse::<f64>().unwrap();
    let scale = |(i, v): (usize, u8)| {
        let (mean, std) = (scaling.mean()[i % 3], scaling.std()[i % 3]);
        T::of((f64::from(v) / 255.0 - decimal(mean)) / decimal(std))
    };
    let data = golden::image(k, size, size).into_iter().enumerate().map(scale).collect();
    let image = FeatureMap::new(1, Shape { c: 3, h: size, w: size }, data).unwrap();
    let class = golden::json("explain.json")[name]["target"].as_u64().unwrap() as usize;
    let target = Target::class(&network, class);
    let layer = network.node(layer).unwrap();
    let walker = Walker::<T>::new(Arc::new(network));
    let numbers = golden::arrays("cams.safetensors");
    let compare = |key: &str, map: &FeatureMap<T>| {
        let values: Vec<f64> = map.data.iter().map(|v| v.to_f64()).collect();
        let error = golden::relative_l2(&values, &numbers[&format!("{name}/{key}")].data);
        assert!(error < tolerance, "{name} {key}: {error:.2e}");
    };
    let map = layer_cam(&walker, &image, &target, layer, Evidence::Positive).unwrap();
    compare("layer_cam", &map);
    // The large network has 512 maps; its masks cost a forward pass each.
    if name == "small" {
        let score = |batch: &FeatureMap<T>| target.score(walker.run(batch.clone())?.output());
        let map = score_cam(&walker, &image, layer, Evidence::Positive, 5, score).unwrap();
        compare("score_cam", &map);
    }
}

#[test]
fn maps_of_the_small_network_are_those_of_pytorch_grad_cam() {
    check::<f64>("small", (50, 32), "features.6", F64);
    check::<f32>("small", (50, 32), "features.6", F32);
}

#[test]
fn layer_cam_of_resnet18_is_that_of_pytorch_grad_cam() {
    check::<f32>("resnet18", (52, 224), "layer4.1", F32);
}
