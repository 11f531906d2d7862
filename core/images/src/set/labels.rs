//! Class labels of the `dataset.json` of the StyleGAN tools.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use crate::{Error, Result};

/// Name of the file of labels, in the folder or archive it is about.
pub(super) const FILE: &str = "dataset.json";

/// The label of each name, from `{"labels": [[name, label], ...]}`.
///
/// `"labels": null` and labels that are not class numbers result in none.
pub(super) fn parse(path: &Path, json: &[u8], names: &[String]) -> Result<Vec<Option<u32>>> {
    let value: Value = serde_json::from_slice(json)
        .map_err(|e| Error::Labels { path: path.to_owned(), reason: e.to_string() })?;
    let pairs = value.get("labels").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let label = |pair: &'_ Value| -> Option<(String, u32)> {
        let label = pair.get(1)?.as_u64()?.try_into().ok()?;
        Some((pair.get(0)?.as_str()?.to_owned(), label))
    };
    let labels: HashMap<String, u32> = pairs.iter().filter_map(label).collect();
    Ok(names.iter().map(|name| labels.get(name).copied()).collect())
}
