//! `ganscope stats`: statistics of a set, to score against later.

use std::path::{Path, PathBuf};

use ganscope::files::check_writable;
use ganscope::score::statistics::{
    StatisticsFormat, StatisticsRequest, Stored, merge_statistics, statistics, write_statistics,
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
