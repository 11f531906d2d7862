//! Prompts as numbers.

use ganscope_model::{Error, Result};
use tokenizers::TruncationParams;

/// Splits prompts into the tokens of a text tower: the `tokenizer.json` of a checkpoint of
/// transformers.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    context: usize,
}

/// A prompt in tokens, the first of which is that of the start, the last that of the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The tokens, at most as many as the tower takes.
    pub tokens: Vec<u32>,
    /// Whether its end was cut off.
    pub is_cut: bool,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`; prompts are cut to `context` tokens, start and end included.
    ///
    /// # Errors
    /// If it is no tokenizer, or `context` has no room for a start and an end.
    pub fn from_json(json: &[u8], context: usize) -> Result<Self> {
        let problem = |error| Error::Input(format!("this is no `tokenizer.json`: {error}"));
        let mut inner = tokenizers::Tokenizer::from_bytes(json).map_err(problem)?;
        let limit = TruncationParams { max_length: context, ..TruncationParams::default() };
        inner.with_padding(None).with_truncation(Some(limit)).map_err(problem)?;
        Ok(Self { inner, context })
    }

    /// The tokens of a prompt.
    ///
    /// # Errors
    /// If the tokenizer fails, or does not put an end at the end: a token above all others, which the
    /// tower looks for.
    pub fn prompt(&self, text: &str) -> Result<Prompt> {
        let failed = |error| Error::Input(format!("the tokenizer cannot split `{text}`: {error}"));
        let found = self.inner.encode(text, true).map_err(failed)?;
        let tokens = found.get_ids().to_vec();
        let ends = tokens.last().is_some_and(|last| {
            tokens.len() > 1 && tokens[..tokens.len() - 1].iter().all(|token| token < last)
        });
        if !ends || tokens.len() > self.context {
            let what = "the tokenizer is none of CLIP";
            return Err(Error::Input(format!(
                "{what}: the last token of `{text}` is not the end, or they are more than {}",
                self.context
            )));
        }
        Ok(Prompt { tokens, is_cut: !found.get_overflowing().is_empty() })
    }
}
