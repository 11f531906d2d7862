//! The pixels of a generated image that raise or lower a distance between two sets.

use ganscope_explain::cam::channel_sum;
use ganscope_explain::distance::pixel_relevance;
use ganscope_explain::{Composite, Evidence, Target, grad_cam, gradient};
use ganscope_images::Image;
use ganscope_model::network::{Rectifier, Walker};
use ganscope_model::{FeatureMap, Network, Node, Shape};

use crate::error::{Error, Result};
use crate::models::extractor::{Extractor, NetworkParts};

/// The maps of one image, at the input size of the extractor. Positive values raise the distance.
#[derive(Debug, Clone)]
pub struct PixelMaps {
    /// The image as the network sees it.
    pub picture: Image,
    /// Where in the last map the distance arises, to first order.
    pub grad_cam: FeatureMap,
    /// The share of each pixel, by relevance propagation.
    pub relevance: FeatureMap,
    /// The absolute gradient, summed over channels: which pixels would change the distance.
    pub gradient: FeatureMap,
}

/// The maps of an image for a distance whose gradient with respect to its feature row is
/// `by_features`.
///
/// # Errors
/// If the steps of the extractor are not known, or the gradient is not one of its features.
pub fn pixel_maps(extractor: &Extractor, image: &Image, by_features: &[f64]) -> Result<PixelMaps> {
    let Some(NetworkParts { network, features, scaling, .. }) = &extractor.parts else {
        let name = &extractor.convention.extractor;
        return Err(Error::request(format!("the steps of {name} are not known")));
    };
    let walker = Walker::<f32>::new(network.clone());
    let size = extractor.preprocess.size;
    let mut values = vec![0.0; extractor.preprocess.values()];
    extractor.preprocess.apply(image, &mut values);
    let input = scaling.apply_all(&values);
    let input = FeatureMap::new(1, Shape { c: 3, h: size, w: size }, input)?;

    let target = Target::direction(*features, by_features);
    let last = map_behind(network, *features, size)?;
    let composite = Composite::epsilon_gamma_box(scaling);
    let change = gradient(&walker, &input, &target, Rectifier::Gradient)?;
    Ok(PixelMaps {
        picture: Image::rounded(size, size, &values),
        grad_cam: grad_cam(&walker, &input, &target, last, Evidence::Signed)?,
        relevance: pixel_relevance(&walker, &input, *features, by_features, &composite)?.map,
        gradient: channel_sum(&Evidence::Absolute.of(&change)),
    })
}

/// The last map of several pixels that the value `features` is made of.
fn map_behind(network: &Network, features: Node, size: usize) -> Result<Node> {
    let shapes = network.shapes(size, size)?;
    let mut node = features;
    while let (Some(step), 1) = (node.step(), shapes[node.index()].h * shapes[node.index()].w) {
        node = network.steps()[step].inputs[0];
    }
    Ok(node)
}
