//! `ganscope convert`: any checkpoint to safetensors.

use ganscope::weights::{ReadOptions, read, write_safetensors};
use ganscope::{Error, Result, Watch as _};

use crate::given::Given;
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
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
