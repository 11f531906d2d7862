//! Distances of images, without rounding them to bytes.

use std::path::Path;

use candle_core::{Device, Tensor};
use ganscope_images::{ImageBatch, Resize, resize_planes};
use ganscope_lpips::Lpips;
use ganscope_model::Checkpoint;
use ganscope_stats::Needs;
use ganscope_weights::{ReadOptions, read};

use super::extractor::{Extractor, ExtractorEntry, ExtractorOptions};
use super::weights::locate;
use crate::error::{Context as _, Error, Result};
use crate::watch::Watch;

/// A distance of the catalog.
#[derive(Debug)]
pub struct DistanceEntry {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// How it is opened.
    pub(crate) kind: DistanceKind,
}

/// The kinds of distances.
#[derive(Debug)]
pub(crate) enum DistanceKind {
    /// LPIPS, with the known weights of this id.
    Lpips(&'static str),
    /// The features of an extractor.
    Features(&'static ExtractorEntry),
}

/// A distance, ready to measure.
#[derive(Debug)]
pub enum Distance {
    /// LPIPS on VGG-16, the distance of published path lengths.
    Lpips(Box<Lpips>),
    /// Squared Euclidean distance of the features of an extractor.
    Features(Box<Extractor>),
}

impl DistanceEntry {
    /// Opens the distance with its known weights, or those that `weights` names.
    ///
    /// # Errors
    /// If the weights cannot be found or downloaded, or are not those of this network.
    pub fn open(
        &self,
        weights: Option<&str>,
        device: &Device,
        watch: &mut dyn Watch,
    ) -> Result<Distance> {
        match self.kind {
            DistanceKind::Lpips(known) => {
                let path = locate(Path::new(weights.unwrap_or(known)), watch)?;
                let checkpoint = Checkpoint::from(read(&path, &ReadOptions::default())?);
                let lpips = Lpips::new(checkpoint);
                let lpips = lpips.with_context(|| format!("open `{}` as LPIPS", path.display()))?;
                Ok(Distance::Lpips(Box::new(lpips)))
            }
            DistanceKind::Features(entry) => {
                let options = ExtractorOptions {
                    weights: weights.map(str::to_owned),
                    known: None,
                    config: None,
                    layer: None,
                    resize: Resize::TfBilinear,
                    scaling: None,
                    needs: Needs::STATS,
                    device: device.clone(),
                };
                Ok(Distance::Features(Box::new(entry.open(&options, watch)?)))
            }
        }
    }
}

impl Distance {
    /// Name of the distance, for reports.
    pub fn name(&self) -> &str {
        match self {
            Self::Lpips(_) => "LPIPS, VGG-16",
            Self::Features(open) => &open.convention.extractor,
        }
    }

    /// Distances of the images 2i and 2i + 1 of `images`, (2N, C, H, W) in [-1, 1].
    ///
    /// # Errors
    /// If the network cannot take the images.
    pub fn pair_distances(&self, images: &Tensor) -> Result<Vec<f64>> {
        let (n, c, h, w) = images.dims4()?;
        if c != 1 && c != 3 {
            return Err(Error::request(format!("images of {c} channels, expected 1 or 3")));
        }
        let images = images.broadcast_as((n, 3, h, w))?.contiguous()?;
        match self {
            Self::Lpips(lpips) => {
                let values: Vec<f32> = images.flatten_all()?.to_vec1()?;
                Ok(lpips.pair_distances(&values, (n, h, w))?)
            }
            Self::Features(open) => {
                let features = open.network.extract(&resized(&images, open.preprocess.size)?)?;
                let features = features.features;
                let rows: Vec<&[f32]> = features.rows().collect();
                let square = |(&a, &b): (&f32, &f32)| (a as f64 - b as f64).powi(2);
                let pairs = rows.chunks_exact(2);
                Ok(pairs.map(|p| p[0].iter().zip(p[1]).map(square).sum()).collect())
            }
        }
    }
}

/// Images (N, 3, H, W) in [-1, 1] as floats on 0..255 of `size` pixels, by the bilinear rule of
/// TensorFlow 1.
fn resized(images: &Tensor, size: usize) -> Result<ImageBatch> {
    let (n, _, h, w) = images.dims4()?;
    let values: Vec<f32> = images.flatten_all()?.to_vec1()?;
    let mut data = vec![0.0; n * size * size * 3];
    for (image, out) in values.chunks_exact(3 * h * w).zip(data.chunks_exact_mut(3 * size * size)) {
        resize_planes(image, [h, w], size, out);
    }
    for value in &mut data {
        *value = (*value + 1.0) * 127.5;
    }
    let indices = (0..n).collect();
    Ok(ImageBatch {
        data,
        n,
        height: size,
        width: size,
        indices,
        skipped: Vec::new(),
        digests: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use ganscope_images::{BatchOptions, Image, ImageSet, Preprocess, Resize, batches};
    use ganscope_weights::{Array, Weights, write_safetensors};

    use super::*;

    #[test]
    fn lpips_of_a_file_is_that_of_the_published_tool() {
        // lpips 0.1.4, LPIPS(net="vgg"): weights of the recipe, heads in (0, 1), images 60 and 61.
        const EXPECTED: f64 = 0.993_325_721;
        /// Relative error of float32 networks.
        const F32_NETWORK: f64 = 1e-4;
        let mut tensors = Weights::default();
        let mut add = |name: String, shape: &[usize], span: Option<(f64, f64)>| {
            let span = span.unwrap_or_else(|| ganscope_golden::span(&name, shape));
            let values = ganscope_golden::tensor(&name, shape, span, 0);
            tensors.arrays.insert(name, Array::from_f32(shape, &values).unwrap());
        };
        let (mut channels, mut layer) = (3, 0);
        for (block, (convolutions, width)) in
            [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)].into_iter().enumerate()
        {
            for _ in 0..convolutions {
                add(format!("features.{layer}.weight"), &[width, channels, 3, 3], None);
                add(format!("features.{layer}.bias"), &[width], None);
                (channels, layer) = (width, layer + 2);
            }
            layer += 1;
            add(format!("lin{block}.model.1.weight"), &[1, width, 1, 1], Some((0.0, 1.0)));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lpips.safetensors");
        write_safetensors(&path, &tensors).unwrap();
        let lpips = crate::catalog::distance("lpips")
            .unwrap()
            .open(path.to_str(), &Device::Cpu, &mut ())
            .unwrap();
        let side = 64;
        let image = |k: usize| {
            let pixels = ganscope_golden::image(k, side, side);
            let at = move |i: usize| pixels[3 * (i % (side * side)) + i / (side * side)];
            (0..3 * side * side).map(move |i| f32::from(at(i)) / 127.5 - 1.0)
        };
        let pair: Vec<f32> = image(60).chain(image(61)).collect();
        let pair = Tensor::from_vec(pair, (2, 3, side, side), &Device::Cpu).unwrap();
        let distance = lpips.pair_distances(&pair).unwrap()[0];
        assert!((distance / EXPECTED - 1.0).abs() < F32_NETWORK, "{distance}");
        // Gray images count as colored ones.
        let gray = pair.narrow(1, 0, 1).unwrap().contiguous().unwrap();
        let colored = gray.repeat((1, 3, 1, 1)).unwrap();
        assert_eq!(lpips.pair_distances(&gray).unwrap(), lpips.pair_distances(&colored).unwrap());
        let named =
            crate::catalog::distance("lpips").unwrap().open(Some("none"), &Device::Cpu, &mut ());
        assert!(named.unwrap_err().report().contains("`none`"));
    }

    #[test]
    fn whole_bytes_are_resized_as_images_are() {
        /// Floats on 0..255, added in another order.
        const F32_ROUNDING: f32 = 1e-4;
        let (h, w, size) = (16, 12, 29);
        let pixels = ganscope_golden::image(5, h, w);
        let value = |i: usize| {
            let (c, p) = (i / (h * w), i % (h * w));
            f32::from(pixels[3 * p + c]) / 127.5 - 1.0
        };
        let tensor: Vec<f32> = (0..3 * h * w).map(value).collect();
        let tensor = Tensor::from_vec(tensor, (1, 3, h, w), &Device::Cpu).unwrap();
        let set = ImageSet::from_images(vec![Image { width: w, height: h, pixels }]);
        let preprocess = Preprocess { resize: Resize::TfBilinear, size };
        let expected = batches(&set, 0..1, preprocess, BatchOptions::default()).next();
        let expected = expected.unwrap().unwrap();
        let actual = resized(&tensor, size).unwrap();
        assert_eq!(actual.data.len(), expected.data.len());
        for (a, e) in actual.data.iter().zip(&expected.data) {
            assert!((a - e).abs() < F32_ROUNDING, "{a} {e}");
        }
    }
}
