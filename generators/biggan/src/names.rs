//! How the checkpoints of each origin spell the layers of a generator.

/// Names of layers and their parts.
#[derive(Debug)]
pub(crate) struct Names {
    /// Embeddings of the classes.
    pub(crate) embedding: &'static str,
    /// The layer that makes the first map.
    pub(crate) first: &'static str,
    /// Prefix of the norms of a block, and the number of the first.
    pub(crate) norm: (&'static str, usize),
    /// Prefix of the convolutions of a block, and the number of the first.
    pub(crate) conv: (&'static str, usize),
    /// The convolution on the skip path of a block.
    pub(crate) skip: &'static str,
    /// Gain and offset of a conditional norm.
    pub(crate) style: [&'static str; 2],
    /// `theta`, `phi`, `g` and the last layer of an attention.
    pub(crate) attention: [&'static str; 4],
    /// Factor of an attention.
    pub(crate) gamma: &'static str,
    /// The norm before the colors, its gain and its offset.
    pub(crate) last_norm: [&'static str; 3],
    /// The layer of the colors.
    pub(crate) colors: &'static str,
}

/// pytorch-pretrained-biggan.
pub(crate) const PUBLISHED: Names = Names {
    embedding: "embeddings.weight",
    first: "generator.gen_z",
    norm: ("bn_", 0),
    conv: ("conv_", 0),
    skip: "",
    style: ["scale", "offset"],
    attention: ["snconv1x1_theta", "snconv1x1_phi", "snconv1x1_g", "snconv1x1_o_conv"],
    gamma: "gamma",
    last_norm: ["generator.bn", "weight", "bias"],
    colors: "generator.conv_to_rgb",
};

/// BigGAN-PyTorch, <https://github.com/ajbrock/BigGAN-PyTorch>.
pub(crate) const PYTORCH: Names = Names {
    embedding: "shared.weight",
    first: "linear",
    norm: ("bn", 1),
    conv: ("conv", 1),
    skip: "conv_sc",
    style: ["gain", "bias"],
    attention: ["theta", "phi", "g", "o"],
    gamma: "gamma",
    last_norm: ["output_layer.0", "gain", "bias"],
    colors: "output_layer.2",
};

/// StudioGAN, <https://github.com/POSTECH-CVLab/PyTorch-StudioGAN>.
pub(crate) const STUDIO: Names = Names {
    first: "linear0",
    conv: ("conv2d", 1),
    skip: "conv2d0",
    attention: ["conv1x1_theta", "conv1x1_phi", "conv1x1_g", "conv1x1_attn"],
    gamma: "sigma",
    last_norm: ["bn4", "weight", "bias"],
    colors: "conv2d5",
    ..PYTORCH
};
