//! `ganscope mix`: the table of a style mix.

use std::path::PathBuf;

use ganscope::latent::{Seeds, Styles};
use ganscope::latents::mix::{MixFiles, MixRequest, write_mix};
use ganscope::{Result, Watch as _};

use crate::arguments::{DrawingArgs, ModelArg, zoom};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope mix ffhq.pkl --rows 85,100,75 --cols 55,821,1789 --styles 0-6 -o mix.png
  ganscope mix biggan-deep-256 --rows 1-3 --cols 4-6 --styles 0-3 --class 207 -o mixed/";

/// Mix styles: the picture of each row with some style inputs taken from each column
///
/// Low styles are coarse (pose, shape), high ones fine (color). The first row and the first column of
/// the table show the unmixed pictures.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArg,

    /// Seeds of the rows, as `85,100,75-77`
    #[arg(long, value_name = "SEEDS", allow_negative_numbers = true)]
    rows: Seeds,

    /// Seeds of the columns, whose styles are taken
    #[arg(long, value_name = "SEEDS", allow_negative_numbers = true)]
    cols: Seeds,

    /// A `.png` for the table; or a folder for `ROW-COL.png` each, with the table beside it
    #[arg(long, short, visible_alias = "outdir", value_name = "PATH")]
    output: PathBuf,

    /// Style inputs that come from the column
    #[arg(long, default_value = "0-6")]
    styles: Styles,

    /// Class of a conditional generator: number, name, or `each` for `seed mod classes`
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,

    /// Enlarge the pictures of the table N times [default: small ones to 64 pixels]
    #[arg(long, value_name = "N", value_parser = zoom)]
    zoom: Option<usize>,

    /// File of the table if a folder is written, instead of `FOLDER-table.png`
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    table_output: Option<PathBuf>,

    #[command(flatten)]
    drawing: DrawingArgs,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    let request = MixRequest {
        drawing: args.drawing.request(args.model.name(), args.class.as_deref()),
        rows: args.rows.clone(),
        cols: args.cols.clone(),
        styles: args.styles.clone(),
    };
    let files = MixFiles {
        output: args.output.clone(),
        table_output: args.table_output.clone(),
        zoom: args.zoom,
    };
    let table = write_mix(&request, &files, terminal)?;
    let folder = if table == files.output {
        String::new()
    } else {
        format!(" in `{}`,", files.output.display())
    };
    let (rows, cols) = (request.rows.len(), request.cols.len());
    terminal
        .note(&format!("{rows} x {cols} mixed pictures{folder} table in `{}`", table.display()));
    Ok(())
}
