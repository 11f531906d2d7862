//! `ganscope explain METHOD IMAGE...`: maps of images.

use std::path::PathBuf;

use ganscope::explain::ExplainRequest;
use ganscope::explain::figures::sheet;
use ganscope::files::make_folder;
use ganscope::images::save_png;
use ganscope::{Result, Watch as _};

use super::NetworkArgs;
use super::methods::MethodArgs;
use super::tables::{KEY, MEASURES, print};
use crate::terminal::Terminal;

/// Images beyond which no common sheet is drawn.
const LARGEST_SHEET: usize = 20;

/// Images, methods and their options.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Methods, separated by commas, or `all`
    #[arg(required = true, value_name = "METHOD")]
    methods: Option<String>,

    /// Images, or folders or archives of images
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,

    /// Folder to write
    #[arg(long, short, value_name = "DIR", required = true)]
    output: Option<PathBuf>,

    /// Class to explain, by number or name [default: the most probable one]
    #[arg(long, value_name = "N|NAME")]
    class: Option<String>,

    /// Explain what speaks for the class rather than for this one
    #[arg(long, value_name = "N|NAME")]
    against: Option<String>,

    /// Measure the maps: positivity, continuity, deletion, insertion, ROAD
    ///
    /// Deletion is the mean probability while patches are replaced by the baseline, the most relevant
    /// first: lower is better. Insertion restores them in that order: higher is better. ROAD is the
    /// mean probability while 10 to 90 % of the pixels take the values that their neighbors suggest:
    /// lower is better; elsewhere is the same for that map moved and mirrored at random. The last row
    /// is for random order.
    #[arg(long)]
    measure: bool,

    /// Also draw each map over the whole image, in the size of the image
    #[arg(long)]
    overlay: bool,

    #[command(flatten)]
    network: NetworkArgs,

    #[command(flatten)]
    options: MethodArgs,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    let (Some(methods), Some(output)) = (&args.methods, &args.output) else {
        unreachable!("clap requires methods and an output");
    };
    let request = ExplainRequest {
        methods: methods.split(',').map(str::to_owned).collect(),
        images: args.images.clone(),
        classifier: args.network.request(args.options.baseline()),
        class: args.class.clone(),
        against: args.against.clone(),
        measure: args.measure,
        options: args.options.options(),
    };
    let open = request.open(terminal)?;
    make_folder(output)?;
    let mut of_sheet = Vec::new();
    for i in 0..open.len() {
        let found = open.explain(i, terminal)?;
        found.write(&output.join(&found.folder), args.overlay)?;
        terminal.data(&print(&found))?;
        if open.len() <= LARGEST_SHEET {
            of_sheet.push(found);
        }
    }
    if of_sheet.len() > 1 {
        save_png(&output.join("sheet.png"), &sheet(&of_sheet)?.image()?)?;
    }
    terminal.note(KEY);
    if args.measure {
        terminal.note(MEASURES);
    }
    let images = if open.len() == 1 { "1 image".into() } else { format!("{} images", open.len()) };
    terminal.note(&format!("{images} in `{}`", output.display()));
    Ok(())
}
