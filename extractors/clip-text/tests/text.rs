//! Embeddings of prompts against transformers and `open_clip`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::Device;
use ganscope_clip_text::{TextConfig, TextTower, Tokenizer};
use ganscope_golden::{data, json, relative_l2};
use ganscope_model::{Checkpoint, Result};
use ganscope_weights::{Array, ReadOptions, Weights, read};
use serde_json::Value;

/// The references are float32, too.
const EMBEDDINGS: f64 = 1e-5;

const CONFIG: TextConfig = TextConfig { heads: Some(2) };

fn weights() -> Weights {
    read(&data().join("clip-tiny.safetensors"), &ReadOptions::default()).unwrap()
}

/// The same numbers under OpenAI's names.
fn openai() -> Weights {
    let mut weights = weights();
    let block = "text_model.encoder.layers.0.";
    for (ours, theirs) in [
        ("ln_1", "layer_norm1"),
        ("ln_2", "layer_norm2"),
        ("attn.out_proj", "self_attn.out_proj"),
        ("mlp.c_fc", "mlp.fc1"),
        ("mlp.c_proj", "mlp.fc2"),
    ] {
        for kind in ["weight", "bias"] {
            let array = weights.arrays.remove(&format!("{block}{theirs}.{kind}")).unwrap();
            weights.arrays.insert(format!("transformer.resblocks.0.{ours}.{kind}"), array);
        }
    }
    for (kind, shape) in [("weight", vec![48, 16]), ("bias", vec![48])] {
        let part = |x: &str| weights.arrays[&format!("{block}self_attn.{x}_proj.{kind}")].to_f32();
        let whole = ["q", "k", "v"].map(part).concat();
        let name = format!("transformer.resblocks.0.attn.in_proj_{kind}");
        weights.arrays.insert(name, Array::from_f32(shape, &whole).unwrap());
    }
    let projection = weights.arrays["text_projection.weight"].to_f32();
    let turned: Vec<f32> = (0..16 * 32).map(|i| projection[i % 32 * 16 + i / 32]).collect();
    weights.arrays.insert("text_projection".into(), Array::from_f32([16, 32], &turned).unwrap());
    for (ours, theirs) in [
        ("token_embedding.weight", "embeddings.token_embedding.weight"),
        ("positional_embedding", "embeddings.position_embedding.weight"),
        ("ln_final.weight", "final_layer_norm.weight"),
        ("ln_final.bias", "final_layer_norm.bias"),
    ] {
        let array = weights.arrays.remove(&format!("text_model.{theirs}")).unwrap();
        weights.arrays.insert(ours.into(), array);
    }
    weights
}

fn tower(weights: Weights, config: TextConfig) -> Result<TextTower> {
    TextTower::new(Checkpoint::from(weights), config, &Device::Cpu)
}

fn tokenizer(context: usize) -> Tokenizer {
    let json = std::fs::read(data().join("clip-text-tokenizer.json")).unwrap();
    Tokenizer::from_json(&json, context).unwrap()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn tokens_are_those_of_transformers() {
    let golden = json("clip-text.json");
    let tokenizer = tokenizer(8);
    let prompts: Vec<String> = serde_json::from_value(golden["prompts"].clone()).unwrap();
    let expected: Vec<Vec<u32>> = serde_json::from_value(golden["tokens"].clone()).unwrap();
    for (prompt, expected) in prompts.iter().zip(expected) {
        let found = tokenizer.prompt(prompt).unwrap();
        assert_eq!(found.tokens, expected, "{prompt}");
        assert_eq!(found.is_cut, prompt.len() > 20, "{prompt}");
    }
}

#[test]
fn embeddings_are_golden_under_both_kinds_of_names() {
    let golden = json("clip-text.json");
    let tokenizer = tokenizer(8);
    for (weights, name) in [(weights(), "text_embeds"), (openai(), "open_clip")] {
        let tower = tower(weights, CONFIG).unwrap();
        assert_eq!(tower.context(), 8);
        let expected = rows(&golden[name]);
        for (prompt, expected) in golden["prompts"].as_array().unwrap().iter().zip(&expected) {
            let prompt = tokenizer.prompt(prompt.as_str().unwrap()).unwrap();
            let error = relative_l2(&tower.embed(&prompt).unwrap(), expected);
            assert!(error < EMBEDDINGS, "{name}: {error:e}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let fails = |weights, config| tower(weights, config).unwrap_err().to_string();
    assert!(fails(weights(), TextConfig::default()).contains("width of 16"));
    assert!(fails(weights(), TextConfig { heads: Some(3) }).contains("3 heads"));
    let mut images = weights();
    images.arrays.retain(|name, _| !name.starts_with("text"));
    assert!(fails(images, CONFIG).contains("no text tower of CLIP"));
    let mut part = weights();
    part.arrays.remove("text_model.final_layer_norm.bias").unwrap();
    assert!(fails(part, CONFIG).contains("`text_model.final_layer_norm.bias`"));
    let mut narrow = weights();
    let bias = Array::from_f32([15], &[0.0; 15]).unwrap();
    narrow.arrays.insert("text_model.final_layer_norm.bias".into(), bias);
    assert!(fails(narrow, CONFIG).contains("[15]"));

    let mut short = weights();
    let array = short.arrays.get_mut("text_model.embeddings.token_embedding.weight").unwrap();
    *array = Array::from_f32([59, 16], &vec![0.1; 59 * 16]).unwrap();
    let prompt = tokenizer(8).prompt("a").unwrap();
    let error = tower(short, CONFIG).unwrap().embed(&prompt).unwrap_err().to_string();
    assert!(error.contains("token 59 of a vocabulary of 59"), "{error}");
    assert!(Tokenizer::from_json(b"{}", 8).is_err() && Tokenizer::from_json(b"no", 8).is_err());
}
