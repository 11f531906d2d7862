//! `ganscope path-length`: how evenly a generator moves.

use ganscope::latents::path_length::{PathLengthReport, PathLengthRequest, path_length};
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let report = path_length(&given.request::<PathLengthRequest>()?, terminal)?;
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
