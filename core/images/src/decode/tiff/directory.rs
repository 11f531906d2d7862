//! The directory of a page: which tags it has and where their values stand.

use super::super::{Failure, reason};

/// A tag of the directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) tag: u16,
    kind: u16,
    count: u64,
    /// Position of its value, or of the position of its values.
    pub(super) value: usize,
}

impl Entry {
    /// Bytes that its values claim to take.
    fn bytes(&self) -> u64 {
        let size = match self.kind {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16 | 17 | 18 => 8,
            _ => 1,
        };
        self.count.saturating_mul(size)
    }
}

/// Bytes with the byte order of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ordered<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) big_endian: bool,
}

impl Ordered<'_> {
    /// The unsigned number in the `N` bytes at `at`.
    pub(super) fn number<const N: usize>(&self, at: usize) -> Option<u64> {
        let bytes: &[u8; N] = self.bytes.get(at..)?.first_chunk()?;
        let digits = |number, &byte: &u8| number << 8 | u64::from(byte);
        Some(if self.big_endian {
            bytes.iter().fold(0, digits)
        } else {
            bytes.iter().rev().fold(0, digits)
        })
    }

    /// The entries of the first directory, in the classic format or that of large files.
    fn entries(&self) -> Option<Vec<Entry>> {
        let large = self.number::<2>(2)? == 43;
        let start = if large { self.number::<8>(8)? } else { self.number::<4>(4)? };
        let start = usize::try_from(start).ok()?;
        let count = if large { self.number::<8>(start)? } else { self.number::<2>(start)? };
        let (first, size) = if large { (start + 8, 20) } else { (start + 2, 12) };
        let mut entries = Vec::new();
        for i in 0..count {
            let at = usize::try_from(i.checked_mul(size)?).ok()?.checked_add(first)?;
            let (count, value) = if large {
                (self.number::<8>(at + 4)?, at + 12)
            } else {
                (self.number::<4>(at + 4)?, at + 8)
            };
            let (tag, kind) = (self.number::<2>(at)? as u16, self.number::<2>(at + 2)? as u16);
            entries.push(Entry { tag, kind, count, value });
        }
        Some(entries)
    }
}

/// The entries of the first page, none of which claims more values than the file has bytes.
pub(super) fn entries(file: &Ordered<'_>) -> Result<Vec<Entry>, Failure> {
    let entries = file.entries().ok_or_else(|| reason("the directory is cut short"))?;
    match entries.iter().find(|entry| entry.bytes() > file.bytes.len() as u64) {
        Some(Entry { tag, count, .. }) => {
            Err(Failure::Reason(format!("tag {tag} claims {count} values, more than there are")))
        }
        None => Ok(entries),
    }
}
