//! The text towers of CLIP: embeddings of prompts, by `candle-transformers` and `tokenizers`.
//!
//! Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021,
//! <https://arxiv.org/abs/2103.00020>. With the image tower of the same checkpoint they give CLIPScore
//! (Hessel et al., "CLIPScore: A Reference-free Evaluation Metric for Image Captioning", 2021,
//! <https://arxiv.org/abs/2104.08718>).
//!
//! Towers with OpenAI's approximation of the GELU are known, those that OpenAI published; the towers of
//! `open_clip` with the exact GELU are refused, as `candle-transformers` has none with a causal mask.

mod prompts;
mod tower;

pub use prompts::{Prompt, Tokenizer};
pub use tower::{TextConfig, TextTower};
