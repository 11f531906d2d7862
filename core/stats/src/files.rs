//! Files of statistics: those of this program, and those that other programs exchange.
//!
//! | file | contents | read | written |
//! |---|---|---|---|
//! | `.npz` with `mu`, `sigma` | mean and covariance: pytorch-fid, clean-fid, TTUR, EDM2 | yes | yes |
//! | the same with `mu_s`, `sigma_s` | also of the spatial features: ADM | yes | yes |
//! | the same with `n`, `n_s`, `ganscope_convention` | also count and convention | yes | yes |
//! | `.npz` with `feats` or `reps` | a row of features for each image: clean-fid, dgm-eval | yes | no |
//! | `.npy` of floats, (N, dim) | the same | yes | no |
//! | `.safetensors` of [`write()`] | exact mergeable moments, rows, count, convention | yes | yes |

mod convention;
mod npz;
mod own;
mod rows;

use std::path::Path;

use ganscope_weights::{Array, ReadOptions, npz::Archive};
use nalgebra::{DMatrix, DVector};

pub use convention::Convention;
pub use npz::write_npz;
pub use own::{to_bytes, write};
pub use rows::RowFile;

use crate::{Error, FeatureSet, Needs, Result};

/// Arrays of images in an npz: of the ADM and of the BigGAN-PyTorch samplers.
const IMAGES: [&str; 2] = ["arr_0", "x"];

/// The contents of a file of statistics.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The moments, and rows if the file contains them.
    pub set: FeatureSet,
    /// The conditions of the features; files of other programs do not contain them.
    pub convention: Option<Convention>,
}

/// The kind of a file, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Statistics that [`write()`] wrote.
    Statistics,
    /// An npz of mean and covariance.
    StatisticsNpz,
    /// An npz of mean and covariance and of the images themselves, as the references of ADM.
    StatisticsAndImagesNpz,
    /// An npz of images.
    ImagesNpz,
    /// Rows of features in an npy or npz.
    Rows,
    /// Anything else, such as a folder, an archive or a single image.
    Other,
}

/// A file that was looked into.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    /// Its kind.
    pub kind: Kind,
    /// The statistics, if it contains any.
    pub stored: Option<Stored>,
    /// The rows of features, if it is a file of them.
    pub rows: Option<RowFile>,
}

impl Contents {
    /// Whether the file has to be opened as a set of images: it contains images, or no statistics.
    pub fn may_be_images(&self) -> bool {
        !matches!(self.kind, Kind::Statistics | Kind::StatisticsNpz | Kind::Rows)
    }
}

/// Looks into the file or folder `path` and reads its statistics, if it contains any. Rows of features are
/// not read yet.
///
/// # Errors
/// If there is no such file, it cannot be read, or its statistics are damaged.
pub fn open(path: &Path) -> Result<Contents> {
    let contents = |kind, stored| Contents { kind, stored, rows: None };
    let of_rows = |rows| Contents { kind: Kind::Rows, stored: None, rows: Some(rows) };
    let found = || -> Result<Contents> {
        let metadata = std::fs::metadata(path).map_err(ganscope_weights::Error::from)?;
        if metadata.is_dir() {
            return Ok(contents(Kind::Other, None));
        }
        if let Ok(mut archive) = Archive::open(path) {
            let images = IMAGES.iter().any(|name| npz::has(&archive, name));
            if npz::has_statistics(&archive) {
                let kind = if images { Kind::StatisticsAndImagesNpz } else { Kind::StatisticsNpz };
                return Ok(contents(kind, Some(npz::read(&mut archive)?)));
            }
            if let Some(rows) = RowFile::of_npz(path, &mut archive)? {
                return Ok(of_rows(rows));
            }
            return Ok(contents(if images { Kind::ImagesNpz } else { Kind::Other }, None));
        }
        if let Some(rows) = RowFile::of_npy(path)? {
            return Ok(of_rows(rows));
        }
        if !own::is_own(path)? {
            return Ok(contents(Kind::Other, None));
        }
        let weights = ganscope_weights::read(path, &ReadOptions::default())?;
        Ok(contents(Kind::Statistics, Some(own::stored(weights)?)))
    };
    found().map_err(Error::reading(path))
}

/// Reads statistics of any of the formats above, and the rows of a file of them.
///
/// # Errors
/// [`Error::NotStatistics`] if the file contains no statistics, and those of [`open`].
pub fn read(path: &Path) -> Result<Stored> {
    let expected = "an npz with `mu` and `sigma` or a safetensors file of statistics is needed";
    let missing = || Error::reading(path)(Error::NotStatistics(expected.into()));
    let Contents { stored, rows, .. } = open(path)?;
    match rows {
        Some(rows) => {
            Ok(Stored { set: rows.read(Needs::all(), |_| Ok::<(), Error>(()))?, convention: None })
        }
        None => stored.ok_or_else(missing),
    }
}

/// Reads statistics that [`write()`] wrote from memory.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: &[u8]) -> Result<Stored> {
    own::stored(ganscope_weights::read_bytes(bytes, &ReadOptions::default())?)
}

/// Reads the statistics of parts of a set and merges them into those of the whole.
///
/// The convention of the whole is known if those of all parts are.
///
/// # Errors
/// [`Error::Uncounted`] for a file without its number of images, [`Error::Merge`] for a part of
/// another convention or with other contents than the first, [`Error::Parameter`] for no part, and
/// those of [`read`].
pub fn merge<P: AsRef<Path>>(parts: &[P]) -> Result<Stored> {
    let Some((first, rest)) = parts.split_first() else {
        let (name, expected) = ("the number of parts", "at least 1");
        return Err(Error::Parameter { name, expected, got: "0".into() });
    };
    let Stored { mut set, mut convention } = read_part(first.as_ref())?;
    let mut complete = convention.is_some();
    for path in rest {
        let path = path.as_ref();
        let part = read_part(path)?;
        let merging = |source| Error::Merge { path: path.into(), source: Box::new(source) };
        complete &= part.convention.is_some();
        match (&convention, part.convention) {
            (Some(known), Some(other)) => known.check(&other).map_err(merging)?,
            (None, other) => convention = other,
            (Some(_), None) => {}
        }
        set.merge(part.set).map_err(merging)?;
    }
    Ok(Stored { set, convention: convention.filter(|_| complete) })
}

/// The statistics at `path`, with the number of images.
fn read_part(path: &Path) -> Result<Stored> {
    let part = read(path)?;
    if part.set.is_mergeable() { Ok(part) } else { Err(Error::Uncounted { path: path.into() }) }
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
mod tests;
