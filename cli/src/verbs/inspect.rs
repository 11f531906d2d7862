//! `ganscope inspect`: the content of a checkpoint.

use std::path::{Path, PathBuf};

use ganscope::{Result, Watch as _};
use serde_json::{Value, json};

use crate::table::Table;
use crate::terminal::Terminal;

/// List the arrays of a checkpoint: name, type, shape
///
/// Reads safetensors, torch files (zip and legacy), NVIDIA snapshots, npz and npy. Nothing in the
/// file is ever run.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Checkpoint of any format
    file: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    let listing = ganscope::weights::inspect(&args.file)?;
    let format = listing.format.to_string();
    if args.json {
        let arrays: Vec<Value> = listing
            .entries
            .iter()
            .map(|e| json!({ "name": e.name, "shape": e.shape, "dtype": e.dtype }))
            .collect();
        let report = json!({ "format": format, "config": listing.config, "arrays": arrays });
        return terminal.json(&report, Path::new("-"));
    }
    let mut table = Table::new();
    for entry in &listing.entries {
        let shape = format!("{:?}", entry.shape);
        table.row([entry.name.clone(), entry.dtype.clone(), shape]);
    }
    terminal.data(&table.print())?;
    if !listing.config.is_empty() {
        terminal.data(&format!("config {:#}\n", Value::Object(listing.config)))?;
    }
    let numbers: usize = listing.entries.iter().map(|e| e.shape.iter().product::<usize>()).sum();
    terminal.note(&format!("{format}: {} arrays, {numbers} numbers", listing.entries.len()));
    Ok(())
}
