//! `ganscope explain`: what a network sees in an image, and which images make a score what it is.

pub(super) mod networks;
pub(super) mod score;
mod tables;

use ganscope::explain::ExplainRequest;
use ganscope::explain::figures::sheet;
use ganscope::files::make_folder;
use ganscope::images::save_png;
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::terminal::Terminal;
use tables::{KEY, MEASURES, print};

/// Images beyond which no common sheet is drawn.
const LARGEST_SHEET: usize = 20;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (request, output) = (given.request::<ExplainRequest>()?, given.path("output"));
    let open = request.open(terminal)?;
    make_folder(&output)?;
    let mut of_sheet = Vec::new();
    for i in 0..open.len() {
        let found = open.explain(i, terminal)?;
        found.write(&output.join(&found.folder), given.flag("overlay"))?;
        terminal.data(&print(&found))?;
        if open.len() <= LARGEST_SHEET {
            of_sheet.push(found);
        }
    }
    if of_sheet.len() > 1 {
        save_png(&output.join("sheet.png"), &sheet(&of_sheet)?.image()?)?;
    }
    terminal.note(KEY);
    if request.measure.maps() {
        terminal.note(MEASURES);
    }
    let images = if open.len() == 1 { "1 image".into() } else { format!("{} images", open.len()) };
    terminal.note(&format!("{images} in `{}`", output.display()));
    Ok(())
}
