//! What the shapes of a checkpoint do not tell.

use ganscope_model::{Error, Result};
use serde_json::{Map, Value};

/// The curve between the two linear layers of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x Phi(x)` with the distribution function `Phi` of the normal distribution.
    Gelu,
    /// `x / (1 + e^(-1.702 x))`: OpenAI's CLIP.
    QuickGelu,
}

impl Activation {
    /// Its name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::QuickGelu => "quick_gelu",
        }
    }
}

/// Settings of a transformer that its weights leave open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Config {
    /// Heads of attention; one for 64 channels if missing.
    pub heads: Option<Heads>,
    /// The curve of CLIP.
    pub activation: Option<Activation>,
}

/// How many heads attention has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heads {
    /// This number.
    Number(usize),
    /// One for this number of channels.
    Width(usize),
}

impl Config {
    /// The settings in a JSON text: the `config.json` of transformers, the `open_clip_config.json`
    /// of `open_clip`, or the arguments of DINOv2's constructors.
    ///
    /// It reads `num_attention_heads`, `num_heads` or `head_width`, and `hidden_act` or `quick_gelu`,
    /// in the text or its `vision_config`, or in the `model_cfg` and `vision_cfg` of `open_clip`.
    ///
    /// # Errors
    /// If it is no JSON object, has none of these, or a value that is none of theirs.
    pub fn from_json(text: &str) -> Result<Self> {
        let problem = |e: serde_json::Error| Error::Config(e.to_string());
        let whole: Map<String, Value> = serde_json::from_str(text).map_err(problem)?;
        let below = |map: &Map<String, Value>, name: &str| {
            map.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
        };
        let model = below(&whole, "model_cfg");
        let places = [
            below(&whole, "vision_config"),
            below(&model, "vision_cfg"),
            below(&whole, "vision_cfg"),
            model,
            whole,
        ];
        let get = |name: &str| places.iter().find_map(|place| place.get(name));
        let number = |name: &str| match get(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number @ 1..=4096) => Ok(Some(number as usize)),
                _ => Err(Error::Config(format!("`{name}` must be 1 to 4096, got {value}"))),
            },
        };
        let heads = number("num_attention_heads")?.or(number("num_heads")?).map(Heads::Number);
        let heads = heads.or(number("head_width")?.map(Heads::Width));
        let is_open_clip = get("vision_cfg").is_some() || get("model_cfg").is_some();
        let activation = match (get("hidden_act").and_then(Value::as_str), get("quick_gelu")) {
            (Some("quick_gelu"), _) | (None, Some(Value::Bool(true))) => {
                Some(Activation::QuickGelu)
            }
            (Some("gelu"), _) | (None, Some(Value::Bool(false))) => Some(Activation::Gelu),
            (Some(other), _) => {
                let expected = "`hidden_act` must be gelu or quick_gelu";
                return Err(Error::Config(format!("{expected}, got {other}")));
            }
            (None, Some(other)) => {
                let expected = "`quick_gelu` must be true or false";
                return Err(Error::Config(format!("{expected}, got {other}")));
            }
            // open_clip leaves it out where it is false.
            (None, None) => is_open_clip.then_some(Activation::Gelu),
        };
        if heads.is_none() && activation.is_none() {
            let known =
                "`num_attention_heads`, `num_heads`, `head_width`, `hidden_act`, `quick_gelu`";
            return Err(Error::Config(format!("none of {known} is there")));
        }
        Ok(Self { heads, activation })
    }

    /// The number of heads of `width` channels.
    pub(crate) fn heads(&self, width: usize) -> Result<usize> {
        let (heads, what) = match self.heads.unwrap_or(Heads::Width(64)) {
            Heads::Number(heads) => (heads, format!("{heads} heads")),
            Heads::Width(size) => (width / size, format!("heads of {size} channels")),
        };
        let fits = match self.heads.unwrap_or(Heads::Width(64)) {
            Heads::Number(heads) => width.is_multiple_of(heads),
            Heads::Width(size) => width.is_multiple_of(size),
        };
        if fits && heads > 0 {
            return Ok(heads);
        }
        let hint =
            if self.heads.is_none() { "; the configuration says how many there are" } else { "" };
        Err(Error::Config(format!("the width of {width} does not divide into {what}{hint}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Config {
        Config::from_json(text).unwrap()
    }

    #[test]
    fn configurations_of_all_tools_are_read() {
        let heads = |number| Some(Heads::Number(number));
        let quick = Some(Activation::QuickGelu);
        let gelu = Some(Activation::Gelu);
        for (text, expected) in [
            (r#"{"num_heads": 3, "depth": 2}"#, (heads(3), None)),
            (r#"{"num_attention_heads": 6, "hidden_act": "gelu"}"#, (heads(6), gelu)),
            (
                r#"{"text_config": {"num_attention_heads": 2, "hidden_act": "gelu"},
                    "vision_config": {"num_attention_heads": 12, "hidden_act": "quick_gelu"}}"#,
                (heads(12), quick),
            ),
            (
                r#"{"model_cfg": {"embed_dim": 512, "vision_cfg": {"width": 64, "head_width": 16}}}"#,
                (Some(Heads::Width(16)), gelu),
            ),
            (r#"{"quick_gelu": true, "vision_cfg": {"width": 768}}"#, (None, quick)),
        ] {
            let config = read(text);
            assert_eq!((config.heads, config.activation), expected, "{text}");
        }
    }

    #[test]
    fn what_says_nothing_or_nonsense_is_refused() {
        for text in [
            "[]",
            "{}",
            "{",
            r#"{"num_heads": 0}"#,
            r#"{"num_heads": "three"}"#,
            r#"{"hidden_act": "relu"}"#,
            r#"{"quick_gelu": 1}"#,
        ] {
            assert!(Config::from_json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn heads_divide_the_width() {
        assert_eq!(Config::default().heads(768).unwrap(), 12);
        let error = Config::default().heads(48).unwrap_err().to_string();
        assert!(error.contains("48") && error.contains("64") && error.contains("configuration"));
        let config = Config { heads: Some(Heads::Number(5)), activation: None };
        let error = config.heads(48).unwrap_err().to_string();
        assert!(error.contains("48") && error.contains("5 heads"), "{error}");
    }
}
