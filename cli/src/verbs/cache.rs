//! `ganscope cache` and `ganscope fetch`: what is kept between runs.

use std::path::Path;

use ganscope::cache::{Entry, PruneRequest, Sort, State, fetch, kept, prune, verify};
use ganscope::features::FeatureRequest;
use ganscope::{Error, Result, Watch as _};

use crate::given::Given;
use crate::table::Table;
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let mut entries = kept(&given.request::<FeatureRequest>()?.cache)?;
    entries.sort_by_key(|entry| entry.bytes);
    if given.flag("json") {
        return terminal.json(&entries, Path::new("-"));
    }
    terminal.data(&table(entries.iter().map(|entry| (entry, ""))))?;
    let bytes = entries.iter().map(|entry| entry.bytes).sum();
    terminal.note(&format!("{} files, {}", entries.len(), megabytes(bytes)));
    Ok(())
}

pub(super) fn verified(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let found = verify(&given.request::<FeatureRequest>()?.cache, terminal)?;
    if given.flag("json") {
        terminal.json(&found, Path::new("-"))?;
    } else {
        let state = |state| match state {
            State::Whole => "whole",
            State::Damaged => "damaged",
            State::Unverified => "no digest known",
        };
        terminal.data(&table(found.iter().map(|file| (&file.entry, state(file.state)))))?;
    }
    match found.iter().filter(|file| file.state == State::Damaged).count() {
        0 => Ok(()),
        damaged => Err(Error::request(format!("{damaged} of {} files are damaged", found.len()))
            .with_hint("delete them: weights are downloaded again, features computed anew")),
    }
}

pub(super) fn pruned(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let request = given.request::<PruneRequest>()?;
    let pruned = prune(&request, terminal)?;
    if given.flag("json") {
        return terminal.json(&pruned, Path::new("-"));
    }
    let removed = pruned.removed.iter().map(|entry| (entry, ""));
    terminal.data(&table(removed.chain(pruned.in_use.iter().map(|entry| (entry, "in use")))))?;
    let (done, stays) = if request.dry_run { ("would be", "would stay") } else { ("were", "stay") };
    let (count, freed) = (pruned.removed.len(), megabytes(pruned.freed));
    terminal.note(&format!(
        "{count} files {done} removed, {freed}; {} {stays}",
        megabytes(pruned.kept)
    ));
    Ok(())
}

pub(super) fn fetched(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    for name in given.texts("names") {
        let path = fetch(name, terminal)?;
        terminal.data(&format!("{}\n", path.display()))?;
    }
    Ok(())
}

/// Files, each with a remark.
fn table<'a>(files: impl Iterator<Item = (&'a Entry, &'a str)>) -> String {
    let mut table = Table::new();
    for (entry, remark) in files {
        let sort = match entry.sort {
            Sort::Weights if entry.shared => "weights, shared",
            Sort::Weights => "weights",
            Sort::Features => "features",
            Sort::Part => "interrupted download",
        };
        let used = match entry.days {
            0 => "used today".to_owned(),
            days => format!("{days} days ago"),
        };
        table.row([sort, &entry.name, &megabytes(entry.bytes), &used, remark]);
    }
    table.right(2..3).print()
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
