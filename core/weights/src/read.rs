//! Reading a checkpoint of any format.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value as Json};

use crate::budget::Budget;
use crate::pickle;
use crate::torch::{Members, Storages, Tensors, View, is_legacy, legacy};
use crate::tree::{self, Chosen};
use crate::{Array, Error, Result, npy, npz, numpy, safetensors};

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Format {
    /// Safetensors, the canonical format.
    #[default]
    Safetensors,
    /// The zip archive of `torch.save` since torch 1.6.
    TorchZip,
    /// The file of `torch.save` before torch 1.6.
    TorchLegacy,
    /// A bare pickle: NVIDIA snapshots, of torch or of TensorFlow.
    Pickle,
    /// An archive of `.npy` files.
    Npz,
    /// One NumPy array.
    Npy,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Safetensors => "safetensors",
            Self::TorchZip => "torch zip archive",
            Self::TorchLegacy => "torch legacy file",
            Self::Pickle => "pickled network",
            Self::Npz => "npz",
            Self::Npy => "npy",
        })
    }
}

/// The arrays of one network.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights {
    /// The arrays by name, as the checkpoint spells it without the key of the network.
    pub arrays: BTreeMap<String, Array>,
    /// Hyper-parameters: the `config` object of safetensors metadata, or the constructor's
    /// arguments of a snapshot with its `class_name`; empty where the format has none.
    pub config: Map<String, Json>,
    /// The format that was read.
    pub format: Format,
}

/// Options of reading.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// The entry to read, such as `G` or `g_ema`, with dots between nested ones. Without it the
    /// first of [`KEYS`](crate::KEYS) that is there is read, else the only entry with arrays.
    pub key: Option<String>,
}

impl ReadOptions {
    /// Options to read the entry `key`.
    pub fn key(key: impl Into<String>) -> Self {
        Self { key: Some(key.into()) }
    }
}

/// The arrays of the network that `options` ask for, in a checkpoint of any format.
///
/// # Errors
/// [`Error::File`] around the problem with the file, or around [`Error::AmbiguousKey`],
/// [`Error::MissingKey`] and [`Error::NoArrays`], which list the entries.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Weights> {
    let read = || {
        // Data sets in npz files are large: they are not held twice.
        if let Some(mut archive) = npz::Archive::sniff(path)? {
            let mut budget = Budget::of_file(archive.size());
            let arrays = choose_flat(archive.all(&mut budget)?, options.key.as_deref())?;
            return Ok(Weights { arrays, format: Format::Npz, ..Weights::default() });
        }
        read_bytes(&std::fs::read(path)?, options)
    };
    read().map_err(Error::reading(path))
}

/// As [`read`], from memory.
///
/// # Errors
/// As [`read`], without [`Error::File`] around.
pub fn read_bytes(bytes: &[u8], options: &ReadOptions) -> Result<Weights> {
    let mut budget = Budget::of_file(bytes.len() as u64);
    let key = options.key.as_deref();
    let format = sniff(bytes)?;
    match format {
        Format::Safetensors => {
            let (views, config) = safetensors::views(bytes)?;
            let views = choose_flat(views, key)?;
            let arrays = views.into_iter().map(|(name, view)| {
                let array = safetensors::array(&name, &view)?;
                Ok((name, array))
            });
            Ok(Weights { arrays: arrays.collect::<Result<_>>()?, config, format })
        }
        Format::Npz => {
            let arrays = npz::Archive::from_bytes(bytes)?.all(&mut budget)?;
            Ok(Weights { arrays: choose_flat(arrays, key)?, config: Map::new(), format })
        }
        Format::Npy => {
            let array = npy::read_from(&mut &*bytes, &mut budget)?;
            let arrays = BTreeMap::from([(tree::LONE.to_owned(), array)]);
            Ok(Weights { arrays: choose_flat(arrays, key)?, config: Map::new(), format })
        }
        _ => with_tensors(bytes, format, &mut budget, |tensors, budget| {
            let tree = tree::build(tensors, tensors.pickle().root, budget, 0)?;
            let Chosen { leaves, config } = tree.choose(key, budget)?;
            let arrays = leaves.into_iter().map(|(name, leaf)| {
                let array = view(tensors, leaf, budget).and_then(|view| view.array(budget));
                let array = array.map_err(Error::in_array(&name))?;
                Ok((name, array))
            });
            Ok(Weights { arrays: arrays.collect::<Result<_>>()?, config, format })
        }),
    }
}

/// The format according to the first bytes.
pub(crate) fn sniff(bytes: &[u8]) -> Result<Format> {
    let format = match bytes {
        _ if safetensors::is_safetensors(bytes, bytes.len() as u64) => Format::Safetensors,
        [b'P', b'K', 3, 4, ..] => {
            let members = Members::open(bytes)?;
            if members.names().iter().any(|name| is_data(name)) {
                Format::TorchZip
            } else if members.names().iter().any(|name| name.ends_with(npz::EXTENSION)) {
                Format::Npz
            } else {
                let found = "a zip archive without `data.pkl` or `.npy` members".to_owned();
                return Err(Error::UnknownFormat { found });
            }
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Format::Npy,
        _ if is_legacy(bytes) => Format::TorchLegacy,
        [0x80, 2..=5, ..] => Format::Pickle,
        _ => return Err(Error::UnknownFormat { found: looks_like(bytes) }),
    };
    Ok(format)
}

/// Whether a member of an archive is the pickle of `torch.save`.
pub(crate) fn is_data(name: &str) -> bool {
    name == "data.pkl" || name.ends_with("/data.pkl")
}

/// A description of a file of another kind, for the message.
fn looks_like(bytes: &[u8]) -> String {
    let found = match bytes {
        [] => "the file is empty",
        [0x1F, 0x8B, ..] => "a gzip file",
        [b'<', ..] => "a web page or XML",
        [b'{' | b'[', ..] => "JSON",
        _ if bytes.starts_with(b"version https://git-lfs") => {
            "a Git LFS pointer in place of the file, which `git lfs pull` fetches"
        }
        _ if bytes.get(257..262) == Some(b"ustar") => "a tar archive",
        _ => {
            let start: Vec<_> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            return format!("the file starts with {}", start.join(" "));
        }
    };
    found.to_owned()
}

/// Opens a file of tensors and hands it to `then`.
pub(crate) fn with_tensors<T>(
    bytes: &[u8],
    format: Format,
    budget: &mut Budget,
    then: impl FnOnce(&Tensors<'_>, &mut Budget) -> Result<T>,
) -> Result<T> {
    match format {
        Format::TorchZip => {
            let members = Members::open(bytes)?;
            let Some(data) = members.names().iter().find(|name| is_data(name)) else {
                return Err(Error::UnknownFormat { found: "an archive without data".to_owned() });
            };
            let prefix = data.trim_end_matches("data.pkl").to_owned();
            let pickle = members.get(data, budget)?;
            let pickle = pickle::load(&pickle)?;
            then(&Tensors::new(pickle, Storages::Zip { members: &members, prefix }), budget)
        }
        Format::TorchLegacy => {
            let (pickle, storages) = legacy(bytes)?;
            then(&Tensors::new(pickle, storages), budget)
        }
        _ => then(&Tensors::new(pickle::load(bytes)?, Storages::Inline), budget),
    }
}

/// The view of the storage or array that `leaf` is.
pub(crate) fn view<'a>(
    tensors: &Tensors<'a>,
    leaf: pickle::Value<'a>,
    budget: &mut Budget,
) -> Result<View<'a>> {
    if tensors.is_tensor(leaf) {
        tensors.view(leaf, budget)
    } else {
        numpy::view(tensors.pickle(), leaf, budget)
    }
}

/// Of names without structure, those that are `key` or start with it and a dot, without it.
fn choose_flat<T>(arrays: BTreeMap<String, T>, key: Option<&str>) -> Result<BTreeMap<String, T>> {
    let Some(key) = key else { return Ok(arrays) };
    let names: Vec<_> = arrays.keys().cloned().collect();
    let chosen: BTreeMap<_, _> = arrays
        .into_iter()
        .filter_map(|(name, array)| {
            let rest = name.strip_prefix(key)?;
            let name = if rest.is_empty() { key } else { rest.strip_prefix('.')? };
            Some((name.to_owned(), array))
        })
        .collect();
    if chosen.is_empty() {
        return Err(Error::MissingKey { key: key.to_owned(), found: names });
    }
    Ok(chosen)
}
