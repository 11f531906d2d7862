//! The canonical file of a model: safetensors with its hyper-parameters as JSON in the metadata.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::path::Path;

use ::safetensors::tensor::{Metadata, TensorInfo, TensorView};
use ::safetensors::{Dtype as Stored, SafeTensors};
use serde_json::{Map, Value};

use crate::error::malformed;
use crate::{Array, Dtype, Error, Result, Weights, write_atomically};

const FORMAT: &str = "safetensors";

/// Metadata entry that contains the hyper-parameters.
const CONFIG: &str = "config";

/// Writes `weights` as safetensors under a temporary name and renames the file when it is whole.
///
/// The hyper-parameters go into the metadata entry `config` as a JSON object. The same weights
/// result in the same bytes.
///
/// # Errors
/// If the file cannot be written.
pub fn write_safetensors(path: &Path, weights: &Weights) -> Result<()> {
    write_atomically(path, |file| write(file, weights))
}

/// `weights` as the bytes of the file that [`write_safetensors`] writes.
///
/// # Errors
/// If a name or a size cannot be written.
pub fn safetensors_bytes(weights: &Weights) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write(&mut bytes, weights)?;
    Ok(bytes)
}

/// Writes header and arrays, those of large elements first, so that all are aligned.
///
/// Arrays with elements of one size are in the order of their names.
/// `safetensors::serialize_to_file` orders them by element type first, so a file of integers and
/// floats would get other bytes.
fn write(mut writer: impl Write, weights: &Weights) -> Result<()> {
    let mut arrays: Vec<_> = weights.arrays.iter().collect();
    arrays.sort_by_key(|(_, array)| Reverse(array.dtype().size()));
    let mut end = 0;
    let info = |&(name, array): &(&String, &Array)| {
        let start = end;
        end += array.data().len();
        let (dtype, shape) = (stored(array.dtype()), array.shape().to_vec());
        (name.clone(), TensorInfo { dtype, shape, data_offsets: (start, end) })
    };
    let infos = arrays.iter().map(info).collect();
    let config = Value::Object(weights.config.clone()).to_string();
    let metadata = HashMap::from([(CONFIG.to_owned(), config)]);
    let header = Metadata::new(Some(metadata), infos).map_err(malformation)?;
    let mut header = serde_json::to_vec(&header).map_err(std::io::Error::from)?;
    header.resize(header.len().next_multiple_of(size_of::<u64>()), b' ');
    writer.write_all(&(header.len() as u64).to_le_bytes())?;
    writer.write_all(&header)?;
    for (_, array) in arrays {
        writer.write_all(array.data())?;
    }
    Ok(())
}

/// Whether `start` is the start of a safetensors file of `size` bytes: the length of the header,
/// then a JSON object.
pub(crate) fn is_safetensors(start: &[u8], size: u64) -> bool {
    start.get(8) == Some(&b'{')
        && start.first_chunk().is_some_and(|&length| u64::from_le_bytes(length) < size)
}

/// The header of the safetensors file `reader` of `size` bytes, if it is one.
pub(crate) fn header(reader: &mut impl Read, size: u64) -> Result<Option<Metadata>> {
    let mut start = Vec::new();
    reader.take(9).read_to_end(&mut start)?;
    if !is_safetensors(&start, size) {
        return Ok(None);
    }
    let length = start.first_chunk().map_or(0, |&length| u64::from_le_bytes(length));
    let mut text = start.split_off(8);
    reader.take(length.saturating_sub(1)).read_to_end(&mut text)?;
    let metadata: Metadata = serde_json::from_slice(&text)
        .map_err(|e| Error::Malformed { format: FORMAT, detail: e.to_string() })?;
    let end = length.saturating_add(8).saturating_add(metadata.data_len() as u64);
    if end != size {
        return malformed!(FORMAT, "the header describes {end} bytes, {size} are there");
    }
    Ok(Some(metadata))
}

/// The header of a safetensors file in memory.
pub(crate) fn metadata(bytes: &[u8]) -> Result<Metadata> {
    Ok(SafeTensors::read_metadata(bytes).map_err(malformation)?.1)
}

/// Names, views and hyper-parameters of a safetensors file.
pub(crate) fn views(
    bytes: &[u8],
) -> Result<(BTreeMap<String, TensorView<'_>>, Map<String, Value>)> {
    let file = SafeTensors::deserialize(bytes).map_err(malformation)?;
    let config = config(metadata(bytes)?.metadata().as_ref());
    Ok((file.tensors().into_iter().collect(), config))
}

/// The array that a view shows.
pub(crate) fn array(name: &str, view: &TensorView<'_>) -> Result<Array> {
    Array::new(view.shape(), dtype(name, view.dtype())?, view.data().to_vec())
}

/// The element type of the view `name`.
pub(crate) fn dtype(name: &str, dtype: Stored) -> Result<Dtype> {
    Ok(match dtype {
        Stored::BOOL => Dtype::Bool,
        Stored::U8 => Dtype::U8,
        Stored::I8 => Dtype::I8,
        Stored::U16 => Dtype::U16,
        Stored::I16 => Dtype::I16,
        Stored::U32 => Dtype::U32,
        Stored::I32 => Dtype::I32,
        Stored::U64 => Dtype::U64,
        Stored::I64 => Dtype::I64,
        Stored::F16 => Dtype::F16,
        Stored::BF16 => Dtype::Bf16,
        Stored::F32 => Dtype::F32,
        Stored::F64 => Dtype::F64,
        other => {
            let dtype = format!("{other:?}");
            return Err(Error::UnsupportedDtype { name: name.to_owned(), dtype });
        }
    })
}

fn stored(dtype: Dtype) -> Stored {
    match dtype {
        Dtype::Bool => Stored::BOOL,
        Dtype::U8 => Stored::U8,
        Dtype::I8 => Stored::I8,
        Dtype::U16 => Stored::U16,
        Dtype::I16 => Stored::I16,
        Dtype::U32 => Stored::U32,
        Dtype::I32 => Stored::I32,
        Dtype::U64 => Stored::U64,
        Dtype::I64 => Stored::I64,
        Dtype::F16 => Stored::F16,
        Dtype::Bf16 => Stored::BF16,
        Dtype::F32 => Stored::F32,
        Dtype::F64 => Stored::F64,
    }
}

/// The object in the entry `config`; without one, all entries, parsed as JSON where they are.
pub(crate) fn config(metadata: Option<&HashMap<String, String>>) -> Map<String, Value> {
    let Some(metadata) = metadata else { return Map::new() };
    if let Some(Ok(Value::Object(config))) = metadata.get(CONFIG).map(|c| serde_json::from_str(c)) {
        return config;
    }
    let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| text.clone().into());
    let sorted: BTreeMap<_, _> = metadata.iter().collect();
    sorted.into_iter().map(|(name, text)| (name.clone(), value(text))).collect()
}

fn malformation(error: ::safetensors::SafeTensorError) -> Error {
    Error::Malformed { format: FORMAT, detail: error.to_string() }
}
