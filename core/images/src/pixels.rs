//! Pixels of one image, and pictures made of several.

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
    /// An image of one colour.
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self { width, height, pixels: colour.repeat(width * height) }
    }

    /// The image with these pixels in (height, width, 3) order, or `None` when their number is another.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Option<Self> {
        (pixels.len() == width.checked_mul(height)?.checked_mul(3)?).then_some(Self {
            width,
            height,
            pixels,
        })
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
/// When `columns` is 0.
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
        for y in 0..image.height {
            let start = 3 * ((top + y) * canvas.width + left);
            canvas.pixels[start..start + 3 * image.width].copy_from_slice(image.row(y));
        }
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
