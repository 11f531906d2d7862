//! Image files of a folder.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{Item, SetOptions, Source, is_image, labels, no_images};
use crate::limits::MAX_ENCODED;
use crate::{Error, Result};

/// Files with the extension of an image, sorted by the bytes of their path below the folder.
pub(super) struct Folder {
    root: PathBuf,
    names: Vec<String>,
    labels: Vec<Option<u32>>,
    ignored: Vec<String>,
}

impl Folder {
    pub(super) fn open(root: &Path, options: &SetOptions) -> Result<Self> {
        let mut names = Vec::new();
        let mut others = Vec::new();
        let mut pending = vec![String::new()];
        while let Some(below) = pending.pop() {
            let folder = root.join(&below);
            let failed = |source| Error::Read { path: folder.clone(), source };
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name().into_string().map_err(|name| {
                    let text = "the name is not UTF-8";
                    let source = io::Error::new(io::ErrorKind::InvalidFilename, text);
                    Error::Read { path: folder.join(name), source }
                })?;
                let name = if below.is_empty() { name } else { format!("{below}/{name}") };
                if !entry.file_type().map_err(failed)?.is_dir() {
                    if is_image(&name) { names.push(name) } else { others.push(name) }
                } else if options.recursive {
                    pending.push(name);
                } else {
                    others.push(name + "/");
                }
            }
        }
        others.sort_unstable();
        if names.is_empty() {
            return Err(no_images(root, &others));
        }
        names.sort_unstable();
        let path = root.join(labels::FILE);
        let labels = match open(&path) {
            Ok(json) => labels::parse(&path, json, &names, options.limits)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(Error::Read { path, source }),
        };
        others.retain(|name| name.ends_with('/') || is_foreign(name));
        Ok(Self { root: root.to_owned(), names, labels, ignored: others })
    }

    /// The one image `path`.
    pub(super) fn single(path: &Path) -> Self {
        let root = path.parent().unwrap_or(Path::new("")).to_owned();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { root, names: vec![name], labels: Vec::new(), ignored: Vec::new() }
    }
}

/// Opens a regular file; a pipe would be waited for, and a device has no end.
fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

/// Whether a file has the extension of an image format that is not read.
fn is_foreign(name: &str) -> bool {
    const FOREIGN: &[&str] = &["avif", "exr", "hdr", "heic", "heif", "jp2", "jxl", "psd", "tga"];
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| FOREIGN.contains(&extension.as_str()))
}

impl Source for Folder {
    fn len(&self) -> usize {
        self.names.len()
    }

    fn name(&self, i: usize) -> String {
        self.names[i].clone()
    }

    fn label(&self, i: usize) -> Option<u32> {
        self.labels.get(i).copied().flatten()
    }

    fn ignored(&self) -> &[String] {
        &self.ignored
    }

    fn read(&self, i: usize) -> Result<Item> {
        read(self.root.join(&self.names[i]))
    }
}

/// Image files in any place.
pub(super) struct Files(Vec<PathBuf>);

impl Files {
    pub(super) fn new(paths: Vec<PathBuf>) -> Result<Self> {
        for path in &paths {
            open(path).map_err(|source| Error::Read { path: path.clone(), source })?;
        }
        Ok(Self(paths))
    }
}

impl Source for Files {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn name(&self, i: usize) -> String {
        self.0[i].display().to_string()
    }

    fn read(&self, i: usize) -> Result<Item> {
        read(self.0[i].clone())
    }
}

/// The bytes of an image file.
fn read(path: PathBuf) -> Result<Item> {
    let read = || {
        let mut bytes = Vec::new();
        let file = open(&path)?;
        let len = file.metadata()?.len();
        if len > MAX_ENCODED {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{len} bytes")));
        }
        bytes.reserve_exact(len as usize);
        file.take(MAX_ENCODED).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map(Item::Encoded).map_err(|source| Error::Read { path, source })
}
