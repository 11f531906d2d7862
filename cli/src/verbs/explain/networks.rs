//! What a network looks for: `maximize`, `latent`, `counterfactual`, `filters`, `unit`. Each writes a
//! picture.

use std::path::Path;

use ganscope::explain::counterfactual::{CounterfactualRequest, counterfactuals};
use ganscope::explain::latent::{LatentMaximized, LatentRequest, maximize_latent};
use ganscope::explain::maximize::{MaximizeRequest, Maximized};
use ganscope::explain::units::{UnitRequest, unit_patches};
use ganscope::figures::Sheet;
use ganscope::files::{check_picture, check_writable};
use ganscope::images::save_png;
use ganscope::models::classifier::ClassifierRequest;
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::terminal::Terminal;

pub(in super::super) fn maximize(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    check_picture(&given.path("output"))?;
    let request: MaximizeRequest = given.request()?;
    let found = ganscope::explain::maximize::maximize(&request, terminal)?;
    for one in &found {
        terminal.data(&format!("{}: {}\n", one.title, one.answer))?;
    }
    save(given, &Maximized::sheet(&found), terminal)
}

pub(in super::super) fn latent(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    check_picture(&given.path("output"))?;
    let found = maximize_latent(&given.request::<LatentRequest>()?, terminal)?;
    for one in &found {
        terminal.data(&format!("{}, seed {}: {}\n", one.title, one.seed, one.start.answer))?;
        terminal.data(&format!("{}: {}\n", one.title, one.end.answer))?;
    }
    save(given, &LatentMaximized::sheet(&found), terminal)
}

pub(in super::super) fn counterfactual(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    check_picture(&given.path("output"))?;
    let (json, ws) = (given.json()?, given.text("ws-output").map(Path::new));
    ws.map_or(Ok(()), check_writable)?;
    let found = counterfactuals(&given.request::<CounterfactualRequest>()?, terminal)?;
    let lines: Vec<String> = found.found.iter().map(|one| one.sentence() + "\n").collect();
    terminal.result(&found, json, &lines.concat())?;
    if let Some(path) = ws {
        found.write_ws(path)?;
    }
    save(given, &found.sheet(), terminal)
}

pub(in super::super) fn unit(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    check_picture(&given.path("output"))?;
    let found = unit_patches(&given.request::<UnitRequest>()?, terminal)?;
    for patch in &found.patches {
        terminal.data(&format!("{:10.4} {}\n", patch.activation, patch.name))?;
    }
    save(given, &found.sheet(), terminal)
}

pub(in super::super) fn filters(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    check_picture(&given.path("output"))?;
    let request: ClassifierRequest = given.request()?;
    let found = ganscope::explain::units::filters(&request, terminal)?;
    terminal.note(&format!("{} filters of {}", found.filters.pictures.len(), found.model));
    save(given, &found.sheet(), terminal)
}

fn save(given: Given<'_>, sheet: &Sheet, terminal: &mut Terminal) -> Result<()> {
    let output = given.path("output");
    save_png(&output, &sheet.image()?)?;
    terminal.note(&format!("see `{}`", output.display()));
    Ok(())
}
