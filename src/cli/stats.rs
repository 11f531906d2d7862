//! `ganscope stats`: statistics of a set, to score against later.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use ganscope_stats::Needs;
use ganscope_stats::files::{self, Stored};

use super::extract::{ExtractArgs, Shard};
use super::terminal::Terminal;
use crate::hint::advised;
use crate::{cache, extraction};

const EXAMPLES: &str = "\
Examples:
  ganscope stats photos/ -o photos.safetensors
  ganscope stats photos.zip -o photos.npz                for pytorch-fid, clean-fid, EDM2
  ganscope stats photos/ -o part3.safetensors --shard 3/16
  ganscope stats merge part*.safetensors -o photos.safetensors";

/// Writes mean and covariance of a set's features, to score against later
///
/// `.npz` is what pytorch-fid, clean-fid, TTUR and EDM2 read. `.safetensors` is ours: it keeps the
/// count and the convention, and parts of a set can be merged exactly.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    merge: Option<Verb>,

    #[command(flatten)]
    make: MakeArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Merges statistics of parts into those of the whole
    Merge {
        /// Files of `ganscope stats`
        #[arg(required = true, value_name = "FILE")]
        parts: Vec<PathBuf>,

        /// File to write, .safetensors or .npz
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct MakeArgs {
    /// Folder, archive or npz of images
    #[arg(required = true)]
    images: Option<PathBuf>,

    /// File to write, .safetensors or .npz
    #[arg(long, short, value_name = "FILE", required = true)]
    output: Option<PathBuf>,

    /// Take one part of the set: 3/16 is the third of sixteen
    #[arg(long, value_name = "PART/PARTS")]
    shard: Option<Shard>,

    /// Keep the features of each image too, for KID and precision/recall (.safetensors only)
    #[arg(long)]
    rows: bool,

    /// Add the spatial features of sFID
    #[arg(long)]
    spatial: bool,

    #[command(flatten)]
    extract: ExtractArgs,
}

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    match (&args.merge, &args.make.images, &args.make.output) {
        (Some(Verb::Merge { parts, output }), _, _) => merge(parts, output, terminal),
        (None, Some(images), Some(output)) => make(images, output, &args.make, terminal),
        _ => bail!("images and an output are needed"),
    }
}

fn make(images: &Path, output: &Path, args: &MakeArgs, terminal: &Terminal) -> Result<()> {
    let npz = is_npz(output)?;
    let mut needs = Needs::STATS;
    if args.rows {
        if npz {
            return Err(advised("an npz of statistics has no rows", "write .safetensors"));
        }
        needs = needs | Needs::FEATURES | Needs::LOGITS;
    }
    if args.spatial {
        needs = needs | Needs::SPATIAL;
    }
    let set = args.extract.images(images)?;
    cache::check_writable(output)?;
    let open = args.extract.open(needs, None, terminal)?;
    let name = images.display().to_string();
    let shard = args.shard.unwrap_or(Shard::WHOLE);
    let (store, _) = args.extract.rows((&name, &set), shard, &open, terminal)?;
    let set = extraction::collect(store.into(), needs)?;
    let stored = Stored { set, convention: Some(open.convention) };
    write(output, &stored, terminal)
}

fn merge(parts: &[PathBuf], output: &Path, terminal: &Terminal) -> Result<()> {
    is_npz(output)?;
    let mut whole: Option<Stored> = None;
    for path in parts {
        let part = files::read(path)?;
        whole = Some(match whole {
            None => part,
            Some(mut whole) => {
                let merged = || format!("merge `{}`", path.display());
                if let (Some(a), Some(b)) = (&whole.convention, &part.convention) {
                    a.check(b).with_context(merged)?;
                }
                whole.set.merge(part.set).with_context(merged)?;
                whole
            }
        });
    }
    write(output, &whole.expect("clap wants one part at least"), terminal)
}

fn write(output: &Path, stored: &Stored, terminal: &Terminal) -> Result<()> {
    if is_npz(output)? {
        files::write_npz(output, &stored.set)?;
    } else {
        files::write(output, stored)?;
    }
    let count = stored.set.count().map_or("?".into(), |n| n.to_string());
    let convention = stored.convention.as_ref().map(|c| format!("; {c}")).unwrap_or_default();
    terminal.note(&format!("{count} images to {}{convention}", output.display()));
    Ok(())
}

fn is_npz(path: &Path) -> Result<bool> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("npz") => Ok(true),
        Some("safetensors") => Ok(false),
        _ => Err(advised(
            format!("`{}` has neither of the extensions of statistics", path.display()),
            "name the file .safetensors (exact, mergeable) or .npz (for other tools)",
        )),
    }
}
