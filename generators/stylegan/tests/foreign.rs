//! Checkpoints with the names and layouts of other programs give the images of the official ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::{Device, Tensor};
use ganscope_golden as golden;
use ganscope_model::{Generator, Synthesis, Truncation};
use ganscope_stylegan::load;
use ganscope_weights::{Array, ReadOptions, Weights, read};
use serde_json::{Value, json};

fn official(name: &str) -> Weights {
    let (file, configs) = if name.starts_with("s1") {
        (format!("stylegan-{name}.pth"), "stylegan1-configs.json")
    } else {
        (format!("stylegan-{name}.safetensors"), "stylegan-configs.json")
    };
    let mut weights = read(&golden::data().join(file), &ReadOptions::default()).unwrap();
    weights.config.clone_from(golden::json(configs)[name].as_object().unwrap());
    weights
}

fn image(weights: Weights) -> Vec<f32> {
    let generator: Box<dyn Generator> = load(weights, &Device::Cpu).unwrap();
    let z_dim = generator.info().z_dim;
    let z = golden::tensor("z", &[1, z_dim], (-1.7, 1.7), 0);
    let z = Tensor::from_vec(z, (1, z_dim), &Device::Cpu).unwrap();
    let ws = generator.map(&z, None, Truncation::psi(0.6)).unwrap();
    let image = generator.synthesize(&ws, &Synthesis::default()).unwrap();
    image.flatten_all().unwrap().to_vec1().unwrap()
}

/// The same values under a new name and shape.
fn reshaped(array: &Array, shape: &[usize], factor: f32) -> Array {
    let values: Vec<f32> = array.to_f32().iter().map(|v| v * factor).collect();
    Array::from_f32(shape, &values).unwrap()
}

/// A convolution weight (O, I, kh, kw) as (kh, kw, I, O), or a matrix turned over.
fn tensorflow_layout(array: &Array, turned: bool) -> Array {
    let values = array.to_f32();
    match *array.shape() {
        [o, i] => {
            let at = |k: usize| values[k % o * i + k / o];
            Array::from_f32([i, o], &(0..o * i).map(at).collect::<Vec<_>>()).unwrap()
        }
        [o, i, kh, kw] => {
            let mut out = Vec::new();
            for y in 0..kh {
                for x in 0..kw {
                    let (y, x) = if turned { (kh - 1 - y, kw - 1 - x) } else { (y, x) };
                    for input in 0..i {
                        for output in 0..o {
                            out.push(values[((output * i + input) * kh + y) * kw + x]);
                        }
                    }
                }
            }
            Array::from_f32([kh, kw, i, o], &out).unwrap()
        }
        _ => array.clone(),
    }
}

/// The checkpoint under other names; tensors that `rename` does not know are dropped.
fn renamed(weights: &Weights, rename: impl Fn(&str, &Array) -> Option<(String, Array)>) -> Weights {
    let arrays = weights.arrays.iter().filter_map(|(name, array)| rename(name, array)).collect();
    Weights { arrays, ..Weights::default() }
}

/// The layer of `b{r}.conv{i}` among all layers after the first.
fn layer_index(block: &str, conv: &str) -> Option<usize> {
    let log2 = block.strip_prefix('b')?.parse::<usize>().ok()?.ilog2() as usize;
    Some(2 * log2.checked_sub(3)? + conv.strip_prefix("conv")?.parse::<usize>().ok()?)
}

#[test]
fn rosinality_state_dict() {
    // https://github.com/rosinality/stylegan2-pytorch, `convert_weight.py`
    let official = official("s2-skip");
    let foreign = renamed(&official, |name, array| {
        let shape = array.shape().to_vec();
        let leading_one = [&[1], &shape[..]].concat();
        let parts: Vec<&str> = name.split('.').collect();
        let (path, rest) = match parts[..] {
            ["mapping", "w_avg"] => return Some(("latent_avg".to_owned(), array.clone())),
            ["mapping", layer, leaf] => {
                let i: usize = layer.strip_prefix("fc")?.parse().ok()?;
                return Some((format!("style.{}.{leaf}", i + 1), array.clone()));
            }
            [_, "b4", "const"] => {
                return Some(("input.input".to_owned(), reshaped(array, &leading_one, 1.0)));
            }
            [_, "b4", "conv1", ref rest @ ..] => ("conv1".to_owned(), rest.join(".")),
            [_, "b4", "torgb", ref rest @ ..] => ("to_rgb1".to_owned(), rest.join(".")),
            [_, block, "torgb", ref rest @ ..] => {
                let i = layer_index(block, "conv0")? / 2;
                (format!("to_rgbs.{i}"), rest.join("."))
            }
            [_, block, "resample_filter"] => {
                let i = layer_index(block, "conv0")? / 2;
                let kernel = reshaped(array, &shape, 4.0);
                return Some((format!("to_rgbs.{i}.upsample.kernel"), kernel));
            }
            [_, block, conv, ref rest @ ..] => {
                (format!("convs.{}", layer_index(block, conv)?), rest.join("."))
            }
            _ => return None,
        };
        let colors = path.starts_with("to_rgb");
        let noise = match parts[1..3] {
            ["b4", _] => 0,
            [block, conv] => layer_index(block, conv).map_or(0, |i| i + 1),
            _ => 0,
        };
        Some(match &rest[..] {
            "weight" => (format!("{path}.conv.weight"), reshaped(array, &leading_one, 1.0)),
            "affine.weight" => (format!("{path}.conv.modulation.weight"), array.clone()),
            "affine.bias" => (format!("{path}.conv.modulation.bias"), array.clone()),
            "bias" if colors => (format!("{path}.bias"), reshaped(array, &[1, 3, 1, 1], 1.0)),
            "bias" => (format!("{path}.activate.bias"), array.clone()),
            "noise_strength" => (format!("{path}.noise.weight"), array.clone()),
            "noise_const" => {
                let shape = [&[1, 1], &shape[..]].concat();
                (format!("noises.noise_{noise}"), reshaped(array, &shape, 1.0))
            }
            "resample_filter" if parts[2] == "conv0" => {
                (format!("{path}.conv.blur.kernel"), reshaped(array, &shape, 4.0))
            }
            _ => return None,
        })
    });
    assert!(foreign.arrays.contains_key("convs.5.activate.bias"));
    assert_eq!(image(foreign), image(official));
}

#[test]
fn tensorflow_stylegan2_snapshot() {
    // https://github.com/NVlabs/stylegan2, variables of `G_mapping` and `G_synthesis_stylegan2`
    for name in ["s2-skip", "s2-orig"] {
        let official = official(name);
        let most = if name == "s2-skip" { 32 } else { 16 };
        let mut foreign = renamed(&official, |name, array| {
            let parts: Vec<&str> = name.split('.').collect();
            let square = |block: &str| {
                let r = block.trim_start_matches('b');
                format!("synthesis/{r}x{r}")
            };
            let (path, leaf) = match parts[..] {
                ["mapping", "w_avg"] => return Some(("dlatent_avg".to_owned(), array.clone())),
                ["mapping", layer, leaf] => {
                    let path = format!("mapping/{}", layer.replace("fc", "Dense"));
                    (path, leaf.to_owned())
                }
                [_, "b4", "const"] => {
                    let shape = [&[1], array.shape()].concat();
                    let array = reshaped(array, &shape, 1.0);
                    return Some(("synthesis/4x4/Const/const".to_owned(), array));
                }
                [_, block, conv, "noise_const"] => {
                    let i = if block == "b4" { 0 } else { layer_index(block, conv)? + 1 };
                    let shape = [&[1, 1], array.shape()].concat();
                    return Some((format!("synthesis/noise{i}"), reshaped(array, &shape, 1.0)));
                }
                [_, "b4", "conv1", ref rest @ ..] => {
                    ("synthesis/4x4/Conv".to_owned(), rest.join("."))
                }
                [_, block, "torgb", ref rest @ ..] if most == 16 => {
                    assert_eq!(block, "b16");
                    ("synthesis/ToRGB_lod0".to_owned(), rest.join("."))
                }
                [_, block, layer, ref rest @ ..] if !rest.is_empty() => {
                    let layer = match layer {
                        "conv0" => "Conv0_up",
                        "conv1" => "Conv1",
                        _ => "ToRGB",
                    };
                    (format!("{}/{layer}", square(block)), rest.join("."))
                }
                _ => return None,
            };
            let turned = path.ends_with("Conv0_up");
            Some(match &leaf[..] {
                "weight" => (format!("{path}/weight"), tensorflow_layout(array, turned)),
                "affine.weight" => (format!("{path}/mod_weight"), tensorflow_layout(array, false)),
                "affine.bias" => {
                    let values: Vec<f32> = array.to_f32().iter().map(|v| v - 1.0).collect();
                    let array = Array::from_f32(array.shape(), &values).unwrap();
                    (format!("{path}/mod_bias"), array)
                }
                "resample_filter" => return None,
                _ => (format!("{path}/{leaf}"), array.clone()),
            })
        });
        let Value::Object(config) = json!({"name": "Gs", "mapping_lrmul": 0.01, "fmap_max": 32})
        else {
            unreachable!()
        };
        foreign.config = config;
        // `mod_bias + 1` rounds.
        let expected: Vec<f64> = image(official).into_iter().map(f64::from).collect();
        let error = golden::relative_l2(&image(foreign), &expected);
        assert!(error < 1e-5, "{name}: {error}");
    }
}

#[test]
fn tensorflow_stylegan_snapshot() {
    // https://github.com/NVlabs/stylegan, variables of `G_mapping` and `G_synthesis`
    for (name, blocks) in [("s1-64", 5), ("s1-128-fused", 6)] {
        let official = official(name);
        let foreign = renamed(&official, |name, array| {
            let parts: Vec<&str> = name.split('.').collect();
            let (path, leaf) = match parts[..] {
                ["truncation", "w_avg"] => return Some(("dlatent_avg".to_owned(), array.clone())),
                ["synthesis", "lod"] => return Some(("synthesis/lod".to_owned(), array.clone())),
                ["mapping", layer, leaf] => {
                    (format!("mapping/{}", layer.replace("dense", "Dense")), leaf.to_owned())
                }
                [_, layer, ref rest @ ..] if layer.starts_with("layer") => {
                    let i: usize = layer.strip_prefix("layer")?.parse().ok()?;
                    let r = 4 << (i / 2);
                    if rest == ["apply_noise", "noise"] {
                        return Some((format!("synthesis/noise{i}"), array.clone()));
                    }
                    let layer = match i {
                        0 => "Const",
                        1 => "Conv",
                        _ if i.is_multiple_of(2) => "Conv0_up",
                        _ => "Conv1",
                    };
                    (format!("synthesis/{r}x{r}/{layer}"), rest.join("."))
                }
                [_, output, leaf] => {
                    let block: usize = output.strip_prefix("output")?.parse().ok()?;
                    (format!("synthesis/ToRGB_lod{}", blocks - 1 - block), leaf.to_owned())
                }
                _ => return None,
            };
            Some(match &leaf[..] {
                "weight" => (format!("{path}/weight"), tensorflow_layout(array, false)),
                "style.weight" => {
                    (format!("{path}/StyleMod/weight"), tensorflow_layout(array, false))
                }
                "style.bias" => (format!("{path}/StyleMod/bias"), array.clone()),
                "apply_noise.weight" => (format!("{path}/Noise/weight"), array.clone()),
                "blur.kernel" => return None,
                _ => (format!("{path}/{leaf}"), array.clone()),
            })
        });
        let mut official = official;
        official.config.insert("fused_scale".to_owned(), json!("auto"));
        assert_eq!(image(foreign), image(official), "{name}");
    }
}
