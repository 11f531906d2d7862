//! `ganscope list`: everything with a name.

use std::collections::BTreeMap;
use std::path::Path;

use ganscope::Result;
use ganscope::listing::{Entry, Listing, listing, listings};
use serde_json::{Map, Value, json};

use crate::given::Given;
use crate::table::wrap;
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let name = given.text("name");
    let found = name.map_or_else(|| Ok(listings()), listing)?;
    if given.flag("json") {
        let kinds: Map<String, Value> =
            found.iter().map(|l| (l.kind.to_owned(), json!(l.entries))).collect();
        return terminal.json(&kinds, Path::new("-"));
    }
    let one_by_one = name.is_some_and(|name| found.iter().all(|l| l.kind != name));
    let text: Vec<String> = found.iter().map(|l| print(l, one_by_one)).collect();
    terminal.data(&text.join("\n"))
}

/// A kind, its entries, and the licenses of its files, each once.
fn print(listing: &Listing, whole: bool) -> String {
    let mut text = format!("{}\n", listing.kind);
    let width = listing.entries.iter().map(|e| e.name.len()).max().unwrap_or(0);
    let mut licenses: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &listing.entries {
        let about = match &entry.file {
            Some(file) => {
                let next = licenses.len() + 1;
                let note = *licenses.entry(&file.license).or_insert(next);
                format!("{}; {} [{note}]", entry.about, facts(entry))
            }
            None => entry.about.clone(),
        };
        text += &wrap(&format!("  {:<width$}  ", entry.name), &about);
        if whole {
            text += &details(entry);
        }
    }
    let mut licenses: Vec<(&str, usize)> = licenses.into_iter().collect();
    licenses.sort_by_key(|&(_, note)| note);
    for (license, note) in licenses {
        text.push_str(&["  [", &note.to_string(), "] ", license, "\n"].concat());
    }
    text
}

/// State and size of a file.
fn facts(entry: &Entry) -> String {
    let Some(file) = &entry.file else { return String::new() };
    let size = file.bytes.map(|bytes| format!(", {:.1} MB", bytes as f64 / 1e6));
    let verified = match (file.state, &file.sha256) {
        ("shipped", _) | (_, Some(_)) => "",
        (_, None) => ", no published digest",
    };
    format!("{}{}{verified}", file.state, size.unwrap_or_default())
}

/// Everything else that is known of a file.
fn details(entry: &Entry) -> String {
    let Some(file) = &entry.file else { return String::new() };
    let path = file.path.as_ref().map(|path| path.display().to_string());
    let known = [("address", &file.address), ("sha256", &file.sha256), ("path", &path)];
    let lines = known.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let lines: Vec<String> = lines.map(|(name, value)| format!("    {name:<8}{value}\n")).collect();
    lines.concat()
}
