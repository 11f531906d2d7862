//! `ganscope convert`: any checkpoint to safetensors.

use std::path::PathBuf;

use anyhow::Result;
use ganscope_weights::ReadOptions;

use super::terminal::Terminal;

/// Converts a checkpoint of any format to safetensors
///
/// Names and numbers stay as they are; hyper-parameters go into the metadata, as JSON.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Checkpoint of any format
    file: PathBuf,

    /// File to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Entry to read where the file holds several networks, such as `G_ema` or `state_dict`
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
}

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    let weights = ganscope_weights::read(&args.file, &ReadOptions { key: args.key.clone() })?;
    ganscope_weights::write_safetensors(&args.output, &weights)?;
    let count = weights.arrays.len();
    terminal.note(&format!("{}: {count} arrays to {}", weights.format, args.output.display()));
    Ok(())
}
