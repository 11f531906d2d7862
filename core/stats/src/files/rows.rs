//! Rows of features as NumPy arrays, the format that other programs keep them in.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use ganscope_weights::npy::{self, Header};
use ganscope_weights::npz::{self, Archive};
use ganscope_weights::{Array, Dtype};

use super::npz::has;
use crate::{Error, FeatureBatch, FeatureSet, FeatureSetBuilder, Features, Needs, Result, Rows};

/// Arrays of rows in an npz: of clean-fid and of dgm-eval.
const NAMES: [&str; 2] = ["feats", "reps"];

/// Bytes of a block of rows.
const BLOCK: u64 = 1 << 24;

type Blocks = Box<dyn Iterator<Item = Result<Features>>>;

/// Rows of features in an npy, or in an array of an npz, which are read block by block each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFile {
    path: PathBuf,
    /// The array of an npz.
    name: Option<&'static str>,
    header: Header,
}

/// Whether an array of this header is rows of features, (N, dim).
fn is_rows(header: &Header) -> bool {
    let float = [Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::F64].contains(&header.dtype);
    float && header.shape.len() == 2
}

impl RowFile {
    /// The parts that rows have: themselves, their mean and covariance.
    pub const HOLDS: Needs = Needs::STATS.union(Needs::FEATURES);

    /// The rows in the npz `path`, if it contains any.
    pub(super) fn of_npz<R>(path: &Path, archive: &mut Archive<R>) -> Result<Option<Self>>
    where
        R: Read + Seek,
    {
        let Some(name) = NAMES.into_iter().find(|name| has(archive, name)) else { return Ok(None) };
        let header = archive.header(name)?;
        let found = Self { path: path.into(), name: Some(name), header };
        Ok(Some(found).filter(|found| is_rows(&found.header)))
    }

    /// The rows in the file `path`, if it is an npy of them.
    pub(super) fn of_npy(path: &Path) -> Result<Option<Self>> {
        let mut file = File::open(path).map_err(ganscope_weights::Error::from)?;
        let header = Header::read(&mut file).ok().filter(is_rows);
        Ok(header.map(|header| Self { path: path.into(), name: None, header }))
    }

    /// The parts that `needs` names, as far as rows have them; `read` is told the number of rows so far and
    /// may end the reading. For mean and covariance alone, memory does not grow with the number of rows.
    ///
    /// # Errors
    /// Those of `read` and of [`Rows::batches`], and [`Error::Parameter`] for rows that are too wide
    /// for a covariance.
    pub fn read<E: From<Error>>(
        &self,
        needs: Needs,
        mut read: impl FnMut(usize) -> std::result::Result<(), E>,
    ) -> std::result::Result<FeatureSet, E> {
        let (mut builder, mut done) = (FeatureSetBuilder::new(needs & Self::HOLDS), 0);
        for features in self.batches() {
            let features = features?;
            done += features.len();
            builder.push(&FeatureBatch { features, logits: None, spatial: None })?;
            read(done)?;
        }
        Ok(builder.finish())
    }

    fn blocks(&self) -> Result<Blocks> {
        Ok(match (self.name, self.header.fortran_order) {
            (None, false) => each(npy::Rows::open(&self.path)?),
            (Some(name), false) => each(npz::rows(&self.path, name)?),
            // The rows do not follow each other: the array is read whole.
            (None, true) => whole(&npy::read(&self.path)?),
            (Some(name), true) => whole(&Archive::open(&self.path)?.array(name)?),
        })
    }
}

impl Rows for RowFile {
    fn len(&self) -> usize {
        self.header.shape[0]
    }

    fn dim(&self) -> usize {
        self.header.shape[1]
    }

    /// Blocks of rows in order.
    ///
    /// # Errors
    /// [`Error::Read`] around [`Error::NotFinite`] with the number of the row, and if the file cannot
    /// be read or is shorter than its header promises.
    fn batches(&self) -> Box<dyn Iterator<Item = Result<Features>> + '_> {
        let blocks = self.blocks().unwrap_or_else(|error| Box::new(std::iter::once(Err(error))));
        let mut before = 0;
        Box::new(blocks.map(move |block| {
            let checked = block.and_then(|rows| {
                rows.check_finite("features").map_err(|error| match error {
                    Error::NotFinite { what, row } => Error::NotFinite { what, row: before + row },
                    error => error,
                })?;
                before += rows.len();
                Ok(rows)
            });
            checked.map_err(Error::reading(&self.path))
        }))
    }
}

/// The rows of an array in C order.
fn each<R: Read + 'static>(mut rows: npy::Rows<R>) -> Blocks {
    let count = (BLOCK / rows.row_bytes().max(1)).clamp(1, BLOCK) as usize;
    Box::new(std::iter::from_fn(move || match rows.next(count) {
        Ok(block) => block.map(|array| features(&array)),
        Err(error) => Some(Err(error.into())),
    }))
}

fn whole(array: &Array) -> Blocks {
    Box::new(std::iter::once(features(array)))
}

fn features(array: &Array) -> Result<Features> {
    Features::from_vec(array.to_f32(), array.shape().last().copied().unwrap_or(0))
}
