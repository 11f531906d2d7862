//! `ganscope sweep`: scores at many truncations.

use ganscope::score::sweep::SweepRequest;
use ganscope::score::sweep::figures::{SweepFiles, write_sweep};
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (request, files): (SweepRequest, SweepFiles) = (given.request()?, given.request()?);
    let sweep = write_sweep(&request, &files, terminal)?;
    terminal.data(&sweep.csv())?;
    terminal.note(&format!("see `{}`", files.output.join("report.html").display()));
    Ok(())
}
