//! Disks that are full, and folders that may only be read: a clear error, and no file that looks whole
//! and is not.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::setup::{golden_file, run};

/// A small disk, where the user may mount one.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let arguments = ["-t", "tmpfs", "-o", options, "none"];
        let mounted = Command::new("mount").args(arguments).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    fn make_read_only(&self) {
        let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status();
        assert!(remounted.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg(&self.0).status();
    }
}

fn call(words: &[&str], folder: &Path, cache: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ganscope"))
        .args(words)
        .args(["-q", "--threads", "2"])
        .current_dir(folder)
        .env("GANSCOPE_CACHE", cache)
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .unwrap()
}

/// All files below a folder by their path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(below) = open.pop() {
        for entry in fs::read_dir(below).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), bytes);
            }
        }
    }
    found
}

/// Every verb that writes, each with what it takes from the folder `a`.
fn writers(a: &str, stats: &str) -> Vec<Vec<String>> {
    let pickle = golden_file("stylegan-s2-skip.pkl");
    let cnn = ["--extractor", "fashion-cnn"];
    let model = ["--model", "fashion-cnn"];
    let picture = format!("{a}/seed0003.png");
    let (clip, config) =
        (golden_file("clip-tiny.safetensors"), golden_file("clip-tiny-config.json"));
    let tokenizer = golden_file("clip-text-tokenizer.json");
    let pairs = format!("{a}/pairs.csv");
    let words: Vec<Vec<&str>> = vec![
        [&["score", a, "-r", "fashion-test", "-m", "is,fid", "--json", "s.json"], &cnn[..]]
            .concat(),
        [&["stats", a, "-o", "s.safetensors", "--rows"], &cnn[..]].concat(),
        [&["stats", a, "-o", "s.npz"], &cnn[..]].concat(),
        vec!["stats", "merge", stats, "-o", "m.safetensors"],
        [&["features", a, "-o", "f.npy", "--names", "n.txt"], &cnn[..]].concat(),
        vec![
            "sweep",
            "fashion-biggan",
            "-r",
            "fashion-test",
            "--num",
            "20",
            "--psi",
            "0.5,1",
            "-o",
            "s",
        ],
        vec!["generate", "fashion-stylegan2", "--seeds", "0-15", "--grid", "4x4", "-o", "g"],
        vec!["interpolate", "fashion-stylegan2", "--seeds", "1,2", "-o", "w.png"],
        vec!["mix", "fashion-stylegan2", "--rows", "1,2", "--cols", "3", "-o", "m.png"],
        [&["explain", "lrp,gradient", &picture, "-o", "e"], &model[..]].concat(),
        [&["explain", "score", a, "-r", "fashion-test", "-o", "r"], &cnn[..]].concat(),
        [&["compare-presets", a, "-r", a, "-m", "is", "--json", "c.json", "--no-cache"], &cnn[..]]
            .concat(),
        vec!["project", "fashion-stylegan2", &picture, "--steps", "3", "-o", "p"],
        vec!["video", "fashion-stylegan2", "--seeds", "1,2", "--w-frames", "3", "-o", "v.gif"],
        [&["explain", "filters", "-o", "f.png"], &model[..]].concat(),
        vec![
            "explain",
            "counterfactual",
            "fashion-stylegan2",
            "--seeds",
            "2",
            "-o",
            "c.png",
            "--ws-output",
            "c.npz",
            "--json",
            "c.json",
        ],
        [
            &["clip-score", &pairs, "--tokenizer", &tokenizer, "-o", "p.csv", "--json", "p.json"],
            &["--weights", &clip, "--config", &config][..],
        ]
        .concat(),
        vec!["convert", &pickle, "-o", "c.safetensors"],
        vec!["man", "man"],
    ];
    words.into_iter().map(|words| words.into_iter().map(str::to_owned).collect()).collect()
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_that_looks_whole() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    if Disk::mount(&at("try"), "size=64k").is_none() {
        eprintln!("skipped: no disk can be mounted");
        return;
    }
    let draw = ["generate", "fashion-biggan", "--class", "each", "--seeds", "0-19", "-o", "a"];
    run(folder.path(), &draw);
    fs::write(at("a/pairs.csv"), "file,prompt\nseed0003.png,the cat\nseed0004.png,a dog\n")
        .unwrap();
    let part = ["stats", "a", "-o", "part.safetensors", "--extractor", "fashion-cnn"];
    run(folder.path(), &part);
    let (a, stats) = (at("a").display().to_string(), at("part.safetensors").display().to_string());
    for words in writers(&a, &stats) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let name = words.join(" ");
        let whole = tempfile::tempdir().unwrap();
        let cache = tempfile::tempdir().unwrap();
        let output = call(&words, whole.path(), cache.path());
        assert!(output.status.success(), "{name}: {output:?}");
        let whole = files(whole.path());
        let needed: usize = whole.values().map(|bytes| bytes.len().next_multiple_of(4096)).sum();
        // From no room at all to nearly enough.
        for quarter in 0..4 {
            let size = (needed * quarter / 4).next_multiple_of(4096).max(4096);
            let disk = Disk::mount(&at("full"), &format!("size={size}")).unwrap();
            let output = call(&words, &disk.0, cache.path());
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!error.contains("panicked"), "{name} on {size} bytes: {error}");
            let found = files(&disk.0);
            if output.status.success() {
                assert_eq!(found.len(), whole.len(), "{name} on {size} bytes");
            } else {
                assert_eq!(output.status.code(), Some(1), "{name} on {size} bytes: {error}");
                assert!(error.contains("No space left"), "{name} on {size} bytes: {error}");
            }
            for (path, bytes) in found {
                let is_whole = whole.get(&path) == Some(&bytes);
                // From which a later run goes on.
                let is_state = path.to_string_lossy().ends_with(".state.npz");
                assert!(is_whole || is_state, "{name} on {size} bytes: {}", path.display());
            }
        }
        // A folder that may only be read: told before the work where the file is named.
        let disk = Disk::mount(&at("full"), "size=64k").unwrap();
        disk.make_read_only();
        let output = call(&words, &disk.0, cache.path());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{name}: {error}");
        assert!(error.to_lowercase().contains("read-only"), "{name}: {error}");
    }
}

#[test]
fn a_cache_that_is_full_or_read_only_changes_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let draw = ["generate", "fashion-biggan", "--class", "each", "--seeds", "0-99", "-o", "a"];
    run(folder.path(), &draw);
    let words = ["score", "a", "-r", "fashion-test", "-m", "is,fid", "--extractor", "fashion-cnn"];
    let words = [&words[..], &["--batch", "8", "--json", "s.json"]].concat();
    let score = |cache: &Path| {
        let output = call(&words, folder.path(), cache);
        assert!(output.status.success(), "{output:?}");
        let report: serde_json::Value =
            serde_json::from_slice(&fs::read(at("s.json")).unwrap()).unwrap();
        (report["scores"].clone(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (expected, _) = score(&at("whole"));
    let store = fs::read_dir(at("whole/features")).unwrap().flatten().next().unwrap();
    let bytes = fs::read(store.path()).unwrap();
    if Disk::mount(&at("try"), "size=64k").is_none() {
        eprintln!("skipped: no disk can be mounted");
        return;
    }
    for part in [0, bytes.len() / 3, bytes.len() - 4096] {
        let size = part.next_multiple_of(4096).max(4096);
        let disk = Disk::mount(&at("cache"), &format!("size={size}")).unwrap();
        let (scores, warnings) = score(&disk.0);
        assert_eq!(scores, expected, "{size} bytes");
        assert!(warnings.contains("not kept for later runs"), "{size} bytes: {warnings}");
        // What is there now is used or dropped.
        assert_eq!(score(&disk.0).0, expected, "{size} bytes");
    }
    // With a part of the rows, with all of them, and with none.
    for (part, is_warned) in [(0, true), (bytes.len() / 2, true), (bytes.len(), false)] {
        let disk = Disk::mount(&at("cache"), "size=64m").unwrap();
        if part > 0 {
            fs::create_dir(disk.0.join("features")).unwrap();
            fs::write(disk.0.join("features").join(store.file_name()), &bytes[..part]).unwrap();
        }
        disk.make_read_only();
        let (scores, warnings) = score(&disk.0);
        assert_eq!(scores, expected, "{part} bytes");
        assert_eq!(warnings.contains("not kept for later runs"), is_warned, "{part}: {warnings}");
    }
}

#[test]
fn without_a_folder_for_temporary_files_the_hint_says_how_to_have_one() {
    let folder = tempfile::tempdir().unwrap();
    run(
        folder.path(),
        &["generate", "fashion-biggan", "--class", "1", "--seeds", "0-3", "-o", "a"],
    );
    let words = ["stats", "a", "--extractor", "fashion-cnn", "--no-cache", "-o", "s.safetensors"];
    let output = Command::new(env!("CARGO_BIN_EXE_ganscope"))
        .args(words)
        .current_dir(folder.path())
        .env("TMPDIR", folder.path().join("nowhere"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("hint:") && error.contains("TMPDIR"), "{error}");
}
