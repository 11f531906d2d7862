//! What people trip over when they score sets.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::setup::{ganscope, run};

/// A folder with 24 pictures of the shipped generator in `a`, and statistics of them.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let request = ganscope::latents::DrawingRequest {
        class: Some("each".into()),
        batch: 24,
        ..ganscope::latents::DrawingRequest::of("fashion-biggan")
    };
    let drawing = ganscope::latents::Drawing::open(&request, &mut ()).unwrap();
    fs::create_dir(folder.path().join("a")).unwrap();
    for (i, picture) in drawing.pictures(0..24).flat_map(Result::unwrap).enumerate() {
        let path = folder.path().join("a").join(format!("{i:02}.png"));
        ganscope::images::save_png(&path, &picture).unwrap();
    }
    folder
}

const FASHION: [&str; 3] = ["--extractor", "fashion-cnn", "--no-cache"];

/// Standard output and standard error of a call that succeeds.
fn both(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = ganscope(arguments).current_dir(folder).assert().success();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.get_output().stdout), text(&output.get_output().stderr))
}

/// Standard error of a call that fails.
fn failure(folder: &Path, arguments: &[&str]) -> String {
    let output = ganscope(arguments).current_dir(folder).assert().failure().code(1);
    assert!(output.get_output().stdout.is_empty());
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let text = run(folder, &[&["score"], arguments, &["--json", "-"], &FASHION[..]].concat());
    serde_json::from_str(&text).unwrap()
}

fn stats(folder: &Path, output: &str, options: &[&str]) {
    run(folder, &[&["stats", "a", "-o", output], options, &FASHION[..]].concat());
}

#[test]
fn default_metrics_that_statistics_cannot_give_are_skipped_with_a_hint() {
    let folder = folder();
    stats(folder.path(), "a.npz", &[]);
    let arguments = ["score", "a", "-r", "a.npz", "--is-splits", "2"];
    let (table, notes) = both(folder.path(), &[&arguments[..], &FASHION].concat());
    assert!(table.contains("IS (fashion-cnn)") && table.contains("FD (fashion-cnn)"), "{table}");
    assert!(!table.contains("KD"), "{table}");
    assert!(notes.contains("KID skipped") && notes.contains("`ganscope stats --rows`"), "{notes}");
    // Asked for by name it is an error, before any image is read.
    let arguments = ["score", "a", "-r", "a.npz", "-m", "kid"];
    let error = failure(folder.path(), &[&arguments[..], &FASHION].concat());
    assert!(error.contains("KID needs") && error.contains("hint:"), "{error}");
}

#[test]
fn no_two_scores_share_a_name() {
    let folder = folder();
    let report = json(folder.path(), &["a", "-r", "a", "-m", "prdc,prc"]);
    let rows = report["scores"].as_array().unwrap();
    for key in ["name", "title"] {
        let mut names: Vec<String> = rows.iter().map(|row| row[key].to_string()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 7, "{names:?}");
    }
    let nearest = &report["conditions"]["nearest_k"];
    assert_eq!((&nearest["prdc"], &nearest["prc"]), (&5.into(), &3.into()));
}

#[test]
fn conventions_are_never_mixed_in_silence() {
    let folder = folder();
    let clean = ["--preset", "clean-fid"];
    stats(folder.path(), "tf.npz", &[]);
    let base = [&["score", "a", "-r", "tf.npz", "-m", "fid"], &clean[..], &FASHION].concat();
    let error = failure(folder.path(), &base);
    assert!(error.contains("resize tf-bilinear instead of pillow-bicubic"), "{error}");
    assert!(error.contains("`--force`") && error.contains("torch-fidelity"), "{error}");
    let forced =
        json(folder.path(), &[&["a", "-r", "tf.npz", "-m", "fid", "--force"], &clean[..]].concat());
    assert!(forced["warnings"].to_string().contains("different conventions"), "{forced:#}");
    let conditions = &forced["conditions"];
    assert_eq!(conditions["forced"], true);
    assert_eq!(conditions["resize"], "pillow-bicubic");
    assert_eq!(conditions["reference"]["convention"]["resize"], "tf-bilinear");
    // Statistics of another tool do not tell.
    let arrays = ganscope::weights::npz::read(&folder.path().join("tf.npz")).unwrap();
    let foreign = ["mu", "sigma"].map(|name| (name, &arrays[name]));
    ganscope::weights::npz::write(&folder.path().join("foreign.npz"), foreign).unwrap();
    let report = json(folder.path(), &["a", "-r", "foreign.npz", "-m", "fid"]);
    assert!(report["warnings"].to_string().contains("does not tell"), "{report:#}");
    assert_eq!(report["conditions"]["reference"]["convention"], Value::Null);
}

#[test]
fn advice_names_the_option_that_helps() {
    let folder = folder();
    let path = folder.path();
    let score = |arguments: &[&str]| failure(path, &[&["score"], arguments, &FASHION[..]].concat());
    for (arguments, expected) in [
        (&["a", "-r", "a", "--num", "0"][..], "`num` is 0, expected at least 1"),
        (&["a", "-r", "a", "--num", "1"], "suffice for none of the metrics"),
        (&["a", "-m", "is", "--is-splits", "30"], "`--is-splits N`"),
        (&["a", "-r", "a", "-m", "kid"], "`--kid-subset-size N`"),
        (&["a", "-r", "a", "-m", "sfid"], "fashion-cnn does not compute"),
        (&["a", "-r", "fashion-cnn"], "is a shipped network, not a set"),
        (&["a/00.png", "a/01.png", "-r", "a"], "is one image, not a set"),
        (&["a", "-r", "a", "-m", "fidd"], "did you mean `fid`?"),
        (&["a", "-r", "a", "--device", "cuda"], "feature `cuda`"),
    ] {
        let error = score(arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    fs::create_dir(path.join("nested")).unwrap();
    fs::rename(path.join("a"), path.join("nested/a")).unwrap();
    let error = score(&["nested", "-r", "nested"]);
    assert!(error.contains("`--recursive`"), "{error}");
}

#[test]
fn names_of_metrics_are_found_whatever_their_case() {
    let report = json(folder().path(), &["a", "-r", "a", "-m", "FID"]);
    assert_eq!(report["scores"][0]["name"], "fid");
}

#[test]
fn the_same_warning_is_printed_once() {
    let folder = folder();
    let arguments = ["score", "a", "-r", "a", "-m", "fid"];
    let (_, notes) = both(folder.path(), &[&arguments[..], &FASHION].concat());
    assert_eq!(notes.matches("biased upwards").count(), 1, "{notes}");
    assert!(notes.contains("contain the same images"), "{notes}");
}

#[test]
fn what_a_folder_contains_beside_its_images_is_told() {
    let folder = folder();
    fs::create_dir(folder.path().join("a/more")).unwrap();
    fs::write(folder.path().join("a/x.avif"), b"x").unwrap();
    let arguments = ["score", "a", "-r", "a", "-m", "fid"];
    let (_, notes) = both(folder.path(), &[&arguments[..], &FASHION].concat());
    assert!(notes.contains("not part of the set: more/, x.avif"), "{notes}");
}

#[test]
fn gray_of_sixteen_bits_is_warned_about() {
    let folder = folder();
    // PNG, 1 x 1, 16 bits, gray: Pillow's conversion clips it.
    let (value, mut png) = ([0x71u8, 0x35], Vec::new());
    let mut encoder = png::Encoder::new(&mut png, 1, 1);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Sixteen);
    encoder.write_header().unwrap().write_image_data(&value).unwrap();
    fs::write(folder.path().join("a/deep.png"), png).unwrap();
    let report = json(folder.path(), &["a", "-r", "fashion-test", "-m", "fid"]);
    assert!(report["warnings"].to_string().contains("1 image of 16-bit gray"), "{report:#}");
}

#[test]
fn a_set_on_both_sides_is_read_from_the_cache() {
    let folder = folder();
    let arguments = ["score", "a", "-r", "a", "-m", "is,fid,prdc", "--is-splits", "2"];
    let options = ["--extractor", "fashion-cnn", "--cache", "cache"];
    let call = [&arguments[..], &options].concat();
    both(folder.path(), &call);
    let (_, notes) = both(folder.path(), &call);
    assert_eq!(notes.matches("from the cache").count(), 1, "{notes}");
    // The reference is the same store, not a second one that is filled anew.
    assert_eq!(fs::read_dir(folder.path().join("cache")).unwrap().count(), 1);
}

#[test]
fn two_files_of_statistics_need_no_network() {
    let folder = folder();
    stats(folder.path(), "a.npz", &[]);
    let arrays = ganscope::weights::npz::read(&folder.path().join("a.npz")).unwrap();
    for name in ["x.npz", "y.npz"] {
        let foreign = ["mu", "sigma"].map(|name| (name, &arrays[name]));
        ganscope::weights::npz::write(&folder.path().join(name), foreign).unwrap();
    }
    let mut command = ganscope(&["score", "x.npz", "-r", "y.npz", "-m", "fid", "--json", "-"]);
    let offline = command.current_dir(folder.path()).env("HF_HUB_OFFLINE", "1");
    let output = offline.env("GANSCOPE_CACHE", folder.path().join("none")).assert().success();
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let value = report["scores"][0]["value"].as_f64().unwrap();
    assert!(value.abs() < 1e-6, "{value}");
}

#[test]
fn a_failed_download_says_where_a_copy_is_looked_for() {
    let folder = folder();
    let mut command = ganscope(&["score", "a", "-r", "a", "-m", "fid", "--no-cache"]);
    let offline = command.current_dir(folder.path()).env("HF_HUB_OFFLINE", "1");
    let offline = offline.env("HF_HOME", folder.path()).env("GANSCOPE_CACHE", folder.path());
    let output = offline.assert().failure();
    let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    let place = folder.path().join("weights/inception-fid");
    assert!(error.contains(&format!("save it as `{}`", place.display())), "{error}");
    assert!(error.contains("`--weights FILE`"), "{error}");
}

#[test]
fn a_generator_that_cannot_be_downloaded_may_be_given_as_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let walk = ["interpolate", "stylegan2-ada-ffhq", "--seeds", "1,2", "-o", "x.png"];
    let mut command = ganscope(&walk);
    let offline = command.current_dir(folder.path()).env("HF_HUB_OFFLINE", "1");
    let offline = offline.env("HF_HOME", folder.path()).env("GANSCOPE_CACHE", folder.path());
    let output = offline.assert().failure();
    let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(error.contains("HF_HUB_OFFLINE") && error.contains("`MODEL`"), "{error}");
    // That is the network of the distance.
    assert!(!error.contains("--weights") && !error.contains("downloading"), "{error}");
}

#[test]
fn rows_are_written_under_an_honest_name_with_the_names_of_their_images() {
    let folder = folder();
    let features = ["features", "a", "--names", "n.txt", "-o"];
    let call = |output| [&features[..], &[output], &FASHION[..]].concat();
    let error = failure(folder.path(), &call("x.txt"));
    assert!(error.contains("does not end in .npy"), "{error}");
    run(folder.path(), &call("x.npy"));
    let names = fs::read_to_string(folder.path().join("n.txt")).unwrap();
    assert_eq!(names.lines().nth(1), Some("01.png"));
    assert_eq!(names.lines().count(), 24);
    let error = failure(folder.path(), &["convert", "x.npy", "-o", "x.pth"]);
    assert!(error.contains("does not end in .safetensors"), "{error}");
}

#[test]
fn merging_tells_what_is_wrong_with_a_part() {
    let folder = folder();
    stats(folder.path(), "a.safetensors", &[]);
    let merge = |part| ["stats", "merge", "-o", "m.safetensors", part, "a.safetensors"];
    let (_, notes) = both(folder.path(), &merge("a.safetensors"));
    assert!(notes.contains("merged more than once"), "{notes}");
    stats(folder.path(), "a.npz", &[]);
    let arrays = ganscope::weights::npz::read(&folder.path().join("a.npz")).unwrap();
    let foreign = ["mu", "sigma"].map(|name| (name, &arrays[name]));
    ganscope::weights::npz::write(&folder.path().join("f.npz"), foreign).unwrap();
    let error = failure(folder.path(), &merge("f.npz"));
    assert!(error.contains("f.npz") && error.contains("number of its images"), "{error}");
}

#[test]
fn the_list_fits_eighty_columns_and_is_clean_json() {
    let folder = tempfile::tempdir().unwrap();
    let text = run(folder.path(), &["list"]);
    for line in text.lines() {
        assert!(line.chars().count() <= 80 && !line.ends_with(' '), "{line}");
    }
    let report: Value = serde_json::from_str(&run(folder.path(), &["list", "--json"])).unwrap();
    for (kind, entries) in report.as_object().unwrap() {
        assert!(!kind.contains(' '), "{kind}");
        assert!(entries.as_array().unwrap().iter().all(|entry| entry["name"].is_string()));
    }
    let weights = report["weights"].as_array().unwrap();
    let inception = weights.iter().find(|entry| entry["name"] == "inception-fid").unwrap();
    for key in ["address", "sha256", "license", "state"] {
        assert!(inception[key].is_string(), "{key}: {inception:#}");
    }
    let one = run(folder.path(), &["list", "inception-fid"]);
    assert!(one.contains("address") && one.contains("sha256"), "{one}");
    let error = failure(folder.path(), &["list", "fashion-bigan"]);
    assert!(error.contains("did you mean `fashion-biggan`?"), "{error}");
}

#[test]
fn the_short_help_begins_with_what_everyone_needs() {
    let help = run(tempfile::tempdir().unwrap().path(), &["generate", "-h"]);
    let (_, help) = help.split_once("Arguments:").unwrap();
    let place = |name: &str| help.find(name).unwrap_or_else(|| panic!("{name}: {help}"));
    let order = ["<MODEL>", "--seeds", "--class", "--outdir", "--trunc", "--noise-mode"].map(place);
    assert!(order.is_sorted(), "{help}");
    for rare in ["--prior", "--bn-stats", "--trunc-centers"] {
        assert!(!help.contains(rare), "{help}");
    }
}

#[test]
fn shells_complete_and_man_pages_are_written() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), &["completions", "bash"]).contains("ganscope"));
    run(folder.path(), &["man", "man"]);
    assert!(folder.path().join("man/ganscope-score.1").is_file());
}
