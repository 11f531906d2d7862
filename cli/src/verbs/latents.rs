//! What draws from a generator: `generate`, `interpolate`, `video`, `mix`, `path-length`, `sweep`.

use ganscope::latent::Summary;
use ganscope::latents::mix::{MixFiles, MixRequest, write_mix};
use ganscope::latents::path_length::{PathLengthReport, PathLengthRequest};
use ganscope::latents::pictures::{PictureFiles, PicturesRequest, write_pictures};
use ganscope::latents::video::{VideoRequest, write_video};
use ganscope::latents::walk::{Walk, WalkRequest, WalkStyle, digits, write_walk};
use ganscope::score::sweep::SweepRequest;
use ganscope::score::sweep::figures::{SweepFiles, write_sweep};
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::table::Table;
use crate::terminal::Terminal;

pub(super) fn generate(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let request: PicturesRequest = given.request()?;
    let files: PictureFiles = given.request()?;
    let found = write_pictures(&request, &files, terminal)?;
    let count = request.count()?;
    let pictures = if count == 1 { "picture" } else { "pictures" };
    let grid = found.grid.map(|path| format!(", grid in `{}`", path.display())).unwrap_or_default();
    terminal.note(&format!("{count} {pictures} in `{}`{grid}", files.outdir.display()));
    Ok(())
}

pub(super) fn interpolate(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let output = given.path("output");
    let walk = write_walk(
        &given.request::<WalkRequest>()?,
        &given.request::<WalkStyle>()?,
        &output,
        terminal,
    )?;
    terminal.data(&print(&walk))?;
    let (pictures, steps) = walk.counts();
    let is_png = output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    let (count, what) = match (is_png, walk.closed) {
        (true, _) => (pictures, "pictures"),
        (false, false) => (pictures, "frames"),
        // The last picture is the first again.
        (false, true) => (steps, "frames"),
    };
    terminal.note(&format!("{count} {what}, {steps} steps in `{}`", output.display()));
    Ok(())
}

pub(super) fn video(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (request, output) = (given.request::<VideoRequest>()?, given.path("output"));
    let frames = write_video(&request, &output, terminal)?;
    terminal.note(&format!("{frames} frames in `{}`", output.display()));
    Ok(())
}

/// A line for each row.
fn print(walk: &Walk) -> String {
    let mut table = Table::new();
    let path = format!("path ({})", walk.meter);
    table.row(["space", "steps", &path, "mean step", "longest", "longest / mean"]);
    for row in &walk.rows {
        let Summary { sum, mean, longest } = row.summary();
        let numbers = [sum, mean, longest, longest / mean].map(digits);
        table.row([row.name(), row.lengths.len().to_string()].into_iter().chain(numbers));
    }
    table.right(1..6).print()
}

pub(super) fn mix(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (request, files): (MixRequest, MixFiles) = (given.request()?, given.request()?);
    let table = write_mix(&request, &files, terminal)?;
    let is_folder = table != files.output;
    let folder =
        if is_folder { format!(" in `{}`", files.output.display()) } else { String::new() };
    terminal.note(&format!("mixed pictures{folder}, table in `{}`", table.display()));
    Ok(())
}

pub(super) fn path_length(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let report = ganscope::latents::path_length::path_length(
        &given.request::<PathLengthRequest>()?,
        terminal,
    )?;
    if given.flag("json") {
        return terminal.json(&report, std::path::Path::new("-"));
    }
    let PathLengthReport { path_length, paths, space, sampling, epsilon, distance, .. } = &report;
    let error = report.standard_error.map(|error| format!(" ± {error:.4}")).unwrap_or_default();
    terminal.data(&format!("{path_length:.4}{error}\n"))?;
    terminal.note(&format!(
        "{paths} paths in {space}, {sampling}, step {epsilon:e}; {distance}; mean between the 1st and \
         99th percentile, ± its standard error"
    ));
    Ok(())
}

pub(super) fn sweep(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (request, files): (SweepRequest, SweepFiles) = (given.request()?, given.request()?);
    let sweep = write_sweep(&request, &files, terminal)?;
    terminal.data(&sweep.csv())?;
    terminal.note(&format!("see `{}`", files.output.join("report.html").display()));
    Ok(())
}
