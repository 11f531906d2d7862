//! Sampling rates and sizes of the layers of StyleGAN-XL, from the names and shapes of their tensors.
//!
//! Sauer et al., "StyleGAN-XL: Scaling StyleGAN to Large Diverse Datasets", 2022,
//! <https://arxiv.org/abs/2202.00273>. A network grows: the critically sampled layers of a finished one are
//! replaced by those of a head for a multiple of its resolution. So the progression of cutoffs is that of
//! several networks; what the layers compute follows from their sizes and filters, which are in the file.

use ganscope_model::{Checkpoint, Error, Result};

use super::plan::{LayerPlan, padding};
use crate::config::StyleGan3Config;
use crate::mapping::MOST_LAYERS;

/// Critically sampled layers before the colors. None of the published networks has another number.
const CRITICAL: usize = 2;

/// A layer by its name, `L{index}_{width}_{channels}`.
struct Named<'a> {
    name: &'a str,
    index: usize,
    size: usize,
    channels: usize,
}

/// The layers of a checkpoint, in the order of their indices, which leave out those that were replaced.
fn layers(checkpoint: &Checkpoint) -> Result<Vec<Named<'_>>> {
    let layer = |name| {
        let (name, leaf) = str::strip_prefix(name, "synthesis.")?.split_once('.')?;
        let mut numbers = name.strip_prefix('L')?.split('_').map(|number| number.parse().ok());
        let (index, size, channels) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let whole = leaf == "weight" && numbers.next().is_none();
        whole.then_some(Named { name, index, size, channels })
    };
    let mut layers: Vec<Named<'_>> = checkpoint.names().filter_map(layer).collect();
    layers.sort_by_key(|layer| layer.index);
    if layers.windows(2).any(|pair| pair[0].index == pair[1].index) {
        return Err(Error::Config("two layers have the same number".into()));
    }
    if layers.len() <= CRITICAL || layers.len() > MOST_LAYERS {
        return Err(Error::Config(format!("{} layers", layers.len())));
    }
    Ok(layers)
}

/// Height and width of an image, its channels, and the layers before the colors.
pub(crate) fn outputs(checkpoint: &Checkpoint) -> Result<(usize, usize, usize)> {
    let layers = layers(checkpoint)?;
    let last = &layers[layers.len() - 1];
    Ok((last.size, last.channels, layers.len() - 1))
}

/// The layers after the input, the last of which makes colors.
pub(super) fn plan(checkpoint: &Checkpoint, config: &StyleGan3Config) -> Result<Vec<LayerPlan>> {
    let layers = layers(checkpoint)?;
    let last = layers.len() - 1;
    let resolution = layers[last].size;
    let shape = |name: &str, leaf: &str| {
        let name = format!("synthesis.{name}.{leaf}");
        checkpoint.shape(&name).map(<[usize]>::to_vec).unwrap_or_default()
    };
    // A layer's map has a margin, but for the last two.
    let rates = layers.iter().enumerate().map(|(i, layer)| {
        let margins = if i + CRITICAL <= last { 2 * config.margin_size } else { 0 };
        let rate = layer.size.checked_sub(margins).filter(|rate| rate.is_power_of_two());
        let fits = |rate: &usize| *rate <= resolution && resolution <= super::plan::LARGEST;
        rate.filter(fits)
            .ok_or_else(|| Error::Config(format!("layer `{}` has an impossible size", layer.name)))
    });
    let rates = rates.collect::<Result<Vec<usize>>>()?;
    let mut plans: Vec<LayerPlan> = Vec::with_capacity(layers.len());
    for (i, layer) in layers.iter().enumerate() {
        let before = i.saturating_sub(1);
        let is_torgb = i == last;
        let [_, in_channels, kernel, _] = shape(layer.name, "weight")[..] else {
            return Err(Error::Config(format!(
                "the weight of layer `{}` has not 4 axes",
                layer.name
            )));
        };
        let upsampling = if is_torgb { 1 } else { config.lrelu_upsampling };
        let between = rates[before].max(rates[i]) * upsampling;
        let (up, down) = (between / rates[before], between / rates[i]);
        let taps = |factor: usize| {
            if factor > 1 && !is_torgb { config.filter_size * factor } else { 1 }
        };
        let (from, to) = (layers[before].size, layer.size);
        let padding = padding((from, to), kernel, [(up, taps(up)), (down, taps(down))]);
        plans.push(LayerPlan {
            name: layer.name.to_owned(),
            is_torgb,
            in_channels,
            out_channels: layer.channels,
            in_size: [from; 2],
            in_sampling_rate: rates[before] as f64,
            in_cutoff: config.first_cutoff,
            kernel,
            up,
            up_taps: taps(up),
            down,
            down_taps: taps(down),
            down_radial: shape(layer.name, "down_filter").len() == 2,
            padding: [padding; 2],
            clamp: config.conv_clamp,
        });
        if i > 0 && plans[before].out_channels != in_channels {
            let problem = format!(
                "layer `{}` takes {in_channels} channels, but gets {}",
                layer.name, plans[before].out_channels
            );
            return Err(Error::Config(problem));
        }
    }
    Ok(plans)
}
