//! Directions of W, edits along them, and files of style inputs.

use std::path::Path;

use ganscope::weights::npz;
use serde_json::Value;

use crate::setup::{ganscope, picture, place, run};

fn directions(folder: &Path, words: &[&str]) -> Value {
    let all = [&["directions", "fashion-stylegan2", "--json"], words].concat();
    serde_json::from_str(&run(folder, &all)).unwrap()
}

#[test]
fn a_direction_of_a_class_makes_pictures_of_the_class() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let words = ["--method", "class", "--classes", "ankle boot,dress", "--samples", "1500"];
    let found =
        directions(folder.path(), &[&words[..], &["-o", "d.npz", "--sheet", "s.png"]].concat());
    assert_eq!(found["names"][0], "ankle-boot (9)");
    assert!(found["strength"][0].as_f64().unwrap() > 0.9, "{found}");
    let arrays = npz::read(&path("d.npz")).unwrap();
    assert_eq!(arrays["directions"].shape(), [2, 64]);
    assert_eq!(arrays["spread"].shape(), [2]);
    assert!(picture(&path("s.png")).width > 7 * 64);

    // Shoes and bags become boots; coats lie on another side of W.
    let edit = ["edit", "fashion-stylegan2", "--seeds", "0-39", "--direction", "d.npz:0=4"];
    let files = ["--ws-output", "w.npz", "-o", "e.png", "-q"];
    run(folder.path(), &[&edit[..], &files].concat());
    for (name, words) in [("before", ["--seeds", "0-39"]), ("after", ["--ws", "w.npz"])] {
        let all = [&["generate", "fashion-stylegan2", "-o", name, "-q"], &words[..]].concat();
        run(folder.path(), &all);
    }
    let boots = |name: &str| {
        let out = format!("{name}-explained");
        let words = ["explain", "gradient", name, "--model", "fashion-cnn", "-o", &out, "-q"];
        run(folder.path(), &words).lines().filter(|line| line.contains(": ankle-boot")).count()
    };
    let (before, after) = (boots("before"), boots("after"));
    assert!(after >= 2 * before && after > 10, "{before} boots became {after}");
    // The last column of the sheet is what the file of style inputs draws.
    let sheet = picture(&path("e.png"));
    let first = picture(&path("after/w0000.png")).enlarged(2);
    assert!(place(&sheet, &first).is_some());
}

#[test]
fn a_direction_by_gradients_leads_nearly_all_pictures_of_a_class() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["--method", "gradient", "--from", "pullover", "--classes", "coat"];
    let more = ["--samples", "3000", "-o", "d.npz", "--sheet", "s.png"];
    let found = directions(folder.path(), &[&words[..], &more].concat());
    // In PyTorch 98 % of the gradients that were left out agree.
    assert!(found["strength"][0].as_f64().unwrap() > 0.9, "{found}");
    let turned = &found["reach"][0]["turned"];
    assert!((0..2).all(|side| turned[side].as_f64().unwrap() >= 0.85), "{found}");
    let seed = found["seed"].as_u64().unwrap() as u32;
    assert!(seed >= 3000, "{seed} was fitted to");

    let real = &found["reach"][0]["real"];
    assert!((0..2).all(|side| real[side].as_f64().unwrap() >= 1.0), "{found}");
    assert!(picture(&folder.path().join("s.png")).width > 7 * 64);

    let few = ["--method", "class", "--from", "bag", "--samples", "50", "-o", "x.npz"];
    let few = [&["directions", "fashion-biggan", "--class", "1"], &few[..]].concat();
    let beyond = ["directions", "fashion-stylegan2", "--method", "gradient", "--styles", "7-8"];
    let wrong = [
        (few, ["0 of 50 pictures are of bag", "--from"]),
        (beyond.to_vec(), ["style 8 is beyond the last one, 7", "--styles"]),
    ];
    for (words, parts) in wrong {
        let output = ganscope(&words).current_dir(folder.path()).assert().failure().code(1);
        let error = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn style_inputs_draw_the_pictures_of_the_seeds_that_they_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let seeds =
        ["generate", "fashion-stylegan2", "--seeds", "3,8", "--psi", "0.7", "-o", "a", "-q"];
    run(folder.path(), &[&seeds[..], &["--ws-output", "w.npz"]].concat());
    run(
        folder.path(),
        &["generate", "fashion-stylegan2", "--projected-w", "w.npz", "-o", "b", "-q"],
    );
    for (seed, w) in [("seed0003", "w0000"), ("seed0008", "w0001")] {
        let [a, b] =
            [format!("a/{seed}.png"), format!("b/{w}.png")].map(|name| picture(&path(&name)));
        assert_eq!(a, b);
    }
    let other = ["generate", "fashion-biggan", "--class", "1", "--ws", "w.npz", "-o", "c"];
    let output = ganscope(&other).current_dir(folder.path()).assert().failure().code(1);
    let error = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(
        error.contains("style inputs of shape [2,") && error.contains("expected (N,"),
        "{error}"
    );
}

#[test]
fn wrong_directions_are_refused_with_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    directions(folder.path(), &["--num", "2", "--samples", "50", "-o", "d.npz"]);
    let error = |direction: &str| {
        let edit =
            ["edit", "fashion-stylegan2", "--seeds", "1", "-o", "e.png", "--direction", direction];
        let output = ganscope(&edit).current_dir(folder.path()).output().unwrap();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(error("d.npz:2=1").contains("has 2 directions, none of number 2"));
    assert!(error("d.npz").contains("FILE:NUMBER=DISTANCE"));
    assert!(error("none.npz:0=1").contains("none.npz"));
    assert!(!folder.path().join("e.png").exists());
    let sefa = ["directions", "fashion-biggan", "--method", "sefa", "-o", "x.npz"];
    let output = ganscope(&sefa).current_dir(folder.path()).assert().failure().code(1);
    let error = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(error.contains("have no style layers") && error.contains("--method"), "{error}");
}
