//! Class labels of the `dataset.json` of the StyleGAN tools.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{Error, Result};

/// Name of the file of labels, in the folder or archive it is about.
pub(super) const FILE: &str = "dataset.json";

/// Bytes that a file of labels may have, whatever the number of images.
const FREE: u64 = 1 << 20;
/// Further bytes for each image: its name and its label.
const BYTES_PER_IMAGE: u64 = 1 << 10;

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
/// `"labels": null` and labels that are not class numbers result in none. A file of more than 1 MiB
/// and 1 KiB for each image is refused before it is read further.
pub(super) fn parse(path: &Path, json: impl Read, names: &[String]) -> Result<Vec<Option<u32>>> {
    let fail = |reason: String| Error::Labels { path: path.to_owned(), reason };
    let limit = FREE + BYTES_PER_IMAGE * names.len() as u64;
    let mut text = Vec::new();
    json.take(limit + 1).read_to_end(&mut text).map_err(|e: io::Error| fail(e.to_string()))?;
    if text.len() as u64 > limit {
        return Err(fail(format!("more than {limit} bytes for {} images", names.len())));
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
