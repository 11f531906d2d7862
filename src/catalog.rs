//! The catalog: everything that can be asked for by name, each kind of thing in one table.

use candle_core::Device;
use ganscope_explain::Method;
use ganscope_fid::{Fid, FidInfinity, Mifid, Sfid};
use ganscope_inception_score::InceptionScore;
use ganscope_kid::{Cmmd, Kid};
use ganscope_memorization::{AuthPct, CopyingTest};
use ganscope_mind::Mind;
use ganscope_prdc::{Clipped, Prdc, PrecisionRecall, Probabilistic, Rarity};
use ganscope_stats::Metric;
use ganscope_vendi::Vendi;

use crate::error::{Error, Hint, Result};
use crate::metrics::{MetricEntry, MetricOptions};
use crate::models::classifier::{self, Classifier, ClassifierEntry, ClassifierRequest};
use crate::models::distance::{DistanceEntry, DistanceKind};
use crate::models::extractor::{self, ExtractorEntry};
use crate::models::generator::{self, Generator, GeneratorEntry, GeneratorOptions};
use crate::models::weights::WeightSource;
use crate::names::find;
use crate::preset;
pub use crate::preset::{PRESETS, Preset, PresetWeights};
use crate::watch::Watch;

/// The feature extractors, the default first.
pub const EXTRACTORS: &[ExtractorEntry] = &[
    ExtractorEntry {
        name: "inception",
        about: "Inception-v3 of 2015-12-05, the network of every published FID",
        weights: WeightSource::Known("inception-fid"),
        presets: PRESETS,
        configurable: false,
        build: extractor::inception,
    },
    ExtractorEntry {
        name: "fashion-cnn",
        about: "small classifier of Fashion-MNIST, shipped; its distances are not FID",
        weights: WeightSource::Shipped("fashion-cnn"),
        presets: PRESETS,
        configurable: false,
        build: extractor::described,
    },
    ExtractorEntry {
        name: "dinov2",
        about: "DINOv2 of any size, with or without registers; ViT-L/14 unless weights are given",
        weights: WeightSource::Known("dinov2-vit-l-14"),
        presets: preset::DINOV2,
        configurable: true,
        build: extractor::dinov2,
    },
    ExtractorEntry {
        name: "clip",
        about: "image tower of CLIP of any size; the one of the preset unless weights are given",
        weights: WeightSource::Known("clip-vit-b-32"),
        presets: preset::CLIP,
        configurable: true,
        build: extractor::clip,
    },
];

/// The extractor `name`.
///
/// # Errors
/// If there is none.
pub fn extractor(name: &str) -> Result<&'static ExtractorEntry> {
    find(EXTRACTORS, |e| e.name, "extractor", name)
}

/// A classifier of ImageNet, with the weights of the table of known files if they are there.
const fn imagenet(
    name: &'static str,
    about: &'static str,
    known: Option<&'static str>,
) -> ClassifierEntry {
    let weights = match known {
        Some(id) => Some(WeightSource::Known(id)),
        None => None,
    };
    let (baseline, knows, extensible) = (None, None, false);
    let build = classifier::architecture;
    ClassifierEntry { name, about, weights, baseline, knows, extensible, build }
}

/// The classifiers, the default first.
pub const CLASSIFIERS: &[ClassifierEntry] = &[
    ClassifierEntry {
        name: "fashion-cnn",
        about: "small classifier of Fashion-MNIST, shipped",
        weights: Some(WeightSource::Shipped("fashion-cnn")),
        baseline: Some(0.0),
        knows: Some("garments, gray on black,"),
        extensible: false,
        build: classifier::described,
    },
    ClassifierEntry {
        name: "inception",
        about: "Inception-v3 of FID with its 1008 outputs",
        weights: Some(WeightSource::Known("inception-fid")),
        baseline: None,
        knows: None,
        extensible: false,
        build: classifier::inception,
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
    ClassifierEntry {
        name: "dinov2",
        about: "DINOv2 of any size with a linear layer of classes, of the same file or another",
        weights: None,
        baseline: None,
        knows: None,
        extensible: true,
        build: classifier::dinov2,
    },
];

/// The classifier `name`.
///
/// # Errors
/// If there is none.
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
        about: "the share of each pixel, from the baseline to the image",
    },
    MethodEntry { method: Method::Deconvnet, about: "what the units that answered look for" },
    MethodEntry {
        method: Method::GuidedBackprop,
        about: "the same within what the image contains",
    },
    MethodEntry {
        method: Method::Occlusion,
        about: "what the answer loses where a window covers the image",
    },
    MethodEntry {
        method: Method::Cam,
        about: "where the class arises in the last map, exactly; needs a mean and a linear layer at the end",
    },
    MethodEntry {
        method: Method::GradCam,
        about: "where the class arises in any layer, to first order",
    },
    MethodEntry {
        method: Method::GuidedGradCam,
        about: "guided backpropagation where Grad-CAM is large",
    },
    MethodEntry {
        method: Method::LayerCam,
        about: "the same, each place by its own gradient: also for lower layers",
    },
    MethodEntry {
        method: Method::ScoreCam,
        about: "maps of a layer, each by the answer to what it lets through; no gradient",
    },
    MethodEntry {
        method: Method::Lrp,
        about: "the answer shared out layer by layer, by a rule; not for transformers",
    },
    MethodEntry {
        method: Method::AttnLrp,
        about: "the answer shared out through attention; needs a transformer",
    },
    MethodEntry {
        method: Method::CpLrp,
        about: "the same with attention weights held constant; needs a transformer",
    },
    MethodEntry {
        method: Method::AttentionRollout,
        about: "attention of the class token through all blocks, whatever the class; needs a transformer",
    },
    MethodEntry {
        method: Method::Lime,
        about: "weights of superpixels in a linear model of the answer",
    },
    MethodEntry {
        method: Method::Rise,
        about: "how much higher the answer is where random masks keep a pixel, and how sure that is",
    },
    MethodEntry {
        method: Method::KernelShap,
        about: "Shapley values of superpixels, by a linear model",
    },
    MethodEntry {
        method: Method::ShapleySampling,
        about: "Shapley values of superpixels, by random orders, with their errors",
    },
    MethodEntry {
        method: Method::GradientShap,
        about: "the share of each pixel, from several grays to the image",
    },
];

/// The methods that `names` lists, separated by commas; `all` is all of them.
///
/// # Errors
/// If there is no such method.
pub fn methods(names: &str) -> Result<Vec<Method>> {
    if names == "all" {
        return Ok(METHODS.iter().map(|m| m.method).collect());
    }
    let method = |name: &str| Ok(find(METHODS, |m| m.method.name(), "method", name.trim())?.method);
    names.split(',').map(method).collect()
}

/// The families of generators.
pub const GENERATORS: &[GeneratorEntry] = &[
    GeneratorEntry {
        name: "biggan-deep",
        about: "BigGAN-deep: one class-conditional network for all of ImageNet",
        recognizes: ganscope_biggan::is_biggan,
        build: generator::biggan,
    },
    GeneratorEntry {
        name: "biggan",
        about: "BigGAN and BigGAN-deep of BigGAN-PyTorch, and ports of the TF Hub generators to it",
        recognizes: ganscope_biggan::is_pytorch,
        build: generator::biggan_foreign,
    },
    GeneratorEntry {
        name: "biggan-studio",
        about: "BigGAN and BigGAN-deep of StudioGAN",
        recognizes: ganscope_biggan::is_studio,
        build: generator::biggan_foreign,
    },
    GeneratorEntry {
        name: "r3gan",
        about: "R3GAN: residual blocks without styles, normalization or noise",
        recognizes: ganscope_r3gan::is_r3gan,
        build: generator::r3gan,
    },
    GeneratorEntry {
        name: "stylegan",
        about: "StyleGAN 1, 2, 3 and XL: a mapping network and a synthesis by styles",
        recognizes: |weights| ganscope_stylegan::Family::of(weights).is_some(),
        build: generator::stylegan,
    },
];

/// Opens a generator with the family that recognizes its tensors: a shipped model, a known id,
/// `hub:OWNER/REPO/FILE`, or a file.
///
/// # Errors
/// If there is no such model, it cannot be downloaded, or no family recognizes it.
pub fn open_generator(
    model: &str,
    options: &GeneratorOptions,
    device: &Device,
    watch: &mut dyn Watch,
) -> Result<Generator> {
    generator::open(GENERATORS, model, options, device, watch)
}

/// Opens the classifier that a request asks for: one of the catalog by its name, else one that its
/// description or its weights describe.
///
/// # Errors
/// If the request names none, or it cannot be opened.
pub fn open_classifier(request: &ClassifierRequest, watch: &mut dyn Watch) -> Result<Classifier> {
    request.check()?;
    match request {
        ClassifierRequest { model: Some(name), .. } => classifier(name)?.open(request, watch),
        ClassifierRequest { weights: None, network: None, .. } => {
            let (shipped, others) = CLASSIFIERS.split_at(1);
            let others: Vec<&str> = others.iter().map(|entry| entry.name).collect();
            let list = format!(
                ": {}, which is shipped and knows garments only; of photographs {}",
                shipped[0].name,
                others.join(", ")
            );
            let hint = Hint::of("name one with {model}").then(list);
            Err(Error::request("no classifier is named").with_hint(hint))
        }
        _ => request.open_described(watch),
    }
}

/// The distances of images.
pub const DISTANCES: &[DistanceEntry] = &[
    DistanceEntry {
        name: "lpips",
        about: "LPIPS on VGG-16, the distance of published path lengths",
        kind: DistanceKind::Lpips("lpips-vgg"),
    },
    DistanceEntry {
        name: EXTRACTORS[0].name,
        about: "squared Euclidean distance of the features of FID Inception",
        kind: DistanceKind::Features(&EXTRACTORS[0]),
    },
    DistanceEntry {
        name: EXTRACTORS[1].name,
        about: "squared Euclidean distance of the features of fashion-cnn",
        kind: DistanceKind::Features(&EXTRACTORS[1]),
    },
];

/// The distance `name`.
///
/// # Errors
/// If there is none.
pub fn distance(name: &str) -> Result<&'static DistanceEntry> {
    find(DISTANCES, |d| d.name, "distance", name)
}

/// The names of the presets of all extractors, each once.
pub fn preset_names() -> Vec<&'static str> {
    let mut names = Vec::new();
    for preset in EXTRACTORS.iter().flat_map(|extractor| extractor.presets) {
        if !names.contains(&preset.name) {
            names.push(preset.name);
        }
    }
    names
}

/// The metrics, in the order of reports.
pub const METRICS: &[MetricEntry] = &[
    MetricEntry {
        name: "is",
        about: "Inception Score: how sure and how diverse the classifier's answers are",
        nearest_k: None,
        build: |o| Box::new(InceptionScore { splits: o.is_splits, shuffle: Some(o.seed) }),
    },
    MetricEntry {
        name: "fid",
        about: "Fréchet Inception Distance: how far apart the Gaussians of the features are",
        nearest_k: None,
        build: |_| Box::new(Fid),
    },
    MetricEntry {
        name: "sfid",
        about: "the same on spatial features, which see the arrangement of a picture",
        nearest_k: None,
        build: |_| Box::new(Sfid),
    },
    MetricEntry {
        name: "fd-infinity",
        about: "the Fréchet distance that infinitely many generated images would have",
        nearest_k: None,
        build: |o| Box::new(FidInfinity { seed: o.seed, ..FidInfinity::PAPER }),
    },
    MetricEntry {
        name: "kid",
        about: "Kernel Inception Distance: unbiased for any number of images",
        nearest_k: None,
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
        name: "cmmd",
        about: "maximum mean discrepancy of features of length one under a wide Gaussian kernel",
        nearest_k: None,
        build: |_| Box::new(Cmmd),
    },
    MetricEntry {
        name: "prdc",
        about: "precision, recall, density and coverage: fidelity and diversity apart",
        nearest_k: Some(Prdc::PAPER.nearest_k),
        build: |o| Box::new(Prdc { nearest_k: o.nearest_k.unwrap_or(Prdc::PAPER.nearest_k) }),
    },
    MetricEntry {
        name: "prc",
        about: "precision, recall and their F-score as Kynkäänniemi et al. and torch-fidelity define them",
        nearest_k: Some(PrecisionRecall::PAPER.nearest_k),
        build: |o| {
            let nearest_k = o.nearest_k.unwrap_or(PrecisionRecall::PAPER.nearest_k);
            Box::new(PrecisionRecall { nearest_k })
        },
    },
    MetricEntry {
        name: "clipped",
        about: "Clipped Density and Coverage: they fall in proportion to the share of bad images",
        nearest_k: Some(Clipped::PAPER.nearest_k),
        build: |o| Box::new(Clipped { nearest_k: o.nearest_k.unwrap_or(Clipped::PAPER.nearest_k) }),
    },
    MetricEntry {
        name: "p-prc",
        about: "probabilistic precision and recall: soft balls of one radius",
        nearest_k: Some(Probabilistic::PAPER.nearest_k),
        build: |o| {
            let nearest_k = o.nearest_k.unwrap_or(Probabilistic::PAPER.nearest_k);
            Box::new(Probabilistic { nearest_k, ..Probabilistic::PAPER })
        },
    },
    MetricEntry {
        name: "rarity",
        about: "how thin real images are where the generated ones lie",
        nearest_k: Some(Rarity::PAPER.nearest_k),
        build: |o| Box::new(Rarity { nearest_k: o.nearest_k.unwrap_or(Rarity::PAPER.nearest_k) }),
    },
    MetricEntry {
        name: "vendi",
        about: "Vendi score: the effective number of different images; no reference",
        nearest_k: None,
        build: |_| Box::new(Vendi),
    },
    MetricEntry {
        name: "mind",
        about: "sliced Wasserstein distance of the features along random directions",
        nearest_k: None,
        build: |o| Box::new(Mind { seed: o.seed, ..Mind::TORCH_FIDELITY }),
    },
    MetricEntry {
        name: "authpct",
        about: "share of images that are farther from the nearest training image than it is from others",
        nearest_k: None,
        build: |_| Box::new(AuthPct),
    },
    MetricEntry {
        name: "ct",
        about: "C_T: whether images are nearer to training images than held-out images are",
        nearest_k: None,
        build: |_| Box::new(CopyingTest::default()),
    },
    MetricEntry {
        name: "mifid",
        about: "FID divided by a measure of memorized training images",
        nearest_k: None,
        build: |_| Box::new(Mifid),
    },
];

/// The metric `name` with the options of a run.
///
/// # Errors
/// If there is none.
pub fn metric(name: &str, options: &MetricOptions) -> Result<Box<dyn Metric>> {
    let entry = find(METRICS, |m| m.name, "metric", name)?;
    Ok((entry.build)(options))
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
            if let Some(WeightSource::Known(id)) = entry.weights {
                assert!(ganscope_hub::known(id).is_some(), "{id}");
            }
        }
    }

    #[test]
    fn methods_are_listed_by_name() {
        assert_eq!(methods("lrp, cam").unwrap(), [Method::Lrp, Method::Cam]);
        assert_eq!(methods("all").unwrap().len(), METHODS.len());
        for wrong in ["", "lrp,", "shap"] {
            assert!(methods(wrong).is_err(), "{wrong}");
        }
    }
}
