//! The program as a user runs it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "program/attacks.rs"]
mod attacks;
#[path = "program/cache.rs"]
mod cache;
#[path = "program/certainty.rs"]
mod certainty;
#[path = "program/classes.rs"]
mod classes;
#[path = "program/cluster.rs"]
mod cluster;
#[path = "program/compare.rs"]
mod compare;
#[path = "program/directions.rs"]
mod directions;
#[path = "program/emoji.rs"]
mod emoji;
#[path = "program/errors.rs"]
mod errors;
#[path = "program/explain.rs"]
mod explain;
#[path = "program/full.rs"]
mod full;
#[path = "program/generators.rs"]
mod generators;
#[path = "program/hub.rs"]
mod hub;
#[path = "program/kills.rs"]
mod kills;
#[path = "program/latents.rs"]
mod latents;
#[path = "program/parameters.rs"]
mod parameters;
#[path = "program/planted.rs"]
mod planted;
#[path = "program/project.rs"]
mod project;
#[path = "program/score.rs"]
mod score;
#[path = "program/sets.rs"]
mod sets;
#[path = "program/setup.rs"]
mod setup;
#[path = "program/sweep.rs"]
mod sweep;
#[path = "program/transformers.rs"]
mod transformers;
#[path = "program/why.rs"]
mod why;
