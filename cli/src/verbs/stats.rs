//! `ganscope stats`: statistics of a set, to score against later.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use ganscope::features::Shard;
use ganscope::files::check_writable;
use ganscope::score::statistics::{
    StatisticsFormat, StatisticsRequest, Stored, merge_statistics, statistics, write_statistics,
};
use ganscope::{Error, Result, Watch as _};

use crate::arguments::FeatureArgs;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope stats photos/ -o photos.safetensors
  ganscope stats photos.zip -o photos.npz           for pytorch-fid, clean-fid, EDM2
  ganscope stats photos/ -o part3.safetensors --shard 3/16
  ganscope stats merge part*.safetensors -o photos.safetensors";

/// Write mean and covariance of a set's features, to score against later
///
/// `.npz` is what pytorch-fid, clean-fid, TTUR and EDM2 read. `.safetensors` is exact and mergeable,
/// and can contain the features of each image. Both tell how they were computed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(subcommand)]
    merge: Option<Merge>,

    /// Folder, archive or npz of images
    #[arg(required = true, value_name = "IMAGES")]
    images: Option<String>,

    /// File to write, .safetensors or .npz
    #[arg(long, short, value_name = "FILE", required = true)]
    output: Option<PathBuf>,

    /// Use one part of the set: 3/16 is the third of sixteen
    #[arg(long, value_name = "PART/PARTS", value_parser = shard)]
    shard: Option<Shard>,

    /// Keep the features of each image, for KID and precision/recall (.safetensors only)
    #[arg(long)]
    rows: bool,

    /// Add the spatial features of sFID
    #[arg(long)]
    spatial: bool,

    #[command(flatten)]
    features: FeatureArgs,
}

#[derive(Debug, Subcommand)]
enum Merge {
    /// Merge statistics of parts into those of the whole
    Merge {
        /// Files of `ganscope stats`
        #[arg(required = true, value_name = "FILE")]
        parts: Vec<PathBuf>,

        /// File to write, .safetensors or .npz
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
}

fn shard(text: &str) -> Result<Shard, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    let (output, stored) = match (&args.merge, &args.images, &args.output) {
        (Some(Merge::Merge { parts, output }), ..) => {
            check(output)?;
            (output, merge_statistics(parts, terminal)?)
        }
        (None, Some(images), Some(output)) => {
            let request = StatisticsRequest {
                images: images.clone(),
                shard: args.shard.unwrap_or_default(),
                rows: args.rows,
                spatial: args.spatial,
                features: args.features.request(),
            };
            check(output)?.check(&request)?;
            (output, statistics(&request, terminal)?.stored)
        }
        _ => unreachable!("clap requires images and an output"),
    };
    write_statistics(output, &stored)?;
    terminal.note(&line(&stored, output));
    Ok(())
}

/// The format of a file that can be written.
fn check(output: &Path) -> Result<StatisticsFormat> {
    let format = StatisticsFormat::of(output)?;
    check_writable(output)?;
    Ok(format)
}

fn line(stored: &Stored, output: &Path) -> String {
    let images = stored.set.count().map_or("images".into(), |n| format!("{n} images"));
    let convention = stored.convention.as_ref().map(|c| format!("; {c}")).unwrap_or_default();
    format!("statistics of {images} in `{}`{convention}", output.display())
}
