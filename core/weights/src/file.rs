//! Files: written completely or not at all, and read by several threads at once.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::NamedTempFile;

use crate::{Error, Result};

/// Writes `path` through `content` under a temporary name in the same folder, then renames it.
///
/// An interrupted run leaves an old file as it was. `content` gets a buffered writer.
///
/// # Errors
/// [`Error::File`] with the path if the folder is missing, the disk is full, or `content` fails.
pub fn write_atomically(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<&File>) -> Result<()>,
) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let write = || -> Result<()> {
        let temporary = temporary(folder.unwrap_or(Path::new(".")))?;
        let mut writer = BufWriter::new(temporary.as_file());
        content(&mut writer)?;
        writer.flush()?;
        drop(writer);
        temporary.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(Error::writing(path))
}

const PREFIX: &str = ".ganscope-";
const SUFFIX: &str = ".tmp";

/// A new file in `folder` that vanishes unless it gets a name; what killed runs left there is removed.
///
/// The file is locked as long as its process lives, so files without a lock belong to nobody.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    sweep(folder);
    loop {
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX).suffix(SUFFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As `File::create` does, minus the umask; the default is private.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder)?;
        // A file system without locks sweeps nothing, either.
        let _locked = file.as_file().try_lock();
        // Another process may have removed it before it was locked.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// Removes temporary files of processes that are gone, once for each folder.
fn sweep(folder: &Path) {
    static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if !swept.insert(folder.to_owned()) {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file
            && name.starts_with(PREFIX)
            && name.ends_with(SUFFIX)
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            // What cannot be removed stays.
            let _removed = std::fs::remove_file(entry.path());
        }
    }
}

/// Fails if no file can be written into `folder`; nothing stays there.
///
/// # Errors
/// The reason of the system.
pub fn check_folder(folder: &Path) -> io::Result<()> {
    temporary(folder).map(drop)
}

/// A reader with its own position in a file that its clones share.
///
/// It reads by position, so readers neither wait for each other nor move the file's own position.
#[derive(Debug, Clone)]
pub struct SharedFile {
    file: Arc<File>,
    position: u64,
}

impl SharedFile {
    /// A reader at the start of `file`.
    pub fn new(file: impl Into<Arc<File>>) -> Self {
        Self { file: file.into(), position: 0 }
    }

    /// A reader of the same file at `position`.
    #[must_use]
    pub fn at(&self, position: u64) -> Self {
        Self { file: Arc::clone(&self.file), position }
    }

    /// Size of the file in bytes.
    ///
    /// # Errors
    /// If the system does not report it.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// The `len` bytes at `position`; nothing is allocated for bytes beyond the end.
    ///
    /// # Errors
    /// If the file ends earlier or cannot be read.
    pub fn read_range(&self, position: u64, len: u64) -> io::Result<Vec<u8>> {
        let size = self.size()?;
        if position.checked_add(len).is_none_or(|end| end > size) {
            let text = format!("{len} bytes at {position} of a file of {size} bytes");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        let mut bytes = vec![0; len as usize];
        self.at(position).read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for SharedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(&*self.file, buffer, self.position)?;
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.size()?.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, "seek before the start");
        self.position = position.ok_or_else(outside)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_of_one_file_have_positions_of_their_own() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        file.write_all(&content).unwrap();
        let file = SharedFile::new(file);
        std::thread::scope(|scope| {
            for first in 0..4 {
                let (mut reader, expected) = (file.at(first), &content[first as usize..]);
                scope.spawn(move || {
                    let mut bytes = Vec::new();
                    reader.read_to_end(&mut bytes).unwrap();
                    assert_eq!(bytes, expected);
                });
            }
        });
        let mut reader = file.clone();
        assert_eq!(reader.seek(SeekFrom::End(-3)).unwrap(), 99_997);
        assert_eq!(reader.seek(SeekFrom::Current(-7)).unwrap(), 99_990);
        assert!(reader.seek(SeekFrom::Current(-99_991)).is_err());
        assert_eq!(reader.stream_position().unwrap(), 99_990);
        assert_eq!(file.read_range(5, 3).unwrap(), [5, 6, 7]);
        assert!(file.read_range(99_999, 2).is_err() && file.read_range(u64::MAX, 2).is_err());
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_atomically(&path, |file| Ok(file.write_all(b"old")?)).unwrap();
        let failed = write_atomically(&path, |file| {
            file.write_all(b"new")?;
            Err(io::Error::other("no more").into())
        });
        assert!(matches!(failed, Err(Error::File { action: "write", .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = write_atomically(Path::new("/nowhere/file"), |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "cannot write `/nowhere/file`");
    }
}
