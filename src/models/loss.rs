//! Losses: distances of generated images to a fixed one, with their gradients.

use candle_core::{Device, Tensor, Var};
use ganscope_lpips::{DistanceTo, Lpips};
use ganscope_model::network::{Rectifier, Walker};
use ganscope_model::{FeatureMap, Node, Shape};

use super::distance::Distance;
use super::extractor::NetworkParts;
use crate::catalog;
use crate::error::{Error, Hint, Result};
use crate::watch::Watch;

/// The loss that needs no network.
pub const PIXELS: &str = "pixels";
/// Side above which images are reduced before they are compared, as the published projector does it.
const LARGEST: usize = 256;

/// A distance of images that can be differentiated. It is the squared Euclidean distance of rows.
#[derive(Debug)]
pub enum Loss {
    /// Mean squared difference of the values in [-1, 1].
    Pixels,
    /// LPIPS on VGG-16.
    Lpips(Box<Lpips>),
    /// Squared Euclidean distance of the features of an extractor.
    Features(Box<FeatureLoss>),
}

/// Features of a network.
#[derive(Debug)]
pub struct FeatureLoss {
    name: String,
    parts: NetworkParts,
    walker: Walker<f32>,
    size: usize,
}

impl Loss {
    /// The loss `name`: [`PIXELS`] or a distance of the catalog, with its known weights or others.
    ///
    /// # Errors
    /// If there is no such distance, or its weights cannot be found or downloaded.
    pub fn open(
        name: &str,
        weights: Option<&str>,
        device: &Device,
        watch: &mut dyn Watch,
    ) -> Result<Self> {
        if name == PIXELS {
            return Ok(Self::Pixels);
        }
        Ok(match catalog::distance(name)?.open(weights, device, watch)? {
            Distance::Lpips(lpips) => Self::Lpips(lpips),
            Distance::Features(open) => {
                let extractor = open.convention.extractor.clone();
                let Some(parts) = open.parts else {
                    return Err(Error::request(format!("the steps of {extractor} are not known"))
                        .with_hint(Hint::of("choose another {loss}")));
                };
                let walker = Walker::new(parts.network.clone());
                let size = open.preprocess.size;
                Self::Features(Box::new(FeatureLoss { name: extractor, parts, walker, size }))
            }
        })
    }

    /// What it is, for people.
    pub fn name(&self) -> String {
        match self {
            Self::Pixels => "mean squared difference of pixels".into(),
            Self::Lpips(_) => "LPIPS, VGG-16".into(),
            Self::Features(features) => format!("features of {}", features.name),
        }
    }

    /// A row for each of `images`, (N, C, H, W) in [-1, 1].
    ///
    /// # Errors
    /// If the network cannot take the images.
    pub fn rows(&self, images: &Tensor) -> Result<Vec<Vec<f32>>> {
        let images = prepared(images)?;
        let (n, c, h, w) = images.dims4()?;
        match self {
            Self::Pixels => {
                let scale = ((c * h * w) as f64).sqrt().recip();
                Ok((images.reshape((n, c * h * w))? * scale)?.to_vec2()?)
            }
            Self::Lpips(lpips) => {
                let values: Vec<f32> = images.flatten_all()?.to_vec1()?;
                Ok(lpips.rows(&values, (n, h, w))?)
            }
            Self::Features(features) => {
                let input = feature_map(&features.input(&images)?)?;
                let trace = features.walker.run(input)?;
                let means = trace.value(features.parts.features).spatial_mean();
                Ok(means.chunks_exact(means.len() / n.max(1)).map(<[f32]>::to_vec).collect())
            }
        }
    }

    /// The distance to an image (1, C, H, W) in [-1, 1].
    ///
    /// # Errors
    /// If the network cannot take the image.
    pub fn to(&self, target: &Tensor) -> Result<LossTo<'_>> {
        let lpips = match self {
            Self::Lpips(lpips) => {
                let image = prepared(target)?;
                let (_, _, h, w) = image.dims4()?;
                let values: Vec<f32> = image.flatten_all()?.to_vec1()?;
                Some(lpips.to(&values, [h, w])?)
            }
            _ => None,
        };
        Ok(LossTo { loss: self, lpips, row: self.rows(target)?.swap_remove(0) })
    }
}

/// The distance to a fixed image.
#[derive(Debug)]
pub struct LossTo<'a> {
    loss: &'a Loss,
    lpips: Option<DistanceTo<f32>>,
    row: Vec<f32>,
}

impl LossTo<'_> {
    /// The distance of an image whose row is `row`.
    pub fn of_row(&self, row: &[f32]) -> f64 {
        row.iter().zip(&self.row).map(|(a, b)| f64::from(a - b).powi(2)).sum()
    }

    /// The distance of an image (1, C, H, W) in [-1, 1].
    ///
    /// # Errors
    /// If the network cannot take the image.
    pub fn of(&self, image: &Tensor) -> Result<f64> {
        Ok(self.of_row(&self.loss.rows(image)?[0]))
    }

    /// The distance of an image (1, C, H, W) in [-1, 1], and its gradient by that image.
    ///
    /// # Errors
    /// If the network cannot take the image.
    pub fn gradient(&self, image: &Tensor) -> Result<(f64, Tensor)> {
        let image = Var::from_tensor(&image.detach())?;
        let seen = prepared(&image)?;
        let (input, distance, signal) = match (self.loss, &self.lpips) {
            (Loss::Features(features), _) => {
                let input = features.input(&seen)?;
                let (distance, signal) = features.gradient(&feature_map(&input)?, &self.row)?;
                (input, distance, signal)
            }
            (_, Some(lpips)) => {
                let values: Vec<f32> = seen.flatten_all()?.to_vec1()?;
                let (distance, signal) = lpips.gradient(&values)?;
                (seen, distance, signal)
            }
            (_, None) => {
                let values: Vec<f32> = seen.flatten_all()?.to_vec1()?;
                let count = values.len() as f64;
                let scale = count.sqrt() as f32;
                let off: Vec<f32> =
                    values.iter().zip(&self.row).map(|(v, row)| v - row * scale).collect();
                let sum: f64 = off.iter().map(|&v| f64::from(v).powi(2)).sum();
                let signal = off.into_iter().map(|v| v * (2.0 / count) as f32).collect();
                (seen, sum / count, signal)
            }
        };
        let signal = Tensor::from_vec(signal, input.dims(), input.device())?;
        let gradients = (input * signal)?.sum_all()?.backward()?;
        let gradient = gradients.get(image.as_tensor()).cloned();
        Ok((distance, gradient.map_or_else(|| image.zeros_like(), Ok)?))
    }
}

impl FeatureLoss {
    /// The input of the network: resized by the rule of TensorFlow 1, and scaled.
    fn input(&self, images: &Tensor) -> Result<Tensor> {
        let (_, c, h, w) = images.dims4()?;
        let (size, scaling, device) = (self.size, &self.parts.scaling, images.device());
        let images = if (h, w) == (size, size) {
            images.clone()
        } else {
            separable(images, &[bilinear(h, size), bilinear(w, size)], size)?
        };
        // What tells one color alone needs one.
        let channels = self.parts.network.in_channels();
        let images = if channels < c { images.narrow(1, 0, channels)? } else { images };
        let row = |values: &[f32]| Tensor::new(values, device)?.reshape((1, (), 1, 1));
        let light = ((images + 1.0)? / 2.0)?;
        Ok(light.broadcast_sub(&row(&scaling.mean())?)?.broadcast_div(&row(&scaling.std())?)?)
    }

    /// The distance to a row, and its gradient by the input.
    fn gradient(&self, input: &FeatureMap, target: &[f32]) -> Result<(f64, Vec<f32>)> {
        let node = self.parts.features;
        let trace = self.walker.run(input.clone())?;
        let value = trace.value(node);
        let off: Vec<f32> =
            value.spatial_mean().iter().zip(target).map(|(mean, target)| mean - target).collect();
        let pixels = (value.shape.h * value.shape.w) as f32;
        let mut seed = FeatureMap::filled(1, value.shape, 0.0);
        for pixel in seed.data.chunks_exact_mut(off.len()) {
            pixel.iter_mut().zip(&off).for_each(|(seed, off)| *seed = 2.0 * off / pixels);
        }
        let by_input = trace.gradient(node, seed, &[Node::INPUT], Rectifier::Gradient)?;
        Ok((off.iter().map(|&v| f64::from(v).powi(2)).sum(), by_input[0].to_nchw()))
    }
}

/// Images as all losses see them, (N, 3, H, W): gray ones in three channels, and not larger than 256
/// pixels.
fn prepared(images: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = images.dims4()?;
    if c != 1 && c != 3 {
        return Err(Error::request(format!("images of {c} channels, expected 1 or 3")));
    }
    let images = images.broadcast_as((n, 3, h, w))?.contiguous()?;
    if h.max(w) <= LARGEST {
        return Ok(images);
    }
    separable(&images, &[area(h, LARGEST), area(w, LARGEST)], LARGEST)
}

/// Images (N, C, H, W) resized to a square by matrices (`size`, H) and (`size`, W).
fn separable(images: &Tensor, [rows, columns]: &[Vec<f32>; 2], size: usize) -> Result<Tensor> {
    let along = |images: &Tensor, matrix: &Vec<f32>| -> Result<Tensor> {
        let length = images.dims()[3];
        let matrix = Tensor::from_slice(matrix, (size, length), images.device())?;
        // The second transposition of the two brings the axes back.
        let resized = images.broadcast_matmul(&matrix.t()?)?;
        Ok(resized.transpose(2, 3)?.contiguous()?)
    };
    along(&along(images, columns)?, rows)
}

/// The matrix (`to`, `from`) of TensorFlow 1's bilinear rule.
fn bilinear(from: usize, to: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; to * from];
    let scale = (from as f64 / to as f64) as f32;
    for (i, row) in matrix.chunks_exact_mut(from).enumerate() {
        let source = i as f32 * scale;
        let low = (source as usize).min(from - 1);
        let weight = source - low as f32;
        row[low] += 1.0 - weight;
        row[(low + 1).min(from - 1)] += weight;
    }
    matrix
}

/// The matrix (`to`, `from`) of means over the pixels that an output pixel touches, PyTorch's `area`.
fn area(from: usize, to: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; to * from];
    for (i, row) in matrix.chunks_exact_mut(from).enumerate() {
        let (start, end) = (i * from / to, ((i + 1) * from).div_ceil(to));
        row[start..end].fill(1.0 / (end - start) as f32);
    }
    matrix
}

/// The values of a tensor (N, C, H, W).
fn feature_map(tensor: &Tensor) -> Result<FeatureMap> {
    let (n, c, h, w) = tensor.dims4()?;
    let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
    Ok(FeatureMap::from_nchw(n, Shape { c, h, w }, &values)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Central differences in float32 with a step of a hundredth, of a function of a few thousand sums.
    const CENTRAL_DIFFERENCE: f64 = 2e-2;

    fn image(k: usize, side: usize) -> Tensor {
        let pixels = ganscope_golden::image(k, side, side);
        let at = |i: usize| f32::from(pixels[3 * (i % (side * side)) + i / (side * side)]);
        let values: Vec<f32> = (0..3 * side * side).map(|i| at(i) / 127.5 - 1.0).collect();
        Tensor::from_vec(values, (1, 3, side, side), &Device::Cpu).unwrap()
    }

    #[test]
    fn gradients_are_those_of_central_differences() {
        for (name, side) in [(PIXELS, 20), (PIXELS, 300), ("fashion-cnn", 32), ("fashion-cnn", 20)]
        {
            let loss = Loss::open(name, None, &Device::Cpu, &mut ()).unwrap();
            let to = loss.to(&image(1, side)).unwrap();
            let (from, towards) = (image(2, side), image(3, side));
            let (distance, gradient) = to.gradient(&from).unwrap();
            assert!((distance / to.of(&from).unwrap() - 1.0).abs() < 1e-4, "{name}");
            let step = 1e-2;
            let way = (&towards - &from).unwrap();
            let at = |by: f64| to.of(&(&from + (&way * by).unwrap()).unwrap()).unwrap();
            let slope = (at(step) - at(-step)) / (2.0 * step);
            let expected = (gradient * way).unwrap().sum_all().unwrap();
            let expected = f64::from(expected.to_scalar::<f32>().unwrap());
            let scale = expected.abs().max(distance);
            assert!(
                (slope - expected).abs() < CENTRAL_DIFFERENCE * scale,
                "{name} {side}: {slope}"
            );
            assert!(to.gradient(&image(1, side)).unwrap().0 < 1e-9, "{name}");
        }
    }

    #[test]
    fn areas_are_means_and_lines_are_kept() {
        assert_eq!(area(4, 2), [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5]);
        // An output pixel of 3 to 2 touches two pixels, whole.
        assert_eq!(area(3, 2), [0.5, 0.5, 0.0, 0.0, 0.5, 0.5]);
        assert_eq!(bilinear(2, 4), [1.0, 0.0, 0.5, 0.5, 0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn pixels_have_the_mean_squared_difference() {
        let loss = Loss::open(PIXELS, None, &Device::Cpu, &mut ()).unwrap();
        let to = loss.to(&image(1, 8)).unwrap();
        let moved = (image(1, 8) + 0.5).unwrap();
        assert!((to.of(&moved).unwrap() - 0.25).abs() < 1e-6);
        assert!(Loss::open("none", None, &Device::Cpu, &mut ()).is_err());
    }
}
