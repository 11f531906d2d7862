//! Explanations of images and of scores: `explain`.

use std::fs;
use std::path::{Path, PathBuf};

use ganscope_golden as golden;
use ganscope_images::{Image, decode, save_png};
use ganscope_weights::npy;
use serde_json::Value;

use crate::setup::ganscope;

/// Sums of float32 values, added in f64 in two orders.
const SUM: f64 = 1e-9;

fn sample(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples");
    folder.join(name).to_str().unwrap().to_owned()
}

fn run(folder: &Path, arguments: &[&str]) -> String {
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
    let options = ["--samples", "100", "--copies", "4", "--steps", "16", "-o", "out", "-q"];
    let table = run(folder.path(), &[&["all", &sample("0-t-shirt-0.png")][..], &options].concat());
    let out = folder.path().join("out/0-t-shirt-0");
    let report = json(out.join("report.json"));
    assert_eq!(
        (&report["model"], &report["target"]["name"]),
        (&"fashion-cnn".into(), &"t-shirt".into())
    );
    assert!(report["target"]["probability"].as_f64().unwrap() > 0.5);
    let maps = report["maps"].as_array().unwrap();
    assert_eq!(maps.len(), 12);
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
        let lost = map["conservation_error"].is_number();
        assert_eq!(lost, ["lrp", "integrated-gradients"].contains(&method), "{method}");
    }
    let sheet = picture(out.join("sheet.png"));
    assert!(sheet.width > 5 * 224 && sheet.height > 3 * 224);
}

#[test]
fn several_images_share_a_sheet_and_measures_come_with_chance() {
    let folder = tempfile::tempdir().unwrap();
    let images = [sample("3-dress-0.png"), sample("8-bag-0.png")];
    let options = ["--measure", "-o", "out", "-q"];
    run(folder.path(), &[&["grad-cam,cam", &images[0], &images[1]][..], &options].concat());
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
        run(folder.path(), &[&asked[..], evidence, &["-o", "out", "-q"]].concat());
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
        run(folder.path(), &[&asked[..], options].concat());
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
fn a_network_of_ones_own_is_described_by_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let weights = ganscope_weights::Weights {
        arrays: [
            ("conv.weight", vec![4, 1, 3, 3]),
            ("conv.bias", vec![4]),
            ("fc.weight", vec![2, 4]),
            ("fc.bias", vec![2]),
        ]
        .into_iter()
        .map(|(name, shape)| {
            let values = golden::tensor(name, &shape, (-1.0, 1.0), 0);
            (name.to_owned(), ganscope_weights::Array::from_f32(shape, &values).unwrap())
        })
        .collect(),
        ..Default::default()
    };
    let file = folder.path().join("slices.safetensors");
    ganscope_weights::write_safetensors(&file, &weights).unwrap();
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
    let asked = ["fid", "set", "--reference", "fashion-test", "--top", "4", "--heat", "1"];
    let text = run(folder.path(), &[&asked[..], &["--no-cache", "-q", "-o", "report"]].concat());
    assert!(text.starts_with("FD (fashion-cnn)"), "{text}");
    let report = folder.path().join("report");
    let table = fs::read_to_string(report.join("contributions.csv")).unwrap();
    assert_eq!(table.lines().count(), 51);
    assert_eq!(table.lines().next(), Some("rank,name,distance,inception_score,realism"));
    let mut worst: Vec<&str> =
        table.lines().skip(1).take(4).map(|line| line.split(',').nth(1).unwrap()).collect();
    worst.sort_unstable();
    assert_eq!(worst, outliers);
    let found = json(report.join("contributions.json"));
    let value = |name: &str| found[name].as_f64().unwrap();
    assert!(value("without_worst") < value("distance"));
    let page = fs::read_to_string(report.join("report.html")).unwrap();
    for name in ["worst", "best", "heat", "worst-inception-score", "least-realistic"] {
        assert!(report.join(format!("{name}.png")).is_file(), "{name}");
    }
    assert_eq!(page.matches("data:image/png;base64,").count(), 5);
    assert!(!page.contains("src=\"http"));
}

#[test]
fn classes_and_filters_have_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let text = run(folder.path(), &["maximize", "--class", "trouser", "-o", "trouser.png", "-q"]);
    let share = text.trim().rsplit(' ').nth(1).unwrap();
    assert!(share.parse::<f64>().unwrap() > 90.0, "{text}");
    assert!(picture(folder.path().join("trouser.png")).width > 224);
    let layer = ["--unit", "3", "--layer", "features.4", "--steps", "5", "-o", "unit.png", "-q"];
    assert!(run(folder.path(), &[&["maximize"][..], &layer].concat()).contains("unit 3"));
    let latent = ["latent", "fashion-biggan", "--class", "bag", "-o", "bag.png", "-q"];
    let text = run(folder.path(), &latent);
    let share = text.trim().rsplit(' ').nth(1).unwrap();
    assert!(share.parse::<f64>().unwrap() > 95.0, "{text}");
    assert!(picture(folder.path().join("bag.png")).width > 2 * 224);
    run(folder.path(), &["filters", "-o", "filters.png", "-q"]);
    // 32 filters of 3 x 3 pixels, six in a row, 16 times as large.
    assert_eq!(picture(folder.path().join("filters.png")).width, 6 * 48 + 7 * 4);
}

#[test]
fn a_unit_shows_the_patches_that_it_answers_to_most() {
    let folder = tempfile::tempdir().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples");
    let unit = ["unit", samples.to_str().unwrap(), "--layer", "features.4", "--unit", "5"];
    let text = run(folder.path(), &[&unit[..], &["--top", "7", "-o", "unit.png", "-q"]].concat());
    let value = |line: &str| line.split_whitespace().next().unwrap().parse::<f64>().unwrap();
    let values: Vec<f64> = text.lines().map(value).collect();
    assert_eq!(values.len(), 7);
    assert!(values.windows(2).all(|pair| pair[0] >= pair[1]), "{text}");
    // Of two convolutions of 3 x 3 around a pool of 2: 8 pixels, 16 times as large.
    assert!(picture(folder.path().join("unit.png")).width > 5 * 128);
    let beyond = ["unit", samples.to_str().unwrap(), "--layer", "features.4", "--unit", "64"];
    let error = failure(&[&beyond[..], &["-o", "unit.png"]].concat(), 1);
    assert!(error.contains("no unit 64") && error.contains("0 to 63"), "{error}");
}

#[test]
fn what_cannot_be_explained_is_said_with_the_way_out() {
    let boot = sample("9-ankle-boot-1.png");
    let expect = |arguments: &[&str], words: &[&str]| {
        let stderr = failure(&[arguments, &["-o", "out", "-q"]].concat(), 1);
        for word in words {
            assert!(stderr.contains(word), "no `{word}` in: {stderr}");
        }
    };
    let centers = ["latent", "fashion-stylegan2", "--class", "bag", "--trunc-centers", "4"];
    expect(&[&centers[..], &["--space", "w"]].concat(), &["from the mean of W", "--space z"]);
    expect(&["shap", &boot], &["no method `shap`", "hint:", "grad-cam"]);
    expect(&["lrp", &boot, "--class", "cat"], &["no class `cat`", "hint:", "ankle-boot"]);
    expect(&["lrp", &boot, "--class", "10"], &["class 10 is beyond", "hint:", "0 to 9"]);
    expect(&["grad-cam", &boot, "--layer", "conv9"], &["no layer `conv9`", "hint:", "features.16"]);
    expect(&["lrp", &boot, "--rule", "zplus"], &["zplus", "hint:", "epsilon-plus-flat"]);
    expect(&["lrp", &boot, "--rule", "conv9:z+,flat"], &["no layer `conv9`", "hint:"]);
    expect(&["lrp", &boot, "--evidence", "some"], &["positive, negative, signed or absolute"]);
    let quickshift = ["lime", &boot, "--superpixels", "quickshift"];
    let segments = [&quickshift[..], &["--segments", "30"]].concat();
    expect(&segments, &["quickshift has no `--segments`", "hint:", "--kernel"]);
    expect(&["lime", &boot, "--kernel", "2"], &["slic has no `--kernel`", "hint:", "quickshift"]);
    expect(&[&quickshift[..], &["--kernel", "0"]].concat(), &["kernel must be positive"]);
    expect(&["lrp", &boot, "--model", "lenet"], &["no classifier `lenet`", "hint:", "resnet18"]);
    expect(&["lrp", &boot, "--model", "vgg13"], &["weights of vgg13", "hint:", "--weights"]);
    expect(&["lrp", "nothing.png"], &["`nothing.png`", "hint:", "png"]);
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.png");
    fs::write(&text, "no pixels").unwrap();
    expect(&["lrp", text.to_str().unwrap()], &["text.png", "hint:"]);
    let fid = ["fid", "fashion-test", "--reference", "fashion-test"];
    expect(&fid, &["no images", "hint:"]);
    let usage = failure(&["lrp"], 2);
    assert!(usage.contains("<IMAGE>"), "{usage}");
}

#[test]
fn cam_is_left_out_of_all_where_the_network_has_no_head_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let values = golden::tensor("fc.weight", &[2, 768], (-1.0, 1.0), 0);
    let mut weights = ganscope_weights::Weights::default();
    let array = ganscope_weights::Array::from_f32([2, 768], &values).unwrap();
    weights.arrays.insert("fc.weight".into(), array);
    let bias = ganscope_weights::Array::from_f32([2], &[0.1, 0.2]).unwrap();
    weights.arrays.insert("fc.bias".into(), bias);
    ganscope_weights::write_safetensors(&folder.path().join("w.safetensors"), &weights).unwrap();
    let description = r#"{"img_resolution": 16, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
        "layers": [{"kind": "flatten", "name": "flat"},
                   {"kind": "linear", "name": "fc", "in": 768, "out": 2}]}"#;
    fs::write(folder.path().join("net.json"), description).unwrap();
    let bag = sample("8-bag-0.png");
    let fixed = ["--network", "net.json", "--weights", "w.safetensors", "-o", "out", "-q"];
    run(folder.path(), &[&["all", &bag, "--samples", "50"][..], &fixed].concat());
    let report = json(folder.path().join("out/8-bag-0/report.json"));
    assert_eq!(report["left_out"][0][0], "cam");
    assert_eq!(report["maps"].as_array().unwrap().len(), 11);
    let mut command = ganscope(&[&["explain", "cam", &bag][..], &fixed].concat());
    let output = command.current_dir(folder.path()).assert().failure().code(1);
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("CAM needs") && stderr.contains("hint:"), "{stderr}");
}
