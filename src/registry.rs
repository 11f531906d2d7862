//! Everything that can be asked for by name: each kind of thing is listed once, here.

use anyhow::Result;
use ganscope_explain::Method;
use ganscope_fid::{Fid, Sfid};
use ganscope_inception_score::InceptionScore;
use ganscope_kid::Kid;
use ganscope_prdc::{Prdc, PrecisionRecall};
use ganscope_stats::Metric;
use ganscope_stats::files::Convention;
use ganscope_weights::Weights;
use ganscope_weights::hub::{self, Hub};

use crate::classifiers;
use crate::extractors::{self, Open};
use crate::generators;
use crate::hint::advised;
pub use crate::preset::PRESETS;
use crate::shipped::shipped;

/// Where an extractor's weights come from when no file is given.
#[derive(Debug, Clone, Copy)]
pub enum DefaultWeights {
    /// An entry of the table of known weights, downloaded once.
    Known(&'static str),
    /// A part of the program.
    Shipped(&'static str),
}

impl DefaultWeights {
    /// The file, fetched if it is not there yet; `watch` sees bytes done and bytes in all.
    ///
    /// # Errors
    /// When it cannot be fetched or is damaged.
    pub fn bytes(self, watch: &mut hub::Progress<'_>) -> Result<Vec<u8>> {
        match self {
            Self::Known(id) => Ok(std::fs::read(Hub::from_env()?.fetch(id, watch)?)?),
            Self::Shipped(name) => match shipped(name) {
                Some(file) => Ok(file.bytes.to_vec()),
                None => Err(advised(
                    format!("`{name}` is not part of this build"),
                    "build with the feature `models`, or give `--weights FILE`",
                )),
            },
        }
    }
}

/// A feature extractor.
#[derive(Debug)]
pub struct ExtractorEntry {
    /// Name on the command line and in reports.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Where its weights come from.
    pub weights: DefaultWeights,
    /// Builds it.
    pub(crate) open: Open,
}

/// The feature extractors, the default first.
pub const EXTRACTORS: &[ExtractorEntry] = &[
    ExtractorEntry {
        name: "inception",
        about: "Inception-v3 of 2015-12-05, the network of every published FID",
        weights: DefaultWeights::Known("inception-fid"),
        open: extractors::inception,
    },
    ExtractorEntry {
        name: "fashion-cnn",
        about: "small classifier of Fashion-MNIST, shipped; its distances are no FID",
        weights: DefaultWeights::Shipped("fashion-cnn"),
        open: extractors::described,
    },
];

/// The extractor `name`.
///
/// # Errors
/// When there is none.
pub fn extractor(name: &str) -> Result<&'static ExtractorEntry> {
    find(EXTRACTORS, |e| e.name, "extractor", name)
}

/// A classifier that can be explained.
#[derive(Debug)]
pub struct ClassifierEntry {
    /// Name on the command line and in reports.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Where its weights come from; none where no address is known.
    pub weights: Option<DefaultWeights>,
    /// Pixel value that stands for nothing; the mean of its input scaling if missing.
    pub baseline: Option<f32>,
    /// Builds it.
    pub(crate) open: classifiers::Open,
}

/// A classifier of ImageNet, with the weights of the table of known files if they are there.
const fn imagenet(
    name: &'static str,
    about: &'static str,
    known: Option<&'static str>,
) -> ClassifierEntry {
    let weights = match known {
        Some(id) => Some(DefaultWeights::Known(id)),
        None => None,
    };
    ClassifierEntry { name, about, weights, baseline: None, open: classifiers::architecture }
}

/// The classifiers, the default first.
pub const CLASSIFIERS: &[ClassifierEntry] = &[
    ClassifierEntry {
        name: "fashion-cnn",
        about: "small classifier of Fashion-MNIST, shipped",
        weights: Some(DefaultWeights::Shipped("fashion-cnn")),
        baseline: Some(0.0),
        open: classifiers::described,
    },
    ClassifierEntry {
        name: "inception",
        about: "Inception-v3 of FID with its 1008 outputs",
        weights: Some(DefaultWeights::Known("inception-fid")),
        baseline: None,
        open: classifiers::inception,
    },
    imagenet("alexnet", "AlexNet, torchvision's names", Some("alexnet")),
    imagenet("vgg11", "VGG-11, torchvision's names", Some("vgg11")),
    imagenet("vgg13", "VGG-13, torchvision's names", None),
    imagenet("vgg16", "VGG-16, torchvision's names", Some("vgg16")),
    imagenet("vgg19", "VGG-19, torchvision's names", None),
    imagenet("resnet18", "ResNet-18, torchvision's names", Some("resnet18")),
    imagenet("resnet34", "ResNet-34, torchvision's names", None),
    imagenet("resnet50", "ResNet-50, torchvision's names", Some("resnet50")),
    imagenet("resnet101", "ResNet-101, torchvision's names", None),
    imagenet("resnet152", "ResNet-152, torchvision's names", None),
    imagenet("efficientnet-lite0", "EfficientNet-Lite0, names of its PyTorch port", None),
];

/// The classifier `name`.
///
/// # Errors
/// When there is none.
pub fn classifier(name: &str) -> Result<&'static ClassifierEntry> {
    find(CLASSIFIERS, |c| c.name, "classifier", name)
}

/// A method of explanation.
#[derive(Debug)]
pub struct MethodEntry {
    /// The method, which knows its name.
    pub method: Method,
    /// What its map tells.
    pub about: &'static str,
}

/// The methods of explanation.
pub const METHODS: &[MethodEntry] = &[
    MethodEntry { method: Method::Gradient, about: "which pixels would change the answer" },
    MethodEntry { method: Method::SmoothGrad, about: "the same, mean over noisy copies" },
    MethodEntry {
        method: Method::InputXGradient,
        about: "the share of each pixel if the network were linear",
    },
    MethodEntry {
        method: Method::IntegratedGradients,
        about: "the share of each pixel, from nothing to the image",
    },
    MethodEntry {
        method: Method::Deconvnet,
        about: "what the units that answered look for, whatever the class",
    },
    MethodEntry {
        method: Method::GuidedBackprop,
        about: "the same within what the image holds, hardly by class",
    },
    MethodEntry {
        method: Method::Occlusion,
        about: "what the answer loses where a window covers the image",
    },
    MethodEntry {
        method: Method::Cam,
        about: "where the class arises in the last map, exactly; needs a mean and a linear layer                 at the end",
    },
    MethodEntry {
        method: Method::GradCam,
        about: "where the class arises in any layer, to first order",
    },
    MethodEntry {
        method: Method::GuidedGradCam,
        about: "guided backpropagation where Grad-CAM is large",
    },
    MethodEntry { method: Method::Lrp, about: "the answer shared out layer by layer, by `--rule`" },
    MethodEntry {
        method: Method::Lime,
        about: "weights of superpixels in a linear model of the answer",
    },
];

/// The methods that `names` lists, separated by commas; `all` is all of them.
///
/// # Errors
/// When there is no such method.
pub fn methods(names: &str) -> Result<Vec<Method>> {
    if names == "all" {
        return Ok(METHODS.iter().map(|m| m.method).collect());
    }
    let method = |name: &str| Ok(find(METHODS, |m| m.method.name(), "method", name.trim())?.method);
    names.split(',').map(method).collect()
}

/// The entry of `table` whose name is `name`; the error lists those there are.
fn find<T>(
    table: &'static [T],
    key: impl Fn(&T) -> &'static str,
    kind: &str,
    name: &str,
) -> Result<&'static T> {
    table.iter().find(|entry| key(entry) == name).ok_or_else(|| {
        let names: Vec<_> = table.iter().map(key).collect();
        advised(format!("no {kind} `{name}`"), format!("there are: {}", names.join(", ")))
    })
}

/// A family of generators.
#[derive(Debug)]
pub struct GeneratorEntry {
    /// Name in reports.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Whether the tensors are those of this family.
    pub(crate) recognises: fn(&Weights) -> bool,
    /// Builds it.
    pub(crate) open: generators::Open,
}

/// The families of generators. The last one is tried where none recognises a file: its error tells
/// what the file seems to be.
pub const GENERATORS: &[GeneratorEntry] = &[
    GeneratorEntry {
        name: "biggan-deep",
        about: "BigGAN-deep: one class-conditional network for all of ImageNet",
        recognises: ganscope_biggan::is_biggan,
        open: generators::biggan,
    },
    GeneratorEntry {
        name: "stylegan",
        about: "StyleGAN 1, 2 and 3: a mapping network and a synthesis by styles",
        recognises: |_| false,
        open: generators::stylegan,
    },
];

/// Parameters of the metrics of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct MetricOptions {
    /// Seed of the shuffle of the Inception Score and of the subsets of KID.
    pub seed: u32,
    /// Splits of the Inception Score.
    pub is_splits: usize,
    /// Subsets of KID.
    pub kid_subsets: usize,
    /// Images in each subset of KID.
    pub kid_subset_size: usize,
    /// Neighbours of precision, recall, density and coverage, instead of each metric's own.
    pub nearest_k: Option<usize>,
}

/// A metric.
#[derive(Debug)]
pub struct MetricEntry {
    /// Name on the command line and in reports.
    pub name: &'static str,
    /// What it tells.
    pub about: &'static str,
    /// Builds it.
    build: fn(&MetricOptions) -> Box<dyn Metric>,
}

/// The metrics, in the order of reports.
pub const METRICS: &[MetricEntry] = &[
    MetricEntry {
        name: "is",
        about: "Inception Score: how sure and how diverse the classifier's answers are",
        build: |o| Box::new(InceptionScore { splits: o.is_splits, shuffle: Some(o.seed) }),
    },
    MetricEntry {
        name: "fid",
        about: "Frechet Inception Distance: how far apart the Gaussians of the features are",
        build: |_| Box::new(Fid),
    },
    MetricEntry {
        name: "sfid",
        about: "the same on spatial features, which see the arrangement of a picture",
        build: |_| Box::new(Sfid),
    },
    MetricEntry {
        name: "kid",
        about: "Kernel Inception Distance: unbiased for any number of images",
        build: |o| {
            Box::new(Kid {
                subsets: o.kid_subsets,
                subset_size: o.kid_subset_size,
                seed: o.seed,
                ..Kid::TORCH_FIDELITY
            })
        },
    },
    MetricEntry {
        name: "prdc",
        about: "precision, recall, density and coverage: fidelity and diversity apart",
        build: |o| Box::new(Prdc { nearest_k: o.nearest_k.unwrap_or(Prdc::PAPER.nearest_k) }),
    },
    MetricEntry {
        name: "prc",
        about: "precision, recall and their F-score as Kynkaanniemi et al. and torch-fidelity define them",
        build: |o| {
            let nearest_k = o.nearest_k.unwrap_or(PrecisionRecall::PAPER.nearest_k);
            Box::new(PrecisionRecall { nearest_k })
        },
    },
];

/// The metric `name` with the options of a run.
///
/// # Errors
/// When there is none.
pub fn metric(name: &str, options: &MetricOptions) -> Result<Box<dyn Metric>> {
    let entry = find(METRICS, |m| m.name, "metric", name)?;
    Ok((entry.build)(options))
}

/// Name of a score for people. Only on the features of FID's own network is a Frechet distance
/// called FID.
pub fn title(score: &str, convention: &Convention) -> String {
    let published = convention.extractor == EXTRACTORS[0].name;
    let of = |name: &str| match published {
        true if convention.layer == "2048" => name.to_owned(),
        true => format!("{name} (layer {})", convention.layer),
        false => format!("{} ({})", name.replace("ID", "D"), convention.extractor),
    };
    match score {
        "is" if published => "Inception Score".into(),
        "is" => format!("IS ({})", convention.extractor),
        "fid" => of("FID"),
        "sfid" => of("sFID"),
        "kid" => of("KID"),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_and_architecture_is_listed_once() {
        let methods: Vec<Method> = METHODS.iter().map(|m| m.method).collect();
        assert_eq!(methods, Method::ALL);
        for architecture in ganscope_classifiers::Architecture::ALL {
            let named = CLASSIFIERS.iter().filter(|c| c.name == architecture.name());
            assert_eq!(named.count(), 1, "{architecture}");
        }
        for entry in CLASSIFIERS {
            if let Some(DefaultWeights::Known(id)) = entry.weights {
                assert!(hub::known(id).is_some(), "{id}");
            }
        }
    }

    #[test]
    fn methods_are_listed_by_name() {
        assert_eq!(methods("lrp, cam").unwrap(), [Method::Lrp, Method::Cam]);
        assert_eq!(methods("all").unwrap().len(), METHODS.len());
        for wrong in ["", "lrp,", "LRP", "shap"] {
            assert!(methods(wrong).is_err(), "{wrong}");
        }
    }
}
