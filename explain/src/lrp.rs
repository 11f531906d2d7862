//! Layer-wise relevance propagation: the output is shared out among the inputs, layer by layer, in
//! proportion to what they contributed.
//!
//! Bach et al., "On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise
//! Relevance Propagation", 2015; Montavon et al., "Layer-Wise Relevance Propagation: An Overview",
//! 2019.
//!
//! A convolution, a linear layer and a mean are linear steps, and so is an addition, whose weights
//! are one: all follow a [`Rule`]. A maximum hands its relevance to the winner, a concatenation
//! to the parts, a rectifier to its input. Without biases every rule conserves the sum, alpha-beta
//! where an output has evidence on both sides; a bias keeps its share, which over many layers is most
//! of it, unless [`Biases::Ignore`] or [`Biases::Share`] is chosen.
//!
//! Maps by z+ hardly depend on what the upper layers have learned (Sixt et al., "When Explanations
//! Lie: Why Many Modified BP Attributions Fail", 2020, <https://arxiv.org/abs/1912.09818>): they show
//! what the image contains, as guided backpropagation does. Epsilon and gamma tell classes apart.

mod attention;
mod composite;
mod redistribute;
mod rule;

use ganscope_model::network::{Real, Trace, Walker};
use ganscope_model::{FeatureMap, Node, Op, Step};

pub use attention::AttentionLrp;
pub use composite::{Composite, Selector};
pub use redistribute::{Biases, Treatment};
pub use rule::Rule;

use crate::{Error, Result, Target};

/// Relevance of the pixels, and how much of it arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Relevance<T = f32> {
    /// Relevance of each value of the image.
    pub map: FeatureMap<T>,
    /// Sum of the relevance that was handed out at the target.
    pub start: f64,
    /// Sum of its absolute values.
    pub magnitude: f64,
    /// Sum of the map.
    pub sum: f64,
}

impl<T> Relevance<T> {
    /// `|sum - start|` as a share of what was handed out: what biases and stabilizers kept.
    pub fn conservation_error(&self) -> f64 {
        (self.sum - self.start).abs() / self.magnitude
    }
}

/// Relevance of each value of `image` for `target`, which starts with its weights: 1 at a class.
///
/// # Errors
/// If the image does not suit the network, or the target does not exist.
pub fn relevance<T: Real>(
    walker: &Walker<T>,
    image: &FeatureMap<T>,
    target: &Target,
    composite: &Composite,
) -> Result<Relevance<T>> {
    let trace = walker.run(image.clone())?;
    let seed = target.seed(trace.value(target.node()))?;
    propagate(&trace, target.node(), seed, composite)
}

/// Carries the relevance `seed` of the value `from` back to the image.
///
/// # Errors
/// If `seed` is not of the shape of that value, or the network is a transformer.
pub fn propagate<T: Real>(
    trace: &Trace<'_, T>,
    from: Node,
    seed: FeatureMap<T>,
    composite: &Composite,
) -> Result<Relevance<T>> {
    let has_rule = |step: &Step| !matches!(step.op, Op::Attention(_) | Op::Tokens(_));
    if !trace.network().steps().iter().all(has_rule) {
        let needs = "a network without attention; attn-lrp and cp-lrp are for transformers";
        return Err(Error::Unsuited { method: "relevance propagation", needs });
    }
    let total = |map: &FeatureMap<T>| map.data.iter().map(|v| v.to_f64()).sum::<f64>();
    let start = total(&seed);
    let magnitude = seed.data.iter().map(|v| v.to_f64().abs()).sum();
    let depths = composite::depths(trace.network());
    let mut maps = trace.walk(from, seed, &[Node::INPUT], |visit| {
        Ok(composite.rule(visit.step, depths[visit.index]).propagate(visit, composite.treatment()))
    })?;
    let map = maps.swap_remove(0);
    Ok(Relevance { start, magnitude, sum: total(&map), map })
}
