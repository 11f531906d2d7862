//! The files of `torch.save` before torch 1.6.
//!
//! Five pickles follow each other: a magic number, the protocol version, facts about the machine,
//! the object, and the keys of its storages. Then, for each key in that order, the number of
//! elements as 64 bits and the raw data.

use std::collections::HashMap;
use std::ops::Range;

use crate::budget::Budget;
use crate::error::malformed;
use crate::pickle::{self, Node, Pickle, Value};
use crate::{Dtype, Result};

use super::{FORMAT, StorageId, Storages};

/// 0x1950a86a20f9469cfc6c, little endian.
const MAGIC: &[u8] = &[0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19];
const VERSION: i64 = 1001;

/// Whether `bytes` start with the pickle of the magic number.
pub(crate) fn is_legacy(bytes: &[u8]) -> bool {
    // PROTO n, LONG1 10
    matches!(bytes, [0x80, _, 0x8A, 10, rest @ ..] if rest.starts_with(MAGIC))
}

/// The object of a legacy file and its storages.
pub(crate) fn legacy(bytes: &[u8]) -> Result<(Pickle<'_>, Storages<'_>)> {
    let mut reader = Reader { bytes, at: 0 };
    let object = reader.object()?;
    let storages = reader.storages(&object)?;
    let data = storages.into_iter().map(|(id, range)| (id.key, &bytes[range])).collect();
    Ok((object, Storages::Legacy(data)))
}

/// Element type and place of the data in a legacy file whose object is one storage.
pub(crate) fn storage(bytes: &[u8]) -> Result<(Dtype, Range<usize>)> {
    let mut reader = Reader { bytes, at: 0 };
    let object = reader.object()?;
    let Some(&Node::Persistent(root)) = object.node(object.root) else {
        return malformed!(FORMAT, "an embedded file that is not a storage");
    };
    let root = StorageId::parse(&object, root)?;
    let storages = reader.storages(&object)?;
    let Some((_, range)) = storages.into_iter().find(|(id, _)| id.key == root.key) else {
        return malformed!(FORMAT, "no data for the storage `{}`", root.key);
    };
    let part = root.part.unwrap_or((0, root.elements));
    let (size, all) = (root.dtype.size(), root.elements);
    match part.0.checked_add(part.1) {
        Some(end) if end <= all => {
            Ok((root.dtype, range.start + part.0 * size..range.start + end * size))
        }
        _ => malformed!(FORMAT, "{} elements from {} of a storage of {all}", part.1, part.0),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn pickle(&mut self) -> Result<Pickle<'a>> {
        let pickle = pickle::load(&self.bytes[self.at..])?;
        self.at += pickle.len;
        Ok(pickle)
    }

    /// The first four pickles, of which the last is the object.
    fn object(&mut self) -> Result<Pickle<'a>> {
        if self.pickle()?.root != Value::Long(MAGIC) {
            return malformed!(FORMAT, "no magic number");
        }
        match self.pickle()?.root {
            Value::Int(VERSION) => {}
            other => return malformed!(FORMAT, "version {other:?}, {VERSION} is known"),
        }
        let machine = self.pickle()?;
        let mut budget = Budget::of_file(self.bytes.len() as u64);
        if machine.get(machine.root, "little_endian", &mut budget)? == Some(Value::Bool(false)) {
            return malformed!(FORMAT, "written by a big-endian machine");
        }
        self.pickle()
    }

    /// The storages that `object` refers to, with the place of their data.
    fn storages(&mut self, object: &Pickle<'a>) -> Result<Vec<(StorageId<'a>, Range<usize>)>> {
        let mut ids = HashMap::new();
        for id in object.persistent() {
            let id = StorageId::parse(object, id)?;
            ids.insert(id.key, id);
        }
        let keys = self.pickle()?;
        let Some(keys) = keys.items(keys.root) else {
            return malformed!(FORMAT, "no list of storages");
        };
        keys.iter().map(|&key| self.storage(&ids, key)).collect()
    }

    fn storage(
        &mut self,
        ids: &HashMap<&'a str, StorageId<'a>>,
        key: Value<'a>,
    ) -> Result<(StorageId<'a>, Range<usize>)> {
        let Value::Text(key) = key else {
            return malformed!(FORMAT, "a storage named by {}", key.kind());
        };
        let Some(&id) = ids.get(key) else {
            return malformed!(FORMAT, "data for the unknown storage `{key}`");
        };
        let rest = &self.bytes[self.at..];
        let Some((&count, rest)) = rest.split_first_chunk() else {
            return malformed!(FORMAT, "the file ends before storage `{key}`");
        };
        let count = u64::from_le_bytes(count);
        if count != id.elements as u64 {
            return malformed!(FORMAT, "storage `{key}` has {count} and {} elements", id.elements);
        }
        let len = id.bytes()?;
        if len > rest.len() {
            let left = rest.len();
            return malformed!(FORMAT, "storage `{key}` of {len} bytes, {left} are left");
        }
        let start = self.at + size_of::<u64>();
        self.at = start + len;
        Ok((id, start..self.at))
    }
}
