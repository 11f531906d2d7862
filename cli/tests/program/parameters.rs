//! Every number that can be typed, at its edges: an answer, or work that goes on within bounds.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::setup::run;

/// Edges of numbers, and nonsense. With `GANSCOPE_EDGES=all` all are tried.
const EDGES: &[&str] =
    &["0", "18446744073709551615", "nan", "-1", "1", "4294967296", "1e308", "1e-320"];
/// As many are tried in the gate.
const FEW: usize = 3;
/// What has not answered by then works, and may go on.
const PATIENCE: Duration = Duration::from_secs(2);
/// Memory of a run on the small inputs of this test.
const MEMORY: u64 = 1 << 30;

/// Calls that work as they stand, one for each verb that takes numbers.
const CALLS: &[&[&str]] = &[
    &["score", "a", "-r", "a", "--extractor", "fashion-cnn", "-m", "is,kid,prdc"],
    &["compare-presets", "a", "-r", "a", "--extractor", "fashion-cnn", "-m", "is,fid,kid"],
    &["plan", "a", "-r", "fashion-test", "--extractor", "fashion-cnn", "--difference", "1"],
    &["stats", "a", "-o", "s.safetensors", "--extractor", "fashion-cnn"],
    &["features", "a", "-o", "f.npy", "--extractor", "fashion-cnn"],
    &["sweep", "fashion-biggan", "-r", "fashion-test", "-o", "s", "--num", "20", "--psi", "1"],
    &["generate", "fashion-stylegan2", "--seeds", "0-3", "--grid", "2x2", "-o", "g"],
    &["interpolate", "fashion-stylegan2", "--seeds", "1,2", "-o", "w.png"],
    &["mix", "fashion-stylegan2", "--rows", "1,2", "--cols", "3", "-o", "m.png"],
    &[
        "path-length",
        "fashion-biggan",
        "--distance",
        "fashion-cnn",
        "--num",
        "8",
        "--class",
        "each",
    ],
    &["explain", "lime,occlusion,smoothgrad", "a/00.png", "--model", "fashion-cnn", "-o", "e"],
    &["explain", "score", "a", "-r", "fashion-test", "--extractor", "fashion-cnn", "-o", "r"],
    &["cache", "prune", "--dry-run"],
    &["directions", "fashion-stylegan2", "--samples", "64", "-o", "d.npz", "--sheet", "d.png"],
    &["project", "fashion-stylegan2", "a/00.png", "--steps", "10", "-o", "p"],
    &["video", "fashion-stylegan2", "--seeds", "1,2", "--w-frames", "3", "-o", "v.gif"],
    &["edit", "fashion-stylegan2", "--seeds", "1", "--direction", "d.npz:0=1", "-o", "e.png"],
    &["explain", "maximize", "--class", "1", "--model", "fashion-cnn", "-o", "x.png"],
    &["explain", "latent", "fashion-biggan", "--class", "1", "--seeds", "0-3", "-o", "l.png"],
    &["explain", "counterfactual", "fashion-stylegan2", "--seeds", "2", "-o", "c.png"],
    &[
        "explain",
        "unit",
        "a",
        "--layer",
        "0",
        "--unit",
        "1",
        "--model",
        "fashion-cnn",
        "-o",
        "u.png",
    ],
];

/// The options of a call that take numbers: those that a word is nothing for.
fn numeric(call: &[&str]) -> Vec<String> {
    let program = ganscope_cli::command();
    let below = call.iter().map_while({
        let mut verb = &program;
        move |name| verb.find_subcommand(name).inspect(|found| verb = found)
    });
    let verb = below.last().expect("a verb").clone();
    let options = verb.get_arguments().filter(|arg| arg.get_action().takes_values());
    let takes = |option: &str, value: &str| {
        let words = ["ganscope"].iter().chain(call).map(|&word| word.to_owned());
        let given = call.contains(&format!("--{option}").as_str());
        let words: Vec<String> = words.chain([format!("--{option}"), value.to_owned()]).collect();
        given || ganscope_cli::refusal(&words).is_none()
    };
    let names = options.filter_map(|arg| arg.get_long().map(str::to_owned));
    names.filter(|name| !takes(name, "xyz") && (takes(name, "2") || takes(name, "0.5"))).collect()
}

#[test]
fn every_number_that_can_be_typed_has_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    run(
        folder.path(),
        &["generate", "fashion-biggan", "--seeds", "0-23", "--class", "each", "-o", "a", "-q"],
    );
    fs::rename(folder.path().join("a/seed0000.png"), folder.path().join("a/00.png")).unwrap();
    let all = std::env::var("GANSCOPE_EDGES").is_ok_and(|edges| edges == "all");
    let edges = if all { EDGES } else { &EDGES[..FEW] };
    let (mut problems, mut options) = (Vec::new(), 0);
    for call in CALLS {
        for option in numeric(call) {
            options += 1;
            for edge in edges {
                let typed = [format!("--{option}"), (*edge).to_owned()];
                let words: Vec<&str> =
                    call.iter().copied().chain(typed.iter().map(String::as_str)).collect();
                problems.extend(problem(folder.path(), &words));
            }
        }
    }
    assert!(options > 60, "only {options} options take numbers");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What is wrong with the end of a run, if anything is.
fn problem(folder: &std::path::Path, words: &[&str]) -> Option<String> {
    let call = words.join(" ");
    let err = folder.join("err.txt");
    let mut child = Command::new(env!("CARGO_BIN_EXE_ganscope"))
        .args(words)
        .args(["-q", "--threads", "2"])
        .current_dir(folder)
        .env("GANSCOPE_CACHE", folder.join("cache"))
        .env("HF_HUB_OFFLINE", "1")
        .stdout(Stdio::null())
        .stderr(fs::File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let began = Instant::now();
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes =
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        if kilobytes.is_some_and(|kilobytes| 1024 * kilobytes > MEMORY) {
            child.kill().unwrap();
            child.wait().unwrap();
            return Some(format!("`{call}` takes more than {MEMORY} bytes"));
        }
        if let Some(status) = child.try_wait().unwrap() {
            let text = fs::read_to_string(&err).unwrap();
            let answered = matches!(status.code(), Some(0..=2)) && !text.contains("panicked");
            return (!answered).then(|| format!("`{call}`: {status}: {text}"));
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
