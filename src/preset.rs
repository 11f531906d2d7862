//! Presets: the conditions under which a published tool takes its numbers.

use ganscope_images::Resize;
use ganscope_model::Normalization;
use serde::Serialize;

/// Everything that a tool fixes about a score or distance on the features of one extractor.
#[derive(Debug, Clone)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// When to use it.
    pub about: &'static str,
    /// How images are brought to the input size of the network.
    pub resize: Resize,
    /// How pixel values become network input, instead of the network's own scaling.
    pub scaling: Option<Normalization>,
    /// Metrics that are computed unless others are asked for.
    pub metrics: &'static [&'static str],
    /// Weights of the network.
    pub weights: PresetWeights,
    /// Layer of the features, instead of the extractor's first.
    pub layer: Option<&'static str>,
    /// The tools that take these features and make scores of them in different ways; none where the
    /// tool of the preset's name is the only one.
    pub tools: &'static [Tool],
}

/// A tool with its way from features to scores.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// Tools with the same Fréchet distance.
    pub also: &'static [&'static str],
    /// The metrics that it has.
    pub metrics: &'static [&'static str],
    /// How it cuts the images of the Inception Score.
    pub splits: Splits,
    /// How it divides the scatter of features.
    pub covariance: Covariance,
}

/// The parts of the images whose Inception Scores are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Splits {
    /// Parts of equal size after a seeded shuffle.
    Shuffled,
    /// Parts of equal size in the order of the images.
    InOrder,
    /// Parts of this many images in their order.
    Of(usize),
}

/// The divisor of the scatter `sum (x - m)(x - m)^T` of `n` rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Covariance {
    /// `n - 1`.
    Unbiased,
    /// `n`.
    Biased,
}

impl Preset {
    /// The tools that take its features.
    pub fn tools(&self) -> Vec<Tool> {
        let own = Tool {
            name: self.name,
            also: &[],
            metrics: self.metrics,
            splits: Splits::Shuffled,
            covariance: Covariance::Unbiased,
        };
        if self.tools.is_empty() { vec![own] } else { self.tools.to_vec() }
    }
}

/// Tools that take the features of Inception as torch-fidelity does.
const FIDELITY: &[Tool] = &[
    Tool {
        name: "torch-fidelity",
        also: &["TTUR", "torchmetrics", "EDM"],
        metrics: &["is", "fid", "kid"],
        splits: Splits::Shuffled,
        covariance: Covariance::Unbiased,
    },
    // `metric_utils.py`, `FeatureStats.get_mean_cov`: raw_cov / num_items - mean mean^T.
    Tool {
        name: "StyleGAN",
        also: &[],
        metrics: &["is", "fid", "kid"],
        splits: Splits::InOrder,
        covariance: Covariance::Biased,
    },
    // `evaluator.py`, `compute_inception_score`: parts of 5000, the last one shorter.
    Tool {
        name: "ADM",
        also: &[],
        metrics: &["is", "fid"],
        splits: Splits::Of(5000),
        covariance: Covariance::Unbiased,
    },
];

/// The weights that a tool takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresetWeights {
    /// Those of the extractor.
    Usual,
    /// This entry of the table of known files.
    Known(&'static str),
    /// None are known: they have to be given.
    Given,
}

/// Presets of Inception, the default first.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "torch-fidelity",
        about: "as torch-fidelity, TTUR, ADM and the StyleGAN tools: TensorFlow's bilinear resize; \
                for numbers to be compared with papers",
        resize: Resize::TfBilinear,
        scaling: Some(Normalization::Tf),
        metrics: &["is", "fid", "kid"],
        weights: PresetWeights::Usual,
        layer: None,
        tools: FIDELITY,
    },
    Preset {
        name: "pytorch-fid",
        about: "as pytorch-fid: half-pixel bilinear resize without antialiasing; for numbers to be \
                compared with that tool's",
        resize: Resize::TorchBilinear,
        scaling: Some(Normalization::Unit),
        metrics: &["fid"],
        weights: PresetWeights::Usual,
        layer: None,
        tools: &[],
    },
    Preset {
        name: "clean-fid",
        about: "as clean-fid: antialiased bicubic resize; for sets of different resolutions",
        resize: Resize::PillowBicubic,
        scaling: Some(Normalization::Tf),
        metrics: &["fid", "kid"],
        weights: PresetWeights::Usual,
        layer: None,
        tools: &[],
    },
];

/// A preset of a transformer, which scales pixels by the mean and deviation that it was trained with.
const fn transformer(
    name: &'static str,
    about: &'static str,
    resize: Resize,
    weights: PresetWeights,
    layer: Option<&'static str>,
) -> Preset {
    let (scaling, metrics, tools): (_, &[&str], &[Tool]) = (None, &["fid"], &[]);
    Preset { name, about, resize, scaling, metrics, weights, layer, tools }
}

/// Presets of DINOv2, the default first.
pub const DINOV2: &[Preset] = &[
    transformer(
        "dgm-eval",
        "as dgm-eval, and EDM2 with `pil`: Pillow's bicubic resize of bytes; for numbers to be \
         compared with papers",
        Resize::PillowBicubicBytes,
        PresetWeights::Usual,
        None,
    ),
    transformer(
        "clean",
        "as dgm-eval with its clean resize, and pyiqa: the same resize without rounding",
        Resize::PillowBicubic,
        PresetWeights::Usual,
        None,
    ),
    transformer(
        "edm2",
        "as EDM2: PyTorch's antialiased bicubic resize, neither rounded nor clipped",
        Resize::TorchBicubic,
        PresetWeights::Usual,
        None,
    ),
    transformer(
        "torch-fidelity",
        "as torch-fidelity: TensorFlow's bilinear resize",
        Resize::TfBilinear,
        PresetWeights::Usual,
        None,
    ),
];

/// Presets of CLIP, the default first.
pub const CLIP: &[Preset] = &[
    transformer(
        "clean-fid",
        "as CLIP-FID of clean-fid: ViT-B/32, and the resize and crop of CLIP itself",
        Resize::ResizeCrop,
        PresetWeights::Known("clip-vit-b-32"),
        None,
    ),
    transformer(
        "cmmd",
        "as CMMD: ViT-L/14 at 336 pixels, crop and bicubic resize, embeddings of unit length",
        Resize::CropResize,
        PresetWeights::Known("clip-vit-l-14-336px"),
        Some("normalized"),
    ),
    transformer(
        "torch-fidelity",
        "as torch-fidelity: TensorFlow's bilinear resize",
        Resize::TfBilinear,
        PresetWeights::Known("clip-vit-b-32"),
        None,
    ),
    transformer(
        "dgm-eval",
        "as dgm-eval: bicubic resize, and what is projected to the embedding; weights are given",
        Resize::PillowBicubicBytes,
        PresetWeights::Given,
        Some("pooled"),
    ),
];
