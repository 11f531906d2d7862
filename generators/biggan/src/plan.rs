//! The layers of a generator: what a configuration or the tensors of a checkpoint amount to.

use candle_core::Tensor;
use ganscope_model::{Result, Rounding, TruncationKind};

use crate::config::{Config, Layer};
use crate::names::{Names, PUBLISHED};

/// Channels of the first map of the published networks, in multiples of `channel_width`.
const START_WIDTH: usize = 16;

/// Everything that decides which tensors a checkpoint must have, and what is computed from them.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) names: &'static Names,
    /// Length of `z`.
    pub(crate) z_dim: usize,
    /// Coordinates of `z` in a row of `ws`.
    pub(crate) chunk: usize,
    pub(crate) classes: usize,
    /// Length of a class's part of a row of `ws`.
    pub(crate) embedding: usize,
    pub(crate) conditions: Conditions,
    /// Channels of the first map.
    pub(crate) start: usize,
    /// Whether the first layer makes that map channel by channel, and not pixel by pixel.
    pub(crate) channels_first: bool,
    pub(crate) steps: Vec<Planned>,
    pub(crate) kind: BlockKind,
    pub(crate) statistics: Stored,
    /// Those of the norm before the colors.
    pub(crate) last_statistics: Stored,
    /// Whether norms add their gain, as synchronized ones of BigGAN-PyTorch do in evaluation.
    pub(crate) added_gain: bool,
    /// Channels that the last convolution makes; the first three of them, or one, are colors.
    pub(crate) last: usize,
    /// Height and width of an image, in pixels.
    pub(crate) resolution: usize,
    pub(crate) rounding: Rounding,
    pub(crate) truncation: TruncationKind,
}

/// A layer between the first map and the colors, by its name.
#[derive(Debug)]
pub(crate) enum Planned {
    /// Whether it doubles height and width, and its channels.
    Block {
        name: String,
        up: bool,
        input: usize,
        output: usize,
    },
    Attention {
        name: String,
        channels: usize,
    },
}

/// Which convolutions a residual block has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// Two of 3x3, and one of 1x1 on the skip path (BigGAN).
    Wide,
    /// A bottleneck of four; the skip path drops channels (BigGAN-deep).
    Deep,
    /// A bottleneck of four, and one of 1x1 on the skip path (StudioGAN).
    DeepProjected,
}

impl BlockKind {
    /// Convolutions on the main path.
    pub(crate) fn depth(self) -> usize {
        if self == Self::Wide { 2 } else { 4 }
    }
}

/// Which part of a row of `ws`, `cat(z, class)`, a linear layer of the checkpoint takes, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    ZClass,
    ClassZ,
    Z,
    Class,
}

/// What the first layer and the norms are conditioned on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    pub(crate) first: Columns,
    pub(crate) blocks: Columns,
    /// Whether gains and offsets are embeddings of the class, (classes, C), and there is no other.
    pub(crate) embedded: bool,
}

impl Columns {
    /// Width of the weights for a row of `z` and `class` numbers.
    pub(crate) fn width(self, z: usize, class: usize) -> usize {
        match self {
            Self::ZClass | Self::ClassZ => z + class,
            Self::Z => z,
            Self::Class => class,
        }
    }

    /// The part of rows of `ws`, (N, z + class), that the layer takes, in their order.
    pub(crate) fn of(self, rows: &Tensor, z: usize) -> Result<Tensor> {
        Ok(match self {
            Self::ZClass | Self::ClassZ => rows.clone(),
            Self::Z => rows.narrow(1, 0, z)?.contiguous()?,
            Self::Class => rows.narrow(1, z, rows.dim(1)? - z)?.contiguous()?,
        })
    }

    /// Weights of a checkpoint, (rows, width), in the order of [`of`](Self::of).
    pub(crate) fn in_order(self, weight: Vec<f32>, z: usize, class: usize) -> Vec<f32> {
        if self != Self::ClassZ {
            return weight;
        }
        let rows = weight.chunks_exact(z + class);
        rows.flat_map(|row| row[class..].iter().chain(&row[..class]).copied()).collect()
    }
}

/// Where the statistics of a norm are, and how they are used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    /// Names of means and variances.
    pub(crate) names: [&'static str; 2],
    /// Truncations for which there is a row; none where there is one row without an axis for it.
    pub(crate) rows: Option<usize>,
    /// Term under the root.
    pub(crate) eps: f64,
    /// Name of the number of batches whose sum is stored.
    pub(crate) counter: Option<&'static str>,
}

impl Plan {
    /// That of a configuration.
    pub(crate) fn published(config: &Config) -> Self {
        let width = config.channel_width;
        let mut steps = Vec::new();
        for (i, &Layer(up, input, output)) in config.layers.iter().enumerate() {
            let (input, output) = (input * width, output * width);
            if i == config.attention_layer_position {
                let name = format!("generator.layers.{}", steps.len());
                steps.push(Planned::Attention { name, channels: input });
            }
            let name = format!("generator.layers.{}", steps.len());
            steps.push(Planned::Block { name, up, input, output });
        }
        let (rows, eps) = (Some(config.n_stats), config.eps);
        let stored = Stored { names: ["running_means", "running_vars"], rows, eps, counter: None };
        Self {
            names: &PUBLISHED,
            z_dim: config.z_dim,
            chunk: config.z_dim,
            classes: config.num_classes,
            embedding: config.z_dim,
            conditions: Conditions {
                first: Columns::ZClass,
                blocks: Columns::ZClass,
                embedded: false,
            },
            start: START_WIDTH * width,
            channels_first: false,
            steps,
            kind: BlockKind::Deep,
            statistics: stored,
            last_statistics: stored,
            added_gain: false,
            last: width,
            resolution: config.output_dim,
            rounding: Rounding::BigGan,
            truncation: TruncationKind::Threshold,
        }
    }

    /// Number of residual blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Planned::Block { .. })).count()
    }

    /// Channels of the map before the colors.
    pub(crate) fn width(&self) -> usize {
        let outputs = self.steps.iter().rev().filter_map(|step| match step {
            Planned::Block { output, .. } => Some(*output),
            Planned::Attention { .. } => None,
        });
        outputs.into_iter().next().unwrap_or(self.start)
    }

    /// Length of a row of `ws`.
    pub(crate) fn w_dim(&self) -> usize {
        self.chunk + self.embedding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_takes_its_part_of_a_row() {
        // z has two numbers, the class one; the layer adds up what it takes, with weights 1, 2, 3.
        let row = Tensor::new(&[[10f32, 20.0, 50.0]], &candle_core::Device::Cpu).unwrap();
        for (columns, weight, sum) in [
            (Columns::ZClass, vec![1.0, 2.0, 3.0], 10.0 + 40.0 + 150.0),
            (Columns::ClassZ, vec![3.0, 1.0, 2.0], 10.0 + 40.0 + 150.0),
            (Columns::Z, vec![1.0, 2.0], 10.0 + 40.0),
            (Columns::Class, vec![3.0], 150.0),
        ] {
            assert_eq!(columns.width(2, 1), weight.len());
            let weight = columns.in_order(weight, 2, 1);
            let part: Vec<f32> =
                columns.of(&row, 2).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let found: f32 = part.iter().zip(&weight).map(|(a, b)| a * b).sum();
            assert_eq!(found, sum, "{columns:?}");
        }
    }
}
