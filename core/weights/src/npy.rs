//! NumPy's `.npy` files: one array behind a short header.
//!
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>
//!
//! Read by hand because files may be hostile and large. The crate `npyz` (0.9) allocates the length
//! that a header claims, up to 4 GiB, before it reads the header. Here nothing is allocated beyond
//! a multiple of the file's size, and the rows of an array can be read one by one.

mod header;

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

pub use header::Header;

use crate::budget::Budget;
use crate::error::malformed;
use crate::torch::{Bytes, View};
use crate::{Array, Dtype, Error, Result, write_atomically};

const FORMAT: &str = "npy file";

/// The array in the file `path`.
///
/// # Errors
/// [`Error::File`] around the problem with the file.
pub fn read(path: &Path) -> Result<Array> {
    let read = || {
        let file = File::open(path)?;
        let mut budget = Budget::of_file(file.metadata()?.len());
        read_from(&mut BufReader::new(file), &mut budget)
    };
    read().map_err(Error::reading(path))
}

/// The array that `reader` delivers, little endian and in C order whatever the order in the file.
pub(crate) fn read_from(reader: &mut dyn Read, budget: &mut Budget) -> Result<Array> {
    let header = Header::read(&mut *reader)?;
    let len = header.bytes()?;
    budget.take(len)?;
    let data = exactly(reader, len)?;
    let Header { shape, dtype, fortran_order, big_endian } = header;
    if fortran_order || big_endian {
        budget.take(len)?;
        let view = View::whole(Bytes::Borrowed(&data), dtype, big_endian, shape, fortran_order)?;
        return view.array(budget);
    }
    Array::new(shape, dtype, data)
}

/// `len` bytes of `reader`, and no more memory than it delivers.
fn exactly(reader: &mut dyn Read, len: u64) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    reader.take(len).read_to_end(&mut data)?;
    if data.len() as u64 != len {
        return malformed!(FORMAT, "the header promises {len} bytes, {} are there", data.len());
    }
    Ok(data)
}

/// Writes `array` as a `.npy` file, under a temporary name until it is whole.
///
/// # Errors
/// If NumPy has no such element type (bfloat16), or the file cannot be written.
pub fn write(path: &Path, array: &Array) -> Result<()> {
    write_atomically(path, |file| write_to(file, array))
}

/// Writes `array` in the `.npy` format.
///
/// # Errors
/// If NumPy has no such element type (bfloat16), or `writer` fails.
pub fn write_to(mut writer: impl Write, array: &Array) -> Result<()> {
    write_header(&mut writer, array.dtype(), array.shape())?;
    Ok(writer.write_all(array.data())?)
}

/// Writes the header of a C-order, little-endian array, whose data are to follow.
///
/// # Errors
/// If NumPy has no such element type (bfloat16), or `writer` fails.
pub fn write_header(mut writer: impl Write, dtype: Dtype, shape: &[usize]) -> Result<()> {
    Ok(writer.write_all(&header::to_bytes(dtype, shape)?)?)
}

/// The rows (entries of the first axis) of a `.npy` stream, some at a time.
#[derive(Debug)]
pub struct Rows<R> {
    reader: R,
    header: Header,
    row_bytes: u64,
    left: usize,
}

impl Rows<BufReader<File>> {
    /// The rows of the file `path`.
    ///
    /// # Errors
    /// [`Error::File`] around the problem with its header.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || Self::new(BufReader::new(File::open(path)?));
        open().map_err(Error::reading(path))
    }
}

impl<R: Read> Rows<R> {
    /// The rows that `reader` delivers.
    ///
    /// # Errors
    /// If the header is malformed, or the array is a scalar or in Fortran order, where rows do
    /// not follow each other.
    pub fn new(mut reader: R) -> Result<Self> {
        let header = Header::read(&mut reader)?;
        let Some(&rows) = header.shape.first() else {
            return malformed!(FORMAT, "a scalar has no rows");
        };
        if header.fortran_order && header.shape.len() > 1 {
            return malformed!(FORMAT, "an array in Fortran order cannot be read row by row");
        }
        let row_bytes = Header { shape: header.shape[1..].to_vec(), ..header.clone() }.bytes()?;
        Ok(Self { reader, header, row_bytes, left: rows })
    }

    /// Sizes of the whole array.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The element type.
    pub fn dtype(&self) -> Dtype {
        self.header.dtype
    }

    /// Rows that are still to come.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Bytes of one row.
    pub fn row_bytes(&self) -> u64 {
        self.row_bytes
    }

    /// The next `count` rows, fewer at the end, none after it.
    ///
    /// # Errors
    /// If the stream ends early or cannot be read.
    pub fn next(&mut self, count: usize) -> Result<Option<Array>> {
        let count = count.min(self.left);
        if count == 0 {
            return Ok(None);
        }
        let len = self.row_bytes.saturating_mul(count as u64);
        let mut data = exactly(&mut self.reader, len)?;
        if self.header.big_endian {
            data.chunks_exact_mut(self.header.dtype.size()).for_each(<[u8]>::reverse);
        }
        self.left -= count;
        let mut shape = self.header.shape.clone();
        shape[0] = count;
        Array::new(shape, self.header.dtype, data).map(Some)
    }
}
