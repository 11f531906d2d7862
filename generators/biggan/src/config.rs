//! Sizes of a BigGAN-deep generator, as its `config.json` names them.

use std::path::{Path, PathBuf};

use ganscope_model::{Checkpoint, Error, Result};
use serde::{Deserialize, Serialize};

/// One residual block: whether it doubles height and width, and its input and output channels in
/// multiples of `channel_width`. A JSON list `[up, in, out]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer(pub bool, pub usize, pub usize);

/// Sizes of a generator; the fields are those of the published `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Height and width of an image, in pixels.
    pub output_dim: usize,
    /// Length of `z`, and of a class embedding.
    pub z_dim: usize,
    /// Length that the published files state for a class embedding; the network uses `z_dim`.
    pub class_embed_dim: usize,
    /// Channels of the last block.
    pub channel_width: usize,
    /// Number of classes.
    pub num_classes: usize,
    /// Residual blocks from 4x4 pixels up.
    pub layers: Vec<Layer>,
    /// Block before which the attention stands.
    pub attention_layer_position: usize,
    /// Term under the root of a batch norm.
    pub eps: f64,
    /// Truncations in [0, 1] for which batch-norm statistics are stored.
    pub n_stats: usize,
}

/// Key under which a file of ours lists the names of its classes.
const CLASS_NAMES: &str = "classes";

/// Blocks of the three published generators: the first is that of 128 pixels.
const LAYERS_128: &[(usize, usize)] =
    &[(16, 16), (16, 16), (16, 16), (16, 8), (8, 8), (8, 4), (4, 4), (4, 2), (2, 2), (2, 1)];
const LAYERS_256: &[(usize, usize)] = &[
    (16, 16),
    (16, 16),
    (16, 16),
    (16, 8),
    (8, 8),
    (8, 8),
    (8, 8),
    (8, 4),
    (4, 4),
    (4, 2),
    (2, 2),
    (2, 1),
];

impl Config {
    /// The published generator of 128, 256 or 512 pixels; none for another size.
    pub fn published(output_dim: usize) -> Option<Self> {
        let blocks = match output_dim {
            128 => LAYERS_128.to_vec(),
            256 => LAYERS_256.to_vec(),
            512 => [LAYERS_256, &[(1, 1), (1, 1)]].concat(),
            _ => return None,
        };
        // Every second block doubles the size.
        let layers =
            blocks.into_iter().enumerate().map(|(i, (c, o))| Layer(i % 2 == 1, c, o)).collect();
        Some(Self {
            output_dim,
            z_dim: 128,
            class_embed_dim: 128,
            channel_width: 128,
            num_classes: 1000,
            layers,
            attention_layer_position: 8,
            eps: 1e-4,
            n_stats: 51,
        })
    }

    /// Reads a `config.json`.
    ///
    /// # Errors
    /// If it lacks a field, has another one, or describes no BigGAN-deep.
    pub fn from_json(text: &str) -> Result<Self> {
        let config: Self =
            serde_json::from_str(text).map_err(|e| Error::Config(format!("BigGAN-deep: {e}")))?;
        config.check()?;
        Ok(config)
    }

    /// The configuration that a checkpoint carries, or the published one whose tensors it has.
    ///
    /// Shapes alone do not tell which blocks double the size, so any other checkpoint without a
    /// configuration is an error.
    pub fn of_checkpoint(checkpoint: &Checkpoint) -> Result<Self> {
        if !checkpoint.config().is_empty() {
            let mut json = checkpoint.config().clone();
            // Entries that describe the file and not the network.
            for key in ["family", "class", CLASS_NAMES, "img_channels"] {
                json.shift_remove(key);
            }
            return Self::from_json(&serde_json::Value::Object(json).to_string());
        }
        [128, 256, 512]
            .into_iter()
            .filter_map(Self::published)
            .find(|config| config.fits(checkpoint))
            .ok_or_else(|| {
                Error::Config(
                    "the checkpoint has none and is not BigGAN-deep 128, 256 or 512".into(),
                )
            })
    }

    /// The published name of a `config.json` that belongs to the weights at `path`, where there is
    /// one.
    pub fn beside(path: &Path) -> Option<PathBuf> {
        let folder = path.parent()?;
        let stem = path.file_stem()?.to_str()?;
        let base = stem.strip_suffix("pytorch_model").unwrap_or(stem);
        let base = base.trim_end_matches(['-', '_', '.']).trim_end_matches("-legacy");
        [format!("{stem}-config.json"), format!("{base}-config.json"), "config.json".to_owned()]
            .into_iter()
            .map(|name| folder.join(name))
            .find(|path| path.is_file())
    }

    /// Whether the tensors that differ between configurations have the shapes of this one.
    fn fits(&self, checkpoint: &Checkpoint) -> bool {
        let attention = self.attention_layer_position;
        let block = |i: usize| if i < attention { i } else { i + 1 };
        let blocks = self.layers.iter().enumerate().all(|(i, layer)| {
            let name = format!("generator.layers.{}", block(i));
            let means = [self.n_stats, layer.1 * self.channel_width];
            let bias = [layer.2 * self.channel_width];
            checkpoint.shape(&format!("{name}.bn_0.running_means")) == Some(&means[..])
                && checkpoint.shape(&format!("{name}.conv_3.bias")) == Some(&bias[..])
        });
        let beyond = format!("generator.layers.{}.bn_0.running_means", block(self.layers.len()));
        blocks
            && !checkpoint.contains(&beyond)
            && checkpoint.contains(&format!("generator.layers.{attention}.gamma"))
            && checkpoint.shape("embeddings.weight") == Some(&[self.z_dim, self.num_classes][..])
    }

    /// Fails where the sizes do not make a generator.
    pub(crate) fn check(&self) -> Result<()> {
        let problem = |text: String| Err(Error::Config(format!("BigGAN-deep: {text}")));
        let positive = [
            ("z_dim", self.z_dim),
            ("channel_width", self.channel_width),
            ("num_classes", self.num_classes),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return problem(format!("`{name}` is 0"));
        }
        if self.n_stats < 2 {
            return problem(format!("`n_stats` is {}, expected at least 2", self.n_stats));
        }
        if !(self.eps > 0.0 && self.eps < 1.0) {
            return problem(format!("`eps` is {}, expected between 0 and 1", self.eps));
        }
        let mut width = 16;
        for (i, &Layer(_, input, output)) in self.layers.iter().enumerate() {
            if input != width {
                return problem(format!("block {i} takes {input} channels, but gets {width}"));
            }
            // The skip path keeps all channels or the first half of them.
            if output == 0 || (output != input && 2 * output != input) {
                return problem(format!("block {i} goes from {input} to {output} channels"));
            }
            if !(input * self.channel_width).is_multiple_of(4) {
                return problem(format!("block {i} has channels that do not divide by 4"));
            }
            width = output;
        }
        if width != 1 {
            return problem(format!("the last block has {width} channels, expected 1"));
        }
        if self.channel_width < 3 {
            return problem("fewer than 3 channels cannot make a color".into());
        }
        let attention = self.attention_layer_position;
        let Some(&Layer(_, channels, _)) = self.layers.get(attention) else {
            return problem(format!("attention at {attention} of {} blocks", self.layers.len()));
        };
        if !(channels * self.channel_width).is_multiple_of(8) {
            return problem("attention channels do not divide by 8".into());
        }
        let doublings = self.layers.iter().filter(|layer| layer.0).count();
        match u32::try_from(doublings).ok().and_then(|d| 4usize.checked_shl(d)) {
            Some(size) if size == self.output_dim && doublings < 16 => Ok(()),
            _ => problem(format!(
                "{doublings} doublings do not result in {} pixels",
                self.output_dim
            )),
        }
    }
}

/// Names of the classes that a checkpoint carries; empty where it carries none.
///
/// # Errors
/// If they are not as many texts as there are classes.
pub(crate) fn class_names(checkpoint: &Checkpoint, num_classes: usize) -> Result<Vec<String>> {
    let Some(names) = checkpoint.config().get(CLASS_NAMES) else { return Ok(Vec::new()) };
    let names: Vec<String> = serde_json::from_value(names.clone())
        .map_err(|e| Error::Config(format!("`{CLASS_NAMES}`: {e}")))?;
    if names.len() == num_classes {
        return Ok(names);
    }
    Err(Error::Config(format!("{} names for {num_classes} classes", names.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> serde_json::Value {
        ganscope_golden::json("biggan-tiny-config.json")
    }

    #[test]
    fn the_published_file_is_read() {
        let config = Config::from_json(&tiny().to_string()).unwrap();
        assert_eq!(config.layers[1], Layer(true, 16, 8));
        assert_eq!((config.output_dim, config.n_stats), (64, 51));
    }

    #[test]
    fn the_published_128_pixel_file_has_630_bytes() {
        // That file: sorted keys, two spaces of indentation, one line a number.
        let config = Config::published(128).unwrap();
        let sorted: std::collections::BTreeMap<String, serde_json::Value> =
            serde_json::from_value(serde_json::to_value(&config).unwrap()).unwrap();
        let text = serde_json::to_string_pretty(&sorted).unwrap();
        assert_eq!(text.len() + 1, 630, "{text}");
    }

    #[test]
    fn published_sizes_are_consistent() {
        for size in [128, 256, 512] {
            Config::published(size).unwrap().check().unwrap();
        }
        assert_eq!(Config::published(64), None);
    }

    #[test]
    fn a_configuration_that_makes_no_generator_is_refused() {
        let change = |key: &str, value: serde_json::Value| {
            let mut json = tiny();
            json[key] = value;
            Config::from_json(&json.to_string()).unwrap_err().to_string()
        };
        assert!(change("output_dim", 100.into()).contains("do not result in 100 pixels"));
        assert!(
            change("attention_layer_position", 8.into()).contains("attention at 8 of 8 blocks")
        );
        assert!(change("n_stats", 1.into()).contains("`n_stats` is 1"));
        assert!(change("eps", 0.into()).contains("`eps` is 0"));
        assert!(change("layers", serde_json::json!([[true, 16, 4]])).contains("16 to 4 channels"));
        assert!(change("layers", serde_json::json!([[true, 8, 4]])).contains("takes 8 channels"));
        assert!(change("layers", serde_json::json!([])).contains("has 16 channels"));
        assert!(change("layer", 1.into()).contains("unknown field `layer`"));
    }
}
