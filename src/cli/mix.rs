//! `ganscope mix`: the table of a style mix.

use std::path::PathBuf;

use anyhow::Result;
use candle_core::Tensor;
use ganscope_images::{Image, grid, save_png};
use ganscope_latent::{Seeds, Styles, mix_table};

use super::model::ModelArgs;
use super::output::{Output, zoom};
use super::terminal::Terminal;
use crate::captions;
use crate::generators::render;
use crate::hint::advised;

const EXAMPLES: &str = "\
Examples:
  ganscope mix ffhq.pkl --rows 85,100,75 --cols 55,821,1789 --styles 0-6 -o mix.png
  ganscope mix biggan-deep-256.bin --rows 1-3 --cols 4-6 --styles 0-3 --class 207 -o mixed/";

/// Mixes styles: each row's picture with some style inputs taken from each column's
///
/// Low styles are coarse (pose, shape), high ones fine (colour). The first row and the first column
/// of the table show the unmixed pictures.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// Seeds of the rows, as `85,100,75-77`
    #[arg(long)]
    rows: Seeds,

    /// Seeds of the columns, whose styles are taken
    #[arg(long)]
    cols: Seeds,

    /// Style inputs that come from the column
    #[arg(long, default_value = "0-6")]
    styles: Styles,

    /// Class of a conditional generator: number, name, or `each` for `seed mod classes`
    #[arg(long)]
    class: Option<String>,

    /// Make the pictures of the table N times as large
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = zoom())]
    zoom: u16,

    /// A `.png` for the table, or a folder for `ROW-COL.png` each and the table as `grid.png`
    #[arg(long, short, value_name = "PATH")]
    output: PathBuf,
}

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    let output = Output::new(&args.output)?;
    if let Output::Gif(path) | Output::Webp(path) = &output {
        return Err(advised(
            format!("`{}`: a table does not move", path.display()),
            "end the name in `.png`, or give a folder",
        ));
    }
    let open = args.model.open(terminal)?;
    let generator = &*open.generator;
    let class = ModelArgs::class(&open, args.class.as_deref())?;
    let sampler = args.model.sampler(&open, class)?;
    let (row_seeds, col_seeds) = (args.rows.to_vec(), args.cols.to_vec());
    let (rows, cols) = (sampler.ws(generator, &row_seeds)?, sampler.ws(generator, &col_seeds)?);
    let table = mix_table(&rows, &cols, &args.styles.0)?.collect::<Result<Vec<_>, _>>()?;

    // Every latent once: the columns, the rows, then the table row by row.
    let all = Tensor::cat(&[cols, rows, Tensor::cat(&table, 0)?], 0)?;
    let count = all.dim(0)?;
    let bar = terminal.bar(count, "pictures");
    let mut pictures = Vec::with_capacity(count);
    // The same noise everywhere, so that only the styles differ.
    let batch = args.model.batch;
    let synthesis = ganscope_model::Synthesis { noise_seeds: vec![0; batch], ..sampler.synthesis };
    for start in (0..count).step_by(batch) {
        let part = all.narrow(0, start, batch.min(count - start))?;
        pictures.extend(render(generator, &part, &synthesis, batch)?);
        bar.set_position(pictures.len() as u64);
    }
    bar.finish_and_clear();

    let (width, height) = (pictures[0].width, pictures[0].height);
    let (headers, rest) = pictures.split_at(col_seeds.len());
    let (labels, mixed) = rest.split_at(row_seeds.len());
    if let Output::Folder(folder) = &output {
        for (i, picture) in mixed.iter().enumerate() {
            let (row, col) = (row_seeds[i / col_seeds.len()], col_seeds[i % col_seeds.len()]);
            save_png(&folder.join(format!("{row}-{col}.png")), picture)?;
        }
    }
    let mut cells = vec![Image::filled(width, height, [0; 3])];
    cells.extend_from_slice(headers);
    for (label, row) in labels.iter().zip(mixed.chunks(col_seeds.len())) {
        cells.push(label.clone());
        cells.extend_from_slice(row);
    }
    let path = match &output {
        Output::Folder(folder) => folder.join("grid.png"),
        _ => args.output.clone(),
    };
    let table = grid(&cells, col_seeds.len() + 1, 0, [0; 3]);
    save_png(&path, &captions::enlarged(&table, args.zoom.into()))?;
    let (r, c) = (row_seeds.len(), col_seeds.len());
    terminal.note(&format!("{r} x {c} mixed pictures in `{}`", args.output.display()));
    Ok(())
}
