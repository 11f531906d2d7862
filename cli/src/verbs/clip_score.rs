//! `ganscope clip-score`: how well pictures fit their prompts.

use std::path::Path;

use ganscope::files::check_writable;
use ganscope::score::clip_score::{ClipScoreRequest, clip_score};
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (json, output) = (given.json()?, given.text("output").map(Path::new));
    output.map_or(Ok(()), check_writable)?;
    let found = clip_score(&given.request::<ClipScoreRequest>()?, terminal)?;
    output.map_or(Ok(()), |path| found.write_rows(path))?;
    terminal.result(&found, json, &(found.sentence() + "\n"))?;
    terminal.note(&found.convention.to_string());
    Ok(())
}
