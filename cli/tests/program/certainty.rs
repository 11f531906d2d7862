//! Which differences are real, and how many images show one.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::setup::{ganscope, run};

const FASHION: [&str; 3] = ["--extractor", "fashion-cnn", "--no-cache"];

/// A folder with two halves of the shipped samples, `even` and `odd`, and one kind of garment, `bags`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("models/samples");
    for set in ["even", "odd", "bags"] {
        fs::create_dir(folder.path().join(set)).unwrap();
    }
    let mut files: Vec<_> = fs::read_dir(samples).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for (i, file) in files.iter().enumerate() {
        let half = if i % 2 == 0 { "even" } else { "odd" };
        fs::copy(file, folder.path().join(half).join(file.file_name().unwrap())).unwrap();
    }
    // The four bags, five times each in other names, as many images as a half.
    for (i, file) in files.iter().filter(|f| f.to_str().unwrap().contains("/8-")).enumerate() {
        for copy in 0..5 {
            let name = format!("bags/{i}-{copy}.png");
            fs::copy(file, folder.path().join(name)).unwrap();
        }
    }
    folder
}

#[test]
fn sets_that_do_not_differ_share_a_letter() {
    let folder = folder();
    let call = ["score", "even", "odd", "bags", "-r", "fashion-test", "-m", "fid,vendi"];
    let output =
        ganscope(&[&call[..], &FASHION].concat()).current_dir(folder.path()).assert().success();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (table, notes) = (text(&output.get_output().stdout), text(&output.get_output().stderr));
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].contains(" a ") && lines[2].contains(" a "), "{table}");
    assert!(lines[3].contains(" b ") && lines[3].ends_with(" b"), "{table}");
    assert!(notes.contains("sets that share a letter do not differ at 5 % (Holm)"), "{notes}");

    let report = run(folder.path(), &[&call[..], &["--json", "-"], &FASHION].concat());
    let report: Value = serde_json::from_str(&report).unwrap();
    let fid = &report["differences"][0];
    assert_eq!(fid["name"], "fid");
    assert_eq!(fid["letters"], serde_json::json!(["a", "a", "b"]));
    assert_eq!(fid["pairs"].as_array().unwrap().len(), 3);
    let pair = &fid["pairs"][1];
    assert_eq!((&pair["first"], &pair["second"]), (&"even".into(), &"bags".into()));
    assert_eq!(pair["significant"], true);
    let value = |set: usize| report["scores"][4 * set]["value"].as_f64().unwrap();
    assert_eq!(pair["difference"].as_f64().unwrap(), value(0) - value(2));
    let number = |name: &str| pair[name].as_f64().unwrap();
    assert!(number("p") <= number("p_holm") && number("p_holm") <= 0.05, "{pair}");
}

#[test]
fn one_set_has_no_differences_and_unequal_sets_a_warning() {
    let folder = folder();
    let call = ["score", "even", "-r", "fashion-test", "-m", "fid", "--json", "-"];
    let report = run(folder.path(), &[&call[..], &FASHION].concat());
    let report: Value = serde_json::from_str(&report).unwrap();
    assert!(report.get("differences").is_none() && report.get("classes").is_none());
    fs::remove_file(folder.path().join("bags/0-0.png")).unwrap();
    let call = ["score", "even", "bags", "-r", "fashion-test", "-m", "fid"];
    let output =
        ganscope(&[&call[..], &FASHION].concat()).current_dir(folder.path()).assert().success();
    let notes = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(notes.contains("generated sets of 19 to 20 images"), "{notes}");
}

#[test]
fn a_plan_tells_how_many_images_show_a_difference() {
    let folder = folder();
    let call = ["plan", "--difference", "0.5", "even", "-r", "fashion-test"];
    let output =
        ganscope(&[&call[..], &FASHION].concat()).current_dir(folder.path()).assert().success();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (table, notes) = (text(&output.get_output().stdout), text(&output.get_output().stderr));
    assert!(table.contains("images needed") && table.contains("FD (fashion-cnn)"), "{table}");
    assert!(notes.contains("biased upwards"), "{notes}");
    assert!(notes.contains("seen with a chance of 0.8 at 5 %"), "{notes}");
    let json = |arguments: &[&str]| -> Value {
        let all = [arguments, &["--json", "-"], &FASHION[..]].concat();
        serde_json::from_str(&run(folder.path(), &all)).unwrap()
    };
    let needed = |found: &Value| found["plans"][0]["needed"].as_u64().unwrap();
    let coarse = json(&call);
    let fine = json(&["plan", "--difference", "0.05", "even", "-r", "fashion-test"]);
    // A tenth of the difference: a hundred times the images, up to the rounding of both.
    assert!(needed(&fine) <= 100 * needed(&coarse) && needed(&fine) > 100 * (needed(&coarse) - 1));
    let several =
        json(&["plan", "--difference", "0.1", "--metric", "prdc", "--nearest-k", "3", "-r", "odd"]);
    assert_eq!(several["plans"][0]["score"]["name"], "precision");
    assert_eq!(several["plans"][0]["score"]["generated"], "odd (even images)");
}

#[test]
fn plans_without_sense_are_refused() {
    for (arguments, part) in [
        (vec!["--difference", "0"], "`difference` is 0, expected more than 0"),
        (vec!["--difference", "1", "--power", "2"], "`power` is 2"),
        (vec!["--difference", "1"], "no set to plan with"),
    ] {
        let call = [&["plan"], &arguments[..], &FASHION].concat();
        let output = ganscope(&call).assert().failure().code(1);
        let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(error.contains(part), "{error}");
    }
}
