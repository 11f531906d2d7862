//! `ganscope list`: what can be asked for by name.

use anyhow::Result;
use comfy_table::{Table, presets};
use ganscope_weights::hub::{Hub, KNOWN};
use serde_json::json;

use super::terminal::Terminal;
use crate::registry::{CLASSIFIERS, EXTRACTORS, METHODS, METRICS, PRESETS};
use crate::shipped::SHIPPED;

/// Lists models, weights, metrics, extractors, classifiers, explanations and presets
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    let hub = Hub::from_env().ok();
    let state = |id: &str| match hub.as_ref().and_then(|hub| hub.cached(id)) {
        Some(_) => "cached",
        None => "not fetched",
    };
    let known =
        KNOWN.iter().map(|k| (k.id, format!("{} [{}; {}]", k.what, k.licence, state(k.id))));
    let shipped = SHIPPED.iter().map(|s| (s.name, format!("{} [shipped]", s.about)));
    let named = |name: &'static str, about: &str| (name, about.to_owned());
    let kinds: [(&str, Vec<(&str, String)>); 7] = [
        ("shipped models and statistics", shipped.collect()),
        ("known weights", known.collect()),
        ("metrics", METRICS.iter().map(|m| named(m.name, m.about)).collect()),
        ("extractors", EXTRACTORS.iter().map(|e| named(e.name, e.about)).collect()),
        ("classifiers", CLASSIFIERS.iter().map(|c| named(c.name, c.about)).collect()),
        ("explanations", METHODS.iter().map(|m| named(m.method.name(), m.about)).collect()),
        ("presets", PRESETS.iter().map(|p| named(p.name, p.about)).collect()),
    ];
    if args.json {
        let entry = |(name, about): &(&str, String)| json!({ "name": name, "about": about });
        let report: serde_json::Map<_, _> = kinds
            .iter()
            .map(|(kind, entries)| ((*kind).to_owned(), entries.iter().map(entry).collect()))
            .collect();
        return terminal.data(&format!("{:#}\n", serde_json::Value::Object(report)));
    }
    for (kind, entries) in kinds {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        for (name, about) in entries {
            table.add_row([name, about.as_str()]);
        }
        terminal.data(&format!("{kind}\n{table}\n\n"))?;
    }
    Ok(())
}
