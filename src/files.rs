//! Files that a task writes: whole or not at all, and checked before the long work.

use std::io::Write as _;
use std::path::Path;

use crate::error::{Error, Kind, Result};

/// Writes a text file that is whole or not there.
///
/// # Errors
/// If it cannot be written.
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    Ok(ganscope_weights::write_atomically(path, |file| Ok(file.write_all(text.as_bytes())?))?)
}

/// Fails if a file could not be written later.
///
/// # Errors
/// If its folder is not there or not writable.
pub fn check_writable(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let cannot = |reason: String| format!("cannot write `{}`: {reason}", path.display());
    if path.is_dir() {
        return Err(Error::request(cannot("it is a folder".into())));
    }
    match ganscope_weights::check_folder(folder) {
        Ok(()) => Ok(()),
        Err(_) if !folder.is_dir() => {
            let reason = format!("there is no folder `{}`", folder.display());
            Err(Error::problem(Kind::NotFound, cannot(reason))
                .with_hint("make the folder first, or name another"))
        }
        Err(error) => Err(Error::problem(Kind::UnreadableInput, cannot(error.kind().to_string()))),
    }
}

/// Fails if a picture could not be written later: pictures are PNG.
///
/// # Errors
/// If the name does not end in `.png`, and those of [`check_writable`].
pub fn check_picture(path: &Path) -> Result<()> {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
        return check_writable(path);
    }
    Err(Error::request(format!("`{}` does not end in .png", path.display()))
        .with_hint("pictures are written as PNG; name a file that ends in .png"))
}

/// Makes a folder and those above it.
///
/// # Errors
/// If it cannot be made.
pub fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::file("make the folder", folder))
}
