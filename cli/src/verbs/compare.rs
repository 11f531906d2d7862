//! `ganscope compare-presets`: one pair of sets under the conventions of all tools.

use ganscope::score::compare::{
    Column, ComparePresetsRequest, ConventionTable, LeftOut, compare_presets,
};
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::table::{self, Table};
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let json = given.json()?;
    let found = compare_presets(&given.request::<ComparePresetsRequest>()?, terminal)?;
    let tables = found.tables.iter().map(print).collect::<Vec<_>>().join("\n");
    terminal.result(&found, json, &tables)?;
    for line in LeftOut::lines(&found.left_out) {
        terminal.note(&format!("left out: {line}"));
    }
    terminal.note(
        "± is the standard error; spread is the largest difference of two tools, as a share of the \
         largest value",
    );
    Ok(())
}

/// One line per tool, one column per score, and the spread of each.
fn print(of: &ConventionTable) -> String {
    let mut table = Table::new();
    let ConventionTable { extractor, weights_sha256, layer, columns, rows } = of;
    let weights = weights_sha256.get(..8).unwrap_or(weights_sha256);
    let arrow = |column: &Column| table::arrow(column.higher_is_better);
    let titles = columns.iter().map(|column| format!("{} {}", column.title, arrow(column)));
    table.row(["tool".to_owned(), "resize".into()].into_iter().chain(titles));
    for row in rows {
        let scores = row.scores.iter().map(|score| score.as_ref().map_or("–".into(), table::score));
        table.row([row.tool.to_owned(), row.resize.clone()].into_iter().chain(scores));
    }
    let spread =
        |c: &Column| c.spread.map_or("–".into(), |share| format!("{:.2} %", 100.0 * share));
    table.row(["spread".to_owned(), String::new()].into_iter().chain(columns.iter().map(spread)));
    let head = format!("{extractor} ({weights}), layer {layer}\n");
    head + &table.right(2..columns.len() + 2).print()
}
