//! StyleGAN-XL against the published code, on its own snapshots and on safetensors.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::{DType, Device, Tensor};
use ganscope_golden as golden;
use ganscope_model::{Generator, Synthesis, Truncation, to_images};
use ganscope_stats::random::RandomState;
use ganscope_stylegan::{Family, Options, load, load_with};
use ganscope_weights::{Array, ReadOptions, Weights, read};
use serde_json::json;

/// float32 through some ten convolutions and filters, in another order of summation.
const F32_ACCUMULATION: f64 = 1e-4;
/// Network, its files, and its resolution.
const NETWORKS: [(&str, &[&str], usize); 5] = [
    ("xl-stem", &["pkl", "safetensors"], 16),
    ("xl-sr", &["pkl", "safetensors"], 32),
    ("xl-sr2", &["pkl", "safetensors"], 64),
    ("xl-uncond", &["safetensors"], 16),
    ("xl-r-sr4", &["safetensors"], 64),
];

/// A change of the tensors, a configuration, and a part of the error.
type Case<'a> = (&'a dyn Fn(&mut Weights), serde_json::Value, &'a str);

fn file(name: &str) -> Weights {
    read(&golden::data().join(format!("stylegan-{name}")), &ReadOptions::default()).unwrap()
}

fn open(name: &str) -> Box<dyn Generator> {
    load(file(name), &Device::Cpu).unwrap()
}

/// Seeds and classes of the rows of `count` images.
fn rows(count: usize, c_dim: usize) -> (Vec<u32>, Option<Vec<u32>>) {
    if c_dim == 0 {
        return (vec![85, 265], None);
    }
    let all = [(85, 0), (85, 3), (265, 0), (265, 3)];
    let kept = if count == 2 { vec![all[0], all[3]] } else { all.to_vec() };
    let (seeds, classes) = kept.into_iter().unzip();
    (seeds, Some(classes))
}

fn latents(seeds: &[u32], z_dim: usize) -> Tensor {
    let draw = |&seed: &u32| RandomState::new(seed).standard_normals(z_dim);
    let z: Vec<f32> = seeds.iter().flat_map(draw).map(|v| v as f32).collect();
    Tensor::from_vec(z, (seeds.len(), z_dim), &Device::Cpu).unwrap()
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// `psi0.7-cutoff4`
fn truncation(case: &str) -> Truncation {
    let (psi, cutoff) = case.split_once("-cutoff").unwrap();
    let psi = psi.strip_prefix("psi").unwrap().parse().unwrap();
    Truncation { psi, cutoff: cutoff.parse().ok() }
}

#[test]
fn styles_and_images_are_those_of_the_published_networks() {
    let expected = golden::arrays("stylegan-xl.safetensors");
    for (network, endings, resolution) in NETWORKS {
        for ending in endings {
            let generator = open(&format!("{network}.{ending}"));
            let info = generator.info();
            assert_eq!(info.img_resolution, resolution);
            assert_eq!(info.c_dim, if network == "xl-uncond" { 0 } else { 6 });
            let mut compared = 0;
            for (path, golden) in &expected {
                let Some(rest) = path.strip_prefix(&format!("{network}/psi")) else { continue };
                let (case, what) = rest.split_once('/').unwrap();
                let (seeds, classes) = rows(golden.shape[0], info.c_dim);
                let z = latents(&seeds, info.z_dim);
                let truncation = truncation(&format!("psi{case}"));
                let ws = generator.map(&z, classes.as_deref(), truncation).unwrap();
                let made = if what == "ws" {
                    ws
                } else {
                    generator.synthesize(&ws, &Synthesis::default()).unwrap()
                };
                assert_eq!(made.dims(), golden.shape, "{path}");
                let error = golden::relative_l2(&values(&made), &golden.data);
                assert!(error < F32_ACCUMULATION, "{ending} {path}: {error:e}");
                compared += 1;
            }
            assert!(compared >= 4, "{network}");
        }
    }
}

#[test]
fn bytes_are_those_of_the_published_tool() {
    let expected = golden::arrays("stylegan-xl.safetensors");
    for network in ["xl-sr", "xl-uncond"] {
        let generator = open(&format!("{network}.safetensors"));
        let info = generator.info();
        let golden = &expected[&format!("{network}/gen_images-unimodal-psi0.7/ws")];
        let (seeds, classes) = rows(golden.shape[0], info.c_dim);
        let z = latents(&seeds, info.z_dim);
        let ws = generator.map(&z, classes.as_deref(), Truncation::psi(0.7)).unwrap();
        assert!(golden::relative_l2(&values(&ws), &golden.data) < F32_ACCUMULATION);
        let images = generator.synthesize(&ws, &Synthesis::default()).unwrap();
        let made = to_images(&images, &info).unwrap().into_iter().flat_map(|i| i.pixels);
        let bytes = &expected[&format!("{network}/gen_images-unimodal-psi0.7/uint8")].data;
        // A value beside a whole number may fall to either side.
        let off = made.zip(bytes).filter(|(a, b)| f64::from(*a) != **b).count();
        assert!(off <= 4, "{network}: {off} bytes");
    }
}

#[test]
fn each_class_has_a_mean_of_its_own() {
    let generator = open("xl-sr.safetensors");
    let z = latents(&[1, 2], 16);
    let mean = |classes: [u32; 2]| {
        values(&generator.map(&z, Some(&classes), Truncation::psi(0.0)).unwrap())
    };
    let weights = file("xl-sr.safetensors");
    let table = weights.arrays["mapping.w_avg"].to_f32();
    for (made, class) in mean([4, 1]).chunks(10 * 32).zip([4, 1]) {
        assert!(made.chunks(32).all(|row| row == &table[class * 32..][..32]));
    }
}

#[test]
fn a_batch_is_its_images_one_by_one() {
    let generator = open("xl-sr2.safetensors");
    let (seeds, classes) = rows(4, 6);
    let ws = generator.map(&latents(&seeds, 16), classes.as_deref(), Truncation::NONE).unwrap();
    let of = |ws: &Tensor| values(&generator.synthesize(ws, &Synthesis::default()).unwrap());
    let alone: Vec<f32> = (0..4).flat_map(|i| of(&ws.narrow(0, i, 1).unwrap())).collect();
    assert_eq!(of(&ws), alone);
}

#[test]
fn the_table_is_what_tells_it_from_stylegan3() {
    for (network, endings, _) in NETWORKS {
        for ending in endings {
            let family = Family::of(&file(&format!("{network}.{ending}")));
            assert_eq!(family, Some(Family::StyleGanXl), "{network}.{ending}");
        }
    }
    for name in ["s3-t.safetensors", "s3-r-cond.safetensors"] {
        assert_eq!(Family::of(&file(name)), Some(Family::StyleGan3));
    }
}

#[test]
fn damaged_networks_and_wrong_configurations_are_errors() {
    let fail = |change: &dyn Fn(&mut Weights), config: serde_json::Value| {
        let mut weights = file("xl-sr.safetensors");
        change(&mut weights);
        let config = config.as_object().unwrap().clone();
        let options = Options { config, ..Options::default() };
        load_with(weights, &options, &Device::Cpu).map(drop).unwrap_err().to_string()
    };
    let array = |shape: &[usize]| {
        Array::from_f32(shape.to_vec(), &vec![1.0; shape.iter().product()]).unwrap()
    };
    let set = |name: &'static str, shape: &'static [usize]| {
        move |w: &mut Weights| drop(w.arrays.insert(name.into(), array(shape)))
    };
    let remove = |name: &'static str| move |w: &mut Weights| drop(w.arrays.remove(name));
    let none = |_: &mut Weights| {};
    let cases: [Case<'_>; 11] = [
        (&none, json!({ "c_dim": 1000 }), "`c_dim` is 1000, but the tensors are those of 6"),
        (&none, json!({ "img_resolution": 64 }), "`img_resolution` is 64"),
        (&none, json!({ "chanel_base": 64 }), "chanel_base"),
        // More classes than rows of the table.
        (&set("mapping.w_avg", &[12, 32]), json!({}), "a table of 9 classes for a network of 12"),
        (&set("mapping.w_avg", &[32]), json!({}), "expected one row per class"),
        (&set("mapping.embed.weight", &[9]), json!({}), "expected two axes"),
        (&set("synthesis.L8_32_8.extra", &[1]), json!({}), "L8_32_8.extra"),
        (&set("synthesis.L8_33_8.weight", &[8, 8, 3, 3]), json!({}), "the same number"),
        (&remove("synthesis.L6_52_13.weight"), json!({}), "takes 13 channels, but gets 23"),
        (&remove("synthesis.L7_52_8.up_filter"), json!({}), "L7_52_8.up_filter"),
        (&set("synthesis.L6_52_13.up_filter", &[12]), json!({}), "L6_52_13.up_filter"),
    ];
    for (change, config, part) in cases {
        let error = fail(change, config);
        assert!(error.contains(part), "{error}");
    }
    let generator = open("xl-sr.safetensors");
    let z = Tensor::zeros((1, 16), DType::F32, &Device::Cpu).unwrap();
    for classes in [None, Some(&[6][..]), Some(&[1, 2][..])] {
        assert!(generator.map(&z, classes, Truncation::NONE).is_err());
    }
}
