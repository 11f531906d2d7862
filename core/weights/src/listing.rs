//! The content of a checkpoint without its values.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek, SeekFrom};
use std::path::Path;

use ::safetensors::tensor::Metadata;
use serde_json::{Map, Value as Json};

use crate::budget::Budget;
use crate::read::{Format, sniff, view, with_tensors};
use crate::tree::{self, Chosen};
use crate::{Error, Result, npy, npz, safetensors};

/// One array of a [`Listing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The full name, with the keys on the way to the array.
    pub name: String,
    /// Sizes, slowest axis first.
    pub shape: Vec<usize>,
    /// The element type, in the words of the format where it has no counterpart here.
    pub dtype: String,
}

/// The content of a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Listing {
    /// The format.
    pub format: Format,
    /// All arrays of all networks; sorted by name, or in the order of an npz file.
    pub entries: Vec<Entry>,
    /// Hyper-parameters, by the name of the network where there are several.
    pub config: Map<String, Json>,
}

/// Everything in a checkpoint of any format, without the values.
///
/// Of safetensors, npz and npy files only the headers are read.
///
/// # Errors
/// [`Error::File`] around the problem with the file.
pub fn inspect(path: &Path) -> Result<Listing> {
    let inspect = || {
        if let Some(mut archive) = npz::Archive::sniff(path)? {
            return npz_listing(&mut archive);
        }
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        if let Some(metadata) = safetensors::header(&mut file, size)? {
            return Ok(safetensors_listing(&metadata));
        }
        file.seek(SeekFrom::Start(0))?;
        if let Ok(header) = npy::Header::read(BufReader::new(&file)) {
            return Ok(npy_listing(header));
        }
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        inspect_bytes(&bytes)
    };
    inspect().map_err(Error::reading(path))
}

/// As [`inspect`], from memory.
///
/// # Errors
/// As [`inspect`], without [`Error::File`] around.
pub fn inspect_bytes(bytes: &[u8]) -> Result<Listing> {
    let mut budget = Budget::of_file(bytes.len() as u64);
    let format = sniff(bytes)?;
    match format {
        Format::Safetensors => safetensors::metadata(bytes).map(|m| safetensors_listing(&m)),
        Format::Npz => npz_listing(&mut npz::Archive::from_bytes(bytes)?),
        Format::Npy => npy::Header::read(bytes).map(npy_listing),
        _ => with_tensors(bytes, format, &mut budget, |tensors, budget| {
            let tree = tree::build(tensors, tensors.pickle().root, budget, 0)?;
            let Chosen { leaves, config } = tree.all(budget)?;
            let entries = leaves.into_iter().map(|(name, leaf)| {
                let view = view(tensors, leaf, budget).map_err(Error::in_array(&name))?;
                let dtype = view.dtype().to_string();
                Ok(Entry { name, shape: view.shape().to_vec(), dtype })
            });
            Ok(Listing { format, entries: entries.collect::<Result<_>>()?, config })
        }),
    }
}

fn safetensors_listing(metadata: &Metadata) -> Listing {
    let mut entries: Vec<_> = metadata
        .tensors()
        .into_iter()
        .map(|(name, info)| {
            let dtype = match safetensors::dtype(&name, info.dtype) {
                Ok(dtype) => dtype.to_string(),
                Err(_) => format!("{:?}", info.dtype),
            };
            Entry { name, shape: info.shape.clone(), dtype }
        })
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let config = safetensors::config(metadata.metadata().as_ref());
    Listing { format: Format::Safetensors, entries, config }
}

fn npz_listing<R: std::io::Read + Seek>(archive: &mut npz::Archive<R>) -> Result<Listing> {
    let names = archive.names().to_owned();
    let entries = names.into_iter().map(|name| {
        let header = archive.header(&name)?;
        Ok(Entry { name, shape: header.shape, dtype: header.dtype.to_string() })
    });
    let entries = entries.collect::<Result<_>>()?;
    Ok(Listing { format: Format::Npz, entries, config: Map::new() })
}

fn npy_listing(header: npy::Header) -> Listing {
    let (name, dtype) = (tree::LONE.to_owned(), header.dtype.to_string());
    let entries = vec![Entry { name, shape: header.shape, dtype }];
    Listing { format: Format::Npy, entries, config: Map::new() }
}
