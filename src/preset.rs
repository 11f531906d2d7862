//! Presets: the conditions under which a published tool takes its numbers.

use ganscope_images::Resize;
use ganscope_model::Normalization;

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
}

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
    },
    Preset {
        name: "clean-fid",
        about: "as clean-fid: antialiased bicubic resize; for sets of different resolutions",
        resize: Resize::PillowBicubic,
        scaling: Some(Normalization::Tf),
        metrics: &["fid", "kid"],
        weights: PresetWeights::Usual,
        layer: None,
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
    Preset { name, about, resize, scaling: None, metrics: &["fid"], weights, layer }
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
