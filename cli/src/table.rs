//! Tables of text.

use comfy_table::{CellAlignment, ContentArrangement, presets};
use ganscope::score::Row;

/// Rows of cells, aligned.
pub(crate) struct Table(comfy_table::Table);

impl Table {
    pub(crate) fn new() -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        Self(table)
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.0.add_row(cells.into_iter().map(Into::into));
    }

    /// Aligns columns to the right.
    pub(crate) fn right(mut self, columns: std::ops::Range<usize>) -> Self {
        for column in columns {
            if let Some(column) = self.0.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self
    }

    /// The table without blanks at the ends of lines.
    pub(crate) fn print(&self) -> String {
        let text = self.0.to_string();
        text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }
}

/// A score with its standard error, where it is known.
pub(crate) fn score(row: &Row) -> String {
    let error = row.standard_error.map(|error| format!(" ± {error:.6}"));
    format!("{:.6}{}", row.value, error.unwrap_or_default())
}

/// The better direction of a score.
pub(crate) fn arrow(higher_is_better: bool) -> char {
    if higher_is_better { '↑' } else { '↓' }
}

/// Width of the terminal, 80 where there is none.
fn width() -> usize {
    comfy_table::Table::new().width().map_or(80, usize::from).clamp(40, 120)
}

/// `head`, then `text` with its further lines below its beginning.
pub(crate) fn wrap(head: &str, text: &str) -> String {
    let indent = head.chars().count();
    let room = width().saturating_sub(indent).max(20);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    let mut wrapped = String::new();
    for (i, line) in lines.iter().enumerate() {
        let head = if i == 0 { head.to_owned() } else { " ".repeat(indent) };
        wrapped.push_str(&[head.as_str(), line, "\n"].concat());
    }
    wrapped
}
