//! Scores of each class.

use std::fs;
use std::path::{Path, PathBuf};

use ganscope::weights::{Array, npz};
use serde_json::Value;
use tempfile::TempDir;

use crate::setup::{ganscope, picture, run};

const FASHION: [&str; 3] = ["--extractor", "fashion-cnn", "--no-cache"];
/// The same rows in the same order.
const SAME_ROWS: f64 = 1e-9;

/// The shipped samples: ten classes, four images of each, in the order of their names.
fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("models/samples");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

/// The digit that the name of a sample begins with.
fn class(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap()[..1].to_owned()
}

/// Copies samples into `folder/CLASS/`.
fn sort_into(folder: &Path, files: &[PathBuf]) {
    for file in files {
        let class = folder.join(class(file));
        fs::create_dir_all(&class).unwrap();
        fs::copy(file, class.join(file.file_name().unwrap())).unwrap();
    }
}

/// A folder with the first four classes in `a` and classes one to five in `b`, in another order of
/// images within.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files = samples();
    sort_into(&folder.path().join("a"), &files[..16]);
    sort_into(&folder.path().join("b"), &files[4..24]);
    // Another image in two classes, so that the sets differ.
    for (from, to) in [(30, "b/1/x.png"), (35, "b/2/y.png")] {
        fs::copy(&files[from], folder.path().join(to)).unwrap();
    }
    folder
}

fn report(folder: &Path, arguments: &[&str]) -> Value {
    let all = [&["score"], arguments, &["--json", "-"], &FASHION[..]].concat();
    serde_json::from_str(&run(folder, &all)).unwrap()
}

fn of_class<'v>(report: &'v Value, class: &str) -> &'v Value {
    let classes = report["classes"].as_array().unwrap();
    classes.iter().find(|of| of["class"] == class).unwrap()
}

const METRICS: [&str; 4] = ["-m", "fid,prdc,vendi", "--nearest-k", "2"];

#[test]
fn a_class_has_the_scores_of_its_folder_alone() {
    let folder = folder();
    let call = [&["a", "-r", "b", "--by-class"], &METRICS[..]].concat();
    let found = report(folder.path(), &call);
    let classes: Vec<&str> = found["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["class"].as_str().unwrap())
        .collect();
    assert_eq!(classes, ["0", "1", "2", "3", "4", "5"]);
    for class in ["1", "2", "3"] {
        let (a, b) = (format!("a/{class}"), format!("b/{class}"));
        let alone = report(folder.path(), &[&[a.as_str(), "-r", &b], &METRICS[..]].concat());
        let of = of_class(&found, class);
        let (scores, expected) = (of["scores"].as_array().unwrap(), &alone["scores"]);
        assert_eq!(scores.len(), expected.as_array().unwrap().len());
        for (score, expected) in scores.iter().zip(expected.as_array().unwrap()) {
            assert_eq!(score["name"], expected["name"]);
            for number in ["value", "standard_error"] {
                let (found, expected) = (score[number].as_f64(), expected[number].as_f64());
                let close = match (found, expected) {
                    (Some(a), Some(b)) => (a - b).abs() <= SAME_ROWS * b.abs(),
                    (a, b) => a == b,
                };
                assert!(close, "{number} of {class}: {found:?} {expected:?} {score}");
            }
        }
        assert_eq!(of["missing"], serde_json::json!([]));
    }
}

#[test]
fn labels_of_arrays_and_of_files_are_the_same_classes() {
    let folder = folder();
    let files = &samples()[..16];
    // The same images in an array with labels, and in a folder with a file of labels.
    let pixels: Vec<u8> = files.iter().flat_map(|file| picture(file).pixels).collect();
    let side = picture(&files[0]).width;
    let labels: Vec<i64> = files.iter().map(|file| class(file).parse().unwrap()).collect();
    let arrays = [
        ("arr_0", Array::from_u8([16, side, side, 3], pixels).unwrap()),
        ("arr_1", Array::from_i64([16], &labels).unwrap()),
    ];
    let named = arrays.iter().map(|(name, array)| (*name, array));
    npz::write(&folder.path().join("a.npz"), named).unwrap();
    let flat = folder.path().join("flat");
    fs::create_dir(&flat).unwrap();
    let entries: Vec<Value> = files
        .iter()
        .zip(&labels)
        .map(|(file, label)| {
            let name = file.file_name().unwrap().to_str().unwrap();
            fs::copy(file, flat.join(name)).unwrap();
            serde_json::json!([name, label])
        })
        .collect();
    let json = serde_json::json!({ "labels": entries }).to_string();
    fs::write(flat.join("dataset.json"), json).unwrap();
    let scores = |set: &str| {
        let found = report(folder.path(), &[set, "-r", "b", "--by-class", "-m", "fid"]);
        let value = |class: &str| of_class(&found, class)["scores"][0]["value"].as_f64().unwrap();
        ["1", "2", "3"].map(value)
    };
    let expected = scores("a");
    for set in ["a.npz", "flat"] {
        for (found, expected) in scores(set).into_iter().zip(expected) {
            assert!((found - expected).abs() <= SAME_ROWS * expected, "{set}: {found} {expected}");
        }
    }
}

#[test]
fn small_and_missing_classes_have_dashes_with_reasons() {
    let folder = folder();
    // One image of class 3, and a class that both have too few images of for neighbors.
    for file in fs::read_dir(folder.path().join("a/3")).unwrap().skip(1) {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let call = ["score", "a", "-r", "b", "--by-class", "-m", "fid,kid,prdc,is", "--is-splits", "2"];
    let call = [&call[..], &["--kid-subset-size", "3", "--nearest-k", "3"], &FASHION].concat();
    let output = ganscope(&call).current_dir(folder.path()).assert().success();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (table, notes) = (text(&output.get_output().stdout), text(&output.get_output().stderr));
    assert!(table.contains("class") && !table.contains("NaN") && !table.contains("inf"), "{table}");
    let line = |class: &str| {
        let of = |line: &&str| line.split_whitespace().take(2).collect::<Vec<_>>() == ["a", class];
        table.lines().find(of).unwrap()
    };
    // Generated images only: the Inception Score alone.
    assert_eq!(line("0").matches('–').count(), 6, "{table}");
    // Of one image nothing is left.
    assert_eq!(line("3").matches('–').count(), 7, "{table}");
    assert_eq!(line("5").matches('–').count(), 7, "{table}");
    assert_eq!(line("1").matches('–').count(), 0, "{table}");
    for part in ["– fid: no images in `a`", "– fid: no images in `b`", "– is: no images in `a`"]
    {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    assert!(notes.contains("– fid: ") && notes.contains("at least 2"), "{notes}");

    let found = report(folder.path(), &["a", "-r", "b", "--by-class", "-m", "fid"]);
    let three = of_class(&found, "3");
    assert_eq!((three["images"].as_u64(), three["reference_images"].as_u64()), (Some(1), Some(4)));
    assert_eq!(three["scores"], serde_json::json!([]));
}

#[test]
fn sets_without_common_classes_or_without_images_are_refused() {
    let folder = folder();
    fs::rename(folder.path().join("b"), folder.path().join("c")).unwrap();
    for class in ["1", "2", "3"] {
        fs::remove_dir_all(folder.path().join("c").join(class)).unwrap();
    }
    for (reference, part) in [
        ("c", "no class is in both sets: 0, 1, 2, 3 in `a`, 4, 5 in `c`"),
        ("fashion-test", "`fashion-test` contains statistics and no images"),
    ] {
        let call = ["score", "a", "-r", reference, "--by-class", "-m", "fid"];
        let call = [&call[..], &FASHION].concat();
        let output = ganscope(&call).current_dir(folder.path()).assert().failure().code(1);
        let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        let error = error.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(error.contains(part), "{error}");
    }
}
