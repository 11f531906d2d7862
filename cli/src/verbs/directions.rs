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
    let mut head = vec!["", "direction", "spread of W", "strength"];
    if found.reach.is_some() {
        head.extend(["real", "safe", "odds turn"]);
    }
    table.row(head);
    for (i, name) in found.names.iter().enumerate() {
        let numbers = [found.spread[i], found.strength[i]].map(digits);
        let reach = found.reach.iter().flat_map(|reach| {
            let range = |[back, forth]: [f64; 2]| match (back, forth) {
                (0.0, 0.0) => "0".to_owned(),
                (0.0, forth) => format!("0 to +{forth}"),
                (back, 0.0) => format!("-{back} to 0"),
                (back, forth) => format!("-{back} to +{forth}"),
            };
            let [back, forth] = reach[i].turned.map(|share| 100.0 * share);
            let turned = format!("{back:.0} %, {forth:.0} %");
            [range(reach[i].real), range(reach[i].safe), turned]
        });
        table.row([i.to_string(), name.clone()].into_iter().chain(numbers).chain(reach));
    }
    terminal.data(&table.right(2..7).print())?;
    if found.reach.is_some() {
        terminal.note(
            "in spreads: `real` is where pictures stay as real as samples, `safe` where the odds of the class \
             also fall or rise at each step, both for 90 of 100 other pictures; `odds turn` is the share \
             whose odds have fallen or risen after one spread",
        );
    }
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
