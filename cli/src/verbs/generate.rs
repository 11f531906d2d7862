//! `ganscope generate`: pictures of seeds.

use std::path::PathBuf;

use ganscope::latent::Seeds;
use ganscope::latents::pictures::{GridSize, PictureFiles, PicturesRequest, write_pictures};
use ganscope::{Error, Result, Watch as _};

use crate::arguments::{DrawingArgs, ModelArg, zoom};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope generate ffhq.pkl --seeds 85,265,297 --trunc 0.7 --outdir out
  ganscope generate biggan-deep-128 --seeds 0-15 --trunc 0.4 --class 'golden retriever' --grid 4x4
  ganscope generate cifar10.pkl --seeds 0-49999 --class each --outdir samples";

/// Generate a picture for each seed: the same as the published tools from the same file
///
/// A seed means `RandomState(seed).randn(1, z_dim)` for StyleGAN and a truncated normal of the same
/// stream for BigGAN. It has its picture whatever else is generated. The settings are written into
/// `generate.json` in the folder.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArg,

    /// Seeds, as `0,1,4-6`
    #[arg(long, allow_negative_numbers = true)]
    seeds: Seeds,

    /// Class of a conditional generator: number, name, or `each` for `seed mod classes`
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,

    /// Folder of the pictures, which are called `seed0000.png`
    #[arg(long, short = 'o', visible_alias = "output", default_value = "out", value_name = "DIR")]
    outdir: PathBuf,

    /// Also write a grid of the pictures, `COLUMNSxROWS`, beside the folder as `DIR-grid.png`
    #[arg(long, value_name = "WxH", value_parser = grid)]
    grid: Option<GridSize>,

    /// File of the grid, .png, instead of `DIR-grid.png`
    #[arg(long, value_name = "FILE", requires = "grid")]
    grid_output: Option<PathBuf>,

    /// Enlarge the pictures of the grid N times
    #[arg(long, default_value_t = 1, value_name = "N", requires = "grid", value_parser = zoom)]
    zoom: usize,

    #[command(flatten)]
    drawing: DrawingArgs,
}

fn grid(text: &str) -> Result<GridSize, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    let request = PicturesRequest {
        drawing: args.drawing.request(args.model.name(), args.class.as_deref()),
        seeds: args.seeds.clone(),
    };
    let files = PictureFiles {
        outdir: args.outdir.clone(),
        grid: args.grid,
        grid_output: args.grid_output.clone(),
        zoom: args.zoom,
    };
    let found = write_pictures(&request, &files, terminal)?;
    let count = request.seeds.len();
    let pictures = if count == 1 { "picture" } else { "pictures" };
    let grid = found.grid.map(|path| format!(", grid in `{}`", path.display())).unwrap_or_default();
    terminal.note(&format!("{count} {pictures} in `{}`{grid}", files.outdir.display()));
    Ok(())
}
