//! `ganscope explain unit`: what a unit answers to.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use ganscope_explain::receptive_field;
use ganscope_images::{Image, save_png};
use ganscope_model::{Engine, FeatureMap};

use super::NetworkArgs;
use super::image::images;
use crate::cache;
use crate::captions::enlarged;
use crate::cli::terminal::Terminal;
use crate::hint::advised;
use crate::sheet::{Cell, Sheet, number};

/// Patches are enlarged to about so many pixels a side.
const SIDE: usize = 128;
/// Patches in a row.
const COLUMNS: usize = 5;

/// Shows the patches of images that a unit answers to most
///
/// A unit is a channel of a layer. Each image gives the patch that the unit sees where its activation
/// is largest.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Images, or folders or archives of images
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// Layer of the unit
    #[arg(long, value_name = "NAME")]
    layer: String,

    /// Channel of the layer
    #[arg(long, value_name = "N")]
    unit: usize,

    /// Patches that are shown
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,

    /// Picture to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    network: NetworkArgs,
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    ensure!(args.top > 0, "--top must be at least 1");
    cache::check_writable(&args.output)?;
    let set = images(&args.images)?;
    let open = args.network.open(None, terminal)?;
    let (layer, unit) = (open.layer(&args.layer)?, args.unit);
    let network = &open.classifier().network;
    let size = open.classifier().input_size;
    let count = network.shapes(size, size)?[layer.index()].c;
    if unit >= count {
        let message = format!("no unit {unit} in layer `{}`", args.layer);
        return Err(advised(message, format!("there are 0 to {}", count - 1)));
    }
    let engine = Engine::new(network.clone(), &[layer]);
    let bar = terminal.bar(set.len(), "images");
    let mut best: Vec<(f32, Cell)> = Vec::new();
    for (path, set, index) in &set {
        let image =
            set.get(*index).map_err(|error| super::image::unreadable(path, &error.into()))?;
        let prepared = open.explainer.prepare(&image.image)?;
        let map = engine.run(&prepared.input.data, (1, size, size))?.swap_remove(0);
        let (place, value) = largest(&map, unit);
        let [rows, columns] = receptive_field(network, layer, [size; 2], place)?;
        let patch = cut(&prepared.picture, rows, columns);
        let times = (SIDE / patch.width.max(patch.height).max(1)).max(1);
        let note = number(f64::from(value));
        best.push((value, Cell::new(enlarged(&patch, times), set.name(*index), note)));
        // Of equal ones the first stays in front.
        best.sort_by(|a, b| b.0.total_cmp(&a.0));
        best.truncate(args.top);
        bar.inc(1);
    }
    bar.finish_and_clear();
    for (value, cell) in &best {
        terminal.data(&format!("{value:10.4} {}\n", cell.caption))?;
    }
    let title = format!("unit {unit} of {}", args.layer);
    let cells = best.into_iter().map(|(_, cell)| cell).collect();
    let sheet = Sheet { title, legend: String::new(), columns: COLUMNS, cells };
    save_png(&args.output, &sheet.draw()?)?;
    terminal.note(&format!("see `{}`", args.output.display()));
    Ok(())
}

/// Place and value of the largest activation of a channel.
fn largest(map: &FeatureMap, unit: usize) -> ([usize; 2], f32) {
    let values = map.data.iter().skip(unit).step_by(map.shape.c).copied().enumerate();
    let first = (0, f32::NEG_INFINITY);
    let (pixel, value) = values.fold(first, |best, one| if one.1 > best.1 { one } else { best });
    ([pixel / map.shape.w, pixel % map.shape.w], value)
}

/// A part of a picture.
fn cut(picture: &Image, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> Image {
    let (width, height) = (columns.len(), rows.len());
    let row = |y: usize| &picture.pixels[3 * (y * picture.width + columns.start)..][..3 * width];
    Image { width, height, pixels: rows.flat_map(row).copied().collect() }
}
