//! `ganscope interpolate`: walks between seeds.

use std::path::PathBuf;

use ganscope::catalog;
use ganscope::latent::{Seeds, Space, Summary};
use ganscope::latents::walk::{Walk, WalkRequest, WalkStyle, digits, write_walk};
use ganscope::{Result, Watch as _};

use crate::arguments::{DrawingArgs, ModelArg, names, zoom};
use crate::table::Table;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope interpolate ffhq.pkl --seeds 85,265 -o rows.png
  ganscope interpolate ffhq.pkl --seeds 1-6 --steps 60 --spaces w-spline --closed -o walk.webp
  ganscope interpolate biggan-deep-256 --seeds 7 --class beagle --class goldfish -o classes.png
  ganscope interpolate ffhq.pkl --seeds 85,265 --steps 99 --perceptual inception -o frames/";

/// Walk from seed to seed in several spaces, one under the other, between the same end points
///
/// Z is bent to fit the density of the data, W is not; the lengths of the steps, which are printed for
/// each space, show it. Spaces in which the walk is the same share a row. Moving pictures and frames
/// have the rows side by side.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArg,

    /// Seeds that are passed, as `85,265`
    #[arg(long, allow_negative_numbers = true)]
    seeds: Seeds,

    /// A `.png` with a row for each space, a moving `.gif` or `.webp`, or a folder of frames
    #[arg(long, short, visible_alias = "outdir", value_name = "PATH")]
    output: PathBuf,

    /// Class of a conditional generator, by number or name: one for all seeds, or one for each; or
    /// `each` for `seed mod classes`. With one seed, the classes are walked through
    #[arg(long, value_name = "CLASS")]
    class: Vec<String>,

    /// Pictures from one seed to the next, both included
    #[arg(long, default_value_t = WalkRequest::default().steps, visible_alias = "w-frames", value_name = "N")]
    steps: usize,

    /// Spaces, separated by commas: `z`, `z-slerp`, `w`, and `w-spline` for closed walks
    #[arg(long, default_value = "z,z-slerp,w", value_delimiter = ',', value_name = "NAMES")]
    spaces: Vec<Space>,

    /// Return to the first seed
    #[arg(long)]
    closed: bool,

    /// Enlarge the pictures N times [default: small ones to 64 pixels, in frames to 128]
    #[arg(long, value_name = "N", value_parser = zoom)]
    zoom: Option<usize>,

    /// Frames per second of a moving picture
    #[arg(long, default_value_t = WalkStyle::default().fps, value_name = "N")]
    fps: f64,

    /// Leave out the captions, and the pictures at their size
    #[arg(long)]
    no_captions: bool,

    /// Measure steps by this distance instead of in pixels: `lpips`, or the features of an extractor
    #[arg(id = "distance", long = "perceptual", visible_alias = "distance", value_name = "NAME", value_parser = names(catalog::DISTANCES.iter().map(|d| d.name)))]
    distance: Option<String>,

    /// Weights of that network, instead of the known ones
    #[arg(long, value_name = "FILE", requires = "distance")]
    weights: Option<String>,

    #[command(flatten)]
    drawing: DrawingArgs,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    let request = WalkRequest {
        drawing: args.drawing.request(args.model.name(), None),
        seeds: args.seeds.clone(),
        class: args.class.clone(),
        steps: args.steps,
        spaces: args.spaces.clone(),
        closed: args.closed,
        distance: args.distance.clone(),
        weights: args.weights.clone(),
    };
    let style = WalkStyle { captions: !args.no_captions, zoom: args.zoom, fps: args.fps };
    let walk = write_walk(&request, &style, &args.output, terminal)?;
    terminal.data(&print(&walk))?;
    let (pictures, steps) = walk.counts();
    let path = args.output.display();
    let is_png = args.output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    let (count, what) = match (is_png, walk.closed) {
        (true, _) => (pictures, "pictures"),
        (false, false) => (pictures, "frames"),
        // The last picture is the first again.
        (false, true) => (steps, "frames"),
    };
    terminal.note(&format!("{count} {what}, {steps} steps in `{path}`"));
    Ok(())
}

/// A line for each row.
fn print(walk: &Walk) -> String {
    let mut table = Table::new();
    let path = format!("path ({})", walk.meter);
    let head = ["space", "steps", &path, "mean step", "longest", "longest / mean"];
    table.row(head.map(str::to_owned));
    for row in &walk.rows {
        let Summary { sum, mean, longest } = row.summary();
        let numbers = [sum, mean, longest, longest / mean].map(digits);
        table.row([row.name(), row.lengths.len().to_string()].into_iter().chain(numbers));
    }
    table.right(&[1, 2, 3, 4, 5]).print()
}
