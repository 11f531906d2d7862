//! `ganscope explain fid`: which images make a distance what it is, and which of their pixels.

use std::fmt::Write as _;
use std::path::PathBuf;

use ganscope::files::make_folder;
use ganscope::score::leave_one_out::{Contributions, LeaveOneOutRequest, leave_one_out};
use ganscope::{Result, Watch as _};

use crate::arguments::FeatureArgs;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope explain fid samples/ --reference photos/ -o report/
  ganscope explain fid samples/ --reference fashion-test --top 10 -o report/";

/// Tell which images make FID, and the Inception Score, what they are
///
/// The contribution of an image is the distance of the set minus that of the set without it, in closed
/// form. The folder gets a page with the worst and the best images by distance, by Inception Score and
/// by realism, heat maps of the pixels that raise the distance, and a table of all images.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Generated images
    #[arg(value_name = "GENERATED")]
    generated: String,

    /// Reference set: real images, or their statistics
    #[arg(long, short, value_name = "REF")]
    reference: String,

    /// Folder to write
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    /// Images in each list
    #[arg(long, value_name = "N", default_value_t = 25)]
    top: usize,

    /// Images with heat maps
    #[arg(long, value_name = "N", default_value_t = 6)]
    heat: usize,

    /// Neighbors of realism in the reference
    #[arg(long, value_name = "K", default_value_t = 3, hide_short_help = true)]
    nearest_k: usize,

    /// Compare sets even if their conventions differ
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    features: FeatureArgs,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    let request = LeaveOneOutRequest {
        generated: args.generated.clone(),
        reference: args.reference.clone(),
        top: args.top,
        heat: args.heat,
        nearest_k: args.nearest_k,
        features: args.features.request(),
        force: args.force,
    };
    make_folder(&args.output)?;
    let found = leave_one_out(&request, terminal)?;
    found.write(&args.output)?;
    terminal.data(&print(&found))?;
    terminal.note(&format!("see `{}`", args.output.join("report.html").display()));
    Ok(())
}

/// The distance and the worst images.
fn print(found: &Contributions) -> String {
    let Contributions { title, distance, top, without_worst, .. } = found;
    let mut text = format!("{title} {distance:.6}, without the {top} worst {without_worst:.6}\n");
    for (rank, i) in found.worst().into_iter().take(*top).enumerate() {
        let image = &found.images[i];
        writeln!(text, "{:4} {:+.6} {}", rank + 1, image.distance, image.name)
            .expect("writing to a string");
    }
    text
}
