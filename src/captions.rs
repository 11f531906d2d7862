//! Pictures with words beside them: rows under captions, rows behind labels.

use anyhow::Result;
use ganscope_images::{Image, grid};

use crate::plot::{Align, Line, write_lines};

/// Height of a line of text and of its letters, in pixels.
const LINE: usize = 28;
const LETTERS: usize = 15;
/// Width of the text of a label, in pixels.
const LABEL: usize = 48;
const PAPER: [u8; 3] = [255; 3];

/// Rows of pictures one under the other, each below its caption.
///
/// # Errors
/// When the captions cannot be drawn.
pub fn captioned(rows: &[(String, Vec<Image>)]) -> Result<Image> {
    let mut cells = Vec::new();
    for (caption, pictures) in rows {
        let row = beside(pictures);
        cells.push(text(caption, (row.width, LINE), Align::Left)?);
        cells.push(row);
    }
    Ok(below(&cells))
}

/// Rows of pictures one under the other, each behind its label.
///
/// # Errors
/// When the labels cannot be drawn.
pub fn labelled(rows: &[(String, Vec<Image>)]) -> Result<Image> {
    let mut cells = Vec::new();
    for (label, pictures) in rows {
        let row = beside(pictures);
        let label = text(label, (LABEL, row.height), Align::Right)?;
        cells.push(join(&label, &row));
    }
    Ok(below(&cells))
}

/// The picture with each pixel `factor` times as wide and high.
#[must_use]
pub fn enlarged(image: &Image, factor: usize) -> Image {
    let (width, height) = (image.width * factor, image.height * factor);
    let place = |p: usize| (p / width / factor) * image.width + p % width / factor;
    let pixels = (0..width * height).flat_map(|p| image.pixels[3 * place(p)..][..3].to_vec());
    Image { width, height, pixels: pixels.collect() }
}

/// The picture averaged down by the least whole factor that makes it at most `most` pixels wide.
///
/// Pixels beyond the last whole block are left out.
///
/// # Panics
/// When `most` is 0.
#[must_use]
pub fn reduced(image: &Image, most: usize) -> Image {
    let factor = image.width.div_ceil(most).max(1);
    if factor == 1 || image.height < factor {
        return image.clone();
    }
    let (width, height) = (image.width / factor, image.height / factor);
    let area = factor * factor;
    let mean = |i: usize| {
        let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
        let at = |k: usize| (y * factor + k / factor) * image.width + x * factor + k % factor;
        let sum: usize = (0..area).map(|k| usize::from(image.pixels[3 * at(k) + c])).sum();
        ((sum + area / 2) / area) as u8
    };
    Image { width, height, pixels: (0..3 * width * height).map(mean).collect() }
}

fn beside(pictures: &[Image]) -> Image {
    grid(pictures, pictures.len().max(1), 0, PAPER)
}

/// Images of any size one under the other.
fn below(images: &[Image]) -> Image {
    let width = images.iter().map(|i| i.width).max().unwrap_or(0);
    let padded = images.iter().map(|image| {
        let rows = image.pixels.chunks_exact(3 * image.width.max(1));
        let gap = PAPER.repeat(width - image.width);
        rows.flat_map(|row| [row, &gap].concat()).collect::<Vec<u8>>()
    });
    let pixels = padded.collect::<Vec<_>>().concat();
    Image { width, height: images.iter().map(|i| i.height).sum(), pixels }
}

/// Two images of the same height side by side.
fn join(left: &Image, right: &Image) -> Image {
    let lines = left.pixels.chunks_exact(3 * left.width);
    let lines = lines.zip(right.pixels.chunks_exact(3 * right.width));
    let pixels = lines.flat_map(|(left, right)| [left, right].concat()).collect();
    Image { width: left.width + right.width, height: right.height, pixels }
}

/// A line of text, in the middle of the height of an image.
fn text(text: &str, (width, height): (usize, usize), align: Align) -> Result<Image> {
    let mut image = Image::filled(width, height, PAPER);
    let margin = LETTERS / 3;
    let x = if align == Align::Left { margin } else { width - margin };
    let place = (x, height.saturating_sub(LETTERS) / 2);
    write_lines(&mut image, &[Line { text: text.to_owned(), place, size: LETTERS, align }])?;
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(width: usize, height: usize) -> Image {
        Image { width, height, pixels: (0..3 * width * height).map(|i| i as u8).collect() }
    }

    fn part(image: &Image, (left, top): (usize, usize), (w, h): (usize, usize)) -> Vec<u8> {
        let row = |y: usize| &image.pixels[3 * ((top + y) * image.width + left)..][..3 * w];
        (0..h).flat_map(row).copied().collect()
    }

    fn inked(pixels: &[u8]) -> bool {
        pixels.iter().any(|&v| v < 200)
    }

    #[test]
    fn captions_stand_above_their_rows() {
        let (picture, white) = (numbered(60, 20), Image::filled(60, 20, PAPER));
        let rows = [
            ("z".to_owned(), vec![picture.clone(), picture.clone()]),
            (String::new(), vec![white.clone(), white]),
        ];
        let sheet = captioned(&rows).unwrap();
        assert_eq!((sheet.width, sheet.height), (120, 2 * (LINE + 20)));
        assert!(inked(&part(&sheet, (0, 0), (120, LINE))));
        assert_eq!(part(&sheet, (60, LINE), (60, 20)), picture.pixels);
        assert!(!inked(&part(&sheet, (0, LINE + 20), (120, LINE + 20))));
    }

    #[test]
    fn labels_stand_before_their_rows() {
        let picture = numbered(10, 30);
        let sheet = labelled(&[("0.5".to_owned(), vec![picture.clone(); 3])]).unwrap();
        assert_eq!((sheet.width, sheet.height), (LABEL + 30, 30));
        assert!(inked(&part(&sheet, (0, 0), (LABEL, 30))));
        assert_eq!(part(&sheet, (LABEL + 20, 0), (10, 30)), picture.pixels);
    }

    #[test]
    fn enlarging_repeats_pixels_and_reducing_undoes_it() {
        let picture = numbered(3, 2);
        let large = enlarged(&picture, 4);
        assert_eq!((large.width, large.height), (12, 8));
        assert_eq!(part(&large, (8, 4), (4, 4)), part(&picture, (2, 1), (1, 1)).repeat(16));
        assert_eq!(reduced(&large, 3), picture);
        assert_eq!(reduced(&large, 12), large);
        let mean = reduced(
            &Image { width: 2, height: 2, pixels: [1, 2, 3, 4].map(|v| [v; 3]).concat() },
            1,
        );
        assert_eq!(mean.pixels, [3; 3], "2.5, rounded up");
    }
}
