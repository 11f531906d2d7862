//! The crate graph: arrows point down, and siblings do not know each other.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Folder to the folders that its crates may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("", &["core", "generators", "extractors", "latent", "explain", "metrics"]),
    ("generators", &["core"]),
    ("extractors", &["core"]),
    ("latent", &["core"]),
    ("explain", &["core"]),
    ("metrics", &["core"]),
    ("core", &["core"]),
    ("tests", &[]),
];

fn metadata() -> Value {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    serde_json::from_slice(&cargo.stdout).expect("cargo prints JSON")
}

/// Top folder of a crate, by its manifest or its path.
fn folder(path: &str) -> String {
    let path = PathBuf::from(path);
    let path = if path.ends_with("Cargo.toml") { path.parent().unwrap() } else { &path };
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("a member");
    let first = inside.components().next();
    first.map_or(String::new(), |c| c.as_os_str().to_string_lossy().into_owned())
}

#[test]
fn every_arrow_between_crates_points_down() {
    let metadata = metadata();
    let mut arrows = 0;
    for package in metadata["packages"].as_array().unwrap() {
        let from = folder(package["manifest_path"].as_str().unwrap());
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(name, _)| *name == from)
            .unwrap_or_else(|| panic!("`{from}` is not in the table"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let (Some(path), Value::Null) = (dependency["path"].as_str(), &dependency["kind"])
            else {
                continue;
            };
            let to = folder(path);
            arrows += 1;
            assert!(
                allowed.contains(&to.as_str()),
                "{} may not depend on {}",
                package["name"],
                dependency["name"]
            );
        }
    }
    assert!(arrows > 10, "only {arrows} arrows were seen");
}

#[test]
fn metrics_and_files_compile_without_tensors() {
    let metadata = metadata();
    let without = ["core/stats", "core/weights", "core/images", "core/kernels"];
    for package in metadata["packages"].as_array().unwrap() {
        let manifest = package["manifest_path"].as_str().unwrap();
        let plain = folder(manifest) == "metrics" || without.iter().any(|w| manifest.contains(w));
        let names = package["dependencies"].as_array().unwrap().iter();
        let tensors = names
            .filter(|d| d["kind"].is_null())
            .any(|d| d["name"].as_str().unwrap().starts_with("candle"));
        assert!(!(plain && tensors), "{manifest} depends on candle");
    }
}
