//! `ganscope inspect` and `ganscope convert`: the content of a checkpoint.

use std::path::Path;

use ganscope::weights::{ReadOptions, read, write_safetensors};
use ganscope::{Error, Result, Watch as _};
use serde_json::{Value, json};

use crate::given::Given;
use crate::table::Table;
use crate::terminal::Terminal;

pub(super) fn inspect(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let listing = ganscope::models::weights::inspect(&given.path("file"))?;
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
    let count =
        |shape: &[usize]| shape.iter().fold(1_u128, |n, &side| n.saturating_mul(side as u128));
    let numbers = listing.entries.iter().fold(0, |n: u128, e| n.saturating_add(count(&e.shape)));
    terminal.note(&format!("{format}: {} arrays, {numbers} numbers", listing.entries.len()));
    Ok(())
}

pub(super) fn convert(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let output = given.path("output");
    if output.extension().is_none_or(|ending| ending != "safetensors") {
        let problem = format!("`{}` does not end in .safetensors", output.display());
        return Err(Error::request(problem).with_hint("only safetensors are written"));
    }
    let key = given.text("key").map(str::to_owned);
    let weights = read(&given.path("file"), &ReadOptions { key })?;
    write_safetensors(&output, &weights)?;
    let count = weights.arrays.len();
    terminal.note(&format!("{}: {count} arrays in `{}`", weights.format, output.display()));
    Ok(())
}
