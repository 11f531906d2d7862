//! LPIPS on VGG-16: a distance of images that people agree with.
//!
//! Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018,
//! <https://arxiv.org/abs/1801.03924>; version 0.1 of the published tool.

mod gradient;

use std::sync::Arc;

use ganscope_model::network::{Builder, ConvSpec, PoolSpec};
use ganscope_model::{Checkpoint, Engine, Error, FeatureMap, Network, Node, Result};

pub use gradient::DistanceTo;

/// Convolutions and channels of the five blocks of VGG-16.
const BLOCKS: [(usize, usize); 5] = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)];
/// Added to the length of a pixel's channels before they are divided by it.
const EPSILON: f32 = 1e-10;
/// Images in [-1, 1] to network input: `(x - shift) / scale`, by color.
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];
/// The smallest image that survives four poolings.
const SMALLEST: usize = 16;

/// The distance.
///
/// `sum over blocks, mean over pixels, of w . (a / |a| - b / |b|)^2`, a and b the channels of a pixel
/// after the last rectifier of a block, w the learned weights.
#[derive(Debug)]
pub struct Lpips {
    engine: Engine,
    taps: Vec<Node>,
    /// One weight per channel, for each block.
    heads: Vec<Vec<f32>>,
}

impl Lpips {
    /// Loads the state dict of the published tool: `net.sliceS.N.*`, `linB.model.1.weight`; or
    /// torchvision's `features.N.*` with those `linB`.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or is left over.
    pub fn new(mut checkpoint: Checkpoint) -> Result<Self> {
        // The tool contains its heads twice and stores the input scaling; VGG's classifier is not
        // used.
        checkpoint.discard(|name| {
            ["lins.", "scaling_layer.", "classifier."].iter().any(|part| name.starts_with(part))
        });
        let (network, taps) = vgg16(&mut checkpoint)?;
        let heads = BLOCKS.iter().enumerate().map(|(block, &(_, channels))| {
            checkpoint.take(&format!("lin{block}.model.1.weight"), &[1, channels, 1, 1])
        });
        let heads = heads.collect::<Result<Vec<_>>>()?;
        checkpoint.finish()?;
        Ok(Self { engine: Engine::new(Arc::new(network), &taps), taps, heads })
    }

    /// Distances of the images 2i and 2i + 1 of `images`, (2N, 3, H, W) in [-1, 1].
    ///
    /// # Errors
    /// If the number of images is odd, or they are smaller than 16 pixels.
    pub fn pair_distances(
        &self,
        images: &[f32],
        (n, h, w): (usize, usize, usize),
    ) -> Result<Vec<f64>> {
        if images.len() != n * 3 * h * w || !n.is_multiple_of(2) || h.min(w) < SMALLEST {
            let problem = format!("LPIPS of {} numbers as {n} images of {h}x{w}", images.len());
            return Err(Error::Input(format!(
                "{problem}: pairs of at least {SMALLEST}x{SMALLEST}"
            )));
        }
        let mut distances = vec![0.0; n / 2];
        for (map, head) in self.maps(images, (n, h, w))?.iter().zip(&self.heads) {
            for (pair, distance) in distances.iter_mut().enumerate() {
                *distance += block_distance(map, 2 * pair, head);
            }
        }
        Ok(distances)
    }

    /// The map of each block, of images (N, 3, H, W) in [-1, 1].
    fn maps(&self, images: &[f32], (n, h, w): (usize, usize, usize)) -> Result<Vec<FeatureMap>> {
        let plane = h * w;
        let input: Vec<f32> = (0..n * plane)
            .flat_map(|p| {
                let (image, pixel) = (p / plane, p % plane);
                let value = |c: usize| images[(image * 3 + c) * plane + pixel];
                [0, 1, 2].map(|c| (value(c) - SHIFT[c]) / SCALE[c])
            })
            .collect();
        self.engine.run(&input, (n, h, w))
    }
}

/// Distance of the images `first` and `first + 1` in one block.
fn block_distance(map: &FeatureMap, first: usize, head: &[f32]) -> f64 {
    let c = map.shape.c;
    let (a, b) = (map.image(first), map.image(first + 1));
    let rate = |pixel: &[f32]| 1.0 / (pixel.iter().map(|v| v * v).sum::<f32>().sqrt() + EPSILON);
    let pixel = |(a, b): (&[f32], &[f32])| {
        let (rate_a, rate_b) = (rate(a), rate(b));
        let square = |((a, b), w): ((&f32, &f32), &f32)| w * (a * rate_a - b * rate_b).powi(2);
        a.iter().zip(b).zip(head).map(square).sum::<f32>() as f64
    };
    let sum: f64 = a.chunks_exact(c).zip(b.chunks_exact(c)).map(pixel).sum();
    sum / (map.shape.h * map.shape.w) as f64
}

/// VGG-16 up to its last rectifier, and the last rectifier of each block.
fn vgg16(checkpoint: &mut Checkpoint) -> Result<(Network, Vec<Node>)> {
    let torchvision = checkpoint.contains("features.0.weight");
    let mut b = Builder::new(3);
    let (mut x, mut channels, mut layer) = (Node::INPUT, 3, 0);
    let mut taps = Vec::new();
    for (block, &(convolutions, width)) in BLOCKS.iter().enumerate() {
        if block > 0 {
            x = b.max_pool(&format!("features.{layer}"), x, PoolSpec::new(2, 2));
            layer += 1;
        }
        for _ in 0..convolutions {
            // The tool cuts the list of layers into slices and keeps their numbers.
            let name = if torchvision {
                format!("features.{layer}")
            } else {
                format!("net.slice{}.{layer}", block + 1)
            };
            let spec = ConvSpec::new(channels, width, [3, 3]).padding(1, 1);
            x = b.conv(checkpoint, &name, x, spec, true)?;
            x = b.relu(&format!("features.{}", layer + 1), x);
            (channels, layer) = (width, layer + 2);
        }
        taps.push(x);
    }
    Ok((b.build(), taps))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ganscope_golden as golden;

    use super::*;

    /// Relative error of float32 networks.
    const F32_NETWORK: f64 = 1e-4;
    /// The same for the small difference of features of nearly equal images, where digits cancel.
    const F32_CANCELLATION: f64 = 1e-3;

    pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

    /// Recipe weights under torchvision's names, and heads in (0, 1).
    pub(crate) fn recipe() -> Tensors {
        let mut tensors = Tensors::new();
        let (mut channels, mut layer) = (3, 0);
        for (block, (convolutions, width)) in BLOCKS.into_iter().enumerate() {
            for _ in 0..convolutions {
                for (leaf, shape) in
                    [("weight", vec![width, channels, 3, 3]), ("bias", vec![width])]
                {
                    let name = format!("features.{layer}.{leaf}");
                    let values = golden::tensor(&name, &shape, golden::span(&name, &shape), 0);
                    tensors.insert(name, (shape, values));
                }
                (channels, layer) = (width, layer + 2);
            }
            layer += 1;
            let name = format!("lin{block}.model.1.weight");
            let shape = vec![1, width, 1, 1];
            let values = golden::tensor(&name, &shape, (0.0, 1.0), 0);
            tensors.insert(name, (shape, values));
        }
        tensors
    }

    /// The recipe images `ks` of `side` pixels, (N, 3, side, side) in [-1, 1].
    pub(crate) fn images(ks: &[usize], side: usize) -> Vec<f32> {
        let image = |&k: &usize| {
            let pixels = golden::image(k, side, side);
            (0..3 * side * side).map(move |i| {
                let (c, p) = (i / (side * side), i % (side * side));
                f32::from(pixels[3 * p + c]) / 127.5 - 1.0
            })
        };
        ks.iter().flat_map(image).collect()
    }

    pub(crate) fn lpips(tensors: Tensors) -> Result<Lpips> {
        Lpips::new(Checkpoint::from_f32(tensors)?)
    }

    #[test]
    fn distances_are_those_of_the_published_tool() {
        // lpips 0.1.4, LPIPS(net="vgg"), with these weights, images 60 and 61, then 62 and 63
        const EXPECTED: [f64; 2] = [0.993_325_721, 0.921_053_536];
        let distances = lpips(recipe()).unwrap();
        let distances = distances.pair_distances(&images(&[60, 61, 62, 63], 64), (4, 64, 64));
        for (distance, expected) in distances.unwrap().into_iter().zip(EXPECTED) {
            assert!((distance / expected - 1.0).abs() < F32_NETWORK, "{distance} {expected}");
        }
    }

    #[test]
    fn a_small_step_and_a_rectangle_have_the_distance_of_float64() {
        // The sum of the paper in float64 PyTorch, written from its formula, with these weights:
        // image 60 of 32 pixels and the same moved by a thousandth of the way to image 61; rows
        // 0 to 24 and columns 0 to 40 of images 62 and 63 of 64 pixels.
        const STEP: f64 = 1.940_109_239e-6;
        const RECTANGLE: f64 = 0.887_153_588;
        let lpips = lpips(recipe()).unwrap();
        let ends = images(&[60, 61], 32);
        let (from, to) = ends.split_at(ends.len() / 2);
        let moved = from.iter().zip(to).map(|(a, b)| a + (b - a) * 1e-3);
        let pair: Vec<f32> = from.iter().copied().chain(moved).collect();
        let distance = lpips.pair_distances(&pair, (2, 32, 32)).unwrap()[0];
        assert!((distance / STEP - 1.0).abs() < F32_CANCELLATION, "{distance:e}");

        let whole = images(&[62, 63], 64);
        let rows = whole.chunks_exact(64).enumerate().filter(|(row, _)| row % 64 < 24);
        let part: Vec<f32> = rows.flat_map(|(_, row)| row[..40].to_vec()).collect();
        let distance = lpips.pair_distances(&part, (2, 24, 40)).unwrap()[0];
        assert!((distance / RECTANGLE - 1.0).abs() < F32_NETWORK, "{distance}");
    }

    #[test]
    fn an_image_has_no_distance_to_itself_and_the_same_both_ways() {
        let images = images(&[1, 1, 1, 2, 2, 1], 16);
        let distances = lpips(recipe()).unwrap().pair_distances(&images, (6, 16, 16)).unwrap();
        assert_eq!(distances[0], 0.0);
        assert_eq!(distances[1], distances[2]);
        assert!(distances[1] > 0.0);
    }

    #[test]
    fn the_names_of_the_tool_are_those_of_torchvision_in_slices() {
        let slice = |layer: usize| match layer {
            0..4 => 1,
            4..9 => 2,
            9..16 => 3,
            16..23 => 4,
            _ => 5,
        };
        let mut tool = Tensors::new();
        for (name, tensor) in recipe() {
            let name = if let Some(rest) = name.strip_prefix("features.") {
                let layer = rest.split('.').next().unwrap().parse().unwrap();
                format!("net.slice{}.{rest}", slice(layer))
            } else {
                tool.insert(name.replacen("lin", "lins.", 1), tensor.clone());
                name
            };
            tool.insert(name, tensor);
        }
        tool.insert("scaling_layer.shift".into(), (vec![1, 3, 1, 1], SHIFT.to_vec()));
        let images = images(&[3, 4], 16);
        let of = |tensors| lpips(tensors).unwrap().pair_distances(&images, (2, 16, 16)).unwrap();
        assert_eq!(of(tool), of(recipe()));
    }

    #[test]
    fn what_makes_no_pairs_is_an_error() {
        let whole = lpips(recipe()).unwrap();
        for (n, side) in [(1, 16), (2, 15)] {
            let images = vec![0.0; n * 3 * side * side];
            assert!(whole.pair_distances(&images, (n, side, side)).is_err());
        }
        assert!(whole.pair_distances(&[0.0; 5], (2, 16, 16)).is_err());
        let mut lacking = recipe();
        lacking.remove("lin3.model.1.weight");
        let error = lpips(lacking).unwrap_err().to_string();
        assert!(error.contains("lin3.model.1.weight"), "{error}");
    }
}
