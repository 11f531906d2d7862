//! One pair of sets under the conventions of all tools.

use std::path::Path;

use ganscope_golden as golden;
use serde_json::Value;
use tempfile::TempDir;

use crate::setup::{ganscope, golden_file, images, inception};

/// A score end to end: float32 features through 94 convolutions, then statistics in f64.
const END_TO_END: f64 = 1e-4;

/// The program without weights or features of earlier runs.
fn bare(arguments: &[&str]) -> (TempDir, assert_cmd::Command) {
    let home = tempfile::tempdir().unwrap();
    let mut command = ganscope(arguments);
    command.env("GANSCOPE_CACHE", home.path()).env("HF_HOME", home.path());
    command.env("HF_HUB_OFFLINE", "1");
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    (home, command)
}

/// Standard output and standard error of a call that succeeds.
fn both(arguments: &[&str]) -> (String, String) {
    let (_home, mut command) = bare(arguments);
    let output = command.assert().success();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.get_output().stdout), text(&output.get_output().stderr))
}

/// The comparison of the golden photographs through the recipe Inception.
fn golden_comparison() -> Value {
    let (fake, real, weights) = (images("fake"), images("real"), inception());
    let mut all = vec!["compare-presets", fake.to_str().unwrap(), "-r", real.to_str().unwrap()];
    all.extend(["--weights", weights.to_str().unwrap(), "--json", "-", "-m", "is,fid,kid,prc"]);
    all.extend(["--kid-subset-size", "30", "--kid-subsets", "10"]);
    serde_json::from_str(&both(&all).0).unwrap()
}

fn value(table: &Value, tool: &str, score: &str) -> Option<f64> {
    let columns = table["columns"].as_array().unwrap();
    let column = columns.iter().position(|column| column["name"] == score).unwrap();
    let rows = table["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["tool"] == tool).unwrap();
    row["scores"][column]["value"].as_f64()
}

#[test]
fn each_tool_has_the_numbers_of_its_own_program() {
    let found = golden_comparison();
    let expected = &golden::json("metrics.json")["end_to_end"];
    let table = &found["tables"][0];
    let names = |key: &str| -> Vec<&str> {
        let rows = table[key].as_array().unwrap().iter();
        rows.map(|row| row["tool"].as_str().or(row["name"].as_str()).unwrap()).collect()
    };
    assert_eq!(names("rows"), ["torch-fidelity", "StyleGAN", "ADM", "pytorch-fid", "clean-fid"]);
    assert_eq!(names("columns")[..4], ["is", "fid", "kid", "prc_precision"]);
    let fidelity = &expected["torch_fidelity"];
    for (tool, score, golden) in [
        ("torch-fidelity", "is", &fidelity["inception_score_mean"]),
        ("torch-fidelity", "fid", &fidelity["frechet_inception_distance"]),
        ("torch-fidelity", "kid", &fidelity["kernel_inception_distance_mean"]),
        ("ADM", "fid", &fidelity["frechet_inception_distance"]),
        ("pytorch-fid", "fid", &expected["pytorch_fid"]["fid_exact"]),
    ] {
        let (found, golden) = (value(table, tool, score).unwrap(), golden.as_f64().unwrap());
        let error = (found / golden - 1.0).abs();
        assert!(error < END_TO_END, "{score} of {tool}: {found} instead of {golden}");
    }
    // A metric that no tool has is computed on the features of all of them.
    for tool in ["torch-fidelity", "pytorch-fid", "clean-fid", "ADM", "StyleGAN"] {
        assert!(value(table, tool, "prc_recall").is_some(), "{tool}");
    }
    let recall = value(table, "torch-fidelity", "prc_recall").unwrap();
    // A share of 48 images, printed in float32.
    assert!((recall - fidelity["recall"].as_f64().unwrap()).abs() < 1e-6, "{recall}");
    // What a tool does not have is missing, and what its own convention changes is another number.
    assert_eq!(value(table, "pytorch-fid", "kid"), None);
    assert_eq!(value(table, "ADM", "kid"), None);
    assert!(value(table, "StyleGAN", "fid") < value(table, "torch-fidelity", "fid"));
    assert_ne!(value(table, "StyleGAN", "is"), value(table, "torch-fidelity", "is"));
    assert_ne!(value(table, "clean-fid", "fid"), value(table, "torch-fidelity", "fid"));
    // One split has a larger score than the mean of ten.
    assert!(value(table, "ADM", "is") > value(table, "StyleGAN", "is"));

    let fid = &table["columns"][1];
    let ends: Vec<f64> = fid["extremes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| value(table, tool.as_str().unwrap(), "fid").unwrap())
        .collect();
    let spread = fid["spread"].as_f64().unwrap();
    assert!((spread - (ends[1] - ends[0]) / ends[1]).abs() < 1e-12 && spread > 0.0, "{spread}");

    // Three resizes of 88 images; 16 of them have the size of the network, where two of the resizes
    // with the same scaling agree.
    assert_eq!(found["passes"], 3 * 88 - 16);
    let left_out = found["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 8);
    let reason = left_out[0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("weights dinov2-vit-l-14 (1218 MB) are not on this machine"),
        "{reason}"
    );
}

/// Fréchet distances of 40 and 48 rows of 48 float32 numbers.
const DISTANCE: f64 = 1e-4;

#[test]
fn presets_of_a_transformer_are_rows_of_one_network() {
    let folder = tempfile::tempdir().unwrap();
    let heads = folder.path().join("heads.json");
    std::fs::write(&heads, golden::json("dinov2-configs.json")["tiny"].to_string()).unwrap();
    let (fake, real, weights) = (images("fake"), images("real"), golden_file("dinov2-tiny.pth"));
    let mut call = vec!["compare-presets", fake.to_str().unwrap(), "-r", real.to_str().unwrap()];
    call.extend(["--extractor", "dinov2", "--weights", &weights, "--json", "-"]);
    call.extend(["--config", heads.to_str().unwrap(), "-m", "is,fid,prdc"]);
    let (json, notes) = both(&call);
    let found: Value = serde_json::from_str(&json).unwrap();
    let tables = found["tables"].as_array().unwrap();
    assert_eq!(tables.len(), 1);
    let expected = golden::json("dinov2-scores.json");
    for preset in ["dgm-eval", "edm2"] {
        let found = value(&tables[0], preset, "fid").unwrap();
        let exact = expected[preset]["fd_exact"].as_f64().unwrap();
        assert!((found / exact - 1.0).abs() < DISTANCE, "{preset}: {found} instead of {exact}");
    }
    assert_eq!(tables[0]["rows"].as_array().unwrap().len(), 4);
    assert_eq!(tables[0]["columns"][0]["title"], "FD (dinov2)");
    // Resizes that differ in what they clip agree on an image where nothing is clipped.
    let passes = found["passes"].as_u64().unwrap();
    assert!((3 * 88 + 1..=4 * 88).contains(&passes), "{passes}");
    assert_eq!(found["left_out"], serde_json::json!([]));
    assert!(notes.contains("Inception Score is left out: dinov2 does not compute"), "{notes}");
}

const FASHION: [&str; 2] = ["--extractor", "fashion-cnn"];

#[test]
fn shipped_samples_are_compared_and_shown_as_a_table() {
    let call = ["compare-presets", "models/samples", "-r", "models/samples", "-m", "is,fid,prdc"];
    let (table, notes) = both(&[&call[..], &FASHION].concat());
    let lines: Vec<&str> = table.lines().map(str::trim_start).collect();
    assert!(lines[0].starts_with("fashion-cnn ("), "{table}");
    assert!(lines[1].contains("FD (fashion-cnn) ↓") && lines[1].contains("coverage"), "{table}");
    assert!(lines[5].starts_with("pytorch-fid") && lines[5].contains('–'), "{table}");
    assert!(lines[7].starts_with("spread") && lines[7].ends_with('%'), "{table}");
    assert!(notes.contains("contain the same images"), "{notes}");
}

#[test]
fn statistics_are_compared_under_their_own_convention_only() {
    let call = ["compare-presets", "models/samples", "-r", "fashion-test", "-m", "fid"];
    let (table, notes) = both(&[&call[..], &FASHION].concat());
    assert!(table.contains("StyleGAN") && !table.contains("clean-fid"), "{table}");
    assert!(notes.contains("left out: clean-fid of fashion-cnn: `fashion-test` cannot"), "{notes}");
}

#[test]
fn a_comparison_that_cannot_be_made_says_why() {
    let clip = golden_file("clip-tiny.safetensors");
    for (arguments, parts) in [
        (
            vec!["-m", "fid"],
            vec![
                "no convention can be computed: torch-fidelity",
                "of inception: ",
                "inception-fid",
                "--weights",
            ],
        ),
        (vec!["--preset", "clean-fid"], vec!["no `preset`", "ganscope score"]),
        (vec!["-m", "kid", "--extractor", "fashion-cnn"], vec!["KID", "at least 1000"]),
        (vec!["-m", "ct"], vec!["three sets"]),
        (vec!["--extractor", "dinov2", "--weights", &clip], vec!["as dinov2", "those of CLIP"]),
    ] {
        let call = [&["compare-presets", "models/samples", "-r", "models/samples"], &arguments[..]];
        let (_home, mut command) = bare(&call.concat());
        let output = command.assert().failure().code(1);
        let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        let error = error.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
