//! `ganscope explain latent`: the picture of a generator that a class or a unit answers to most.

use std::path::PathBuf;

use ganscope::explain::latent::{AscentSpace, LatentMaximized, LatentRequest, maximize_latent};
use ganscope::files::check_picture;
use ganscope::images::save_png;
use ganscope::latent::Seeds;
use ganscope::latents::DrawingRequest;
use ganscope::{Result, Watch as _};

use super::{NetworkArgs, TargetArgs};
use crate::arguments::GeneratorArgs;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope explain latent fashion-biggan --class each -o best.png
  ganscope explain latent biggan-deep-256.bin --class tabby --model resnet18 -o tabby.png";

/// Find the picture of a generator that a class or a unit answers to most
///
/// Gradient ascent in the latents of the generator, on the logit minus a penalty on unlikely latents:
/// the result is a picture that the generator can make.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Generator: a shipped model, an id of `ganscope list`, `hub:OWNER/REPO/FILE`, or a file
    #[arg(value_name = "GENERATOR")]
    generator: String,

    #[command(flatten)]
    target: TargetArgs,

    /// Picture to write (.png)
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    network: NetworkArgs,

    #[command(flatten)]
    ascent: AscentArgs,

    /// Class of a conditional generator [default: the class that is sought]
    #[arg(long, value_name = "N|NAME")]
    generator_class: Option<String>,

    /// Truncation under which latents are drawn and moved
    #[arg(
        id = "truncation",
        long = "trunc",
        visible_alias = "psi",
        default_value_t = 1.0,
        value_name = "PSI",
        allow_negative_numbers = true
    )]
    truncation: f64,

    #[command(flatten)]
    drawing: GeneratorArgs,
}

/// How the ascent goes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Ascent")]
struct AscentArgs {
    /// Seeds of the latents; the ascent starts from the four that the classifier answers to most
    #[arg(long, default_value = "0-63")]
    seeds: Seeds,

    /// Latents that are moved: `z`, or `w`, one for all layers
    #[arg(long, default_value = "z", value_name = "NAME")]
    space: AscentSpace,

    /// Steps of the ascent
    #[arg(long, value_name = "N", default_value_t = 100)]
    steps: usize,

    /// Length of the first step, as a share of the distance of the start from the mean latent
    #[arg(long, value_name = "X", default_value_t = 0.1, hide_short_help = true)]
    rate: f64,

    /// Weight of the squared distance from the mean latent
    #[arg(long, value_name = "X", default_value_t = 0.02, hide_short_help = true)]
    decay: f64,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    check_picture(&args.output)?;
    let AscentArgs { seeds, space, steps, rate, decay } = args.ascent.clone();
    let drawing = args.drawing.request(&args.generator, args.generator_class.as_deref());
    let request = LatentRequest {
        generator: DrawingRequest { truncation: args.truncation, ..drawing },
        target: args.target.request(),
        classifier: args.network.request(None),
        space,
        steps,
        rate,
        decay,
        seeds,
    };
    let found = maximize_latent(&request, terminal)?;
    for one in &found {
        terminal.data(&format!("{}, seed {}: {}\n", one.title, one.seed, one.start.answer))?;
        terminal.data(&format!("{}: {}\n", one.title, one.end.answer))?;
    }
    save_png(&args.output, &LatentMaximized::sheet(&found).image()?)?;
    terminal.note(&format!("see `{}`", args.output.display()));
    Ok(())
}
