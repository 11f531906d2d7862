//! The images of a request, each by its place in a set.

use std::collections::HashSet;
use std::path::Path;

use ganscope_images::{EXTENSIONS, Image, ImageSet, Limits, SetOptions};

use crate::error::{Error, Hint, Kind, Result};

/// Every image of several files, folders and archives.
#[derive(Debug)]
pub(crate) struct Images {
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    path: String,
    set: ImageSet,
    index: usize,
    folder: String,
}

impl Images {
    /// Opens files, folders and archives.
    ///
    /// # Errors
    /// If one cannot be opened.
    pub(crate) fn open(paths: &[String], limits: Limits) -> Result<Self> {
        let (mut places, mut taken) = (Vec::new(), HashSet::new());
        for path in paths {
            let set =
                ImageSet::open(Path::new(path), &SetOptions { limits, ..SetOptions::default() });
            let set = set.map_err(|error| unreadable(path, error))?;
            for index in 0..set.len() {
                let folder = folder_name(&set.name(index), &mut taken);
                places.push(Place { path: path.clone(), set: set.clone(), index, folder });
            }
        }
        Ok(Self { places })
    }

    /// Fails if there are none.
    ///
    /// # Errors
    /// If there are none.
    pub(crate) fn need_some(&self) -> Result<()> {
        if self.places.is_empty() {
            return Err(Error::request("there are no images").with_hint(Hint::of("give {images}")));
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Name of an image in its set.
    pub(crate) fn name(&self, i: usize) -> String {
        self.places[i].set.name(self.places[i].index)
    }

    /// A folder name that no other image has.
    pub(crate) fn folder(&self, i: usize) -> &str {
        &self.places[i].folder
    }

    /// The image.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn get(&self, i: usize) -> Result<Image> {
        let Place { path, set, index, .. } = &self.places[i];
        Ok(set.get(*index).map_err(|error| unreadable(path, error))?.image)
    }
}

fn unreadable(path: &str, error: ganscope_images::Error) -> Error {
    let endings = EXTENSIONS.join(", ");
    let hint = format!("give images ({endings}), or folders or archives of them");
    if let ganscope_images::Error::Read { source, .. } = &error {
        let is_missing = source.kind() == std::io::ErrorKind::NotFound;
        let kind = if is_missing { Kind::NotFound } else { Kind::UnreadableInput };
        return Error::problem(kind, format!("read `{path}`: {source}")).with_hint(hint);
    }
    Error::Context {
        message: format!("read `{path}`"),
        hint: Some(hint.into()),
        source: Box::new(error.into()),
    }
}

/// The name of an image without its ending, and with a number if it was taken before.
fn folder_name(name: &str, taken: &mut HashSet<String>) -> String {
    let stem = Path::new(name).file_stem().map_or(name.into(), |stem| stem.to_string_lossy());
    // `...png` would be written beside the output.
    let stem = if ["", ".", ".."].contains(&&*stem) { "image".into() } else { stem };
    let numbered = (2..).map(|i| format!("{stem}-{i}"));
    let mut free = std::iter::once(stem.to_string()).chain(numbered);
    free.find(|name| taken.insert(name.clone())).expect("numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_one_name_get_different_folders() {
        let mut taken = HashSet::new();
        let names = ["cat.png", "a/cat.jpg", "cat-2.png", "dog", "...png"];
        let folders = names.map(|name| folder_name(name, &mut taken));
        assert_eq!(folders, ["cat", "cat-2", "cat-2-2", "dog", "image"]);
    }
}
