//! A step of a transformer as the features of images.

use candle_core::Device;
use ganscope_images::ImageBatch;
use ganscope_model::{Engine, Error, FeatureExtractor, Result};
use ganscope_stats::{FeatureBatch, Features, Needs};

use crate::Vit;

/// A vision transformer as a feature extractor.
#[derive(Debug)]
pub struct VitFeatures {
    vit: Vit,
    engine: Engine,
    dim: usize,
}

impl VitFeatures {
    /// Features of the step `layer` of `vit`, on `device`: the mean over its tokens, where it has
    /// several.
    ///
    /// # Errors
    /// If there is no such step, or the weights cannot be moved to the device.
    pub fn new(vit: Vit, layer: &str, device: &Device) -> Result<Self> {
        let node = vit.network().node(layer)?;
        let shapes = vit.network().shapes(vit.input_size(), vit.input_size())?;
        let dim = shapes[node.index()].c;
        let engine = Engine::on(vit.network().clone(), &[node], device)?;
        Ok(Self { vit, engine, dim })
    }

    /// The transformer.
    pub fn vit(&self) -> &Vit {
        &self.vit
    }
}

impl FeatureExtractor for VitFeatures {
    fn feature_dim(&self) -> usize {
        self.dim
    }

    fn input_size(&self) -> usize {
        self.vit.input_size()
    }

    fn gives(&self) -> Needs {
        Needs::NONE
    }

    fn extract(&self, images: &ImageBatch) -> Result<FeatureBatch> {
        let (patch, height, width) = (self.vit.patch_size(), images.height, images.width);
        if !height.is_multiple_of(patch) || !width.is_multiple_of(patch) {
            let problem = format!("images of {width} x {height} pixels");
            return Err(Error::Input(format!("{problem} do not divide into patches of {patch}")));
        }
        let input = self.vit.normalization().apply_all(&images.data);
        let maps = self.engine.run(&input, (images.n, height, width))?;
        let features = Features::from_vec(maps[0].spatial_mean(), self.dim)?;
        Ok(FeatureBatch { features, logits: None, spatial: None })
    }
}
