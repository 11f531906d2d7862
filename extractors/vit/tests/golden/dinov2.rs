//! DINOv2 against its own repository, within the tools that take distances on it.

use ganscope_images::Resize;
use ganscope_model::Op;
use ganscope_model::network::Tokens;
use ganscope_vit::{Config, Vit};

use super::*;

/// Position embeddings, which the references resize in float32.
const POSITIONS: f64 = 1e-5;

const PRESETS: [(&str, Resize); 4] = [
    ("dgm-eval", Resize::PillowBicubicBytes),
    ("clean", Resize::PillowBicubic),
    ("edm2", Resize::TorchBicubic),
    ("torch-fidelity", Resize::TfBilinear),
];

pub(super) fn config(text: &str) -> Config {
    Config::from_json(text).unwrap()
}

/// A golden network of three heads of 16 channels.
fn vit(file: &str) -> Vit {
    Vit::dinov2(open(file), &config(r#"{"num_heads": 3}"#)).unwrap()
}

const TINY: [&str; 3] = ["tiny", "tiny-swiglu", "tiny-reg4"];

fn official(model: &str) -> Vit {
    vit(&format!("dinov2-{model}.pth"))
}

fn tokens(vit: &Vit) -> &Tokens {
    let op = vit.network().steps().iter().find_map(|step| match &step.op {
        Op::Tokens(tokens) => Some(tokens),
        _ => None,
    });
    op.unwrap()
}

#[test]
fn features_are_those_of_every_preset() {
    for model in TINY {
        let vit = official(model);
        for (preset, resize) in PRESETS {
            let images = batch(resize, vit.input_size());
            let key = format!("{model}/{preset}");
            check(dinov2_numbers(), &vit, &images, (&key, "cls", "cls"));
            check(dinov2_numbers(), &vit, &images, (&key, "patch_mean", "patch_mean"));
            if model == "tiny-reg4" {
                check(dinov2_numbers(), &vit, &images, (&key, "reg_mean", "reg_mean"));
            }
        }
    }
}

#[test]
fn checkpoints_of_all_writers_are_the_same_network() {
    for (model, kinds) in [
        ("tiny", &["-hf"][..]),
        ("tiny-swiglu", &["-hf", "-timm"]),
        ("tiny-reg4", &["-hf", "-timm"]),
    ] {
        let images = batch(Resize::PillowBicubicBytes, 224);
        let expected = values(&official(model), &images, &["cls"]).remove(0);
        for kind in kinds {
            let other = vit(&format!("dinov2-{model}{kind}.safetensors"));
            let cls = values(&other, &images, &["cls"]).remove(0);
            // timm has added the position of the class token before it wrote the file.
            assert_eq!(cls.data, expected.data, "{model}{kind}");
        }
    }
}

#[test]
fn position_embeddings_are_resized_as_the_repository_does_it() {
    for model in TINY {
        let vit = official(model);
        let tokens = tokens(&vit);
        for grid in [[16, 16], [20, 11]] {
            let expected = &dinov2_numbers()[&format!("{model}/pos_embed_{}x{}", grid[0], grid[1])];
            // The first row is that of the class token, which is not resized.
            let error = relative_l2(&tokens.resized(grid), &expected.data[tokens.channels()..]);
            assert!(error < POSITIONS, "{model}, {grid:?}: {error:.2e}");
        }
        assert_eq!(tokens.resized([37, 37]), tokens.positions);
    }
}

#[test]
fn every_block_computes_what_the_repository_computes() {
    for (model, vit) in TINY.map(|model| (model, official(model))) {
        let images = batch(Resize::PillowBicubicBytes, 224);
        trace(model, &vit, &images);
    }
}

/// Compares the first tokens of image 61 after each step that is stored.
fn trace(model: &str, vit: &Vit, images: &ImageBatch) {
    let start = format!("{model}/trace61/");
    let entries =
        dinov2_numbers().range(start.clone()..).take_while(|(k, _)| k.starts_with(&start));
    let mut compared = 0;
    for (key, expected) in entries {
        let step = match &key[start.len()..] {
            "tokens_in" => "tokens".to_owned(),
            "norm" => "norm".to_owned(),
            block => block.replace("block", "blocks."),
        };
        let value = values(vit, images, &[step.as_str()]).remove(0);
        let error = relative_l2(&value.image(1)[..expected.data.len()], &expected.data);
        assert!(error < F32_NETWORK, "{key}: {error:.2e}");
        compared += 1;
    }
    assert!(compared >= 4);
}

#[test]
fn images_of_any_proportions_are_taken() {
    for (model, vit) in TINY.map(|model| (model, official(model))) {
        rectangle(model, &vit);
    }
    let native = values(&official("tiny"), &whole(65, 518, 518), &["cls", "patch_mean"]);
    for (value, entry) in native.iter().zip(["cls", "patch_mean"]) {
        let error =
            relative_l2(&value.data, &dinov2_numbers()[&format!("tiny/native518/{entry}")].data);
        assert!(error < F32_NETWORK, "518 x 518, {entry}: {error:.2e}");
    }
}

fn rectangle(model: &str, vit: &Vit) {
    let found = values(vit, &whole(64, 280, 154), &["cls", "patch_mean"]);
    for (value, entry) in found.iter().zip(["cls", "patch_mean"]) {
        let expected = &dinov2_numbers()[&format!("{model}/rect280x154/{entry}")].data;
        let error = relative_l2(&value.data, expected);
        assert!(error < F32_NETWORK, "{model}, 280 x 154, {entry}: {error:.2e}");
    }
}

#[test]
fn the_smallest_published_size_agrees() {
    // The number of heads follows from the width.
    let vit = Vit::dinov2(recipe("dinov2-vits14-weights.json"), &Config::default()).unwrap();
    assert_eq!((vit.heads(), vit.patch_size(), vit.settings()), (6, 14, String::new()));
    for (preset, resize) in PRESETS {
        let images = batch(resize, vit.input_size());
        let found = values(&vit, &images, &["cls", "patch_mean"]);
        for (value, entry) in found.iter().zip(["cls", "patch_mean"]) {
            for k in 0..SIZES.len() {
                let key = format!("vits14/{preset}/{}/{entry}", 60 + k);
                let error = relative_l2(value.image(k), &dinov2_numbers()[&key].data);
                assert!(error < F32_NETWORK, "{key}: {error:.2e}");
            }
        }
    }
    rectangle("vits14", &vit);
    trace("vits14", &vit, &batch(Resize::PillowBicubicBytes, 224));
}
