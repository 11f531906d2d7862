//! Pictures of generators: `generate`, `interpolate`, `mix`.

use std::fs;

use ganscope::images::Image;

use crate::setup::{ganscope, golden_file as file, inception, picture, place, run};

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
    for name in ["/seed0003.png", "/seed0006.png", "-grid.png"] {
        let read = |outdir: &str| fs::read(folder.path().join(format!("{outdir}{name}"))).unwrap();
        assert!(read("alone") == read("together"), "{name}");
    }
    let zoomed = ["--seeds", "3-6", "--class", "each", "--grid", "2x2", "--zoom", "3"];
    run(folder.path(), &[&["generate", &model][..], &zoomed].concat());
    assert_eq!(picture(&folder.path().join("out-grid.png")).width, 3 * 128);
    let grid = picture(&folder.path().join("alone-grid.png"));
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
    let names = fs::read_dir(folder.path().join("all")).unwrap();
    assert_eq!(names.count(), 2, "the table is not among the mixed pictures");
    // Small pictures are enlarged to 64 pixels; the unmixed ones stand apart, above and at the left.
    let [all, some] = ["all-table.png", "some.png"].map(|name| picture(&folder.path().join(name)));
    let shown = |picture: &Image| picture.enlarged(2);
    let row = shown(&picture(&folder.path().join("out/seed0001.png")));
    assert_eq!(place(&all, &row), place(&some, &row));
    let ([left, top], [right, above]) =
        (place(&all, &row).unwrap(), place(&all, &shown(&column)).unwrap());
    assert!(right > left + row.width + 10 && above + row.height + 10 < top, "there is no gap");
    assert!(place(&some, &shown(&column)).is_some() && all != some);
    let zoomed = ["-o", "large.png", "--styles", "0-7", "--zoom", "3"];
    run(folder.path(), &[&["mix", &model][..], &zoomed, &seeds].concat());
    assert!(place(&picture(&folder.path().join("large.png")), &column.enlarged(3)).is_some());
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
    run(folder.path(), &["generate", &model, "--seeds", "85,265"]);
    let walk = ["interpolate", &model, "--seeds", "85,265", "--steps", "5", "-o"];
    let plain = run(folder.path(), &[&walk[..], &["plain.png", "--no-captions"]].concat());
    assert_eq!(run(folder.path(), &[&walk[..], &["rows.png"]].concat()), plain);
    run(folder.path(), &[&walk[..], &["large.png", "--zoom", "5"]].concat());
    let seed = picture(&folder.path().join("out/seed0085.png"));
    for (name, zoom) in [("plain.png", 1), ("rows.png", 2), ("large.png", 5)] {
        let rows = picture(&folder.path().join(name));
        let [x, y] = place(&rows, &seed.enlarged(zoom)).unwrap();
        assert_eq!((x, y) == (0, 0), zoom == 1, "{name}");
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
    // Enlarged to 128 pixels, with a gap between them and captions above.
    let first = picture(&folder.path().join("frames/frame0000.png"));
    assert_eq!(first.width, 2 * 128 + 2);
    assert!(first.height > 128);
    let plain = ["--no-captions", "--spaces", "w,w-spline", "-o", "plain"];
    run(folder.path(), &[&walk[..], &plain].concat());
    assert_eq!(picture(&folder.path().join("plain/frame0000.png")).height, 32);
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
    assert_eq!((rows.width, rows.height), (3 * 64, 64), "z does not move: the spaces are one row");
}

#[test]
fn spaces_in_which_a_walk_is_the_same_share_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let walk = ["interpolate", "fashion-biggan", "-o", "w.png", "--steps", "4"];
    let seeds = ["--seeds", "1,2", "--class", "each", "--trunc", "0.6"];
    let table = run(folder.path(), &[&walk[..], &seeds].concat());
    let heads: Vec<&str> =
        table.lines().map(|line| line.split("  ").next().unwrap().trim()).collect();
    assert_eq!(heads, ["space", "z, w", "z-slerp"], "{table}");
}

#[test]
fn steps_and_frames_are_counted_right() {
    let folder = tempfile::tempdir().unwrap();
    let model = file("stylegan-s2-skip.pkl");
    let told = |arguments: &[&str]| {
        let walk = ["interpolate", &model, "--seeds", "1,2", "--steps", "5", "--spaces", "w"];
        let mut command = ganscope(&[&walk[..], arguments].concat());
        let output = command.current_dir(folder.path()).assert().success();
        let output = output.get_output().clone();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let steps = |table: &str| {
        table.lines().nth(1).unwrap().split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
    };
    let (table, note) = told(&["-o", "w.png"]);
    assert!(
        steps(&table) == 4 && note.contains("5 pictures, 4 steps in `w.png`"),
        "{table} {note}"
    );
    let (table, note) = told(&["-o", "w.gif", "--closed"]);
    assert!(steps(&table) == 8 && note.contains("8 frames, 8 steps in `w.gif`"), "{table} {note}");
}

#[test]
fn nothing_drawn_lies_among_the_samples() {
    let folder = tempfile::tempdir().unwrap();
    let generate = ["generate", "fashion-stylegan2", "--seeds", "0-11", "--outdir", "s"];
    run(folder.path(), &[&generate[..], &["--grid", "4x3"]].concat());
    let score = ["score", "s", "-m", "is", "--is-splits", "2", "--extractor", "fashion-cnn"];
    let json = run(folder.path(), &[&score[..], &["--json", "-", "--no-cache"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["conditions"]["generated"][0]["images"], 12, "{report:#}");
    assert!(folder.path().join("s-grid.png").is_file());
    run(folder.path(), &[&generate[..], &["--grid", "4x3", "--grid-output", "g.png"]].concat());
    assert!(folder.path().join("g.png").is_file());
    let record = fs::read_to_string(folder.path().join("s/generate.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["request"]["seeds"], "0-11");
    assert_eq!(record["generator"]["noise_mode"], "const");
}

#[test]
fn other_pictures_in_the_folder_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let generate = |seeds: &str, options: &[&str]| {
        let verb = ["generate", "fashion-stylegan2", "-q", "--seeds", seeds];
        let mut command = ganscope(&[&verb[..], options].concat());
        let output = command.current_dir(folder.path()).assert().success();
        String::from_utf8(output.get_output().stderr.clone()).unwrap()
    };
    assert_eq!(generate("0-3", &[]), "");
    assert_eq!(generate("0-3", &["--psi", "0.7"]), "", "every picture is replaced");
    let told = generate("2", &["--psi", "0.5"]);
    insta::assert_snapshot!(told, @r"
    warning: `out` contains 3 other pictures, such as `seed0000.png`, drawn with other settings; a score of the folder counts them
    hint: name an empty folder with `--outdir DIR`
    ");
}

#[test]
fn names_of_the_published_scripts_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let model = file("stylegan-s2-skip.pkl");
    run(folder.path(), &["generate", &model, "--seeds", "3", "--trunc", "0.7"]);
    let theirs = ["generate", "--network", &model, "--seeds", "3", "--psi", "0.7", "-o", "theirs"];
    run(folder.path(), &theirs);
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert!(read("out/seed0003.png") == read("theirs/seed0003.png"));
    let mix = ["mix", "--network", &model, "--rows", "1", "--cols", "2", "--styles", "0-3"];
    run(folder.path(), &[&mix[..], &["--outdir", "mixed"]].concat());
    assert!(folder.path().join("mixed/1-2.png").is_file());
    assert!(failure(&["generate", "--seeds", "3"], 2).contains("MODEL"));
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
    let fixed = ["--num", "4", "--epsilon", "1e-2"];
    let line = run(folder.path(), &[&["path-length", &skip][..], &fixed, &distance].concat());
    let numbers: Vec<f64> = line.trim().split(" ± ").map(|n| n.parse().unwrap()).collect();
    assert!(numbers.len() == 2 && numbers.iter().all(|n| *n > 0.0), "{line}");
    let crop =
        ["path-length", "fashion-stylegan2", "--num", "2", "--distance", "fashion-cnn", "--crop"];
    let output = ganscope(&crop).assert().success();
    let told = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(told.contains("warning: the crop") && told.contains("leave `--crop` out"), "{told}");
    let none = ["path-length", &biggan, "--class", "1", "--trunc", "0"];
    let error = failure(&[&none[..], &distance].concat(), 1);
    assert!(error.contains("a threshold above 0 and at most 1"), "{error}");
    let none = failure(&["path-length", &skip, "--num", "0"], 1);
    assert!(none.contains("`num` is 0, expected at least 1"), "{none}");
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
    expect(&generate(&[&biggan, "--class", "10"]), &["no class 10", "hint:", "0 to 9"]);
    expect(&generate(&[&biggan, "--class", "cat"]), &["no class `cat`", "hint:", "number"]);
    expect(&generate(&[&biggan, "--class", "0", "--trunc", "1.5"]), &["1.5", "0 to 1"]);
    expect(&generate(&[&skip, "--class", "1"]), &["no classes", "hint:"]);
    expect(&generate(&["nothing.pkl"]), &["no model `nothing.pkl`", "hint:"]);
    expect(&generate(&["fashion-bigan"]), &["did you mean `fashion-biggan`?"]);
    expect(&generate(&[&biggan]), &["`each`, or `random`"]);
    let boot = ["fashion-biggan", "--class", "ankle bot"];
    expect(&generate(&boot), &["did you mean `ankle-boot`?"]);
    expect(&generate(&[&skip, "--outdir", "g.zip"]), &["`g.zip` is the name of a file", "hint:"]);
    expect(
        &generate(&[&file("stylegan.safetensors")]),
        &["no generator of biggan-deep or biggan or biggan-studio or r3gan or stylegan", "hint:"],
    );
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
    let table = failure(&[&mix[..6], &["-o", "m.jpg"]].concat(), 1);
    assert!(table.contains("end the name in `.png`, or name a folder"), "{table}");
    let negative = failure(&["generate", &skip, "--seeds", "-1"], 2);
    assert!(negative.contains("a number is missing") && !negative.contains("-- -1"), "{negative}");
    let cells = failure(&["generate", &skip, "--seeds", "0-8", "--grid", "3x2"], 1);
    assert!(cells.contains("9 pictures for the 6 cells") && cells.contains("`3x3`"), "{cells}");
    let single = failure(&["interpolate", &skip, "--seeds", "1", "-o", "w.png"], 1);
    assert!(single.contains("two end points"), "{single}");
}
