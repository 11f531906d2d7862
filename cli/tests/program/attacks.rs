//! Small files made to take the machine, to run code, or to leave their folder: each ends soon, within
//! a budget of memory, with a result or an error.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ganscope::images::probe;

/// Memory that a run may take beside its content.
const FREE: u64 = 64 << 20;
/// Memory for each byte of the content: of the file, or of the pixels that its header claims.
const PER_BYTE: u64 = 4;
/// Memory of a run on a harmless file: program, shipped network, threads.
const BASE: u64 = 64 << 20;
/// Longest run. Alone the program needs less than two seconds for each; here it is built without all
/// optimizations, and other tests run beside it.
const LONGEST: Duration = Duration::from_secs(20);

fn attacks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks")
}

/// The files of a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// Bytes that the content of a file honestly takes.
fn honest(file: &Path) -> u64 {
    let bytes = fs::read(file).unwrap();
    let pixels = probe(&bytes, "x").map_or(0, |(_, width, height)| 3 * (width * height) as u64);
    pixels.max(bytes.len() as u64)
}

/// Runs the program to its end; fails if that is a crash, comes late, or takes much memory.
fn run(folder: &Path, arguments: &[&str], honest: u64) -> String {
    let call = format!("ganscope {}", arguments.join(" "));
    let [out, err] = ["out.txt", "err.txt"].map(|name| folder.join(name));
    let to = |path: &Path| Stdio::from(fs::File::create(path).unwrap());
    let program = env!("CARGO_BIN_EXE_ganscope");
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .envs([("GANSCOPE_CACHE", folder.join("cache")), ("HF_HUB_OFFLINE", "1".into())])
        .args(["--threads", "2", "-q"])
        .stdout(to(&out))
        .stderr(to(&err))
        .spawn()
        .unwrap();
    let (began, mut peak) = (Instant::now(), 0);
    let status = loop {
        let text = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = kilobytes.map_or(peak, |kilobytes: u64| 1024 * kilobytes);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > LONGEST {
            child.kill().unwrap();
            panic!("`{call}` is not done after {LONGEST:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text =
        [&out, &err].map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
    let text = text.concat();
    assert!(matches!(status.code(), Some(0 | 1)), "`{call}`: {status}: {text}");
    let budget = BASE + FREE + PER_BYTE * honest;
    assert!(peak <= budget, "`{call}`: {} MiB of {} MiB: {text}", peak >> 20, budget >> 20);
    assert!(!text.contains('\u{1b}'), "`{call}` lets a file steer the terminal: {text:?}");
    assert!(!text.contains("panicked"), "`{call}`: {text}");
    text
}

#[test]
fn checkpoints_run_no_code_and_take_no_machine() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(&attacks().join("pickles"));
    assert!(files.len() > 80, "{} files", files.len());
    for file in files {
        let (path, honest) = (file.to_str().unwrap(), honest(&file));
        run(folder.path(), &["inspect", path], honest);
        run(folder.path(), &["convert", path, "-o", "out.safetensors"], honest);
    }
    // Those that would run something have nothing left behind.
    let mut left: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    left.retain(|name| name != "out.safetensors");
    assert_eq!(left, ["err.txt", "out.txt"]);
}

#[test]
fn sets_of_images_take_no_machine() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = [files(&attacks()), files(&attacks().join("archives"))].concat();
    files.retain(|file| !file.to_str().unwrap().contains("network-"));
    assert!(files.len() > 60, "{} files", files.len());
    for file in files {
        let path = file.to_str().unwrap();
        let score = ["score", path, "-m", "is", "--is-splits", "1", "--extractor", "fashion-cnn"];
        run(folder.path(), &[&score[..], &["--no-cache"]].concat(), honest(&file));
    }
}

#[test]
fn statistics_at_the_edge_of_numbers_are_compared_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let [denormal, ok] =
        ["stats-denormal-64.npz", "stats-ok-64.npz"].map(|name| attacks().join(name));
    let (denormal, ok) = (denormal.to_str().unwrap(), ok.to_str().unwrap());
    let text = run(folder.path(), &["score", denormal, "-r", denormal, "-m", "fid"], 0);
    assert!(!text.contains("converge"), "{text}");
    run(folder.path(), &["score", denormal, "-r", ok, "-m", "fid"], 0);
}

#[test]
fn described_networks_of_absurd_sizes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let image = attacks().join("webp-4096-lossless.webp");
    let weights = attacks().join("network-stride.safetensors");
    for name in ["network-stride.json", "network-avgpool.json"] {
        let network = attacks().join(name);
        let paths = [&image, &network, &weights].map(|path| path.to_str().unwrap());
        let [image, network, weights] = paths;
        let explain =
            ["explain", "gradient", image, "--network", network, "--weights", weights, "-o", "x"];
        let text = run(folder.path(), &explain, honest(Path::new(image)));
        assert!(text.contains("a size of 1048576"), "{text}");
    }
}
