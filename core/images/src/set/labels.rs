//! Class labels of the `dataset.json` of the StyleGAN tools.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{Error, Limits, Result};

/// Name of the file of labels, in the folder or archive it is about.
pub(super) const FILE: &str = "dataset.json";

#[derive(Deserialize)]
struct Labels {
    #[serde(default)]
    labels: Option<Vec<(String, Label)>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Label {
    Class(u32),
    Other(IgnoredAny),
}

/// The label of each name, from `{"labels": [[name, label], ...]}`.
///
/// `"labels": null` and labels that are not class numbers result in none. A file beyond the
/// limits is refused before it is read further.
pub(super) fn parse(
    path: &Path,
    json: impl Read,
    names: &[String],
    limits: Limits,
) -> Result<Vec<Option<u32>>> {
    let fail = |reason: String| Error::Labels { path: path.to_owned(), reason };
    let limit = limits.labels(names.len());
    let mut text = Vec::new();
    json.take(limit + 1).read_to_end(&mut text).map_err(|e: io::Error| fail(e.to_string()))?;
    if text.len() as u64 > limit {
        let reason = format!("more than {limit} bytes for {} images", names.len());
        return Err(Error::OverLimit { path: path.to_owned(), reason });
    }
    let file: Labels = serde_json::from_slice(&text).map_err(|e| fail(e.to_string()))?;
    let labels: HashMap<&str, u32> = file
        .labels
        .iter()
        .flatten()
        .filter_map(|(name, label)| match label {
            Label::Class(class) => Some((name.as_str(), *class)),
            Label::Other(IgnoredAny) => None,
        })
        .collect();
    Ok(names.iter().map(|name| labels.get(name.as_str()).copied()).collect())
}
