//! Hyper-parameters, in the words of the published constructors.
//!
//! Arguments that the shapes of the tensors determine are read from them; others come with the file
//! or from the caller. Arguments that a configuration leaves out have the constructor's default.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Error, Result};

mod infer;

pub(crate) use infer::{stylegan_xl, stylegan1, stylegan2, stylegan3};

/// Arguments of a mapping network.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MappingConfig {
    /// Fully connected layers.
    pub num_layers: usize,
    /// Width of the label embedding; `w_dim` where absent.
    pub embed_features: Option<usize>,
    /// Width of the hidden layers; `w_dim` where absent.
    pub layer_features: Option<usize>,
    /// Activation of the layers.
    pub activation: Activation,
    /// Learning rate multiplier, by which weights and biases are scaled.
    pub lr_multiplier: f64,
}

impl Default for MappingConfig {
    fn default() -> Self {
        Self {
            num_layers: 8,
            embed_features: None,
            layer_features: None,
            activation: Activation::Lrelu,
            lr_multiplier: 0.01,
        }
    }
}

/// The activation of all layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Leaky ReLU of slope 0.2 and gain `sqrt(2)`.
    Lrelu,
}

/// How the resolutions of StyleGAN2 contribute to the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Only the last block makes colors.
    Orig,
    /// Every block adds colors to the upsampled image of the block before.
    Skip,
    /// Only the last block makes colors, and each block has a residual connection.
    Resnet,
}

/// Arguments of the StyleGAN2 generator.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StyleGan2Config {
    /// Length of `z`.
    pub z_dim: usize,
    /// Classes; 0 for an unconditional network.
    pub c_dim: usize,
    /// Length of `w`.
    pub w_dim: usize,
    /// Height of the image, a power of two, and its width unless it is not square.
    pub img_resolution: usize,
    /// Whether the image is as wide as high; otherwise it is half as wide (StyleGAN-Human).
    pub square: bool,
    /// Color channels.
    pub img_channels: usize,
    /// Arguments of the mapping network.
    pub mapping_kwargs: MappingConfig,
    /// Channels of resolution `r` are `channel_base / r`, at most `channel_max`.
    pub channel_base: usize,
    /// Most channels of any layer.
    pub channel_max: usize,
    /// How resolutions contribute to the image.
    pub architecture: Architecture,
    /// Taps of the low-pass filter, for files that do not contain the filter.
    pub resample_filter: Vec<f32>,
    /// Largest absolute activation; unlimited where absent.
    pub conv_clamp: Option<f64>,
    /// Whether layers have noise inputs.
    pub use_noise: bool,
    /// Activation of the layers.
    pub activation: Activation,
    /// Rows of `ws`, where stated.
    pub num_ws: Option<usize>,
}

impl Default for StyleGan2Config {
    /// The network of FFHQ at 1024 x 1024.
    fn default() -> Self {
        Self {
            z_dim: 512,
            c_dim: 0,
            w_dim: 512,
            img_resolution: 1024,
            square: true,
            img_channels: 3,
            mapping_kwargs: MappingConfig::default(),
            channel_base: 32768,
            channel_max: 512,
            architecture: Architecture::Skip,
            resample_filter: vec![1.0, 3.0, 3.0, 1.0],
            conv_clamp: Some(256.0),
            use_noise: true,
            activation: Activation::Lrelu,
            num_ws: None,
        }
    }
}

/// Arguments of the StyleGAN3 generator.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StyleGan3Config {
    /// Length of `z`.
    pub z_dim: usize,
    /// Classes; 0 for an unconditional network.
    pub c_dim: usize,
    /// Length of `w`.
    pub w_dim: usize,
    /// Height of the image, and its width unless it is not square.
    pub img_resolution: usize,
    /// Whether the image is as wide as high; otherwise it is half as wide (StyleGAN-Human).
    pub square: bool,
    /// Color channels.
    pub img_channels: usize,
    /// Arguments of the mapping network.
    pub mapping_kwargs: MappingConfig,
    /// A layer of cutoff `f` has `channel_base / (2 f)` channels, at most `channel_max`.
    pub channel_base: f64,
    /// Most channels of any layer.
    pub channel_max: f64,
    /// Layers between the Fourier features and the colors.
    pub num_layers: usize,
    /// Critically sampled layers at the end.
    pub num_critical: usize,
    /// Cutoff frequency of the first layer.
    pub first_cutoff: f64,
    /// Stopband of the first layer.
    pub first_stopband: f64,
    /// Stopband of the last layer relative to its cutoff.
    pub last_stopband_rel: f64,
    /// Pixels around the image.
    pub margin_size: usize,
    /// Factor of the image.
    pub output_scale: f64,
    /// Kernel size of the layers.
    pub conv_kernel: usize,
    /// Filter taps per sample of the lower resolution.
    pub filter_size: usize,
    /// Sampling rate at the leaky ReLU relative to that of the layer.
    pub lrelu_upsampling: usize,
    /// Whether downsampling filters are radial.
    pub use_radial_filters: bool,
    /// Largest absolute activation; unlimited where absent.
    pub conv_clamp: Option<f64>,
    /// Rows of `ws`, where stated.
    pub num_ws: Option<usize>,
}

impl Default for StyleGan3Config {
    /// StyleGAN3-T of FFHQ at 1024 x 1024.
    fn default() -> Self {
        Self {
            z_dim: 512,
            c_dim: 0,
            w_dim: 512,
            img_resolution: 1024,
            square: true,
            img_channels: 3,
            mapping_kwargs: MappingConfig { num_layers: 2, ..MappingConfig::default() },
            channel_base: 32768.0,
            channel_max: 512.0,
            num_layers: 14,
            num_critical: 2,
            first_cutoff: 2.0,
            first_stopband: 2f64.powf(2.1),
            last_stopband_rel: 2f64.powf(0.3),
            margin_size: 10,
            output_scale: 0.25,
            conv_kernel: 3,
            filter_size: 6,
            lrelu_upsampling: 2,
            use_radial_filters: false,
            conv_clamp: Some(256.0),
            num_ws: None,
        }
    }
}

/// Whether StyleGAN upsamples with its convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FusedScale {
    /// At 128 x 128 and above.
    Auto,
    /// At all resolutions, or at none.
    Always(bool),
}

impl<'de> Deserialize<'de> for FusedScale {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(fused) => Ok(Self::Always(fused)),
            Value::String(word) if word == "auto" => Ok(Self::Auto),
            other => Err(serde::de::Error::custom(format!(
                "`fused_scale` is \"auto\", true or false, not {other}"
            ))),
        }
    }
}

/// Arguments of the StyleGAN generator.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StyleGan1Config {
    /// Height and width of the image, a power of two.
    pub resolution: usize,
    /// Length of `z`.
    pub z_space_dim: usize,
    /// Length of `w`.
    pub w_space_dim: usize,
    /// Classes; 0 for an unconditional network.
    pub label_size: usize,
    /// Fully connected layers of the mapping network.
    pub mapping_layers: usize,
    /// Width of the hidden layers of the mapping network.
    pub mapping_fmaps: usize,
    /// Learning rate multiplier of the mapping network.
    pub mapping_lr_mul: f64,
    /// Color channels.
    pub image_channels: usize,
    /// Whether the image ends with `tanh`.
    pub final_tanh: bool,
    /// Where upsampling and convolution are one transposed convolution.
    pub fused_scale: FusedScale,
    /// Channels of resolution `r` are `fmaps_base / r`, at most `fmaps_max`.
    pub fmaps_base: usize,
    /// Most channels of any layer.
    pub fmaps_max: usize,
}

impl Default for StyleGan1Config {
    /// The network of FFHQ at 1024 x 1024.
    fn default() -> Self {
        Self {
            resolution: 1024,
            z_space_dim: 512,
            w_space_dim: 512,
            label_size: 0,
            mapping_layers: 8,
            mapping_fmaps: 512,
            mapping_lr_mul: 0.01,
            image_channels: 3,
            final_tanh: false,
            fused_scale: FusedScale::Auto,
            fmaps_base: 16384,
            fmaps_max: 512,
        }
    }
}

/// Arguments that matter for training or speed alone, and remarks of who wrote the file.
const WITHOUT_EFFECT: &[&str] = &[
    "class",
    "class_name",
    "classes",
    "fp16_channels_last",
    "fused_modconv_default",
    "magnitude_ema_beta",
    "num_fp16_res",
    "w_avg_beta",
];

/// The given arguments over those that the shapes determine.
fn merge(
    mut inferred: Map<String, Value>,
    given: &Map<String, Value>,
    family: &str,
) -> Result<Map<String, Value>> {
    let given = flatten(given)?;
    match given.get("family") {
        Some(Value::String(name)) if name == family => {}
        None => {}
        Some(other) => {
            return Err(Error::Config(format!(
                "the file says family {other}, its tensors are those of \"{family}\""
            )));
        }
    }
    for (name, value) in given {
        if name == "mapping_kwargs"
            && let (Value::Object(value), Some(Value::Object(known))) =
                (&value, inferred.get_mut("mapping_kwargs"))
        {
            known.extend(value.iter().map(|(k, v)| (k.clone(), v.clone())));
        } else if name != "family" {
            inferred.insert(name, value);
        }
    }
    let useful = |map: &mut Map<String, Value>| {
        map.retain(|name, _| !WITHOUT_EFFECT.contains(&name.as_str()));
    };
    useful(&mut inferred);
    if let Some(Value::Object(mapping)) = inferred.get_mut("mapping_kwargs") {
        useful(mapping);
    }
    Ok(inferred)
}

/// The arguments with those of the synthesis network among them, as StyleGAN3's code has it.
///
/// The earlier code nests them and does not clamp by default.
fn flatten(given: &Map<String, Value>) -> Result<Map<String, Value>> {
    let mut outer = given.clone();
    let mut flat = match outer.remove("synthesis_kwargs") {
        None => Map::new(),
        Some(Value::Object(mut nested)) => {
            nested.entry("conv_clamp").or_insert(Value::Null);
            nested
        }
        Some(other) => {
            return Err(Error::Config(format!("`synthesis_kwargs` is {other}, not an object")));
        }
    };
    flat.extend(outer);
    if flat.contains_key("_init_args") {
        return Err(Error::Config(
            "the snapshot was made with positional arguments, whose names it does not contain"
                .to_owned(),
        ));
    }
    Ok(flat)
}

fn parse<T: for<'de> Deserialize<'de>>(map: Map<String, Value>) -> Result<T> {
    serde_json::from_value(Value::Object(map)).map_err(|e| Error::Config(e.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn nested_arguments_default_to_no_clamp_and_flat_ones_to_256() {
        let parse_given = |given: Value| -> StyleGan2Config {
            parse(merge(Map::new(), &object(given), "stylegan2").unwrap()).unwrap()
        };
        let nested = json!({"synthesis_kwargs": {"channel_base": 16384, "num_fp16_res": 4}});
        assert_eq!(parse_given(nested).conv_clamp, None);
        let nested = json!({"synthesis_kwargs": {"conv_clamp": 128}});
        assert_eq!(parse_given(nested).conv_clamp, Some(128.0));
        let both = json!({"conv_clamp": 64, "synthesis_kwargs": {"conv_clamp": 128}});
        assert_eq!(parse_given(both).conv_clamp, Some(64.0));
        assert_eq!(parse_given(json!({"channel_base": 16384})).conv_clamp, Some(256.0));
        assert_eq!(parse_given(json!({"conv_clamp": null})).conv_clamp, None);
    }

    #[test]
    fn an_unknown_argument_is_named() {
        let given = object(json!({"channel_bass": 1}));
        let merged = merge(Map::new(), &given, "stylegan2").unwrap();
        let error = parse::<StyleGan2Config>(merged).unwrap_err().to_string();
        assert!(error.contains("channel_bass"), "{error}");
        let given = object(json!({"activation": "swish"}));
        let merged = merge(Map::new(), &given, "stylegan2").unwrap();
        assert!(parse::<StyleGan2Config>(merged).unwrap_err().to_string().contains("swish"));
    }

    #[test]
    fn fused_scale_is_a_word_or_a_flag() {
        let fused = |value: Value| -> Result<StyleGan1Config> {
            parse(object(json!({"fused_scale": value})))
        };
        assert_eq!(fused(json!("auto")).unwrap().fused_scale, FusedScale::Auto);
        assert_eq!(fused(json!(false)).unwrap().fused_scale, FusedScale::Always(false));
        assert!(fused(json!("maybe")).is_err());
    }
}
