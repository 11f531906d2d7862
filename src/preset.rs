//! Presets: the conditions under which a published tool takes its numbers.

use ganscope_images::Resize;
use ganscope_model::Normalization;

/// Everything that a tool fixes about an Inception score or distance.
#[derive(Debug, Clone)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// When to use it.
    pub about: &'static str,
    /// How images are brought to the input size of the network.
    pub resize: Resize,
    /// How pixel values become network input.
    pub scaling: Normalization,
    /// Metrics that are computed unless others are asked for.
    pub metrics: &'static [&'static str],
}

/// The presets, the default first.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "torch-fidelity",
        about: "as torch-fidelity, TTUR, ADM and the StyleGAN tools: TensorFlow's bilinear resize; \
                for numbers to be compared with papers",
        resize: Resize::TfBilinear,
        scaling: Normalization::Tf,
        metrics: &["is", "fid", "kid"],
    },
    Preset {
        name: "pytorch-fid",
        about: "as pytorch-fid: half-pixel bilinear resize without antialiasing; for numbers to be \
                compared with that tool's",
        resize: Resize::TorchBilinear,
        scaling: Normalization::Unit,
        metrics: &["fid"],
    },
    Preset {
        name: "clean-fid",
        about: "as clean-fid: antialiased bicubic resize; for sets of different resolutions",
        resize: Resize::PillowBicubic,
        scaling: Normalization::Tf,
        metrics: &["fid", "kid"],
    },
];
