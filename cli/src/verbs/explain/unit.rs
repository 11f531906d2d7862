//! `ganscope explain unit`: what a unit answers to.

use std::path::PathBuf;

use ganscope::explain::units::{UnitRequest, unit_patches};
use ganscope::files::check_picture;
use ganscope::images::save_png;
use ganscope::{Result, Watch as _};

use super::NetworkArgs;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope explain unit photos/ --layer layer3 --unit 7 --model resnet18 -o unit.png";

/// Show the patches of images that a unit answers to most
///
/// A unit is a channel of a layer. Each image gives the patch that the unit sees where its activation
/// is largest.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Images, or folders or archives of images
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,

    /// Layer of the unit
    #[arg(long, value_name = "NAME")]
    layer: String,

    /// Channel of the layer
    #[arg(long, value_name = "N")]
    unit: usize,

    /// Picture to write (.png)
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Patches that are shown
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,

    #[command(flatten)]
    network: NetworkArgs,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    check_picture(&args.output)?;
    let request = UnitRequest {
        images: args.images.clone(),
        classifier: args.network.request(None),
        layer: args.layer.clone(),
        unit: args.unit,
        top: args.top,
    };
    let found = unit_patches(&request, terminal)?;
    for patch in &found.patches {
        terminal.data(&format!("{:10.4} {}\n", patch.activation, patch.name))?;
    }
    save_png(&args.output, &found.sheet().image()?)?;
    terminal.note(&format!("see `{}`", args.output.display()));
    Ok(())
}
