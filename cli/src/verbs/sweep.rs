//! `ganscope sweep`: scores at many truncations.

use std::path::PathBuf;

use ganscope::latent::Truncations;
use ganscope::latents::DrawingRequest;
use ganscope::score::sweep::SweepRequest;
use ganscope::score::sweep::figures::{SweepFiles, write_sweep};
use ganscope::{Result, Watch as _};

use crate::arguments::{FeatureArgs, GeneratorArgs, MetricArgs, ModelArg};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope sweep fashion-stylegan2 --reference fashion-test -o sweep/
  ganscope sweep ffhq.pkl --trunc 0.3:1.0:0.1 --num 10000 --reference ffhq-256.zip -o sweep/
  ganscope sweep biggan-deep-128 --class 'golden retriever' --reference retrievers/ -o sweep/";

/// Generate and score at many truncations: curves, a table, samples, one page
///
/// Images go from the generator to the extractor without touching the disk. A sweep that was stopped
/// continues where it was.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    mut_arg("num", |arg| arg.help("Images at each truncation [default: 5000]"))
)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArg,

    /// Reference set: real images, or their statistics
    #[arg(long, short, value_name = "REF")]
    reference: String,

    /// Folder to write: tables, curves, samples, `report.html`
    #[arg(long, short, visible_alias = "outdir", value_name = "DIR")]
    output: PathBuf,

    /// Truncations: values and ranges FROM:TO:STEP, separated by commas
    #[arg(
        id = "truncations",
        long = "trunc",
        visible_alias = "psi",
        default_value = "0.1:1.0:0.1",
        value_name = "LIST",
        allow_hyphen_values = true
    )]
    truncations: Truncations,

    /// Metrics, separated by commas (`ganscope list metrics`)
    #[arg(long, short, value_delimiter = ',', default_value = "is,fid,prdc", value_name = "NAMES")]
    metrics: Vec<String>,

    /// Class of a conditional generator: number, name, or `each` for `seed mod classes`
    /// [default: each]
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,

    /// Replace the sweep of other settings in the folder
    #[arg(long)]
    overwrite: bool,

    /// First seed; image i has this seed plus i
    #[arg(long, default_value_t = 0, value_name = "SEED", hide_short_help = true)]
    first_seed: u32,

    /// Samples in a row of the grid
    #[arg(long, default_value_t = SweepRequest::default().columns, value_name = "N", hide_short_help = true)]
    columns: usize,

    /// Images that are generated together; does not affect results
    #[arg(long, default_value_t = SweepRequest::default().drawing.batch, value_name = "N", hide_short_help = true)]
    generate_batch: usize,

    /// Compare sets even if their conventions differ
    #[arg(long, hide_short_help = true)]
    force: bool,

    #[command(flatten)]
    generator: GeneratorArgs,

    #[command(flatten)]
    features: FeatureArgs,

    #[command(flatten)]
    options: MetricArgs,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    let features = args.features.request();
    let request = SweepRequest {
        drawing: DrawingRequest {
            batch: args.generate_batch,
            device: features.device.clone(),
            ..args.generator.request(args.model.name(), args.class.as_deref())
        },
        truncations: args.truncations.0.clone(),
        reference: args.reference.clone(),
        metrics: args.metrics.clone(),
        options: args.options.options(),
        features,
        first_seed: args.first_seed,
        columns: args.columns,
        force: args.force,
    };
    let files = SweepFiles { output: args.output.clone(), overwrite: args.overwrite };
    let sweep = write_sweep(&request, &files, terminal)?;
    terminal.data(&sweep.csv())?;
    terminal.note(&format!("see `{}`", args.output.join("report.html").display()));
    Ok(())
}
