//! What is kept between runs: listed, verified, pruned.

use std::fs;
use std::path::{Path, PathBuf};

use ganscope::hub::sha256;
use ganscope_golden::hub::{Behavior, Server};
use serde_json::Value;

use crate::setup::{ganscope, inception, run};

/// Caches of their own, with features of two sets and weights of a plain address.
struct Setup {
    home: tempfile::TempDir,
    server: Server,
}

impl Setup {
    fn new() -> Self {
        let content = fs::read(inception()).unwrap();
        let etag = sha256(&inception()).unwrap();
        let server = Server::start(Behavior { content, etag, ..Behavior::default() });
        let setup = Self { home: tempfile::tempdir().unwrap(), server };
        for seeds in ["0-9", "10-29"] {
            let drawn = ["generate", "fashion-biggan", "--class", "each", "-o", seeds];
            run(setup.home.path(), &[&drawn[..], &["--seeds", seeds]].concat());
            let options = ["--extractor", "fashion-cnn", "-o", "s.safetensors"];
            setup.call(&[&["stats", seeds], &options[..]].concat()).assert().success();
        }
        setup.call(&["fetch", &setup.url()]).assert().success();
        setup
    }

    fn url(&self) -> String {
        format!("{}/files/model.bin", self.server.url())
    }

    fn call(&self, words: &[&str]) -> assert_cmd::Command {
        let mut command = ganscope(words);
        let home = self.home.path();
        command.current_dir(home).env("GANSCOPE_CACHE", home.join("own"));
        command.env("HF_HOME", home.join("shared")).env("HF_ENDPOINT", self.server.url());
        command
    }

    fn json(&self, words: &[&str]) -> Value {
        let output = self.call(&[words, &["--json"]].concat()).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Names and states or sorts of the files.
    fn column(&self, words: &[&str], column: &str) -> Vec<String> {
        let text = |entry: &Value| entry[column].as_str().unwrap().to_owned();
        self.json(words).as_array().unwrap().iter().map(text).collect()
    }

    fn stores(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.home.path().join("own/features")).unwrap().flatten();
        entries.map(|entry| entry.path()).collect()
    }
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_kept_is_listed_verified_and_pruned() {
    let setup = Setup::new();
    // By size, the largest last.
    assert_eq!(setup.column(&["cache"], "sort"), ["features", "features", "weights"]);
    assert_eq!(setup.column(&["cache", "verify"], "state"), ["whole"; 3]);
    let text = setup.call(&["cache"]).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("model.bin") && text.contains("used today"), "{text}");

    flip(&setup.stores()[0]);
    let weights = setup.json(&["cache"])[2]["path"].as_str().unwrap().to_owned();
    flip(Path::new(&weights));
    let states = setup.column(&["cache", "verify"], "state");
    assert_eq!(states.iter().filter(|state| *state == "damaged").count(), 2, "{states:?}");
    let output = setup.call(&["cache", "verify"]).assert().failure().code(1);
    let error = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(error.contains("2 of 3 files are damaged") && error.contains("hint:"), "{error}");
    let error = setup.call(&["fetch", &setup.url()]).output().unwrap();
    assert!(String::from_utf8_lossy(&error.stderr).contains("SHA-256"), "{error:?}");

    // Nothing is chosen: nothing goes. What may be used by others stays whatever is chosen.
    assert_eq!(setup.json(&["cache", "prune"])["removed"].as_array().unwrap().len(), 0);
    let would = setup.json(&["cache", "prune", "--all", "--dry-run"]);
    assert_eq!(would["removed"].as_array().unwrap().len(), 2);
    assert_eq!(setup.stores().len(), 2);
    let held = fs::File::open(&setup.stores()[1]).unwrap();
    held.lock().unwrap();
    let pruned = setup.json(&["cache", "prune", "--all"]);
    let count = |part: &str| pruned[part].as_array().unwrap().len();
    assert_eq!((count("removed"), count("in_use"), setup.stores().len()), (1, 1, 1));
    drop(held);
    setup.call(&["cache", "prune", "--all", "--weights"]).assert().success();
    assert_eq!(setup.json(&["cache"]), Value::Array(Vec::new()));
    assert_eq!(fs::read_dir(setup.home.path().join("own/downloads")).unwrap().count(), 0);
}

#[test]
fn the_oldest_features_go_first() {
    let setup = Setup::new();
    let (stores, day) = (setup.stores(), std::time::Duration::from_hours(24));
    for (path, days) in stores.iter().zip([3, 40]) {
        let file = fs::File::options().write(true).open(path).unwrap();
        let then = std::time::SystemTime::now() - days * day - day / 2;
        let times = fs::FileTimes::new().set_accessed(then).set_modified(then);
        file.set_times(times).unwrap();
    }
    let removed = |words: &[&str]| {
        let pruned = setup.json(&[words, &["--dry-run"]].concat());
        let paths = pruned["removed"].as_array().unwrap().iter();
        paths.map(|entry| PathBuf::from(entry["path"].as_str().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(removed(&["cache", "prune", "--older-than", "30"]), stores[1..]);
    assert_eq!(removed(&["cache", "prune", "--older-than", "41"]), stores[2..]);
    assert_eq!(removed(&["cache", "prune", "--down-to", "1"]), stores[2..]);
    assert_eq!(
        removed(&["cache", "prune", "--down-to", "0"]),
        [stores[1].clone(), stores[0].clone()]
    );
}

#[test]
fn names_of_the_catalog_lead_to_their_weights() {
    let setup = Setup::new();
    let output = setup.call(&["fetch", "hub:owner/repo/x.safetensors"]).assert().success();
    let path = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert_eq!(fs::read(path.trim_end()).unwrap(), fs::read(inception()).unwrap());
    let failure = |name: &str| {
        let output = setup.call(&["fetch", name]).env("HF_HUB_OFFLINE", "1").assert().failure();
        String::from_utf8_lossy(&output.get_output().stderr).into_owned()
    };
    let known = ganscope::hub::known("inception-fid").unwrap();
    assert!(failure("inception").contains(&known.sha256.unwrap()[..8]), "{}", failure("inception"));
    assert!(failure("fashion-cnn").contains("shipped with the program"));
    let unknown = failure("vgg-16");
    assert!(unknown.contains("did you mean `vgg16`?"), "{unknown}");
    assert!(unknown.contains("`ganscope list`"), "{unknown}");
}
