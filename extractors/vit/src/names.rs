//! How checkpoints name the tensors of a vision transformer.

use ganscope_model::{Checkpoint, Error, Result};

use crate::Activation;

/// Names of one kind of checkpoint. Layers have `.weight` and `.bias` behind theirs.
#[derive(Debug)]
pub(crate) struct Names {
    /// Who writes such checkpoints.
    pub(crate) of: &'static str,
    /// The convolution that makes patches tokens.
    pub(crate) patch: &'static str,
    /// The class token.
    pub(crate) class: &'static str,
    /// The position embedding.
    pub(crate) positions: &'static str,
    /// What register tokens may be called. Under the second name the class token has its position
    /// already, and the position embedding lacks it.
    pub(crate) registers: &'static [&'static str],
    /// Normalization before the blocks.
    pub(crate) before: Option<&'static str>,
    /// What stands before the number of a block.
    pub(crate) blocks: &'static str,
    /// Normalizations before attention and before the layers.
    pub(crate) norms: [&'static str; 2],
    /// Queries, keys and values.
    pub(crate) qkv: Qkv,
    /// Linear layer after attention.
    pub(crate) out: &'static str,
    /// What the two linear layers may be called.
    pub(crate) mlp: &'static [[&'static str; 2]],
    /// Factors of the two branches of a block.
    pub(crate) scales: Option<[&'static str; 2]>,
    /// Normalization after the blocks.
    pub(crate) norm: &'static str,
    /// The matrix of the embedding.
    pub(crate) projection: Option<Projection>,
    /// The curve of the blocks, unless a configuration tells another; none if it has to.
    pub(crate) activation: Option<Activation>,
    /// Tensors that the image tower does not have.
    pub(crate) unused: fn(&str) -> bool,
}

/// Names of queries, keys and values.
#[derive(Debug)]
pub(crate) enum Qkv {
    /// One layer of three times the width: name of its weight and of its bias.
    Fused([&'static str; 2]),
    /// Three layers.
    Split([&'static str; 3]),
}

/// The matrix of the embedding.
#[derive(Debug)]
pub(crate) enum Projection {
    /// (out, in).
    Plain(&'static str),
    /// (in, out).
    Turned(&'static str),
}

/// The repository of DINOv2, and timm, which has other names for registers and for the gated layers.
pub(crate) static DINOV2: Names = Names {
    of: "DINOv2",
    patch: "patch_embed.proj",
    class: "cls_token",
    positions: "pos_embed",
    registers: &["register_tokens", "reg_token"],
    before: None,
    blocks: "blocks",
    norms: ["norm1", "norm2"],
    qkv: Qkv::Fused(["attn.qkv.weight", "attn.qkv.bias"]),
    out: "attn.proj",
    mlp: &[["mlp.fc1", "mlp.fc2"], ["mlp.w12", "mlp.w3"]],
    scales: Some(["ls1.gamma", "ls2.gamma"]),
    norm: "norm",
    projection: None,
    activation: Some(Activation::Gelu),
    // Stands for masked patches in training.
    unused: |name| name == "mask_token",
};

/// `Dinov2Model` of transformers.
pub(crate) static DINOV2_TRANSFORMERS: Names = Names {
    of: "DINOv2 in transformers",
    patch: "embeddings.patch_embeddings.projection",
    class: "embeddings.cls_token",
    positions: "embeddings.position_embeddings",
    registers: &["embeddings.register_tokens"],
    before: None,
    blocks: "encoder.layer",
    norms: ["norm1", "norm2"],
    qkv: Qkv::Split([
        "attention.attention.query",
        "attention.attention.key",
        "attention.attention.value",
    ]),
    out: "attention.output.dense",
    mlp: &[["mlp.fc1", "mlp.fc2"], ["mlp.weights_in", "mlp.weights_out"]],
    scales: Some(["layer_scale1.lambda1", "layer_scale2.lambda1"]),
    norm: "layernorm",
    projection: None,
    activation: Some(Activation::Gelu),
    // Stands for masked patches in training.
    unused: |name| name == "embeddings.mask_token",
};

/// OpenAI's archives, and `open_clip`.
pub(crate) static CLIP: Names = Names {
    of: "CLIP",
    patch: "visual.conv1",
    class: "visual.class_embedding",
    positions: "visual.positional_embedding",
    registers: &[],
    before: Some("visual.ln_pre"),
    blocks: "visual.transformer.resblocks",
    norms: ["ln_1", "ln_2"],
    qkv: Qkv::Fused(["attn.in_proj_weight", "attn.in_proj_bias"]),
    out: "attn.out_proj",
    mlp: &[["mlp.c_fc", "mlp.c_proj"]],
    scales: None,
    norm: "visual.ln_post",
    projection: Some(Projection::Turned("visual.proj")),
    activation: None,
    unused: |name| {
        // The text tower, the temperature of the logits, and sizes that OpenAI's archives have as
        // buffers.
        let text = ["transformer.", "token_embedding.", "ln_final.", "text."];
        let single = ["positional_embedding", "text_projection", "logit_scale", "logit_bias"];
        text.iter().any(|start| name.starts_with(start))
            || single.contains(&name)
            || ARCHIVE.contains(&name)
    },
};

/// Sizes that OpenAI's own archives have among the tensors.
pub(crate) const ARCHIVE: [&str; 3] = ["input_resolution", "context_length", "vocab_size"];

/// `CLIPModel` and `CLIPVisionModelWithProjection` of transformers.
pub(crate) static CLIP_TRANSFORMERS: Names = Names {
    of: "CLIP in transformers",
    patch: "vision_model.embeddings.patch_embedding",
    class: "vision_model.embeddings.class_embedding",
    positions: "vision_model.embeddings.position_embedding.weight",
    registers: &[],
    // Spelled so.
    before: Some("vision_model.pre_layrnorm"),
    blocks: "vision_model.encoder.layers",
    norms: ["layer_norm1", "layer_norm2"],
    qkv: Qkv::Split(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    out: "self_attn.out_proj",
    mlp: &[["mlp.fc1", "mlp.fc2"]],
    scales: None,
    norm: "vision_model.post_layernorm",
    projection: Some(Projection::Plain("visual_projection.weight")),
    activation: Some(Activation::QuickGelu),
    unused: |name| {
        // The text tower, the temperature of the logits, and the numbers 0, 1, 2, ..
        name.starts_with("text_model.")
            || name.ends_with(".position_ids")
            || ["text_projection.weight", "logit_scale"].contains(&name)
    },
};

static ALL: [&Names; 4] = [&DINOV2, &DINOV2_TRANSFORMERS, &CLIP, &CLIP_TRANSFORMERS];

/// The names that `checkpoint` has, one of `expected`.
pub(crate) fn find(
    checkpoint: &Checkpoint,
    expected: [&'static Names; 2],
) -> Result<&'static Names> {
    let weight = |names: &Names| format!("{}.weight", names.patch);
    let has = |names: &&&Names| checkpoint.contains(&weight(names));
    if let Some(names) = expected.iter().find(has) {
        return Ok(names);
    }
    let wanted = expected.map(|names| format!("`{}`", weight(names))).join(" or ");
    let found = match ALL.iter().find(has) {
        Some(other) => format!("they are those of {}", other.of),
        None => match checkpoint.names().next() {
            Some(first) => format!("the first tensor is `{first}`"),
            None => "there is no tensor".to_owned(),
        },
    };
    let expected = expected[0].of;
    Err(Error::Input(format!("these are no weights of {expected}: {wanted} is missing; {found}")))
}
