//! The job array of `examples/cluster`, as local processes.

use std::path::Path;
use std::process::{Child, Command};

use crate::setup::run;

/// Pictures of garments.
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/samples");

const PARTS: usize = 3;

/// Starts the job of a part, 0 to merge.
fn job(part: usize, folder: &Path) -> Child {
    let program = assert_cmd::cargo::cargo_bin!("ganscope");
    let beside = program.parent().unwrap().display();
    let path = format!("{beside}:{}", std::env::var("PATH").unwrap());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/cluster/statistics.sh");
    let mut command = Command::new("bash");
    command.arg(script).arg(SAMPLES).arg(folder);
    if part > 0 {
        command.args(["--extractor", "fashion-cnn", "--no-cache"]);
    }
    let number = part.to_string();
    let variables = [("PATH", path.as_str()), ("PARTS", "3"), ("SLURM_ARRAY_TASK_ID", &number)];
    command.envs(variables).spawn().unwrap()
}

#[test]
fn an_array_of_jobs_has_the_statistics_of_the_whole_set() {
    let folder = tempfile::tempdir().unwrap();
    let parts = folder.path().join("parts");
    let running: Vec<Child> = (1..=PARTS).map(|part| job(part, &parts)).collect();
    for mut job in running {
        assert!(job.wait().unwrap().success());
    }
    // A job that is run again changes nothing.
    assert!(job(2, &parts).wait().unwrap().success());
    assert!(job(0, &parts).wait().unwrap().success());

    let whole = folder.path().join("whole.safetensors");
    let whole = whole.to_str().unwrap();
    let flags = ["--extractor", "fashion-cnn", "--no-cache"];
    run(folder.path(), &[&["stats", SAMPLES, "-o", whole][..], &flags].concat());
    let merged = parts.join("all.safetensors");
    let read = |path: &Path| ganscope::stats::files::read(path).unwrap().set.stats.unwrap();
    let (merged, whole) = (read(&merged), read(Path::new(whole)));
    assert_eq!(merged.count(), whole.count());
    // Sums of float64 in another order.
    let error = (merged.cov().unwrap() - whole.cov().unwrap()).norm();
    assert!(error <= 1e-12 * whole.cov().unwrap().norm(), "{error}");
}
