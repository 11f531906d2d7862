//! What is to be explained: a number that a network gives.

use ganscope_model::network::Real;
use ganscope_model::{FeatureMap, Network, Node};

use crate::{Error, Result};

/// A weighted sum of channel means of one value of a network: a logit, the difference of two, the
/// mean activation of a unit, or any direction in a feature space.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    node: Node,
    weights: Vec<(usize, f64)>,
}

impl Target {
    /// The logit of `class`.
    pub fn class(network: &Network, class: usize) -> Self {
        Self::channel(network.output(), class)
    }

    /// What speaks for `class` rather than `other`: the difference of their logits.
    pub fn contrast(network: &Network, class: usize, other: usize) -> Self {
        Self { node: network.output(), weights: vec![(class, 1.0), (other, -1.0)] }
    }

    /// The mean activation of channel `channel` of `node`.
    pub fn channel(node: Node, channel: usize) -> Self {
        Self { node, weights: vec![(channel, 1.0)] }
    }

    /// The channel means of `node` times these weights, one a channel.
    pub fn direction(node: Node, weights: &[f64]) -> Self {
        Self { node, weights: weights.iter().copied().enumerate().collect() }
    }

    /// The value of which it is a function.
    pub fn node(&self) -> Node {
        self.node
    }

    /// The channels of the value and their weights.
    pub fn channels(&self) -> &[(usize, f64)] {
        &self.weights
    }

    /// Its gradient with respect to the value: a signal like `value`.
    ///
    /// # Errors
    /// [`Error::Class`] if the value has no such channel.
    pub fn seed<T: Real>(&self, value: &FeatureMap<T>) -> Result<FeatureMap<T>> {
        let shape = value.shape;
        self.check(shape.c)?;
        let mut seed = FeatureMap::filled(value.n, shape, T::ZERO);
        for pixel in seed.data.chunks_exact_mut(shape.c) {
            for &(channel, weight) in &self.weights {
                pixel[channel] += T::of(weight / (shape.h * shape.w) as f64);
            }
        }
        Ok(seed)
    }

    /// The number itself, one an image.
    ///
    /// # Errors
    /// [`Error::Class`] if the value has no such channel.
    pub fn score<T: Real>(&self, value: &FeatureMap<T>) -> Result<Vec<f64>> {
        let shape = value.shape;
        self.check(shape.c)?;
        let pixels = (shape.h * shape.w) as f64;
        let one = |image: &[T]| -> f64 {
            let sum = |pixel: &[T]| -> f64 {
                self.weights.iter().map(|&(c, w)| w * pixel[c].to_f64()).sum()
            };
            image.chunks_exact(shape.c).map(sum).sum::<f64>() / pixels
        };
        Ok((0..value.n).map(|image| one(value.image(image))).collect())
    }

    fn check(&self, count: usize) -> Result<()> {
        match self.weights.iter().find(|(channel, _)| *channel >= count) {
            Some(&(index, _)) => Err(Error::Class { index, count }),
            None => Ok(()),
        }
    }
}
