//! Rows of features on disk, appended batch by batch, so that an interrupted run continues where it
//! stopped and a second metric costs no forward pass.
//!
//! The file is a line of JSON with the key and the widths of the parts, then records: the
//! length of a JSON head and the head, the rows of each part as little-endian float32, and the
//! BLAKE3 digest of the line and of both. A record that was cut short is dropped when the file is opened again.

use std::fs::{File, TryLockError};
use std::io::{BufRead as _, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ganscope_images::Skipped;
use ganscope_stats::{FeatureBatch, Features, Rows};
use ganscope_weights::SharedFile;
use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Error, Kind, Result};

/// Version of the file's layout.
const LAYOUT: u32 = 2;
/// Longest head that a record may claim, in bytes.
const LONGEST_HEAD: u64 = 1 << 24;
const DIGEST: usize = blake3::OUT_LEN;

/// Width of each part of a row; 0 where the part is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Widths {
    /// Pooled features.
    pub features: usize,
    /// Logits.
    pub logits: usize,
    /// Spatial features.
    pub spatial: usize,
}

impl Widths {
    /// The widths of a batch.
    pub fn of(batch: &FeatureBatch) -> Self {
        let dim = |part: &Option<Features>| part.as_ref().map_or(0, Features::dim);
        Self {
            features: batch.features.dim(),
            logits: dim(&batch.logits),
            spatial: dim(&batch.spatial),
        }
    }

    /// Bytes of so many rows.
    fn bytes(self, rows: usize) -> u64 {
        let row = (self.features + self.logits + self.spatial) as u64;
        row.saturating_mul(4).saturating_mul(rows as u64)
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    layout: u32,
    key: String,
    widths: Widths,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// Images of the set that this and all earlier records account for.
    done: usize,
    /// Rows in this record.
    rows: usize,
    /// Images since the last record that could not be read.
    skipped: Vec<SkippedImage>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SkippedImage {
    index: usize,
    name: String,
    reason: String,
}

impl From<&Skipped> for SkippedImage {
    fn from(skipped: &Skipped) -> Self {
        let Skipped { index, name, reason } = skipped.clone();
        Self { index, name, reason }
    }
}

impl From<SkippedImage> for Skipped {
    fn from(SkippedImage { index, name, reason }: SkippedImage) -> Self {
        Self { index, name, reason }
    }
}

/// The rows of one set of images.
#[derive(Debug)]
pub struct FeatureStore {
    file: Arc<File>,
    /// The file, unless it is a temporary one.
    path: Option<PathBuf>,
    key: String,
    widths: Option<Widths>,
    /// The first line, with which every digest begins.
    line: Vec<u8>,
    start: u64,
    end: u64,
    done: usize,
    rows: usize,
    skipped: Vec<Skipped>,
    /// Images skipped since the last record.
    pending: Vec<Skipped>,
    is_read_only: bool,
    was_damaged: bool,
    lost_cache: Option<String>,
}

impl FeatureStore {
    /// A store that vanishes with the process.
    ///
    /// # Errors
    /// If no temporary file can be created.
    pub fn temporary() -> Result<Self> {
        let file = temporary_file()?;
        Ok(Self::empty(file.into(), None, String::new()))
    }

    /// The store of `key` in `folder`, with the rows that an earlier run left there, up to the first
    /// that was damaged since.
    ///
    /// While another process writes the same store, this one is a temporary store. A store that may
    /// only be read is opened for that, and can be used if it is full.
    ///
    /// # Errors
    /// If the folder cannot be created or the file cannot be opened, or is not a regular file.
    pub fn open(folder: &Path, key: &str) -> Result<Self> {
        let path = folder.join(format!("{key}.rows"));
        let context = || format!("open feature cache `{}`", path.display());
        // Links are not followed: whoever may write into a shared folder could lead them anywhere.
        if std::fs::symlink_metadata(&path).is_ok_and(|kind| !kind.is_file()) {
            let error = Error::problem(Kind::UnreadableInput, "not a regular file");
            return Err(error).with_context(context);
        }
        let write = || -> std::io::Result<File> {
            std::fs::create_dir_all(folder)?;
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false).open(&path)
        };
        let file = match write() {
            Ok(file) => file,
            Err(error) => {
                let Ok(file) = File::open(&path) else {
                    return Err(Error::from(error)).with_context(context);
                };
                let mut store = Self::empty(file.into(), Some(path), key.into());
                store.scan()?;
                store.is_read_only = true;
                return Ok(store);
            }
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Self::temporary(),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let mut store = Self::empty(file.into(), Some(path), key.into());
        if store.scan().is_err() || store.rows == 0 {
            // Not a store of this layout and key, or none of its rows is good: begin anew.
            let was_damaged = store.was_damaged;
            store = Self { was_damaged, ..Self::empty(store.file, store.path, store.key) };
        }
        store.file.set_len(store.end)?;
        Ok(store)
    }

    /// Whether every byte of the store at `path` is as it was written.
    pub(crate) fn is_whole(path: &Path) -> bool {
        let key = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(file) = File::open(path) else { return false };
        let mut store = Self::empty(file.into(), None, key);
        let length = store.file.metadata().map(|metadata| metadata.len());
        store.scan().is_ok() && length.is_ok_and(|length| length == store.end)
    }

    /// Removes the store at `path` unless another process writes it; returns whether it is gone.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn remove(path: &Path) -> Result<bool> {
        let open = File::open(path).map_err(Error::file("read", path))?;
        if let Err(TryLockError::WouldBlock) = open.try_lock() {
            return Ok(false);
        }
        std::fs::remove_file(path).map_err(Error::file("remove", path))?;
        Ok(true)
    }

    /// Whether rows cannot be appended.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// Whether rows were dropped because their bytes have another digest.
    pub fn was_damaged(&self) -> bool {
        self.was_damaged
    }

    /// Why the rows went to a temporary file after all, if the cache could not be written.
    pub fn lost_cache(&self) -> Option<&str> {
        self.lost_cache.as_deref()
    }

    fn empty(file: Arc<File>, path: Option<PathBuf>, key: String) -> Self {
        let none = Vec::new;
        let (start, end, done, rows) = (0, 0, 0, 0);
        let (widths, skipped, pending) = (None, none(), none());
        let (is_read_only, was_damaged, lost_cache) = (false, false, None);
        Self {
            file,
            path,
            key,
            widths,
            line: Vec::new(),
            start,
            end,
            done,
            rows,
            skipped,
            pending,
            is_read_only,
            was_damaged,
            lost_cache,
        }
    }

    /// Images of the set that are accounted for, read or skipped.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Rows in the store.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Images that could not be read.
    pub fn skipped(&self) -> impl Iterator<Item = &Skipped> {
        self.skipped.iter().chain(&self.pending)
    }

    /// Reads the header and walks over the records, up to the first that is not whole or has another
    /// digest.
    fn scan(&mut self) -> Result<()> {
        let length = self.file.metadata()?.len();
        let mut reader = BufReader::with_capacity(1 << 20, &*self.file);
        let mut line = Vec::new();
        reader.by_ref().take(LONGEST_HEAD).read_until(b'\n', &mut line)?;
        let header: Header = serde_json::from_slice(&line)?;
        if header.layout != LAYOUT || header.key != self.key {
            return Err(damaged("another store"));
        }
        self.widths = Some(header.widths);
        self.start = line.len() as u64;
        self.line = line;
        self.end = self.start;
        loop {
            let mut record = Tee { reader: &mut reader, hasher: self.hasher() };
            let Ok((head, head_len)) = read_head(&mut record) else { break };
            let body = header.widths.bytes(head.rows);
            let end = self.end.saturating_add(head_len).saturating_add(body);
            let end = end.saturating_add(DIGEST as u64);
            if end > length || head.done < self.done {
                break;
            }
            std::io::copy(&mut record.by_ref().take(body), &mut std::io::sink())?;
            let expected = record.hasher.finalize();
            let mut digest = [0; DIGEST];
            reader.read_exact(&mut digest)?;
            if digest != *expected.as_bytes() {
                break;
            }
            self.end = end;
            self.done = head.done;
            self.rows += head.rows;
            self.skipped.extend(head.skipped.into_iter().map(Skipped::from));
        }
        // A record that was cut short is what an interrupted run leaves; a whole one is damaged.
        self.was_damaged = self.end < length && self.is_whole_record_behind(length);
        Ok(())
    }

    /// Whether the file has at least a record's bytes behind the last good one.
    fn is_whole_record_behind(&self, length: u64) -> bool {
        let mut reader = SharedFile::new(Arc::clone(&self.file)).at(self.end);
        let Ok((head, head_len)) = read_head(&mut reader) else { return true };
        let body = self.widths.map_or(0, |widths| widths.bytes(head.rows));
        self.end + head_len + body + DIGEST as u64 <= length
    }

    /// Appends a batch that brings the images accounted for to `done`.
    ///
    /// # Errors
    /// If the batch has another width than earlier ones, or the write fails.
    pub fn append(
        &mut self,
        batch: Option<&FeatureBatch>,
        skipped: &[Skipped],
        done: usize,
    ) -> Result<()> {
        let mut bytes = Vec::new();
        let widths = match (self.widths, batch.map(Widths::of)) {
            (Some(widths), Some(new)) if widths != new => {
                let message =
                    format!("features of widths {new:?} do not fit a store of {widths:?}");
                return Err(Error::problem(Kind::Internal, message));
            }
            (Some(widths), _) => Some(widths),
            (None, widths) => widths,
        };
        if let (None, Some(widths)) = (self.widths, widths) {
            self.end = 0;
            let header = Header { layout: LAYOUT, key: self.key.clone(), widths };
            serde_json::to_writer(&mut bytes, &header)?;
            bytes.push(b'\n');
            self.line.clone_from(&bytes);
            self.start = bytes.len() as u64;
            self.widths = Some(widths);
        }
        self.pending.extend_from_slice(skipped);
        let Some(batch) = batch else {
            // Nothing to write yet: the next record tells of these, too.
            self.done = done;
            return Ok(());
        };
        let head = Head {
            done,
            rows: batch.features.len(),
            skipped: self.pending.iter().map(SkippedImage::from).collect(),
        };
        let record = bytes.len();
        let json = serde_json::to_vec(&head)?;
        bytes.extend((json.len() as u32).to_le_bytes());
        bytes.extend(json);
        let parts = [Some(&batch.features), batch.logits.as_ref(), batch.spatial.as_ref()];
        for part in parts.into_iter().flatten() {
            bytes.extend(part.as_slice().iter().flat_map(|v| v.to_le_bytes()));
        }
        let digest = self.hasher().update(&bytes[record..]).finalize();
        bytes.extend(digest.as_bytes());
        if let Err(error) = self.write(&bytes) {
            let Some(path) = self.path.take() else { return Err(error).context("write features") };
            // The disk is full, or the folder went away: the task goes on without the cache.
            self.lost_cache = Some(format!("cannot write `{}`: {error}", path.display()));
            let copy = temporary_file()?;
            let mut rows = SharedFile::new(Arc::clone(&self.file)).take(self.end);
            std::io::copy(&mut rows, &mut &copy).context("write features")?;
            // What was appended in part is cut off.
            let _cut = self.file.set_len(self.end);
            self.file = Arc::new(copy);
            self.write(&bytes).context("write features")?;
        }
        self.end += bytes.len() as u64;
        self.done = done;
        self.rows += head.rows;
        self.skipped.append(&mut self.pending);
        Ok(())
    }

    /// What digests a record.
    fn hasher(&self) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.line);
        hasher
    }

    /// Writes behind the last record.
    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.end))?;
        file.write_all(bytes)
    }

    /// The rows, in the order of appending, in batches; an item fails when the file cannot be read
    /// or was changed.
    pub fn read(&self) -> impl Iterator<Item = Result<FeatureBatch>> + '_ {
        let file = SharedFile::new(Arc::clone(&self.file)).at(self.start);
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut left = self.rows;
        std::iter::from_fn(move || {
            (left > 0).then(|| {
                let batch = self.read_batch(&mut reader);
                left = batch.as_ref().map_or(0, |b| left.saturating_sub(b.features.len().max(1)));
                batch.with_context(|| self.place())
            })
        })
    }

    fn read_batch(&self, reader: &mut BufReader<SharedFile>) -> Result<FeatureBatch> {
        let mut hashed = Tee { reader, hasher: self.hasher() };
        let (head, _) = read_head(&mut hashed)?;
        let widths = self.widths.ok_or_else(|| damaged("a store without rows"))?;
        let mut part = |width: usize| -> Result<Option<Features>> {
            if width == 0 {
                return Ok(None);
            }
            let mut bytes = vec![0; head.rows * width * 4];
            hashed.read_exact(&mut bytes)?;
            let values = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            Ok(Some(Features::from_vec(values, width)?))
        };
        let features = part(widths.features)?.ok_or_else(|| damaged("a store without features"))?;
        let (logits, spatial) = (part(widths.logits)?, part(widths.spatial)?);
        let expected = hashed.hasher.finalize();
        let mut digest = [0; DIGEST];
        hashed.reader.read_exact(&mut digest)?;
        if digest != *expected.as_bytes() {
            return Err(damaged("the digest of a record differs"));
        }
        Ok(FeatureBatch { features, logits, spatial })
    }

    fn place(&self) -> String {
        match &self.path {
            Some(path) => format!("read features back from `{}`; delete it", path.display()),
            None => "read features back from a temporary file".into(),
        }
    }
}

/// The logits of a store.
impl Rows for FeatureStore {
    fn len(&self) -> usize {
        self.widths.map_or(0, |widths| if widths.logits == 0 { 0 } else { self.rows })
    }

    fn dim(&self) -> usize {
        self.widths.map_or(0, |widths| widths.logits)
    }

    fn batches(&self) -> Box<dyn Iterator<Item = ganscope_stats::Result<Features>> + '_> {
        let missing = || ganscope_stats::Error::Lacks { what: "the store", part: "logits" };
        Box::new(self.read().map(move |batch| match batch {
            Ok(batch) => batch.logits.ok_or_else(missing),
            Err(error) => Err(ganscope_stats::Error::Rows(error.into())),
        }))
    }
}

/// A file without a name that vanishes with the process.
fn temporary_file() -> Result<File> {
    let file = tempfile::tempfile().context("create a temporary file for features");
    file.map_err(|error| error.with_hint("TMPDIR names the folder of temporary files"))
}

/// The error of a file that was changed.
fn damaged(message: impl Into<String>) -> Error {
    Error::problem(Kind::UnreadableInput, message)
}

/// Reads a head and returns its length in bytes.
fn read_head(reader: &mut impl Read) -> Result<(Head, u64)> {
    let mut length = [0; 4];
    reader.read_exact(&mut length)?;
    let length = u64::from(u32::from_le_bytes(length));
    if length > LONGEST_HEAD {
        return Err(damaged(format!("a head of {length} bytes")));
    }
    let mut json = Vec::new();
    reader.take(length).read_to_end(&mut json)?;
    Ok((serde_json::from_slice(&json)?, 4 + length))
}

/// Digests the bytes that are read.
struct Tee<'a, R> {
    reader: &'a mut R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
