//! `ganscope path-length`: how evenly a generator moves.

use ganscope::catalog;
use ganscope::latent::{PathSpace, Sampling};
use ganscope::latents::path_length::{PathLengthReport, PathLengthRequest, path_length};
use ganscope::{Result, Watch as _};

use crate::arguments::{DrawingArgs, ModelArg, names};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope path-length ffhq.pkl --num 50000                    ppl2_wend of StyleGAN2
  ganscope path-length ffhq.pkl --space z --sampling full --crop
  ganscope path-length biggan-deep-128 --class 207 --trunc 0.5 --distance inception";

/// Measure the perceptual path length: distance of images a small step apart, over the squared step
///
/// With LPIPS this is the published measure; with the features of an extractor it has another scale and
/// serves comparisons alone. Images are not rounded to bytes. The length is the mean over the paths
/// between their 1st and 99th percentile, ± its standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArg,

    /// Number of paths; published results have 50000
    #[arg(long, default_value_t = PathLengthRequest::default().num, value_name = "N")]
    num: usize,

    /// Space of the path: `z` for arcs between latents, `w` for lines between styles
    #[arg(long, default_value_t = PathLengthRequest::default().space, value_name = "NAME")]
    space: PathSpace,

    /// Where on the path the step is taken: `full` for anywhere, `end` for its start
    #[arg(long, default_value_t = PathLengthRequest::default().sampling, value_name = "NAME")]
    sampling: Sampling,

    /// Distance of images: `lpips`, or the features of an extractor
    #[arg(long, default_value = "lpips", value_name = "NAME", value_parser = names(catalog::DISTANCES.iter().map(|d| d.name)))]
    distance: String,

    /// Class of a conditional generator: number or name
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,

    /// Crop to the face region of aligned photos of faces
    #[arg(long)]
    crop: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Length of the step, as a part of the path
    #[arg(long, default_value_t = PathLengthRequest::default().epsilon, value_name = "LENGTH", hide_short_help = true)]
    epsilon: f64,

    /// Seed of the first path; path i has this seed plus i
    #[arg(long, default_value_t = 0, hide_short_help = true)]
    seed: u32,

    /// Weights of the distance, instead of the known ones
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    weights: Option<String>,

    #[command(flatten)]
    drawing: DrawingArgs,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    let request = PathLengthRequest {
        drawing: args.drawing.request(args.model.name(), args.class.as_deref()),
        space: args.space,
        sampling: args.sampling,
        num: args.num,
        epsilon: args.epsilon,
        seed: args.seed,
        crop: args.crop,
        distance: args.distance.clone(),
        weights: args.weights.clone(),
    };
    let report = path_length(&request, terminal)?;
    if args.json {
        return terminal.json(&report, std::path::Path::new("-"));
    }
    terminal.data(&print(&report))?;
    let PathLengthReport { paths, space, sampling, epsilon, distance, .. } = &report;
    terminal.note(&format!(
        "{paths} paths in {space}, {sampling}, step {epsilon:e}; {distance}; mean between the 1st and \
         99th percentile, ± its standard error"
    ));
    Ok(())
}

fn print(report: &PathLengthReport) -> String {
    let error = report.standard_error.map(|error| format!(" ± {error:.4}")).unwrap_or_default();
    format!("{:.4}{error}\n", report.path_length)
}
