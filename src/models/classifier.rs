//! Classifiers: networks that are explained.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ganscope_classifiers::Architecture;
use ganscope_explain::Explainer;
use ganscope_model::network::Description;
use ganscope_model::{Checkpoint, Classifier as Network, Node, Normalization, Shape, Step};
use ganscope_vit::{Config, Vit};
use ganscope_weights::ReadOptions;
use serde::{Deserialize, Serialize};

use super::extractor;
use super::weights::{WeightSource, read, sha256};
use crate::error::{Context as _, Error, Hint, Kind, Result};
use crate::names;
use crate::watch::Watch;

/// Layers that a hint lists.
const SHOWN: usize = 12;

/// Which classifier: one of the catalog, one that its weights describe, or one that a file describes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifierRequest {
    /// Name in the catalog.
    pub model: Option<String>,
    /// The weights, instead of the known ones: a file, a known id, `hub:OWNER/REPO/FILE`.
    pub weights: Option<String>,
    /// File with the linear layer of classes of `dinov2`, where the weights have none.
    pub head: Option<String>,
    /// JSON file with what the weights of `dinov2` do not tell: the number of heads.
    pub model_config: Option<PathBuf>,
    /// File with the description of a custom network, a JSON list of layers.
    pub network: Option<String>,
    /// Pixel value of the baseline, 0 to 255, instead of the classifier's own.
    pub baseline: Option<f32>,
}

/// A classifier of the catalog.
#[derive(Debug)]
pub struct ClassifierEntry {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Where its weights come from; none where no address is known.
    pub weights: Option<WeightSource>,
    /// Pixel value of the baseline; the mean of its input scaling if missing.
    pub baseline: Option<f32>,
    /// The only images that it knows, if these are gray; photographs if missing.
    pub knows: Option<&'static str>,
    /// Whether a layer of classes and a configuration may be given beside its weights.
    pub extensible: bool,
    /// Builds it.
    pub(crate) build: Build,
}

/// A layer of a classifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Channels of its output.
    pub channels: usize,
    /// Rows of its output.
    pub height: usize,
    /// Columns of its output.
    pub width: usize,
}

/// A classifier, ready to be explained.
#[derive(Debug)]
pub struct Classifier {
    /// The network with packed weights.
    pub explainer: Explainer,
    /// Its name in reports.
    pub name: String,
    /// Digest of the file of its weights, followed by that of its layer of classes if this was given.
    pub weights_sha256: String,
    /// Network input of the baseline, by channel.
    pub baseline: Vec<f32>,
    /// Whether the baseline is that of the classifier or of the request, not the mean of its input.
    pub explicit_baseline: bool,
    /// The only images that it knows, if these are gray.
    pub knows: Option<&'static str>,
}

/// How one kind of classifier is built from its name, its weights and what was given beside them.
type Build = fn(&str, Checkpoint, Beside) -> Result<Network>;

/// What was given beside the weights.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    head: Option<Checkpoint>,
    config: Config,
}

impl ClassifierEntry {
    /// Opens the classifier with its known weights, or those of `request`.
    ///
    /// # Errors
    /// If the weights cannot be found or downloaded, or are not those of this network.
    pub fn open(&self, request: &ClassifierRequest, watch: &mut dyn Watch) -> Result<Classifier> {
        if !self.extensible && (request.head.is_some() || request.model_config.is_some()) {
            let message =
                format!("{} has its own layer of classes and no configuration", self.name);
            return Err(
                Error::request(message).with_hint(Hint::of("leave {head} and {model_config} out"))
            );
        }
        let mut bytes = match (&request.weights, self.weights) {
            (Some(name), _) => read(Path::new(name), watch)?,
            (None, Some(weights)) => weights.bytes(watch)?,
            (None, None) => {
                return Err(Error::request(format!(
                    "no address of the weights of {} is known",
                    self.name
                ))
                .with_hint(Hint::of("give a checkpoint with {weights}")));
            }
        };
        let what = || match &request.weights {
            Some(name) => format!("open `{name}` as {}", self.name),
            None => format!("open {}", self.name),
        };
        let weights = checkpoint(&bytes).with_context(what)?;
        let head = match &request.head {
            None => None,
            Some(file) => {
                let head = read(Path::new(file), watch)?;
                let read = checkpoint(&head).with_context(|| format!("read `{file}`"))?;
                // The digest is that of both.
                bytes.extend(head);
                Some(read)
            }
        };
        let config = extractor::config(request.model_config.as_deref())?;
        let network =
            (self.build)(self.name, weights, Beside { head, config }).with_context(what)?;
        let pixel = request.baseline.or(self.baseline);
        let classifier = Classifier::new(self.name.to_owned(), network, &bytes, pixel);
        Ok(Classifier { knows: self.knows, ..classifier })
    }
}

impl ClassifierRequest {
    /// Fails if the request could not be carried out whatever the files.
    ///
    /// # Errors
    /// If the baseline is no pixel value.
    pub fn check(&self) -> Result<()> {
        match self.baseline.filter(|value| !(0.0..=255.0).contains(value)) {
            Some(value) => Err(Error::request(format!("`baseline` is {value}, expected 0 to 255"))),
            None => Ok(()),
        }
    }

    /// Opens a classifier that is not in the catalog: its layers are described in a file, or in the
    /// metadata of its weights.
    ///
    /// # Errors
    /// If there are no weights, or no description.
    pub(crate) fn open_described(&self, watch: &mut dyn Watch) -> Result<Classifier> {
        let Some(file) = &self.weights else {
            return Err(Error::request("a custom network needs weights")
                .with_hint(Hint::of("give a checkpoint with {weights}")));
        };
        let bytes = read(Path::new(file), watch)?;
        let checkpoint = checkpoint(&bytes).with_context(|| format!("read weights `{file}`"))?;
        let stem = Path::new(file).file_stem();
        let name = stem.map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let network = match &self.network {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(Error::file("read", Path::new(path)))?;
                Description::from_json(&text)
                    .and_then(|description| description.classifier(&name, checkpoint))
                    .with_context(|| format!("network `{path}`"))?
            }
            None => described(&name, checkpoint, Beside::default()).map_err(|error| {
                let message = format!("`{file}` does not describe its network: {}", error.report());
                Error::problem(Kind::UnfitCheckpoint, message).with_hint(Hint::of(
                    "name the architecture with {model}, or give its layers with {network}",
                ))
            })?,
        };
        Ok(Classifier::new(name, network, &bytes, self.baseline))
    }
}

fn checkpoint(bytes: &[u8]) -> Result<Checkpoint> {
    Ok(ganscope_weights::read_bytes(bytes, &ReadOptions::default())?.into())
}

/// A classifier that its checkpoint describes layer by layer.
pub(crate) fn described(name: &str, checkpoint: Checkpoint, _: Beside) -> Result<Network> {
    let description = Description::from_config(checkpoint.config())?;
    Ok(description.classifier(name, checkpoint)?)
}

/// A classifier of ImageNet.
pub(crate) fn architecture(name: &str, checkpoint: Checkpoint, _: Beside) -> Result<Network> {
    Ok(name.parse::<Architecture>()?.classifier(checkpoint)?)
}

/// The network of FID with its 1008 outputs, which have no published names.
pub(crate) fn inception(name: &str, checkpoint: Checkpoint, _: Beside) -> Result<Network> {
    let network = Arc::new(ganscope_inception::network(checkpoint)?);
    Ok(Network {
        id: name.to_owned(),
        network,
        input_size: ganscope_inception::INPUT_SIZE,
        normalization: Normalization::Tf,
        labels: Vec::new(),
    })
}

/// DINOv2 with a linear layer of classes.
pub(crate) fn dinov2(_name: &str, checkpoint: Checkpoint, beside: Beside) -> Result<Network> {
    if beside.head.is_none() && !ganscope_vit::has_head(&checkpoint) {
        let message = "these weights have no layer of classes";
        return Err(Error::problem(Kind::UnfitCheckpoint, message)
            .with_hint(Hint::of("give a file with `head.weight` and `head.bias` with {head}")));
    }
    let is_default = beside.config == Config::default();
    Vit::dinov2_classifier(checkpoint, beside.head, &beside.config).map_err(|error| {
        if is_default && matches!(error, ganscope_model::Error::Config(_)) {
            return Error::problem(Kind::UnfitCheckpoint, error.to_string())
                .with_hint(Hint::of("give the `config.json` of the weights with {model_config}"));
        }
        error.into()
    })
}

impl Classifier {
    fn new(name: String, network: Network, bytes: &[u8], pixel: Option<f32>) -> Self {
        let scaling = &network.normalization;
        let baseline = (0..network.network.in_channels())
            .map(|c| pixel.map_or(0.0, |pixel| scaling.apply(c, pixel)))
            .collect();
        Self {
            explainer: Explainer::new(network),
            name,
            weights_sha256: sha256(bytes),
            baseline,
            explicit_baseline: pixel.is_some(),
            knows: None,
        }
    }

    /// The network with its input size, scaling and labels.
    pub fn classifier(&self) -> &Network {
        self.explainer.classifier()
    }

    /// How many classes there are.
    ///
    /// # Errors
    /// If the network does not fit its input size.
    pub fn classes(&self) -> Result<usize> {
        let Network { network, input_size, .. } = self.classifier();
        Ok(network.shapes(*input_size, *input_size)?[network.output().index()].c)
    }

    /// Name of a class, where classes have names.
    pub fn label(&self, class: usize) -> Option<&str> {
        self.classifier().labels.get(class).map(String::as_str)
    }

    /// A class for people: `t-shirt (0)`, or its number.
    pub fn title(&self, class: usize) -> String {
        self.label(class).map_or(format!("class {class}"), |label| format!("{label} ({class})"))
    }

    /// The class that `text` names: a number, or a name where names are known.
    ///
    /// # Errors
    /// If there is no such class; the hint lists candidates.
    pub fn class(&self, text: &str) -> Result<usize> {
        names::class(text, self.classes()?, &self.classifier().labels, &self.name)
    }

    /// The layers in their order, with the shapes of their outputs.
    ///
    /// # Errors
    /// If the network does not fit its input size.
    pub fn layers(&self) -> Result<Vec<Layer>> {
        let Network { network, input_size, .. } = self.classifier();
        let shapes = network.shapes(*input_size, *input_size)?;
        let layer = |(step, shape): (&Step, &Shape)| Layer {
            name: step.name.clone(),
            channels: shape.c,
            height: shape.h,
            width: shape.w,
        };
        Ok(network.steps().iter().zip(&shapes[1..]).map(layer).collect())
    }

    /// The layer `name`.
    ///
    /// # Errors
    /// If there is none; the advice lists those with a map of several pixels, the last first.
    pub fn layer(&self, name: &str) -> Result<Node> {
        let Network { network, input_size, .. } = self.classifier();
        if let Ok(node) = network.node(name) {
            return Ok(node);
        }
        let shapes = network.shapes(*input_size, *input_size)?;
        let steps = network.steps().iter().zip(&shapes[1..]).rev();
        let maps: Vec<&str> =
            steps.filter(|(_, s)| s.h * s.w > 1).map(|(step, _)| step.name.as_str()).collect();
        let similar: Vec<&str> =
            maps.iter().copied().filter(|layer| layer.contains(name)).collect();
        let listed = if similar.is_empty() || name.is_empty() { maps } else { similar };
        let rest = listed.len().saturating_sub(SHOWN);
        let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let listed: Vec<_> = listed.into_iter().take(SHOWN).collect();
        Err(Error::not_found(format!("{} has no layer `{name}`", self.name))
            .with_hint(format!("layers with maps, the last first: {}{rest}", listed.join(", "))))
    }
}

#[cfg(test)]
#[cfg(feature = "models")]
mod tests {
    use super::*;
    use crate::catalog;

    fn fashion(baseline: Option<f32>) -> Classifier {
        let request = ClassifierRequest { baseline, ..Default::default() };
        catalog::classifier("fashion-cnn").unwrap().open(&request, &mut ()).unwrap()
    }

    #[test]
    fn a_class_has_a_number_or_a_name() {
        let open = fashion(None);
        assert_eq!((open.name.as_str(), open.classes().unwrap()), ("fashion-cnn", 10));
        assert_eq!(open.class("9").unwrap(), 9);
        assert_eq!(open.class("Trouser").unwrap(), 1);
        assert_eq!(open.title(1), "trouser (1)");
    }

    #[test]
    fn the_baseline_is_black_for_fashion_unless_the_request_has_another() {
        assert_eq!(fashion(None).baseline, [-1.0; 3]);
        assert_eq!(fashion(Some(255.0)).baseline, [1.0; 3]);
    }

    #[test]
    fn an_unknown_layer_lists_layers_with_maps() {
        let open = fashion(None);
        let layer = open.classifier().network.steps()[0].name.clone();
        assert_eq!(open.layer(&layer).unwrap(), Node::of_step(0));
        let error = open.layer("layer9").unwrap_err();
        assert!(format!("{:?}", error.hint()).contains(&layer), "{:?}", error.hint());
    }
}
