//! Pictures of generators: `generate`, `interpolate`, `mix`.

use std::fs;

use ganscope_images::Image;

use crate::setup::{ganscope, golden_file as file, inception, picture, run};

/// Standard error of a call that fails with exit code `code`.
fn failure(arguments: &[&str], code: i32) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = ganscope(arguments).current_dir(folder.path()).assert().failure().code(code);
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

#[test]
fn the_batch_changes_no_picture_and_the_grid_holds_them_all() {
    let folder = tempfile::tempdir().unwrap();
    let model = file("biggan-tiny.bin");
    let generate = |batch: &str, outdir: &str| {
        let options = ["--seeds", "3-6", "--class", "each", "--grid", "2x2"];
        let batch = ["--batch", batch, "--outdir", outdir];
        run(folder.path(), &[&["generate", &model][..], &options, &batch].concat());
    };
    generate("1", "alone");
    generate("4", "together");
    for name in ["seed0003.png", "seed0006.png", "grid.png"] {
        let read = |outdir: &str| fs::read(folder.path().join(outdir).join(name)).unwrap();
        assert!(read("alone") == read("together"), "{name}");
    }
    let zoomed = ["--seeds", "3-6", "--class", "each", "--grid", "2x2", "--zoom", "3"];
    run(folder.path(), &[&["generate", &model][..], &zoomed].concat());
    assert_eq!(picture(&folder.path().join("out/grid.png")).width, 3 * 128);
    let grid = picture(&folder.path().join("alone/grid.png"));
    assert_eq!((grid.width, grid.height), (128, 128));
    let cell = picture(&folder.path().join("alone/seed0006.png"));
    let lower_right = &grid.pixels[3 * (64 * 128 + 64)..][..3 * 64];
    assert_eq!(lower_right, &cell.pixels[..3 * 64]);
}

#[test]
fn a_mix_of_all_styles_is_the_picture_of_the_column() {
    let folder = tempfile::tempdir().unwrap();
    let model = file("stylegan-s2-skip.pkl");
    run(folder.path(), &["generate", &model, "--seeds", "1,2,55", "--trunc", "0.7"]);
    let seeds = ["--rows", "1,2", "--cols", "55", "--trunc", "0.7"];
    run(folder.path(), &[&["mix", &model, "-o", "all", "--styles", "0-7"][..], &seeds].concat());
    run(
        folder.path(),
        &[&["mix", &model, "-o", "some.png", "--styles", "0-3"][..], &seeds].concat(),
    );
    let column = picture(&folder.path().join("out/seed0055.png"));
    assert!(picture(&folder.path().join("all/1-55.png")) == column);
    assert!(picture(&folder.path().join("all/2-55.png")) == column);
    let (all, some) =
        (picture(&folder.path().join("all/grid.png")), picture(&folder.path().join("some.png")));
    assert_eq!((some.width, some.height), (2 * 32, 3 * 32));
    // The left half shows the unmixed rows under a blank cell, in both.
    let left = |image: &Image| -> Vec<u8> {
        image.pixels.chunks(3 * 64).flat_map(|row| row[..3 * 32].to_vec()).collect()
    };
    assert_eq!(left(&all), left(&some));
    assert!(left(&all)[..3 * 32 * 32].iter().all(|&v| v == 0));
    assert_eq!(
        left(&all)[3 * 32 * 32..][..3 * 32 * 32],
        picture(&folder.path().join("out/seed0001.png")).pixels
    );
    assert!(all != some);
}

#[test]
fn every_space_of_a_walk_begins_and_ends_with_the_seeds() {
    let folder = tempfile::tempdir().unwrap();
    let model = file("stylegan-s2-skip.pkl");
    run(folder.path(), &["generate", &model, "--seeds", "85,265"]);
    let walk = ["interpolate", &model, "--seeds", "85,265", "--steps", "5", "-o"];
    let table = run(folder.path(), &[&walk[..], &["rows.png", "--no-captions"]].concat());
    for space in ["z", "z-slerp", "w"] {
        assert!(table.lines().any(|line| line.trim_start().starts_with(space)), "{table}");
    }
    let rows = picture(&folder.path().join("rows.png"));
    assert_eq!((rows.width, rows.height), (5 * 32, 3 * 32));
    let cell = |column: usize, row: usize| -> Vec<u8> {
        let lines = rows.pixels.chunks(3 * 5 * 32).skip(32 * row).take(32);
        lines.flat_map(|line| line[3 * 32 * column..][..3 * 32].to_vec()).collect()
    };
    for row in 0..3 {
        assert_eq!(cell(0, row), picture(&folder.path().join("out/seed0085.png")).pixels);
        assert_eq!(cell(4, row), picture(&folder.path().join("out/seed0265.png")).pixels);
    }
    assert!(cell(2, 0) != cell(2, 2), "Z and W part in the middle");
}

#[test]
fn captions_stand_above_the_rows_of_a_walk() {
    let folder = tempfile::tempdir().unwrap();
    let model = file("stylegan-s2-skip.pkl");
    let walk = ["interpolate", &model, "--seeds", "85,265", "--steps", "5", "-o"];
    let plain = run(folder.path(), &[&walk[..], &["plain.png", "--no-captions"]].concat());
    assert_eq!(run(folder.path(), &[&walk[..], &["rows.png"]].concat()), plain);
    let (rows, plain) =
        (picture(&folder.path().join("rows.png")), picture(&folder.path().join("plain.png")));
    // Three times as large, to make room for the captions.
    assert_eq!(rows.width, 3 * plain.width);
    let caption = (rows.height - 3 * plain.height) / 3;
    for row in 0..3 {
        let top = row * (caption + 96);
        let strip = &rows.pixels[3 * rows.width * top..][..3 * rows.width * caption];
        let ink = strip.iter().filter(|&&v| v < 128).count();
        assert!(ink > 100 && ink < strip.len() / 4, "{ink}");
        let lines = (0..32).map(|y| 3 * rows.width * (top + caption + 3 * y));
        let thinned = lines.flat_map(|start| rows.pixels[start..][..3 * rows.width].chunks(9));
        let thinned: Vec<u8> = thinned.flat_map(|pixel| pixel[..3].to_vec()).collect();
        assert!(thinned == plain.pixels[3 * plain.width * 32 * row..][..thinned.len()], "{row}");
    }
}

#[test]
fn a_walk_moves_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let model = file("stylegan-s2-skip.pkl");
    let walk = ["interpolate", &model, "--seeds", "1,2", "--steps", "3", "--closed"];
    let spaces = ["--spaces", "w,w-spline", "-o"];
    for output in ["walk.gif", "walk.webp", "frames"] {
        run(folder.path(), &[&walk[..], &spaces, &[output]].concat());
    }
    // Two legs of two steps; the last frame would be the first.
    assert_eq!(fs::read_dir(folder.path().join("frames")).unwrap().count(), 4);
    let first = picture(&folder.path().join("frames/frame0000.png"));
    assert_eq!((first.width, first.height), (2 * 32, 32));
    assert!(fs::read(folder.path().join("walk.gif")).unwrap().starts_with(b"GIF89a"));
    let webp = fs::read(folder.path().join("walk.webp")).unwrap();
    assert_eq!(webp.windows(4).filter(|w| *w == b"ANMF").count(), 4);
}

#[test]
fn classes_are_walked_through_with_one_seed() {
    let folder = tempfile::tempdir().unwrap();
    let model = file("biggan-tiny.bin");
    let classes = ["--seeds", "7", "--class", "1", "--class", "8", "--steps", "3"];
    run(
        folder.path(),
        &[&["interpolate", &model, "-o", "walk.png", "--no-captions"][..], &classes].concat(),
    );
    let rows = picture(&folder.path().join("walk.png"));
    let (upper, lower) = rows.pixels.split_at(rows.pixels.len() / 3);
    assert!(upper == &lower[..upper.len()], "z does not move, so every space shows the same");
}

#[test]
fn a_path_length_depends_on_its_paths_alone() {
    let (folder, weights) = (tempfile::tempdir().unwrap(), inception());
    let (skip, biggan) = (file("stylegan-s2-skip.pkl"), file("biggan-tiny.bin"));
    let distance = ["--distance", "inception", "--weights", weights.to_str().unwrap()];
    let length = |arguments: &[&str]| -> f64 {
        let fixed = ["--num", "3", "--epsilon", "1e-2", "--json"];
        let json = run(folder.path(), &[&["path-length"], arguments, &fixed, &distance].concat());
        let report: serde_json::Value = serde_json::from_str(&json).unwrap();
        report["path_length"].as_f64().unwrap()
    };
    let alone = length(&[&skip, "--batch", "1"]);
    assert!(alone > 0.0 && alone.is_finite());
    assert_eq!(alone, length(&[&skip, "--batch", "3"]));
    assert!(alone != length(&[&skip, "--space", "z"]));
    assert!(alone != length(&[&skip, "--sampling", "full"]));
    assert!(length(&[&biggan, "--class", "1", "--trunc", "0.5"]) > 0.0);
    let none = ["path-length", &biggan, "--class", "1", "--trunc", "0"];
    let error = failure(&[&none[..], &distance].concat(), 1);
    assert!(error.contains("hint: give a threshold above 0 and at most 1"), "{error}");
    failure(&["path-length", &skip, "--num", "0"], 2);
    let truncated = ["path-length", &skip, "--trunc", "0.5"];
    let error = failure(&[&truncated[..], &distance].concat(), 1);
    assert!(error.contains("hint:") && error.contains("--trunc"), "{error}");
}

#[test]
fn what_cannot_be_done_is_said_with_the_way_out() {
    let (biggan, skip) = (file("biggan-tiny.bin"), file("stylegan-s2-skip.pkl"));
    let generate =
        |arguments: &[&str]| failure(&[&["generate", "--seeds", "0", "-q"], arguments].concat(), 1);
    let expect = |stderr: &str, words: &[&str]| {
        for word in words {
            assert!(stderr.contains(word), "no `{word}` in: {stderr}");
        }
    };
    expect(&generate(&[&biggan]), &["10 classes", "hint:", "--class"]);
    expect(&generate(&[&biggan, "--class", "10"]), &["class 10 is beyond", "hint:", "0 to 9"]);
    expect(&generate(&[&biggan, "--class", "cat"]), &["no class `cat`", "hint:", "number"]);
    expect(&generate(&[&biggan, "--class", "0", "--trunc", "1.5"]), &["1.5", "0 to 1"]);
    expect(&generate(&[&skip, "--class", "1"]), &["no classes", "hint:"]);
    expect(&generate(&["nothing.pkl"]), &["no model `nothing.pkl`", "hint:"]);
    expect(&generate(&[&file("stylegan.safetensors")]), &["no StyleGAN generator", "hint:"]);
    expect(&generate(&[&skip, "--key", "D"]), &["`D`"]);
    expect(&generate(&[&skip, "--rotate", "90"]), &["only StyleGAN3"]);
}

#[test]
fn lists_with_a_typo_are_usage_errors() {
    let skip = file("stylegan-s2-skip.pkl");
    let seeds = failure(&["generate", &skip, "--seeds", "0,1,4-"], 2);
    let grid = failure(&["generate", &skip, "--seeds", "0", "--grid", "0x1"], 2);
    assert!(grid.contains("as `8x4`"), "{grid}");
    assert!(seeds.contains("a number is missing") && seeds.contains("0,1,4-6"), "{seeds}");
    let mix = ["mix", &skip, "--rows", "1", "--cols", "2", "-o", "m.png", "--styles"];
    assert!(failure(&[&mix[..], &["a"]].concat(), 2).contains("`a` is not a number"));
    assert!(failure(&[&mix[..], &["0-8"]].concat(), 1).contains("style is 8, expected 0 to 7"));
    let walk = ["interpolate", &skip, "--seeds", "1,2", "-o"];
    let spaces = ["w.png", "--spaces", "x"];
    assert!(failure(&[&walk[..], &spaces].concat(), 2).contains("no such space"));
    assert!(failure(&[&walk[..], &["w.mp4"]].concat(), 1).contains("`.mp4`"));
    let spline = ["w.png", "--spaces", "w-spline"];
    assert!(failure(&[&walk[..], &spline].concat(), 1).contains("--closed"));
    let single = failure(&["interpolate", &skip, "--seeds", "1", "-o", "w.png"], 1);
    assert!(single.contains("two end points"), "{single}");
}
