//! Checkpoints and images that do not fit.

use ganscope_golden::weights_vit;
use ganscope_vit::{Config, Vit};

use super::dinov2::config;
use super::*;

fn refusal<T: std::fmt::Debug, E: ToString>(result: Result<T, E>) -> String {
    result.unwrap_err().to_string()
}

/// Fails unless the message contains all of `parts`.
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn weights_of_the_other_family_are_refused_by_name() {
    let error = refusal(Vit::dinov2(open("clip-tiny.safetensors"), &Config::default()));
    assert_says(&error, &["DINOv2", "patch_embed.proj.weight", "those of CLIP in transformers"]);
    let error = refusal(Vit::dinov2(open("clip-openai-tiny.pt"), &Config::default()));
    assert_says(&error, &["DINOv2", "those of CLIP"]);
    let error = refusal(Vit::clip(open("dinov2-tiny.pth"), &Config::default()));
    assert_says(&error, &["CLIP", "visual.conv1.weight", "those of DINOv2"]);
    let error = refusal(Vit::clip(open("dinov2-tiny-hf.safetensors"), &Config::default()));
    assert_says(&error, &["those of DINOv2 in transformers"]);
    let error = refusal(Vit::clip(open("biggan-tiny.bin"), &Config::default()));
    assert_says(&error, &["CLIP", "the first tensor is `embeddings.weight`"]);
}

#[test]
fn what_no_tensor_tells_has_to_be_told() {
    // 48 channels are no whole number of heads of 64.
    let error = refusal(Vit::dinov2(open("dinov2-tiny.pth"), &Config::default()));
    assert_says(&error, &["48", "64", "configuration"]);
    let error = refusal(Vit::clip(recipe("clip-openclip-tiny-weights.json"), &Config::default()));
    assert_says(&error, &["GELU or QuickGELU", "hidden_act"]);
}

#[test]
fn missing_misshapen_and_left_over_tensors_are_named() {
    type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;
    let changed = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = weights_vit("clip-tiny-p32-weights.json");
        change(&mut tensors);
        let checkpoint = Checkpoint::from_f32(tensors).unwrap();
        refusal(Vit::clip(checkpoint, &config(r#"{"num_attention_heads": 3}"#)))
    };
    let norm = "vision_model.encoder.layers.1.layer_norm2.bias";
    let error = changed(&|tensors| drop(tensors.remove(norm)));
    assert_says(&error, &["no tensor", norm, "[48]"]);
    let error = changed(&|tensors| drop(tensors.insert(norm.into(), (vec![40], vec![0.0; 40]))));
    assert_says(&error, &[norm, "[40]", "[48]"]);
    let error = changed(&|tensors| drop(tensors.insert("head.bias".into(), (vec![1], vec![0.0]))));
    assert_says(&error, &["does not use", "head.bias"]);
    let positions = "vision_model.embeddings.position_embedding.weight";
    let error =
        changed(&|tensors| drop(tensors.insert(positions.into(), (vec![9, 48], vec![0.0; 432]))));
    assert_says(&error, &[positions, "[9, 48]", "square"]);
    let patches = "vision_model.embeddings.patch_embedding.weight";
    for shape in [vec![48, 3, 32, 16], vec![48, 1, 32, 32], vec![48], vec![0, 3, 32, 32]] {
        let values = vec![0.0; shape.iter().product()];
        let text = format!("{shape:?}");
        let error = changed(&|tensors| {
            tensors.insert(patches.into(), (shape.clone(), values.clone()));
        });
        assert_says(&error, &[patches, &text]);
    }
    // Without its first block there is none.
    let error = changed(&|tensors| {
        tensors.retain(|name, _| !name.starts_with("vision_model.encoder.layers.0."));
    });
    assert_says(&error, &["vision_model.encoder.layers.0.layer_norm1.weight"]);
}

#[test]
fn images_of_another_size_are_refused_with_both_sizes() {
    let heads = config(r#"{"num_attention_heads": 3}"#);
    let large = Vit::clip(recipe("clip-tiny-336-weights.json"), &heads).unwrap();
    let features = VitFeatures::new(large, "image_embeds", &Device::Cpu).unwrap();
    let error = refusal(features.extract(&whole(60, 224, 224)));
    assert_says(&error, &["24 x 24 patches", "16 x 16"]);
    let error = refusal(features.extract(&whole(60, 330, 336)));
    assert_says(&error, &["336 x 330", "patches of 14"]);
    let vit = Vit::dinov2(open("dinov2-tiny.pth"), &config(r#"{"num_heads": 3}"#)).unwrap();
    let features = VitFeatures::new(vit.clone(), "cls", &Device::Cpu).unwrap();
    let error = refusal(features.extract(&whole(60, 225, 224)));
    assert_says(&error, &["224 x 225", "patches of 14"]);
    let error = refusal(VitFeatures::new(vit, "pooled", &Device::Cpu));
    assert_says(&error, &["no step `pooled`", "patch_mean"]);
}
