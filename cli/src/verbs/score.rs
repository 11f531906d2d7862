//! `ganscope score`: numbers for generated sets.

use ganscope::score::{Report, Row, ScoreRequest, score};
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::table::{self, Table};
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let json = given.json()?;
    let report = score(&given.request::<ScoreRequest>()?, terminal)?;
    terminal.result(&report, json, &(print(&report) + &print_classes(&report)))?;
    let mut reasons: Vec<_> = report.classes.iter().flat_map(|of| &of.missing).collect();
    reasons.sort_by_key(|missing| (missing.metric, &missing.reason));
    reasons.dedup();
    for missing in reasons {
        terminal.note(&format!("– {}: {}", missing.metric, missing.reason));
    }
    terminal.note(&report.summary());
    Ok(())
}

/// One set: one line per score. Several: one line per set, one column per score, and letters that
/// sets share which do not differ.
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
    for (set, rows) in report.scores.chunks(per_set.max(1)).enumerate() {
        let scores = rows.iter().zip(&report.differences).map(|(row, found)| {
            let letters = |set: usize| found.letters[set].as_deref().unwrap_or_default();
            let width = (0..sets).map(|set| letters(set).len()).max().unwrap_or(0);
            format!("{} {:<width$}", table::score(row), letters(set))
        });
        table.row(std::iter::once(rows[0].generated.clone()).chain(scores));
    }
    table.right(1..per_set + 1).print()
}

/// One line per class, one column per score.
fn print_classes(report: &Report) -> String {
    if report.classes.is_empty() {
        return String::new();
    }
    let mut columns: Vec<&Row> = Vec::new();
    for row in report.classes.iter().flat_map(|of| &of.scores) {
        if columns.iter().all(|column| column.name != row.name) {
            columns.push(row);
        }
    }
    let mut table = Table::new();
    let titles =
        columns.iter().map(|c| format!("{} {}", c.title, table::arrow(c.higher_is_better)));
    let head = ["generated", "class", "images", "reference images"].map(str::to_owned);
    table.row(head.into_iter().chain(titles));
    for of in &report.classes {
        let reference = of.reference_images.map_or("–".into(), |n| n.to_string());
        let head = [of.generated.clone(), of.class.clone(), of.images.to_string(), reference];
        let score = |column: &&Row| of.scores.iter().find(|row| row.name == column.name);
        let scores = columns.iter().map(|c| score(c).map_or("–".into(), table::score));
        table.row(head.into_iter().chain(scores));
    }
    "\n".to_owned() + &table.right(2..columns.len() + 4).print()
}
