//! `ganscope plan`: how many images a comparison needs.

use ganscope::score::plan::{PlanRequest, plan};
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::table::{self, Table};
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let json = given.json()?;
    let found = plan(&given.request::<PlanRequest>()?, terminal)?;
    let mut table = Table::new();
    table.row(["score", "value", "of images", "visible difference", "images needed"]);
    for of in &found.plans {
        let (value, visible) = (table::score(&of.score), format!("{:.6}", of.visible));
        let [measured, needed] = [of.measured, of.needed].map(|count| count.to_string());
        table.row([of.score.title.clone(), value, measured, visible, needed]);
    }
    terminal.result(&found, json, &table.right(1..5).print())?;
    let mut noted: Vec<&String> = Vec::new();
    for note in found.plans.iter().flat_map(|of| &of.notes) {
        if !noted.contains(&note) {
            terminal.note(note);
            noted.push(note);
        }
    }
    let (difference, power, alpha) = (found.difference, found.power, 100.0 * found.alpha);
    terminal.note(&format!(
        "images of each of two generators whose scores differ by {difference}: seen with a chance of \
         {power} at {alpha} %; the visible difference is that of the images at hand"
    ));
    Ok(())
}
