//! Recipe images, recipe weights, and running the program on them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use assert_cmd::Command;
use ganscope::images::{Image, decode, save_png};
use ganscope::weights::{Array, Weights, write_safetensors};
use ganscope_golden as golden;
use serde_json::Value;

/// The folder `name` beside the tests, into which `make` puts the same files in every run.
fn shared(cell: &'static OnceLock<PathBuf>, name: &str, make: impl FnOnce(&Path)) -> &'static Path {
    cell.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        make(&folder);
        folder
    })
}

/// The recipe Inception as a checkpoint.
pub(crate) fn inception() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = shared(&FOLDER, "weights", |folder| {
        let mut weights = Weights::default();
        for (name, (shape, values)) in golden::weights("inception-weights.json") {
            weights.arrays.insert(name, Array::from_f32(shape, &values).unwrap());
        }
        write_safetensors(&folder.join("inception.safetensors"), &weights).unwrap();
    });
    folder.join("inception.safetensors")
}

/// The folder `real` or `fake` of the golden end-to-end run.
pub(crate) fn images(set: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = shared(&FOLDER, "images", |folder| {
        let folders = &golden::json("metrics.json")["end_to_end"]["folders"];
        for (name, set) in folders.as_object().unwrap() {
            std::fs::create_dir_all(folder.join(name)).unwrap();
            let number = |v: &Value| v.as_u64().unwrap() as usize;
            let sizes = set["sizes_cycled_hw"].as_array().unwrap();
            for i in 0..number(&set["images"]) {
                let size = &sizes[i % sizes.len()];
                let (height, width) = (number(&size[0]), number(&size[1]));
                let k = number(&set["image_index_base"]) + i;
                let image = Image { width, height, pixels: golden::image(k, height, width) };
                save_png(&folder.join(name).join(format!("{i:04}.png")), &image).unwrap();
            }
        }
    });
    folder.join(set)
}

/// The program, without a cache unless a test gives one.
pub(crate) fn ganscope(arguments: &[&str]) -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("ganscope");
    command.args(arguments).env_remove("GANSCOPE_CACHE").env("NO_COLOR", "1");
    command
}

/// Standard output of a call in `folder` that succeeds.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = ganscope(arguments).current_dir(folder).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

/// The path of a golden file.
pub(crate) fn golden_file(name: &str) -> String {
    golden::data().join(name).to_str().unwrap().to_owned()
}

/// The picture at `path`.
pub(crate) fn picture(path: &Path) -> Image {
    decode(&std::fs::read(path).unwrap(), &path.display().to_string()).unwrap().image
}

/// Upper left corner of the first place of `part` in `whole`.
pub(crate) fn place(whole: &Image, part: &Image) -> Option<[usize; 2]> {
    let row = |image: &'_ Image, x: usize, y: usize, width: usize| {
        let start = 3 * (y * image.width + x);
        start..start + 3 * width
    };
    let same = |x: usize, y: usize, line: usize| {
        whole.pixels[row(whole, x, y + line, part.width)]
            == part.pixels[row(part, 0, line, part.width)]
    };
    let corners = (0..=whole.height.checked_sub(part.height)?)
        .flat_map(|y| (0..=whole.width.saturating_sub(part.width)).map(move |x| [x, y]));
    let mut found = corners.filter(|&[x, y]| (0..part.height).all(|line| same(x, y, line)));
    found.next()
}

/// Scores of `fake` against `real` through the recipe Inception, by name: value and spread.
pub(crate) fn scores(arguments: &[&str]) -> Vec<(String, f64, Option<f64>)> {
    let report = report(arguments);
    let row = |row: &Value| {
        let name = row["name"].as_str().unwrap().to_owned();
        (name, row["value"].as_f64().unwrap(), row["std"].as_f64())
    };
    report["scores"].as_array().unwrap().iter().map(row).collect()
}

/// The JSON report of the same.
pub(crate) fn report(arguments: &[&str]) -> Value {
    let (fake, real, weights) = (images("fake"), images("real"), inception());
    let mut all = vec!["score", fake.to_str().unwrap(), "--reference", real.to_str().unwrap()];
    all.extend(["--weights", weights.to_str().unwrap(), "--json", "-"]);
    all.extend(arguments);
    let output = ganscope(&all).assert().success();
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}
