//! One layer of a description.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::network::{ConvSpec, PoolSpec};

/// Largest channel count of a layer: beyond it there is a mistake, not a network.
const LARGEST: usize = 1 << 20;

/// Largest side of a window, stride and distance of taps.
const LARGEST_SIDE: usize = 1 << 10;

/// A named layer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Layer {
    /// Name, by which the checkpoint knows its tensors and other layers its output.
    pub name: String,
    /// Names of the layers that it reads, `input` for the image; the layer before it if missing.
    pub inputs: Option<Vec<String>>,
    /// Its operation.
    pub kind: LayerKind,
}

/// The operation of a layer; names and defaults are PyTorch's.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerKind {
    /// Convolution.
    Conv2d {
        /// Channels of the input.
        r#in: usize,
        /// Channels of the output.
        out: usize,
        /// Kernel size.
        kernel: Pair,
        /// Stride.
        #[serde(default)]
        stride: Pair,
        /// Zeros around the input.
        #[serde(default)]
        padding: Padding,
        /// Distance of kernel taps.
        #[serde(default)]
        dilation: Pair,
        /// Groups of channels that do not see each other.
        #[serde(default = "one")]
        groups: usize,
        /// Whether there is a bias.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// Batch normalization with its running statistics.
    BatchNorm {
        /// Added to the variance.
        #[serde(default = "batch_norm_eps")]
        eps: f64,
    },
    /// `max(x, 0)`.
    Relu {},
    /// `min(max(x, 0), 6)`.
    Relu6 {},
    /// Largest value in each window.
    MaxPool2d {
        /// Window.
        kernel: Pair,
        /// Stride; the window if missing.
        stride: Option<Pair>,
        /// Border.
        #[serde(default)]
        padding: Padding,
    },
    /// Mean of each window.
    AvgPool2d {
        /// Window.
        kernel: Pair,
        /// Stride; the window if missing.
        stride: Option<Pair>,
        /// Border.
        #[serde(default)]
        padding: Padding,
        /// Whether the border counts as pixels.
        #[serde(default = "yes")]
        count_include_pad: bool,
    },
    /// Means over bins that divide the map.
    AdaptiveAvgPool2d {
        /// Height and width of the output.
        size: Pair,
    },
    /// Mean over all pixels.
    GlobalAveragePool {},
    /// Maps to rows.
    Flatten {},
    /// Matrix and bias.
    Linear {
        /// Numbers read.
        r#in: usize,
        /// Numbers given.
        out: usize,
        /// Whether there is a bias.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// The input itself: dropout does nothing once training is over.
    Dropout {
        /// Share that training dropped.
        p: Option<f64>,
    },
    /// Sum of the inputs.
    Add {},
    /// Inputs side by side along the channels.
    Concat {},
}

/// One number for both axes, or rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Pair {
    /// The same along both.
    Both(usize),
    /// Rows and columns.
    Each([usize; 2]),
}

/// Zeros around a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Padding {
    /// The same on all sides.
    Both(usize),
    /// Rows above and below, columns left and right.
    Each([usize; 2]),
    /// `[[top, bottom], [left, right]]`.
    Sides([[usize; 2]; 2]),
}

impl Default for Pair {
    fn default() -> Self {
        Self::Both(1)
    }
}

impl Default for Padding {
    fn default() -> Self {
        Self::Both(0)
    }
}

impl Pair {
    /// Rows and columns.
    pub fn sizes(self) -> [usize; 2] {
        match self {
            Self::Both(size) => [size; 2],
            Self::Each(sizes) => sizes,
        }
    }
}

impl Padding {
    /// `[[top, bottom], [left, right]]`.
    pub fn sides(self) -> [[usize; 2]; 2] {
        match self {
            Self::Both(size) => [[size; 2]; 2],
            Self::Each(sizes) => sizes.map(|size| [size; 2]),
            Self::Sides(sides) => sides,
        }
    }
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

fn batch_norm_eps() -> f64 {
    1e-5
}

impl TryFrom<Map<String, Value>> for Layer {
    type Error = String;

    fn try_from(mut fields: Map<String, Value>) -> Result<Self, String> {
        let mut text = |key: &str| match fields.remove(key) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(format!("a layer needs the text `{key}`")),
        };
        let (name, kind) = (text("name")?, text("kind")?);
        let at = |e: serde_json::Error| format!("layer `{name}`: {e}");
        let inputs = fields.remove("inputs").map(serde_json::from_value);
        let inputs = inputs.transpose().map_err(at)?;
        let tagged = Map::from_iter([(kind, Value::Object(fields))]);
        let kind = serde_json::from_value(Value::Object(tagged)).map_err(at)?;
        Ok(Self { name, inputs, kind })
    }
}

/// The sizes of a convolution, if there can be one with them.
pub(super) fn conv_spec(spec: ConvSpec) -> Result<ConvSpec, String> {
    let ConvSpec { in_channels, out_channels, kernel, stride, padding, dilation, groups } = spec;
    positive(&[in_channels, out_channels, groups])?;
    sides(&[kernel, stride, dilation].concat())?;
    if in_channels % groups != 0 || out_channels % groups != 0 {
        return Err(format!("{in_channels} to {out_channels} channels in {groups} groups"));
    }
    let reach = [0, 1].map(|axis| dilation[axis] * (kernel[axis] - 1) + 1);
    narrow(padding, reach)?;
    Ok(spec)
}

/// The window of a pooling, if there can be one.
pub(super) fn window(
    kernel: Pair,
    stride: Option<Pair>,
    padding: Padding,
) -> Result<PoolSpec, String> {
    let (kernel, stride) = (kernel.sizes(), stride.unwrap_or(kernel).sizes());
    sides(&[kernel, stride].concat())?;
    narrow(padding.sides(), kernel)?;
    Ok(PoolSpec { kernel, stride, padding: padding.sides() })
}

/// Checks that sizes are neither zero nor absurd.
pub(super) fn positive(sizes: &[usize]) -> Result<(), String> {
    within(sizes, LARGEST)
}

fn sides(sizes: &[usize]) -> Result<(), String> {
    within(sizes, LARGEST_SIDE)
}

fn within(sizes: &[usize], largest: usize) -> Result<(), String> {
    match sizes.iter().find(|&&size| size == 0 || size > largest) {
        Some(size) => Err(format!("a size of {size}, expected 1 to {largest}")),
        None => Ok(()),
    }
}

fn narrow(padding: [[usize; 2]; 2], reach: [usize; 2]) -> Result<(), String> {
    let wide = |axis: usize| padding[axis].iter().any(|&size| size >= reach[axis]);
    if wide(0) || wide(1) {
        return Err(format!("a border of {padding:?} around a window of {reach:?}"));
    }
    Ok(())
}
