//! Class activation maps: which places of a layer speak for the target.

use std::fmt;
use std::str::FromStr;

use ganscope_model::network::{Op, Real, Rectifier, Walker};
use ganscope_model::{FeatureMap, Network, Node, Shape};

use crate::error::require;
use crate::gradient::{gradient, one_image};
use crate::tokens::{TokenGrid, before_last_attention};
use crate::{Error, Result, Target};

/// Which evidence a map shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Evidence {
    /// What speaks for the target: `max(map, 0)`.
    #[default]
    Positive,
    /// What speaks against it: `min(map, 0)`.
    Negative,
    /// What speaks for and against it.
    Signed,
    /// What matters to it, either way: `|map|`.
    Absolute,
}

impl Evidence {
    /// This evidence of a signed map.
    pub fn of<T: Real>(self, map: &FeatureMap<T>) -> FeatureMap<T> {
        match self {
            Self::Positive => map.map(|v| v.larger(T::ZERO)),
            Self::Negative => map.map(|v| v.smaller(T::ZERO)),
            Self::Signed => map.clone(),
            Self::Absolute => map.map(|v| v.larger(-v)),
        }
    }
}

impl Evidence {
    /// Every kind, in the order of lists.
    pub const ALL: [Self; 4] = [Self::Positive, Self::Negative, Self::Signed, Self::Absolute];

    /// Its name in requests and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
            Self::Signed => "signed",
            Self::Absolute => "absolute",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Evidence {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|evidence| evidence.name() == name);
        let expected = "positive, negative, signed or absolute";
        found.ok_or_else(|| Error::Option { name: "the evidence", expected, got: name.to_owned() })
    }
}

/// Class activation map, (1, 1, H, W): `sum_k w_k A_k`, with the maps `A_k` that a global mean
/// reads and the weights `w_k` of the linear layer behind it. Its mean and the bias sum to the
/// logit.
///
/// Zhou et al., "Learning Deep Features for Discriminative Localization", 2015,
/// <https://arxiv.org/abs/1512.04150>.
///
/// # Errors
/// [`Error::Unsuited`] if the network does not end in a global mean and a linear layer;
/// otherwise those of [`gradient`].
pub fn cam<T: Real>(
    walker: &Walker<T>,
    image: &FeatureMap<T>,
    target: &Target,
) -> Result<FeatureMap<T>> {
    let maps = pooled_maps(walker.network()).ok_or(Error::Unsuited {
        method: "CAM",
        needs: "a global mean and a linear layer at the end",
    })?;
    // The head is linear: the gradient at the maps is `w_k / pixels` everywhere.
    let (activations, gradients) = at_layer(walker, image, target, maps)?;
    let pixels = T::of((activations.shape.h * activations.shape.w) as f64);
    let map = activations.zip(&gradients, |a, g| a * g * pixels);
    Ok(channel_sum(&map))
}

/// Gradient-weighted class activation map of `layer`, (1, 1, H, W): `sum_k a_k A_k` with `a_k` the
/// mean gradient of the target with respect to the map `A_k`. Of the tokens of a transformer, the
/// patches are the map.
///
/// Selvaraju et al., "Grad-CAM", 2016, <https://arxiv.org/abs/1610.02391>.
///
/// # Errors
/// Those of [`gradient`].
pub fn grad_cam<T: Real>(
    walker: &Walker<T>,
    image: &FeatureMap<T>,
    target: &Target,
    layer: Node,
    evidence: Evidence,
) -> Result<FeatureMap<T>> {
    let (activations, gradients) = at_layer(walker, image, target, layer)?;
    let weights = channel_means(&gradients);
    let mut map = activations.clone();
    for pixel in map.data.chunks_exact_mut(weights.len()) {
        pixel.iter_mut().zip(&weights).for_each(|(v, &w)| *v = *v * w);
    }
    Ok(evidence.of(&channel_sum(&map)))
}

/// `LayerCAM` of `layer`, (1, 1, H, W): `sum_k max(g_k, 0) A_k` with the gradient `g_k` of the target with
/// respect to the map `A_k` at each place.
///
/// Jiang et al., "`LayerCAM`: Exploring Hierarchical Class Activation Maps for Localization", 2021.
///
/// # Errors
/// Those of [`gradient`].
pub fn layer_cam<T: Real>(
    walker: &Walker<T>,
    image: &FeatureMap<T>,
    target: &Target,
    layer: Node,
    evidence: Evidence,
) -> Result<FeatureMap<T>> {
    let (activations, gradients) = at_layer(walker, image, target, layer)?;
    let map = activations.zip(&gradients, |a, g| a * g.larger(T::ZERO));
    Ok(evidence.of(&channel_sum(&map)))
}

/// `Score-CAM` of `layer`, (1, 1, H, W): `sum_k softmax(s)_k A_k` with the score `s_k` of the image times
/// the map `A_k`, which is enlarged bilinearly and scaled to 0..1.
///
/// `score` gives a number for each image of a batch of `batch`.
///
/// Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks",
/// 2019, <https://arxiv.org/abs/1910.01279>.
///
/// # Errors
/// If the image does not suit the network, the batch is empty, and those of `score`.
pub fn score_cam<T: Real>(
    walker: &Walker<T>,
    image: &FeatureMap<T>,
    layer: Node,
    evidence: Evidence,
    batch: usize,
    mut score: impl FnMut(&FeatureMap<T>) -> Result<Vec<f64>>,
) -> Result<FeatureMap<T>> {
    one_image(image)?;
    require(batch > 0, "the batch", "at least 1", batch)?;
    let size = [image.shape.h, image.shape.w];
    let activations = walker.run(image.clone())?.value(layer).clone();
    let activations = match TokenGrid::of(walker.network(), size)? {
        Some(grid) => grid.patches(activations),
        None => activations,
    };
    let (places, c) = (enlarge(&activations, size), activations.shape.c);
    let masked = |k: usize| {
        let mask = || places.data.iter().skip(k).step_by(c).copied();
        let (first, values) = (mask().next().unwrap_or(T::ZERO), mask());
        let (low, high) = values.fold((first, first), |(l, h), v| (l.smaller(v), h.larger(v)));
        let range = T::of((high - low).to_f64() + NO_RANGE);
        let pixels = image.data.chunks_exact(image.shape.c).zip(mask());
        let values = |(pixel, m): (&[T], T)| {
            let factor = (m - low) / range;
            pixel.iter().map(|&v| v * factor).collect::<Vec<T>>()
        };
        pixels.flat_map(values).collect::<Vec<T>>()
    };
    let mut scores = Vec::with_capacity(c);
    for maps in (0..c).collect::<Vec<_>>().chunks(batch) {
        let data = maps.iter().flat_map(|&k| masked(k)).collect();
        scores.extend(score(&FeatureMap::new(maps.len(), image.shape, data)?)?);
    }
    let weights: Vec<T> = softmax_of(&scores).into_iter().map(T::of).collect();
    let mut map = activations;
    for pixel in map.data.chunks_exact_mut(c) {
        pixel.iter_mut().zip(&weights).for_each(|(v, &w)| *v = *v * w);
    }
    Ok(evidence.of(&channel_sum(&map)))
}

/// Added to the range of a map that is scaled to 0..1, as the authors do.
const NO_RANGE: f64 = 1e-8;

fn softmax_of(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// Guided Grad-CAM: guided backpropagation times the positive Grad-CAM map of `layer`, which is
/// enlarged to the image bilinearly.
///
/// # Errors
/// Those of [`gradient`].
pub fn guided_grad_cam<T: Real>(
    walker: &Walker<T>,
    image: &FeatureMap<T>,
    target: &Target,
    layer: Node,
) -> Result<FeatureMap<T>> {
    let places = grad_cam(walker, image, target, layer, Evidence::Positive)?;
    let places = enlarge(&places, [image.shape.h, image.shape.w]);
    let guided = gradient(walker, image, target, Rectifier::Guided)?;
    let c = image.shape.c;
    let data = guided.data.iter().enumerate().map(|(i, &g)| g * places.data[i / c]).collect();
    Ok(FeatureMap::new(1, image.shape, data)?)
}

/// The usual layer of Grad-CAM: the last value of a network that is a map of several pixels, for images
/// of (h, w); in a transformer what the last attention reads, normalized, as behind it the patches no
/// longer reach the class token.
///
/// # Errors
/// If the images are too small.
pub fn last_map(network: &Network, [h, w]: [usize; 2]) -> Result<Node> {
    if let Some(node) = before_last_attention(network) {
        return Ok(node);
    }
    let shapes = network.shapes(h, w)?;
    let last = shapes.iter().rposition(|s| s.h * s.w > 1).unwrap_or(0);
    Ok(last.checked_sub(1).map_or(Node::INPUT, Node::of_step))
}

/// A map enlarged to (h, w) bilinearly, its corners half a pixel inside: PyTorch's `interpolate`
/// without `align_corners`.
pub fn enlarge<T: Real>(map: &FeatureMap<T>, [h, w]: [usize; 2]) -> FeatureMap<T> {
    let Shape { c, h: rows, w: columns } = map.shape;
    let along = |place: usize, to: usize, from: usize| {
        let source = ((place as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
        let first = (source as usize).min(from - 1);
        (first, (first + 1).min(from - 1), T::of(source - first as f64))
    };
    let mut large = FeatureMap::filled(map.n, Shape { c, h, w }, T::ZERO);
    for (i, out) in large.data.iter_mut().enumerate() {
        let (image, y, x, k) = (i / (h * w * c), i / (w * c) % h, i / c % w, i % c);
        let (top, bottom, down) = along(y, h, rows);
        let (left, right, across) = along(x, w, columns);
        let at = |y: usize, x: usize| map.data[((image * rows + y) * columns + x) * c + k];
        let mix = |a: T, b: T, share: T| a + (b - a) * share;
        let (upper, lower) = (
            mix(at(top, left), at(top, right), across),
            mix(at(bottom, left), at(bottom, right), across),
        );
        *out = mix(upper, lower, down);
    }
    large
}

/// Sum over the channels of each pixel, (N, 1, H, W).
pub fn channel_sum<T: Real>(map: &FeatureMap<T>) -> FeatureMap<T> {
    let data = map.data.chunks_exact(map.shape.c).map(|p| p.iter().copied().sum()).collect();
    FeatureMap { n: map.n, shape: Shape { c: 1, ..map.shape }, data }
}

/// What the global mean before the last linear layer reads.
pub(crate) fn pooled_maps(network: &Network) -> Option<Node> {
    let mut node = network.output();
    let mut behind_head = false;
    loop {
        let step = &network.steps()[node.step()?];
        match step.op {
            Op::Linear(_) if !behind_head => behind_head = true,
            Op::Flatten if behind_head => {}
            Op::GlobalAvgPool | Op::AdaptiveAvgPool([1, 1]) if behind_head => {
                return Some(step.inputs[0]);
            }
            _ => return None,
        }
        node = step.inputs[0];
    }
}

/// The value of `layer` and the gradient of the target with respect to it, of tokens that of the
/// patches.
fn at_layer<T: Real>(
    walker: &Walker<T>,
    image: &FeatureMap<T>,
    target: &Target,
    layer: Node,
) -> Result<(FeatureMap<T>, FeatureMap<T>)> {
    one_image(image)?;
    let trace = walker.run(image.clone())?;
    let seed = target.seed(trace.value(target.node()))?;
    let mut signals = trace.gradient(target.node(), seed, &[layer], Rectifier::Gradient)?;
    let pair = (trace.value(layer).clone(), signals.swap_remove(0));
    Ok(match TokenGrid::of(walker.network(), [image.shape.h, image.shape.w])? {
        Some(grid) => (grid.patches(pair.0), grid.patches(pair.1)),
        None => pair,
    })
}

fn channel_means<T: Real>(map: &FeatureMap<T>) -> Vec<T> {
    let mut sums = vec![0.0; map.shape.c];
    for pixel in map.data.chunks_exact(map.shape.c) {
        sums.iter_mut().zip(pixel).for_each(|(s, v)| *s += v.to_f64());
    }
    let pixels = (map.shape.h * map.shape.w) as f64;
    sums.into_iter().map(|s| T::of(s / pixels)).collect()
}
