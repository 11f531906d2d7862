//! Figures: curves, sheets of pictures, moving pictures and pages.
//!
//! A figure is data, such as [`Curve`] or [`Sheet`], and is drawn once, as SVG. Its PNG is that drawing
//! without its pictures, rasterized by `resvg`, over the pixels of the pictures. All text is set in
//! Roboto, which comes with the program, so a figure does not depend on the fonts of the system.
//!
//! Nothing here writes files.

pub mod animation;
mod axis;
pub mod curve;
mod drawing;
mod font;
pub mod page;
pub mod sheet;

use ganscope_images::{Image, Preprocess, Resize};

pub use curve::{Curve, Point};
pub use sheet::{Cell, Row, Scale, Sheet, number};

/// Errors of drawing and encoding.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The SVG of a figure cannot be read.
    #[error("draw the figure: {0}")]
    Svg(#[from] resvg::usvg::Error),
    /// The figure has no area, or its pixels exceed the memory limit of the rasterizer.
    #[error("cannot draw a figure of {width} x {height} pixels")]
    Size {
        /// Pixels per row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// An animation without frames.
    #[error("an animation needs at least one frame")]
    NoFrames,
    /// A frame rate out of range.
    #[error("{0} frames per second, expected 0.1 to 1000")]
    FrameRate(f64),
    /// A frame has another size than the first one, or a size that the format does not allow.
    #[error("a frame of {width}x{height} pixels, expected {expected}")]
    FrameSize {
        /// Pixels per row.
        width: usize,
        /// Rows.
        height: usize,
        /// The size of the first frame, or the allowed range.
        expected: String,
    },
    /// An encoder of pictures fails.
    #[error("encode a picture: {0}")]
    Encode(#[from] image::ImageError),
    /// The encoder of GIF fails.
    #[error("encode a GIF: {0}")]
    Gif(#[from] gif::EncodingError),
    /// Fewer frames than an animated PNG announces.
    #[error("{got} frames, expected {expected}")]
    FrameCount {
        /// How many came.
        got: usize,
        /// How many were announced.
        expected: usize,
    },
    /// The encoder of PNG fails.
    #[error("encode a PNG: {0}")]
    Png(#[from] png::EncodingError),
    /// A WebP animation of more than 4 GiB.
    #[error("a WebP animation is limited to 4 GiB")]
    WebpLength,
}

/// `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A small picture for the lists of a page: small images keep their pixels, enlarged to about `side`;
/// large ones are resized to a square as networks see them.
pub(crate) fn thumbnail(image: &Image, side: usize) -> Image {
    let longer = image.width.max(image.height).max(1);
    if longer <= side {
        return image.enlarged(side / longer);
    }
    let preprocess = Preprocess { resize: Resize::PillowBicubic, size: side };
    let mut values = vec![0.0; preprocess.values()];
    preprocess.apply(image, &mut values);
    Image::rounded(side, side, &values)
}
