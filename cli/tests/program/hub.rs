//! Weights from a server on this machine that speaks as the hub does.

use std::fs;

use ganscope::hub::sha256;
use ganscope_golden::hub::{Behavior, Server};
use serde_json::Value;
use tempfile::TempDir;

use crate::setup::{ganscope, images, inception, scores};

const WEIGHTS: &str = "hub:owner/inception/inception.safetensors";

/// The recipe Inception on a hub, and caches of its own.
struct Setup {
    server: Server,
    home: TempDir,
}

impl Setup {
    fn new(behavior: Behavior) -> Self {
        let content = fs::read(inception()).unwrap();
        let server = Server::start(Behavior { content, ..behavior });
        Self { server, home: tempfile::tempdir().unwrap() }
    }

    /// `score`, with weights from the hub.
    fn score(&self, hub: &str) -> assert_cmd::Command {
        let (fake, real) = (images("fake"), images("real"));
        let sets = ["score", fake.to_str().unwrap(), "-r", real.to_str().unwrap(), "--num", "8"];
        let options = ["-m", "fid", "--no-cache", "--json", "-", "--weights", WEIGHTS];
        let mut command = ganscope(&[&sets[..], &options].concat());
        command.env("HF_ENDPOINT", hub).env("HF_HOME", self.home.path()).env_remove("HF_TOKEN");
        command
    }
}

#[test]
fn weights_come_from_the_hub_over_a_cut_connection_and_are_kept() {
    let etag = sha256(&inception()).unwrap();
    let third = fs::metadata(inception()).unwrap().len() as usize / 3;
    let setup = Setup::new(Behavior { etag, cut: Some((third, 1)), ..Behavior::default() });
    let run = |hub: &str| {
        let output = setup.score(hub).assert().success();
        let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        report["scores"][0]["value"].as_f64().unwrap()
    };
    let downloaded = run(&setup.server.url());
    let bodies = setup.server.seen().into_iter().filter(|request| request.method == "GET");
    let ranges: Vec<_> = bodies.map(|r| r.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges.last(), Some(&Some(format!("bytes={third}-"))), "{ranges:?}");
    assert_eq!(downloaded, scores(&["-m", "fid", "--num", "8", "--no-cache"])[0].1);
    // Nothing listens here, and nothing has to.
    assert_eq!(downloaded, run("http://127.0.0.1:9"));
}

#[test]
fn weights_of_another_digest_are_refused() {
    let etag = "0".repeat(64);
    let setup = Setup::new(Behavior { etag, ..Behavior::default() });
    let output = setup.score(&setup.server.url()).assert().failure().code(1);
    let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(stderr.contains("SHA-256") && stderr.contains("hint:"), "{stderr}");
    let kept = fs::read_dir(setup.home.path().join("hub")).into_iter().flatten();
    let blobs = kept.flatten().map(|repo| repo.path().join("blobs"));
    let files = blobs.filter_map(|blobs| fs::read_dir(blobs).ok()).flatten();
    assert_eq!(files.count(), 0, "nothing is kept");
}

#[test]
fn the_list_tells_the_facts_of_known_weights() {
    let home = tempfile::tempdir().unwrap();
    let list = || {
        let mut command = ganscope(&["list", "--json"]);
        command.env("HF_ENDPOINT", "https://hub.test").env("HF_HOME", home.path());
        let output = command.assert().success();
        let list: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        let known = list["weights"].as_array().unwrap().clone();
        known.into_iter().find(|entry| entry["name"] == "biggan-deep-128").unwrap()
    };
    let entry = list();
    let address = "https://hub.test/osanseviero/BigGAN-deep-128/resolve/main/pytorch_model.bin";
    assert_eq!(entry["address"], address);
    assert_eq!(entry["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(entry["license"], "not stated");
    assert_eq!(entry["bytes"], Value::Null);
    // Where a copy is looked for.
    assert!(entry["path"].as_str().unwrap().ends_with("weights/biggan-deep-128"), "{entry:#}");

    let repo = home.path().join("hub/models--osanseviero--BigGAN-deep-128");
    let file = repo.join("snapshots").join(Server::COMMIT).join("pytorch_model.bin");
    fs::create_dir_all(repo.join("refs")).unwrap();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(repo.join("refs/main"), Server::COMMIT).unwrap();
    fs::write(&file, "weights").unwrap();
    assert_eq!(list()["path"], file.to_str().unwrap());
}
