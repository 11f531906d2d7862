//! NumPy's `.npz` files: zip archives of `.npy` files.
//!
//! Read by hand for the reasons of [`npy`]: bounded memory, and rows one by one, also
//! of a deflated member. The `npz` feature of the crate `npyz` (0.9) brings a second, old zip
//! reader.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom, Take, Write};
use std::path::Path;

use flate2::CrcReader;
use flate2::read::DeflateDecoder;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::budget::Budget;
use crate::error::malformed;
use crate::npy::{self, Header, Rows};
use crate::read::is_data;
use crate::torch::{open_archive, unzip_error};
use crate::{Array, Error, Result, write_atomically};

const FORMAT: &str = "npz archive";
/// Ending of the names of members.
pub(crate) const EXTENSION: &str = ".npy";

/// An open `.npz` file, of which single arrays are read.
#[derive(Debug)]
pub struct Archive<R> {
    zip: ZipArchive<R>,
    names: Vec<String>,
    size: u64,
}

impl Archive<BufReader<File>> {
    /// Opens the file `path`.
    ///
    /// # Errors
    /// [`Error::File`] around the problem with it.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            Self::new(BufReader::new(file), size)
        };
        open().map_err(Error::reading(path))
    }

    /// The file `path` if its content is that of an npz file.
    pub(crate) fn sniff(path: &Path) -> Result<Option<Self>> {
        let mut file = File::open(path)?;
        let mut start = Vec::new();
        Read::by_ref(&mut file).take(4).read_to_end(&mut start)?;
        if start != b"PK\x03\x04" {
            return Ok(None);
        }
        let size = file.metadata()?.len();
        let archive = Self::new(BufReader::new(file), size)?;
        let is_torch = archive.zip.file_names().flatten().any(|name| is_data(&name));
        Ok(Some(archive).filter(|archive| !archive.names.is_empty() && !is_torch))
    }
}

impl<'a> Archive<Cursor<&'a [u8]>> {
    /// Opens an archive in memory.
    ///
    /// # Errors
    /// If it is not a zip archive.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self> {
        Self::new(Cursor::new(bytes), bytes.len() as u64)
    }
}

impl<R: Read + Seek> Archive<R> {
    fn new(reader: R, size: u64) -> Result<Self> {
        let zip = open_archive(reader)?;
        let name = |name: zip::result::ZipResult<std::borrow::Cow<'_, str>>| {
            name.ok()?.strip_suffix(EXTENSION).map(str::to_owned)
        };
        let names = zip.file_names().filter_map(name).collect();
        Ok(Self { zip, names, size })
    }

    /// Bytes of the whole file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Names of the arrays, in the order of the file and without `.npy`.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Element type and shape of the array `name`.
    ///
    /// # Errors
    /// [`Error::MissingKey`] if there is none, or the problem with it.
    pub fn header(&mut self, name: &str) -> Result<Header> {
        Header::read(&mut self.member(name)?).map_err(Error::in_array(name))
    }

    /// The array `name`.
    ///
    /// # Errors
    /// [`Error::MissingKey`] if there is none, or the problem with it.
    pub fn array(&mut self, name: &str) -> Result<Array> {
        let mut budget = Budget::of_file(self.size);
        self.array_within(name, &mut budget)
    }

    pub(crate) fn array_within(&mut self, name: &str, budget: &mut Budget) -> Result<Array> {
        let mut member = self.member(name)?;
        let read = || {
            let array = npy::read_from(&mut member, budget)?;
            // The checksum is compared at the end.
            io::copy(&mut member.take(1), &mut io::sink())?;
            Ok(array)
        };
        read().map_err(Error::in_array(name))
    }

    fn member(&mut self, name: &str) -> Result<zip::read::ZipFile<'_, R>> {
        let Some(index) = self.zip.index_for_name(&format!("{name}{EXTENSION}")) else {
            return Err(Error::MissingKey { key: name.to_owned(), found: self.names.clone() });
        };
        self.zip.by_index(index).map_err(unzip_error)
    }
}

/// All arrays of the file `path`.
///
/// # Errors
/// [`Error::File`] around the problem with the file.
pub fn read(path: &Path) -> Result<BTreeMap<String, Array>> {
    let mut archive = Archive::open(path)?;
    let mut budget = Budget::of_file(archive.size);
    archive.all(&mut budget).map_err(Error::reading(path))
}

impl<R: Read + Seek> Archive<R> {
    pub(crate) fn all(&mut self, budget: &mut Budget) -> Result<BTreeMap<String, Array>> {
        let names = self.names.clone();
        let read = |name: String| self.array_within(&name, budget).map(|array| (name, array));
        names.into_iter().map(read).collect()
    }
}

/// The rows of the array `name` in the file `path`, read as they are asked for.
///
/// # Errors
/// [`Error::File`] around the problem with the file, such as [`Error::MissingKey`].
pub fn rows(path: &Path, name: &str) -> Result<Rows<Member>> {
    let rows = || {
        let mut archive = Archive::open(path)?;
        let limit = Budget::of_file(archive.size).left();
        let rows = Rows::new(Member::open(path, &mut archive, name)?)?;
        if rows.row_bytes() > limit {
            let asked = rows.row_bytes();
            return Err(Error::Limit { what: "bytes of a row", asked, limit });
        }
        Ok(rows)
    };
    rows().map_err(Error::reading(path))
}

/// The content of one member of an archive, which is unpacked as it is read.
#[derive(Debug)]
pub struct Member {
    content: CrcReader<Take<Content>>,
    crc32: u32,
}

#[derive(Debug)]
enum Content {
    Stored(BufReader<File>),
    Deflated(DeflateDecoder<BufReader<Take<File>>>),
}

impl Member {
    fn open(path: &Path, archive: &mut Archive<BufReader<File>>, name: &str) -> Result<Self> {
        let member = archive.member(name)?;
        let (method, size, packed) =
            (member.compression(), member.size(), member.compressed_size());
        let Some(start) = member.data_start() else {
            return malformed!(FORMAT, "`{name}` has no data");
        };
        let crc32 = member.crc32();
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        let content = match method {
            CompressionMethod::Stored => Content::Stored(BufReader::new(file)),
            CompressionMethod::Deflated => {
                Content::Deflated(DeflateDecoder::new(BufReader::new(file.take(packed))))
            }
            other => return malformed!(FORMAT, "`{name}` is packed by `{other}`"),
        };
        Ok(Self { content: CrcReader::new(content.take(size)), crc32 })
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stored(file) => file.read(buffer),
            Self::Deflated(decoder) => decoder.read(buffer),
        }
    }
}

impl Read for Member {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        let whole = self.content.get_ref().limit() == 0;
        if whole && self.content.crc().sum() != self.crc32 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "checksum of the member is wrong",
            ));
        }
        Ok(read)
    }
}

/// Writes `arrays` as an uncompressed `.npz` file, under a temporary name until it is whole.
///
/// The same arrays in the same order result in the same bytes.
///
/// # Errors
/// If NumPy has no such element type (bfloat16), or the file cannot be written.
pub fn write<'a>(
    path: &Path,
    arrays: impl IntoIterator<Item = (&'a str, &'a Array)>,
) -> Result<()> {
    write_atomically(path, |file| write_to(file, arrays))
}

/// The bytes of such a file.
///
/// # Errors
/// If NumPy has no such element type (bfloat16).
pub fn to_bytes<'a>(arrays: impl IntoIterator<Item = (&'a str, &'a Array)>) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    write_to(&mut bytes, arrays)?;
    Ok(bytes.into_inner())
}

fn write_to<'a>(
    to: impl Write + Seek,
    arrays: impl IntoIterator<Item = (&'a str, &'a Array)>,
) -> Result<()> {
    let mut zip = ZipWriter::new(to);
    for (name, array) in arrays {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .large_file(array.data().len() > u32::MAX as usize / 2);
        zip.start_file(format!("{name}{EXTENSION}"), options).map_err(unzip_error)?;
        npy::write_to(&mut zip, array)?;
    }
    zip.finish().map_err(unzip_error)?;
    Ok(())
}
