//! Hyper-parameters that the names and shapes of the tensors determine.

use ganscope_model::Checkpoint;
use serde_json::{Map, Value};

use super::{StyleGan1Config, StyleGan2Config, StyleGan3Config, merge, parse};
use crate::mapping::MOST_LAYERS;
use crate::stylegan3::names;
use crate::{Error, Result};

/// Sizes of a tensor of a given rank.
fn dims<const N: usize>(checkpoint: &Checkpoint, name: &str) -> Option<[usize; N]> {
    checkpoint.shape(name)?.try_into().ok()
}

/// `z_dim`, `c_dim`, `w_dim` and the arguments of an official mapping network.
fn mapping(checkpoint: &Checkpoint) -> Map<String, Value> {
    let mut map = Map::new();
    let mut arguments = Map::new();
    let num_layers = (0..MOST_LAYERS)
        .take_while(|i| checkpoint.contains(&format!("mapping.fc{i}.weight")))
        .count();
    let embed = dims::<2>(checkpoint, "mapping.embed.weight");
    if let Some([out, inputs]) = dims::<2>(checkpoint, "mapping.fc0.weight") {
        let embedded = embed.map_or(0, |[out, _]| out);
        map.insert("z_dim".into(), inputs.saturating_sub(embedded).into());
        if num_layers > 1 {
            arguments.insert("layer_features".into(), out.into());
        }
    }
    map.insert("c_dim".into(), embed.map_or(0, |[_, classes]| classes).into());
    if let Some([embedded, _]) = embed {
        arguments.insert("embed_features".into(), embedded.into());
    }
    if let Some([w_dim]) = dims::<1>(checkpoint, "mapping.w_avg") {
        map.insert("w_dim".into(), w_dim.into());
    }
    arguments.insert("num_layers".into(), num_layers.into());
    map.insert("mapping_kwargs".into(), arguments.into());
    map
}

/// The channels per resolution as a base and a maximum.
fn channels(by_resolution: &[(usize, usize)]) -> Option<(usize, usize)> {
    let most = by_resolution.iter().map(|&(_, channels)| channels).max()?;
    let base = by_resolution.iter().map(|&(r, channels)| r * channels).max()?;
    let fits = by_resolution.iter().all(|&(r, channels)| channels == most.min(base / r));
    fits.then_some((base, most))
}

/// Arguments of StyleGAN2, from `given` over what the tensors determine.
pub(crate) fn stylegan2(
    checkpoint: &Checkpoint,
    given: &Map<String, Value>,
) -> Result<StyleGan2Config> {
    if given.is_empty() {
        return Err(Error::Undetermined {
            field: "conv_clamp",
            family: "StyleGAN2",
            example: r#"{"conv_clamp": 256}"#,
        });
    }
    let mut map = mapping(checkpoint);
    let resolutions: Vec<usize> = (2..32)
        .map(|log2| 1 << log2)
        .take_while(|r| checkpoint.contains(&format!("synthesis.b{r}.conv1.weight")))
        .collect();
    let by_resolution: Vec<(usize, usize)> = resolutions
        .iter()
        .filter_map(|&r| {
            let [o, ..] = dims::<4>(checkpoint, &format!("synthesis.b{r}.conv1.weight"))?;
            Some((r, o))
        })
        .collect();
    if let Some((base, most)) = channels(&by_resolution) {
        map.insert("channel_base".into(), base.into());
        map.insert("channel_max".into(), most.into());
    }
    if let Some(last) = resolutions.last() {
        map.insert("img_resolution".into(), (*last).into());
        let colors = dims::<4>(checkpoint, &format!("synthesis.b{last}.torgb.weight"));
        if let Some([colors, ..]) = colors {
            map.insert("img_channels".into(), colors.into());
        }
    }
    let architecture = if checkpoint.contains("synthesis.b8.skip.weight") {
        "resnet"
    } else if checkpoint.contains("synthesis.b4.torgb.weight") {
        "skip"
    } else {
        "orig"
    };
    map.insert("architecture".into(), architecture.into());
    let narrow = dims::<3>(checkpoint, "synthesis.b4.const").is_some_and(|[_, _, w]| w == 2);
    map.insert("square".into(), (!narrow).into());
    let noise = checkpoint.contains("synthesis.b4.conv1.noise_strength");
    map.insert("use_noise".into(), noise.into());
    parse(merge(map, given, "stylegan2")?)
}

/// Arguments of StyleGAN3, from `given` over what the tensors determine.
pub(crate) fn stylegan3(
    checkpoint: &Checkpoint,
    given: &Map<String, Value>,
) -> Result<StyleGan3Config> {
    if given.is_empty() {
        return Err(Error::Undetermined {
            field: "channel_base",
            family: "StyleGAN3",
            example: r#"{"channel_base": 32768, "channel_max": 512}"#,
        });
    }
    let mut map = mapping(checkpoint);
    // L{index}_{size}_{channels}
    let parts = |name: &str| -> Option<(usize, usize, usize)> {
        let layer = name.strip_prefix("synthesis.L")?.strip_suffix(".weight")?;
        let mut numbers = layer.split('_').map(|n| n.parse().ok());
        let parts = (numbers.next()??, numbers.next()??, numbers.next()??);
        numbers.next().is_none().then_some(parts)
    };
    if let Some((last, size, colors)) = checkpoint.names().filter_map(parts).max() {
        map.insert("num_layers".into(), last.into());
        let narrow = given.get("square") == Some(&Value::Bool(false));
        map.insert("img_resolution".into(), (if narrow { 2 * size } else { size }).into());
        map.insert("img_channels".into(), colors.into());
    }
    let first = |leaf: &str| {
        let name = checkpoint.names().find(|name| match name.split('.').collect::<Vec<_>>()[..] {
            ["synthesis", layer, last] => layer.starts_with("L0_") && last == leaf,
            _ => false,
        });
        name.and_then(|name| checkpoint.shape(name))
    };
    if let Some(&[_, _, kernel, _]) = first("weight") {
        map.insert("conv_kernel".into(), kernel.into());
    }
    if let Some(filter) = first("down_filter") {
        map.insert("use_radial_filters".into(), (filter.len() == 2).into());
    }
    parse(merge(map, given, "stylegan3")?)
}

/// Arguments of StyleGAN-XL. Sizes are those of the tensors, and an error where `given` has others.
///
/// Arguments of training, and those of the network that a head was put on, say nothing about the result.
pub(crate) fn stylegan_xl(
    checkpoint: &Checkpoint,
    given: &Map<String, Value>,
) -> Result<StyleGan3Config> {
    const WITHOUT_EFFECT: [&str; 8] = [
        "channel_base",
        "channel_max",
        "head_layers",
        "num_layers",
        "num_ws",
        "path_stem",
        "rand_embedding",
        "up_factor",
    ];
    let mut map = Map::new();
    let (resolution, colors, layers) = names::outputs(checkpoint)?;
    let embed = dims::<2>(checkpoint, "mapping.embed_proj.weight");
    let inputs = dims::<2>(checkpoint, "mapping.fc0.weight").map_or(0, |[_, inputs]| inputs);
    let average = checkpoint.shape("mapping.w_avg").unwrap_or_default();
    let (c_dim, w_dim) = match *average {
        [w_dim] if embed.is_none() => (0, w_dim),
        [classes, w_dim] if embed.is_some() => (classes, w_dim),
        _ => {
            let problem =
                format!("`mapping.w_avg` has shape {average:?}, expected one row per class");
            return Err(Error::Config(problem));
        }
    };
    let z_dim = embed.map_or(inputs, |[z_dim, _]| z_dim);
    let sizes = [
        ("z_dim", z_dim),
        ("c_dim", c_dim),
        ("w_dim", w_dim),
        ("img_resolution", resolution),
        ("img_channels", colors),
    ];
    for (name, found) in sizes {
        if let Some(stated) = given.get(name).filter(|stated| **stated != found) {
            let problem = format!("`{name}` is {stated}, but the tensors are those of {found}");
            return Err(Error::Config(problem));
        }
        map.insert(name.into(), found.into());
    }
    let known = mapping(checkpoint);
    map.extend(known.into_iter().filter(|(name, _)| name == "mapping_kwargs"));
    if let Some(Value::Object(arguments)) = map.get_mut("mapping_kwargs") {
        arguments.shift_remove("embed_features");
    }
    let mut given = given.clone();
    given.retain(|name, _| !WITHOUT_EFFECT.contains(&name.as_str()));
    if let Some(Value::Object(arguments)) = given.get_mut("mapping_kwargs") {
        arguments.shift_remove("rand_embedding");
    }
    map.insert("num_layers".into(), layers.into());
    parse(merge(map, &given, "stylegan-xl")?)
}

/// Arguments of StyleGAN, from `given` over what the tensors determine.
pub(crate) fn stylegan1(
    checkpoint: &Checkpoint,
    given: &Map<String, Value>,
) -> Result<StyleGan1Config> {
    if given.is_empty() {
        return Err(Error::Undetermined {
            field: "fused_scale",
            family: "StyleGAN",
            example: r#"{"fused_scale": "auto"}"#,
        });
    }
    let mut map = Map::new();
    let layers = (0..MOST_LAYERS)
        .take_while(|i| checkpoint.contains(&format!("mapping.dense{i}.weight")))
        .count();
    map.insert("mapping_layers".into(), layers.into());
    let label = dims::<2>(checkpoint, "mapping.label_weight");
    map.insert("label_size".into(), label.map_or(0, |[classes, _]| classes).into());
    if let Some([out, inputs]) = dims::<2>(checkpoint, "mapping.dense0.weight") {
        let z_dim = if label.is_some() { inputs / 2 } else { inputs };
        map.insert("z_space_dim".into(), z_dim.into());
        map.insert("mapping_fmaps".into(), out.into());
    }
    if let Some([w_dim]) = dims::<1>(checkpoint, "truncation.w_avg") {
        map.insert("w_space_dim".into(), w_dim.into());
    }
    let by_resolution: Vec<(usize, usize)> = (0..30)
        .map_while(|block| {
            let [o, ..] =
                dims::<4>(checkpoint, &format!("synthesis.layer{}.weight", 2 * block + 1))?;
            Some((4 << block, o))
        })
        .collect();
    if let Some((base, most)) = channels(&by_resolution) {
        map.insert("fmaps_base".into(), base.into());
        map.insert("fmaps_max".into(), most.into());
    }
    if let Some((last, _)) = by_resolution.last() {
        map.insert("resolution".into(), (*last).into());
        let colors =
            dims::<4>(checkpoint, &format!("synthesis.output{}.weight", by_resolution.len() - 1));
        if let Some([colors, ..]) = colors {
            map.insert("image_channels".into(), colors.into());
        }
    }
    parse(merge(map, given, "stylegan1")?)
}
