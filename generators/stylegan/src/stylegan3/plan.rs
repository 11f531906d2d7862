//! Sampling rates, sizes and filters of the layers, from the hyper-parameters (section 3.2 and
//! appendix C of the paper).

use ganscope_model::{Error, Result};

use crate::config::StyleGan3Config;
use crate::mapping::MOST_LAYERS;

/// Largest size of an image, a margin, a kernel or a filter.
pub(super) const LARGEST: usize = 1 << 16;

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LayerPlan {
    /// `L{index}_{width}_{channels}`
    pub(super) name: String,
    pub(super) is_torgb: bool,
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    /// Height and width.
    pub(super) in_size: [usize; 2],
    pub(super) in_sampling_rate: f64,
    pub(super) in_cutoff: f64,
    pub(super) kernel: usize,
    pub(super) up: usize,
    pub(super) up_taps: usize,
    pub(super) down: usize,
    pub(super) down_taps: usize,
    pub(super) down_radial: bool,
    /// Zeros around the upsampled map, before and after its rows, and its columns.
    pub(super) padding: [[isize; 2]; 2],
    pub(super) clamp: Option<f64>,
}

/// Zeros before and after an upsampled map, that the result has the size `to`; `factors` are those of up- and
/// downsampling, with the taps of their filters.
pub(super) fn padding(
    (from, to): (usize, usize),
    kernel: usize,
    factors: [(usize, usize); 2],
) -> [isize; 2] {
    let [(up, up_taps), (down, down_taps)] = factors;
    let total =
        ((to - 1) * down + up_taps + down_taps) as isize - 1 - ((from + kernel - 1) * up) as isize;
    let low = (total + up as isize).div_euclid(2);
    [low, total - low]
}

/// The layers after the input, the last of which makes colors.
pub(super) fn plan(config: &StyleGan3Config) -> Result<Vec<LayerPlan>> {
    let (count, critical) = (config.num_layers, config.num_critical);
    let resolution = config.img_resolution as f64;
    let positive =
        [config.first_cutoff, config.first_stopband, config.channel_base, config.channel_max];
    let whole = [config.conv_kernel, config.filter_size, config.lrelu_upsampling];
    if critical >= count
        || count > MOST_LAYERS
        || !(4..=LARGEST).contains(&config.img_resolution)
        || config.margin_size > LARGEST
        || !whole.iter().all(|size| (1..=LARGEST).contains(size))
        || !positive.iter().all(|&v| v > 0.0 && v.is_finite())
    {
        let message = "sizes, cutoffs and channels must be positive and of a magnitude that \
                       images have, with fewer critical layers than layers";
        return Err(Error::Config(message.to_owned()));
    }
    // Geometric progressions of cutoffs and stopbands.
    let (last_cutoff, first_cutoff) = (resolution / 2.0, config.first_cutoff);
    let last_stopband = last_cutoff * config.last_stopband_rel;
    let exponent = |i: usize| (i as f64 / (count - critical) as f64).min(1.0);
    let cutoff = |i: usize| first_cutoff * (last_cutoff / first_cutoff).powf(exponent(i));
    let stopband = |i: usize| {
        config.first_stopband * (last_stopband / config.first_stopband).powf(exponent(i))
    };
    let rate = |i: usize| (stopband(i) * 2.0).min(resolution).log2().ceil().exp2();
    let size = |i: usize| {
        if i + 1 >= count {
            config.img_resolution
        } else {
            rate(i) as usize + 2 * config.margin_size
        }
    };
    let width = |i: usize| if config.square { size(i) } else { size(i) / 2 };
    let channels = |i: usize| {
        if i == count {
            config.img_channels
        } else {
            // Rounded to even, as NumPy does.
            (config.channel_base / 2.0 / cutoff(i)).min(config.channel_max).round_ties_even()
                as usize
        }
    };
    (0..=count)
        .map(|i| {
            let before = i.saturating_sub(1);
            let is_torgb = i == count;
            let upsampling = if is_torgb { 1 } else { config.lrelu_upsampling };
            let between = rate(before).max(rate(i)) * upsampling as f64;
            let factor = |rate: f64| {
                let factor = (between / rate).round();
                if rate * factor == between {
                    Ok(factor as usize)
                } else {
                    Err(Error::Config(format!("layer {i} resamples by {}", between / rate)))
                }
            };
            let (up, down) = (factor(rate(before))?, factor(rate(i))?);
            let taps = |factor: usize| {
                if factor > 1 && !is_torgb { config.filter_size * factor } else { 1 }
            };
            let kernel = if is_torgb { 1 } else { config.conv_kernel };
            let padding = |from: usize, to: usize| {
                padding((from, to), kernel, [(up, taps(up)), (down, taps(down))])
            };
            Ok(LayerPlan {
                name: format!("L{i}_{}_{}", width(i), channels(i)),
                is_torgb,
                in_channels: channels(before),
                out_channels: channels(i),
                in_size: [size(before), width(before)],
                in_sampling_rate: rate(before),
                in_cutoff: cutoff(before),
                kernel,
                up,
                up_taps: taps(up),
                down,
                down_taps: taps(down),
                down_radial: config.use_radial_filters && i < count - critical,
                padding: [padding(size(before), size(i)), padding(width(before), width(i))],
                clamp: config.conv_clamp,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layers_of_the_published_1024_networks() {
        // Names of the tensors in `stylegan3-t-ffhq-1024x1024.pkl`, table 3 of the paper.
        let names: Vec<String> = plan(&StyleGan3Config::default())
            .unwrap()
            .into_iter()
            .map(|layer| layer.name)
            .collect();
        let expected = [
            "L0_36_512",
            "L1_36_512",
            "L2_52_512",
            "L3_52_512",
            "L4_84_512",
            "L5_148_512",
            "L6_148_512",
            "L7_276_323",
            "L8_276_203",
            "L9_532_128",
            "L10_1044_81",
            "L11_1044_51",
            "L12_1044_32",
            "L13_1024_32",
            "L14_1024_3",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn paddings_are_those_of_the_reference() {
        // `padding` of the layers in the snapshot of the small T network.
        let config = StyleGan3Config {
            img_resolution: 32,
            channel_base: 1024.0,
            channel_max: 32.0,
            num_layers: 6,
            ..StyleGan3Config::default()
        };
        let paddings: Vec<[isize; 2]> =
            plan(&config).unwrap().into_iter().map(|layer| layer.padding[0]).collect();
        let same = [9, 8];
        let expected = [same, same, [-6, -9], same, same, [-11, -12], [0, 0]];
        assert_eq!(paddings, expected);
    }

    #[test]
    fn impossible_sizes_are_an_error() {
        for config in [
            StyleGan3Config { num_critical: 14, ..StyleGan3Config::default() },
            StyleGan3Config { first_cutoff: 0.0, ..StyleGan3Config::default() },
            StyleGan3Config { conv_kernel: 0, ..StyleGan3Config::default() },
            StyleGan3Config { img_resolution: usize::MAX, ..StyleGan3Config::default() },
        ] {
            assert!(plan(&config).is_err());
        }
    }
}
