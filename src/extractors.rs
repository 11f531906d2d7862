//! Opening a feature extractor by name, with its weights from the cache, the network or a file.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use candle_core::Device;
use ganscope_images::{Preprocess, Resize};
use ganscope_inception::{Inception, Layer};
use ganscope_model::network::Description;
use ganscope_model::{
    Checkpoint, ClassifierFeatures, FeatureExtractor, Network, Node, Normalization, Scaling,
};
use ganscope_stats::Needs;
use ganscope_stats::files::Convention;
use ganscope_weights::{ReadOptions, hub};
use sha2::{Digest as _, Sha256};

use crate::locate::locate;
use crate::registry;

/// Which extractor, and how.
#[derive(Debug, Clone)]
pub struct ExtractorOptions<'a> {
    /// Name in the registry.
    pub name: &'a str,
    /// The weights, instead of the known ones: what [`locate`] takes.
    pub weights: Option<&'a Path>,
    /// Layer of the features, instead of the published one.
    pub layer: Option<&'a str>,
    /// Resize convention.
    pub resize: Resize,
    /// Input scaling.
    pub scaling: Scaling,
    /// What will be asked of it.
    pub needs: Needs,
    /// Where it runs.
    pub device: Device,
}

/// An extractor, ready to run.
#[derive(Debug)]
pub struct OpenExtractor {
    /// The network.
    pub extractor: Box<dyn FeatureExtractor>,
    /// What its features depend on.
    pub convention: Convention,
    /// How images are prepared for it.
    pub preprocess: Preprocess,
    /// Its steps.
    pub inside: Inside,
}

/// What an extractor is made of, for explanations.
#[derive(Debug, Clone)]
pub struct Inside {
    /// The network.
    pub network: Arc<Network>,
    /// The value whose spatial mean is the feature row.
    pub features: Node,
    /// How pixel values become network input.
    pub scaling: Normalization,
}

/// An extractor that was built, and how it is described.
pub(crate) struct Built {
    extractor: Box<dyn FeatureExtractor>,
    layer: String,
    scaling: String,
    inside: Inside,
}

/// How one kind of extractor is built.
pub(crate) type Open = fn(Weights<'_>, &ExtractorOptions<'_>) -> Result<Built>;

/// The bytes of a checkpoint.
#[derive(Debug)]
pub struct Weights<'a> {
    bytes: &'a [u8],
}

impl Weights<'_> {
    fn checkpoint(&self) -> Result<Checkpoint> {
        Ok(ganscope_weights::read_bytes(self.bytes, &ReadOptions::default())?.into())
    }
}

/// FID Inception.
pub(crate) fn inception(weights: Weights<'_>, options: &ExtractorOptions<'_>) -> Result<Built> {
    let layer = options.layer.map(str::parse::<Layer>).transpose();
    let layer = layer.map_err(anyhow::Error::msg)?.unwrap_or_default();
    let net = Arc::new(ganscope_inception::network(weights.checkpoint()?)?);
    // The logits cost next to nothing once the last layer is there, and spare a second pass.
    let needs = match layer {
        Layer::L2048 => options.needs | Needs::LOGITS,
        _ => options.needs,
    };
    let half = match options.scaling {
        Scaling::Tf => 128.0 / 255.0,
        Scaling::Unit => 0.5,
    };
    let inside = Inside {
        features: net.node(layer.step())?,
        network: net.clone(),
        scaling: Normalization { mean: vec![half; 3], std: vec![half; 3] },
    };
    let extractor =
        Inception::new(options.name, net, options.scaling, layer, needs, &options.device)?;
    let (layer, scaling) = (layer.to_string(), options.scaling.to_string());
    Ok(Built { extractor: Box::new(extractor), layer, scaling, inside })
}

/// A classifier that its checkpoint describes layer by layer.
pub(crate) fn described(weights: Weights<'_>, options: &ExtractorOptions<'_>) -> Result<Built> {
    let checkpoint = weights.checkpoint()?;
    let description = Description::from_config(checkpoint.config())?;
    let layer = options.layer.or(description.features.as_deref());
    let layer = layer.context("the checkpoint names no layer of features")?.to_owned();
    let classifier = description.classifier(options.name, checkpoint)?;
    let half = |values: &[f32]| values.iter().all(|&v| v == 0.5);
    let scaling = match &classifier.normalization {
        n if half(&n.mean) && half(&n.std) => Scaling::Unit.to_string(),
        n => format!("(x / 255 - {:?}) / {:?}", n.mean, n.std),
    };
    let inside = Inside {
        features: classifier.network.node(&layer)?,
        network: classifier.network.clone(),
        scaling: classifier.normalization.clone(),
    };
    let extractor = Box::new(ClassifierFeatures::new(classifier, &layer, &options.device)?);
    Ok(Built { extractor, layer, scaling, inside })
}

/// Opens the extractor that `options` name; `watch` sees the bytes of a download.
///
/// # Errors
/// When there is no such extractor, its weights are not there and cannot be fetched, or do not fit.
pub fn open(
    options: &ExtractorOptions<'_>,
    watch: &mut hub::Progress<'_>,
) -> Result<OpenExtractor> {
    let entry = registry::extractor(options.name)?;
    let bytes = match options.weights {
        Some(name) => {
            let path = locate(name, watch)?;
            std::fs::read(&path).with_context(|| format!("read weights `{}`", path.display()))?
        }
        None => entry.weights.bytes(watch)?,
    };
    let Built { extractor, layer, scaling, inside } =
        (entry.open)(Weights { bytes: &bytes }, options).with_context(|| {
            match options.weights {
                Some(path) => format!("`{}` is no checkpoint of {}", path.display(), options.name),
                None => format!("open {}", options.name),
            }
        })?;
    let size = extractor.input_size();
    Ok(OpenExtractor {
        convention: Convention {
            extractor: options.name.into(),
            weights_sha256: sha256(&bytes),
            layer,
            resize: options.resize.to_string(),
            scaling,
        },
        preprocess: Preprocess { resize: options.resize, size },
        extractor,
        inside,
    })
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}"))
}
