//! `ganscope mix`: the table of a style mix.

use ganscope::latents::mix::{MixFiles, MixRequest, write_mix};
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (request, files): (MixRequest, MixFiles) = (given.request()?, given.request()?);
    let table = write_mix(&request, &files, terminal)?;
    let is_folder = table != files.output;
    let folder =
        if is_folder { format!(" in `{}`,", files.output.display()) } else { String::new() };
    let (rows, cols, table) = (request.rows.len(), request.cols.len(), table.display());
    terminal.note(&format!("{rows} x {cols} mixed pictures{folder} table in `{table}`"));
    Ok(())
}
