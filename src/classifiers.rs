//! Opening a classifier by name or from a description, and its classes and layers by name.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use ganscope_classifiers::Architecture;
use ganscope_explain::Explainer;
use ganscope_model::network::Description;
use ganscope_model::{Checkpoint, Classifier, Node, Normalization, imagenet};
use ganscope_weights::{ReadOptions, hub, read_bytes};

use crate::extractors::sha256;
use crate::hint::advised;
use crate::registry;

/// Layers that an error lists.
const SHOWN: usize = 12;

/// Which classifier.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClassifierOptions<'a> {
    /// Name in the registry. Without one, weights describe themselves, and no weights mean the
    /// first classifier of the registry.
    pub model: Option<&'a str>,
    /// File with the weights, instead of the known ones.
    pub weights: Option<&'a Path>,
    /// File with the list of layers of a network of one's own.
    pub description: Option<&'a Path>,
    /// Pixel value that stands for nothing, instead of the classifier's own.
    pub baseline: Option<f32>,
}

/// A classifier, ready to be explained.
#[derive(Debug)]
pub struct OpenClassifier {
    /// The network with packed weights.
    pub explainer: Explainer,
    /// Its name in reports.
    pub name: String,
    /// Digest of the file of its weights.
    pub weights_sha256: String,
    /// Network input of each channel that stands for nothing.
    pub baseline: Vec<f32>,
    /// Whether that was chosen for the classifier or by the user, and is not the mean of its input.
    pub explicit_baseline: bool,
}

/// How one kind of classifier is built from its name and its weights.
pub(crate) type Open = fn(&str, Checkpoint) -> Result<Classifier>;

/// Opens the classifier that `options` name; `watch` sees the bytes of a download.
///
/// # Errors
/// When there is no such classifier, its weights are not there and cannot be fetched, or do not fit.
pub fn open(
    options: &ClassifierOptions<'_>,
    watch: &mut hub::Progress<'_>,
) -> Result<OpenClassifier> {
    let own = options.model.is_none() && options.weights.is_some();
    let entry = match options.model {
        _ if own || options.description.is_some() => None,
        Some(name) => Some(registry::classifier(name)?),
        None => Some(&registry::CLASSIFIERS[0]),
    };
    let bytes = match (options.weights, entry) {
        (Some(path), _) => {
            std::fs::read(path).with_context(|| format!("read weights `{}`", path.display()))?
        }
        (None, Some(entry)) => match entry.weights {
            Some(weights) => weights.bytes(watch)?,
            None => {
                return Err(advised(
                    format!("the weights of {} are not known by an address", entry.name),
                    "give a checkpoint with `--weights FILE`",
                ));
            }
        },
        (None, None) => {
            return Err(advised(
                "a described network needs weights",
                "give a checkpoint with `--weights FILE`",
            ));
        }
    };
    let weights = read_bytes(&bytes, &ReadOptions::default());
    let file = |path: &Path| path.display().to_string();
    let checkpoint: Checkpoint = match options.weights {
        Some(path) => weights.with_context(|| format!("read weights `{}`", file(path)))?.into(),
        None => weights?.into(),
    };
    let stem = options.weights.and_then(Path::file_stem).map(|s| s.to_string_lossy().into_owned());
    let name = entry.map_or_else(|| stem.unwrap_or_default(), |entry| entry.name.to_owned());
    let classifier = match (options.description, entry) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("read description `{}`", file(path)))?;
            Description::from_json(&text)
                .and_then(|description| description.classifier(&name, checkpoint))
                .with_context(|| format!("network `{}`", file(path)))?
        }
        (None, Some(entry)) => {
            (entry.open)(&name, checkpoint).with_context(|| match options.weights {
                Some(path) => format!("`{}` is no checkpoint of {name}", file(path)),
                None => format!("open {name}"),
            })?
        }
        (None, None) => described(&name, checkpoint).map_err(|error| {
            let path = options.weights.map(file).unwrap_or_default();
            advised(
                format!("`{path}` does not describe its network: {error:#}"),
                "name the architecture with `--model`, or its layers with `--network FILE.json`",
            )
        })?,
    };
    let pixel = options.baseline.or(entry.and_then(|entry| entry.baseline));
    let scaling = &classifier.normalization;
    let baseline = (0..classifier.network.in_channels())
        .map(|c| pixel.map_or(0.0, |pixel| scaling.apply(c, pixel)))
        .collect();
    Ok(OpenClassifier {
        explainer: Explainer::new(classifier),
        name,
        weights_sha256: sha256(&bytes),
        baseline,
        explicit_baseline: pixel.is_some(),
    })
}

/// A classifier that its checkpoint describes layer by layer.
pub(crate) fn described(name: &str, checkpoint: Checkpoint) -> Result<Classifier> {
    let description = Description::from_config(checkpoint.config())?;
    Ok(description.classifier(name, checkpoint)?)
}

/// A classifier of ImageNet.
pub(crate) fn architecture(name: &str, checkpoint: Checkpoint) -> Result<Classifier> {
    Ok(name.parse::<Architecture>()?.classifier(checkpoint)?)
}

/// The network of FID with its 1008 outputs, which have no published names.
pub(crate) fn inception(name: &str, checkpoint: Checkpoint) -> Result<Classifier> {
    let network = Arc::new(ganscope_inception::network(checkpoint)?);
    let normalization = Normalization { mean: vec![128.0 / 255.0; 3], std: vec![128.0 / 255.0; 3] };
    Ok(Classifier {
        id: name.to_owned(),
        network,
        input_size: ganscope_inception::INPUT_SIZE,
        normalization,
        labels: Vec::new(),
    })
}

impl OpenClassifier {
    /// The network with what one needs to feed it.
    pub fn classifier(&self) -> &Classifier {
        self.explainer.classifier()
    }

    /// How many classes there are.
    ///
    /// # Errors
    /// When the network does not fit its input size.
    pub fn classes(&self) -> Result<usize> {
        let Classifier { network, input_size, .. } = self.classifier();
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
    /// When there is no such class; the advice lists candidates.
    pub fn class(&self, text: &str) -> Result<usize> {
        let (text, count) = (text.trim(), self.classes()?);
        let last = count - 1;
        let labels = &self.classifier().labels;
        if let Ok(class) = text.parse::<usize>() {
            if class < count {
                return Ok(class);
            }
            let message = format!("class {class} is beyond the {count} of {}", self.name);
            return Err(advised(message, format!("there are 0 to {last}")));
        }
        if let Some(class) = labels.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Ok(class);
        }
        if labels.len() == imagenet::CLASSES as usize {
            return Ok(imagenet::parse(text)? as usize);
        }
        let hint = if labels.is_empty() {
            format!("its classes have no names; give a number from 0 to {last}")
        } else {
            format!("its classes are: {}", labels.join(", "))
        };
        Err(advised(format!("{} has no class `{text}`", self.name), hint))
    }

    /// The layer `name`.
    ///
    /// # Errors
    /// When there is none; the advice lists those with a map of several pixels, the last first.
    pub fn layer(&self, name: &str) -> Result<Node> {
        let Classifier { network, input_size, .. } = self.classifier();
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
        Err(advised(
            format!("{} has no layer `{name}`", self.name),
            format!("layers with maps, the last first: {}{rest}", listed.join(", ")),
        ))
    }
}

#[cfg(all(test, feature = "models"))]
mod tests {
    use super::*;
    use crate::hint::Hint as _;

    fn fashion() -> OpenClassifier {
        open(&ClassifierOptions::default(), &mut |_, _| {}).unwrap()
    }

    #[test]
    fn a_class_has_a_number_or_a_name() {
        let open = fashion();
        assert_eq!((open.name.as_str(), open.classes().unwrap()), ("fashion-cnn", 10));
        assert_eq!(open.class("9").unwrap(), 9);
        assert_eq!(open.class("Trouser").unwrap(), 1);
        assert_eq!(open.title(1), "trouser (1)");
        let error = open.class("10").unwrap_err();
        assert!(error.hint().unwrap().contains("0 to 9"), "{error}");
        let error = open.class("cat").unwrap_err();
        assert!(error.hint().unwrap().contains("t-shirt"), "{error}");
    }

    #[test]
    fn nothing_is_black_for_fashion_and_what_one_says_otherwise() {
        assert_eq!(fashion().baseline, [-1.0; 3]);
        let options = ClassifierOptions { baseline: Some(255.0), ..Default::default() };
        assert_eq!(open(&options, &mut |_, _| {}).unwrap().baseline, [1.0; 3]);
    }

    #[test]
    fn an_unknown_layer_lists_layers_with_maps() {
        let open = fashion();
        let layer = open.classifier().network.steps()[0].name.clone();
        assert_eq!(open.layer(&layer).unwrap(), Node::of_step(0));
        let error = open.layer("layer9").unwrap_err();
        assert!(error.hint().unwrap().contains(&layer), "{:?}", error.hint());
    }
}
