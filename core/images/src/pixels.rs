//! Pixels of one image, and pictures made of several.

use std::ops::Range;

/// An 8-bit RGB image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Red, green, blue of each pixel, row by row: (height, width, 3).
    pub pixels: Vec<u8>,
}

impl Image {
    /// An image of one color.
    pub fn filled(width: usize, height: usize, color: [u8; 3]) -> Self {
        Self { width, height, pixels: color.repeat(width * height) }
    }

    /// The image with these pixels in (height, width, 3) order, or `None` when their number is another.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Option<Self> {
        (pixels.len() == width.checked_mul(height)?.checked_mul(3)?).then_some(Self {
            width,
            height,
            pixels,
        })
    }

    /// The image with each pixel repeated `factor` times in both directions.
    #[must_use]
    pub fn enlarged(&self, factor: usize) -> Self {
        let (width, height) = (self.width * factor, self.height * factor);
        let mut pixels = Vec::with_capacity(3 * width * height);
        for y in 0..self.height {
            let row = self.row(y).chunks_exact(3);
            let row: Vec<u8> = row.flat_map(|pixel| pixel.repeat(factor)).collect();
            (0..factor).for_each(|_| pixels.extend_from_slice(&row));
        }
        Self { width, height, pixels }
    }

    /// The image averaged over blocks of the smallest whole size that makes it at most `most` pixels
    /// wide.
    ///
    /// Pixels beyond the last whole block are left out.
    ///
    /// # Panics
    /// If `most` is 0.
    #[must_use]
    pub fn reduced(&self, most: usize) -> Self {
        let factor = self.width.div_ceil(most).max(1);
        if factor == 1 || self.height < factor {
            return self.clone();
        }
        let (width, height) = (self.width / factor, self.height / factor);
        let area = factor * factor;
        let mean = |i: usize| {
            let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
            let at = |k: usize| (y * factor + k / factor) * self.width + x * factor + k % factor;
            let sum: usize = (0..area).map(|k| usize::from(self.pixels[3 * at(k) + c])).sum();
            ((sum + area / 2) / area) as u8
        };
        Self { width, height, pixels: (0..3 * width * height).map(mean).collect() }
    }

    /// Copies `image` into this one, its upper left corner at `[left, top]`.
    ///
    /// # Panics
    /// If it does not fit.
    pub fn paste(&mut self, image: &Self, [left, top]: [usize; 2]) {
        assert!(left + image.width <= self.width && top + image.height <= self.height);
        for y in 0..image.height {
            let start = 3 * ((top + y) * self.width + left);
            self.pixels[start..][..3 * image.width].copy_from_slice(image.row(y));
        }
    }

    /// The image with these values on 0..255, (height, width, 3), rounded and limited to bytes.
    ///
    /// # Panics
    /// If there is another number of values.
    pub fn rounded(width: usize, height: usize, values: &[f32]) -> Self {
        assert_eq!(values.len(), 3 * width * height, "three values per pixel");
        let pixels = values.iter().map(|v| v.round().clamp(0.0, 255.0) as u8).collect();
        Self { width, height, pixels }
    }

    /// The part of the image in these rows and columns.
    ///
    /// # Panics
    /// If the image has no such rows or columns.
    #[must_use]
    pub fn cropped(&self, rows: Range<usize>, columns: Range<usize>) -> Self {
        let (width, height) = (columns.len(), rows.len());
        let part = |y| &self.row(y)[3 * columns.start..3 * columns.end];
        Self { width, height, pixels: rows.flat_map(part).copied().collect() }
    }

    /// Rows and columns of the square in the middle.
    pub fn middle_square(&self) -> [Range<usize>; 2] {
        let side = self.width.min(self.height);
        [self.height, self.width].map(|length| (length - side) / 2..(length - side) / 2 + side)
    }

    /// Bytes of one row.
    pub(crate) fn row(&self, y: usize) -> &[u8] {
        &self.pixels[3 * self.width * y..][..3 * self.width]
    }
}

/// Images side by side in rows of `columns`, `gap` pixels of `background` around and between them.
///
/// Each cell is as large as the largest image; smaller ones lie in its upper left corner.
///
/// # Panics
/// If `columns` is 0.
pub fn grid(images: &[Image], columns: usize, gap: usize, background: [u8; 3]) -> Image {
    assert!(columns > 0, "a grid needs at least one column");
    let columns = columns.min(images.len().max(1));
    let rows = images.len().div_ceil(columns);
    let cell_width = images.iter().map(|i| i.width).max().unwrap_or(0);
    let cell_height = images.iter().map(|i| i.height).max().unwrap_or(0);
    let mut canvas = Image::filled(
        columns * (cell_width + gap) + gap,
        rows * (cell_height + gap) + gap,
        background,
    );
    for (k, image) in images.iter().enumerate() {
        let left = gap + (k % columns) * (cell_width + gap);
        let top = gap + (k / columns) * (cell_height + gap);
        canvas.paste(image, [left, top]);
    }
    canvas
}

/// The byte that the StyleGAN tools make of a value in [-1, 1]: `127.5 x + 128`, clamped, truncated.
pub fn quantize_stylegan(x: f32) -> u8 {
    (x * 127.5 + 128.0).clamp(0.0, 255.0) as u8
}

/// The byte that the BigGAN tools make of a value in [-1, 1]: `128 (x + 1)`, clamped, truncated.
pub fn quantize_biggan(x: f32) -> u8 {
    ((x + 1.0) * 128.0).clamp(0.0, 255.0) as u8
}

/// The byte that BigGAN-PyTorch and StyleGAN-XL make of a value in [-1, 1]: `(x + 1) * 255 / 2`, clamped,
/// truncated.
pub fn quantize_floor(x: f32) -> u8 {
    ((x + 1.0) * 255.0 / 2.0).clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(width: usize, height: usize) -> Image {
        Image { width, height, pixels: (0..3 * width * height).map(|i| i as u8).collect() }
    }

    #[test]
    fn parts_and_the_square_in_the_middle_are_cut_out() {
        let image = Image::new(3, 2, (0..18).collect()).unwrap();
        assert_eq!(image.cropped(1..2, 1..3).pixels, [12, 13, 14, 15, 16, 17]);
        assert_eq!(image.middle_square(), [0..2, 0..2]);
        assert_eq!(Image::filled(2, 5, [0; 3]).middle_square(), [1..3, 0..2]);
    }

    #[test]
    fn values_are_rounded_and_limited() {
        assert_eq!(Image::rounded(1, 1, &[-3.0, 1.5, 300.0]).pixels, [0, 2, 255]);
    }

    #[test]
    fn enlarging_repeats_pixels_and_reducing_undoes_it() {
        let picture = numbered(3, 2);
        let large = picture.enlarged(4);
        assert_eq!((large.width, large.height), (12, 8));
        for (x, y) in (0..8).flat_map(|y| (0..12).map(move |x| (x, y))) {
            assert_eq!(large.row(y)[3 * x..][..3], picture.row(y / 4)[3 * (x / 4)..][..3]);
        }
        assert_eq!(large.reduced(3), picture);
        assert_eq!(large.reduced(12), large);
    }

    #[test]
    fn a_mean_of_pixels_is_rounded() {
        let picture = Image::new(2, 2, [1, 2, 3, 4].map(|v| [v; 3]).concat()).unwrap();
        assert_eq!(picture.reduced(1).pixels, [3; 3], "2.5, rounded up");
    }

    #[test]
    fn a_pasted_image_covers_its_place_and_no_other() {
        let mut canvas = Image::filled(4, 3, [200; 3]);
        canvas.paste(&numbered(2, 1), [1, 2]);
        let old = [200; 3];
        let row = [old, [0, 1, 2], [3, 4, 5], old].concat();
        assert_eq!(canvas.pixels, [[200; 24].to_vec(), row].concat());
    }
}
