//! `ganscope features`: rows of numbers, for other tools.

use ganscope::files::{check_writable, write_text};
use ganscope::score::statistics::{RowsRequest, check_rows, rows, write_rows};
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (output, names) = (given.path("output"), given.text("names").map(AsRef::as_ref));
    check_rows(&output)?;
    check_writable(&output)?;
    names.map_or(Ok(()), check_writable)?;
    let found = rows(&given.request::<RowsRequest>()?, terminal)?;
    write_rows(&output, &found.rows)?;
    names.map_or(Ok(()), |path| write_text(path, &(found.names.join("\n") + "\n")))?;
    let (rows, dim, path) = (found.rows.len(), found.rows.dim(), output.display());
    terminal.note(&format!("{rows} rows of {dim} in `{path}`; {}", found.convention));
    Ok(())
}
