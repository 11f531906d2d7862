//! Images in a NumPy array: `.npy`, or a member of an `.npz` archive.

use std::collections::VecDeque;
use std::io::Seek as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ganscope_weights::npy::{Header, Rows};
use ganscope_weights::{Dtype, SharedFile, npz};
use zip::CompressionMethod;

use super::axes::{Axes, Layout};
use super::zip::Zip;
use super::{Item, Source};
use crate::{Error, Result};

/// Arrays of images by name: of the ADM and of the BigGAN-PyTorch samplers, with their labels.
const NAMES: [(&str, &str); 2] = [("arr_0", "arr_1"), ("x", "y")];

/// Bytes that deflate makes of one at most.
const DEFLATE_RATIO: u64 = 1032;

/// Images of a packed array that are kept, so that threads may ask a little out of order.
const RECENT: usize = 64;

/// Bytes of a packed array that are kept at most, but at least one image.
const RECENT_BYTES: usize = 1 << 26;

/// Images of one size in an array of bytes.
pub(super) struct Array {
    path: PathBuf,
    layout: Layout,
    data: Data,
    labels: Vec<Option<u32>>,
}

enum Data {
    /// Rows follow each other in the file.
    Plain { file: SharedFile, start: u64, check: Option<Checksum> },
    /// Rows have to be unpacked from the first one on.
    Packed { name: &'static str, state: Box<Mutex<Unpacking>> },
}

/// The checksum that an archive has of a member, which is compared once all rows were seen.
struct Checksum {
    expected: u32,
    /// Of the header of the array.
    header: u32,
    seen: Mutex<Seen>,
}

/// Checksums of the rows that were seen.
struct Seen {
    rows: Vec<Option<u32>>,
    left: usize,
    /// Whether all were seen, and have another checksum.
    is_damaged: bool,
}

impl Checksum {
    /// Whether nothing is wrong with the rows as far as is known, now that row `i` was seen.
    fn holds(&self, i: usize, row: &[u8]) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.rows[i].is_none() {
            seen.rows[i] = Some(crc32fast::hash(row));
            seen.left -= 1;
            if seen.left == 0 {
                let part = |crc| crc32fast::Hasher::new_with_initial_len(crc, row.len() as u64);
                let mut all = crc32fast::Hasher::new_with_initial(self.header);
                seen.rows.iter().flatten().for_each(|&crc| all.combine(&part(crc)));
                seen.is_damaged = all.finalize() != self.expected;
            }
        }
        !seen.is_damaged
    }
}

/// Progress through a packed array: rows before `next` were read, the last of them are kept.
#[derive(Default)]
struct Unpacking {
    rows: Option<Rows<npz::Member>>,
    next: usize,
    recent: VecDeque<Vec<u8>>,
}

impl Array {
    /// An `.npy` file.
    pub(super) fn npy(path: &Path, file: SharedFile) -> Result<Self> {
        let failed = |e: ganscope_weights::Error| array_error(path, &e);
        let mut reader = file.clone();
        let header = Header::read(&mut reader).map_err(failed)?;
        let layout = layout(&header, false).map_err(|found| unsuitable(path, found))?;
        let start = reader.stream_position().expect("the position is known");
        let data = Data::Plain { file, start, check: None };
        Self { path: path.to_owned(), layout, data, labels: Vec::new() }.checked()
    }

    /// An `.npz` file with one of the [`NAMES`].
    pub(super) fn npz(path: &Path, mut zip: Zip) -> Result<Self> {
        let failed = |e: ganscope_weights::Error| array_error(path, &e);
        let mut archive = npz::Archive::open(path).map_err(failed)?;
        let has = |name: &str| archive.names().iter().any(|n| n == name);
        let Some((name, labels)) = NAMES.into_iter().find(|(name, _)| has(name)) else {
            return Err(unsuitable(path, format!("arrays {}", archive.names().join(", "))));
        };
        let labeled = has(labels);
        let header = archive.header(name).map_err(failed)?;
        let layout = layout(&header, name == "x").map_err(|found| unsuitable(path, found))?;
        let unpacked = |e: zip::result::ZipError| Error::Archive {
            path: path.to_owned(),
            reason: e.to_string(),
        };
        let member = zip.archive.by_name(&format!("{name}.npy")).map_err(unpacked)?;
        let (size, packed) = (member.size(), member.compressed_size());
        let data = if let (CompressionMethod::Stored, Some(start)) =
            (member.compression(), member.data_start())
        {
            let mut reader = zip.file.at(start);
            Header::read(&mut reader).map_err(failed)?;
            let rows = reader.stream_position().expect("the position is known");
            let read = |source| Error::Read { path: path.to_owned(), source };
            let header = zip.file.read_range(start, rows - start).map_err(read)?;
            // Nothing is allocated for rows that the file does not have.
            let is_whole = size <= zip.file.size().map_err(read)?
                && layout.bytes() == Some(size.saturating_sub(rows - start));
            let check = is_whole.then(|| Checksum {
                expected: member.crc32(),
                header: crc32fast::hash(&header),
                seen: Mutex::new(Seen {
                    rows: vec![None; layout.images],
                    left: layout.images,
                    is_damaged: false,
                }),
            });
            Data::Plain { file: zip.file.clone(), start: rows, check }
        } else {
            let most = size.min(packed.saturating_mul(DEFLATE_RATIO));
            if layout.bytes().is_none_or(|bytes| bytes > most) {
                let reason = format!("{packed} packed bytes cannot hold {layout}");
                return Err(Error::Archive { path: path.to_owned(), reason });
            }
            Data::Packed { name, state: Box::default() }
        };
        let labels = if labeled {
            class_labels(&archive.array(labels).map_err(failed)?, layout.images)
        } else {
            Vec::new()
        };
        Self { path: path.to_owned(), layout, data, labels }.checked()
    }

    /// The array, when the file is as long as it says.
    fn checked(self) -> Result<Self> {
        if let Data::Plain { file, start, .. } = &self.data {
            let end = self.layout.bytes().and_then(|bytes| bytes.checked_add(*start));
            let size =
                file.size().map_err(|source| Error::Read { path: self.path.clone(), source })?;
            if end.is_none_or(|end| end > size) {
                let reason = format!("cut short: {size} bytes cannot hold {}", self.layout);
                return Err(Error::Archive { path: self.path, reason });
            }
        }
        Ok(self)
    }

    fn row(&self, i: usize) -> Result<Vec<u8>> {
        let len = self.layout.image_bytes();
        match &self.data {
            Data::Plain { file, start, check } => {
                let row = file
                    .read_range(start + i as u64 * len as u64, len as u64)
                    .map_err(|source| Error::Read { path: self.path.clone(), source })?;
                if check.as_ref().is_some_and(|check| !check.holds(i, &row)) {
                    let reason = "the checksum of the array is another: it is damaged".to_owned();
                    return Err(Error::Archive { path: self.path.clone(), reason });
                }
                Ok(row)
            }
            Data::Packed { name, state } => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.row(&self.path, name, i).map_err(|e| array_error(&self.path, &e))
            }
        }
    }
}

impl Unpacking {
    /// Row `i`: a recent one at once, a later one by reading on, an earlier one from the start.
    fn row(&mut self, path: &Path, name: &str, i: usize) -> ganscope_weights::Result<Vec<u8>> {
        if i + self.recent.len() < self.next {
            *self = Self::default();
        }
        while self.next <= i {
            let rows = match &mut self.rows {
                Some(rows) => rows,
                empty => empty.insert(npz::rows(path, name)?),
            };
            let Some(row) = rows.next(1)? else {
                let reason = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                return Err(reason.into());
            };
            let row = row.into_data();
            while self.recent.len() >= (RECENT_BYTES / row.len().max(1)).clamp(1, RECENT) {
                self.recent.pop_front();
            }
            self.recent.push_back(row);
            self.next += 1;
        }
        Ok(self.recent[i + self.recent.len() - self.next].clone())
    }
}

impl Source for Array {
    fn len(&self) -> usize {
        self.layout.images
    }

    fn name(&self, i: usize) -> String {
        format!("image {i}")
    }

    fn label(&self, i: usize) -> Option<u32> {
        self.labels.get(i).copied().flatten()
    }

    fn read(&self, i: usize) -> Result<Item> {
        Ok(Item::Pixels(self.layout.image(&self.row(i)?)))
    }
}

/// The layout of an array, or a description of an unsuitable one; `channel_first` decides where both
/// fit.
fn layout(header: &Header, channel_first: bool) -> Result<Layout, String> {
    let found = || format!("{:?} of shape {:?}", header.dtype, header.shape);
    if header.dtype != Dtype::U8 || header.fortran_order {
        let order = if header.fortran_order { " in Fortran order" } else { "" };
        return Err(found() + order);
    }
    let axes = match *header.shape.as_slice() {
        [_, 3, _, _] if channel_first => Axes::ChannelFirst,
        [_, _, _, 3] => Axes::ChannelLast,
        [_, 3, _, _] => Axes::ChannelFirst,
        [_, _, _, 1] => Axes::ChannelLast,
        [_, 1, _, _] => Axes::ChannelFirst,
        [_, _, _] => Axes::Gray,
        _ => return Err(found()),
    };
    Layout::new(&header.shape, axes).ok().ok_or_else(found)
}

/// One class number per image, or `None` if the array is something else.
fn class_labels(array: &ganscope_weights::Array, images: usize) -> Vec<Option<u32>> {
    let integer = !matches!(array.dtype(), Dtype::F16 | Dtype::Bf16 | Dtype::F32 | Dtype::F64);
    if array.shape() != [images] || !integer {
        return Vec::new();
    }
    array.to_i64().into_iter().map(|label| label.try_into().ok()).collect()
}

fn array_error(path: &Path, error: &ganscope_weights::Error) -> Error {
    Error::Archive { path: path.to_owned(), reason: crate::error::chain(error) }
}

fn unsuitable(path: &Path, found: String) -> Error {
    Error::NoImages {
        path: path.to_owned(),
        expected: "`arr_0` or `x`, bytes of shape (n, h, w, 3) or (n, 3, h, w)".to_owned(),
        found,
    }
}
