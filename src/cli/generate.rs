//! `ganscope generate`: pictures of seeds.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, ensure};
use ganscope_images::{grid, save_png};
use ganscope_latent::Seeds;

use super::model::ModelArgs;
use super::output::{make_folder, zoom};
use super::terminal::Terminal;
use crate::captions;
use crate::generators::to_images;

const EXAMPLES: &str = "\
Examples:
  ganscope generate ffhq.pkl --seeds 85,265,297 --trunc 0.7 --outdir out
  ganscope generate biggan-deep-128.bin --seeds 0-15 --trunc 0.4 --class 'golden retriever' --grid 4x4
  ganscope generate cifar10.pkl --seeds 0-49999 --class each --outdir samples";

/// Generates a picture for each seed: the same as the published tools from the same file
///
/// A seed means `RandomState(seed).randn(1, z_dim)` for StyleGAN and a truncated normal of the same
/// stream for BigGAN; it gives its picture whatever else is generated.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// Seeds, as `0,1,4-6`
    #[arg(long)]
    seeds: Seeds,

    /// Class of a conditional generator: number, name, or `each` for `seed mod classes`
    #[arg(long)]
    class: Option<String>,

    /// Folder of the pictures, which are called `seed0000.png`
    #[arg(long, default_value = "out", value_name = "DIR")]
    outdir: PathBuf,

    /// Also write them side by side into `grid.png`, `COLUMNSxROWS`
    #[arg(long, value_name = "WxH")]
    grid: Option<Cells>,

    /// Make the pictures of the grid N times as large
    #[arg(long, default_value_t = 1, value_name = "N", requires = "grid", value_parser = zoom())]
    zoom: u16,
}

/// Columns and rows of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cells(usize, usize);

impl FromStr for Cells {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.parse().ok().filter(|&n| n > 0);
        let pair = text.split_once('x').and_then(|(w, h)| Some(Self(number(w)?, number(h)?)));
        pair.ok_or_else(|| "expected columns and rows, as `8x4`".to_owned())
    }
}

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    let count = args.seeds.len();
    if let Some(Cells(columns, rows)) = args.grid {
        let cells = columns.saturating_mul(rows);
        ensure!(count <= cells, "{count} seeds for the {cells} cells of a {columns}x{rows} grid");
    }
    make_folder(&args.outdir)?;
    let open = args.model.open(terminal)?;
    let generator = &*open.generator;
    let class = ModelArgs::class(&open, args.class.as_deref())?;
    let sampler = args.model.sampler(&open, class)?;
    let bar = terminal.bar(count, "pictures");
    let mut cells = Vec::new();
    for batch in sampler.stream(generator, args.seeds.iter(), args.model.batch) {
        let batch = batch?;
        for (seed, picture) in batch.seeds.iter().zip(to_images(&batch.images, &generator.info())?)
        {
            save_png(&args.outdir.join(format!("seed{seed:04}.png")), &picture)?;
            bar.inc(1);
            if args.grid.is_some() {
                cells.push(captions::enlarged(&picture, args.zoom.into()));
            }
        }
    }
    bar.finish_and_clear();
    if let Some(Cells(columns, _)) = args.grid {
        save_png(&args.outdir.join("grid.png"), &grid(&cells, columns, 0, [255; 3]))?;
    }
    let pictures = if count == 1 { "picture" } else { "pictures" };
    terminal.note(&format!("{count} {pictures} in `{}`", args.outdir.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_columns_by_rows() {
        assert_eq!("8x4".parse::<Cells>().unwrap(), Cells(8, 4));
        for wrong in ["8", "8x", "0x4", "8x-1", "8*4", ""] {
            assert!(wrong.parse::<Cells>().is_err(), "{wrong}");
        }
    }
}
