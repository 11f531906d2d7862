//! The transformer over the tokens of a prompt.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::{Module as _, VarBuilder};
use candle_transformers::models::clip::text_model::{
    Activation, ClipTextConfig, ClipTextTransformer,
};
use ganscope_model::{Checkpoint, Error, Result};
use serde_json::{Map, Value};

use crate::Prompt;

/// Blocks of a tower, at most.
const MOST_BLOCKS: usize = 1024;
/// Channels of a head where nothing else is said.
const HEAD: usize = 64;

/// What the shapes of a checkpoint do not tell of its text tower.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextConfig {
    /// Heads of attention; one for 64 channels if missing.
    pub heads: Option<usize>,
}

impl TextConfig {
    /// The settings in a JSON text: the `config.json` of transformers, with `text_config`, or the
    /// `open_clip_config.json` of `open_clip`, with `text_cfg`.
    ///
    /// # Errors
    /// If it is no JSON object, heads are none, or the activation is another than `quick_gelu`.
    pub fn from_json(text: &str) -> Result<Self> {
        let problem = |e: serde_json::Error| Error::Config(e.to_string());
        let whole: Map<String, Value> = serde_json::from_str(text).map_err(problem)?;
        let below = |map: &Map<String, Value>, name: &str| {
            map.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
        };
        let model = below(&whole, "model_cfg");
        let is_open_clip = [&model, &whole].iter().any(|map| map.contains_key("text_cfg"));
        let places = [
            below(&whole, "text_config"),
            below(&model, "text_cfg"),
            below(&whole, "text_cfg"),
            model,
            whole,
        ];
        let get = |name: &str| places.iter().find_map(|place| place.get(name));
        let exact = match (get("hidden_act").and_then(Value::as_str), get("quick_gelu")) {
            (Some(act), _) => act != "quick_gelu",
            (None, Some(quick)) => quick != &Value::Bool(true),
            // open_clip leaves it out where it is false.
            (None, None) => is_open_clip,
        };
        if exact {
            let message = "only text towers with `quick_gelu`, those of OpenAI, are known";
            return Err(Error::Config(message.into()));
        }
        let heads = match places[..3]
            .iter()
            .find_map(|place| place.get("num_attention_heads").or_else(|| place.get("heads")))
        {
            None => None,
            Some(value) => match value.as_u64() {
                Some(number @ 1..=4096) => Some(number as usize),
                _ => {
                    return Err(Error::Config(format!("heads must be 1 to 4096, got {value}")));
                }
            },
        };
        Ok(Self { heads })
    }
}

/// The text tower of CLIP with its projection.
#[derive(Debug)]
pub struct TextTower {
    transformer: ClipTextTransformer,
    /// (width, embedding).
    projection: Tensor,
    context: usize,
    vocabulary: usize,
}

/// How a kind of checkpoint names the tensors.
struct Names {
    tokens: &'static str,
    positions: &'static str,
    /// What stands before the number of a block.
    blocks: &'static str,
    /// Layers of a block, in the order of [`LAYERS`].
    layers: [&'static str; 5],
    norm: &'static str,
    projection: &'static str,
    /// OpenAI's: queries, keys and values are one tensor, and the projection is (width, embedding).
    is_fused: bool,
}

/// Layers of a block beside queries, keys and values, as transformers and candle call them.
const LAYERS: [&str; 5] =
    ["layer_norm1", "layer_norm2", "self_attn.out_proj", "mlp.fc1", "mlp.fc2"];
/// Queries, keys and values.
const QKV: [&str; 3] = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];

const TRANSFORMERS: Names = Names {
    tokens: "text_model.embeddings.token_embedding.weight",
    positions: "text_model.embeddings.position_embedding.weight",
    blocks: "text_model.encoder.layers.",
    layers: LAYERS,
    norm: "text_model.final_layer_norm",
    projection: "text_projection.weight",
    is_fused: false,
};

const OPENAI: Names = Names {
    tokens: "token_embedding.weight",
    positions: "positional_embedding",
    blocks: "transformer.resblocks.",
    layers: ["ln_1", "ln_2", "attn.out_proj", "mlp.c_fc", "mlp.c_proj"],
    norm: "ln_final",
    projection: "text_projection",
    is_fused: true,
};

impl TextTower {
    /// The text tower of a checkpoint under the names of transformers, or those of OpenAI's archives. What
    /// belongs to the image tower is left out.
    ///
    /// # Errors
    /// If there is none, a tensor is missing or has another shape, or the heads do not divide the
    /// width.
    pub fn new(mut checkpoint: Checkpoint, config: TextConfig, device: &Device) -> Result<Self> {
        let found =
            [TRANSFORMERS, OPENAI].into_iter().find(|names| checkpoint.contains(names.tokens));
        let Some(names) = found else {
            let (a, b) = (TRANSFORMERS.tokens, OPENAI.tokens);
            let message = format!("there is no text tower of CLIP: neither `{a}` nor `{b}`");
            return Err(Error::Input(message));
        };
        let matrix = |name: &str| match checkpoint.shape(name) {
            Some(&[rows, columns]) => Ok((rows, columns)),
            Some(got) => {
                Err(Error::Input(format!("`{name}` has shape {got:?}, not that of a matrix")))
            }
            None => Err(Error::Input(format!(
                "there is no whole text tower of CLIP: `{name}` is missing"
            ))),
        };
        let (vocabulary, width) = matrix(names.tokens)?;
        let (context, _) = matrix(names.positions)?;
        let (hidden, _) = matrix(&format!("{}0.{}.weight", names.blocks, names.layers[3]))?;
        let shape = matrix(names.projection)?;
        let is_block = |i: &usize| {
            checkpoint.contains(&format!("{}{i}.{}.weight", names.blocks, names.layers[0]))
        };
        let blocks = (0..MOST_BLOCKS).take_while(is_block).count();
        let heads = config.heads.unwrap_or(width / HEAD);
        if heads == 0 || !width.is_multiple_of(heads) {
            let problem = format!("the width of {width} does not divide into {heads} heads");
            return Err(Error::Config(format!(
                "{problem}; the configuration says how many there are"
            )));
        }
        let projection = checkpoint.tensor(names.projection, &[shape.0, shape.1], device)?;
        let projection = if names.is_fused { projection } else { projection.t()?.contiguous()? };
        let mut renamed = Renamed { checkpoint: &mut checkpoint, tensors: HashMap::new(), device };
        renamed.take(names.tokens, "embeddings.token_embedding.weight", &[vocabulary, width])?;
        renamed.take(names.positions, "embeddings.position_embedding.weight", &[context, width])?;
        renamed.layer(names.norm, "final_layer_norm", &[width])?;
        for i in 0..blocks {
            renamed.block(&names, i, [width, hidden])?;
        }
        let config = ClipTextConfig {
            vocab_size: vocabulary,
            embed_dim: width,
            activation: Activation::QuickGelu,
            intermediate_size: hidden,
            max_position_embeddings: context,
            pad_with: None,
            num_hidden_layers: blocks,
            num_attention_heads: heads,
            projection_dim: projection.dim(1)?,
        };
        let builder = VarBuilder::from_tensors(renamed.tensors, DType::F32, device);
        let transformer = ClipTextTransformer::new(builder, &config)?;
        Ok(Self { transformer, projection, context, vocabulary })
    }

    /// Most tokens of a prompt, start and end included.
    pub fn context(&self) -> usize {
        self.context
    }

    /// The embedding of a prompt. One at a time, as products of several round otherwise.
    ///
    /// # Errors
    /// If a token is not in the vocabulary, or a number is not finite.
    pub fn embed(&self, prompt: &Prompt) -> Result<Vec<f32>> {
        let tokens = prompt.tokens.clone();
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= self.vocabulary) {
            let (what, count) = ("the tokenizer does not fit the text tower", self.vocabulary);
            return Err(Error::Input(format!("{what}: token {token} of a vocabulary of {count}")));
        }
        let tokens = Tensor::from_vec(tokens, (1, prompt.tokens.len()), self.projection.device())?;
        let row = self.transformer.forward(&tokens)?.matmul(&self.projection)?;
        let row: Vec<f32> = row.flatten_all()?.to_vec1()?;
        if row.iter().all(|v| v.is_finite()) {
            Ok(row)
        } else {
            Err(Error::NotFinite("embeddings of prompts"))
        }
    }
}

/// The tensors of a checkpoint under the names of candle.
struct Renamed<'a> {
    checkpoint: &'a mut Checkpoint,
    tensors: HashMap<String, Tensor>,
    device: &'a Device,
}

impl Renamed<'_> {
    fn take(&mut self, from: &str, to: &str, shape: &[usize]) -> Result<()> {
        self.tensors.insert(to.to_owned(), self.checkpoint.tensor(from, shape, self.device)?);
        Ok(())
    }

    /// A weight, and a bias as long as the weight has rows.
    fn layer(&mut self, from: &str, to: &str, shape: &[usize]) -> Result<()> {
        self.take(&format!("{from}.weight"), &format!("{to}.weight"), shape)?;
        self.take(&format!("{from}.bias"), &format!("{to}.bias"), &shape[..1])
    }

    fn block(&mut self, names: &Names, i: usize, [width, hidden]: [usize; 2]) -> Result<()> {
        let (from, to) = (format!("{}{i}.", names.blocks), format!("encoder.layers.{i}."));
        let shapes: [&[usize]; 5] =
            [&[width], &[width], &[width, width], &[hidden, width], &[width, hidden]];
        for ((theirs, ours), shape) in names.layers.iter().zip(LAYERS).zip(shapes) {
            self.layer(&format!("{from}{theirs}"), &format!("{to}{ours}"), shape)?;
        }
        if !names.is_fused {
            return QKV.iter().try_for_each(|name| {
                self.layer(&format!("{from}{name}"), &format!("{to}{name}"), &[width, width])
            });
        }
        for (kind, shape) in [("weight", &[3 * width, width][..]), ("bias", &[3 * width])] {
            let name = format!("{from}attn.in_proj_{kind}");
            let whole = self.checkpoint.tensor(&name, shape, self.device)?;
            for (name, part) in QKV.iter().zip(whole.chunk(3, 0)?) {
                self.tensors.insert(format!("{to}{name}.{kind}"), part.contiguous()?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_of_both_tools_are_read() {
        let heads = |text: &str| TextConfig::from_json(text).unwrap().heads;
        let transformers = r#"{"text_config": {"num_attention_heads": 2, "hidden_act": "quick_gelu"},
            "vision_config": {"num_attention_heads": 12}}"#;
        assert_eq!(heads(transformers), Some(2));
        let open_clip = r#"{"model_cfg": {"quick_gelu": true, "text_cfg": {"heads": 8}}}"#;
        assert_eq!(heads(open_clip), Some(8));
        assert_eq!(heads("{}"), None);
        for text in [
            "[]",
            r#"{"text_config": {"num_attention_heads": 0}}"#,
            r#"{"text_config": {"hidden_act": "gelu"}}"#,
            r#"{"model_cfg": {"text_cfg": {"heads": 8}}}"#,
        ] {
            assert!(TextConfig::from_json(text).is_err(), "{text}");
        }
    }
}
