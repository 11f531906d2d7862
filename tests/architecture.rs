//! The architecture: arrows between crates and files point down, siblings do not know each other, and
//! nothing below the command line knows that there is one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Folder to the folders that its crates may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("cli", &["", "web"]),
    ("python", &[""]),
    ("web", &[""]),
    ("", &["core", "generators", "extractors", "latent", "explain", "metrics"]),
    ("generators", &["core"]),
    ("extractors", &["core"]),
    ("latent", &["core"]),
    ("explain", &["core"]),
    ("metrics", &["core"]),
    ("core", &["core"]),
    ("tests", &[""]),
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
    let without =
        ["core/stats", "core/neighbors", "core/weights", "core/images", "core/kernels", "core/hub"];
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

/// Names of all crates that `package` links, itself among them.
fn linked(package: &str) -> Vec<String> {
    let cargo = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--package", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let lines = String::from_utf8(cargo.stdout).unwrap();
    lines.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn metrics_images_and_checkpoints_link_no_http_client() {
    const NETWORK: &[&str] = &["ureq", "rustls", "ring", "hf-hub", "ganscope-hub"];
    assert!(NETWORK.iter().all(|name| linked("ganscope-hub").iter().any(|linked| linked == name)));
    for package in metadata()["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let manifest = package["manifest_path"].as_str().unwrap();
        let above = ["", "cli", "python", "web", "tests"].contains(&folder(manifest).as_str());
        let is_part = !above && name != "ganscope-hub";
        if is_part {
            let linked = linked(name);
            assert!(linked.iter().any(|linked| linked == name));
            let network: Vec<_> =
                linked.iter().filter(|name| NETWORK.contains(&name.as_str())).collect();
            assert!(network.is_empty(), "{name} links {network:?}");
        }
    }
}

/// The Rust files below `folder` of the repository, with their text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push((path.clone(), std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    found
}

/// Whether a line names a flag: two dashes between a quote, a backtick or a blank and a letter.
fn names_a_flag(line: &str) -> bool {
    line.match_indices("--").any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + 2..].chars().next();
        matches!(before, Some('"' | '`' | ' ' | '('))
            && after.is_some_and(|c| c.is_ascii_lowercase())
    })
}

#[test]
fn nothing_below_the_command_line_prints_or_speaks_in_flags() {
    let folders = ["src", "core", "metrics", "generators", "extractors", "latent", "explain"];
    let words = ["clap", "anyhow", "println!", "eprintln!", "print!(", "indicatif"];
    let mut read = 0;
    let mut wrong = Vec::new();
    for (path, text) in folders.into_iter().flat_map(sources) {
        let inside = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
        let shipped = !inside.components().any(|c| {
            ["tests", "benches", "examples"].iter().any(|folder| c.as_os_str() == *folder)
        });
        if !shipped {
            continue;
        }
        read += 1;
        // Tests at the end of a file may print and name what they like; examples in documents print.
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (number, line) in code.lines().enumerate() {
            let word =
                words.iter().any(|word| line.split_whitespace().any(|w| w.starts_with(word)));
            let is_document = line.trim_start().starts_with("//");
            if (word && !is_document) || names_a_flag(line) || line.contains("`ganscope ") {
                wrong.push(format!("{}:{}: {}", inside.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(read > 150, "only {read} files were read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The module of a file below `src`, as `score::sweep`.
fn module(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let inside = inside.with_extension("");
    let parts: Vec<_> = inside.iter().map(|part| part.to_str().unwrap()).collect();
    parts.join("::")
}

/// The modules of this crate that a file refers to, by `crate::` and `super::`.
fn arrows(module: &str, code: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut found = BTreeSet::new();
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .fold(String::new(), |code, line| code + line + "\n");
    let starts = [("crate::", String::new()), ("super::", format!("{parent}::"))];
    for (start, prefix) in starts {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at + start.len()..];
            // `use super::{a::B, c}` has several ends; each is resolved on its own.
            let ends: Vec<String> = match rest.strip_prefix('{') {
                Some(list) => {
                    let list = &list[..list.find("};").unwrap_or(list.len())];
                    list.split(',').map(|end| end.trim().to_owned()).collect()
                }
                None => vec![rest.to_owned()],
            };
            for end in ends {
                let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
                let path = format!("{prefix}{}", end.split(|c| !word(c)).next().unwrap_or(""));
                let mut path = path.trim_start_matches("::").trim_end_matches("::");
                // The longest beginning that is a module.
                while !modules.contains(path) {
                    let Some((shorter, _)) = path.rsplit_once("::") else {
                        path = "";
                        break;
                    };
                    path = shorter;
                }
                if !path.is_empty() && path != module {
                    found.insert(path.to_owned());
                }
            }
        }
    }
    found
}

#[test]
fn no_circle_of_imports_among_the_files_of_the_library() {
    let files = sources("src");
    let modules: BTreeSet<String> =
        files.iter().map(|(path, _)| module(path)).filter(|module| module != "lib").collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in &files {
        let (name, code) = (module(path), text.split("#[cfg(test)]").next().unwrap());
        if name != "lib" {
            graph.insert(name.clone(), arrows(&name, code, &modules));
        }
    }
    assert!(graph.values().map(BTreeSet::len).sum::<usize>() > 50, "{graph:?}");
    // Files that import nothing that is left are taken away; what remains runs in circles.
    loop {
        let free: Vec<String> = graph
            .iter()
            .filter(|(_, to)| to.iter().all(|to| !graph.contains_key(to)))
            .map(|(name, _)| name.clone())
            .collect();
        if free.is_empty() {
            break;
        }
        for name in &free {
            graph.remove(name);
        }
    }
    assert!(graph.is_empty(), "imports in circles: {graph:#?}");
}

/// Lines that the whole program may have, some 60 for each of its 35 verbs: it words requests and
/// results, and nothing else.
const LONGEST_PROGRAM: usize = 2070;
/// Lines that the file of a verb may have.
const LONGEST_VERB: usize = 120;

#[test]
fn the_program_is_thin() {
    let files = sources("cli/src");
    let lines = |text: &str| text.lines().count();
    let all: usize = files.iter().map(|(_, text)| lines(text)).sum();
    assert!(all > 500 && all < LONGEST_PROGRAM, "{all} lines");
    for (path, text) in files.iter().filter(|(path, _)| path.iter().any(|part| part == "verbs")) {
        assert!(lines(text) <= LONGEST_VERB, "{}: {} lines", path.display(), lines(text));
    }
}
