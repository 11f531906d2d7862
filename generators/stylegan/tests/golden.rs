//! The generators against the published PyTorch networks on the same weights.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use ganscope_golden as golden;
use ganscope_model::{Generator, NoiseMode, Synthesis, Truncation};
use ganscope_stats::random::RandomState;
use ganscope_stylegan::{Options, load, load_with};
use ganscope_weights::{ReadOptions, Weights, read};
use serde_json::{Map, Value};

#[path = "golden/recipe.rs"]
mod recipe;

/// float32 through some thirty convolutions and filters, in another order of summation.
const F32_ACCUMULATION: f64 = 1e-4;
const SEEDS: [u32; 2] = [85, 265];
const CLASSES: [u32; 2] = [3, 8];

fn file(name: &str) -> Weights {
    read(&golden::data().join(name), &ReadOptions::default()).unwrap()
}

fn config(file: &str, name: &str) -> Map<String, Value> {
    golden::json(file)[name].as_object().unwrap().clone()
}

fn latents(z_dim: usize) -> Tensor {
    let draw = |seed| RandomState::new(seed).standard_normals(z_dim).into_iter().map(|v| v as f32);
    let z: Vec<f32> = SEEDS.into_iter().flat_map(draw).collect();
    Tensor::from_vec(z, (SEEDS.len(), z_dim), &Device::Cpu).unwrap()
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// `psi0.7-cutoffNone-noise_const` or `psi0.7-layers8-noise_const`
fn case(text: &str) -> (Truncation, NoiseMode) {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |text: &str| text.trim_start_matches(char::is_alphabetic).parse::<f64>().ok();
    let psi = number(parts[0]).unwrap_or(1.0);
    let cutoff = number(parts[1]).map(|cutoff| cutoff as usize);
    let noise = match parts[2] {
        "noise_const" => NoiseMode::Const,
        "noise_none" => NoiseMode::None,
        other => panic!("{other}"),
    };
    (Truncation { psi, cutoff }, noise)
}

/// Compares `w` and images of all cases of one network; returns how many there were.
fn check(name: &str, generator: &dyn Generator, cases: &str) -> usize {
    let cases: BTreeMap<String, golden::Array> = golden::arrays(cases);
    let info = generator.info();
    let z = latents(info.z_dim);
    let classes = (info.c_dim > 0).then_some(&CLASSES[..]);
    let mut count = 0;
    for (path, expected) in &cases {
        let Some(rest) = path.strip_prefix(&format!("{name}/seeds85_265/")) else { continue };
        let (text, what) = rest.split_once('/').unwrap();
        let (truncation, noise_mode) = case(text);
        let ws = generator.map(&z, classes, truncation).unwrap();
        let actual = match what {
            // StyleGAN's file holds one row, before truncation.
            "w" if expected.shape.len() == 2 => {
                let ws = generator.map(&z, classes, Truncation::NONE).unwrap();
                ws.narrow(1, 0, 1).unwrap().squeeze(1).unwrap()
            }
            "w" => ws,
            _ => {
                let n = expected.shape[0];
                let options = Synthesis { noise_mode, ..Synthesis::default() };
                generator.synthesize(&ws.narrow(0, 0, n).unwrap(), &options).unwrap()
            }
        };
        assert_eq!(actual.dims(), expected.shape, "{path}");
        let error = golden::relative_l2(&values(&actual), &expected.data);
        assert!(error < F32_ACCUMULATION, "{path}: {error:e}");
        count += 1;
    }
    count
}

fn official(name: &str) -> Box<dyn Generator> {
    let options = Options { config: config("stylegan-configs.json", name), ..Options::default() };
    load_with(file(&format!("stylegan-{name}.safetensors")), &options, &Device::Cpu).unwrap()
}

#[test]
fn stylegan2_agrees_with_the_official_network() {
    for name in ["s2-skip", "s2-resnet-cond", "s2-orig"] {
        assert_eq!(check(name, &*official(name), "stylegan.safetensors"), 12);
    }
}

#[test]
fn stylegan3_agrees_with_the_official_network() {
    for name in ["s3-t", "s3-r-cond"] {
        assert_eq!(check(name, &*official(name), "stylegan.safetensors"), 6);
    }
}

#[test]
fn the_networks_above_are_all_that_the_file_holds() {
    let names = ["s2-skip/", "s2-resnet-cond/", "s2-orig/", "s3-t/", "s3-r-cond/"];
    for path in golden::arrays("stylegan.safetensors").keys() {
        assert!(names.iter().any(|name| path.starts_with(name)), "{path}");
    }
    for path in golden::arrays("stylegan1.safetensors").keys() {
        assert!(["s1-64/", "s1-128-fused/"].iter().any(|name| path.starts_with(name)), "{path}");
    }
}

#[test]
fn stylegan1_agrees_with_the_pytorch_network() {
    for name in ["s1-64", "s1-128-fused"] {
        let options =
            Options { config: config("stylegan1-configs.json", name), ..Options::default() };
        let weights = file(&format!("stylegan-{name}.pth"));
        let generator = load_with(weights, &options, &Device::Cpu).unwrap();
        assert_eq!(check(name, &*generator, "stylegan1.safetensors"), 6);
    }
}

#[test]
fn images_that_are_not_square_agree_with_stylegan_human() {
    for name in ["stylegan-human-s2", "stylegan-human-s3"] {
        let snapshot = load(file(&format!("{name}.pkl")), &Device::Cpu).unwrap();
        let config = config(&format!("{name}-out-configs.json"), name);
        let options = Options { config, ..Options::default() };
        let plain =
            load_with(file(&format!("{name}.safetensors")), &options, &Device::Cpu).unwrap();
        for generator in [snapshot, plain] {
            assert_eq!(generator.image_size(), [32, 16]);
            let z = latents(generator.info().z_dim);
            let mut images = 0;
            for (path, expected) in golden::arrays(&format!("{name}-out.safetensors")) {
                let case = path.strip_prefix(&format!("{name}/psi")).unwrap();
                let psi: f64 = case[..3].parse().unwrap();
                let ws = generator.map(&z, None, Truncation::psi(psi)).unwrap();
                let none = case.contains("noise_none");
                let noise_mode = if none { NoiseMode::None } else { NoiseMode::Const };
                let actual = if case.ends_with("/ws") {
                    ws
                } else {
                    images += 1;
                    let options = Synthesis { noise_mode, ..Synthesis::default() };
                    generator.synthesize(&ws, &options).unwrap()
                };
                assert_eq!(actual.dims(), expected.shape, "{path}");
                let error = golden::relative_l2(&values(&actual), &expected.data);
                assert!(error < F32_ACCUMULATION, "{path}: {error:e}");
            }
            assert!(images >= 2);
        }
    }
}

#[test]
fn snapshots_give_the_images_of_their_safetensors() {
    for name in ["s2-skip", "s3-t"] {
        let snapshot = load(file(&format!("stylegan-{name}.pkl")), &Device::Cpu).unwrap();
        assert!(check(name, &*snapshot, "stylegan.safetensors") > 0);
        let z = latents(snapshot.info().z_dim);
        let image = |generator: &dyn Generator| {
            let ws = generator.map(&z, None, Truncation::psi(0.7)).unwrap();
            values(&generator.synthesize(&ws, &Synthesis::default()).unwrap())
        };
        assert_eq!(image(&*snapshot), image(&*official(name)), "{name}");
    }
}

#[test]
fn the_ffhq_sized_network_agrees_with_the_official_one() {
    let generator = load(recipe::ffhq256(), &Device::Cpu).unwrap();
    assert_eq!(check("s2-ffhq256", &*generator, "stylegan-ffhq256.safetensors"), 2);
}
