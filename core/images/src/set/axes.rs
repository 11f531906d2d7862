//! Arrays of images: the order of their axes, and images at hand in one array.

use std::fmt;
use std::str::FromStr;

use super::{Item, Source};
use crate::{Error, Image, MAX_PIXELS, Result};

/// Order of the axes of an array of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    /// `NHWC`: (N, height, width, C), as NumPy, Pillow and TensorFlow keep images; C is 1 or 3.
    ChannelLast,
    /// `NCHW`: (N, C, height, width), as PyTorch keeps them; C is 1 or 3.
    ChannelFirst,
    /// `NHW`: (N, height, width), gray.
    Gray,
}

impl Axes {
    const ALL: [Self; 3] = [Self::ChannelLast, Self::ChannelFirst, Self::Gray];

    /// Its name in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChannelLast => "NHWC",
            Self::ChannelFirst => "NCHW",
            Self::Gray => "NHW",
        }
    }

    /// The only order that a shape can have.
    ///
    /// # Errors
    /// If it can have none, or several.
    fn of(shape: &[usize]) -> Result<Self> {
        let fits: Vec<Self> =
            Self::ALL.into_iter().filter(|axes| Layout::new(shape, *axes).is_ok()).collect();
        match (fits.as_slice(), shape) {
            // One colored image has as many axes as a set of gray ones.
            ([Self::Gray], [.., 3] | [3, ..]) => {
                Err(ambiguous(shape, "a set of gray images or one colored image"))
            }
            ([axes], _) => Ok(*axes),
            ([], _) => Err(Layout::new(shape, Self::ChannelLast)
                .err()
                .unwrap_or_else(|| unsuitable(shape, "no images"))),
            _ => Err(ambiguous(shape, "NHWC or NCHW")),
        }
    }
}

impl fmt::Display for Axes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Axes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let named = Self::ALL.into_iter().find(|axes| axes.name().eq_ignore_ascii_case(text));
        named.ok_or_else(|| Error::UnknownAxes { found: text.to_owned() })
    }
}

fn unsuitable(shape: &[usize], reason: &str) -> Error {
    Error::Array { shape: shape.to_vec(), reason: reason.to_owned(), is_ambiguous: false }
}

fn ambiguous(shape: &[usize], readings: &str) -> Error {
    Error::Array {
        shape: shape.to_vec(),
        reason: format!("it may be {readings}"),
        is_ambiguous: true,
    }
}

/// Sizes of the images of an array, and the order of its axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) images: usize,
    height: usize,
    width: usize,
    channels: usize,
    axes: Axes,
}

impl Layout {
    /// The layout of an array of this shape.
    ///
    /// # Errors
    /// [`Error::Array`] if the axes do not fit, there are neither one nor three channels, or there is
    /// no pixel.
    pub(super) fn new(shape: &[usize], axes: Axes) -> Result<Self> {
        let (images, height, width, channels) = match (axes, shape) {
            (Axes::ChannelLast, &[n, h, w, c]) | (Axes::ChannelFirst, &[n, c, h, w]) => {
                (n, h, w, c)
            }
            (Axes::Gray, &[n, h, w]) => (n, h, w, 1),
            _ => {
                let expected = "expected (N, H, W, C), (N, C, H, W) or (N, H, W)";
                return Err(unsuitable(shape, expected));
            }
        };
        let pixels = (height as u64).saturating_mul(width as u64);
        if images == 0 || pixels == 0 {
            return Err(unsuitable(shape, "it is empty"));
        }
        if channels != 1 && channels != 3 {
            return Err(unsuitable(
                shape,
                &format!("{channels} channels as {axes}, expected 1 or 3"),
            ));
        }
        if pixels > MAX_PIXELS {
            return Err(unsuitable(shape, &format!("more than {MAX_PIXELS} pixels in an image")));
        }
        Ok(Self { images, height, width, channels, axes })
    }

    /// Bytes of all images, unless they are too many to count.
    pub(super) fn bytes(&self) -> Option<u64> {
        (self.images as u64).checked_mul(self.image_bytes() as u64)
    }

    pub(super) fn image_bytes(&self) -> usize {
        self.channels * self.height * self.width
    }

    pub(super) fn image(&self, row: &[u8]) -> Image {
        let plane = self.height * self.width;
        let pixels = match self.axes {
            _ if self.channels == 1 => row.iter().flat_map(|&v| [v; 3]).collect(),
            Axes::ChannelFirst => interleaved(row, plane),
            _ => row.to_vec(),
        };
        Image { width: self.width, height: self.height, pixels }
    }
}

/// Pixels of three planes of `plane` bytes.
fn interleaved(planes: &[u8], plane: usize) -> Vec<u8> {
    let (red, others) = planes.split_at(plane);
    let (green, blue) = others.split_at(plane);
    let mut pixels = vec![0; 3 * plane];
    let (triples, _) = pixels.as_chunks_mut::<3>();
    for (triple, ((&r, &g), &b)) in triples.iter_mut().zip(red.iter().zip(green).zip(blue)) {
        *triple = [r, g, b];
    }
    pixels
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} images of {} x {} pixels", self.images, self.width, self.height)
    }
}

/// Images in one array in memory.
pub(super) struct Held {
    layout: Layout,
    data: Vec<u8>,
}

impl Held {
    /// The images of an array in C order; without `axes`, in the only order that the shape can have.
    pub(super) fn new(shape: &[usize], data: Vec<u8>, axes: Option<Axes>) -> Result<Self> {
        let axes = axes.map_or_else(|| Axes::of(shape), Ok)?;
        let layout = Layout::new(shape, axes)?;
        if layout.bytes() != Some(data.len() as u64) {
            return Err(unsuitable(shape, &format!("{} bytes do not make it up", data.len())));
        }
        Ok(Self { layout, data })
    }
}

impl Source for Held {
    fn len(&self) -> usize {
        self.layout.images
    }

    fn name(&self, i: usize) -> String {
        format!("image {i}")
    }

    fn read(&self, i: usize) -> Result<Item> {
        let len = self.layout.image_bytes();
        Ok(Item::Pixels(self.layout.image(&self.data[i * len..][..len])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(shape: &[usize]) -> Result<Axes, String> {
        Axes::of(shape).map_err(|error| error.to_string())
    }

    #[test]
    fn a_shape_that_has_one_reading_is_read() {
        assert_eq!(axes(&[5, 32, 24, 3]), Ok(Axes::ChannelLast));
        assert_eq!(axes(&[5, 3, 32, 24]), Ok(Axes::ChannelFirst));
        assert_eq!(axes(&[5, 1, 32, 24]), Ok(Axes::ChannelFirst));
        assert_eq!(axes(&[5, 32, 24]), Ok(Axes::Gray));
    }

    #[test]
    fn a_shape_with_two_readings_is_refused() {
        assert!(axes(&[5, 3, 32, 3]).unwrap_err().contains("NHWC or NCHW"));
        for one in [[32, 24, 3], [3, 32, 24]] {
            assert!(axes(&one).unwrap_err().contains("one colored image"), "{one:?}");
        }
        let held = Held::new(&[3, 2, 2], vec![0; 12], Some(Axes::Gray)).unwrap();
        assert_eq!(held.len(), 3);
    }

    #[test]
    fn what_is_no_set_of_images_is_refused_with_the_reason() {
        assert!(axes(&[5, 32, 24, 4]).unwrap_err().contains("4 channels as NHWC"));
        assert!(axes(&[0, 32, 24, 3]).unwrap_err().contains("empty"));
        assert!(axes(&[32, 24]).unwrap_err().contains("(N, H, W, C)"));
        assert!(Held::new(&[1, 2, 2, 3], vec![0; 11], None).is_err());
        assert!(Held::new(&[1, 2, 2, 3], vec![0; 12], Some(Axes::ChannelFirst)).is_err());
    }

    #[test]
    fn both_orders_of_axes_make_the_same_pixels() {
        let last: Vec<u8> = (0..12).collect();
        let first: Vec<u8> = (0..3).flat_map(|c| (0..4).map(move |p| 3 * p + c)).collect();
        let pixels = |shape: &[usize], data| {
            let Item::Pixels(image) = Held::new(shape, data, None).unwrap().read(0).unwrap() else {
                panic!("pixels")
            };
            image
        };
        assert_eq!(pixels(&[1, 2, 2, 3], last.clone()), pixels(&[1, 3, 2, 2], first));
        assert_eq!(pixels(&[1, 2, 2, 3], last).pixels, (0..12).collect::<Vec<u8>>());
    }
}
