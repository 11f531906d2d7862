//! `ganscope explain score`: why a distance is what it is.

use ganscope::explain::score::{ExplainScoreRequest, MAIN, explain_score};
use ganscope::files::make_folder;
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::terminal::Terminal;

pub(in super::super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (request, output) = (given.request::<ExplainScoreRequest>()?, given.path("output"));
    request.check()?;
    make_folder(&output)?;
    let found = explain_score(&request, terminal)?;
    found.write(&output)?;
    let by_chance = found.by_chance.map_or(String::new(), |by| format!(", by chance {by:.6}"));
    terminal.data(&format!("{} {:.6}{by_chance}\n", found.title, found.distance))?;
    for (rank, cause) in found.causes.iter().take(MAIN).enumerate() {
        terminal.data(&format!("{}. {}\n", rank + 1, cause.text))?;
    }
    if found.causes.is_empty() {
        terminal.data("nothing differs by more than chance\n")?;
    }
    terminal.note(&format!("see `{}`", output.join("report.html").display()));
    Ok(())
}
