//! Tensors in files of `torch.save`: the zip archives of torch 1.6 and later, the older legacy
//! files, and the legacy blobs inside NVIDIA snapshots; and in archives of `TorchScript`.
//!
//! <https://github.com/pytorch/pytorch/blob/main/torch/serialization.py> and `torch/_utils.py` of
//! the same repository define the records that are interpreted here.

mod legacy;
mod members;
mod view;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use crate::budget::Budget;
use crate::error::malformed;
use crate::pickle::{Global, Object, Pickle, Value};
use crate::{Dtype, Result};

pub(crate) use legacy::{is_legacy, legacy};
pub(crate) use members::{Members, open_archive, unzip_error};
pub(crate) use view::{Bytes, View};

const FORMAT: &str = "torch file";

/// Wrappers around one tensor that are looked through.
const MAX_WRAPPERS: usize = 8;

/// Where the storages of a pickle are.
#[derive(Debug)]
pub(crate) enum Storages<'a> {
    /// Only inside of the pickle itself, as in a snapshot.
    Inline,
    /// Members `PREFIX/data/KEY` of a zip archive.
    Zip { members: &'a Members<'a>, prefix: String },
    /// Raw data behind the pickles of a legacy file.
    Legacy(HashMap<&'a str, &'a [u8]>),
}

/// A pickle with tensors in it, and their storages.
#[derive(Debug)]
pub(crate) struct Tensors<'a> {
    pickle: Pickle<'a>,
    storages: Storages<'a>,
    /// Storages of legacy blobs inside of the pickle, by the value that contains the blob.
    inline: RefCell<HashMap<Blob, (Dtype, Bytes<'a>)>>,
}

/// Identity of a value that contains a legacy blob: its address and length, or its node.
type Blob = (usize, usize);

impl<'a> Tensors<'a> {
    pub(crate) fn new(pickle: Pickle<'a>, storages: Storages<'a>) -> Self {
        Self { pickle, storages, inline: RefCell::default() }
    }

    /// The pickle that describes the tensors.
    pub(crate) fn pickle(&self) -> &Pickle<'a> {
        &self.pickle
    }

    /// Whether `value` is a tensor or a parameter.
    pub(crate) fn is_tensor(&self, value: Value<'a>) -> bool {
        self.pickle.object(value).is_some_and(|object| {
            use Global::{RebuildFromType, RebuildParameter, RebuildTensor};
            matches!(object.class, RebuildTensor | RebuildParameter | RebuildFromType)
        })
    }

    /// The view of a storage that the tensor or parameter `value` is.
    ///
    /// # Errors
    /// If the record contradicts itself or reaches beyond its storage.
    pub(crate) fn view(&self, value: Value<'a>, budget: &mut Budget) -> Result<View<'a>> {
        let mut object = self.pickle.object(value);
        for _ in 0..MAX_WRAPPERS {
            let Some(Object { class, args, .. }) = object else { break };
            let args = self.pickle.items(args).unwrap_or_default();
            object = match (class, args) {
                (Global::RebuildTensor, &[storage, offset, shape, strides, ..]) => {
                    let (dtype, bytes) = self.storage(storage, budget)?;
                    let offset = Self::size(offset)?;
                    let (shape, strides) =
                        (self.sizes(shape, budget)?, self.sizes(strides, budget)?);
                    return View::new(bytes, dtype, offset, shape, strides);
                }
                (Global::RebuildParameter, &[tensor, ..]) => self.pickle.object(tensor),
                (Global::RebuildFromType, &[class, _, args, ..]) => {
                    let class = self.pickle.global(class);
                    class.map(|class| Object { class, args, state: Value::None })
                }
                _ => None,
            };
        }
        malformed!(FORMAT, "a tensor without storage, offset, shape and strides")
    }

    fn size(value: Value<'a>) -> Result<usize> {
        match value {
            Value::Int(size) if size >= 0 => Ok(size as usize),
            Value::Int(size) => malformed!(FORMAT, "a size, stride or offset of {size}"),
            _ => malformed!(FORMAT, "{} as a size, stride or offset", value.kind()),
        }
    }

    fn sizes(&self, value: Value<'a>, budget: &mut Budget) -> Result<Vec<usize>> {
        let Some(sizes) = self.pickle.items(value) else {
            return malformed!(FORMAT, "{} as a shape or strides", value.kind());
        };
        budget.take(sizes.len() as u64)?;
        sizes.iter().map(|&size| Self::size(size)).collect()
    }

    /// Element type and bytes of the storage that `value` names.
    fn storage(&self, value: Value<'a>, budget: &mut Budget) -> Result<(Dtype, Bytes<'a>)> {
        if let Some(Object { class: Global::LoadFromBytes, args, .. }) = self.pickle.object(value)
            && let Some(&[blob]) = self.pickle.items(args)
        {
            return self.inline(blob, budget);
        }
        let Some(crate::pickle::Node::Persistent(id)) = self.pickle.node(value) else {
            return malformed!(FORMAT, "{} as a storage", value.kind());
        };
        let id = StorageId::parse(&self.pickle, *id)?;
        let bytes = match &self.storages {
            Storages::Zip { members, prefix } => {
                members.get(&format!("{prefix}data/{}", id.key), budget)?
            }
            Storages::Legacy(storages) => match storages.get(id.key) {
                Some(bytes) => Bytes::Borrowed(bytes),
                None => return malformed!(FORMAT, "no data for the storage `{}`", id.key),
            },
            Storages::Inline => {
                return malformed!(FORMAT, "storage `{}` is not inside of the pickle", id.key);
            }
        };
        Ok((id.dtype, id.part_of(bytes)?))
    }

    /// The storage in a legacy blob, which is parsed once.
    fn inline(&self, blob: Value<'a>, budget: &mut Budget) -> Result<(Dtype, Bytes<'a>)> {
        let identity = match blob {
            Value::Bytes(bytes) => (bytes.as_ptr() as usize, bytes.len()),
            Value::Node(id) => (id as usize, usize::MAX),
            _ => return malformed!(FORMAT, "{} as an embedded storage", blob.kind()),
        };
        if let Some(found) = self.inline.borrow().get(&identity) {
            return Ok(found.clone());
        }
        let found = match self.pickle.bytes(blob, budget)? {
            Some(Cow::Borrowed(bytes)) => {
                let (dtype, range) = legacy::storage(bytes)?;
                (dtype, Bytes::Borrowed(&bytes[range]))
            }
            Some(Cow::Owned(bytes)) => {
                let (dtype, range) = legacy::storage(&bytes)?;
                (dtype, Bytes::shared(&bytes[range]))
            }
            None => return malformed!(FORMAT, "an embedded storage that is not bytes"),
        };
        self.inline.borrow_mut().insert(identity, found.clone());
        Ok(found)
    }
}

/// The identification of a storage: `('storage', type, key, device, elements[, part])`.
#[derive(Debug, Clone, Copy)]
struct StorageId<'a> {
    dtype: Dtype,
    key: &'a str,
    elements: usize,
    /// First element and number of elements of an old-style storage view.
    part: Option<(usize, usize)>,
}

impl<'a> StorageId<'a> {
    fn parse(pickle: &Pickle<'a>, id: Value<'a>) -> Result<Self> {
        let size = |value| match value {
            Value::Int(size) => usize::try_from(size).ok(),
            _ => None,
        };
        let parsed = || {
            let (&[Value::Text("storage"), class, Value::Text(key), _, elements], part) =
                pickle.items(id)?.split_first_chunk()?
            else {
                return None;
            };
            let Global::Storage(dtype) = pickle.global(class)? else { return None };
            let part = match part.first() {
                None | Some(Value::None) => None,
                Some(&part) => match *pickle.items(part)? {
                    [_, first, elements] => Some((size(first)?, size(elements)?)),
                    _ => return None,
                },
            };
            Some(Self { dtype, key, elements: size(elements)?, part })
        };
        parsed().map_or_else(|| malformed!(FORMAT, "a storage with an unknown identification"), Ok)
    }

    /// Bytes of the whole storage.
    fn bytes(&self) -> Result<usize> {
        self.elements.checked_mul(self.dtype.size()).map_or_else(
            || malformed!(FORMAT, "storage `{}` of {} elements", self.key, self.elements),
            Ok,
        )
    }

    /// The part of `bytes`, its data, that the storage shows.
    fn part_of(&self, bytes: Bytes<'a>) -> Result<Bytes<'a>> {
        let Self { key, elements, .. } = self;
        if bytes.len() != self.bytes()? {
            let found = bytes.len();
            return malformed!(FORMAT, "storage `{key}` of {elements} elements has {found} bytes");
        }
        let Some((first, len)) = self.part else { return Ok(bytes) };
        if first.checked_add(len).is_none_or(|end| end > *elements) {
            return malformed!(FORMAT, "{len} elements from {first} of storage `{key}`");
        }
        let size = self.dtype.size();
        Ok(bytes.slice(first * size..(first + len) * size))
    }
}
