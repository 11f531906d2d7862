//! `ganscope inspect`: the content of a checkpoint.

use std::path::Path;

use ganscope::{Result, Watch as _};
use serde_json::{Value, json};

use crate::given::Given;
use crate::table::Table;
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let listing = ganscope::weights::inspect(&given.path("file"))?;
    let format = listing.format.to_string();
    let entries = listing.entries.iter();
    if given.flag("json") {
        let arrays: Vec<Value> = entries
            .map(|e| json!({ "name": e.name, "shape": e.shape, "dtype": e.dtype }))
            .collect();
        let report = json!({ "format": format, "config": listing.config, "arrays": arrays });
        return terminal.json(&report, Path::new("-"));
    }
    let mut table = Table::new();
    for entry in entries {
        table.row([entry.name.clone(), entry.dtype.clone(), format!("{:?}", entry.shape)]);
    }
    terminal.data(&table.print())?;
    if !listing.config.is_empty() {
        terminal.data(&format!("config {:#}\n", Value::Object(listing.config)))?;
    }
    let numbers: usize = listing.entries.iter().map(|e| e.shape.iter().product::<usize>()).sum();
    terminal.note(&format!("{format}: {} arrays, {numbers} numbers", listing.entries.len()));
    Ok(())
}
