//! Every family of generators through the program, and files that hold none.

use std::fs;
use std::path::Path;

use ganscope::images::{quantize_biggan, quantize_floor, quantize_stylegan};
use ganscope::weights::{Array, ReadOptions, Weights, npy, write_safetensors};
use ganscope_golden as golden;
use tempfile::TempDir;

use crate::setup::{ganscope, golden_file, picture, run};

/// A byte may round to its neighbor where the float is within 1e-4 of the boundary.
const NEIGHBOR: u8 = 1;
/// Share of bytes for which that may happen: 2 times 1e-4 of 1/128, and a margin for the tails.
const NEIGHBORS: f64 = 0.05;

/// A small generator of each family.
struct Family {
    name: &'static str,
    /// The model and what it needs besides.
    model: Vec<String>,
    /// Its last style input.
    last: usize,
}

impl Family {
    fn new(name: &'static str, model: &[&str], last: usize) -> Self {
        let mut model: Vec<String> = model.iter().map(|&part| part.to_owned()).collect();
        model[0] = golden_file(&model[0]);
        Self { name, model, last }
    }

    /// Runs a verb with this model in `folder`.
    fn run(&self, folder: &Path, verb: &str, arguments: &[&str]) {
        let model = self.model.iter().map(String::as_str);
        let all: Vec<&str> =
            [verb].into_iter().chain(model).chain(arguments.iter().copied()).collect();
        run(folder, &all);
    }
}

/// One of each family, and a folder with the configuration that a file lacks.
fn families() -> (TempDir, Vec<Family>) {
    let folder = tempfile::tempdir().unwrap();
    let config = golden::json("stylegan1-configs.json")["s1-64"].to_string();
    fs::write(folder.path().join("s1-64.json"), config).unwrap();
    let families = vec![
        Family::new("StyleGAN", &["stylegan-s1-64.pth", "--config", "s1-64.json"], 9),
        Family::new("StyleGAN2", &["stylegan-s2-skip.pkl"], 7),
        Family::new("StyleGAN3", &["stylegan-s3-t.pkl"], 7),
        Family::new("BigGAN-deep", &["biggan-tiny.bin", "--class", "7"], 8),
        Family::new("BigGAN", &["biggan-ajbrock.pth", "--class", "7"], 4),
        Family::new("BigGAN of StudioGAN", &["biggan-studio.pth", "--class", "7"], 4),
        Family::new("StyleGAN-XL", &["stylegan-xl-sr.pkl", "--class", "4"], 9),
    ];
    (folder, families)
}

/// The bytes of the golden image `index` of `array`, rounded by `byte`.
fn expected(file: &str, array: &str, index: usize, byte: fn(f32) -> u8) -> Vec<u8> {
    let array = &golden::arrays(file)[array];
    let (h, w) = (array.shape[2], array.shape[3]);
    let values = array.f32();
    let values = &values[index * 3 * h * w..][..3 * h * w];
    (0..h * w).flat_map(|p| [0, 1, 2].map(|c| byte(values[c * h * w + p]))).collect()
}

fn assert_same_bytes(actual: &[u8], expected: &[u8], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let differences = actual.iter().zip(expected).map(|(a, e)| a.abs_diff(*e));
    let other = differences.clone().filter(|&d| d > 0).count();
    assert!(differences.max() <= Some(NEIGHBOR), "{what}");
    assert!((other as f64) < NEIGHBORS * expected.len() as f64, "{what}: {other} bytes differ");
}

#[test]
fn pictures_of_stylegan_are_those_of_the_published_tools() {
    let (folder, families) = families();
    let styles = |case: &str| format!("{case}-noise_const/image");
    let golden = [
        ("stylegan1.safetensors", "s1-64", styles("psi0.7-layers8"), &["85"][..]),
        ("stylegan.safetensors", "s2-skip", styles("psi0.5-cutoff4"), &["85", "265"]),
        ("stylegan.safetensors", "s3-t", styles("psi0.7-cutoffNone"), &["85", "265"]),
    ];
    let truncations = [
        &["--trunc", "0.7", "--trunc-cutoff", "8"][..],
        &["--trunc", "0.5", "--trunc-cutoff", "4"],
        &["--trunc", "0.7"],
    ];
    for ((family, truncation), (file, name, case, seeds)) in
        families.iter().zip(truncations).zip(golden)
    {
        family.run(folder.path(), "generate", &[&["--seeds", "85,265"], truncation].concat());
        for (index, seed) in seeds.iter().enumerate() {
            let array = format!("{name}/seeds85_265/{case}");
            let expected = expected(file, &array, index, quantize_stylegan);
            let picture = picture(&folder.path().join(format!("out/seed{seed:0>4}.png")));
            assert_same_bytes(&picture.pixels, &expected, name);
        }
    }
}

#[test]
fn pictures_of_biggan_are_those_of_the_published_port() {
    let folder = tempfile::tempdir().unwrap();
    // Of the batch that the port draws in one go, the first row is that of the seed.
    let cases = [
        ("13", "0.2", "0", "t0.2-classes0-seed13"),
        ("11", "0.5", "1", "t0.5-classes1_7-seed11"),
        ("12", "1", "3", "t1.0-classes3-seed12"),
    ];
    for model in ["biggan-tiny.bin", "biggan-tiny-legacy.bin"].map(golden_file) {
        for (seed, truncation, class, case) in cases {
            let options = ["--seeds", seed, "--trunc", truncation, "--class", class];
            run(folder.path(), &[&["generate", &model][..], &options].concat());
            let array = format!("tiny/{case}/image");
            let expected = expected("biggan.safetensors", &array, 0, quantize_biggan);
            let picture = picture(&folder.path().join(format!("out/seed00{seed}.png")));
            assert_same_bytes(&picture.pixels, &expected, case);
        }
    }
}

#[test]
fn pictures_of_other_bigans_and_of_stylegan_xl_are_those_of_their_tools() {
    let folder = tempfile::tempdir().unwrap();
    let biggan = |name: &str| (format!("{name}.pth"), format!("{name}/image"));
    let byte: [fn(f32) -> u8; 2] = [quantize_floor, quantize_stylegan];
    let cases = [
        ("biggan-ajbrock", biggan("biggan-ajbrock"), [0, 1], byte[0]),
        ("biggan-ajbrock", biggan("biggan-ajbrock-deep"), [0, 1], byte[0]),
        ("biggan-ajbrock", biggan("biggan-ajbrock-cifar"), [0, 1], byte[0]),
        ("biggan-studio", biggan("biggan-studio"), [0, 1], byte[1]),
        ("biggan-studio", biggan("biggan-studio-deep"), [0, 1], byte[1]),
        // Four rows: both seeds with both classes.
        (
            "stylegan-xl",
            ("stylegan-xl-sr.pkl".into(), "xl-sr/psi1.0-cutoffNone/image".into()),
            [0, 3],
            byte[0],
        ),
    ];
    for (file, (model, array), rows, byte) in cases {
        for ((seed, class), row) in [("85", "0"), ("265", "3")].into_iter().zip(rows) {
            let options = ["--seeds", seed, "--class", class, "-q"];
            run(folder.path(), &[&["generate", &golden_file(&model)][..], &options].concat());
            let expected = expected(&format!("{file}.safetensors"), &array, row, byte);
            let picture = picture(&folder.path().join(format!("out/seed{seed:0>4}.png")));
            assert_same_bytes(&picture.pixels, &expected, &model);
        }
    }
}

#[test]
fn stylegan_xl_is_truncated_towards_its_centroids() {
    let folder = tempfile::tempdir().unwrap();
    let [model, centroids] = ["stylegan-xl-sr.pkl", "stylegan-xl-centroids.npy"].map(golden_file);
    let bytes = |case: &str, row: usize| -> Vec<u8> {
        let array = &golden::arrays("stylegan-xl.safetensors")
            [&format!("xl-sr/gen_images-{case}-psi0.7/uint8")];
        let size = 3 * 32 * 32;
        array.data[row * size..][..size].iter().map(|&v| v as u8).collect()
    };
    let towards = ["--trunc-centers", &centroids];
    for (case, centers) in [("unimodal", &[][..]), ("centroids", &towards)] {
        for (row, (seed, class)) in
            [("85", "0"), ("85", "3"), ("265", "0"), ("265", "3")].into_iter().enumerate()
        {
            let options = ["--seeds", seed, "--class", class, "--trunc", "0.7", "-q"];
            run(folder.path(), &[&["generate", &model][..], &options, centers].concat());
            let picture = picture(&folder.path().join(format!("out/seed{seed:0>4}.png")));
            assert_same_bytes(&picture.pixels, &bytes(case, row), case);
        }
    }
}

#[test]
fn stylegan_xl_draws_a_class_for_each_seed_if_none_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let model = golden_file("stylegan-xl-sr.pkl");
    let generate = |options: &[&str]| {
        run(
            folder.path(),
            &[&["generate", &model, "--ws-output", "w.npz", "-q"], options].concat(),
        );
        ganscope::weights::npz::read(&folder.path().join("w.npz")).unwrap()["w"].to_f32()
    };
    let golden = golden::arrays("stylegan-xl.safetensors");
    let classes = &golden["xl-sr/gen_images-no-class/class"].data;
    let drawn = generate(&["--seeds", "85,265"]);
    let error = golden::relative_l2(&drawn, &golden["xl-sr/gen_images-no-class/ws"].data);
    assert!(error < 1e-4, "{error:e}");
    let each: Vec<f32> = ["85", "265"]
        .into_iter()
        .zip(classes)
        .flat_map(|(seed, class)| generate(&["--seeds", seed, "--class", &class.to_string()]))
        .collect();
    assert_eq!(each, drawn);
    assert_eq!(generate(&["--seeds", "85,265", "--class", "random"]), drawn);
    // Other families draw none unless they are asked to.
    let biggan = golden_file("biggan-ajbrock.pth");
    run(folder.path(), &["generate", &biggan, "--seeds", "1", "--class", "random", "-q"]);
    assert!(refusal(&[&biggan, "--seeds", "1"], 1).contains("`random`"));
}

#[test]
fn every_verb_works_on_every_family() {
    let (folder, families) = families();
    let path = |name: &str| folder.path().join(name);
    for family in &families {
        let call = |verb: &str, words: &str| {
            let words: Vec<&str> = words.split(' ').chain(["-q"]).collect();
            family.run(folder.path(), verb, &words);
        };
        call("generate", "--seeds 3,8 --ws-output w.npz -o seeds");
        call("generate", "--ws w.npz -o again");
        for (seed, w) in [(3, 0), (8, 1)] {
            let seed = picture(&path(&format!("seeds/seed000{seed}.png")));
            assert!(seed == picture(&path(&format!("again/w000{w}.png"))), "{}", family.name);
        }
        call("interpolate", "--seeds 3,8 --steps 3 --spaces z,w -o walk.png");
        call("video", "--seeds 3,8 --w-frames 2 --captions -o video.webp");
        call("directions", "--samples 64 --num 2 -o directions.npz --sheet directions.png");
        call("edit", "--seeds 3 --direction directions.npz:0=2 --steps 3 -o edit.png");
        call("project", "seeds/seed0003.png --loss pixels --steps 2 --space w+ -o projected");
        for name in ["walk.png", "directions.png", "edit.png", "projected/proj.png"] {
            assert!(picture(&path(name)).pixels.len() > 100, "{} {name}", family.name);
            fs::remove_file(path(name)).unwrap();
        }
        fs::remove_dir_all(path("projected")).unwrap();
    }
}

#[test]
fn truncation_0_is_one_picture_and_four_at_once_are_four_alone() {
    let (folder, families) = families();
    for family in &families {
        let generate = |options: &[&str]| {
            family.run(folder.path(), "generate", &[&["--seeds", "1-4"], options].concat());
        };
        let read = |outdir: &str, seed: u32| {
            fs::read(folder.path().join(outdir).join(format!("seed000{seed}.png"))).unwrap()
        };
        generate(&["--trunc", "0", "--outdir", "mean"]);
        generate(&["--trunc", "0.8", "--batch", "4", "--outdir", "together"]);
        generate(&["--trunc", "0.8", "--batch", "1", "--outdir", "alone"]);
        generate(&["--trunc", "1", "--outdir", "whole"]);
        generate(&["--outdir", "untruncated"]);
        for seed in 1..=4 {
            assert!(read("mean", seed) == read("mean", 1), "{}", family.name);
            assert!(read("together", seed) == read("alone", seed), "{}", family.name);
            assert!(read("whole", seed) == read("untruncated", seed), "{}", family.name);
            assert!(read("whole", seed) != read("mean", seed), "{}", family.name);
        }
        assert!(read("whole", 1) != read("whole", 2), "{}", family.name);
    }
}

#[test]
fn centers_are_where_w_moves_to() {
    let folder = tempfile::tempdir().unwrap();
    let model = golden_file("stylegan-s2-skip.pkl");
    let weights = ganscope::weights::read(Path::new(&model), &ReadOptions::default()).unwrap();
    let mean = weights.arrays["mapping.w_avg"].to_f32();
    let far: Vec<f32> = mean.iter().map(|v| v + 1e3).collect();
    let rows = Array::from_f32([2, mean.len()], &[far, mean].concat()).unwrap();
    npy::write(&folder.path().join("centers.npy"), &rows).unwrap();
    let generate = |outdir: &str, options: &[&str]| {
        let seeds = ["generate", &model, "--seeds", "1-3", "--outdir", outdir];
        run(folder.path(), &[&seeds[..], options].concat());
        [1, 2, 3].map(|s| fs::read(folder.path().join(format!("{outdir}/seed000{s}.png"))).unwrap())
    };
    let plain = generate("plain", &["--trunc", "0.6", "--trunc-cutoff", "3"]);
    let centers = ["--trunc", "0.6", "--trunc-cutoff", "3", "--trunc-centers", "centers.npy"];
    assert!(generate("given", &centers) == plain, "the mean of W is the nearest center");
    let found = ["--trunc", "0.6", "--trunc-centers", "9"];
    let together = generate("found", &found);
    assert!(generate("alone", &[&found[..], &["--batch", "1"]].concat()) == together);
    assert!(together != generate("towards-mean", &["--trunc", "0.6"]));
    let [one, two, three] = generate("one", &["--trunc", "0", "--trunc-centers", "1"]);
    assert!(one == two && two == three, "one center");
    let whole = generate("whole", &["--trunc", "1", "--trunc-centers", "9"]);
    assert!(whole == generate("untruncated", &[]));
}

#[test]
fn a_mix_of_all_styles_is_the_picture_of_the_column_in_every_family() {
    let (folder, families) = families();
    for family in &families {
        let styles = format!("0-{}", family.last);
        let mix = ["--rows", "1,2", "--cols", "55,3", "-o", "mixed", "--styles"];
        family.run(folder.path(), "mix", &[&mix[..], &[styles.as_str()]].concat());
        family.run(folder.path(), "generate", &["--seeds", "1-3,55"]);
        let mixed = |name: &str| picture(&folder.path().join(format!("mixed/{name}.png")));
        let alone = |seed: u32| picture(&folder.path().join(format!("out/seed{seed:04}.png")));
        for row in [1, 2] {
            for column in [55, 3] {
                assert!(mixed(&format!("{row}-{column}")) == alone(column), "{}", family.name);
            }
        }
        family.run(folder.path(), "mix", &[&mix[..], &["0"]].concat());
        assert!(mixed("1-55") != alone(55) && mixed("1-55") != alone(1), "{}", family.name);
    }
}

/// What `generate` says to the file `name` of these bytes.
fn refusal_of(name: &str, bytes: &[u8], options: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    let path = folder.path().join(name);
    let arguments = [&[path.to_str().unwrap(), "--seeds", "0", "-q"], options].concat();
    refusal(&arguments, 1).replace(path.to_str().unwrap(), name)
}

/// What `generate` says when it ends with `code`.
fn refusal(arguments: &[&str], code: i32) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = ganscope(&[&["generate"], arguments].concat());
    let output = command.current_dir(folder.path()).assert().failure().code(code);
    assert!(output.get_output().stdout.is_empty());
    assert!(!folder.path().join("owned").exists(), "a pickle ran");
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

/// A checkpoint with tensors of these names and shapes.
fn tensors(shapes: &[(&str, &[usize])]) -> Vec<u8> {
    let mut weights = Weights::default();
    for (name, shape) in shapes {
        let zeros = vec![0.0; shape.iter().product()];
        weights.arrays.insert((*name).to_owned(), Array::from_f32(*shape, &zeros).unwrap());
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    write_safetensors(file.path(), &weights).unwrap();
    fs::read(file.path()).unwrap()
}

/// The first half of a golden file.
fn half(name: &str) -> Vec<u8> {
    let bytes = fs::read(golden::data().join(name)).unwrap();
    bytes[..bytes.len() / 2].to_vec()
}

#[test]
fn a_discriminator() {
    let names: [(&str, &[usize]); 5] = [
        ("b8.fromrgb.weight", &[4, 3, 1, 1]),
        ("b8.conv0.weight", &[4, 4, 3, 3]),
        ("b4.conv.weight", &[4, 5, 3, 3]),
        ("b4.fc.weight", &[4, 64]),
        ("b4.out.weight", &[1, 4]),
    ];
    insta::assert_snapshot!(refusal_of("d.safetensors", &tensors(&names), &[]), @r"
    error: open generator `d.safetensors`: the file holds no generator of biggan-deep or biggan or biggan-studio or r3gan or stylegan, but a discriminator (`b4.fc.weight`)
    hint: give BigGAN, R3GAN, or StyleGAN 1, 2, 3 or XL, as official file, state dict or safetensors; `ganscope inspect` shows what a file contains
    ");
}

#[test]
fn a_classifier() {
    let names: [(&str, &[usize]); 2] =
        [("features.0.weight", &[4, 3, 3, 3]), ("classifier.weight", &[10, 4])];
    insta::assert_snapshot!(refusal_of("vgg.safetensors", &tensors(&names), &[]), @r"
    error: open generator `vgg.safetensors`: the file holds no generator of biggan-deep or biggan or biggan-studio or r3gan or stylegan, but a classifier (`classifier.weight`)
    hint: give BigGAN, R3GAN, or StyleGAN 1, 2, 3 or XL, as official file, state dict or safetensors; `ganscope inspect` shows what a file contains
    ");
}

#[test]
fn a_truncated_snapshot() {
    insta::assert_snapshot!(refusal_of("half.pkl", &half("stylegan-s2-skip.pkl"), &[]), @r"
    error: open generator `half.pkl`: malformed pickle: a frame of 69793 bytes, 20799 are left
    hint: the file is damaged or was cut short; copy or download it again
    ");
}

#[test]
fn a_truncated_state_dict() {
    insta::assert_snapshot!(refusal_of("half.bin", &half("biggan-tiny.bin"), &[]), @r"
    error: open generator `half.bin`: malformed zip archive: invalid Zip archive: Could not find EOCD
    hint: the file is damaged or was cut short; copy or download it again
    ");
}

#[test]
fn truncated_files_of_every_format_are_said_to_be_cut_short() {
    for name in [
        "stylegan-s3-t.pkl",
        "biggan-tiny-legacy.bin",
        "stylegan-s1-64.pth",
        "stylegan-s3-t.safetensors",
    ] {
        let told = refusal_of(name, &half(name), &[]);
        assert!(
            told.contains(name) && told.contains("hint: the file is damaged or was cut short"),
            "{told}"
        );
    }
}

#[test]
fn a_pickle_that_asks_for_a_shell() {
    let pickle = b"\x80\x02cos\nsystem\nX\x0b\x00\x00\x00touch ownedq\x00\x85R.";
    insta::assert_snapshot!(refusal_of("call.pkl", pickle, &[]), @r"
    error: open generator `call.pkl`: the pickle asks for `os.system`, which is not on the list of allowed globals
    hint: only plain state dicts and NVIDIA snapshots are read, and no code in them is ever run; save the model's `state_dict()` instead
    ");
}

#[test]
fn a_module_source_that_would_run_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let (omitted, source) = (b"# module source omitted\n", b"open('owned', 'w') ####\n");
    let mut bytes = fs::read(golden::data().join("stylegan-xl-stem.pkl")).unwrap();
    let places: Vec<usize> = bytes
        .windows(omitted.len())
        .enumerate()
        .filter_map(|(at, window)| (window == omitted).then_some(at))
        .collect();
    assert!(!places.is_empty());
    for &at in &places {
        bytes[at..at + omitted.len()].copy_from_slice(source);
    }
    fs::write(folder.path().join("g.pkl"), &bytes).unwrap();
    run(folder.path(), &["generate", "g.pkl", "--seeds", "85", "--class", "0", "-q"]);
    assert!(folder.path().join("out/seed0085.png").exists());
    assert!(!folder.path().join("owned").exists(), "a module source ran");
}

#[test]
fn a_function_behind_an_import_of_dill() {
    let text = |text: &[u8]| [b"X", &(text.len() as u32).to_le_bytes()[..], text].concat();
    let import = [b"cdill._dill\n_import_module\n", &text(b"os")[..], b"\x85R"].concat();
    let get = [b"cdill._dill\n_get_attr\n", &import[..], &text(b"system"), b"\x86R"].concat();
    let call = [b"\x80\x04", &get[..], &text(b"touch owned"), b"\x85R."].concat();
    insta::assert_snapshot!(refusal_of("dill.pkl", &call, &[]), @r"
    error: open generator `dill.pkl`: the pickle asks for `os.*`, which is not on the list of allowed globals
    hint: only plain state dicts and NVIDIA snapshots are read, and no code in them is ever run; save the model's `state_dict()` instead
    ");
}

#[test]
fn damaged_files_of_the_newer_families_are_named() {
    for name in [
        "biggan-ajbrock.pth",
        "biggan-ajbrock-deep.pth",
        "biggan-studio.pth",
        "stylegan-xl-sr.pkl",
        "stylegan-xl-sr.safetensors",
        "r3gan-cond.pkl",
    ] {
        let told = refusal_of(name, &half(name), &["--class", "0"]);
        assert!(
            told.contains(name) && told.contains("hint: the file is damaged or was cut short"),
            "{told}"
        );
        let whole = fs::read(golden::data().join(name)).unwrap();
        let told = refusal_of(name, &whole, &["--class", "10"]);
        assert!(told.contains("the generator has no class 10"), "{told}");
    }
}

#[test]
fn a_configuration_of_another_network() {
    let folder = tempfile::tempdir().unwrap();
    let told = |model: &str, name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let config = path.to_str().unwrap();
        let model = golden_file(model);
        let options = [&model, "--seeds", "0", "--class", "0", "--config", config];
        refusal(&options, 1).replace(config, name).replace(&model, "MODEL")
    };
    insta::assert_snapshot!(told("biggan-ajbrock.pth", "a.json", r#"{"n_classes": 1000}"#), @"error: open generator `MODEL`: configuration: `n_classes` is 1000, but the tensors are those of 10");
    let yaml = "DATA:\n  img_size: 128\nMODEL:\n  backbone: big_resnet\n";
    insta::assert_snapshot!(told("biggan-studio.pth", "a.yaml", yaml), @"error: open generator `MODEL`: configuration: `img_size` is 128, but the tensors are those of 64");
    let broken = told("biggan-studio.pth", "b.yaml", "MODEL: [");
    assert!(
        broken.contains("`b.yaml`") && broken.contains("configuration of StudioGAN"),
        "{broken}"
    );
    insta::assert_snapshot!(told("stylegan-xl-sr.pkl", "c.json", r#"{"c_dim": 1000}"#), @"error: open generator `MODEL`: configuration: `c_dim` is 1000, but the tensors are those of 6");
}

#[test]
fn a_text_file() {
    insta::assert_snapshot!(refusal_of("notes.pkl", b"these are no weights\n", &[]), @r"
    error: open generator `notes.pkl`: no known checkpoint format: the file starts with 74 68 65 73 65 20 61 72
    hint: checkpoints are safetensors, state dicts of PyTorch, NVIDIA snapshots (`.pkl`) and npz
    ");
}

#[test]
fn an_entry_that_holds_no_network() {
    let bytes = fs::read(golden::data().join("stylegan-s2-skip.pkl")).unwrap();
    insta::assert_snapshot!(refusal_of("g.pkl", &bytes, &["--key", "D"]), @r"
    error: open generator `g.pkl`: the entry `D` holds no arrays; the file holds `D`, `G`, `G_ema`, `augment_pipe`, `training_set_kwargs`
    hint: name the entry to read with `--key NAME`
    ");
}

#[test]
fn a_checkpoint_without_its_configuration() {
    let bytes = fs::read(golden::data().join("stylegan-s2-skip.safetensors")).unwrap();
    insta::assert_snapshot!(refusal_of("g.safetensors", &bytes, &[]), @r#"
    error: open generator `g.safetensors`: the file does not determine `conv_clamp` of a StyleGAN2 generator
    hint: give a JSON file with `--config FILE`; for the published networks it is `{"conv_clamp": 256}`
    "#);
}

#[test]
fn a_class_beyond_the_range() {
    insta::assert_snapshot!(refusal(&["fashion-biggan", "--seeds", "0", "--class", "10"], 1), @r"
    error: the generator has no class 10
    hint: its 10 classes are 0 to 9
    ");
}

#[test]
fn an_option_of_another_family() {
    let options = ["fashion-biggan", "--seeds", "0", "--class", "1", "--noise-mode", "none"];
    insta::assert_snapshot!(refusal(&options, 1), @r"
    error: biggan-deep generators have no noise mode
    hint: leave it out: `--noise-mode MODE`
    ");
}

#[test]
fn centers_that_do_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let told = |name: &str, shape: &[usize], values: &[f32]| {
        let path = folder.path().join(name);
        npy::write(&path, &Array::from_f32(shape, values).unwrap()).unwrap();
        let path = path.to_str().unwrap();
        let options = ["fashion-stylegan2", "--seeds", "0", "--trunc-centers", path];
        refusal(&options, 1).replace(path, name)
    };
    insta::assert_snapshot!(told("wide.npy", &[2, 65], &[0.0; 130]), @"error: truncation towards the centers `wide.npy`: centers have shape [2, 65], expected (K, 64)");
    insta::assert_snapshot!(told("flat.npy", &[64], &[0.0; 64]), @r"
    error: truncation towards the centers `flat.npy`: `flat.npy` has shape [64]
    hint: centers are an array of K rows, each as long as w
    ");
    insta::assert_snapshot!(told("nan.npy", &[1, 64], &[f32::NAN; 64]), @"error: truncation towards the centers `nan.npy`: the list of centers contains an infinite value or NaN in row 0");
    let options = ["fashion-stylegan2", "--seeds", "0", "--trunc-centers"];
    insta::assert_snapshot!(refusal(&[&options[..], &["0"]].concat(), 1), @"error: truncation towards the centers `0`: number of centers is 0, expected 1 to 1000");
    insta::assert_snapshot!(refusal(&[&options[..], &["none.npy"]].concat(), 1), @"error: truncation towards the centers `none.npy`: cannot read `none.npy`: No such file or directory (os error 2)");
    let biggan = ["fashion-biggan", "--seeds", "0", "--class", "1", "--trunc-centers", "4"];
    insta::assert_snapshot!(refusal(&biggan, 1), @r"
    error: biggan-deep generators have no truncation centers
    hint: leave it out: `--trunc-centers N|FILE`
    ");
}

#[test]
fn a_list_of_seeds_with_a_typo() {
    insta::assert_snapshot!(refusal(&["fashion-stylegan2", "--seeds", "0,1,4-"], 2), @r"
    error: invalid value '0,1,4-' for '--seeds <SEEDS>': seeds `0,1,4-`: a number is missing; write them as `0,1,4-6`

    For more information, try '--help'.
    ");
}
