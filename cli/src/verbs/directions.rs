//! `ganscope directions` and `ganscope edit`: directions of W, and pictures moved along them.

use std::path::Path;

use ganscope::latents::directions::{DirectionFiles, DirectionsRequest, write_directions};
use ganscope::latents::edit::{EditFiles, EditRequest, write_edit};
use ganscope::latents::walk::digits;
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::table::Table;
use crate::terminal::Terminal;

pub(super) fn find(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (request, files): (DirectionsRequest, DirectionFiles) =
        (given.request()?, given.request()?);
    let found = write_directions(&request, &files, terminal)?;
    if given.flag("json") {
        return terminal.json(&found, Path::new("-"));
    }
    let mut table = Table::new();
    table.row(["", "direction", "spread of W", "strength"]);
    for (i, name) in found.names.iter().enumerate() {
        let numbers = [found.spread[i], found.strength[i]].map(digits);
        table.row([i.to_string(), name.clone()].into_iter().chain(numbers));
    }
    terminal.data(&table.right(2..4).print())?;
    terminal.note(&format!("{} directions in `{}`", found.names.len(), files.output.display()));
    Ok(())
}

pub(super) fn edit(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (request, files): (EditRequest, EditFiles) = (given.request()?, given.request()?);
    let edited = write_edit(&request, &files, terminal)?;
    let (rows, output) = (edited.names.len(), files.output.display());
    terminal.note(&format!("{rows} x {} pictures in `{output}`", request.steps));
    Ok(())
}
