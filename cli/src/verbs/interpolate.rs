//! `ganscope interpolate`: walks between seeds.

use ganscope::latent::Summary;
use ganscope::latents::walk::{Walk, WalkRequest, WalkStyle, digits, write_walk};
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::table::Table;
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
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
