//! `ganscope features`: rows of numbers, for other tools.

use std::path::PathBuf;

use ganscope::files::check_writable;
use ganscope::score::statistics::{RowsRequest, check_rows, rows, write_rows};
use ganscope::{Result, Watch as _};

use crate::arguments::FeatureArgs;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope features photos/ -o photos.npy
  ganscope features photos/ -o photos.npy --names photos.txt
  ganscope features photos/ -o early.npy --layer 192 --preset pytorch-fid";

/// Write the features of images as a NumPy array (N, dimension), one row per image
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Folder, archive or npz of images
    images: String,

    /// File to write, .npy
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Also write the names of the images, one line per row
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,

    /// Write the logits (without bias) instead of the features
    #[arg(long)]
    logits: bool,

    #[command(flatten)]
    features: FeatureArgs,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    check_rows(&args.output)?;
    let outputs = std::iter::once(&args.output).chain(&args.names);
    outputs.into_iter().try_for_each(|path| check_writable(path))?;
    let Args { images, logits, features, .. } = args;
    let request =
        RowsRequest { images: images.clone(), logits: *logits, features: features.request() };
    let found = rows(&request, terminal)?;
    write_rows(&args.output, &found.rows)?;
    if let Some(path) = &args.names {
        ganscope::files::write_text(path, &(found.names.join("\n") + "\n"))?;
    }
    terminal.note(&format!(
        "{} rows of {} in `{}`; {}",
        found.rows.len(),
        found.rows.dim(),
        args.output.display(),
        found.convention
    ));
    Ok(())
}
