//! A feed-forward network as a list of named steps.
//!
//! A [`Network`] is data: each [`Step`] names its inputs and contains an [`Op`] in canonical form,
//! with batch normalization folded into the convolution before it. An [`Engine`] runs the list on
//! the fast kernels; a [`Walker`] keeps every value of a forward pass and carries signals back
//! through the same list, by the gradient or by any other rule. Shapes are written (N, C, H, W);
//! maps lie channel-last in memory.

mod attention;
mod builder;
mod curves;
mod description;
mod engine;
mod feature_map;
mod gather;
mod held;
mod on_device;
mod real;
mod tokens;
mod transpose;
mod walk;
mod windows;

pub use builder::{Builder, fold_batch_norm};
pub use description::{Description, Layer, LayerKind, Padding, Pair};
pub use engine::Engine;
pub use feature_map::FeatureMap;
pub use ganscope_kernels::{ConvSpec, PoolSpec};
pub use held::Products;
pub use real::Real;
pub use tokens::{Positions, Tokens};
pub use walk::{Linear, Rectifier, Trace, Visit, Walker};

use crate::{Error, Result};

/// A value in a network: its input, or the output of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(usize);

impl Node {
    /// The network's input.
    pub const INPUT: Self = Self(0);

    /// The output of the step at `index`.
    pub const fn of_step(index: usize) -> Self {
        Self(index + 1)
    }

    /// Index of the step that computes this value; `None` for the input.
    pub const fn step(self) -> Option<usize> {
        self.0.checked_sub(1)
    }

    /// Position in the list of all values: 0 is the input, `i + 1` the output of step `i`.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// A convolution with its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Convolution {
    /// Channels, kernel, stride, padding, dilation, groups.
    pub spec: ConvSpec,
    /// (out, in / groups, kh, kw) in C order.
    pub weight: Vec<f32>,
    /// One per output channel.
    pub bias: Vec<f32>,
}

/// The operation of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Convolution plus bias.
    Conv(Convolution),
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// Largest value in each window.
    MaxPool(PoolSpec),
    /// Mean over each window, over all its pixels or only those inside the map.
    AvgPool(PoolSpec, /** Whether the padding counts as pixels. */ bool),
    /// Mean over bins that divide the map into this height and width (PyTorch's rule).
    AdaptiveAvgPool([usize; 2]),
    /// Mean over all pixels, to (N, C, 1, 1).
    GlobalAvgPool,
    /// Inputs side by side along the channels.
    Concat,
    /// Sum of the inputs.
    Add,
    /// (N, C, H, W) to (N, C H W, 1, 1), in the order of PyTorch's `flatten`.
    Flatten,
    /// A matrix on each row of (N, in, T, 1), a vector or tokens: a convolution of one pixel.
    Linear(Convolution),
    /// Normalization of the channels of each pixel.
    LayerNorm(LayerNorm),
    /// `x Phi(x)` with the distribution function `Phi` of the normal distribution.
    Gelu,
    /// `x / (1 + e^(-1.702 x))`, which CLIP has for [`Gelu`](Self::Gelu).
    QuickGelu,
    /// `a / (1 + e^-a) b` of the halves `a`, `b` of the channels, to (N, C / 2, H, W).
    SwiGlu,
    /// Attention with this many heads: (N, 3 C, H, W), the queries, keys and values of all pixels,
    /// to (N, C, H, W).
    Attention(usize),
    /// Patches (N, D, H, W) with their positions, and tokens in front of them, to (N, D, T, 1).
    Tokens(Tokens),
    /// The rows from the first number on, as many as the second says, or all.
    Rows(usize, Option<usize>),
    /// The channels of each pixel over their length.
    UnitLength,
}

/// `(x - mean) / sqrt(variance + eps) * gain + shift` over the channels.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    /// One factor per channel.
    pub gain: Vec<f32>,
    /// One term per channel.
    pub shift: Vec<f32>,
    /// Added to the variance.
    pub eps: f32,
}

/// A named step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Name, from the checkpoint where it has one.
    pub name: String,
    /// Its inputs.
    pub inputs: Vec<Node>,
    /// Its operation.
    pub op: Op,
}

/// Channels, height and width of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Channels.
    pub c: usize,
    /// Height, in pixels.
    pub h: usize,
    /// Width, in pixels.
    pub w: usize,
}

impl Shape {
    /// Numbers in one image's map.
    pub const fn len(self) -> usize {
        self.c * self.h * self.w
    }

    /// Whether it is empty.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// A network as a list of steps, each reading earlier values; the last step computes the output.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    in_channels: usize,
    steps: Vec<Step>,
}

impl Network {
    /// Channels of the input.
    pub fn in_channels(&self) -> usize {
        self.in_channels
    }

    /// The steps in the order of running.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The output of the last step.
    pub fn output(&self) -> Node {
        Node(self.steps.len())
    }

    /// The output of the step `name`.
    ///
    /// # Errors
    /// If there is no such step; the message lists all steps.
    pub fn node(&self, name: &str) -> Result<Node> {
        let found = self.steps.iter().position(|s| s.name == name);
        found.map(Node::of_step).ok_or_else(|| {
            let names: Vec<_> = self.steps.iter().map(|s| s.name.as_str()).collect();
            Error::Input(format!("no step `{name}` in the network (steps: {})", names.join(", ")))
        })
    }

    /// Steps that read `node`, by index.
    pub fn consumers(&self, node: Node) -> impl Iterator<Item = usize> {
        let reads = move |(i, s): (usize, &Step)| s.inputs.contains(&node).then_some(i);
        self.steps.iter().enumerate().filter_map(reads)
    }

    /// Shapes of the input and of the output of every step, by [`Node::index`], for an input of
    /// (`in_channels`, `h`, `w`).
    ///
    /// # Errors
    /// If the input is too small for a step, or steps do not fit together.
    pub fn shapes(&self, h: usize, w: usize) -> Result<Vec<Shape>> {
        let mut shapes = vec![Shape { c: self.in_channels, h, w }];
        for step in &self.steps {
            let inputs: Vec<Shape> = step.inputs.iter().map(|n| shapes[n.0]).collect();
            let shape = step.op.output(&inputs);
            shapes
                .push(shape.map_err(|problem| Error::Graph { step: step.name.clone(), problem })?);
        }
        Ok(shapes)
    }
}

impl Op {
    /// A word for the kind of step.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Conv(_) => "conv",
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::MaxPool(_) => "max-pool",
            Self::AvgPool(..) => "avg-pool",
            Self::AdaptiveAvgPool(_) => "adaptive-avg-pool",
            Self::GlobalAvgPool => "global-avg-pool",
            Self::Concat => "concat",
            Self::Add => "add",
            Self::Flatten => "flatten",
            Self::Linear(_) => "linear",
            Self::LayerNorm(_) => "layer-norm",
            Self::Gelu => "gelu",
            Self::QuickGelu => "quick-gelu",
            Self::SwiGlu => "swiglu",
            Self::Attention(_) => "attention",
            Self::Tokens(_) => "tokens",
            Self::Rows(..) => "rows",
            Self::UnitLength => "unit-length",
        }
    }

    /// Shape of the output for inputs of these shapes, or the problem.
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let Some(&x) = inputs.first() else { return Err("has no input".into()) };
        let too_small = || format!("a map of {} x {} pixels is too small", x.h, x.w);
        let sized = |c, [h, w]: [usize; 2]| match h * w {
            0 => Err(too_small()),
            _ => Ok(Shape { c, h, w }),
        };
        match self {
            Self::Conv(c) | Self::Linear(c) if c.spec.in_channels != x.c => {
                Err(format!("reads {} channels, gets {}", c.spec.in_channels, x.c))
            }
            Self::Linear(_) if x.w != 1 => Err(format!("reads one column, gets {} x {}", x.h, x.w)),
            Self::Conv(c) | Self::Linear(c) => {
                sized(c.spec.out_channels, c.spec.output_size(x.h, x.w))
            }
            Self::LayerNorm(norm) if norm.gain.len() != x.c => {
                Err(format!("reads {} channels, gets {}", norm.gain.len(), x.c))
            }
            Self::Relu
            | Self::Relu6
            | Self::Gelu
            | Self::QuickGelu
            | Self::LayerNorm(_)
            | Self::UnitLength => Ok(x),
            Self::SwiGlu if x.c % 2 == 0 => Ok(Shape { c: x.c / 2, ..x }),
            Self::SwiGlu => Err(format!("{} channels do not divide into two halves", x.c)),
            Self::Attention(heads) if *heads > 0 && x.c.is_multiple_of(3 * heads) => {
                Ok(Shape { c: x.c / 3, ..x })
            }
            Self::Attention(heads) => {
                Err(format!("{} channels are not queries, keys and values of {heads} heads", x.c))
            }
            Self::Tokens(tokens) => tokens.output(x),
            Self::Rows(first, count) => {
                let h = count.unwrap_or(x.h.saturating_sub(*first));
                let inside = first.checked_add(h).is_some_and(|end| end <= x.h);
                if inside && h > 0 { Ok(Shape { h, ..x }) } else { Err(too_small()) }
            }
            Self::MaxPool(window) | Self::AvgPool(window, _) => {
                sized(x.c, window.output_size(x.h, x.w))
            }
            Self::AdaptiveAvgPool([h, w]) => Ok(Shape { c: x.c, h: *h, w: *w }),
            Self::GlobalAvgPool => Ok(Shape { c: x.c, h: 1, w: 1 }),
            Self::Flatten => Ok(Shape { c: x.len(), h: 1, w: 1 }),
            Self::Concat => match inputs.iter().find(|s| (s.h, s.w) != (x.h, x.w)) {
                None => Ok(Shape { c: inputs.iter().map(|s| s.c).sum(), ..x }),
                Some(s) => Err(format!("joins {} x {} with {} x {}", x.h, x.w, s.h, s.w)),
            },
            Self::Add => match inputs.iter().find(|&&s| s != x) {
                None => Ok(x),
                Some(s) => Err(format!("adds {x:?} and {s:?}")),
            },
        }
    }
}
