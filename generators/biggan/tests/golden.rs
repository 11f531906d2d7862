//! Images of the published port, number by number.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use ganscope_biggan::{BigGan, BnStats, Config};
use ganscope_golden as golden;
use ganscope_model::{Checkpoint, Generator, Synthesis, Truncation};

/// Relative error of float32 networks.
const F32_NETWORK: f64 = 1e-4;

/// Name, truncation and classes of the golden cases.
const CASES: [(&str, f64, &[u32]); 3] = [
    ("t0.2-classes0-seed13", 0.2, &[0]),
    ("t0.5-classes1_7-seed11", 0.5, &[1, 7]),
    ("t1.0-classes3-seed12", 1.0, &[3]),
];

fn tiny(file: &str) -> BigGan {
    BigGan::open(&golden::data().join(file), &Device::Cpu).unwrap()
}

/// The recipe checkpoint: spans by name, and power iteration vectors that belong together.
fn recipe(shapes: &str) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let mut weights = golden::weights(shapes);
    let names: Vec<String> = weights.keys().cloned().collect();
    let normalized = |v: Vec<f32>| -> Vec<f32> {
        let norm = v.iter().map(|&v| v as f64 * v as f64).sum::<f64>().sqrt();
        v.into_iter().map(|v| (v as f64 / norm) as f32).collect()
    };
    for name in names {
        if name.ends_with("gamma") {
            let gamma = golden::tensor(&name, &[1], (0.3, 0.6), 0);
            weights.insert(name, (vec![1], gamma));
        } else if let Some(layer) = name.strip_suffix(".weight_orig") {
            let (shape, w) = &weights[&name];
            let (rows, columns) = (shape[0], w.len() / shape[0]);
            let u_name = format!("{layer}.weight_u");
            let u = normalized(golden::tensor(&u_name, &[rows], (0.5, 1.0), 0));
            let mut v = vec![0.0f64; columns];
            for (row, &u) in w.chunks_exact(columns).zip(&u) {
                v.iter_mut().zip(row).for_each(|(v, &w)| *v += u as f64 * w as f64);
            }
            let v = normalized(v.into_iter().map(|v| v as f32).collect());
            weights.insert(u_name, (vec![rows], u));
            weights.insert(format!("{layer}.weight_v"), (vec![columns], v));
        }
    }
    weights
}

fn image(generator: &BigGan, z: &golden::Array, classes: &[u32], truncation: f64) -> Tensor {
    let rows = classes.len();
    let z = Tensor::from_vec(z.f32(), (z.shape[0], z.shape[1]), &Device::Cpu).unwrap();
    let ws =
        generator.map(&z.narrow(0, 0, rows).unwrap(), Some(classes), Truncation::NONE).unwrap();
    let options = Synthesis { threshold: truncation, ..Synthesis::default() };
    generator.synthesize(&ws, &options).unwrap()
}

fn values(image: &Tensor) -> Vec<f32> {
    image.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn tiny_images_of_both_containers_are_those_of_the_published_port() {
    let golden = golden::arrays("biggan.safetensors");
    for file in ["biggan-tiny.bin", "biggan-tiny-legacy.bin"] {
        let generator = tiny(file);
        for (case, truncation, classes) in CASES {
            let image = image(&generator, &golden[&format!("tiny/{case}/z")], classes, truncation);
            let expected = &golden[&format!("tiny/{case}/image")];
            assert_eq!(image.dims(), expected.shape);
            let error = golden::relative_l2(&values(&image), &expected.data);
            println!("{file} {case}: {error:.1e}");
            assert!(error <= F32_NETWORK, "{file} {case}: {error:.1e}");
        }
    }
}

#[test]
fn images_of_the_published_size_are_those_of_the_published_port() {
    let golden = golden::arrays("biggan.safetensors");
    let checkpoint = Checkpoint::from_f32(recipe("biggan-deep-128-weights.json")).unwrap();
    // No configuration in the file: the shapes are those of a published one.
    let config = Config::of_checkpoint(&checkpoint).unwrap();
    assert_eq!(config, Config::published(128).unwrap());
    let generator = BigGan::from_checkpoint(checkpoint, &Device::Cpu).unwrap();
    for (case, truncation, classes) in CASES {
        let z = &golden[&format!("deep-128/{case}/z")];
        let image = image(&generator, z, &classes[..1], truncation);
        let expected = &golden[&format!("deep-128/{case}/image")];
        let error = golden::relative_l2(&values(&image), &expected.data);
        println!("deep-128 {case}: {error:.1e}");
        assert!(error <= F32_NETWORK, "{case}: {error:.1e}");
    }
}

#[test]
fn the_recipe_gives_the_weights_of_the_tiny_checkpoint() {
    let made = recipe("biggan-tiny-weights.json");
    let path = golden::data().join("biggan-tiny.bin");
    let read = ganscope_weights::read(&path, &ganscope_weights::ReadOptions::default()).unwrap();
    let mut read = Checkpoint::from(read);
    for (name, (shape, made)) in made {
        let read = read.take(&name, &shape).unwrap();
        // Exact but for the sums behind `weight_v`.
        let difference = made.iter().zip(&read).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 1e-6, "{name}: {difference}");
    }
    read.finish().unwrap();
}

#[test]
fn a_batch_gives_each_image_bit_for_bit() {
    let golden = golden::arrays("biggan.safetensors");
    let z = &golden["tiny/t0.5-classes1_7-seed11/z"];
    let rows: Vec<f32> = z.f32().repeat(2);
    let rows = golden::Array { shape: vec![4, 16], data: rows.iter().map(|&v| v as f64).collect() };
    let generator = tiny("biggan-tiny.bin");
    let batch = image(&generator, &rows, &[1, 7, 2, 9], 0.5);
    for (i, class) in [1, 7, 2, 9].into_iter().enumerate() {
        let alone =
            golden::Array { shape: vec![1, 16], data: rows.data[i * 16..(i + 1) * 16].to_vec() };
        let alone = image(&generator, &alone, &[class], 0.5);
        assert_eq!(values(&alone), values(&batch.narrow(0, i, 1).unwrap()), "image {i}");
    }
}

#[test]
fn psi_0_is_the_mean_image_and_psi_1_no_truncation() {
    let generator = tiny("biggan-tiny.bin");
    let z = |value: f32| Tensor::full(value, (1, 16), &Device::Cpu).unwrap();
    let map = |value, psi| {
        let ws = generator.map(&z(value), Some(&[3]), Truncation::psi(psi)).unwrap();
        ws.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(map(0.7, 0.0), map(-1.3, 0.0));
    let none = generator.map(&z(0.7), Some(&[3]), Truncation::NONE).unwrap();
    assert_eq!(map(0.7, 1.0), values(&none));
    let mean = |value, psi| {
        let ws = generator.map(&z(value), Some(&[3]), Truncation::psi(psi)).unwrap();
        let options = Synthesis { threshold: psi, ..Synthesis::default() };
        values(&generator.synthesize(&ws, &options).unwrap())
    };
    assert_eq!(mean(0.7, 0.0), mean(-1.3, 0.0));
    assert_ne!(mean(0.7, 1.0), mean(-1.3, 1.0));
    assert_eq!(map(0.7, 0.5), map(0.35, 1.0));
    let cut = Truncation { psi: 0.0, cutoff: Some(2) };
    let ws = generator.map(&z(0.7), Some(&[3]), cut).unwrap();
    let first = |row: usize| ws.narrow(1, row, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>();
    assert_eq!(first(1).unwrap()[0], 0.0);
    assert_eq!(first(2).unwrap()[0], 0.7);
}

#[test]
fn the_two_interpolations_of_statistics_agree_on_the_grid_alone() {
    let golden = golden::arrays("biggan.safetensors");
    let z = &golden["tiny/t1.0-classes3-seed12/z"];
    let at = |stats, truncation| {
        values(&image(&tiny("biggan-tiny.bin").with_bn_stats(stats), z, &[3], truncation))
    };
    assert_eq!(at(BnStats::Linear, 0.5), at(BnStats::Hf, 0.5));
    assert_eq!(at(BnStats::Linear, 0.51), at(BnStats::Hf, 0.51), "half way the weights are equal");
    assert_ne!(at(BnStats::Linear, 0.505), at(BnStats::Hf, 0.505));
    // The published port takes the statistics of 0.16 at 0.14.
    assert_eq!(at(BnStats::Hf, 0.14), at(BnStats::Linear, 0.16));
}

#[test]
fn wrong_requests_are_errors_with_the_facts() {
    let generator = tiny("biggan-tiny.bin");
    let z = Tensor::zeros((2, 16), candle_core::DType::F32, &Device::Cpu).unwrap();
    let map = |classes: Option<&[u32]>| {
        generator.map(&z, classes, Truncation::NONE).unwrap_err().to_string()
    };
    assert_eq!(map(None), "the generator has 10 classes and needs one");
    assert_eq!(map(Some(&[0, 10])), "class 10 is beyond the classes 0 to 9");
    assert_eq!(map(Some(&[0])), "1 classes for 2 latents");
    let long = Tensor::zeros((1, 17), candle_core::DType::F32, &Device::Cpu).unwrap();
    let error = generator.map(&long, Some(&[0]), Truncation::NONE).unwrap_err().to_string();
    assert_eq!(error, "z of length 17, expected 16");
    let ws = generator.map(&z, Some(&[0, 1]), Truncation::NONE).unwrap();
    for threshold in [-0.1, 1.01, f64::NAN] {
        let options = Synthesis { threshold, ..Synthesis::default() };
        let error = generator.synthesize(&ws, &options).unwrap_err().to_string();
        assert!(error.contains("expected between 0 and 1"), "{error}");
    }
    let error = generator.synthesize(&ws.narrow(1, 0, 3).unwrap(), &Synthesis::default());
    assert_eq!(error.unwrap_err().to_string(), "ws of (3, 32) for each image, expected (9, 32)");
}

#[test]
fn a_wrong_file_is_an_error_that_says_what_is_missing() {
    let open = |checkpoint: Checkpoint| {
        BigGan::from_checkpoint(checkpoint, &Device::Cpu).unwrap_err().to_string()
    };
    let classifier =
        Checkpoint::from_f32(golden::weights("classifier-small-weights.json")).unwrap();
    assert!(open(classifier).contains("is not BigGAN-deep 128, 256 or 512"));
    let config = Config::published(128).unwrap();
    let mut leftover = recipe("biggan-tiny-weights.json");
    leftover.insert("discriminator.bias".into(), (vec![1], vec![0.0]));
    let tiny = Config::from_json(&golden::json("biggan-tiny-config.json").to_string()).unwrap();
    let fail = |config: Config, tensors: BTreeMap<_, _>| {
        let checkpoint = Checkpoint::from_f32(tensors).unwrap();
        BigGan::new(config, checkpoint, &Device::Cpu).unwrap_err().to_string()
    };
    let error = fail(config, recipe("biggan-tiny-weights.json"));
    assert!(
        error.contains("`embeddings.weight` has shape [16, 10], expected [128, 1000]"),
        "{error}"
    );
    let error = fail(tiny, leftover);
    assert!(error.contains("`discriminator.bias`"), "{error}");
}
