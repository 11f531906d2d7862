//! Truncation sweeps, killed and whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ganscope_golden as golden;
use serde_json::Value;

use crate::setup::{ganscope, golden_file as file, images, picture, place, run};

fn failure(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = ganscope(&[&["sweep", "-q"], arguments].concat());
    let output = command.current_dir(folder.path()).assert().failure();
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

/// Rows files of a cache with their lengths, the oldest first.
fn rows(cache: &Path) -> Vec<(PathBuf, u64)> {
    let Ok(entries) = fs::read_dir(cache) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.metadata().unwrap(), entry.path()))
        .map(|(metadata, path)| (metadata.created().unwrap(), path, metadata.len()))
        .collect();
    files.sort();
    files.into_iter().map(|(_, path, length)| (path, length)).collect()
}

#[test]
fn a_killed_sweep_goes_on_and_gives_the_same_table() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = |output: &'static str, cache: &'static str, batch: &'static str| {
        let model = ["sweep", "fashion-biggan", "--reference", "fashion-test", "--num", "600"];
        let points = ["--trunc", "0.4,1", "--metrics", "is,fid,prdc", "--columns", "2"];
        let paths = ["-o", output, "--cache", cache, "--generate-batch", batch];
        [&model[..], &points, &paths].concat()
    };
    let (killed, cache) = (folder.path().join("killed"), folder.path().join("cache"));
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("ganscope"))
        .args(sweep("killed", "cache", "8"))
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The first point is whole, the second has begun.
    while rows(&cache).get(1).is_none_or(|(_, length)| *length == 0) {
        assert!(child.try_wait().unwrap().is_none(), "the sweep ended before it was killed");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(!killed.join("sweep.csv").exists());
    let before = rows(&cache);
    let first = before[0].1;
    let (second, interrupted) = (&before[1].0, fs::read(&before[1].0).unwrap());
    assert!((interrupted.len() as u64) < first, "the second point was whole, too");

    // Batches of another size make other records, so kept ones are seen.
    let resumed = run(folder.path(), &sweep("killed", "cache", "30"));
    let now = fs::read(second).unwrap();
    let kept = interrupted.iter().zip(&now).take_while(|(a, b)| a == b).count();
    assert!(2 * kept > interrupted.len(), "{kept} of {} bytes were kept", interrupted.len());
    assert_eq!(fs::metadata(&before[0].0).unwrap().len(), first);

    let whole = run(folder.path(), &sweep("whole", "another", "30"));
    assert_eq!(resumed, whole);
    assert_eq!(resumed.lines().count(), 3);
    for name in ["sweep.csv", "sweep.json", "grid.png", "report.html", "fid-against-is.svg"] {
        let read = |output: &str| fs::read(folder.path().join(output).join(name)).unwrap();
        assert!(read("killed") == read("whole"), "{name}");
    }
    assert_eq!(fs::read_to_string(killed.join("sweep.csv")).unwrap(), whole);
}

#[test]
fn a_point_of_a_sweep_is_the_score_of_the_generated_folder() {
    let folder = tempfile::tempdir().unwrap();
    let weights = ["--trunc", "0.6", "--class", "each"];
    let generate = ["generate", "fashion-biggan", "--seeds", "3-42", "--outdir", "out"];
    run(folder.path(), &[&generate[..], &weights].concat());
    let metrics = ["--metrics", "is,fid", "--is-splits", "4", "--no-cache"];
    let score = ["score", "out", "--reference", "fashion-test", "--json", "-"];
    let scores: Value =
        serde_json::from_str(&run(folder.path(), &[&score[..], &metrics].concat())).unwrap();
    let sweep = ["sweep", "fashion-biggan", "-r", "fashion-test", "--num", "40", "-o", "sweep"];
    let seeds = ["--first-seed", "3"];
    run(folder.path(), &[&sweep[..], &seeds, &weights, &metrics].concat());
    let json = fs::read_to_string(folder.path().join("sweep/sweep.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    let values = |rows: &Value| -> Vec<Value> {
        rows.as_array().unwrap().iter().map(|row| row["value"].clone()).collect()
    };
    assert_eq!(values(&json["points"][0]["scores"]), values(&scores["scores"]));
    assert_eq!(json["generator"]["class"], "each");
    assert_eq!(json["convention"]["extractor"], "fashion-cnn");
    let warnings = json["warnings"].to_string();
    assert!(warnings.contains("`fashion-biggan`: 40 images"), "{warnings}");
}

#[test]
fn a_sweep_draws_as_generate_does_with_the_same_options() {
    let folder = tempfile::tempdir().unwrap();
    let config = golden::json("stylegan-configs.json")["s2-skip"].to_string();
    fs::write(folder.path().join("config.json"), config).unwrap();
    let (skip, snapshot) = (file("stylegan-s2-skip.safetensors"), file("stylegan-s2-skip.pkl"));
    let biggan = file("biggan-tiny.bin");
    let few = ["--num", "4", "--columns", "2", "--metrics", "fid", "--no-cache"];
    let score = ["-r", "fashion-test", "-o", "sweep"];
    let options: [&[&str]; 4] = [
        &[&skip, "--config", "config.json", "--trunc", "0.7", "--trunc-cutoff", "3"],
        &[&snapshot, "--key", "G", "--trunc", "-0.5", "--noise-mode", "random"],
        &[&biggan, "--class", "3", "--trunc", "0.505", "--bn-stats", "hf"],
        &[&biggan, "--class", "each", "--trunc", "0.5", "--prior", "resampled"],
    ];
    for options in options {
        run(folder.path(), &[&["sweep", "--overwrite"], options, &score, &few].concat());
        run(folder.path(), &[&["generate"], options, &["--seeds", "0,1"]].concat());
        let grid = picture(&folder.path().join("sweep/grid.png"));
        let samples = [0, 1].map(|i| picture(&folder.path().join(format!("out/seed000{i}.png"))));
        for (i, sample) in samples.iter().enumerate() {
            // Samples of 32 pixels are drawn twice as large.
            let zoom = 64usize.div_ceil(sample.width);
            assert!(place(&grid, &sample.enlarged(zoom)).is_some(), "sample {i} of {options:?}");
        }
    }
}

#[test]
fn the_number_of_images_does_not_cut_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    let real = images("real");
    let sweep = ["sweep", "fashion-biggan", "-r", real.to_str().unwrap(), "-o", "sweep"];
    let few = ["--num", "3", "--trunc", "1", "--metrics", "fid", "--extractor", "fashion-cnn"];
    run(folder.path(), &[&sweep[..], &few, &["--no-cache"]].concat());
    let json = fs::read_to_string(folder.path().join("sweep/sweep.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    let count = fs::read_dir(real).unwrap().count();
    assert!(count > 3);
    assert_eq!(
        (json["images"].as_u64(), json["reference_images"].as_u64()),
        (Some(3), Some(count as u64))
    );
}

#[test]
fn a_truncation_without_meaning_ends_the_sweep_before_it_begins() {
    let biggan = ["fashion-biggan", "-r", "fashion-test", "-o", "sweep"];
    insta::assert_snapshot!(failure(&[&biggan[..], &["--trunc", "0.5,1.5"]].concat()), @r"
    error: truncation 1.5 has no meaning for biggan-deep
    hint: its truncation is a threshold from 0 to 1
    ");
}

#[test]
fn a_class_that_there_is_not_ends_the_sweep_before_it_begins() {
    let biggan = ["fashion-biggan", "-r", "fashion-test", "-o", "sweep"];
    insta::assert_snapshot!(failure(&[&biggan[..], &["--class", "hat"]].concat()), @r"
    error: the generator has no class `hat`
    hint: did you mean `coat`? There are: t-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle-boot
    ");
}

#[test]
fn seeds_beyond_the_last_end_the_sweep_before_it_begins() {
    let biggan = ["fashion-biggan", "-r", "fashion-test", "-o", "sweep"];
    let seeds = ["--first-seed", "4294967290", "--num", "10"];
    insta::assert_snapshot!(failure(&[&biggan[..], &seeds].concat()), @r"
    error: 10 seeds from 4294967290 go beyond 4294967295
    hint: begin at a lower `--first-seed SEED`
    ");
}

#[test]
fn the_sweep_of_other_settings_is_not_replaced_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = |options: &[&str]| {
        let fixed = ["sweep", "-q", "fashion-biggan", "-r", "fashion-test", "-o", "sweep"];
        let few = ["--num", "40", "--trunc", "0.5,1", "--cache", "cache", "--columns", "2"];
        let mut command = ganscope(&[&fixed[..], &few, options].concat());
        let output = command.current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let has = |name: &str| folder.path().join("sweep").join(name).is_file();
    assert_eq!(sweep(&["--metrics", "is,fid,prdc", "--is-splits", "2"]).0, Some(0));
    assert!(has("coverage.png") && has("fid-against-is.svg"));
    // The same again continues.
    let again = ["--metrics", "is,fid,prdc", "--is-splits", "2", "--generate-batch", "8"];
    assert_eq!(sweep(&again).0, Some(0));
    let (code, told) = sweep(&["--metrics", "fid"]);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(told, @r"
    error: `sweep` contains another sweep: it has other metrics, is splits
    hint: name another folder with `--output DIR`, or replace it with `--overwrite`
    ");
    assert_eq!(sweep(&["--metrics", "fid", "--overwrite"]).0, Some(0));
    assert!(has("fid.png") && !has("coverage.png") && !has("coverage.svg"));
    assert!(!has("fid-against-is.svg"), "a curve of the sweep before");
    let page = fs::read_to_string(folder.path().join("sweep/report.html")).unwrap();
    assert!(!page.contains('`') && !page.contains("One score over another"));
    assert!(page.contains("FD (fashion-cnn) over truncation") && page.contains("<td>1.0</td>"));
}
