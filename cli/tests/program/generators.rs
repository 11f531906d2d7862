//! Every family of generators through the program, and files that hold none.

use std::fs;
use std::path::Path;

use ganscope::images::{quantize_biggan, quantize_stylegan};
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
    error: open generator `d.safetensors`: the file holds no generator of biggan-deep or r3gan or stylegan, but a discriminator (`b4.fc.weight`)
    hint: give BigGAN-deep, R3GAN, or StyleGAN 1, 2 or 3, as official file, state dict or safetensors; `ganscope inspect` shows what a file contains
    ");
}

#[test]
fn a_classifier() {
    let names: [(&str, &[usize]); 2] =
        [("features.0.weight", &[4, 3, 3, 3]), ("classifier.weight", &[10, 4])];
    insta::assert_snapshot!(refusal_of("vgg.safetensors", &tensors(&names), &[]), @r"
    error: open generator `vgg.safetensors`: the file holds no generator of biggan-deep or r3gan or stylegan, but a classifier (`classifier.weight`)
    hint: give BigGAN-deep, R3GAN, or StyleGAN 1, 2 or 3, as official file, state dict or safetensors; `ganscope inspect` shows what a file contains
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
