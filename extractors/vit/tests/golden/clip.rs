//! CLIP against transformers, OpenAI's code and `open_clip`, within the tools that take distances on it.

use ganscope_images::Resize;
use ganscope_vit::{Config, Vit};

use super::dinov2::config;
use super::*;

/// A network of transformers with three heads.
fn transformers(checkpoint: Checkpoint) -> Vit {
    let text = r#"{"vision_config": {"num_attention_heads": 3, "hidden_act": "quick_gelu"}}"#;
    Vit::clip(checkpoint, &config(text)).unwrap()
}

/// Compares everything that is stored of a network of transformers.
fn check_all(key: &str, vit: &Vit, resize: Resize) {
    let images = batch(resize, vit.input_size());
    for (step, entry) in
        [("image_embeds", "image_embeds"), ("pooled", "pooled"), ("normalized", "normalised")]
    {
        check(clip_numbers(), vit, &images, (key, step, entry));
    }
    let last = vit.network().steps().iter().rfind(|s| s.name.starts_with("blocks."));
    let steps = ["norm_pre", last.unwrap().name.as_str()];
    let found = values(vit, &images, &steps);
    for (value, entry) in found.iter().zip(["after_pre_layernorm_5", "last_hidden_5"]) {
        let expected = &clip_numbers()[&format!("{key}/61/{entry}")].data;
        let error = relative_l2(&value.image(1)[..expected.len()], expected);
        assert!(error < F32_NETWORK, "{key}, {entry}: {error:.2e}");
    }
}

#[test]
fn networks_of_transformers_agree() {
    // The whole model with the text tower, and its whole configuration.
    let text = String::from_utf8(bytes("clip-tiny-config.json")).unwrap();
    let whole = Vit::clip(open("clip-tiny.safetensors"), &config(&text)).unwrap();
    assert_eq!((whole.input_size(), whole.patch_size(), whole.heads()), (56, 14, 3));
    check_all("tiny/clip", &whole, Resize::ResizeCrop);
    let wide = transformers(recipe("clip-tiny-p32-weights.json"));
    assert_eq!((wide.input_size(), wide.patch_size()), (96, 32));
    check_all("tiny-p32/clip", &wide, Resize::ResizeCrop);
    let large = transformers(recipe("clip-tiny-336-weights.json"));
    assert_eq!(large.input_size(), 336);
    check_all("tiny-336/cmmd", &large, Resize::CropResize);
}

#[test]
fn an_archive_of_openai_agrees_without_a_configuration() {
    let vit = Vit::clip(open("clip-openai-tiny.pt"), &Config::default()).unwrap();
    assert_eq!((vit.input_size(), vit.heads(), vit.settings()), (224, 1, String::new()));
    for (preset, resize) in
        [("clean-fid", Resize::ResizeCrop), ("torch-fidelity", Resize::TfBilinear)]
    {
        let key = format!("openai-tiny/{preset}");
        let images = batch(resize, 224);
        check(clip_numbers(), &vit, &images, (&key, "image_embeds", "image_embeds"));
    }
}

#[test]
fn a_network_of_open_clip_agrees() {
    let text = r#"{"model_cfg": {"vision_cfg": {"width": 64, "head_width": 16}}}"#;
    let vit = Vit::clip(recipe("clip-openclip-tiny-weights.json"), &config(text)).unwrap();
    assert_eq!((vit.heads(), vit.settings()), (4, "4 heads, gelu".to_owned()));
    let images = batch(Resize::PillowBicubicBytes, vit.input_size());
    let key = "openclip-tiny/dgm-eval";
    check(clip_numbers(), &vit, &images, (key, "pooled", "ln_post_cls"));
    check(clip_numbers(), &vit, &images, (key, "image_embeds", "image_embeds"));
}

#[test]
fn base_32_at_its_real_size_agrees() {
    let vit = Vit::clip(recipe("clip-b32-weights.json"), &Config::default()).unwrap();
    assert_eq!((vit.input_size(), vit.patch_size(), vit.heads()), (224, 32, 12));
    check_all("b32/clean-fid", &vit, Resize::ResizeCrop);
    let quick = config(r#"{"quick_gelu": true}"#);
    let vit = Vit::clip(recipe("clip-openai-b32-weights.json"), &quick).unwrap();
    for (preset, resize) in
        [("clean-fid", Resize::ResizeCrop), ("torch-fidelity", Resize::TfBilinear)]
    {
        let key = format!("openai-b32/{preset}");
        let images = batch(resize, 224);
        check(clip_numbers(), &vit, &images, (&key, "image_embeds", "image_embeds"));
    }
}
