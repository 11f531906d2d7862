//! Sets with a planted flaw: `explain score` names it, and names none where there is none.

use std::fs;
use std::path::{Path, PathBuf};

use ganscope::images::{Image, save_png};
use ganscope::weights::{Array, ReadOptions, npy, read};
use serde_json::Value;
use tempfile::TempDir;

use crate::setup::{ganscope, picture, run};

/// Images of each set.
const IMAGES: usize = 1000;
/// Deviation of a share of the distance, as nearly ten pictures of the tail are not planted.
const OF_PART: f64 = 0.1;

/// A folder with the sets `a` and `reference` of one generator, of the same classes and other seeds.
fn sets() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, seeds) in [("a", "0-999"), ("reference", "1000-1999")] {
        let words = ["generate", "fashion-biggan", "--seeds", seeds, "--class", "each", "-q", "-o"];
        run(folder.path(), &[&words[..], &[name]].concat());
    }
    folder
}

/// Changes the set `a`: the path of the image of each seed.
fn edit(folder: &Path, mut change: impl FnMut(usize, PathBuf)) {
    for seed in 0..IMAGES {
        change(seed, folder.join(format!("a/seed{seed:04}.png")));
    }
}

/// What is found out about the set `a`, with the text that is printed.
fn explained(folder: &Path) -> (Value, String) {
    let words = ["explain", "score", "a", "-r", "reference", "--extractor", "fashion-cnn"];
    let text = run(folder, &[&words[..], &["--heat", "0", "--no-cache", "-q", "-o", "r"]].concat());
    let report = fs::read_to_string(folder.join("r/report.json")).unwrap();
    (serde_json::from_str(&report).unwrap(), text)
}

/// Names in a list of the report.
fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

/// Names of every 20th image.
fn is_planted(name: &str) -> bool {
    name.strip_prefix("seed")
        .and_then(|n| n[..4].parse::<usize>().ok())
        .is_some_and(|n| n % 20 == 0)
}

#[test]
fn a_clean_split_raises_no_alarm() {
    let folder = sets();
    let (report, text) = explained(folder.path());
    assert_eq!(report["causes"], serde_json::json!([]), "{text}");
    assert!(text.contains("nothing differs by more than chance"), "{text}");
    // The distance of the sets is that of chance.
    let [distance, chance] = ["distance", "by_chance"].map(|name| report[name].as_f64().unwrap());
    assert!((0.5..2.0).contains(&(distance / chance)), "{distance} {chance}");
    let page = fs::read_to_string(folder.path().join("r/report.html")).unwrap();
    assert!(page.contains("Nothing differs by more than chance."));
}

#[test]
fn a_class_that_is_missing_and_one_that_is_doubled_are_named() {
    let folder = sets();
    edit(folder.path(), |seed, path| match seed % 10 {
        1 => fs::remove_file(path).unwrap(),
        5 => {
            fs::copy(&path, path.with_file_name(format!("again{seed:04}.png"))).unwrap();
        }
        _ => {}
    });
    let (report, text) = explained(folder.path());
    assert!(text.contains("Too few pictures of trouser"), "{text}");
    assert!(text.contains("Too many pictures of sandal"), "{text}");
    for modes in report["modes"].as_array().unwrap() {
        for (side, class) in [("missing", "trouser"), ("over_represented", "sandal")] {
            let first = &modes[side].as_array().unwrap()[..2];
            let named =
                |mode: &Value| mode["kind"]["title"] == class && mode["beyond_chance"] == true;
            assert!(first.iter().any(named), "{side}: {first:?}");
        }
    }
    let part = report["classes"]["part"].as_f64().unwrap();
    assert!(part > 0.5, "{part}");
    assert_eq!(report["causes"][0]["section"], "classes");
    let score = ["score", "a", "-r", "reference", "--extractor", "fashion-cnn", "--no-cache"];
    let output = ganscope(&score).current_dir(folder.path()).assert().success();
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("of FD (fashion-cnn) is the mix of classes"), "{stderr}");
}

#[test]
fn blurred_pictures_are_at_the_end_of_a_first_direction_and_called_blurry() {
    let folder = sets();
    edit(folder.path(), |seed, path| {
        if seed % 20 == 0 {
            save_png(&path, &blurred(&picture(&path))).unwrap();
        }
    });
    let (report, text) = explained(folder.path());
    // Five of a hundred pictures add variety rather than take it away: they lie apart.
    let direction = &report["directions"]["directions"][0];
    let planted =
        |end: &Value| names(&end["generated"]).into_iter().filter(|name| is_planted(name)).count();
    let ends: Vec<usize> = direction["ends"].as_array().unwrap().iter().map(planted).collect();
    assert!(ends.iter().any(|&count| count >= 20), "{ends:?} of 25");
    assert!(direction["stretch"].as_f64().unwrap() > 1.5, "{direction}");
    assert!(text.contains("blurrier than 99 % of the reference. Without them FD"), "{text}");
    assert!(!text.contains("on the whole: median sharpness"), "the rest is as sharp: {text}");
    let sharpness = &report["looks"][3];
    assert_eq!(sharpness["measure"], "sharpness");
    let blurry = names(&sharpness["tail_images"][0]);
    assert!(blurry.len() == 25 && blurry.iter().all(|name| is_planted(name)), "{blurry:?}");
    // What is said to vanish without them is what vanishes.
    edit(folder.path(), |seed, path| {
        if seed % 20 == 0 {
            fs::remove_file(path).unwrap();
        }
    });
    let (rest, _) = explained(folder.path());
    let [distance, rest] = [&report, &rest].map(|report| report["distance"].as_f64().unwrap());
    let part = sharpness["tail_parts"][0].as_f64().unwrap();
    let expected = 1.0 - rest / distance;
    assert!((part / expected - 1.0).abs() < OF_PART, "{part} and {expected}");
}

#[test]
fn copies_of_the_reference_are_all_flagged() {
    let folder = sets();
    edit(folder.path(), |seed, path| {
        if seed % 33 == 0 {
            let original = folder.path().join(format!("reference/seed{:04}.png", 1000 + seed));
            fs::copy(original, path).unwrap();
        }
    });
    let (report, text) = explained(folder.path());
    assert!(text.contains("are nearly copies of reference images"), "{text}");
    let copies = report["copies"]["near_copies"].as_array().unwrap();
    for seed in (0..IMAGES).step_by(33) {
        let pair = |copy: &&Value| copy["generated"] == format!("seed{seed:04}.png");
        let copy = copies.iter().find(pair).unwrap_or_else(|| panic!("{seed} is not flagged"));
        assert_eq!(copy["reference"], format!("seed{:04}.png", 1000 + seed));
        assert_eq!(copy["distance"], 0.0);
    }
    assert!(copies.len() <= 31 + 2, "{} are flagged", copies.len());
}

#[test]
fn raised_contrast_is_called_so() {
    let folder = sets();
    edit(folder.path(), |_, path| {
        let image = picture(&path);
        let mean =
            image.pixels.iter().map(|&v| f64::from(v)).sum::<f64>() / image.pixels.len() as f64;
        let raise = |v: &u8| ((f64::from(*v) - mean) * 1.2 + mean).round().clamp(0.0, 255.0) as u8;
        let pixels = image.pixels.iter().map(raise).collect();
        save_png(&path, &Image { pixels, ..image }).unwrap();
    });
    let (report, text) = explained(folder.path());
    assert!(text.contains("richer in contrast"), "{text}");
    assert_eq!(report["looks"][1]["measure"], "contrast");
    assert_eq!(report["looks"][1]["differs"], true);
}

/// A picture after three passes of the mean over 3 x 3 pixels.
fn blurred(image: &Image) -> Image {
    let (width, height) = (image.width, image.height);
    let pass = |pixels: &[u8]| -> Vec<u8> {
        let at = |x: usize, y: usize, c: usize| f64::from(pixels[3 * (y * width + x) + c]);
        let mean = |i: usize| {
            let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
            let near = |v: usize, end: usize| v.saturating_sub(1)..end.min(v + 2);
            let values = near(y, height).flat_map(|y| near(x, width).map(move |x| (x, y)));
            let values: Vec<f64> = values.map(|(x, y)| at(x, y, c)).collect();
            (values.iter().sum::<f64>() / values.len() as f64).round() as u8
        };
        (0..pixels.len()).map(mean).collect()
    };
    Image { pixels: pass(&pass(&pass(&image.pixels))), width, height }
}

/// The features of real test images and their predicted classes.
fn real() -> (Vec<f32>, Vec<usize>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fashion-test.safetensors");
    let weights = read(&path, &ReadOptions::default()).unwrap();
    let values = |name: &str| weights.arrays[name].to_f32();
    let class = |row: &[f32]| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    (values("features"), values("logits").chunks_exact(10).map(class).collect())
}

#[test]
fn a_split_of_real_images_is_clean_and_a_class_without_images_is_a_missing_mode() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, classes) = real();
    let write = |name: &str, images: &[usize]| {
        let data: Vec<f32> =
            images.iter().flat_map(|&i| &rows[128 * i..][..128]).copied().collect();
        let array = Array::from_f32([images.len(), 128], &data).unwrap();
        npy::write(&folder.path().join(name), &array).unwrap();
    };
    let half: Vec<usize> = (0..2500).collect();
    write("half.npy", &half);
    write("rest.npy", &(2500..5000).collect::<Vec<_>>());
    let trousers: Vec<usize> =
        (2500..5000).filter(|&i| classes[i] == 1).map(|i| i - 2500).collect();
    write("none.npy", &half.iter().copied().filter(|&i| classes[i] != 1).collect::<Vec<_>>());
    let explain = |set: &str| -> Value {
        run(folder.path(), &["explain", "score", set, "-r", "rest.npy", "-q", "-o", "r"]);
        serde_json::from_str(&fs::read_to_string(folder.path().join("r/report.json")).unwrap())
            .unwrap()
    };
    let clean = explain("half.npy");
    assert_eq!(clean["causes"], serde_json::json!([]));
    // Rows have numbers in place of pictures.
    let page = fs::read_to_string(folder.path().join("r/report.html")).unwrap();
    assert!(page.contains("high end, reference: row ") && !page.contains("<figure"));
    let found = explain("none.npy");
    for modes in found["modes"].as_array().unwrap() {
        let first = &modes["missing"][0];
        assert_eq!(first["beyond_chance"], true);
        for name in names(&first["images"]) {
            let row: usize = name.strip_prefix("row ").unwrap().parse().unwrap();
            assert!(trousers.contains(&row), "{name} is no trouser");
        }
    }
    let causes = found["causes"].as_array().unwrap();
    assert!(causes.iter().any(|cause| cause["section"] == "modes"), "{causes:?}");
}
