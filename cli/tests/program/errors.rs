//! What the program says when it cannot do what it was asked.

use std::fs;
use std::path::Path;

use ganscope::weights::{Array, ReadOptions, npz, read, write_safetensors};

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

#[test]
fn weights_that_are_not_finite_make_no_number_and_no_picture() {
    let folder = tempfile::tempdir().unwrap();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    for name in ["fashion-cnn", "fashion-biggan", "fashion-stylegan2"] {
        let path = models.join(format!("{name}.safetensors"));
        let mut weights = read(&path, &ReadOptions::default()).unwrap();
        // The last layer, so that no rectifier hides it.
        let last = weights.arrays.keys().rfind(|name| name.ends_with("weight")).unwrap().clone();
        let array = &weights.arrays[&last];
        let nan = vec![f32::NAN; array.shape().iter().product()];
        let nan = Array::from_f32(array.shape().to_vec(), &nan).unwrap();
        weights.arrays.insert(last, nan);
        write_safetensors(&folder.path().join(format!("{name}.safetensors")), &weights).unwrap();
    }
    let samples = models.join("samples");
    let samples = samples.to_str().unwrap();
    let cnn = ["--weights", "fashion-cnn.safetensors", "--no-cache"];
    let calls = [
        [
            &["score", samples, "-m", "is", "--is-splits", "2", "--extractor", "fashion-cnn"],
            &cnn[..],
        ]
        .concat(),
        [
            &[
                "score",
                samples,
                "-r",
                "fashion-test",
                "-m",
                "fid",
                "--extractor",
                "fashion-cnn",
                "--force",
            ],
            &cnn[..],
        ]
        .concat(),
        [&["stats", samples, "-o", "s.safetensors", "--extractor", "fashion-cnn"], &cnn[..]]
            .concat(),
        vec![
            "explain",
            "lrp",
            samples,
            "--model",
            "fashion-cnn",
            "--weights",
            "fashion-cnn.safetensors",
            "-o",
            "e",
        ],
        vec!["generate", "fashion-biggan.safetensors", "--class", "1", "--seeds", "0-3", "-o", "b"],
        vec!["generate", "fashion-stylegan2.safetensors", "--seeds", "0-3", "-o", "s"],
        vec!["interpolate", "fashion-stylegan2.safetensors", "--seeds", "0,3", "-o", "w.png"],
    ];
    for call in calls {
        let output = ganscope(&call).current_dir(folder.path()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{}: {error}", call.join(" "));
        assert!(error.contains("NaN"), "{}: {error}", call.join(" "));
        let mut written = Vec::new();
        for entry in fs::read_dir(folder.path()).unwrap().flatten() {
            let path = entry.path();
            let below = fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path());
            written.extend(below.filter(|path| path.is_file()));
            written.extend(
                [path]
                    .into_iter()
                    .filter(|path| path.is_file() && !path.to_string_lossy().contains("fashion-")),
            );
        }
        assert_eq!(written, Vec::<std::path::PathBuf>::new(), "{}", call.join(" "));
    }
}
