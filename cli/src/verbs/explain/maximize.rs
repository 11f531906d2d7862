//! `ganscope explain maximize`: what a class or a unit looks like to the network.

use std::path::PathBuf;

use ganscope::explain::maximize::{MaximizeRequest, Maximized, maximize};
use ganscope::files::check_picture;
use ganscope::images::save_png;
use ganscope::{Result, Watch as _};

use super::{NetworkArgs, TargetArgs};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope explain maximize --class each --model fashion-cnn -o classes.png
  ganscope explain maximize --unit 3 --layer features.4 --model vgg16 -o unit.png";

/// Find the image that a class or a unit answers to most: class appearance
///
/// Gradient ascent from faint noise on the logit, minus penalties on the length of the image and on
/// its roughness. The images need not look like anything to people; `explain latent` keeps to pictures
/// that a generator can make.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    target: TargetArgs,

    /// Picture to write (.png)
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    network: NetworkArgs,

    #[command(flatten)]
    ascent: AscentArgs,
}

/// How the ascent goes.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Ascent")]
struct AscentArgs {
    /// Steps of the ascent
    #[arg(long, value_name = "N", default_value_t = 300)]
    steps: usize,

    /// Length of a step, as a root mean square over the image
    #[arg(long, value_name = "X", default_value_t = 0.05, hide_short_help = true)]
    rate: f64,

    /// Weight of the squared length of the image
    #[arg(long, value_name = "X", default_value_t = 1e-4, hide_short_help = true)]
    decay: f64,

    /// Weight of the total variation
    #[arg(long, value_name = "X", default_value_t = 0.0, hide_short_help = true)]
    variation: f64,

    /// Largest shift of the image at each step, in pixels
    #[arg(long, value_name = "N", default_value_t = 1, hide_short_help = true)]
    jitter: usize,

    /// Standard deviation of a blur after each step, in pixels
    #[arg(long, value_name = "X", default_value_t = 0.4, hide_short_help = true)]
    blur: f64,

    /// Seed of the noise and of the shifts
    #[arg(long, default_value_t = 0, hide_short_help = true)]
    seed: u32,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    check_picture(&args.output)?;
    let AscentArgs { steps, rate, decay, variation, jitter, blur, seed } = args.ascent;
    let request = MaximizeRequest {
        target: args.target.request(),
        classifier: args.network.request(None),
        steps,
        rate,
        decay,
        variation,
        jitter,
        blur,
        seed,
    };
    let found = maximize(&request, terminal)?;
    for one in &found {
        terminal.data(&format!("{}: {}\n", one.title, one.answer))?;
    }
    save_png(&args.output, &Maximized::sheet(&found).image()?)?;
    terminal.note(&format!("see `{}`", args.output.display()));
    Ok(())
}
