//! Writing files so that they are whole or not there.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use crate::{Error, Result};

/// Writes `path` through `content` under a temporary name in the same folder, then renames it.
///
/// An interrupted run leaves an old file as it was. `content` gets a buffered writer.
///
/// # Errors
/// [`Error::File`] with the path when the folder is missing, the disk is full, or `content` fails.
pub fn write_atomically(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<&std::fs::File>) -> Result<()>,
) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let write = || -> Result<()> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".ganscope-").suffix(".tmp");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As `File::create` does, less the umask; the default is private.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let temporary = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
        let mut writer = BufWriter::new(temporary.as_file());
        content(&mut writer)?;
        writer.flush()?;
        drop(writer);
        temporary.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(Error::writing(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_atomically(&path, |file| Ok(file.write_all(b"old")?)).unwrap();
        let failed = write_atomically(&path, |file| {
            file.write_all(b"new")?;
            Err(std::io::Error::other("no more").into())
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
