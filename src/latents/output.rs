//! Where pictures go: one file, a moving picture, or a folder.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ganscope_images::{EXTENSIONS, Image, save_png};
use ganscope_weights::write_atomically;

use crate::error::{Error, Hint, Result};
use crate::figures::animation;
use crate::files::{check_writable, make_folder};

/// Endings of archives.
const ARCHIVES: &[&str] = &["zip", "tar", "gz", "npz", "npy"];

/// What is written, by the ending of the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// One picture.
    Png(PathBuf),
    /// A moving picture with 256 colors per frame.
    Gif(PathBuf),
    /// A moving picture without loss.
    Webp(PathBuf),
    /// A moving picture without loss, as PNG.
    Apng(PathBuf),
    /// A folder.
    Folder(PathBuf),
}

impl Output {
    /// The output that `path` names: a picture, a moving one, or a folder if there is no ending.
    ///
    /// # Errors
    /// If the ending is another.
    pub fn of(path: &Path) -> Result<Self> {
        let hint =
            "end the name in `.png`, `.gif`, `.webp` or `.apng`; without an ending it is a folder";
        match ending(path).as_deref() {
            Some("png") => Ok(Self::Png(path.to_owned())),
            Some("gif") => Ok(Self::Gif(path.to_owned())),
            Some("webp") => Ok(Self::Webp(path.to_owned())),
            Some("apng") => Ok(Self::Apng(path.to_owned())),
            None => Ok(Self::Folder(path.to_owned())),
            Some(other) => Err(unknown(path, other).with_hint(hint)),
        }
    }

    /// The output that `path` names, if it can hold pictures that do not move.
    ///
    /// # Errors
    /// If the ending is another than `.png`.
    pub fn still(path: &Path) -> Result<Self> {
        match ending(path).as_deref() {
            Some("png") => Ok(Self::Png(path.to_owned())),
            None => Ok(Self::Folder(path.to_owned())),
            Some(other) => {
                Err(unknown(path, other).with_hint("end the name in `.png`, or name a folder"))
            }
        }
    }

    /// Makes the folder, or fails if the file could not be written later.
    ///
    /// # Errors
    /// If nothing can be written there.
    pub fn prepare(&self) -> Result<()> {
        match self {
            Self::Folder(folder) => make_folder(folder),
            Self::Png(path) | Self::Gif(path) | Self::Webp(path) | Self::Apng(path) => {
                check_writable(path)
            }
        }
    }

    /// Writes `count` frames as a moving picture, or one by one into a folder as `frame0000.png`; of a single
    /// picture, the first.
    ///
    /// # Errors
    /// If a frame is an error, or they cannot be written.
    pub fn write_frames(
        &self,
        count: usize,
        mut frames: impl Iterator<Item = Result<Image>>,
        fps: f64,
    ) -> Result<()> {
        let (path, bytes) = match self {
            Self::Png(path) => {
                return match frames.next() {
                    Some(frame) => Ok(save_png(path, &frame?)?),
                    None => Err(crate::figures::Error::NoFrames.into()),
                };
            }
            Self::Gif(path) => (path, animation::gif(frames, fps)?),
            Self::Webp(path) => (path, animation::webp(frames, fps)?),
            Self::Apng(path) => (path, animation::apng(count, frames, fps)?),
            Self::Folder(folder) => {
                for (i, frame) in frames.enumerate() {
                    save_png(&folder.join(format!("frame{i:04}.png")), &frame?)?;
                }
                return Ok(());
            }
        };
        Ok(write_atomically(path, |file| Ok(file.write_all(&bytes)?))?)
    }
}

/// The ending of a name in lower case; none of a folder, and none that is a number, as in `psi0.7`.
fn ending(path: &Path) -> Option<String> {
    let ending = path.extension().and_then(OsStr::to_str)?.to_ascii_lowercase();
    let folder = path.is_dir() || path.as_os_str().to_string_lossy().ends_with(['/', '\\']);
    (!folder && ending.starts_with(|first: char| first.is_ascii_alphabetic())).then_some(ending)
}

fn unknown(path: &Path, ending: &str) -> Error {
    Error::request(format!("`{}`: pictures are not written as `.{ending}`", path.display()))
}

/// Fails if a folder of pictures is called like an archive or a picture.
pub(crate) fn check_folder_name(folder: &Path) -> Result<()> {
    match ending(folder).filter(|e| EXTENSIONS.iter().chain(ARCHIVES).any(|known| known == e)) {
        None => Ok(()),
        Some(ending) => Err(Error::request(format!(
            "`{}` is the name of a file; pictures are written into a folder",
            folder.display()
        ))
        .with_hint(format!("leave the ending `.{ending}` out"))),
    }
}

/// The file `FOLDER-NAME.png` beside a folder, so that it is not among the pictures in it.
///
/// # Errors
/// If the folder has no name of its own, as `..`; `field` names the file then.
pub(crate) fn beside(folder: &Path, name: &str, field: &'static str) -> Result<PathBuf> {
    match folder.file_name() {
        Some(own) => {
            let own = own.to_string_lossy();
            Ok(folder.with_file_name(format!("{own}-{name}.png")))
        }
        None => Err(Error::request(format!(
            "the {name} goes beside the folder of the pictures, and `{}` has no name",
            folder.display()
        ))
        .with_hint(Hint::of("name its file with ").field(field))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_tells_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert_eq!(Output::of(&path("a.PNG")).unwrap(), Output::Png(path("a.PNG")));
        assert_eq!(Output::of(&path("a.gif")).unwrap(), Output::Gif(path("a.gif")));
        assert_eq!(Output::of(&path("a.webp")).unwrap(), Output::Webp(path("a.webp")));
        assert_eq!(Output::of(&path("a/b")).unwrap(), Output::Folder(path("a/b")));
        assert_eq!(Output::of(&path("run-0.7")).unwrap(), Output::Folder(path("run-0.7")));
        Output::of(&path("a/b")).unwrap().prepare().unwrap();
        assert!(path("a/b").is_dir());
        assert!(Output::of(&path("a.mp4")).unwrap_err().to_string().contains("`.mp4`"));
        assert!(Output::of(&path("missing/a.png")).unwrap().prepare().is_err());
    }

    #[test]
    fn a_table_does_not_move() {
        for name in ["m.gif", "m.jpg", "m.webp"] {
            let error = Output::still(Path::new(name)).unwrap_err();
            let hint = format!("{:?}", error.hint());
            assert!(hint.contains(".png") && !hint.contains("gif"), "{hint}");
        }
    }

    #[test]
    fn frames_of_a_folder_are_numbered() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::of(&folder.path().join("frames")).unwrap();
        output.prepare().unwrap();
        let frames = [[0; 3], [255; 3]].map(|color| Ok(Image::filled(2, 2, color)));
        output.write_frames(2, frames.into_iter(), 24.0).unwrap();
        assert!(folder.path().join("frames/frame0001.png").is_file());
    }

    #[test]
    fn what_is_drawn_of_a_folder_lies_beside_it() {
        let beside = |folder: &str| beside(Path::new(folder), "grid", "grid_output");
        assert_eq!(beside("a/out").unwrap(), Path::new("a/out-grid.png"));
        assert_eq!(beside("out/").unwrap(), Path::new("out-grid.png"));
        assert!(beside("..").is_err());
        assert!(check_folder_name(Path::new("g.zip")).is_err());
        assert!(check_folder_name(Path::new("psi0.7")).is_ok());
    }
}
