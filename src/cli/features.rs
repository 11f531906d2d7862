//! `ganscope features`: rows of numbers, for other tools.

use std::path::PathBuf;

use anyhow::Result;
use ganscope_stats::Needs;
use ganscope_weights::{Array, npy};

use super::extract::{ExtractArgs, Shard};
use super::terminal::Terminal;
use crate::{cache, extraction};

const EXAMPLES: &str = "\
Examples:
  ganscope features photos/ -o photos.npy
  ganscope features photos/ -o early.npy --layer 192 --preset pytorch-fid";

/// Writes the features of images as a NumPy array, (N, dimension), one row an image
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Folder, archive or npz of images
    images: PathBuf,

    /// File to write, .npy
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Write the logits (without bias) instead of the features
    #[arg(long)]
    logits: bool,

    #[command(flatten)]
    extract: ExtractArgs,
}

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    let needs = if args.logits { Needs::LOGITS } else { Needs::FEATURES };
    let set = args.extract.images(&args.images)?;
    cache::check_writable(&args.output)?;
    let open = args.extract.open(needs, None, terminal)?;
    let name = args.images.display().to_string();
    let (store, _) = args.extract.rows((&name, &set), Shard::WHOLE, &open, terminal)?;
    let set = extraction::collect(store.into(), needs)?;
    let rows = match set.logits {
        Some(logits) => Some(logits.to_features()?),
        None => set.features,
    };
    let rows = rows.unwrap_or(ganscope_stats::Features::new(open.extractor.feature_dim())?);
    let array = Array::from_f32([rows.len(), rows.dim()], rows.as_slice())?;
    npy::write(&args.output, &array)?;
    terminal.note(&format!(
        "{} rows of {} to {}; {}",
        rows.len(),
        rows.dim(),
        args.output.display(),
        open.convention
    ));
    Ok(())
}
