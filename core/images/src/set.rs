//! Ordered collections of images.

mod array;
mod axes;
mod folder;
mod labels;
mod memory;
mod tar;
mod zip;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ganscope_weights::SharedFile;

pub use axes::Axes;

use crate::decode::sniff;
use crate::{Decoded, Digest, Error, Facts, Format, Image, Limits, Result};

/// Extensions that mark a file of a folder or archive as an image, in any case of letters.
pub const EXTENSIONS: &[&str] = &[
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "pbm",
    "pnm",
];

/// How a set is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetOptions {
    /// Whether folders within a folder are searched too.
    pub recursive: bool,
    /// What its images and archives may cost.
    pub limits: Limits,
}

/// One image as it is stored in its source.
enum Item {
    Encoded(Vec<u8>),
    Pixels(Image),
}

/// Where the images of a set come from.
trait Source: Send + Sync {
    fn len(&self) -> usize;
    fn name(&self, i: usize) -> String;
    fn label(&self, _i: usize) -> Option<u32> {
        None
    }
    fn ignored(&self) -> &[String] {
        &[]
    }
    fn read(&self, i: usize) -> Result<Item>;
}

/// An ordered collection of images; cheap to clone.
///
/// Images of a folder or archive are those whose names end in one of [`EXTENSIONS`] and do not
/// begin with a dot, sorted by the bytes of their path below the folder or in the archive, which is
/// how Python sorts strings. Images of an array keep its order.
#[derive(Clone)]
pub struct ImageSet {
    source: Arc<dyn Source>,
    limits: Limits,
}

impl fmt::Debug for ImageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageSet").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl ImageSet {
    /// Opens `path` by its content, not by its name:
    ///
    /// - a folder of images, with labels if it contains the `dataset.json` of the StyleGAN tools
    ///   (`{"labels": [["00000/img00000000.png", 6], ...]}`);
    /// - a zip archive of images, stored or deflated, with labels likewise;
    /// - a tar archive of images; one inside gzip (`.tar.gz`, `.tgz`) is unpacked once, into a
    ///   temporary file that vanishes with the set;
    /// - an `.npz` file with 8-bit images in `arr_0` or `x`, and labels in `arr_1` or `y`, which is
    ///   read image by image;
    /// - an `.npy` file with 8-bit images;
    /// - a single image.
    ///
    /// Arrays are (n, height, width, 3), (n, 3, height, width) or (n, height, width).
    pub fn open(path: &Path, options: &SetOptions) -> Result<Self> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        let kind = fs::metadata(path).map_err(failed)?;
        let limits = options.limits;
        if kind.is_dir() {
            return Ok(Self { source: Arc::new(folder::Folder::open(path, options)?), limits });
        }
        if !kind.is_file() {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
            return Err(Error::Read { path: path.to_owned(), source });
        }
        let mut file = File::open(path).map_err(failed)?;
        let mut start = Vec::new();
        file.by_ref().take(512).read_to_end(&mut start).map_err(failed)?;
        file.rewind().map_err(failed)?;
        let file = SharedFile::new(file);
        let source: Arc<dyn Source> = match start.as_slice() {
            [b'P', b'K', 3 | 5, 4 | 6, ..] => Self::open_zip(path, file, limits)?,
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Arc::new(array::Array::npy(path, file)?),
            start if sniff::format(start).is_some() => Arc::new(folder::Folder::single(path)),
            start if tar::is_tar(start) => Arc::new(tar::Tar::open(path, file)?),
            [0x1F, 0x8B, ..] => Arc::new(tar::Tar::open(path, tar::unpacked(path, file, limits)?)?),
            start => {
                return Err(Error::UnknownSource {
                    path: path.to_owned(),
                    found: sniff::describe(start),
                });
            }
        };
        Ok(Self { source, limits })
    }

    fn open_zip(path: &Path, file: SharedFile, limits: Limits) -> Result<Arc<dyn Source>> {
        let zip = zip::Zip::open(path, file, limits)?;
        if zip.holds_arrays() {
            return Ok(Arc::new(array::Array::npz(path, zip)?));
        }
        Ok(Arc::new(zip.into_images()?))
    }

    /// A set of this source within the default limits.
    fn held(source: impl Source + 'static) -> Self {
        Self { source: Arc::new(source), limits: Limits::default() }
    }

    /// A set of images in memory, named by their position.
    pub fn from_images(images: Vec<Image>) -> Self {
        Self::held(memory::Images(images))
    }

    /// The images of an array of bytes in C order, named by their position.
    ///
    /// Without `axes`, they are in the only order that the shape can have.
    ///
    /// ```
    /// use ganscope_images::{Axes, ImageSet};
    ///
    /// let set = ImageSet::from_array(&[5, 32, 24, 3], vec![0; 5 * 32 * 24 * 3], None)?;
    /// assert_eq!((set.len(), set.get(0)?.image.width), (5, 24));
    /// let square = vec![0; 2 * 3 * 3 * 3];
    /// assert!(ImageSet::from_array(&[2, 3, 3, 3], square.clone(), None).is_err());
    /// assert!(ImageSet::from_array(&[2, 3, 3, 3], square, Some(Axes::ChannelFirst)).is_ok());
    /// # Ok::<(), ganscope_images::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Array`] if the shape is not one of images, has several readings, or is not that of
    /// the data.
    pub fn from_array(shape: &[usize], data: Vec<u8>, axes: Option<Axes>) -> Result<Self> {
        Ok(Self::held(axes::Held::new(shape, data, axes)?))
    }

    /// A set of image files, in this order, named by their paths.
    ///
    /// # Errors
    /// [`Error::Read`] if one is not there, or is not a regular file.
    pub fn from_files(paths: Vec<PathBuf>) -> Result<Self> {
        Ok(Self::held(folder::Files::new(paths)?))
    }

    /// The same set within other limits.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The images of several sets, one after another, named by their position.
    pub fn joined(sets: Vec<Self>) -> Self {
        Self::held(memory::Joined::new(sets))
    }

    /// A set of `len` images that `make(i)` computes on demand, possibly from several threads.
    pub fn from_fn(
        len: usize,
        make: impl Fn(usize) -> Result<Image> + Send + Sync + 'static,
    ) -> Self {
        Self::held(memory::Computed { len, make })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.source.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name of image `i` within the set.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len); so do the other functions of an index.
    pub fn name(&self, i: usize) -> String {
        self.source.name(i)
    }

    /// Class of image `i`, where the set has labels.
    pub fn label(&self, i: usize) -> Option<u32> {
        self.source.label(i)
    }

    /// Folders within the folder that are not searched, and images of formats that are not read.
    pub fn ignored(&self) -> &[String] {
        self.source.ignored()
    }

    /// Reads and decodes image `i`.
    pub fn get(&self, i: usize) -> Result<Decoded> {
        match self.source.read(i)? {
            Item::Encoded(bytes) => self.limits.decode(&bytes, &self.name(i)),
            Item::Pixels(image) => Ok(Decoded { image, format: Format::Raw }),
        }
    }

    /// Reads image `i` once: the digest of its bytes, and what they decode to.
    ///
    /// # Errors
    /// If the bytes cannot be read. That they are no image is an error inside.
    pub fn get_digested(&self, i: usize) -> Result<(Digest, Result<Decoded>)> {
        Ok(match self.source.read(i)? {
            Item::Encoded(bytes) => {
                (Facts::digest_of(&bytes), self.limits.decode(&bytes, &self.name(i)))
            }
            Item::Pixels(image) => {
                let digest = Facts::pixels(&image).digest;
                (digest, Ok(Decoded { image, format: Format::Raw }))
            }
        })
    }

    /// Reads the facts of image `i` without decoding it.
    pub fn facts(&self, i: usize) -> Result<Facts> {
        match self.source.read(i)? {
            Item::Encoded(bytes) => Facts::encoded(&bytes, &self.name(i), self.limits),
            Item::Pixels(image) => Ok(Facts::pixels(&image)),
        }
    }
}

/// Whether a file of this name is an image: by its extension, and not hidden.
fn is_image(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let extension = file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    !file.starts_with('.') && extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
}

/// The error for a folder or archive with `others` files and no image.
fn no_images(path: &Path, others: &[String]) -> Error {
    let found = match others {
        [] => "nothing".to_owned(),
        [one] => format!("only `{one}`"),
        [one, rest @ ..] => format!("only `{one}` and {} more", rest.len()),
    };
    let expected = format!("names ending in {}", EXTENSIONS.join(", "));
    Error::NoImages { path: path.to_owned(), expected, found }
}
