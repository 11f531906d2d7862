//! Runs that are killed at random moments: the next one has the same result, and nothing is left over.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::setup::run;

/// Kills of each task in the gate; `GANSCOPE_KILLS` sets another number.
const KILLS: usize = 3;

/// The file that is downloaded.
const BYTES: usize = 6 << 20;

/// A task, the file or folder that it writes, and how its cache is prepared.
struct Task {
    words: Vec<String>,
    prepare: fn(&Path),
}

fn task(words: &[&str]) -> Task {
    Task { words: words.iter().map(|&word| word.to_owned()).collect(), prepare: |_| {} }
}

/// A server that needs a tenth of a second for its file, and the address of the file.
fn serve() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/model.bin", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(send(stream)));
        }
    });
    url
}

fn send(mut to: TcpStream) -> std::io::Result<()> {
    let mut from = 0;
    let lines = BufReader::new(to.try_clone()?).lines();
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        if let Some(range) = line.to_lowercase().strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().unwrap_or(0);
        }
    }
    let (content, left) = (content(), BYTES - from);
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    write!(to, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {left}\r\n")?;
    write!(to, "Content-Range: bytes {from}-{}/{BYTES}\r\n\r\n", BYTES - 1)?;
    for part in content[from..].chunks(1 << 17) {
        to.write_all(part)?;
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn content() -> Vec<u8> {
    (0..BYTES).map(|i| (i * 7 + i / 1000) as u8).collect()
}

/// A program in `folder` whose cache is the folder `cache` there.
fn start(folder: &Path, words: &[String]) -> Child {
    let cache = folder.join("cache");
    Command::new(env!("CARGO_BIN_EXE_ganscope"))
        .args(words)
        .arg("-q")
        .current_dir(folder)
        .envs([("GANSCOPE_CACHE", &cache), ("HF_HOME", &cache)])
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("err.txt")).unwrap())
        .spawn()
        .unwrap()
}

/// All files below a folder but the messages, by their path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(below) = open.pop() {
        for entry in fs::read_dir(below).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else if entry.file_name() != "err.txt" {
                let name = entry.path().strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

/// Runs a task to its end in a new folder, after `kills` runs that were killed, and returns the
/// files it leaves and the time of the last run. `moment` draws the moments.
fn outcome(
    task: &Task,
    kills: usize,
    took: Duration,
    moment: &mut impl FnMut() -> f64,
) -> (BTreeMap<String, Vec<u8>>, Duration) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("cache/features")).unwrap();
    (task.prepare)(&folder.path().join("cache/features"));
    for _ in 0..kills {
        let mut child = start(folder.path(), &task.words);
        std::thread::sleep(took.mul_f64(moment()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let began = Instant::now();
    let status = start(folder.path(), &task.words).wait().unwrap();
    let text = fs::read_to_string(folder.path().join("err.txt")).unwrap();
    assert!(status.success(), "{}: {text}", task.words.join(" "));
    (files(folder.path()), began.elapsed())
}

#[test]
fn a_killed_run_changes_no_byte_and_leaves_nothing_behind() {
    let pictures = tempfile::tempdir().unwrap();
    let drawn = ["generate", "fashion-biggan", "--seeds", "0-199", "--class", "each", "-o", "a"];
    run(pictures.path(), &drawn);
    let a = pictures.path().join("a");
    let (a, url) = (a.to_str().unwrap(), serve());
    let cnn = ["--extractor", "fashion-cnn"];
    let tasks = [
        task(&[&["score", a, "-r", a, "-m", "is,fid,prdc", "--json", "s.json"], &cnn[..]].concat()),
        task(&[&["stats", a, "-o", "s.safetensors", "--rows"], &cnn[..]].concat()),
        task(&[
            "sweep",
            "fashion-biggan",
            "-r",
            "fashion-test",
            "--num",
            "100",
            "--psi",
            "0.5,1",
            "-o",
            "s",
        ]),
        task(
            &[&["explain", "score", a, "-r", "fashion-test", "--heat", "2", "-o", "r"], &cnn[..]]
                .concat(),
        ),
        task(&["fetch", &url]),
        Task {
            prepare: |features| {
                for i in 0..300 {
                    fs::write(features.join(format!("{i:064}.rows")), vec![7; 1000]).unwrap();
                }
            },
            ..task(&["cache", "prune", "--all"])
        },
    ];
    let set = std::env::var("GANSCOPE_KILLS").ok().and_then(|kills| kills.parse().ok());
    let kills: usize = set.unwrap_or(KILLS);
    // Knuth's linear congruential generator: the moments are the same in every run.
    let mut state = 1_u64;
    let mut moment = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    for task in &tasks {
        let words = task.words.join(" ");
        let (expected, took) = outcome(task, 0, Duration::ZERO, &mut moment);
        let mut left = kills;
        while left > 0 {
            let now = left.min(1 + (3.0 * moment()) as usize);
            left -= now;
            let (found, _) = outcome(task, now, took, &mut moment);
            let names =
                |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&found), names(&expected), "{words}");
            for (name, bytes) in &expected {
                assert!(bytes == &found[name], "{words}: {name} differs");
            }
        }
    }
}
