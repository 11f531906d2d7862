//! Feature extractors: networks whose features are compared.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;
use ganscope_images::{Preprocess, Resize};
use ganscope_inception::{Inception, Layer};
use ganscope_model::network::Description;
use ganscope_model::{
    Checkpoint, ClassifierFeatures, FeatureExtractor, Network, Node, Normalization,
};
use ganscope_stats::Needs;
use ganscope_stats::files::Convention;
use ganscope_vit::{Config, Vit, VitFeatures};
use ganscope_weights::ReadOptions;

use super::weights::{WeightSource, read, sha256};
use crate::error::{Context as _, Error, Hint, Kind, Result};
use crate::names::find;
use crate::preset::Preset;
use crate::watch::Watch;

/// How an extractor is opened.
#[derive(Debug, Clone)]
pub struct ExtractorOptions {
    /// The weights, instead of the known ones: a file, a known id, `hub:OWNER/REPO/FILE`.
    pub weights: Option<String>,
    /// The known weights that take the place of the extractor's.
    pub known: Option<&'static str>,
    /// A JSON file with settings that the weights do not tell.
    pub config: Option<PathBuf>,
    /// Layer of the features, instead of the published one.
    pub layer: Option<String>,
    /// Resize convention.
    pub resize: Resize,
    /// Input scaling, instead of the network's own.
    pub scaling: Option<Normalization>,
    /// The parts that will be requested.
    pub needs: Needs,
    /// Where it runs.
    pub device: Device,
}

/// A feature extractor of the catalog.
#[derive(Debug)]
pub struct ExtractorEntry {
    /// Its name.
    pub name: &'static str,
    /// A description.
    pub about: &'static str,
    /// Where its weights come from.
    pub weights: WeightSource,
    /// The tools whose conventions it may follow, the default first.
    pub presets: &'static [Preset],
    /// Whether a configuration may tell what its weights do not.
    pub configurable: bool,
    /// Builds it.
    pub(crate) build: Build,
}

/// How one kind of extractor is built from its name, its weights and options.
type Build = fn(&str, Checkpoint, &ExtractorOptions) -> Result<Built>;

/// An extractor, ready to run.
#[derive(Debug)]
pub struct Extractor {
    /// The network.
    pub network: Box<dyn FeatureExtractor>,
    /// The convention of its features.
    pub convention: Convention,
    /// How images are prepared for it.
    pub preprocess: Preprocess,
    /// Its steps, for explanations of its features; none of an extractor that is not a
    /// [`Network`].
    pub parts: Option<NetworkParts>,
}

/// The steps of an extractor.
#[derive(Debug, Clone)]
pub struct NetworkParts {
    /// The network.
    pub network: Arc<Network>,
    /// The value whose spatial mean is the feature row.
    pub features: Node,
    /// How pixel values become network input.
    pub scaling: Normalization,
    /// Names of its classes, as far as they are known.
    pub labels: Vec<String>,
}

/// An extractor that was built, and how it is described.
pub(crate) struct Built {
    network: Box<dyn FeatureExtractor>,
    layer: String,
    parts: NetworkParts,
}

impl Extractor {
    /// An extractor that is in no catalog. `version` is part of the names under which features are
    /// kept: change it whenever the features of an image change.
    pub fn custom(
        name: &str,
        version: &str,
        resize: Resize,
        network: Box<dyn FeatureExtractor>,
    ) -> Self {
        let convention = Convention {
            extractor: name.into(),
            weights_sha256: version.into(),
            layer: "features".into(),
            resize: resize.to_string(),
            scaling: "its own".into(),
        };
        let preprocess = Preprocess { resize, size: network.input_size() };
        Self { network, convention, preprocess, parts: None }
    }

    /// The parts of a set that its features make.
    pub fn computes(&self) -> Needs {
        self.network.gives() | Needs::STATS | Needs::FEATURES
    }
}

impl ExtractorEntry {
    /// The preset `name`, or the default one.
    ///
    /// # Errors
    /// If the extractor has no such preset.
    pub fn preset(&self, name: Option<&str>) -> Result<&'static Preset> {
        match name {
            None => Ok(&self.presets[0]),
            Some(name) => {
                find(self.presets, |p| p.name, &format!("preset of {}:", self.name), name)
            }
        }
    }

    /// The content of the file of its weights.
    ///
    /// # Errors
    /// If they cannot be found or downloaded.
    pub(crate) fn bytes(
        &self,
        options: &ExtractorOptions,
        watch: &mut dyn Watch,
    ) -> Result<Vec<u8>> {
        match (&options.weights, options.known) {
            (Some(name), _) => read(Path::new(name), watch),
            (None, Some(id)) => WeightSource::Known(id).bytes(watch),
            (None, None) => self.weights.bytes(watch),
        }
    }

    /// Opens the extractor with its known weights, or those of `options`.
    ///
    /// # Errors
    /// If the weights cannot be found or downloaded, or are not those of this network.
    pub fn open(&self, options: &ExtractorOptions, watch: &mut dyn Watch) -> Result<Extractor> {
        if options.config.is_some() && !self.configurable {
            return Err(Error::request(format!("{} has no configuration", self.name))
                .with_hint(Hint::of("leave {extractor_config} out")));
        }
        let bytes = self.bytes(options, watch)?;
        let checkpoint = ganscope_weights::read_bytes(&bytes, &ReadOptions::default());
        let what = || match &options.weights {
            Some(name) => format!("open `{name}` as {}", self.name),
            None => format!("open {}", self.name),
        };
        let checkpoint = checkpoint.with_context(what)?;
        let Built { network, layer, parts } =
            (self.build)(self.name, checkpoint.into(), options).with_context(what)?;
        let size = network.input_size();
        Ok(Extractor {
            convention: Convention {
                extractor: self.name.into(),
                weights_sha256: sha256(&bytes),
                layer,
                resize: options.resize.to_string(),
                scaling: parts.scaling.to_string(),
            },
            preprocess: Preprocess { resize: options.resize, size },
            network,
            parts: Some(parts),
        })
    }
}

/// FID Inception.
pub(crate) fn inception(
    _name: &str,
    checkpoint: Checkpoint,
    options: &ExtractorOptions,
) -> Result<Built> {
    let layer = options.layer.as_deref().map(str::parse::<Layer>).transpose();
    let layer = layer.map_err(|problem| {
        Error::request(problem).with_hint(Hint::of("{layer} is 64, 192, 768 or 2048"))
    })?;
    let layer = layer.unwrap_or_default();
    let net = Arc::new(ganscope_inception::network(checkpoint)?);
    // The logits cost next to nothing once the last layer is there, and spare a second pass.
    let needs = match layer {
        Layer::L2048 => options.needs | Needs::LOGITS,
        _ => options.needs,
    };
    let scaling = options.scaling.clone().unwrap_or(Normalization::Tf);
    let parts = NetworkParts {
        features: net.node(layer.step())?,
        network: net.clone(),
        scaling: scaling.clone(),
        labels: Vec::new(),
    };
    let network = Inception::new(net, scaling, layer, needs, &options.device)?;
    Ok(Built { network: Box::new(network), layer: layer.to_string(), parts })
}

/// A classifier that its checkpoint describes layer by layer.
pub(crate) fn described(
    name: &str,
    checkpoint: Checkpoint,
    options: &ExtractorOptions,
) -> Result<Built> {
    let description = Description::from_config(checkpoint.config())?;
    let layer = options.layer.clone().or(description.features.clone());
    let layer = layer.ok_or_else(|| {
        Error::problem(Kind::UnfitCheckpoint, "the checkpoint names no layer of features")
            .with_hint(Hint::of("name the layer with {layer}"))
    })?;
    let classifier = description.classifier(name, checkpoint)?;
    let parts = NetworkParts {
        features: classifier.network.node(&layer)?,
        network: classifier.network.clone(),
        scaling: classifier.normalization.clone(),
        labels: classifier.labels.clone(),
    };
    let network = Box::new(ClassifierFeatures::new(classifier, &layer, &options.device)?);
    Ok(Built { network, layer, parts })
}

/// DINOv2, whose class token describes an image.
pub(crate) fn dinov2(
    _name: &str,
    checkpoint: Checkpoint,
    options: &ExtractorOptions,
) -> Result<Built> {
    transformer(Vit::dinov2, "cls", checkpoint, options)
}

/// The image tower of CLIP, whose embedding describes an image.
pub(crate) fn clip(
    _name: &str,
    checkpoint: Checkpoint,
    options: &ExtractorOptions,
) -> Result<Built> {
    transformer(Vit::clip, "image_embeds", checkpoint, options)
}

/// The configuration of a transformer in a file; that of the published networks without one.
pub(super) fn config(path: Option<&Path>) -> Result<Config> {
    let Some(path) = path else { return Ok(Config::default()) };
    let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    Config::from_json(&text).with_context(|| format!("configuration `{}`", path.display()))
}

fn transformer(
    open: fn(Checkpoint, &Config) -> ganscope_model::Result<Vit>,
    layer: &str,
    checkpoint: Checkpoint,
    options: &ExtractorOptions,
) -> Result<Built> {
    let config = config(options.config.as_deref())?;
    let is_open = |error: &ganscope_model::Error| matches!(error, ganscope_model::Error::Config(_));
    let vit = open(checkpoint, &config).map_err(|error| {
        let advise = options.config.is_none() && is_open(&error);
        let error = Error::from(error);
        if !advise {
            return error;
        }
        Error::problem(Kind::UnfitCheckpoint, error.to_string())
            .with_hint(Hint::of("give the `config.json` of the weights with {extractor_config}"))
    })?;
    let layer = options.layer.as_deref().unwrap_or(layer);
    let parts = NetworkParts {
        features: vit.network().node(layer)?,
        network: vit.network().clone(),
        scaling: vit.normalization().clone(),
        labels: Vec::new(),
    };
    // Settings that no digest of the weights covers are part of the convention.
    let settings = Some(vit.settings()).filter(|settings| !settings.is_empty());
    let described = [Some(layer.to_owned()), settings].into_iter().flatten();
    let described = described.collect::<Vec<_>>().join(", ");
    let network = VitFeatures::new(vit, layer, &options.device)?;
    Ok(Built { network: Box::new(network), layer: described, parts })
}
