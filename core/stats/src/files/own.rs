//! Statistics as safetensors: moments, rows, counts and convention without loss.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use ganscope_weights::{Array, Weights};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Convention, Stored, from_matrix, from_vector, matrix, vector};
use crate::{Error, FeatureSet, FeatureStats, Features, Logits, Result};

/// Value of `kind` in the metadata.
const KIND: &str = "ganscope-stats";
/// Version of the layout.
const VERSION: u64 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    kind: String,
    version: u64,
    /// Images behind the moments.
    count: Option<u64>,
    /// Images behind the spatial moments.
    spatial_count: Option<u64>,
    convention: Option<Convention>,
}

/// Whether the file at `path` is a safetensors file of statistics; only its header is read.
pub(super) fn is_own(path: &Path) -> Result<bool> {
    // The length of the header, then a JSON object.
    let start = || -> std::io::Result<bool> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut start = Vec::new();
        file.by_ref().take(9).read_to_end(&mut start)?;
        let length = start.first_chunk().map_or(u64::MAX, |&length| u64::from_le_bytes(length));
        Ok(start.get(8) == Some(&b'{') && length < size)
    };
    if !start().map_err(ganscope_weights::Error::from)? {
        return Ok(false);
    }
    let listing = ganscope_weights::inspect(path)?;
    Ok(listing.config.get("kind").and_then(Value::as_str) == Some(KIND))
}

/// The statistics in `weights`.
pub(super) fn stored(weights: Weights) -> Result<Stored> {
    let head: Head = serde_json::from_value(Value::Object(weights.config))
        .map_err(|e| Error::NotStatistics(e.to_string()))?;
    if head.kind != KIND || head.version != VERSION {
        let found = format!("{} of version {}", head.kind, head.version);
        let message = format!("expected {KIND} of version {VERSION}, found {found}");
        return Err(Error::NotStatistics(message));
    }
    let rows = |name: &str| -> Result<Option<Features>> {
        let Some(array) = weights.arrays.get(name) else { return Ok(None) };
        match array.shape() {
            [_, dim] => Features::from_vec(array.to_f32(), *dim).map(Some),
            shape => Err(Error::NotStatistics(format!("rows `{name}` of shape {shape:?}"))),
        }
    };
    let moments = |prefix: &str, count: Option<u64>| -> Result<Option<FeatureStats>> {
        let part = |name: &str| weights.arrays.get(&format!("{prefix}{name}"));
        match (part("mean"), part("scatter"), part("cov"), count) {
            (Some(mean), Some(scatter), _, Some(count)) => {
                let stats = FeatureStats::from_scatter(count, vector(mean)?, matrix(scatter)?)?;
                let sample = rows(&format!("{prefix}sample"))?;
                match sample {
                    Some(sample) => stats.with_sample(sample).map(Some),
                    None => Ok(Some(stats)),
                }
            }
            (Some(mean), _, Some(cov), None) => {
                FeatureStats::from_cov(None, vector(mean)?, matrix(cov)?).map(Some)
            }
            _ => Ok(None),
        }
    };
    let set = FeatureSet {
        stats: moments("", head.count)?,
        spatial: moments("spatial.", head.spatial_count)?,
        features: rows("features")?,
        logits: rows("logits")?.map(Logits::Held),
    };
    Ok(Stored { set, convention: head.convention })
}

/// Writes all parts of the set, with its convention, as safetensors.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, stored: &Stored) -> Result<()> {
    Ok(ganscope_weights::write_safetensors(path, &weights(stored)?)?)
}

/// The bytes of the file that [`write()`] writes, which [`read_bytes`](super::read_bytes) reads.
///
/// # Errors
/// If rows that are not in memory cannot be read.
pub fn to_bytes(stored: &Stored) -> Result<Vec<u8>> {
    Ok(ganscope_weights::safetensors_bytes(&weights(stored)?)?)
}

/// All parts of the set as arrays, the rest as metadata.
fn weights(stored: &Stored) -> Result<Weights> {
    let mut weights = Weights::default();
    let mut moments = |prefix: &str, stats: &Option<FeatureStats>| -> Result<Option<u64>> {
        let Some(stats) = stats else { return Ok(None) };
        let mut put = |name: &str, array| weights.arrays.insert(format!("{prefix}{name}"), array);
        put("mean", from_vector(stats.mean())?);
        match stats.scatter() {
            Some(scatter) => put("scatter", from_matrix(scatter)?),
            None => put("cov", from_matrix(&stats.cov()?)?),
        };
        if let Some(sample) = stats.sample() {
            let array = Array::from_f32([sample.len(), sample.dim()], sample.as_slice())?;
            put("sample", array);
        }
        Ok(stats.count())
    };
    let head = Head {
        kind: KIND.into(),
        version: VERSION,
        count: moments("", &stored.set.stats)?,
        spatial_count: moments("spatial.", &stored.set.spatial)?,
        convention: stored.convention.clone(),
    };
    let mut put = |name: &str, rows: &Features| -> Result<()> {
        let array = Array::from_f32([rows.len(), rows.dim()], rows.as_slice())?;
        weights.arrays.insert(name.into(), array);
        Ok(())
    };
    if let Some(features) = &stored.set.features {
        put("features", features)?;
    }
    if let Some(logits) = &stored.set.logits {
        put("logits", &logits.to_features()?)?;
    }
    weights.config = match serde_json::to_value(head) {
        Ok(Value::Object(config)) => config,
        _ => Map::new(),
    };
    Ok(weights)
}
