//! Gradients through generators, and what ascends along them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use candle_core::{Device, Tensor};
use ganscope_biggan::{BigGan, Config};
use ganscope_explain::latent::{LatentMaximization, feature_map, latent_gradient, network_input};
use ganscope_explain::{Explainer, Target};
use ganscope_golden::{self as golden, relative_l2, tensor};
use ganscope_images::Image;
use ganscope_model::network::Description;
use ganscope_model::{Checkpoint, Classifier, Generator, Synthesis, Truncation};
use ganscope_weights::{ReadOptions, Weights, read};

/// Error of central differences of a network with kinks, in float32, as a share of the gradient's
/// length; a gradient that misses a layer is off by as much as itself.
const DIFFERENCES: f64 = 0.05;
/// Length of the steps of central differences.
const STEP: f64 = 0.001;
/// Rounding of float32 through both networks.
const F32: f64 = 1e-4;
/// The same, and the rectifiers that it turns: StyleGAN is so rough in Z that the slope over a step
/// of 0.001 differs from the gradient by a quarter.
const KINKS: f64 = 1e-2;
/// Latents among which an ascent begins with the best.
const STARTS: usize = 16;
/// Pixels resampled in float32 by two programs, on the scale of the network's input.
const RESAMPLED: f32 = 1e-4;

fn weights(name: &str) -> Weights {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    read(&folder.join(name), &ReadOptions::default()).unwrap()
}

fn classifier() -> Classifier {
    let checkpoint = Checkpoint::from(weights("fashion-cnn.safetensors"));
    let description = Description::from_config(checkpoint.config()).unwrap();
    description.classifier("fashion-cnn", checkpoint).unwrap()
}

fn stylegan() -> Box<dyn Generator> {
    ganscope_stylegan::load(weights("fashion-stylegan2.safetensors"), &Device::Cpu).unwrap()
}

fn biggan() -> Box<dyn Generator> {
    let checkpoint = Checkpoint::from(weights("fashion-biggan.safetensors"));
    let config = Config::of_checkpoint(&checkpoint).unwrap();
    Box::new(BigGan::new(config, checkpoint, &Device::Cpu).unwrap())
}

fn latent(name: &str, dim: usize) -> Tensor {
    Tensor::from_vec(tensor(name, &[dim], (-1.5, 1.5), 0), (1, dim), &Device::Cpu).unwrap()
}

/// The gradient of class 3 at `at`, and the logit as a function of the latent.
fn slope(
    explainer: &Explainer,
    at: &Tensor,
    synthesize: impl Fn(&Tensor) -> ganscope_model::Result<Tensor>,
) -> (Vec<f64>, impl Fn(&[f64]) -> f64) {
    let target = Target::class(&explainer.classifier().network, 3);
    let gradient = latent_gradient(explainer, &target, at, &synthesize).unwrap();
    let (gradient, place) = (values(&gradient), values(at));
    let score = move |way: &[f64]| {
        let moved = place.iter().zip(way).map(|(at, way)| (at + way) as f32).collect();
        let moved = Tensor::from_vec(moved, (1, place.len()), &Device::Cpu).unwrap();
        let input = network_input(explainer, &synthesize(&moved).unwrap()).unwrap();
        explainer.score(&feature_map(&input).unwrap(), &target).unwrap()[0]
    };
    (gradient, score)
}

fn values(tensor: &Tensor) -> Vec<f64> {
    let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().map(f64::from).collect()
}

#[test]
fn gradients_through_stylegan_are_those_of_pytorch() {
    let (explainer, generator) = (Explainer::new(classifier()), stylegan());
    let info = generator.info();
    let (golden, at) = (golden::arrays("latent.safetensors"), latent("start", info.z_dim));
    for (space, tolerance) in [("z", KINKS), ("w", F32)] {
        let (gradient, score) = slope(&explainer, &at, |latent| {
            let ws = if space == "z" {
                generator.map(latent, None, Truncation::psi(0.8))?
            } else {
                latent.unsqueeze(1)?.broadcast_as((1, info.num_ws, info.w_dim))?.contiguous()?
            };
            generator.synthesize(&ws, &Synthesis::default())
        });
        let expected = |name: &str| {
            golden[&format!("{space}/{name}")].f32().into_iter().map(f64::from).collect::<Vec<_>>()
        };
        let error = relative_l2(&[score(&vec![0.0; info.z_dim])], &expected("score"));
        assert!(error < F32, "{space}: {error:.2e}");
        let error = relative_l2(&gradient, &expected("gradient"));
        assert!(error < tolerance, "{space}: {error:.2e}");
    }
}

#[test]
fn gradients_through_biggan_are_central_differences() {
    let (explainer, generator) = (Explainer::new(classifier()), biggan());
    let at = latent("start", generator.info().z_dim);
    let (gradient, score) = slope(&explainer, &at, |z| {
        let ws = generator.map(z, Some(&[3]), Truncation::psi(0.8))?;
        generator.synthesize(&ws, &Synthesis::default())
    });
    let length = |way: &[f64]| way.iter().map(|v| v * v).sum::<f64>().sqrt();
    let others = ["first", "second"].map(|name| values(&latent(name, at.elem_count())));
    for way in others.into_iter().chain([gradient.clone()]) {
        let step = STEP / length(&way);
        let [ahead, behind] =
            [step, -step].map(|step| score(&way.iter().map(|v| v * step).collect::<Vec<_>>()));
        let difference = (ahead - behind) / (2.0 * step);
        let product: f64 = gradient.iter().zip(&way).map(|(g, w)| g * w).sum();
        let error = (difference - product).abs() / (length(&gradient) * length(&way));
        assert!(error < DIFFERENCES, "{product} for {difference}, off by {error:.3}");
    }
}

#[test]
fn the_ascent_finds_its_class() {
    let explainer = Explainer::new(classifier());
    let generator = stylegan();
    let info = generator.info();
    let w_of = |i: usize, psi: f64| {
        let z = latent(&format!("start {i}"), info.z_dim);
        let ws = generator.map(&z, None, Truncation::psi(psi)).unwrap();
        ws.narrow(1, 0, 1).unwrap().squeeze(1).unwrap()
    };
    let synthesize = |w: &Tensor| {
        let ws = w.unsqueeze(1)?.broadcast_as((1, info.num_ws, info.w_dim))?.contiguous()?;
        generator.synthesize(&ws, &Synthesis::default())
    };
    let starts: Vec<Tensor> = (0..STARTS).map(|i| w_of(i, 1.0)).collect();
    let center = w_of(0, 0.0);
    for class in [1, 8] {
        let target = Target::class(&explainer.classifier().network, class);
        let score = |z: &&Tensor| {
            let input = network_input(&explainer, &synthesize(z).unwrap()).unwrap();
            explainer.score(&feature_map(&input).unwrap(), &target).unwrap()[0]
        };
        let start = starts.iter().max_by(|a, b| score(a).total_cmp(&score(b))).unwrap();
        let ascent = LatentMaximization::default();
        let found = ascent.explain(&explainer, &target, [start, &center], synthesize).unwrap();
        let input = network_input(&explainer, &synthesize(&found).unwrap()).unwrap();
        let probability = explainer.probabilities(&feature_map(&input).unwrap()).unwrap()[0][class];
        assert!(probability > 0.9, "{class}: {probability}");
    }
}

#[test]
fn the_network_sees_an_image_as_it_would_see_the_picture() {
    let smooth = |i: usize| 128.0 + 60.0 * (i as f64 * 0.37).sin();
    let bytes: Vec<u8> = (0..3 * 32 * 32).map(|i| smooth(i) as u8).collect();
    let picture = Image::new(32, 32, bytes.clone()).unwrap();
    let values: Vec<f32> = bytes.iter().map(|&b| f32::from(b) / 127.5 - 1.0).collect();
    let image = Tensor::from_vec(values, (1, 32, 32, 3), &Device::Cpu).unwrap();
    let image = image.permute((0, 3, 1, 2)).unwrap();
    for input_size in [32, 20, 50] {
        let explainer = Explainer::new(Classifier { input_size, ..classifier() });
        let seen = feature_map(&network_input(&explainer, &image).unwrap()).unwrap();
        let expected = explainer.prepare(&picture).unwrap().input;
        assert_eq!(seen.shape, expected.shape);
        for (a, b) in seen.data.iter().zip(&expected.data) {
            assert!((a - b).abs() < RESAMPLED, "{input_size}: {a} for {b}");
        }
    }
}
