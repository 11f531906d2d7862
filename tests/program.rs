//! The program as a user runs it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "program/errors.rs"]
mod errors;
#[path = "program/explain.rs"]
mod explain;
#[path = "program/latents.rs"]
mod latents;
#[path = "program/score.rs"]
mod score;
#[path = "program/setup.rs"]
mod setup;
