//! Features of transformers and distances on them, end to end.

use std::path::Path;

use ganscope::images::{Image, save_png};
use ganscope::weights::npy;
use ganscope_golden as golden;
use serde_json::Value;
use tempfile::TempDir;

use crate::setup::{ganscope, golden_file, images, run};

/// Float32 through a transformer; features are written in float32.
const FEATURES: f64 = 1e-5;
/// Fréchet distances of 40 and 48 rows of 48 float32 numbers.
const DISTANCE: f64 = 1e-4;

/// A folder with the golden images 60 to 63 in `photos`, and the configuration of three heads.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    std::fs::create_dir(&photos).unwrap();
    for (k, (height, width)) in
        [(224, 224), (300, 200), (33, 100), (48, 64)].into_iter().enumerate()
    {
        let image = Image { width, height, pixels: golden::image(60 + k, height, width) };
        save_png(&photos.join(format!("{k}.png")), &image).unwrap();
    }
    let heads = golden::json("dinov2-configs.json")["tiny"].to_string();
    std::fs::write(folder.path().join("heads.json"), heads).unwrap();
    folder
}

/// Features of the golden images, with some more arguments.
fn features(folder: &Path, arguments: &[&str]) -> Vec<f32> {
    let all = [&["features", "photos", "-o", "x.npy", "--no-cache"], arguments].concat();
    run(folder, &all);
    npy::read(&folder.join("x.npy")).unwrap().to_f32()
}

fn check(found: &[f32], numbers: &str, key: &str, entry: &str) {
    let numbers = golden::arrays(numbers);
    let width = found.len() / 4;
    for (k, row) in found.chunks_exact(width).enumerate() {
        let expected = &numbers[&format!("{key}/{}/{entry}", 60 + k)].data;
        let error = golden::relative_l2(row, expected);
        assert!(error < FEATURES, "{key}, image {}: {error:.2e}", 60 + k);
    }
}

#[test]
fn features_of_dinov2_agree_under_every_preset() {
    let folder = folder();
    let weights = golden_file("dinov2-tiny.pth");
    let call = ["--extractor", "dinov2", "--weights", &weights, "--config", "heads.json"];
    for preset in ["dgm-eval", "clean", "edm2", "torch-fidelity"] {
        let found = features(folder.path(), &[&call[..], &["--preset", preset]].concat());
        check(&found, "dinov2.safetensors", &format!("tiny/{preset}"), "cls");
    }
    let found = features(folder.path(), &[&call[..], &["--layer", "patch_mean"]].concat());
    check(&found, "dinov2.safetensors", "tiny/dgm-eval", "patch_mean");
}

#[test]
fn features_of_clip_agree() {
    let folder = folder();
    let archive = golden_file("clip-openai-tiny.pt");
    let call = ["--extractor", "clip", "--weights", &archive];
    check(
        &features(folder.path(), &call),
        "clip.safetensors",
        "openai-tiny/clean-fid",
        "image_embeds",
    );
    let found = features(folder.path(), &[&call[..], &["--preset", "torch-fidelity"]].concat());
    check(&found, "clip.safetensors", "openai-tiny/torch-fidelity", "image_embeds");

    let (whole, config) =
        (golden_file("clip-tiny.safetensors"), golden_file("clip-tiny-config.json"));
    let call = ["--extractor", "clip", "--weights", &whole, "--config", &config];
    let found = features(folder.path(), &[&call[..], &["--layer", "normalized"]].concat());
    check(&found, "clip.safetensors", "tiny/clip", "normalised");
}

#[test]
fn distances_on_dinov2_agree_with_dgm_eval() {
    let folder = folder();
    let weights = golden_file("dinov2-tiny.pth");
    let (fake, real) = (images("fake"), images("real"));
    let expected = golden::json("dinov2-scores.json");
    for preset in ["dgm-eval", "edm2"] {
        let arguments = [
            "score",
            fake.to_str().unwrap(),
            "--reference",
            real.to_str().unwrap(),
            "--extractor",
            "dinov2",
            "--weights",
            &weights,
            "--config",
            "heads.json",
            "--preset",
            preset,
            "--json",
            "-",
            "--no-cache",
        ];
        let report: Value = serde_json::from_str(&run(folder.path(), &arguments)).unwrap();
        let row = &report["scores"][0];
        assert_eq!(row["title"], "FD (dinov2)");
        assert_eq!(report["conditions"]["preset"], preset);
        assert_eq!(report["conditions"]["layer"], "cls, 3 heads");
        let (value, exact) = (row["value"].as_f64().unwrap(), &expected[preset]["fd_exact"]);
        let error = (value / exact.as_f64().unwrap() - 1.0).abs();
        assert!(error < DISTANCE, "{preset}: {value} instead of {exact}");
    }
}

/// What a call in `folder` that fails says.
fn failure(folder: &Path, arguments: &[&str]) -> String {
    let output = ganscope(arguments).current_dir(folder).assert().failure();
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

fn assert_says(message: &str, parts: &[&str]) {
    let words = message.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(words.contains(part), "`{part}` is not in: {words}");
    }
}

#[test]
fn conventions_of_transformers_are_not_mixed() {
    let folder = folder();
    let weights = golden_file("dinov2-tiny.pth");
    let call = ["--extractor", "dinov2", "--weights", &weights, "--no-cache", "--config"];
    let stats = [&["stats", "photos", "-o", "s.safetensors"], &call[..], &["heads.json"]].concat();
    run(folder.path(), &stats);
    let score = ["score", "photos", "--reference", "s.safetensors"];
    let other = [&score[..], &call, &["heads.json", "--preset", "edm2"]].concat();
    let error = failure(folder.path(), &other);
    assert_says(
        &error,
        &[
            "resize pillow-bicubic-bytes instead of torch-bicubic-antialias",
            "`s.safetensors` has dgm-eval",
        ],
    );
    // The number of heads is no part of the weights, but of the convention.
    std::fs::write(folder.path().join("two.json"), r#"{"num_heads": 2}"#).unwrap();
    let error = failure(folder.path(), &[&score[..], &call, &["two.json"]].concat());
    assert_says(&error, &["layer cls, 3 heads instead of cls, 2 heads"]);
}

#[test]
fn what_does_not_fit_is_refused_with_advice() {
    let folder = folder();
    let (dinov2, clip) = (golden_file("dinov2-tiny.pth"), golden_file("clip-tiny.safetensors"));
    let call = |arguments: &[&str]| {
        let start = ["features", "photos", "-o", "x.npy", "--no-cache"];
        failure(folder.path(), &[&start[..], arguments].concat())
    };
    let error = call(&["--extractor", "dinov2", "--weights", &clip]);
    assert_says(&error, &["clip-tiny.safetensors` as dinov2", "those of CLIP in transformers"]);
    let error = call(&["--extractor", "dinov2", "--weights", &dinov2]);
    assert_says(&error, &["the width of 48", "`config.json`", "--config"]);
    let error = call(&["--extractor", "clip", "--preset", "dgm-eval"]);
    assert_says(&error, &["no weights of clip are known for dgm-eval", "--weights"]);
    let error = call(&["--extractor", "dinov2", "--preset", "cmmd"]);
    assert_says(&error, &["preset of dinov2: `cmmd`", "dgm-eval, clean, edm2, torch-fidelity"]);
    let error = call(&["--config", "heads.json"]);
    assert_says(&error, &["inception has no configuration", "--config"]);
    std::fs::write(folder.path().join("empty.json"), "{}").unwrap();
    let given = ["--extractor", "dinov2", "--weights", &dinov2, "--config"];
    let error = call(&[&given[..], &["empty.json"]].concat());
    assert_says(&error, &["configuration `empty.json`", "num_attention_heads"]);
    let error = call(&[&given[..], &["missing.json"]].concat());
    assert_says(&error, &["missing.json"]);
    let error = call(&[&given[..], &["heads.json", "--layer", "pooled"]].concat());
    assert_says(&error, &["no step `pooled`", "cls"]);
}
