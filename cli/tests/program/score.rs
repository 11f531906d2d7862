//! Scores of two folders of recipe images through the recipe Inception.

use std::path::Path;

use ganscope_golden as golden;
use serde_json::Value;

use crate::setup::{ganscope, images, inception, report, scores};

/// A score end to end: float32 features through 94 convolutions, then statistics in f64.
const END_TO_END: f64 = 1e-4;
/// The same rows in the same order, whatever the batches, threads and shards.
const SAME_ROWS: f64 = 1e-9;

fn close(actual: f64, expected: f64, tolerance: f64) -> bool {
    (actual - expected).abs() <= tolerance * expected.abs()
}

fn value(scores: &[(String, f64, Option<f64>)], name: &str) -> (f64, Option<f64>) {
    let found = scores.iter().find(|(n, _, _)| n == name);
    let (_, value, std) = found.unwrap_or_else(|| panic!("no score {name} in {scores:?}"));
    (*value, *std)
}

const KID: [&str; 5] = ["--kid-subset-size", "30", "--kid-subsets", "10", "--no-cache"];

#[test]
fn scores_agree_with_torch_fidelity() {
    let expected = &golden::json("metrics.json")["end_to_end"]["torch_fidelity"];
    let expected = |name: &str| expected[name].as_f64().unwrap();
    let scores = scores(&[&["--metrics", "is,fid,kid,prc"][..], &KID].concat());
    for (name, golden) in [("is", "inception_score"), ("kid", "kernel_inception_distance")] {
        let (mean, std) = value(&scores, name);
        assert!(close(mean, expected(&format!("{golden}_mean")), END_TO_END), "{name} {mean}");
        let std = std.unwrap();
        // A spread of nearly equal numbers loses digits; it is compared on the scale of the mean.
        let error = (std - expected(&format!("{golden}_std"))).abs();
        assert!(error <= END_TO_END * mean, "{name} std {std}");
    }
    let (fid, _) = value(&scores, "fid");
    assert!(close(fid, expected("frechet_inception_distance"), END_TO_END), "fid {fid}");
    // Shares of 40 and 48 images, printed in float32.
    for name in ["precision", "recall"] {
        let (share, _) = value(&scores, &format!("prc_{name}"));
        assert!((share - expected(name)).abs() < 1e-6, "{name} {share}");
    }
}

#[test]
fn the_preset_pytorch_fid_agrees_with_pytorch_fid() {
    let expected = &golden::json("metrics.json")["end_to_end"]["pytorch_fid"]["fid_exact"];
    let scores = scores(&["--preset", "pytorch-fid", "--no-cache"]);
    let (fid, _) = value(&scores, "fid");
    assert!(close(fid, expected.as_f64().unwrap(), END_TO_END), "fid {fid}");
}

#[test]
fn batches_and_threads_change_no_score() {
    let metrics = ["--metrics", "is,fid,kid,prdc"];
    let all = scores(&[&metrics[..], &KID].concat());
    let other = scores(&[&metrics[..], &KID, &["--batch", "7", "--threads", "1"]].concat());
    for ((name, a, std_a), (_, b, std_b)) in all.iter().zip(&other) {
        assert!(close(*a, *b, SAME_ROWS) && std_a == std_b, "{name}: {a} and {b}");
    }
}

#[test]
fn statistics_of_seven_merged_shards_equal_those_of_one_pass() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (real, fake, weights) = (images("real"), images("fake"), inception());
    let (real, fake) = (real.to_str().unwrap(), fake.to_str().unwrap());
    let weights = ["--weights", weights.to_str().unwrap()];
    let cache = path("cache");
    let cache = ["--cache", cache.as_str()];
    let mut merge =
        vec!["stats".to_owned(), "merge".into(), "-o".into(), path("merged.safetensors")];
    for part in 1..=7 {
        let (shard, output) = (format!("{part}/7"), path(&format!("{part}.safetensors")));
        let arguments = ["stats", real, "-o", &output, "--shard", &shard];
        ganscope(&[&arguments[..], &weights, &cache].concat()).assert().success();
        merge.push(output);
    }
    ganscope(&merge.iter().map(String::as_str).collect::<Vec<_>>()).assert().success();
    let (whole, npz) = (path("whole.safetensors"), path("whole.npz"));
    for output in [&whole, &npz] {
        let arguments = ["stats", real, "-o", output];
        ganscope(&[&arguments[..], &weights, &cache].concat()).assert().success();
    }
    let fid = |reference: &str| {
        let arguments = ["score", fake, "-r", reference, "-m", "fid", "--json", "-"];
        let output = ganscope(&[&arguments[..], &weights, &cache].concat()).assert().success();
        let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        report["scores"][0]["value"].as_f64().unwrap()
    };
    let images = fid(real);
    for reference in [path("merged.safetensors"), whole, npz] {
        let stored = fid(&reference);
        assert!(close(stored, images, SAME_ROWS), "{reference}: {stored} and {images}");
    }
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().to_str().unwrap();
    let arguments = ["--metrics", "is,fid", "--batch", "8", "--cache", cache];
    let whole = report(&arguments);
    // Cut the rows of each set short, in the middle of a record, as a killed run leaves them.
    let stores = || std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path());
    assert_eq!(stores().count(), 2);
    for path in stores() {
        cut(&path);
    }
    assert_eq!(report(&arguments), whole);
}

fn cut(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() * 5 / 8]).unwrap();
}

#[test]
fn a_set_has_no_distance_to_itself() {
    let real = images("real");
    let weights = inception();
    let real = real.to_str().unwrap();
    let arguments = ["score", real, "-r", real, "-m", "fid", "--no-cache", "--json", "-"];
    let weights = ["--weights", weights.to_str().unwrap()];
    let output = ganscope(&[&arguments[..], &weights].concat()).assert().success();
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let fid = report["scores"][0]["value"].as_f64().unwrap();
    assert!(fid.abs() < 1e-6, "{fid}");
}

#[test]
fn the_report_tells_the_conditions() {
    let report = report(&["--metrics", "fid", "--no-cache"]);
    let conditions = &report["conditions"];
    for (key, expected) in [
        ("preset", "torch-fidelity"),
        ("extractor", "inception"),
        ("layer", "2048"),
        ("resize", "tf-bilinear"),
    ] {
        assert_eq!(conditions[key], expected, "{conditions:#}");
    }
    assert_eq!(conditions["generated"][0]["images"], 40);
    assert_eq!(conditions["reference"]["images"], 48);
    assert_eq!(conditions["weights_sha256"].as_str().unwrap().len(), 64);
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("below 2048, the number of features"), "{warnings}");
    assert!(warnings.contains("3 different sizes"), "{warnings}");
}

#[test]
fn a_metric_that_nobody_named_is_left_out_of_small_sets() {
    let report = report(&["--num", "12", "--no-cache"]);
    let names: Vec<_> = report["scores"].as_array().unwrap().iter().map(|s| &s["name"]).collect();
    assert_eq!(names, ["is", "fid"]);
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("KID skipped: KID needs at least 1000 images"), "{warnings}");
}

#[test]
fn features_are_written_for_numpy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fake.npy");
    let (fake, weights) = (images("fake"), inception());
    let arguments = ["features", fake.to_str().unwrap(), "-o", path.to_str().unwrap()];
    let options = ["--weights", weights.to_str().unwrap(), "--layer", "64", "--no-cache"];
    ganscope(&[&arguments[..], &options].concat()).assert().success();
    let array = ganscope::weights::npy::read(&path).unwrap();
    assert_eq!(array.shape(), [40, 64]);
}
