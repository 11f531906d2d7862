//! The pixels of a generated image that raise or lower a distance between two sets.
//!
//! A Fréchet distance depends on an image through its feature row alone. Its gradient with respect
//! to that row, walked back through the extractor, becomes a heat map of the image.

use ganscope_model::network::{Real, Walker};
use ganscope_model::{FeatureMap, Node};

use crate::lrp::{self, AttentionLrp, Composite, Relevance};
use crate::tokens::is_transformer;
use crate::{Error, Result};

/// Relevance of the pixels of an image for a distance: each feature starts with its value times the
/// `gradient` of the distance, its share to first order.
///
/// `features` is the value of the extractor whose channel means are the feature row. Positive
/// relevance raises the distance. In a transformer relevance goes by [`AttentionLrp::attn_lrp`], not by
/// `composite`.
///
/// # Errors
/// If the image does not suit the network or the gradient is not as wide as the value.
pub fn pixel_relevance<T: Real>(
    walker: &Walker<T>,
    image: &FeatureMap<T>,
    features: Node,
    gradient: &[f64],
    composite: &Composite,
) -> Result<Relevance<T>> {
    let trace = walker.run(image.clone())?;
    let value = trace.value(features);
    let shape = value.shape;
    if gradient.len() != shape.c {
        let [expected, got] = [shape.c, gradient.len()].map(|d| d.to_string());
        return Err(Error::Mismatch { what: "width of the gradient", expected, got });
    }
    let pixels = (shape.h * shape.w) as f64;
    let weights = (0..value.data.len()).map(|i| T::of(gradient[i % shape.c] / pixels)).collect();
    let weights = FeatureMap::new(value.n, shape, weights)?;
    if is_transformer(walker.network()) {
        return AttentionLrp::attn_lrp().relevance(&trace, features, weights);
    }
    let seed = value.zip(&weights, |v, w| v * w);
    lrp::propagate(&trace, features, seed, composite)
}
