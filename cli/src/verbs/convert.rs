//! `ganscope convert`: any checkpoint to safetensors.

use std::path::PathBuf;

use ganscope::weights::{ReadOptions, read, write_safetensors};
use ganscope::{Error, Result, Watch as _};

use crate::terminal::Terminal;

/// Convert a checkpoint of any format to safetensors
///
/// Names and numbers stay as they are; hyper-parameters go into the metadata, as JSON.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Checkpoint of any format
    file: PathBuf,

    /// File to write, .safetensors
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Entry to read where the file contains several networks, such as `G_ema` or `state_dict`
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    if args.output.extension().is_none_or(|ending| ending != "safetensors") {
        let problem = format!("`{}` does not end in .safetensors", args.output.display());
        return Err(Error::request(problem).with_hint("only safetensors are written"));
    }
    let weights = read(&args.file, &ReadOptions { key: args.key.clone() })?;
    write_safetensors(&args.output, &weights)?;
    let count = weights.arrays.len();
    terminal.note(&format!("{}: {count} arrays in `{}`", weights.format, args.output.display()));
    Ok(())
}
