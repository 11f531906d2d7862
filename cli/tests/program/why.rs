//! `explain` on transformers, between two images, and on a network that forgets.

use std::fs;
use std::path::Path;

use ganscope::images::{Image, save_png};
use ganscope::weights::{Array, Weights, npy, write_safetensors};
use ganscope_golden as golden;
use serde_json::Value;

use crate::explain::{run, sample};
use crate::setup::ganscope;

/// Float32 forward and back.
const F32: f64 = 1e-4;
/// Shapley values sum to the difference of the answers, which is stored in text.
const SUM: f64 = 1e-6;

fn failure(folder: &Path, arguments: &[&str]) -> String {
    let output = ganscope(&[&["explain"], arguments].concat()).current_dir(folder).assert();
    String::from_utf8(output.failure().get_output().stderr.clone()).unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A small DINOv2 beside its layer of classes, its configuration, and recipe image 70.
fn transformer(folder: &Path) {
    let bound = (6.0_f64 / 48.0).sqrt();
    let mut head = Weights::default();
    for (name, shape, bound) in [("weight", vec![10, 48], bound), ("bias", vec![10], 0.1)] {
        let values = golden::tensor(&format!("head.{name}"), &shape, (-bound, bound), 0);
        head.arrays.insert(name.to_owned(), Array::from_f32(shape, &values).unwrap());
    }
    write_safetensors(&folder.join("head.safetensors"), &head).unwrap();
    fs::write(folder.join("config.json"), r#"{"num_attention_heads": 3}"#).unwrap();
    fs::copy(golden::data().join("dinov2-tiny.pth"), folder.join("tiny.pth")).unwrap();
    let pixels = golden::image(70, 224, 224);
    save_png(&folder.join("image.png"), &Image { width: 224, height: 224, pixels }).unwrap();
}

const TINY: [&str; 4] = ["--model", "dinov2", "--weights", "tiny.pth"];
const HEAD: [&str; 4] = ["--head", "head.safetensors", "--model-config", "config.json"];

#[test]
fn transformers_are_explained_with_a_layer_of_classes_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    transformer(folder);
    let methods = "gradient,attn-lrp,cp-lrp,rollout,grad-cam";
    let asked = [methods, "image.png", "--class", "3", "--heads", "max", "-o", "out", "-q"];
    let table = run(folder, &[&asked[..], &TINY, &HEAD].concat());
    let numbers = golden::arrays("vit-explain.safetensors");
    for name in ["gradient", "attn-lrp", "cp-lrp"] {
        assert!(table.lines().any(|line| line.trim_start().starts_with(name)), "{table}");
        let map = npy::read(&folder.join(format!("out/image/{name}.npy"))).unwrap();
        assert_eq!(map.shape(), [3, 224, 224]);
        let map = map.to_f32();
        let crop = (0..3 * 64 * 64).map(|i| (i / 4096, 80 + i / 64 % 64, 80 + i % 64));
        let crop: Vec<f32> = crop.map(|(c, y, x)| map[(c * 224 + y) * 224 + x]).collect();
        let key = format!("{}/crop80", name.replace('-', "_"));
        let error = golden::relative_l2(&crop, &numbers[&key].data);
        assert!(error < F32, "{name}: {error:.2e}");
    }
    let map = npy::read(&folder.join("out/image/rollout.npy")).unwrap().to_f32();
    let expected = &numbers["attention_rollout_max/cls_row"].data[1..];
    assert!(golden::relative_l2(&map, expected) < F32);
    let map = npy::read(&folder.join("out/image/grad-cam.npy")).unwrap().to_f32();
    let raw: Vec<f64> = numbers["grad_cam_norm1/raw"].data.iter().map(|v| v.max(0.0)).collect();
    assert!(golden::relative_l2(&map, &raw) < F32);

    // What is missing or does not fit is named.
    let asked = ["attn-lrp", "image.png", "-o", "out", "-q"];
    let error = failure(folder, &[&asked[..], &TINY].concat());
    assert!(error.contains("layer of classes") && error.contains("--head"), "{error}");
    let error = failure(folder, &[&asked[..], &TINY, &HEAD[..2]].concat());
    assert!(error.contains("48") && error.contains("--model-config"), "{error}");
    let asked = ["lrp", "image.png", "-o", "out", "-q"];
    let error = failure(folder, &[&asked[..], &TINY, &HEAD].concat());
    assert!(error.contains("attn-lrp"), "{error}");
    let fashion = ["attn-lrp", "image.png", "--model", "fashion-cnn", "-o", "out", "-q"];
    let error = failure(folder, &fashion);
    assert!(error.contains("transformer"), "{error}");
    let error = failure(folder, &[&fashion[..], &HEAD[..2]].concat());
    assert!(error.contains("leave") && error.contains("--head"), "{error}");
}

#[test]
fn an_image_is_compared_with_another() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let methods = "integrated-gradients,kernel-shap,shapley-sampling,gradient-shap,occlusion,rise";
    let (dress, bag) = (sample("3-dress-0.png"), sample("8-bag-0.png"));
    let options = ["--class", "dress", "--model", "fashion-cnn", "-o", "out", "-q"];
    let few = ["--coalitions", "500", "--masks", "100"];
    let asked = [methods, dress.as_str(), "--than", &bag];
    let text = run(folder, &[&asked[..], &options, &few].concat());
    assert!(text.contains("dress (3), more than 8-bag-0.png"), "{text}");
    let report = json(&folder.join("out/3-dress-0/report.json"));
    let difference = report["score"].as_f64().unwrap() - report["than"]["score"].as_f64().unwrap();
    assert!(difference > 1.0 && report["than"]["probability"].as_f64().unwrap() < 0.5);
    for map in report["maps"].as_array().unwrap() {
        let name = map["method"].as_str().unwrap();
        let noisy = ["shapley-sampling", "rise"].contains(&name);
        assert_eq!(map["noise"].is_number(), noisy, "{name}");
        let errors = folder.join(format!("out/3-dress-0/{name}-standard-error.npy"));
        assert_eq!(errors.is_file(), noisy, "{name}");
        if name.ends_with("-shap") || name == "shapley-sampling" {
            let of = |field: &str| map["additivity"][field].as_f64().unwrap();
            assert!((of("difference") - difference).abs() < 1e-3 * difference, "{name}");
            let gap = (of("sum") - of("difference")).abs();
            let allowed = if name == "gradient-shap" { 0.1 } else { SUM };
            assert!(gap < allowed * difference, "{name}: {gap}");
        }
    }
    // A gradient belongs to one image.
    let error = failure(folder, &[&["gradient", &dress, "--than", &bag][..], &options].concat());
    assert!(error.contains("gradient needs one image"), "{error}");
    let samples = Path::new(&dress).parent().unwrap().to_str().unwrap();
    let error = failure(folder, &[&["rise", &dress, "--than", samples][..], &options].concat());
    assert!(error.contains("expected one"), "{error}");
}

#[test]
fn a_map_is_followed_while_the_network_forgets() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let boot = sample("9-ankle-boot-0.png");
    let asked = ["guided-backprop,gradient", &boot, "--measure", "randomization"];
    let options = ["--model", "fashion-cnn", "-o", "out", "-q"];
    let text = run(folder, &[&asked[..], &options].concat());
    assert!(text.contains("likeness") && !text.contains("deletion"), "{text}");
    let report = json(&folder.join("out/9-ankle-boot-0/report.json"));
    let curves: Vec<Vec<f64>> = report["maps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|map| {
            let curve = map["randomization"].as_array().unwrap();
            curve.iter().map(|point| point["likeness"].as_f64().unwrap()).collect()
        })
        .collect();
    assert!(curves.iter().all(|curve| curve.len() > 3 && curve[0] == 1.0));
    let mean = |curve: &[f64]| curve[1..].iter().sum::<f64>() / (curve.len() - 1) as f64;
    assert!(mean(&curves[0]) > mean(&curves[1]), "{curves:?}");
    for name in ["guided-backprop", "gradient"] {
        let file = folder.join(format!("out/9-ankle-boot-0/{name}-randomization.png"));
        assert!(fs::metadata(file).unwrap().len() > 1000);
    }
    let error = failure(folder, &["gradient", &boot, "--measure", "road", "-o", "out"]);
    assert!(error.contains("road") && error.contains("randomization"), "{error}");
}
