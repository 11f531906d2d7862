//! What holds for every StyleGAN, and what a wrong file or argument is told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::{DType, Device, Tensor, Var};
use ganscope_golden as golden;
use ganscope_model::{Generator, NoiseMode, Synthesis, Truncation};
use ganscope_stylegan::{Error, Options, Transform, load, load_with};
use ganscope_weights::{Array, Weights};
use serde_json::{Map, Value, json};

#[path = "golden/small.rs"]
mod small;

use small::weights;

fn generator(name: &str) -> Box<dyn Generator> {
    load(weights(name), &Device::Cpu).unwrap()
}

const ALL: [&str; 7] =
    ["s1-64", "s1-128-fused", "s2-skip", "s2-resnet-cond", "s2-orig", "s3-t", "s3-r-cond"];

/// `n` varied latents.
fn latents(generator: &dyn Generator, n: usize) -> Tensor {
    let z_dim = generator.info().z_dim;
    let z = golden::tensor("z", &[n, z_dim], (-1.7, 1.7), 0);
    Tensor::from_vec(z, (n, z_dim), &Device::Cpu).unwrap()
}

fn classes(generator: &dyn Generator, n: usize) -> Option<Vec<u32>> {
    let c_dim = generator.info().c_dim as u32;
    (c_dim > 0).then(|| (0..n as u32).map(|i| i % c_dim).collect())
}

fn values(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn error(result: ganscope_stylegan::Result<Box<dyn Generator>>) -> Error {
    result.err().expect("an error")
}

#[test]
fn psi_zero_is_the_mean_image_and_psi_one_is_no_truncation() {
    for name in ALL {
        let generator = &*generator(name);
        let (z, classes) = (latents(generator, 3), classes(generator, 3));
        let map = |truncation| generator.map(&z, classes.as_deref(), truncation).unwrap();
        let mean = map(Truncation::psi(0.0));
        let rows = values(&mean);
        let w_dim = generator.info().w_dim;
        assert!(rows.chunks(w_dim).all(|row| row == &rows[..w_dim]), "{name}");
        let images = generator.synthesize(&mean, &Synthesis::default()).unwrap();
        let images = values(&images);
        let (first, others) = images.split_at(images.len() / 3);
        assert!(others.chunks(first.len()).all(|image| image == first), "{name}");
        assert_eq!(values(&map(Truncation::psi(1.0))), values(&map(Truncation::NONE)), "{name}");
    }
}

#[test]
fn psi_moves_w_along_a_line_and_the_cutoff_spares_the_rest() {
    let generator = &*generator("s2-skip");
    let z = latents(generator, 1);
    let map = |psi, cutoff| values(&generator.map(&z, None, Truncation { psi, cutoff }).unwrap());
    let (mean, full) = (map(0.0, None), map(1.0, None));
    let w_dim = generator.info().w_dim;
    for psi in [-0.7, 0.3, 1.5] {
        for cutoff in [None, Some(0), Some(3), Some(100)] {
            let rows = cutoff.map_or(usize::MAX, |cutoff| cutoff * w_dim);
            for (i, actual) in map(psi, cutoff).into_iter().enumerate() {
                let psi = if i < rows { psi } else { 1.0 };
                let expected = mean[i] + psi * (full[i] - mean[i]);
                assert!((actual - expected).abs() < 1e-6, "psi {psi}, value {i}");
            }
        }
    }
    let infinite = Truncation::psi(f64::NAN);
    assert!(generator.map(&z, None, infinite).unwrap_err().to_string().contains("NaN"));
}

#[test]
fn a_batch_of_four_is_four_batches_of_one_bit_for_bit() {
    for name in ALL {
        for noise_mode in [NoiseMode::Const, NoiseMode::Random] {
            let generator = &*generator(name);
            let (z, classes) = (latents(generator, 4), classes(generator, 4));
            let make = |range: std::ops::Range<usize>| {
                let z = z.narrow(0, range.start, range.len()).unwrap();
                let classes = classes.as_ref().map(|classes| &classes[range.clone()]);
                let ws = generator.map(&z, classes, Truncation::psi(0.7)).unwrap();
                let noise_seeds = range.map(|i| 100 + i as u32).collect();
                let options = Synthesis { noise_mode, noise_seeds, ..Synthesis::default() };
                values(&generator.synthesize(&ws, &options).unwrap())
            };
            let alone: Vec<f64> = (0..4).flat_map(|i| make(i..i + 1)).collect();
            assert_eq!(make(0..4), alone, "{name}");
        }
    }
}

#[test]
fn random_noise_follows_its_seed() {
    let generator = &*generator("s2-skip");
    let ws = generator.map(&latents(generator, 1), None, Truncation::NONE).unwrap();
    let image = |noise_mode, seed| {
        let options = Synthesis { noise_mode, noise_seeds: vec![seed], ..Synthesis::default() };
        values(&generator.synthesize(&ws, &options).unwrap())
    };
    assert_eq!(image(NoiseMode::Random, 1), image(NoiseMode::Random, 1));
    assert_ne!(image(NoiseMode::Random, 1), image(NoiseMode::Random, 2));
    assert_ne!(image(NoiseMode::Random, 1), image(NoiseMode::Const, 1));
    assert_ne!(image(NoiseMode::None, 1), image(NoiseMode::Const, 1));
}

/// The derivative of a weighted sum of pixels along a direction in W, in f64.
#[test]
fn gradients_of_images_are_those_of_central_differences() {
    // A step of 1e-6 carries a few of some 1e5 activations across the kink of the leaky ReLU.
    const CENTRAL_DIFFERENCE: f64 = 1e-5;
    for name in ["s1-64", "s2-resnet-cond", "s3-t"] {
        let generator = &*generator(name);
        let z = latents(generator, 1).to_dtype(DType::F64).unwrap();
        let ws = generator.map(&z, classes(generator, 1).as_deref(), Truncation::NONE).unwrap();
        let objective = |ws: &Tensor| {
            let image = generator.synthesize(ws, &Synthesis::default()).unwrap();
            let weights = golden::tensor("pixels", image.dims(), (-1.0, 1.0), 0);
            let weights = Tensor::from_vec(weights, image.dims(), &Device::Cpu).unwrap();
            let weights = weights.to_dtype(image.dtype()).unwrap();
            (image * weights).unwrap().sum_all().unwrap()
        };
        let direction = golden::tensor("direction", ws.dims(), (-1.0, 1.0), 0);
        let direction = Tensor::from_vec(direction, ws.dims(), &Device::Cpu).unwrap();
        let direction = direction.to_dtype(DType::F64).unwrap();
        let moved = |step: f64| {
            let ws = (&ws + (&direction * step).unwrap()).unwrap();
            objective(&ws).to_scalar::<f64>().unwrap()
        };
        let numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6;
        let along = |ws: &Tensor| {
            let ws = Var::from_tensor(ws).unwrap();
            let grads = objective(ws.as_tensor()).backward().unwrap();
            let gradient = grads.get(ws.as_tensor()).unwrap().to_dtype(DType::F64).unwrap();
            (gradient * &direction).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap()
        };
        let double = along(&ws);
        assert!(
            (double - numeric).abs() < CENTRAL_DIFFERENCE * numeric.abs(),
            "{name}: {double} {numeric}"
        );
        // The float32 kernels have the same gradient.
        let single = along(&ws.to_dtype(DType::F32).unwrap());
        assert!((single - numeric).abs() < 1e-3 * numeric.abs(), "{name}: {single} {numeric}");
    }
}

#[test]
fn stylegan3_moves_and_turns_as_the_official_network_does() {
    // Printed by the official network for psi 0.7, `--translate=0.25,-0.125 --rotate=30`: the norm
    // of both images, and colors at (row, column) of one.
    let cases = [
        (
            "s3-t",
            18.138_194_5,
            [
                (0, 16, 16, [0.195_032, 0.077_686, 0.006_197]),
                (1, 5, 20, [0.092_3, 0.153_062, 0.076_255]),
                (1, 30, 2, [0.195_577, 0.303_35, -0.053_497]),
            ],
        ),
        (
            "s3-r-cond",
            16.340_483_6,
            [
                (0, 16, 16, [0.068_989, -0.075_367, -0.375_856]),
                (1, 5, 20, [0.070_876, 0.133_826, -0.106_532]),
                (1, 30, 2, [0.172_894, 0.118_785, -0.259_282]),
            ],
        ),
    ];
    for (name, norm, pixels) in cases {
        let transform = Transform { translate: (0.25, -0.125), rotate: 30.0 };
        let options = Options { transform: Some(transform), ..Options::default() };
        let generator = load_with(weights(name), &options, &Device::Cpu).unwrap();
        let draw = |seed| ganscope_stats::random::RandomState::new(seed).standard_normals(32);
        let z: Vec<f32> = [85, 265].into_iter().flat_map(draw).map(|v| v as f32).collect();
        let z = Tensor::from_vec(z, (2, 32), &Device::Cpu).unwrap();
        let classes = (generator.info().c_dim > 0).then_some(&[3, 8][..]);
        let ws = generator.map(&z, classes, Truncation::psi(0.7)).unwrap();
        let images = generator.synthesize(&ws, &Synthesis::default()).unwrap();
        let actual = values(&images.sqr().unwrap().sum_all().unwrap())[0].sqrt();
        assert!((actual - norm).abs() < 1e-5 * norm, "{name}: {actual}");
        let images: Vec<Vec<Vec<Vec<f32>>>> = images
            .chunk(2, 0)
            .unwrap()
            .iter()
            .map(|i| i.squeeze(0).unwrap().to_vec3().unwrap())
            .collect();
        for (image, y, x, colors) in pixels {
            for (channel, expected) in colors.into_iter().enumerate() {
                let actual: f32 = images[image][channel][y][x];
                assert!((actual - expected).abs() < 5e-6, "{name} ({y}, {x}): {actual}");
            }
        }
    }
    let options = Options { transform: Some(Transform::default()), ..Options::default() };
    let refused = error(load_with(weights("s2-skip"), &options, &Device::Cpu));
    assert!(refused.to_string().contains("only StyleGAN3"), "{refused}");
}

#[test]
fn classes_are_asked_for_where_they_are_needed() {
    let conditional = &*generator("s2-resnet-cond");
    let z = latents(conditional, 2);
    let told = |classes: Option<&[u32]>| {
        conditional.map(&z, classes, Truncation::NONE).unwrap_err().to_string()
    };
    assert!(told(None).contains("class from 0 to 9"), "{}", told(None));
    assert!(told(Some(&[0, 10])).contains("class 10 is beyond the last class, 9"));
    assert!(told(Some(&[1])).contains("1 classes for 2 latents"));
    let unconditional = &*generator("s2-skip");
    let z = latents(unconditional, 1);
    let error = unconditional.map(&z, Some(&[0]), Truncation::NONE).unwrap_err().to_string();
    assert!(error.contains("unconditional"), "{error}");
}

#[test]
fn shapes_that_do_not_fit_are_an_error() {
    for name in ALL {
        let generator = &*generator(name);
        let wrong = Tensor::zeros((2, 7), DType::F32, &Device::Cpu).unwrap();
        let classes = classes(generator, 2);
        let error = generator.map(&wrong, classes.as_deref(), Truncation::NONE).unwrap_err();
        assert!(error.to_string().contains("[2, 7]"), "{error}");
        let wrong = Tensor::zeros((2, 3, 7), DType::F32, &Device::Cpu).unwrap();
        let error = generator.synthesize(&wrong, &Synthesis::default()).unwrap_err();
        assert!(error.to_string().contains("[2, 3, 7]"), "{error}");
    }
}

#[test]
fn missing_misshapen_and_left_over_tensors_are_named() {
    for (name, tensor) in [
        ("s1-64", "synthesis.layer3.style.weight"),
        ("s2-skip", "synthesis.b8.conv1.affine.bias"),
        ("s3-t", "synthesis.L2_52_32.down_filter"),
    ] {
        let mut missing = weights(name);
        missing.arrays.remove(tensor);
        let told = error(load(missing, &Device::Cpu)).to_string();
        assert!(told.contains(&format!("no tensor `{tensor}`")), "{told}");

        let mut misshapen = weights(name);
        misshapen.arrays.insert(tensor.to_owned(), Array::from_f32([2, 1], &[0.0; 2]).unwrap());
        let told = error(load(misshapen, &Device::Cpu)).to_string();
        assert!(told.contains(&format!("`{tensor}` has shape [2, 1]")), "{told}");

        let mut more = weights(name);
        more.arrays.insert("synthesis.extra".to_owned(), Array::from_f32([1], &[0.0]).unwrap());
        let told = error(load(more, &Device::Cpu)).to_string();
        assert!(told.contains("`synthesis.extra`"), "{told}");
    }
}

#[test]
fn a_file_without_configuration_says_what_it_lacks() {
    for (name, field) in
        [("s1-64", "fused_scale"), ("s2-skip", "conv_clamp"), ("s3-t", "channel_base")]
    {
        let mut bare = weights(name);
        bare.config = Map::new();
        let told = error(load(bare.clone(), &Device::Cpu));
        assert!(told.to_string().contains(field), "{told}");
        let Error::Undetermined { example, .. } = told else { panic!("{told}") };
        let example: Map<String, Value> = serde_json::from_str(example).unwrap();
        assert!(!example.is_empty());
    }
    // One argument is enough where the shapes tell the others.
    for (name, config) in
        [("s2-skip", json!({"conv_clamp": 256})), ("s1-64", json!({"fused_scale": false}))]
    {
        let Value::Object(config) = config else { unreachable!() };
        let mut bare = weights(name);
        bare.config = Map::new();
        let options = Options { config, ..Options::default() };
        let bare = load_with(bare, &options, &Device::Cpu).unwrap();
        assert_eq!(bare.info(), generator(name).info());
    }
}

#[test]
fn other_networks_are_told_apart() {
    let network = |names: &[&str]| {
        let arrays = names
            .iter()
            .map(|name| ((*name).to_owned(), Array::from_f32([1], &[0.0]).unwrap()))
            .collect();
        error(load(Weights { arrays, ..Weights::default() }, &Device::Cpu))
    };
    let discriminator = network(&["b4.fc.weight", "b4.conv.weight", "b8.conv0.weight"]);
    assert!(discriminator.to_string().contains("a discriminator"), "{discriminator}");
    let classifier = network(&["features.0.weight", "classifier.weight"]);
    assert!(classifier.to_string().contains("a classifier (`classifier.weight`)"), "{classifier}");
    let other = network(&["words.0", "words.1"]);
    assert!(other.to_string().contains("2 tensors such as `words.0`"), "{other}");
    assert!(network(&[]).to_string().contains("no tensors"));
}
