//! Mean and covariance as npz, the format that other programs exchange.

use std::io::{Read, Seek};
use std::path::Path;

use ganscope_weights::npz::{self, Archive};
use ganscope_weights::{Array, Dtype};

use super::{Convention, Stored, from_matrix, from_vector, matrix, vector};
use crate::{Error, FeatureSet, FeatureStats, Result};

/// The convention as JSON, in bytes.
const CONVENTION: &str = "ganscope_convention";

/// Names of mean, covariance and number of images.
struct Names {
    mean: &'static str,
    cov: &'static str,
    count: &'static str,
}

const POOLED: Names = Names { mean: "mu", cov: "sigma", count: "n" };
const SPATIAL: Names = Names { mean: "mu_s", cov: "sigma_s", count: "n_s" };

/// Whether `archive` contains an array `name`.
pub(super) fn has<R>(archive: &Archive<R>, name: &str) -> bool
where
    R: Read + Seek,
{
    archive.names().iter().any(|n| n == name)
}

/// Whether `archive` contains mean and covariance.
pub(super) fn has_statistics<R: Read + Seek>(archive: &Archive<R>) -> bool {
    has(archive, POOLED.mean) && has(archive, POOLED.cov)
}

/// The statistics in `archive`.
pub(super) fn read<R: Read + Seek>(archive: &mut Archive<R>) -> Result<Stored> {
    let spatial = has(archive, SPATIAL.mean) && has(archive, SPATIAL.cov);
    let stats = Some(moments(archive, &POOLED)?);
    let spatial = if spatial { Some(moments(archive, &SPATIAL)?) } else { None };
    let convention = if has(archive, CONVENTION) {
        let json = archive.array(CONVENTION)?;
        let convention: Convention = serde_json::from_slice(json.data())
            .map_err(|e| Error::NotStatistics(format!("`{CONVENTION}`: {e}")))?;
        Some(convention)
    } else {
        None
    };
    Ok(Stored { set: FeatureSet { stats, spatial, ..FeatureSet::default() }, convention })
}

fn moments<R: Read + Seek>(archive: &mut Archive<R>, names: &Names) -> Result<FeatureStats> {
    let (mean, cov) = (archive.array(names.mean)?, archive.array(names.cov)?);
    FeatureStats::from_cov(count(archive, names.count)?, vector(&mean)?, matrix(&cov)?)
}

/// The number of images, if the array `name` is a single integer: no other program writes it.
fn count<R: Read + Seek>(archive: &mut Archive<R>, name: &str) -> Result<Option<u64>> {
    let integers = [Dtype::I64, Dtype::I32, Dtype::U64, Dtype::U32];
    match archive.header(name) {
        Ok(header) if integers.contains(&header.dtype) && header.shape.iter().all(|&n| n == 1) => {
            let count = archive.array(name)?.to_i64();
            Ok(count.first().and_then(|&count| u64::try_from(count).ok()))
        }
        _ => Ok(None),
    }
}

/// Writes mean and covariance as `mu` and `sigma`, and those of the spatial features, if there are
/// any, as `mu_s` and `sigma_s`: float64, as pytorch-fid and ADM read them. The number of images
/// follows as `n` and `n_s`, the convention as `ganscope_convention`, its JSON in bytes; other
/// programs ignore these.
///
/// # Errors
/// [`Error::Lacks`] if the set contains no mean and covariance; if the file cannot be written.
pub fn write_npz(path: &Path, stored: &Stored) -> Result<()> {
    let Stored { set, convention } = stored;
    let Some(stats) = &set.stats else {
        return Err(Error::Lacks { what: "the set", part: "mean and covariance" });
    };
    let mut arrays = Vec::new();
    let mut put = |stats: &FeatureStats, names: Names| -> Result<()> {
        arrays.push((names.mean, from_vector(stats.mean())?));
        arrays.push((names.cov, from_matrix(&stats.cov()?)?));
        if let Some(count) = stats.count() {
            arrays.push((names.count, Array::from_i64([], &[count as i64])?));
        }
        Ok(())
    };
    put(stats, POOLED)?;
    if let Some(spatial) = &set.spatial {
        put(spatial, SPATIAL)?;
    }
    if let Some(convention) = convention {
        let json = serde_json::to_vec(convention)
            .map_err(|e| ganscope_weights::Error::from(std::io::Error::from(e)))?;
        arrays.push((CONVENTION, Array::from_u8([json.len()], json)?));
    }
    Ok(npz::write(path, arrays.iter().map(|(name, array)| (*name, array)))?)
}
