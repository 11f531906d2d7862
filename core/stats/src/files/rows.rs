//! Rows of features as NumPy arrays, the format that other programs keep them in.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use ganscope_weights::npy::Header;
use ganscope_weights::npz::Archive;
use ganscope_weights::{Array, Dtype, npy};

use super::npz::has;
use crate::{FeatureSet, Features, Result};

/// Arrays of rows in an npz: of clean-fid and of dgm-eval.
const NAMES: [&str; 2] = ["feats", "reps"];

/// Whether an array of this header is rows of features, (N, dim).
fn is_rows(header: &Header) -> bool {
    let float = [Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::F64].contains(&header.dtype);
    float && header.shape.len() == 2
}

/// The rows in `archive`, if it contains any.
pub(super) fn of_npz<R: Read + Seek>(archive: &mut Archive<R>) -> Result<Option<FeatureSet>> {
    let Some(name) = NAMES.into_iter().find(|name| has(archive, name)) else { return Ok(None) };
    if !is_rows(&archive.header(name)?) {
        return Ok(None);
    }
    set(&archive.array(name)?).map(Some)
}

/// The rows in the file `path`, if it is an npy of them.
pub(super) fn of_npy(path: &Path) -> Result<Option<FeatureSet>> {
    let mut file = File::open(path).map_err(ganscope_weights::Error::from)?;
    match Header::read(&mut file) {
        Ok(header) if is_rows(&header) => set(&npy::read(path)?).map(Some),
        _ => Ok(None),
    }
}

fn set(array: &Array) -> Result<FeatureSet> {
    let dim = array.shape().last().copied().unwrap_or(0);
    FeatureSet::of_rows(Features::from_vec(array.to_f32(), dim)?)
}
