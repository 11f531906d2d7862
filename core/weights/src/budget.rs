//! How much memory a file may ask for.

use crate::{Error, Result};

/// The cost of a kept entry besides its name, in bytes of the [`Budget`]. An entry that is
/// only looked at costs one byte.
pub(crate) const ENTRY: u64 = 192;

/// Bytes that the arrays and names of one file may take together.
///
/// Views of torch storages can overlap or repeat (stride 0), and members of an archive can be
/// compressed, so that a small file may describe large arrays. Tied weights and expanded buffers
/// are legitimate and small, hence the rule: all arrays that are read from one file take at most
/// [`Self::FACTOR`] times its size, or [`Self::FLOOR`] where that is more.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: u64,
}

impl Budget {
    /// Multiple of the file's size that its arrays may take.
    pub(crate) const FACTOR: u64 = 16;
    /// Bytes that a file of any size may use: 64 MiB.
    pub(crate) const FLOOR: u64 = 1 << 26;

    /// The budget of a file of `size` bytes.
    pub(crate) fn of_file(size: u64) -> Self {
        Self { limit: size.saturating_mul(Self::FACTOR).max(Self::FLOOR), used: 0 }
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> u64 {
        self.limit - self.used
    }

    /// Takes `bytes` out of the budget, before they are allocated.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<()> {
        let used = self.used.saturating_add(bytes);
        if used > self.limit {
            return Err(Error::Limit { what: "array memory", asked: used, limit: self.limit });
        }
        self.used = used;
        Ok(())
    }
}
