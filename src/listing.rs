//! The catalog as data, for front ends that print it.

use std::path::PathBuf;

use ganscope_hub::{Hub, KNOWN};
use serde::Serialize;

use crate::catalog::{
    CLASSIFIERS, DISTANCES, EXTRACTORS, GENERATORS, METHODS, METRICS, MethodEntry, PRESETS, Preset,
};
use crate::error::Result;
use crate::models::shipped::SHIPPED;
use crate::{names, preset};

/// Entries of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listing {
    /// The kind, as `metrics`.
    pub kind: &'static str,
    /// Its entries.
    pub entries: Vec<Entry>,
}

/// Something with a name.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Weights and shipped files: what is known of the file.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
}

/// What is known of a file of weights.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct File {
    /// `shipped`, `cached`, `damaged` or `not downloaded`.
    pub state: &'static str,
    /// Its license.
    pub license: String,
    /// Where it is downloaded from.
    pub address: Option<String>,
    /// The published SHA-256, or its first digits, which a download is compared with; none where none
    /// is published.
    pub sha256: Option<String>,
    /// Its size, where that is known.
    pub bytes: Option<u64>,
    /// Where it is, or where a copy is looked for.
    pub path: Option<PathBuf>,
}

/// Everything that can be asked for by name.
pub fn listings() -> Vec<Listing> {
    let hub = Hub::from_env().ok();
    let shipped = SHIPPED.iter().map(|s| Entry {
        name: s.name.into(),
        about: s.about.into(),
        file: Some(File {
            state: "shipped",
            license: s.license.into(),
            bytes: Some(s.bytes.len() as u64),
            ..File::default()
        }),
    });
    let known = KNOWN.iter().map(|k| {
        let cached = hub.as_ref().and_then(|hub| hub.cached(k.id));
        let size = cached.as_ref().and_then(|path| std::fs::metadata(path).ok()).map(|m| m.len());
        let state = match (&cached, k.bytes, size) {
            (Some(_), Some(bytes), Some(size)) if bytes != size => "damaged",
            (Some(_), ..) => "cached",
            (None, ..) => "not downloaded",
        };
        let path = cached.or_else(|| hub.as_ref().map(|hub| hub.place(k.id)));
        Entry {
            name: k.id.into(),
            about: k.about.into(),
            file: Some(File {
                state,
                license: k.license.into(),
                address: hub.as_ref().map(|hub| hub.url(k)),
                sha256: k.sha256.map(str::to_owned),
                bytes: k.bytes.or(size),
                path,
            }),
        }
    });
    let named = |name: &str, about: &str| Entry {
        name: name.to_owned(),
        about: about.to_owned(),
        file: None,
    };
    let about = |m: &MethodEntry| {
        let claims = if m.method.claims_relevance() { "; shares the answer out" } else { "" };
        let ignores =
            if m.method.ignores_upper_layers() { "; hardly depends on the class" } else { "" };
        format!("{}{claims}{ignores}", m.about)
    };
    let presets = |presets: &[Preset]| presets.iter().map(|p| named(p.name, p.about)).collect();
    let kinds: [(&'static str, Vec<Entry>); 11] = [
        ("shipped", shipped.collect()),
        ("weights", known.collect()),
        ("metrics", METRICS.iter().map(|m| named(m.name, m.about)).collect()),
        ("presets", presets(PRESETS)),
        ("presets-dinov2", presets(preset::DINOV2)),
        ("presets-clip", presets(preset::CLIP)),
        ("extractors", EXTRACTORS.iter().map(|e| named(e.name, e.about)).collect()),
        ("distances", DISTANCES.iter().map(|d| named(d.name, d.about)).collect()),
        ("generators", GENERATORS.iter().map(|g| named(g.name, g.about)).collect()),
        ("classifiers", CLASSIFIERS.iter().map(|c| named(c.name, c.about)).collect()),
        ("methods", METHODS.iter().map(|m| named(m.method.name(), &about(m))).collect()),
    ];
    kinds.into_iter().map(|(kind, entries)| Listing { kind, entries }).collect()
}

/// The entries of a kind, or those called `name`.
///
/// # Errors
/// If there is neither a kind nor an entry of that name.
pub fn listing(name: &str) -> Result<Vec<Listing>> {
    let all = listings();
    if let Some(kind) = all.iter().find(|listing| listing.kind.eq_ignore_ascii_case(name)) {
        return Ok(vec![kind.clone()]);
    }
    let names: Vec<String> = all
        .iter()
        .flat_map(|l| std::iter::once(l.kind).chain(l.entries.iter().map(|e| e.name.as_str())))
        .map(str::to_owned)
        .collect();
    let found: Vec<Listing> = all
        .into_iter()
        .map(|listing| Listing {
            entries: listing.entries.into_iter().filter(|e| e.name == name).collect(),
            ..listing
        })
        .filter(|listing| !listing.entries.is_empty())
        .collect();
    if found.is_empty() {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let similar = names::similar(name, names.iter().copied());
        let error = crate::Error::not_found(format!("nothing is called `{name}`"));
        return Err(match similar {
            Some(similar) => error.with_hint(format!("did you mean `{similar}`?")),
            None => error,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_listed_once_in_its_kind() {
        for Listing { kind, entries } in listings() {
            let mut names: Vec<&str> = entries.iter().map(|e| e.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), entries.len(), "{kind}");
        }
    }

    #[test]
    fn a_kind_or_a_name_can_be_asked_for() {
        assert_eq!(listing("metrics").unwrap()[0].kind, "metrics");
        let kinds: Vec<&str> = listing("inception").unwrap().iter().map(|l| l.kind).collect();
        assert_eq!(kinds, ["extractors", "distances", "classifiers"]);
        let error = listing("incepton").unwrap_err();
        assert!(format!("{:?}", error.hint()).contains("did you mean `inception`"), "{error:?}");
    }
}
