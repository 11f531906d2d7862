//! `ganscope score`: numbers for generated sets.

use std::path::Path;

use ganscope::files::check_writable;
use ganscope::score::{Report, Row, ScoreRequest, score};
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::table::{self, Table};
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let json = given.text("json").map(Path::new);
    let to_file = json.filter(|&path| path != Path::new("-"));
    to_file.map_or(Ok(()), check_writable)?;
    let report = score(&given.request::<ScoreRequest>()?, terminal)?;
    json.map_or(Ok(()), |path| terminal.json(&report, path))?;
    if json.is_none() || to_file.is_some() {
        terminal.data(&print(&report))?;
    }
    terminal.note(&report.summary());
    Ok(())
}

/// One set: one line per score. Several: one line per set, one column per score.
fn print(report: &Report) -> String {
    let mut table = Table::new();
    let value = |row: &Row| format!("{:.6}", row.value);
    let error = |row: &Row| row.standard_error.map(|error| format!("± {error:.6}"));
    let sets = report.conditions.generated.len().max(1);
    if sets == 1 {
        for row in &report.scores {
            let better = if row.higher_is_better { "higher" } else { "lower" };
            let (error, std) = (error(row).unwrap_or_default(), row.std);
            let std = std.map_or_else(String::new, |std| format!("std {std:.6}"));
            table.row([row.title.clone(), value(row), error, std, format!("{better} is better")]);
        }
        return table.right(1..4).print();
    }
    let per_set = report.scores.len() / sets;
    let titles = report.scores.iter().take(per_set);
    let titles = titles.map(|row| format!("{} {}", row.title, table::arrow(row.higher_is_better)));
    table.row(std::iter::once("generated".to_owned()).chain(titles));
    for rows in report.scores.chunks(per_set.max(1)) {
        let number =
            |row: &Row| error(row).map_or_else(|| value(row), |e| format!("{} {e}", value(row)));
        table.row(std::iter::once(rows[0].generated.clone()).chain(rows.iter().map(number)));
    }
    table.right(1..per_set + 1).print()
}
