//! The features of any classifier: the spatial mean of one of its steps, and its logits.

use candle_core::Device;
use ganscope_images::ImageBatch;
use ganscope_stats::{FeatureBatch, Features, Needs};

use crate::{Classifier, Engine, Error, FeatureExtractor, Result};

/// A classifier as a feature extractor.
#[derive(Debug)]
pub struct ClassifierFeatures {
    classifier: Classifier,
    engine: Engine,
    dim: usize,
}

impl ClassifierFeatures {
    /// Features of the step `layer` of `classifier`, on `device`; its own logits, with bias, beside
    /// them.
    ///
    /// # Errors
    /// If there is no such step, the network does not fit its input size, or not the device.
    pub fn new(classifier: Classifier, layer: &str, device: &Device) -> Result<Self> {
        let network = &classifier.network;
        let node = network.node(layer)?;
        let shapes = network.shapes(classifier.input_size, classifier.input_size)?;
        let dim = shapes[node.index()].c;
        let engine = Engine::on(network.clone(), &[node, network.output()], device)?;
        Ok(Self { classifier, engine, dim })
    }
}

impl FeatureExtractor for ClassifierFeatures {
    fn feature_dim(&self) -> usize {
        self.dim
    }

    fn input_size(&self) -> usize {
        self.classifier.input_size
    }

    fn gives(&self) -> Needs {
        Needs::LOGITS
    }

    fn extract(&self, images: &ImageBatch) -> Result<FeatureBatch> {
        let channels = self.classifier.network.in_channels();
        if channels != 3 {
            let problem = format!("{} reads {channels} channels", self.classifier.id);
            return Err(Error::Input(format!("{problem}, images have 3")));
        }
        let scale = |(i, &x): (usize, &f32)| self.classifier.normalization.apply(i % 3, x);
        let input: Vec<f32> = images.data.iter().enumerate().map(scale).collect();
        let maps = self.engine.run(&input, (images.n, images.height, images.width))?;
        let features = Features::from_vec(maps[0].spatial_mean(), self.dim)?;
        let logits = Features::from_vec(maps[1].data.clone(), maps[1].shape.c)?;
        Ok(FeatureBatch { features, logits: Some(logits), spatial: None })
    }
}
