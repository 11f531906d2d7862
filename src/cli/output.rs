//! Where pictures go: one file, a moving picture, or a folder of frames.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::builder::RangedI64ValueParser;
use ganscope_images::{Image, save_png};
use ganscope_weights::write_atomically;

use crate::hint::advised;
use crate::{animation, cache};

/// What is written, by the ending of the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    /// One picture.
    Png(PathBuf),
    /// A moving picture of 256 colours a frame.
    Gif(PathBuf),
    /// A moving picture without loss.
    Webp(PathBuf),
    /// A folder.
    Folder(PathBuf),
}

impl Output {
    /// The output that `path` names, if something can be written there.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let ending = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
        let output = match ending.as_deref() {
            None => Self::Folder(path.to_owned()),
            Some("png") => Self::Png(path.to_owned()),
            Some("gif") => Self::Gif(path.to_owned()),
            Some("webp") => Self::Webp(path.to_owned()),
            Some(other) => {
                return Err(advised(
                    format!("`{}`: pictures are not written as `.{other}`", path.display()),
                    "end the name in `.png`, `.gif` or `.webp`; without an ending it is a folder",
                ));
            }
        };
        match &output {
            Self::Folder(folder) => make_folder(folder)?,
            _ => cache::check_writable(path)?,
        }
        Ok(output)
    }

    /// Writes frames as a moving picture, or one by one into a folder as `frame0000.png`.
    ///
    /// # Panics
    /// For a single picture, which has no frames.
    pub(super) fn write_frames(
        &self,
        frames: impl Iterator<Item = Result<Image>>,
        fps: f64,
    ) -> Result<()> {
        let (path, bytes) = match self {
            Self::Png(path) => unreachable!("frames for the single picture {}", path.display()),
            Self::Gif(path) => (path, animation::gif(frames, fps)?),
            Self::Webp(path) => (path, animation::webp(frames, fps)?),
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

/// What a factor of enlargement may be.
pub(super) fn zoom() -> RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=64)
}

/// Makes a folder and those above it.
pub(super) fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("make the folder `{}`", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_tells_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert_eq!(Output::new(&path("a.PNG")).unwrap(), Output::Png(path("a.PNG")));
        assert_eq!(Output::new(&path("a.gif")).unwrap(), Output::Gif(path("a.gif")));
        assert_eq!(Output::new(&path("a.webp")).unwrap(), Output::Webp(path("a.webp")));
        assert_eq!(Output::new(&path("a/b")).unwrap(), Output::Folder(path("a/b")));
        assert!(path("a/b").is_dir());
        assert!(Output::new(&path("a.mp4")).unwrap_err().to_string().contains("`.mp4`"));
        assert!(Output::new(&path("missing/a.png")).is_err());
    }

    #[test]
    fn frames_of_a_folder_are_numbered() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::new(&folder.path().join("frames")).unwrap();
        let frames = [[0; 3], [255; 3]].map(|colour| Ok(Image::filled(2, 2, colour)));
        output.write_frames(frames.into_iter(), 24.0).unwrap();
        assert!(folder.path().join("frames/frame0001.png").is_file());
    }
}
