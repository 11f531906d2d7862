//! Members of a zip archive in memory.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Cursor, Read, Seek};

use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use crate::budget::Budget;
use crate::error::malformed;
use crate::{Error, Result};

use super::Bytes;

const FORMAT: &str = "zip archive";

/// A zip archive whose members are read by name, each unpacked at most once.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    bytes: &'a [u8],
    archive: RefCell<ZipArchive<Cursor<&'a [u8]>>>,
    names: Vec<String>,
    unpacked: RefCell<HashMap<String, Bytes<'a>>>,
}

/// Opens an archive that starts where `reader` does.
///
/// PyTorch writes 76 bytes of zip64 records even when they say nothing new. Left to detect the
/// archive's start, the `zip` crate then takes the second entry for the first if that is 76 bytes
/// on, as it is for a 30-byte name.
pub(crate) fn open_archive<R: Read + Seek>(reader: R) -> Result<ZipArchive<R>> {
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    ZipArchive::with_config(config, reader).map_err(unzip_error)
}

/// The error of an archive.
pub(crate) fn unzip_error(error: zip::result::ZipError) -> Error {
    match error {
        zip::result::ZipError::Io(error) => error.into(),
        other => Error::Malformed { format: FORMAT, detail: other.to_string() },
    }
}

impl<'a> Members<'a> {
    /// Opens the archive `bytes`.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self> {
        let archive = open_archive(Cursor::new(bytes))?;
        let names = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
        Ok(Self { bytes, archive: archive.into(), names, unpacked: RefCell::default() })
    }

    /// Names of the members, in the order of the archive.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The content of a member, without a copy where it is stored as it is.
    pub(crate) fn get(&self, name: &str, budget: &mut Budget) -> Result<Bytes<'a>> {
        if let Some(bytes) = self.unpacked.borrow().get(name) {
            return Ok(bytes.clone());
        }
        let mut archive = self.archive.borrow_mut();
        let Some(index) = archive.index_for_name(name) else {
            return malformed!(FORMAT, "no member `{name}`");
        };
        let mut member = archive.by_index(index).map_err(unzip_error)?;
        if member.compression() == CompressionMethod::Stored && !member.encrypted() {
            let start = member.data_start().and_then(|start| usize::try_from(start).ok());
            let size = usize::try_from(member.size()).unwrap_or(usize::MAX);
            let found = start.and_then(|start| self.bytes.get(start..)?.get(..size));
            return found.map_or_else(
                || malformed!(FORMAT, "member `{name}` reaches beyond the file"),
                |bytes| Ok(Bytes::Borrowed(bytes)),
            );
        }
        // The claimed size is not trusted: one byte more than allowed is enough to refuse.
        let mut unpacked = Vec::new();
        Read::by_ref(&mut member)
            .take(budget.left().saturating_add(1))
            .read_to_end(&mut unpacked)?;
        budget.take(unpacked.len() as u64)?;
        let unpacked = Bytes::shared(&unpacked);
        self.unpacked.borrow_mut().insert(name.to_owned(), unpacked.clone());
        Ok(unpacked)
    }
}
