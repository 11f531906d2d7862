//! Names of other programs, brought to those of the official PyTorch networks.
//!
//! StyleGAN2 and 3 keep the names of <https://github.com/NVlabs/stylegan3>, StyleGAN those of
//! <https://github.com/genforce/genforce>.

use std::collections::BTreeMap;

use ganscope_weights::{Array, Weights};
use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// A generation of StyleGAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Karras et al., 2018.
    StyleGan1,
    /// Karras et al., 2019 and 2020 (ADA).
    StyleGan2,
    /// Karras et al., 2021.
    StyleGan3,
    /// Sauer et al., 2022.
    StyleGanXl,
}

impl Family {
    /// The generation whose tensors `weights` contain, by their names; `None` for other networks.
    pub fn of(weights: &Weights) -> Option<Self> {
        naming(weights).map(|(family, _)| family)
    }
}

/// The program whose names the tensors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    Official,
    Rosinality,
    TensorFlow,
}

fn naming(weights: &Weights) -> Option<(Family, Naming)> {
    /// A tensor that each kind of file has, and no other.
    const SIGNS: &[(&str, Family, Naming)] = &[
        ("synthesis.input.freqs", Family::StyleGan3, Naming::Official),
        ("synthesis.b4.const", Family::StyleGan2, Naming::Official),
        ("synthesis.layer0.const", Family::StyleGan1, Naming::Official),
        ("conv1.conv.modulation.weight", Family::StyleGan2, Naming::Rosinality),
        ("synthesis/4x4/Const/StyleMod/weight", Family::StyleGan1, Naming::TensorFlow),
        ("synthesis/4x4/Conv/mod_weight", Family::StyleGan2, Naming::TensorFlow),
    ];
    let has = |name: &str| weights.arrays.contains_key(name);
    let &(_, family, naming) = SIGNS.iter().find(|(name, ..)| has(name))?;
    // StyleGAN-XL has a table where StyleGAN3 has a layer.
    let table = has("mapping.embed.weight") && !has("mapping.embed.bias");
    let xl = family == Family::StyleGan3 && table;
    Some((if xl { Family::StyleGanXl } else { family }, naming))
}

/// The family of the network, with its tensors and hyper-parameters in the family's own names.
pub(crate) fn convert(weights: Weights) -> Result<(Family, Weights)> {
    let Some((family, naming)) = naming(&weights) else {
        return Err(Error::NotAGenerator { found: describe(&weights) });
    };
    let weights = match naming {
        Naming::Official => weights,
        Naming::Rosinality => from_rosinality(weights)?,
        Naming::TensorFlow => from_tensorflow(weights, family)?,
    };
    Ok((family, weights))
}

/// A description of tensors that are not a generator.
pub fn describe(weights: &Weights) -> String {
    /// Tensors that discriminators have: official, rosinality's, genforce's, TensorFlow's.
    const DISCRIMINATORS: &[&str] =
        &["b4.fc.weight", "final_linear.0.weight", "input0.weight", "4x4/Dense0/weight"];
    /// How names of tensors begin in classifiers: those of torchvision, and Inception.
    const CLASSIFIERS: &[&str] = &["classifier.", "features.", "fc.", "layer1.", "Mixed_7c."];
    let has = |name: &&&str| weights.arrays.contains_key(**name);
    if let Some(name) = DISCRIMINATORS.iter().find(has) {
        return format!("a discriminator (`{name}`)");
    }
    if let Some(Value::String(class)) = weights.config.get("class_name")
        && class != "Generator"
    {
        return format!("a network of class `{class}`");
    }
    if let Some(name) =
        weights.arrays.keys().find(|name| CLASSIFIERS.iter().any(|part| name.starts_with(part)))
    {
        return format!("a classifier (`{name}`)");
    }
    let names: Vec<String> = weights.arrays.keys().take(3).map(|n| format!("`{n}`")).collect();
    if names.is_empty() {
        return "no tensors".to_owned();
    }
    format!("{} tensors such as {}", weights.arrays.len(), names.join(", "))
}

/// The names of <https://github.com/rosinality/stylegan2-pytorch>.
fn from_rosinality(mut weights: Weights) -> Result<Weights> {
    let mut arrays = BTreeMap::new();
    for (name, array) in std::mem::take(&mut weights.arrays) {
        let Some(official) = rosinality_name(&name) else {
            arrays.insert(name, array);
            continue;
        };
        let array = match leaf(&official) {
            "weight" => without_ones(&array, 4)?,
            "const" => without_ones(&array, 3)?,
            "noise_const" => without_ones(&array, 2)?,
            // The biases of colors are (1, 3, 1, 1).
            "bias" => array_of(vec![array.len()], &array.to_f32())?,
            // The kernels contain the gain of upsampling, 4.
            "resample_filter" => {
                let values: Vec<f32> = array.to_f32().iter().map(|v| v / 4.0).collect();
                array_of(array.shape().to_vec(), &values)?
            }
            _ => array,
        };
        arrays.insert(official, array);
    }
    weights.arrays = arrays;
    // The constructor's only argument without trace in the tensors, `lr_mlp`, is 0.01 in its
    // training program; there is no clamp.
    if weights.config.is_empty() {
        weights.config =
            object(json!({"conv_clamp": null, "mapping_kwargs": {"lr_multiplier": 0.01}}));
    }
    Ok(weights)
}

/// The official name of a tensor of rosinality's generator.
fn rosinality_name(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('.').collect();
    let number = |text: &str| text.parse::<u32>().ok().filter(|&n| n < 40);
    let block = |log2: u32| format!("synthesis.b{}", 1u64 << log2);
    let layer = |j: u32| format!("{}.conv{}", block(j / 2 + 3), j % 2);
    let layer_leaf = |rest: &[&str]| match *rest {
        ["conv", "weight"] => Some("weight"),
        ["conv", "modulation", "weight"] => Some("affine.weight"),
        ["conv", "modulation", "bias"] => Some("affine.bias"),
        ["conv", "blur", "kernel"] => Some("resample_filter"),
        ["noise", "weight"] => Some("noise_strength"),
        ["activate", "bias"] | ["bias"] => Some("bias"),
        _ => None,
    };
    match parts[..] {
        ["latent_avg"] => Some("mapping.w_avg".to_owned()),
        ["style", i, leaf] => Some(format!("mapping.fc{}.{leaf}", number(i)?.checked_sub(1)?)),
        ["input", "input"] => Some("synthesis.b4.const".to_owned()),
        ["conv1", ref rest @ ..] => Some(format!("synthesis.b4.conv1.{}", layer_leaf(rest)?)),
        ["to_rgb1", ref rest @ ..] => Some(format!("synthesis.b4.torgb.{}", layer_leaf(rest)?)),
        ["convs", j, ref rest @ ..] => Some(format!("{}.{}", layer(number(j)?), layer_leaf(rest)?)),
        ["to_rgbs", i, "upsample", "kernel"] => {
            Some(format!("{}.resample_filter", block(number(i)? + 3)))
        }
        ["to_rgbs", i, ref rest @ ..] => {
            Some(format!("{}.torgb.{}", block(number(i)? + 3), layer_leaf(rest)?))
        }
        ["noises", noise] => match number(noise.strip_prefix("noise_")?)? {
            0 => Some("synthesis.b4.conv1.noise_const".to_owned()),
            i => Some(format!("{}.noise_const", layer(i - 1))),
        },
        _ => None,
    }
}

/// The variables of <https://github.com/NVlabs/stylegan> and
/// <https://github.com/NVlabs/stylegan2>.
fn from_tensorflow(mut weights: Weights, family: Family) -> Result<Weights> {
    let most = weights.arrays.keys().filter_map(|name| resolution(name)).max().unwrap_or(4);
    let mut arrays = BTreeMap::new();
    for (name, array) in std::mem::take(&mut weights.arrays) {
        let official = match family {
            Family::StyleGan1 => stylegan1_variable(&name, most),
            _ => stylegan2_variable(&name, most),
        };
        let Some(official) = official else {
            arrays.insert(name, array);
            continue;
        };
        let upsampling = name.contains("/Conv0_up/") || name.contains("/Skip/");
        let turned = family == Family::StyleGan2 && upsampling;
        let array = match leaf(&official) {
            "weight" => transposed(&array, turned)?,
            // Styles are stored around zero.
            "bias" if name.ends_with("/mod_bias") => {
                let values: Vec<f32> = array.to_f32().iter().map(|v| v + 1.0).collect();
                array_of(array.shape().to_vec(), &values)?
            }
            "const" if family == Family::StyleGan2 => without_ones(&array, 3)?,
            "noise_const" => without_ones(&array, 2)?,
            _ => array,
        };
        arrays.insert(official, array);
    }
    weights.arrays = arrays;
    weights.config = tensorflow_config(&weights.config, family)?;
    Ok(weights)
}

/// The resolution in `synthesis/64x64/...`.
fn resolution(name: &str) -> Option<usize> {
    name.strip_prefix("synthesis/")?.split_once('x')?.0.parse().ok()
}

/// The path, resolution and rest of a variable of the synthesis; `ToRGB_lod{k}` stands where its
/// resolution does.
fn placed(name: &str, most: usize) -> Option<(usize, String)> {
    let rest = name.strip_prefix("synthesis/")?;
    if let Some((lod, leaf)) = rest.strip_prefix("ToRGB_lod").and_then(|r| r.split_once('/')) {
        return Some((most.checked_shr(lod.parse().ok()?)?, format!("ToRGB/{leaf}")));
    }
    let (square, rest) = rest.split_once('/')?;
    Some((square.split_once('x')?.0.parse().ok()?, rest.to_owned()))
}

fn noise_index(name: &str) -> Option<usize> {
    name.strip_prefix("synthesis/noise")?.parse().ok()
}

fn stylegan2_variable(name: &str, most: usize) -> Option<String> {
    if name == "dlatent_avg" {
        return Some("mapping.w_avg".to_owned());
    }
    if let Some(rest) = name.strip_prefix("mapping/") {
        let (layer, leaf) = rest.split_once('/')?;
        return match layer.strip_prefix("Dense") {
            Some(i) => Some(format!("mapping.fc{i}.{leaf}")),
            None => (layer == "LabelEmbed").then(|| format!("mapping.embed.{leaf}")),
        };
    }
    if let Some(i) = noise_index(name) {
        // noise0 is at 4x4; then two at each resolution.
        let (r, conv) = if i == 0 { (4, 1) } else { (8 << ((i - 1) / 2), (i - 1) % 2) };
        return Some(format!("synthesis.b{r}.conv{conv}.noise_const"));
    }
    let (r, rest) = placed(name, most)?;
    let (layer, leaf) = rest.split_once('/')?;
    let leaf = match leaf {
        "mod_weight" => "affine.weight",
        "mod_bias" => "affine.bias",
        other => other,
    };
    let layer = match layer {
        "Const" => return Some(format!("synthesis.b{r}.const")),
        "Conv" | "Conv1" => "conv1",
        "Conv0_up" => "conv0",
        "ToRGB" => "torgb",
        "Skip" => "skip",
        _ => return None,
    };
    Some(format!("synthesis.b{r}.{layer}.{leaf}"))
}

fn stylegan1_variable(name: &str, most: usize) -> Option<String> {
    if name == "dlatent_avg" {
        return Some("truncation.w_avg".to_owned());
    }
    if name == "synthesis/lod" {
        return Some("synthesis.lod".to_owned());
    }
    if let Some(rest) = name.strip_prefix("mapping/") {
        let (layer, leaf) = rest.split_once('/')?;
        return match layer.strip_prefix("Dense") {
            Some(i) => Some(format!("mapping.dense{i}.{leaf}")),
            None => (rest == "LabelConcat/weight").then(|| "mapping.label_weight".to_owned()),
        };
    }
    if let Some(i) = noise_index(name) {
        return Some(format!("synthesis.layer{i}.apply_noise.noise"));
    }
    let (r, rest) = placed(name, most)?;
    let block = r.checked_ilog2()?.checked_sub(2)?;
    let (layer, leaf) = rest.split_once('/')?;
    let leaf = match leaf {
        "Noise/weight" => "apply_noise.weight",
        "StyleMod/weight" => "style.weight",
        "StyleMod/bias" => "style.bias",
        other => other,
    };
    match layer {
        "Const" | "Conv0_up" => Some(format!("synthesis.layer{}.{leaf}", 2 * block)),
        "Conv" | "Conv1" => Some(format!("synthesis.layer{}.{leaf}", 2 * block + 1)),
        "ToRGB" => Some(format!("synthesis.output{block}.{leaf}")),
        _ => None,
    }
}

/// (in, out) to (out, in), and (kh, kw, in, out) to (out, in, kh, kw), turned by 180 degrees where
/// `turned`.
fn transposed(array: &Array, turned: bool) -> Result<Array> {
    let (taps, inputs, outputs, shape) = match *array.shape() {
        [i, o] => (1, i, o, vec![o, i]),
        [kh, kw, i, o] => (kh * kw, i, o, vec![o, i, kh, kw]),
        _ => return Ok(array.clone()),
    };
    let values = array.to_f32();
    let at = |index: usize| {
        let (output, input, tap) = (index / (inputs * taps), index / taps % inputs, index % taps);
        let tap = if turned { taps - 1 - tap } else { tap };
        values[(tap * inputs + input) * outputs + output]
    };
    let values: Vec<f32> = (0..values.len()).map(at).collect();
    array_of(shape, &values)
}

/// The array without leading axes of size 1 beyond `rank` axes.
fn without_ones(array: &Array, rank: usize) -> Result<Array> {
    let mut shape = array.shape().to_vec();
    while shape.len() > rank && shape[0] == 1 {
        shape.remove(0);
    }
    array_of(shape, &array.to_f32())
}

fn leaf(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The arguments that matter, in the words of the PyTorch networks.
fn tensorflow_config(given: &Map<String, Value>, family: Family) -> Result<Map<String, Value>> {
    let get = |name: &str, default: Value| given.get(name).cloned().unwrap_or(default);
    for name in ["nonlinearity", "mapping_nonlinearity"] {
        if get(name, json!("lrelu")) != json!("lrelu") {
            return Err(Error::Config(format!("`{name}` is {}, not \"lrelu\"", given[name])));
        }
    }
    let multiplier = get("mapping_lrmul", json!(0.01));
    Ok(object(match family {
        Family::StyleGan1 => json!({
            "fused_scale": get("fused_scale", json!("auto")),
            "mapping_lr_mul": multiplier,
        }),
        _ => json!({
            "conv_clamp": get("conv_clamp", Value::Null),
            "resample_filter": get("resample_kernel", json!([1, 3, 3, 1])),
            "mapping_kwargs": {"lr_multiplier": multiplier},
        }),
    }))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn array_of(shape: Vec<usize>, values: &[f32]) -> Result<Array> {
    Array::from_f32(shape, values).map_err(|e| Error::Model(e.into()))
}
