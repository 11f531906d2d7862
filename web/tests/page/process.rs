//! A server in a process of its own, which a test may kill and measure: this test program, or the one that
//! `GANSCOPE_PROGRAM` names.
#![expect(clippy::print_stdout, reason = "the address is told to the test that waits for it")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ganscope::features::Cache;
use ganscope_web::{ServeRequest, serve};

/// Tells this program that it is such a server, and what it serves.
const REQUEST: &str = "GANSCOPE_TEST_SERVES";

/// Serves until it is killed, where another test starts this program for it.
#[test]
fn serves_for_another_test() {
    let Ok(request) = std::env::var(REQUEST) else { return };
    let served = serve(&serde_json::from_str::<ServeRequest>(&request).unwrap()).unwrap();
    println!("{}", served.url());
    served.run().unwrap();
}

/// The program whose server is tested instead of the library's.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::var_os("GANSCOPE_PROGRAM").map(PathBuf::from)
}

/// The command line of a request.
fn command(program: &Path, request: &ServeRequest) -> Command {
    let mut command = Command::new(program);
    command.args(["serve", "--no-open", "--port", &request.port.to_string()]);
    let lists = [
        ("--model", &request.models),
        ("--generated", &request.generated),
        ("--classifier", &request.classifiers),
        ("--directions", &request.directions),
    ];
    for (flag, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
        command.args([flag, &names.join(",")]);
    }
    let features = &request.features;
    let single = [("--reference", &request.reference), ("--extractor", &features.extractor)];
    for (flag, name) in single {
        if let Some(name) = name {
            command.args([flag, name]);
        }
    }
    match &features.cache {
        Cache::User => &mut command,
        Cache::Off => command.arg("--no-cache"),
        Cache::Folder(folder) => command.arg("--cache").arg(folder),
    };
    command
}

/// Starts a server in a folder, which is also that of its temporary files, and returns its address.
pub(crate) fn start(request: &ServeRequest, folder: &Path) -> (Child, String) {
    let mut command = if let Some(program) = program() {
        command(&program, request)
    } else {
        let mut own = Command::new(std::env::current_exe().unwrap());
        own.args(["process::serves_for_another_test", "--exact", "--nocapture"]);
        own.env(REQUEST, serde_json::to_string(request).unwrap());
        own
    };
    command.current_dir(folder).env("TMPDIR", folder).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let url = lines.find_map(|line| Some(line.ok()?.split_once("http://")?.1.to_owned()));
    std::thread::spawn(move || lines.for_each(drop));
    (process, format!("http://{}", url.expect("the server tells its address")))
}
