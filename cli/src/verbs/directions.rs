//! `ganscope directions`, `edit` and `project`: directions of W, pictures moved along them, and latents
//! of given pictures.

use std::path::Path;

use ganscope::latents::directions::{DirectionFiles, DirectionsRequest, write_directions};
use ganscope::latents::edit::{EditFiles, EditRequest, write_edit};
use ganscope::latents::project::{ProjectFiles, ProjectRequest, write_projections};
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

pub(super) fn project(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (request, files): (ProjectRequest, ProjectFiles) = (given.request()?, given.request()?);
    let found = write_projections(&request, &files, terminal)?;
    let mut table = Table::new();
    table.row(["image", "start", "end", "start / end", "RMSE of pixels"]);
    for image in &found.images {
        let numbers = [image.start, image.distance, image.start / image.distance, image.rmse];
        let numbers = numbers.map(ganscope::latents::project::digits);
        table.row(std::iter::once(image.stem.clone()).chain(numbers));
    }
    terminal.data(&table.right(1..5).print())?;
    let (count, outdir) = (found.images.len(), files.outdir.display());
    terminal.note(&format!("{}; {count} latents in `{outdir}/projected_w.npz`", found.loss));
    Ok(())
}
