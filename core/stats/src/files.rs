//! Statistics files: our own, and those that other tools exchange.
//!
//! | file | holds | read | written |
//! |---|---|---|---|
//! | `.npz` with `mu`, `sigma` | mean and covariance: pytorch-fid, clean-fid, TTUR, EDM2 | yes | yes |
//! | the same with `mu_s`, `sigma_s` | also of the spatial features: ADM | yes | yes |
//! | `.safetensors` of [`write()`] | exact mergeable moments, rows, count, convention | yes | yes |

use std::fmt;
use std::path::Path;

use ganscope_weights::{Array, ReadOptions, Weights, npz};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, FeatureSet, FeatureStats, Features, Logits, Result};

/// What `kind` in the metadata of our files says.
const KIND: &str = "ganscope-stats";
/// Version of the layout of our files.
const VERSION: u64 = 1;

/// What features depend on beside the images: two sets can be compared when these are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convention {
    /// Extractor.
    pub extractor: String,
    /// Digest of the file of its weights.
    pub weights_sha256: String,
    /// Layer of the features.
    pub layer: String,
    /// Resize convention.
    pub resize: String,
    /// Input scaling.
    pub scaling: String,
}

impl Convention {
    /// Fails when `other` differs.
    ///
    /// # Errors
    /// [`Error::OtherConvention`], which names every difference.
    pub fn check(&self, other: &Self) -> Result<()> {
        let fields = |c: &Self| {
            let Self { extractor, weights_sha256, layer, resize, scaling } = c.clone();
            [extractor, weights_sha256, layer, resize, scaling]
        };
        let names = ["extractor", "weights sha256", "layer", "resize", "scaling"];
        let differ = |((name, a), b): ((&str, &String), &String)| {
            (a != b).then(|| format!("{name} {b} instead of {a}"))
        };
        let (mine, others) = (fields(self), fields(other));
        let differences: Vec<_> =
            names.into_iter().zip(&mine).zip(&others).filter_map(differ).collect();
        if differences.is_empty() {
            return Ok(());
        }
        Err(Error::OtherConvention { differences: differences.join(", ") })
    }
}

impl fmt::Display for Convention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { extractor, weights_sha256, layer, resize, scaling } = self;
        let weights = weights_sha256.get(..8).unwrap_or(weights_sha256);
        write!(f, "{extractor} ({weights}), layer {layer}, {resize}, {scaling}")
    }
}

/// What a statistics file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The statistics, and rows where the file has them.
    pub set: FeatureSet,
    /// How they were taken; only our own files tell.
    pub convention: Option<Convention>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    kind: String,
    version: u64,
    /// Images behind the moments, the spatial moments.
    count: Option<u64>,
    spatial_count: Option<u64>,
    convention: Option<Convention>,
}

/// Whether the file at `path` is one of statistics, by its content.
///
/// # Errors
/// When the file cannot be read.
pub fn is_stats(path: &Path) -> Result<bool> {
    if let Ok(archive) = npz::Archive::open(path) {
        return Ok(["mu", "sigma"].iter().all(|key| archive.names().iter().any(|n| n == key)));
    }
    let listing = ganscope_weights::inspect(path)?;
    Ok(listing.config.get("kind").and_then(Value::as_str) == Some(KIND))
}

/// Reads statistics of any of the formats above.
///
/// # Errors
/// When the file holds none, or arrays that cannot be a mean and a covariance.
pub fn read(path: &Path) -> Result<Stored> {
    match npz::Archive::open(path) {
        Ok(mut archive) => read_npz(&mut archive).map_err(Error::reading(path)),
        Err(_) => read_own(path).map_err(Error::reading(path)),
    }
}

fn read_npz<R: std::io::Read + std::io::Seek>(archive: &mut npz::Archive<R>) -> Result<Stored> {
    let has = |key: &str| archive.names().iter().any(|name| name == key);
    let spatial = has("mu_s") && has("sigma_s");
    let mut moments = |mean: &str, cov: &str| -> Result<FeatureStats> {
        let (mean, cov) = (archive.array(mean)?, archive.array(cov)?);
        FeatureStats::from_cov(None, vector(&mean)?, matrix(&cov)?)
    };
    let stats = moments("mu", "sigma")?;
    let spatial = spatial.then(|| moments("mu_s", "sigma_s")).transpose()?;
    let set = FeatureSet { stats: Some(stats), spatial, ..FeatureSet::default() };
    Ok(Stored { set, convention: None })
}

/// Reads one of our own files from memory.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: &[u8]) -> Result<Stored> {
    stored(ganscope_weights::read_bytes(bytes, &ReadOptions::default())?)
}

fn read_own(path: &Path) -> Result<Stored> {
    stored(ganscope_weights::read(path, &ReadOptions::default())?)
}

fn stored(weights: Weights) -> Result<Stored> {
    let head: Head = serde_json::from_value(Value::Object(weights.config))
        .map_err(|e| Error::NotStatistics(e.to_string()))?;
    if head.kind != KIND || head.version != VERSION {
        let found = format!("{} of version {}", head.kind, head.version);
        return Err(Error::NotStatistics(format!("expected {KIND} of version {VERSION}, {found}")));
    }
    let moments = |prefix: &str, count: Option<u64>| -> Result<Option<FeatureStats>> {
        let part = |name: &str| weights.arrays.get(&format!("{prefix}{name}"));
        match (part("mean"), part("scatter"), part("cov"), count) {
            (Some(mean), Some(scatter), _, Some(count)) => {
                FeatureStats::from_scatter(count, vector(mean)?, matrix(scatter)?).map(Some)
            }
            (Some(mean), _, Some(cov), None) => {
                FeatureStats::from_cov(None, vector(mean)?, matrix(cov)?).map(Some)
            }
            _ => Ok(None),
        }
    };
    let rows = |name: &str| -> Result<Option<Features>> {
        let Some(array) = weights.arrays.get(name) else { return Ok(None) };
        match array.shape() {
            [_, dim] => Features::from_vec(array.to_f32(), *dim).map(Some),
            shape => Err(Error::NotStatistics(format!("rows `{name}` of shape {shape:?}"))),
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

/// Writes mean and covariance as `mu` and `sigma`, and those of the spatial features, where there
/// are any, as `mu_s` and `sigma_s`: float64, as pytorch-fid and ADM read them.
///
/// # Errors
/// [`Error::Missing`] when the set holds no statistics; when the file cannot be written.
pub fn write_npz(path: &Path, set: &FeatureSet) -> Result<()> {
    let stats = set.stats_for("a statistics file", "stored")?;
    let mut arrays =
        vec![("mu", from_vector(stats.mean())?), ("sigma", from_matrix(&stats.cov()?)?)];
    if let Some(spatial) = &set.spatial {
        arrays.push(("mu_s", from_vector(spatial.mean())?));
        arrays.push(("sigma_s", from_matrix(&spatial.cov()?)?));
    }
    Ok(npz::write(path, arrays.iter().map(|(name, array)| (*name, array)))?)
}

/// Writes everything the set holds, with its convention.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, stored: &Stored) -> Result<()> {
    let mut weights = Weights::default();
    let mut moments = |prefix: &str, stats: &Option<FeatureStats>| -> Result<Option<u64>> {
        let Some(stats) = stats else { return Ok(None) };
        let mut put = |name: &str, array| weights.arrays.insert(format!("{prefix}{name}"), array);
        put("mean", from_vector(stats.mean())?);
        match stats.scatter() {
            Some(scatter) => put("scatter", from_matrix(scatter)?),
            None => put("cov", from_matrix(&stats.cov()?)?),
        };
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
    Ok(ganscope_weights::write_safetensors(path, &weights)?)
}

fn vector(array: &Array) -> Result<DVector<f64>> {
    match array.shape() {
        [_] => Ok(DVector::from_vec(array.to_f64())),
        shape => Err(Error::NotStatistics(format!("a mean of shape {shape:?}, expected (N,)"))),
    }
}

fn matrix(array: &Array) -> Result<DMatrix<f64>> {
    match array.shape() {
        [n, m] if n == m => Ok(DMatrix::from_vec(*n, *n, array.to_f64())),
        shape => {
            Err(Error::NotStatistics(format!("a covariance of shape {shape:?}, expected (N, N)")))
        }
    }
}

fn from_vector(v: &DVector<f64>) -> Result<Array> {
    Ok(Array::from_f64([v.len()], v.as_slice())?)
}

/// Symmetric, so the order of rows and columns does not matter.
fn from_matrix(m: &DMatrix<f64>) -> Result<Array> {
    Ok(Array::from_f64([m.nrows(), m.ncols()], m.as_slice())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> FeatureSet {
        let rows = ganscope_golden::tensor("files", &[9, 4], (-1.0, 1.0), 0);
        let features = Features::from_vec(rows, 4).unwrap();
        FeatureSet {
            stats: Some(FeatureStats::from_features(&features)),
            spatial: Some(FeatureStats::from_features(&features.select(&[0, 1, 2]))),
            logits: Some(features.select(&[3, 4]).into()),
            features: Some(features),
        }
    }

    fn convention() -> Convention {
        Convention {
            extractor: "inception".into(),
            weights_sha256: "6726825d".into(),
            layer: "2048".into(),
            resize: "tf-bilinear".into(),
            scaling: "(x - 128) / 128".into(),
        }
    }

    #[test]
    fn our_own_file_gives_back_every_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let stored = Stored { set: set(), convention: Some(convention()) };
        write(&path, &stored).unwrap();
        assert_eq!(read(&path).unwrap(), stored);
        assert!(is_stats(&path).unwrap());
    }

    #[test]
    fn an_npz_holds_mean_and_unbiased_covariance() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npz");
        write_npz(&path, &set()).unwrap();
        assert!(is_stats(&path).unwrap());
        let arrays = npz::read(&path).unwrap();
        assert_eq!(arrays["mu"].shape(), [4]);
        assert_eq!(arrays["sigma"].to_f64(), set().stats.unwrap().cov().unwrap().as_slice());
        let back = read(&path).unwrap();
        assert_eq!(back.convention, None);
        let (a, b) = (back.set.spatial.unwrap(), set().spatial.unwrap());
        assert_eq!((a.mean(), a.cov().unwrap()), (b.mean(), b.cov().unwrap()));
    }

    #[test]
    fn arrays_that_are_no_statistics_are_named_with_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.npz");
        let mu = Array::from_f64([3], &[0.0; 3]).unwrap();
        let sigma = Array::from_f64([2, 2], &[1.0, 0.0, 0.0, 1.0]).unwrap();
        npz::write(&path, [("mu", &mu), ("sigma", &sigma)]).unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.to_string().contains("bad.npz"), "{error}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains('2') && cause.contains('3'), "{cause}");
    }

    #[test]
    fn another_convention_is_refused_with_the_difference() {
        let other = Convention { resize: "pillow-bicubic".into(), ..convention() };
        assert!(convention().check(&convention()).is_ok());
        let error = convention().check(&other).unwrap_err().to_string();
        assert!(error.contains("resize pillow-bicubic instead of tf-bilinear"), "{error}");
    }
}
