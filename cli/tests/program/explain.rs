//! Explanations of images and of scores: `explain`.

use std::fs;
use std::path::{Path, PathBuf};

use ganscope::images::{Image, decode, save_png};
use ganscope::weights::npy;
use ganscope_golden as golden;
use serde_json::Value;

use crate::setup::ganscope;

/// The classifier of garments.
const MODEL: [&str; 2] = ["--model", "fashion-cnn"];
/// Sums of float32 values, added in f64 in two orders.
const SUM: f64 = 1e-9;

pub(crate) fn sample(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/samples");
    folder.join(name).to_str().unwrap().to_owned()
}

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = ganscope(&[&["explain"], arguments].concat()).current_dir(folder).assert();
    String::from_utf8(output.success().get_output().stdout.clone()).unwrap()
}

/// Standard error of a call that fails with exit code `code`.
fn failure(arguments: &[&str], code: i32) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = ganscope(&[&["explain"], arguments].concat());
    let output = command.current_dir(folder.path()).assert().failure().code(code);
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn picture(path: PathBuf) -> Image {
    decode(&fs::read(path).unwrap(), "picture").unwrap().image
}

#[test]
fn every_method_leaves_a_heat_map_and_a_map_with_the_sums_of_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let few = ["--samples", "100", "--copies", "4", "--masks", "200", "--coalitions", "200"];
    let options = ["--steps", "128", "-o", "out", "-q"];
    let asked = ["all", &sample("0-t-shirt-0.png")];
    let table = run(folder.path(), &[&asked[..], &few, &options, &MODEL].concat());
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(table.contains("R²") && table.contains("lost"), "{table}");
    let out = folder.path().join("out/0-t-shirt-0");
    let report = json(out.join("report.json"));
    assert_eq!(
        (&report["model"], &report["target"]["name"]),
        (&"fashion-cnn".into(), &"t-shirt".into())
    );
    assert!(report["target"]["probability"].as_f64().unwrap() > 0.5);
    let maps = report["maps"].as_array().unwrap();
    // All but those for transformers.
    assert_eq!(maps.len(), 18);
    for map in maps {
        let method = map["method"].as_str().unwrap();
        assert!(table.lines().any(|line| line.trim_start().starts_with(method)), "{method}");
        let array = npy::read(&out.join(format!("{method}.npy"))).unwrap();
        let shape: Vec<u64> = array.shape().iter().map(|&n| n as u64).collect();
        assert_eq!(map["shape"], Value::from(shape), "{method}");
        let values: Vec<f64> = array.to_f32().into_iter().map(f64::from).collect();
        let size: f64 = values.iter().map(|v| v.abs()).sum();
        assert!(size > 0.0, "{method} finds nothing");
        for (name, sum) in [
            ("sum", values.iter().sum::<f64>()),
            ("positive", values.iter().filter(|v| **v > 0.0).sum()),
            ("negative", values.iter().filter(|v| **v < 0.0).sum()),
        ] {
            let told = map[name].as_f64().unwrap();
            assert!((told - sum).abs() <= SUM * size, "{method}, {name}: {told} for {sum}");
        }
        let heat = picture(out.join(format!("{method}.png")));
        assert_eq!((heat.width, heat.height), (224, 224));
        let lost = map["conservation_error"].as_f64();
        let shared = ["lrp", "integrated-gradients", "gradient-shap"];
        let shared =
            shared.contains(&method) || ["kernel-shap", "shapley-sampling"].contains(&method);
        assert_eq!(lost.is_some(), shared, "{method}");
        if method == "lrp" {
            assert!(lost.unwrap() < 1e-5, "{lost:?}");
        }
        let guided = ["deconvnet", "guided-backprop", "guided-grad-cam"].contains(&method);
        assert_eq!(map["ignores_upper_layers"], guided, "{method}");
    }
    let sheet = picture(out.join("sheet.png"));
    assert!(sheet.width > 5 * 224 && sheet.height > 3 * 224);
}

#[test]
fn several_images_share_a_sheet_and_measures_come_with_chance() {
    let folder = tempfile::tempdir().unwrap();
    let images = [sample("3-dress-0.png"), sample("8-bag-0.png")];
    let options = ["--measure", "-o", "out", "-q"];
    let asked = ["grad-cam,cam", &images[0], &images[1]];
    let tables = run(folder.path(), &[&asked[..], &options, &MODEL].concat());
    assert!(tables.lines().all(|line| line.chars().count() <= 80), "{tables}");
    for name in ["3-dress-0", "8-bag-0"] {
        let report = json(folder.path().join("out").join(name).join("report.json"));
        let random = |name: &str| report["random_order"][name].as_f64().unwrap();
        for map in report["maps"].as_array().unwrap() {
            let measure = |name: &str| map["measures"][name].as_f64().unwrap();
            assert!(measure("deletion") < random("deletion"));
            assert!(measure("insertion") > measure("deletion"));
            assert!(measure("insertion") > random("insertion"));
            assert!(measure("road") < random("road"));
            assert!(measure("road") < measure("road_elsewhere"));
            assert!(measure("continuity") > 0.0 && measure("positivity") > 0.5);
        }
    }
    let sheet = picture(folder.path().join("out/sheet.png"));
    assert!((3 * 224..4 * 224).contains(&sheet.width) && sheet.height > 2 * 224);
}

#[test]
fn evidence_against_a_class_is_evidence_for_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let boot = sample("9-ankle-boot-1.png");
    let map = |class: &str, against: &str, evidence: &[&str]| {
        let asked = ["input-x-gradient", &boot, "--class", class, "--against", against];
        run(folder.path(), &[&asked[..], evidence, &["-o", "out", "-q"], &MODEL].concat());
        let file = folder.path().join("out/9-ankle-boot-1/input-x-gradient.npy");
        npy::read(&file).unwrap().to_f32()
    };
    let (one, other) = (map("sandal", "9", &[]), map("9", "sandal", &[]));
    assert!(one.iter().zip(&other).all(|(a, b)| *a == -*b));
    let negative = map("sandal", "9", &["--evidence", "negative"]);
    let positive = map("9", "sandal", &["--evidence", "positive"]);
    assert_eq!(negative.len(), 32 * 32);
    assert!(negative.iter().any(|v| *v < 0.0));
    assert!(negative.iter().zip(&positive).all(|(a, b)| *a == -*b));
}

#[test]
fn lime_weighs_the_superpixels_that_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let parts = |options: &[&str]| {
        let asked = ["lime", &sample("3-dress-0.png"), "--samples", "200", "-o", "out", "-q"];
        run(folder.path(), &[&asked[..], options, &MODEL].concat());
        let map = npy::read(&folder.path().join("out/3-dress-0/lime.npy")).unwrap().to_f32();
        map.into_iter().map(f32::to_bits).collect::<std::collections::HashSet<_>>().len()
    };
    assert_eq!(parts(&[]), parts(&["--superpixels", "slic", "--segments", "60"]));
    let (fine, coarse) = (["--kernel", "0.4"], ["--kernel", "1.5"]);
    let quickshift =
        |options: &[&str]| parts(&[&["--superpixels", "quickshift"], options].concat());
    assert!((10..60).contains(&quickshift(&[])), "{}", quickshift(&[]));
    assert!(quickshift(&coarse) < quickshift(&fine));
}

#[test]
fn a_custom_network_is_described_by_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let weights = ganscope::weights::Weights {
        arrays: [
            ("conv.weight", vec![4, 1, 3, 3]),
            ("conv.bias", vec![4]),
            ("fc.weight", vec![2, 4]),
            ("fc.bias", vec![2]),
        ]
        .into_iter()
        .map(|(name, shape)| {
            let values = golden::tensor(name, &shape, (-1.0, 1.0), 0);
            (name.to_owned(), ganscope::weights::Array::from_f32(shape, &values).unwrap())
        })
        .collect(),
        ..Default::default()
    };
    let file = folder.path().join("slices.safetensors");
    ganscope::weights::write_safetensors(&file, &weights).unwrap();
    let description = r#"{"img_resolution": 16, "img_channels": 1, "mean": [0.5], "std": [0.5],
        "layers": [{"kind": "conv2d", "name": "conv", "in": 1, "out": 4, "kernel": 3},
                   {"kind": "relu", "name": "relu"},
                   {"kind": "global_average_pool", "name": "mean"},
                   {"kind": "linear", "name": "fc", "in": 4, "out": 2}],
        "classes": ["intact", "defaced"]}"#;
    fs::write(folder.path().join("net.json"), description).unwrap();
    let network = ["--network", "net.json", "--weights", "slices.safetensors"];
    let asked = ["lrp,cam", &sample("8-bag-0.png"), "--class", "defaced", "-o", "out", "-q"];
    run(folder.path(), &[&asked[..], &network].concat());
    let report = json(folder.path().join("out/8-bag-0/report.json"));
    assert_eq!(report["target"]["class"], 1);
    assert_eq!(report["maps"][0]["shape"], serde_json::json!([1, 16, 16]));
}

#[test]
fn planted_outliers_are_the_worst_images_of_a_set() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    let options = ["--seeds", "0-49", "--class", "each", "--trunc", "0.8", "--outdir", "set", "-q"];
    let generate = [&["generate", "fashion-biggan"][..], &options].concat();
    ganscope(&generate).current_dir(folder.path()).assert().success();
    let outliers = ["seed0007.png", "seed0018.png", "seed0029.png", "seed0033.png"];
    for (k, name) in outliers.iter().enumerate() {
        let pixels = golden::image(k, 32, 32);
        save_png(&set.join(name), &Image { width: 32, height: 32, pixels }).unwrap();
    }
    let asked = ["score", "set", "--reference", "fashion-test", "--top", "4", "--heat", "1"];
    let text = run(folder.path(), &[&asked[..], &["--no-cache", "-q", "-o", "report"]].concat());
    assert!(text.starts_with("FD (fashion-cnn)"), "{text}");
    let report = folder.path().join("report");
    let table = fs::read_to_string(report.join("contributions.csv")).unwrap();
    assert_eq!(table.lines().count(), 51);
    assert_eq!(table.lines().next(), Some("rank,name,distance,inception_score,realism,rarity"));
    let mut worst: Vec<&str> =
        table.lines().skip(1).take(4).map(|line| line.split(',').nth(1).unwrap()).collect();
    worst.sort_unstable();
    assert_eq!(worst, outliers);
    let found = json(report.join("report.json"));
    let value = |name: &str| found["images"][name].as_f64().unwrap();
    assert!(value("without_worst") < value("distance"));
    let parts = ["shift", "too_little", "too_much", "outside"];
    let sum: f64 = parts.iter().map(|part| found["directions"][part].as_f64().unwrap()).sum();
    assert!((sum / value("distance") - 1.0).abs() < 1e-9, "{sum}");
    let page = fs::read_to_string(report.join("report.html")).unwrap();
    assert!(!page.contains("src=\"http") && !page.contains("adds -"));
    let expected = [
        "Main causes",
        "IS (fashion-cnn) of all images at once",
        "lower IS (fashion-cnn) most",
        "<p class=\"warning\">",
        "1. seed00",
        "All images",
        "Grad-CAM",
        "Not measured: both sets must have pictures.",
    ];
    for text in expected {
        assert!(page.contains(text), "{text}");
    }
    // The table of images has one row per image.
    assert_eq!(page.matches("<td>seed00").count(), 50);
    assert_eq!(page.matches("<circle").count(), 50);
}

#[test]
fn classes_and_filters_have_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let text = run(
        folder.path(),
        &[&["maximize", "--class", "trouser", "-o", "trouser.png", "-q"][..], &MODEL].concat(),
    );
    let share = text.trim().rsplit(' ').nth(1).unwrap();
    assert!(share.parse::<f64>().unwrap() > 90.0, "{text}");
    assert!(picture(folder.path().join("trouser.png")).width > 224);
    let layer = ["--unit", "3", "--layer", "features.4", "--steps", "5", "-o", "unit.png", "-q"];
    assert!(run(folder.path(), &[&["maximize"][..], &layer, &MODEL].concat()).contains("unit 3"));
    let latent = ["latent", "fashion-biggan", "--class", "bag", "-o", "bag.png", "-q"];
    let text = run(folder.path(), &latent);
    let share = text.trim().rsplit(' ').nth(1).unwrap();
    assert!(share.parse::<f64>().unwrap() > 95.0, "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("bag (8), seed ") && lines[1].starts_with("bag (8): logit"));
    assert!(picture(folder.path().join("bag.png")).width > 2 * 224);
    run(folder.path(), &[&["filters", "-o", "filters.png", "-q"][..], &MODEL].concat());
    // 32 filters of 3 x 3 pixels, 32 times as large, with their numbers and ranges.
    let sheet = picture(folder.path().join("filters.png"));
    assert!(
        sheet.width > 8 * 96 && sheet.height > 3 * (96 + 30),
        "{} {}",
        sheet.width,
        sheet.height
    );
}

#[test]
fn a_unit_shows_the_patches_that_it_answers_to_most() {
    let folder = tempfile::tempdir().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/samples");
    let unit = ["unit", samples.to_str().unwrap(), "--layer", "features.4", "--unit", "5"];
    let text =
        run(folder.path(), &[&unit[..], &["--top", "7", "-o", "unit.png", "-q"], &MODEL].concat());
    let value = |line: &str| line.split_whitespace().next().unwrap().parse::<f64>().unwrap();
    let values: Vec<f64> = text.lines().map(value).collect();
    assert_eq!(values.len(), 7);
    assert!(values.windows(2).all(|pair| pair[0] >= pair[1]), "{text}");
    // Seven pairs: the whole image, and the 8 pixels of two convolutions of 3 x 3 around a pool of 2.
    assert!(picture(folder.path().join("unit.png")).width > 8 * 128);
    let beyond = ["unit", samples.to_str().unwrap(), "--layer", "features.4", "--unit", "64"];
    let error = failure(&[&beyond[..], &["-o", "unit.png"], &MODEL].concat(), 1);
    assert!(error.contains("no unit 64") && error.contains("0 to 63"), "{error}");
}

#[test]
fn what_cannot_be_explained_is_said_with_a_hint() {
    let boot = sample("9-ankle-boot-1.png");
    let expect_of = |model: &[&str], arguments: &[&str], words: &[&str]| {
        let stderr = failure(&[arguments, model, &["-o", "out.png", "-q"]].concat(), 1);
        for word in words {
            assert!(stderr.contains(word), "no `{word}` in: {stderr}");
        }
    };
    let expect = |arguments: &[&str], words: &[&str]| expect_of(&MODEL, arguments, words);
    for verb in [&["lrp", &boot][..], &["maximize", "--class", "each"], &["filters"]] {
        let words =
            ["no classifier is named", "hint:", "--model NAME", "garments only", "resnet18"];
        expect_of(&[], verb, &words);
    }
    let centers = ["latent", "fashion-stylegan2", "--class", "bag", "--trunc-centers", "4"];
    expect(
        &[&centers[..], &["--space", "w"]].concat(),
        &["from the mean of W", "hint:", "--trunc-centers", "--space"],
    );
    expect(&["shap", &boot], &["no method `shap`", "hint:", "grad-cam"]);
    expect(&["lrp", &boot, "--class", "cat"], &["no class `cat`", "hint:", "ankle-boot"]);
    expect(&["lrp", &boot, "--class", "10"], &["no class 10", "hint:", "0 to 9"]);
    expect(&["grad-cam", &boot, "--layer", "conv9"], &["no layer `conv9`", "hint:", "features.16"]);
    expect(&["lrp", &boot, "--rule", "zplus"], &["zplus", "hint:", "epsilon-plus-flat"]);
    expect(&["lrp", &boot, "--rule", "conv9:z+,flat"], &["no layer `conv9`", "hint:"]);
    let zbox = ["lrp", &boot, "--rule", "first:zbox,z+"];
    expect(&zbox, &["zbox", "flat or z-box", "hint:"]);
    let evidence = failure(&["lrp", &boot, "--evidence", "some", "-o", "out"], 2);
    assert!(evidence.contains("positive, negative, signed or absolute"), "{evidence}");
    let window = ["occlusion", &boot, "--window", "100"];
    expect(&window, &["100 pixels covers all 32 x 32", "hint:", "--window"]);
    let quickshift = ["lime", &boot, "--superpixels", "quickshift"];
    let segments = [&quickshift[..], &["--segments", "30"]].concat();
    expect(&segments, &["quickshift has no `segments`", "hint:", "--kernel"]);
    expect(&["lime", &boot, "--kernel", "2"], &["slic has no `kernel`", "hint:", "--superpixels"]);
    expect(&[&quickshift[..], &["--kernel", "0"]].concat(), &["`kernel` is 0", "above 0"]);
    expect_of(
        &["--model", "lenet"],
        &["lrp", &boot],
        &["no classifier `lenet`", "hint:", "resnet18"],
    );
    expect_of(&["--model", "vgg13"], &["lrp", &boot], &["weights of vgg13", "hint:", "--weights"]);
    expect(&["lrp", "nothing.png"], &["`nothing.png`", "hint:", "png"]);
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.png");
    fs::write(&text, "no pixels").unwrap();
    expect(&["lrp", text.to_str().unwrap()], &["text.png", "hint:"]);
    let moments = folder.path().join("moments.npz");
    let samples = Path::new(&boot).parent().unwrap();
    let stats = ["stats", ".", "--extractor", "fashion-cnn", "--no-cache", "-q", "-o"];
    let stats = [&stats[..], &[moments.to_str().unwrap()]].concat();
    ganscope(&stats).current_dir(samples).assert().success();
    let score = ["score", moments.to_str().unwrap(), "--reference", "fashion-test"];
    expect_of(&[], &score, &["no features of single images", "hint:"]);
    let text = ["maximize", "--class", "0", "--model", "fashion-cnn", "-o", "m.txt"];
    let error = failure(&text, 1);
    assert!(
        error.contains("m.txt") && error.contains("hint:") && error.contains(".png"),
        "{error}"
    );
    let usage = failure(&["lrp"], 2);
    assert!(usage.contains("<IMAGE>"), "{usage}");
}

#[test]
fn cam_is_left_out_of_all_where_the_network_has_no_head_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let values = golden::tensor("fc.weight", &[2, 768], (-1.0, 1.0), 0);
    let mut weights = ganscope::weights::Weights::default();
    let array = ganscope::weights::Array::from_f32([2, 768], &values).unwrap();
    weights.arrays.insert("fc.weight".into(), array);
    let bias = ganscope::weights::Array::from_f32([2], &[0.1, 0.2]).unwrap();
    weights.arrays.insert("fc.bias".into(), bias);
    ganscope::weights::write_safetensors(&folder.path().join("w.safetensors"), &weights).unwrap();
    let description = r#"{"img_resolution": 16, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
        "layers": [{"kind": "flatten", "name": "flat"},
                   {"kind": "linear", "name": "fc", "in": 768, "out": 2}]}"#;
    fs::write(folder.path().join("net.json"), description).unwrap();
    let bag = sample("8-bag-0.png");
    let fixed = ["--network", "net.json", "--weights", "w.safetensors", "-o", "out", "-q"];
    run(folder.path(), &[&["all", &bag, "--samples", "50"][..], &fixed].concat());
    let report = json(folder.path().join("out/8-bag-0/report.json"));
    assert_eq!(report["left_out"][0][0], "cam");
    assert_eq!(report["maps"].as_array().unwrap().len(), 17);
    let mut command = ganscope(&[&["explain", "cam", &bag][..], &fixed].concat());
    let output = command.current_dir(folder.path()).assert().failure().code(1);
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("CAM needs") && stderr.contains("hint:"), "{stderr}");
}

/// Standard error of a call in `folder` that succeeds.
fn stderr(folder: &Path, arguments: &[&str]) -> String {
    let output = ganscope(&[&["explain"], arguments].concat()).current_dir(folder).assert();
    String::from_utf8(output.success().get_output().stderr.clone()).unwrap()
}

#[test]
fn one_map_has_a_sheet_and_colors_depend_on_the_method_alone() {
    let folder = tempfile::tempdir().unwrap();
    let signed = ["cam", &sample("3-dress-0.png"), &sample("8-bag-0.png"), "-o", "out", "-q"];
    run(folder.path(), &[&signed[..], &MODEL].concat());
    let sheet = picture(folder.path().join("out/3-dress-0/sheet.png"));
    assert!((2 * 224..3 * 224).contains(&sheet.width) && sheet.height > 224 + 60);
    // Red, blue and grays between: green never stands out as it does in viridis.
    for name in ["3-dress-0", "8-bag-0"] {
        let heat = picture(folder.path().join(format!("out/{name}/cam.png")));
        let green = |p: &[u8]| p[1] > p[0].saturating_add(40) && p[1] > p[2].saturating_add(40);
        assert!(!heat.pixels.chunks_exact(3).any(green), "{name}");
    }
}

#[test]
fn a_sheet_of_many_maps_takes_several_lines() {
    let folder = tempfile::tempdir().unwrap();
    let images = [sample("3-dress-0.png"), sample("8-bag-0.png")];
    let options = ["--samples", "50", "--copies", "2", "--steps", "4", "-o", "out", "-q"];
    run(folder.path(), &[&["all", &images[0], &images[1]][..], &options, &MODEL].concat());
    let sheet = picture(folder.path().join("out/sheet.png"));
    assert!(sheet.width <= 1600 && sheet.height > 6 * 224, "{} {}", sheet.width, sheet.height);
}

#[test]
fn a_photograph_is_no_garment() {
    let folder = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = (0..40 * 60).flat_map(|i| [200, (i % 60 * 4) as u8, 40]).collect();
    let photo = Image { width: 60, height: 40, pixels };
    save_png(&folder.path().join("photo.png"), &photo).unwrap();
    let asked = ["grad-cam", "photo.png", "--overlay", "-o", "out", "-q"];
    let warned = stderr(folder.path(), &[&asked[..], &MODEL].concat());
    for word in ["warning:", "photo.png", "garments", "hint:", "--model NAME"] {
        assert!(warned.contains(word), "{warned}");
    }
    let report = json(folder.path().join("out/photo/report.json"));
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1);
    let overlay = picture(folder.path().join("out/photo/grad-cam-overlay.png"));
    assert_eq!((overlay.width, overlay.height), (60, 40));
    let boot = sample("9-ankle-boot-1.png");
    let warned =
        stderr(folder.path(), &[&["grad-cam", &boot, "-o", "out", "-q"][..], &MODEL].concat());
    assert_eq!(warned, "");
}

#[test]
fn lost_relevance_and_empty_maps_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let boot = sample("9-ankle-boot-1.png");
    let keep = ["lrp", &boot, "--rule", "epsilon-gamma-box", "--biases", "keep", "-o", "out", "-q"];
    let warned = stderr(folder.path(), &[&keep[..], &MODEL].concat());
    assert!(warned.contains("biases keep") && warned.contains("hint: `--biases WAY`"), "{warned}");
    // The same class on both sides: a difference of nothing.
    let empty = ["grad-cam", &boot, "--class", "1", "--against", "1", "-o", "out", "-q"];
    let warned = stderr(folder.path(), &[&empty[..], &MODEL].concat());
    assert!(warned.contains("grad-cam finds nothing"), "{warned}");
    let note = stderr(folder.path(), &[&["grad-cam", &boot, "-o", "out"][..], &MODEL].concat());
    assert!(note.contains("not comparable between methods"), "{note}");
}
