//! `ganscope explain filters`: the first layer.

use std::path::PathBuf;

use ganscope::explain::units::filters;
use ganscope::files::check_picture;
use ganscope::images::save_png;
use ganscope::{Result, Watch as _};

use super::NetworkArgs;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope explain filters --model alexnet -o filters.png";

/// Draw the filters of the first layer, each from its lowest to its highest weight
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Picture to write (.png)
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    network: NetworkArgs,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    check_picture(&args.output)?;
    let found = filters(&args.network.request(None), terminal)?;
    save_png(&args.output, &found.sheet().image()?)?;
    let (count, model) = (found.filters.pictures.len(), &found.model);
    terminal.note(&format!("{count} filters of {model} in `{}`", args.output.display()));
    Ok(())
}
