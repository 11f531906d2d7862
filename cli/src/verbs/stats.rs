//! `ganscope stats` and `ganscope features`: statistics of a set, and its rows of numbers, for later
//! and for other tools.

use std::path::{Path, PathBuf};

use ganscope::files::{check_writable, write_text};
use ganscope::score::statistics::{
    RowsRequest, StatisticsFormat, StatisticsRequest, Stored, check_rows, merge_statistics, rows,
    statistics, write_rows, write_statistics,
};
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (output, request) = (given.path("output"), given.request::<StatisticsRequest>()?);
    check(&output)?.check(&request)?;
    write(&output, &statistics(&request, terminal)?.stored, terminal)
}

pub(super) fn merge(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let output = given.path("output");
    check(&output)?;
    let parts: Vec<PathBuf> = given.texts("parts").into_iter().map(PathBuf::from).collect();
    write(&output, &merge_statistics(&parts, terminal)?, terminal)
}

pub(super) fn features(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
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

/// The format of a file that can be written.
fn check(output: &Path) -> Result<StatisticsFormat> {
    let format = StatisticsFormat::of(output)?;
    check_writable(output)?;
    Ok(format)
}

fn write(output: &Path, stored: &Stored, terminal: &mut Terminal) -> Result<()> {
    write_statistics(output, stored)?;
    let images = stored.set.count().map_or("images".into(), |n| format!("{n} images"));
    let convention = stored.convention.as_ref().map(|c| format!("; {c}")).unwrap_or_default();
    terminal.note(&format!("statistics of {images} in `{}`{convention}", output.display()));
    Ok(())
}
