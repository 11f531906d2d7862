//! `ganscope explain filters`: the first layer.

use std::path::PathBuf;

use anyhow::Result;
use ganscope_explain::heat;
use ganscope_images::{grid, save_png};

use super::NetworkArgs;
use crate::cache;
use crate::captions::enlarged;
use crate::cli::terminal::Terminal;

/// Filters are enlarged to about so many pixels a side.
const SIDE: usize = 48;

/// Draws the filters of the first layer, each from its lowest to its highest weight
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Picture to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    network: NetworkArgs,
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    cache::check_writable(&args.output)?;
    let open = args.network.open(None, terminal)?;
    let filters = heat::filters(&open.classifier().network)?;
    let side = filters.iter().map(|f| f.width.max(f.height)).max().unwrap_or(1);
    let pictures: Vec<_> = filters.iter().map(|f| enlarged(f, (SIDE / side).max(1))).collect();
    let columns = (pictures.len() as f64).sqrt().ceil() as usize;
    save_png(&args.output, &grid(&pictures, columns.max(1), 4, [255; 3]))?;
    let (name, count) = (&open.name, filters.len());
    terminal.note(&format!("{count} filters of {name} in `{}`", args.output.display()));
    Ok(())
}
