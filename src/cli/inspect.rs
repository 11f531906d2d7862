//! `ganscope inspect`: what is in a checkpoint.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use super::terminal::Terminal;

/// Lists the arrays of a checkpoint: name, shape, type
///
/// Reads safetensors, torch files (zip and legacy), NVIDIA snapshots, npz and npy. Nothing in the
/// file is ever run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Checkpoint of any format
    file: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    let listing = ganscope_weights::inspect(&args.file)?;
    let numbers: usize = listing.entries.iter().map(|e| e.shape.iter().product::<usize>()).sum();
    if args.json {
        let array = |e: &ganscope_weights::Entry| json!({ "name": e.name, "shape": e.shape, "dtype": e.dtype });
        let arrays: Vec<_> = listing.entries.iter().map(array).collect();
        let format = listing.format.to_string();
        let report = json!({ "format": format, "config": listing.config, "arrays": arrays });
        return terminal.data(&format!("{report:#}\n"));
    }
    let mut text = String::new();
    let width = listing.entries.iter().map(|e| e.name.len()).max().unwrap_or(0);
    for entry in &listing.entries {
        let shape = format!("{:?}", entry.shape);
        writeln!(text, "{:<width$}  {:<5} {shape}", entry.name, entry.dtype)?;
    }
    terminal.data(&text)?;
    if !listing.config.is_empty() {
        terminal.data(&format!("config {:#}\n", serde_json::Value::Object(listing.config)))?;
    }
    let count = listing.entries.len();
    terminal.note(&format!("{}: {count} arrays, {numbers} numbers", listing.format));
    Ok(())
}
