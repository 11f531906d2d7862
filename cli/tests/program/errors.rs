//! What the program says when it cannot do what it was asked.

use std::fs;
use std::path::Path;

use ganscope::weights::{Array, npz};

use crate::setup::{ganscope, images, inception};

/// Standard error of a failing `score` in `folder`, with the folder's own name left out.
fn failure(folder: &Path, arguments: &[&str]) -> String {
    let weights = inception();
    let fixed = ["--weights", weights.to_str().unwrap(), "--metrics", "fid", "--no-cache", "-q"];
    let mut command = ganscope(&[&["score"][..], arguments, &fixed].concat());
    let output = command.current_dir(folder).assert().failure().code(1);
    assert!(output.get_output().stdout.is_empty());
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

/// A folder with one good image and, in `bad`, a copy of it beside a file of other content.
fn folder(name: &str, content: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for set in ["good", "bad"] {
        fs::create_dir(folder.path().join(set)).unwrap();
        for i in 0..3 {
            let from = images("fake").join(format!("{i:04}.png"));
            fs::copy(from, folder.path().join(set).join(format!("{i}.png"))).unwrap();
        }
    }
    fs::write(folder.path().join("bad").join(name), content).unwrap();
    folder
}

fn png() -> Vec<u8> {
    fs::read(images("fake").join("0000.png")).unwrap()
}

#[test]
fn a_missing_folder() {
    let folder = folder("x", b"");
    insta::assert_snapshot!(failure(folder.path(), &["none", "-r", "good"]));
}

#[test]
fn an_empty_folder() {
    let folder = folder("x", b"");
    fs::create_dir(folder.path().join("empty")).unwrap();
    insta::assert_snapshot!(failure(folder.path(), &["empty", "-r", "good"]));
}

#[test]
fn a_corrupt_png() {
    let bytes = png();
    let folder = folder("7.png", &bytes[..bytes.len() / 2]);
    insta::assert_snapshot!(failure(folder.path(), &["bad", "-r", "good"]));
}

#[test]
fn an_empty_jpeg() {
    let folder = folder("7.jpg", b"");
    insta::assert_snapshot!(failure(folder.path(), &["bad", "-r", "good"]));
}

#[test]
fn a_text_file_named_png() {
    let folder = folder("7.png", b"these are not the pixels\n");
    insta::assert_snapshot!(failure(folder.path(), &["good", "-r", "bad"]));
}

#[test]
fn a_mean_of_the_wrong_size() {
    let folder = folder("x", b"");
    let mu = Array::from_f64([3], &[0.0; 3]).unwrap();
    let sigma = Array::from_f64([2, 2], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    let path = folder.path().join("stats.npz");
    npz::write(&path, [("mu", &mu), ("sigma", &sigma)]).unwrap();
    insta::assert_snapshot!(failure(folder.path(), &["good", "-r", "stats.npz"]));
}

#[test]
fn statistics_of_another_width() {
    let folder = folder("x", b"");
    let mu = Array::from_f64([2], &[0.0; 2]).unwrap();
    let sigma = Array::from_f64([2, 2], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    let path = folder.path().join("stats.npz");
    npz::write(&path, [("mu", &mu), ("sigma", &sigma)]).unwrap();
    insta::assert_snapshot!(failure(folder.path(), &["good", "-r", "stats.npz"]));
}

#[test]
fn an_output_that_cannot_be_written() {
    let folder = folder("x", b"");
    let arguments = ["good", "-r", "good", "--json", "nowhere/report.json"];
    insta::assert_snapshot!(failure(folder.path(), &arguments));
}

#[test]
fn a_distance_without_a_reference() {
    let folder = folder("x", b"");
    insta::assert_snapshot!(failure(folder.path(), &["good"]));
}

#[test]
fn an_unreadable_image_may_be_skipped_and_is_counted() {
    let folder = folder("7.png", b"these are not the pixels\n");
    let weights = inception();
    let arguments = ["score", "bad", "-r", "good", "--metrics", "fid", "--no-cache", "--json", "-"];
    let options = ["--skip-unreadable", "--weights", weights.to_str().unwrap()];
    let mut command = ganscope(&[&arguments[..], &options].concat());
    let output = command.current_dir(folder.path()).assert().success();
    let report: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let generated = &report["conditions"]["generated"][0];
    assert_eq!(generated["images"], 3);
    assert_eq!(generated["skipped"].as_array().unwrap().len(), 1);
    assert!(generated["skipped"][0].as_str().unwrap().starts_with("7.png"), "{generated:#}");
    assert!(report["warnings"].to_string().contains("1 image"), "{:#}", report["warnings"]);
}

#[test]
fn flags_that_do_not_exist_are_a_usage_error() {
    ganscope(&["score", "--nonsense"]).assert().failure().code(2);
}
