//! The generator against the published network on the same weights.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::{Device, Tensor, Var};
use ganscope_golden as golden;
use ganscope_model::{Checkpoint, Generator, Synthesis, Truncation, to_images};
use ganscope_r3gan::{R3Gan, is_r3gan};
use ganscope_stats::random::RandomState;
use ganscope_weights::{ReadOptions, Weights, read};

/// float32 through some thirty convolutions, in another order of summation.
const F32_ACCUMULATION: f64 = 1e-4;
/// What bfloat16 in the last stages, as published, is off from float32.
const BFLOAT16: f64 = 2e-2;
const CLASSES: [u32; 2] = [0, 3];

fn weights(name: &str) -> Weights {
    read(&golden::data().join(name), &ReadOptions::default()).unwrap()
}

fn network(name: &str) -> R3Gan {
    let weights = weights(name);
    assert!(is_r3gan(&weights));
    R3Gan::new(Checkpoint::from(weights), &Device::Cpu).unwrap()
}

fn ws(generator: &R3Gan) -> Tensor {
    let z_dim = generator.info().z_dim;
    let draw = |seed| RandomState::new(seed).standard_normals(z_dim).into_iter().map(|v| v as f32);
    let z: Vec<f32> = [85, 265].into_iter().flat_map(draw).collect();
    let z = Tensor::from_vec(z, (2, z_dim), &Device::Cpu).unwrap();
    let classes = (generator.info().c_dim > 0).then_some(&CLASSES[..]);
    generator.map(&z, classes, Truncation::NONE).unwrap()
}

#[test]
fn images_are_those_of_the_published_network() {
    let expected = golden::arrays("r3gan.safetensors");
    for (name, classes) in [("r3gan-uncond", 0), ("r3gan-cond", 10)] {
        for ending in ["pkl", "safetensors"] {
            let generator = network(&format!("{name}.{ending}"));
            let info = generator.info();
            assert_eq!((info.z_dim, info.c_dim, info.img_resolution), (16, classes, 32));
            let images = generator.synthesize(&ws(&generator), &Synthesis::default()).unwrap();
            let values: Vec<f32> = images.flatten_all().unwrap().to_vec1().unwrap();
            for (kind, tolerance) in [("f32", F32_ACCUMULATION), ("bf16", BFLOAT16)] {
                let golden = &expected[&format!("{name}/{kind}/image")];
                assert_eq!(images.dims(), golden.shape);
                let error = golden::relative_l2(&values, &golden.data);
                assert!(error < tolerance, "{name}.{ending} {kind}: {error:e}");
            }
            let bytes = &expected[&format!("{name}/f32/uint8")].data;
            let made = to_images(&images, &info).unwrap().into_iter().flat_map(|i| i.pixels);
            // A value beside a whole number may fall to either side.
            let off = made.zip(bytes).filter(|(a, b)| f64::from(*a) != **b).count();
            assert!(off <= 2, "{name}.{ending}: {off} bytes");
        }
    }
}

#[test]
fn a_batch_is_its_images_one_by_one() {
    let generator = network("r3gan-cond.safetensors");
    let ws = ws(&generator);
    let of = |ws: &Tensor| -> Vec<f32> {
        let images = generator.synthesize(ws, &Synthesis::default()).unwrap();
        images.flatten_all().unwrap().to_vec1().unwrap()
    };
    let single = [0, 1].map(|i| of(&ws.narrow(0, i, 1).unwrap()));
    assert_eq!(of(&ws), single.concat());
}

#[test]
fn images_can_be_differentiated() {
    let generator = network("r3gan-cond.safetensors");
    let start = ws(&generator).narrow(0, 0, 1).unwrap();
    let start = start.to_dtype(candle_core::DType::F64).unwrap();
    let var = Var::from_tensor(&start).unwrap();
    let sum = |ws: &Tensor| {
        let images = generator.synthesize(ws, &Synthesis::default()).unwrap();
        images.sqr().unwrap().sum_all().unwrap()
    };
    let gradients = sum(&var).backward().unwrap();
    let gradient: Vec<f64> = gradients.get(&var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let values: Vec<f64> = start.flatten_all().unwrap().to_vec1().unwrap();
    for at in [0, 9, 20] {
        let moved = |by: f64| {
            let mut values = values.clone();
            values[at] += by;
            let ws = Tensor::from_vec(values, start.dims(), &Device::Cpu).unwrap();
            sum(&ws).to_scalar::<f64>().unwrap()
        };
        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!((slope / gradient[at] - 1.0).abs() < 1e-5, "{at}: {slope} {}", gradient[at]);
    }
}

#[test]
fn damaged_networks_are_errors() {
    let damaged = |change: &dyn Fn(&mut Weights)| {
        let mut weights = weights("r3gan-cond.safetensors");
        change(&mut weights);
        R3Gan::new(Checkpoint::from(weights), &Device::Cpu).unwrap_err().to_string()
    };
    let name = "Model.MainLayers.2.Layers.1.LinearLayer2.Layer.weight";
    assert!(damaged(&|w| drop(w.arrays.remove(name))).contains("LinearLayer2"));
    let other = |w: &mut Weights| {
        let array = w.arrays["Model.EmbeddingLayer.weight"].clone();
        w.arrays.insert("Model.Other.weight".into(), array);
    };
    assert!(damaged(&other).contains("Other"));
    let basis = "Model.MainLayers.0.Layers.0.Basis";
    let flat = |w: &mut Weights| {
        let array = w.arrays["Model.EmbeddingLayer.weight"].clone();
        w.arrays.insert(basis.into(), array);
    };
    assert!(damaged(&flat).contains("Basis"));
}

#[test]
fn a_class_beyond_the_network_is_an_error() {
    let generator = network("r3gan-cond.safetensors");
    let z = Tensor::zeros((1, 16), candle_core::DType::F32, &Device::Cpu).unwrap();
    for classes in [None, Some(&[10][..]), Some(&[1, 2][..])] {
        assert!(generator.map(&z, classes, Truncation::NONE).is_err());
    }
}
