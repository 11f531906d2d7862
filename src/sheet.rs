//! Contact sheets: pictures side by side, each with a caption and the scale of its colours.

use anyhow::Result;
use ganscope_explain::heat::Palette;
use ganscope_images::Image;

use crate::plot::{Align, Line, text_width, write_lines};

/// Pixels around and between cells.
const GAP: usize = 14;
/// Size of the heading.
const TITLE: usize = 20;
/// Size of captions and of the legend.
const CAPTION: usize = 15;
/// Size of notes and of the ends of scales.
const NOTE: usize = 12;
/// Height of a bar of colours.
const BAR: usize = 10;

/// A picture with what is written around it.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The picture.
    pub picture: Image,
    /// A line above it.
    pub caption: String,
    /// A line below it, where there is something to add.
    pub note: String,
    /// Colours of the picture, and the value at their end.
    pub scale: Option<(Palette, f64)>,
}

impl Cell {
    /// A picture without a scale.
    pub fn new(picture: Image, caption: impl Into<String>, note: impl Into<String>) -> Self {
        Self { picture, caption: caption.into(), note: note.into(), scale: None }
    }
}

/// Pictures in rows.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// Heading.
    pub title: String,
    /// What the colours mean; nothing if empty.
    pub legend: String,
    /// Pictures in a row.
    pub columns: usize,
    /// The pictures, row by row.
    pub cells: Vec<Cell>,
}

impl Sheet {
    /// The sheet as one picture.
    ///
    /// # Errors
    /// When the text cannot be drawn.
    pub fn draw(&self) -> Result<Image> {
        let columns = self.columns.clamp(1, self.cells.len().max(1));
        let largest = |size: fn(&Image) -> usize| self.cells.iter().map(|c| size(&c.picture)).max();
        let (width, height) =
            (largest(|i| i.width).unwrap_or(0), largest(|i| i.height).unwrap_or(0));
        let captions = line_height(self.cells.iter().any(|c| !c.caption.is_empty()), CAPTION);
        let notes = line_height(self.cells.iter().any(|c| !c.note.is_empty()), NOTE);
        let scales = line_height(self.cells.iter().any(|c| c.scale.is_some()), NOTE);
        let top = GAP + line_height(!self.title.is_empty(), TITLE);
        let legend = wrap(&self.legend, columns * (width + GAP) - GAP)?;
        let row = captions + height + notes + scales + GAP;
        let rows = self.cells.len().div_ceil(columns);
        let mut sheet = Image::filled(
            GAP + columns * (width + GAP),
            top + rows * row + legend.len() * line_height(true, CAPTION) + GAP / 2,
            [255; 3],
        );
        let full = sheet.width - 2 * GAP;
        let mut lines = vec![line(fit(&self.title, TITLE, full)?, (GAP, GAP), TITLE)];
        for (i, cell) in self.cells.iter().enumerate() {
            let (x, y) = (GAP + i % columns * (width + GAP), top + i / columns * row);
            lines.push(line(fit(&cell.caption, CAPTION, width)?, (x, y), CAPTION));
            paste(&mut sheet, &cell.picture, (x, y + captions));
            let mut y = y + captions + height + 4;
            if let Some((palette, end)) = cell.scale {
                let low = if palette == Palette::Signed { -end } else { 0.0 };
                let (low, high) = (number(low), number(end));
                let (left, right) = (text_width(&low, NOTE)? + 6, text_width(&high, NOTE)? + 6);
                if let Some(bar) = width.checked_sub(left + right).filter(|&bar| bar > 0) {
                    paste(&mut sheet, &palette.bar(bar, BAR), (x + left, y + 2));
                }
                lines.push(line(low, (x, y), NOTE));
                lines.push(Line { align: Align::Right, ..line(high, (x + width, y), NOTE) });
            }
            y += if cell.scale.is_some() { scales } else { 0 };
            lines.push(line(fit(&cell.note, NOTE, width)?, (x, y), NOTE));
        }
        for (i, text) in legend.into_iter().enumerate() {
            let y = top + rows * row + i * line_height(true, CAPTION);
            lines.push(line(text, (GAP, y), CAPTION));
        }
        lines.retain(|line| !line.text.is_empty());
        write_lines(&mut sheet, &lines)?;
        Ok(sheet)
    }
}

/// A number with three digits that count, in the fewest characters.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => "0".to_owned(),
        1e-3..1e4 => {
            let digits = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
            let text = format!("{size:.digits$}");
            if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            } else {
                text
            }
        }
        _ => format!("{size:.2e}"),
    };
    if value < 0.0 { format!("\u{2212}{text}") } else { text }
}

fn line(text: String, place: (usize, usize), size: usize) -> Line {
    Line { text, place, size, align: Align::Left }
}

/// Height of a line of this size, if there is one.
fn line_height(there: bool, size: usize) -> usize {
    if there { size + 6 } else { 0 }
}

/// The text, or as much of it as fits, with dots for the rest.
fn fit(text: &str, size: usize, width: usize) -> Result<String> {
    if text_width(text, size)? <= width {
        return Ok(text.to_owned());
    }
    let mut kept: Vec<char> = text.chars().collect();
    while kept.pop().is_some() {
        let shorter = kept.iter().collect::<String>().trim_end().to_owned() + "...";
        if text_width(&shorter, size)? <= width {
            return Ok(shorter);
        }
    }
    Ok(String::new())
}

/// The words of a text in lines no longer than `width`, unless a word is.
fn wrap(text: &str, width: usize) -> Result<Vec<String>> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if let Some(last) = lines.last_mut() {
            let longer = format!("{last} {word}");
            if text_width(&longer, CAPTION)? <= width {
                *last = longer;
                continue;
            }
        }
        lines.push(word.to_owned());
    }
    Ok(lines)
}

/// Copies `image` into `canvas`, its upper left corner at `place`.
fn paste(canvas: &mut Image, image: &Image, (left, top): (usize, usize)) {
    for (y, row) in image.pixels.chunks_exact(3 * image.width.max(1)).enumerate() {
        let start = 3 * ((top + y) * canvas.width + left);
        canvas.pixels[start..start + row.len()].copy_from_slice(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_in_rows_with_their_scale_below() {
        let cell = |colour| Cell {
            scale: Some((Palette::Signed, 0.25)),
            ..Cell::new(Image::filled(100, 60, colour), "a caption", "")
        };
        let cells = vec![cell([1, 200, 3]), cell([4, 200, 6]), cell([7, 200, 9])];
        let sheet =
            Sheet { title: "title".into(), legend: "red for".into(), columns: 2, cells }.draw();
        let sheet = sheet.unwrap();
        assert_eq!(sheet.width, 2 * 100 + 3 * GAP);
        let count = |colour: [u8; 3]| sheet.pixels.chunks_exact(3).filter(|p| *p == colour).count();
        for colour in [[1, 200, 3], [4, 200, 6], [7, 200, 9]] {
            assert_eq!(count(colour), 6000);
        }
        // Each bar ends in the darkest red, `BAR` pixels high.
        assert!(count(Palette::Signed.colour(1.0)) >= 3 * BAR);
    }

    #[test]
    fn long_captions_are_cut_and_long_legends_broken() {
        let text = "a-rather-long-name-of-a-file.png";
        let short = fit(text, CAPTION, 100).unwrap();
        assert!(short.ends_with("...") && text_width(&short, CAPTION).unwrap() <= 100, "{short}");
        assert_eq!(fit("short", CAPTION, 100).unwrap(), "short");
        assert_eq!(wrap("one two three four five six", 80).unwrap().join(" ").len(), 27);
        assert!(wrap("one two three four five six", 80).unwrap().len() > 1);
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.012_345, "0.0123"),
            (-12.345, "\u{2212}12.3"),
            (1234.5, "1234"),
            (0.000_012_3, "1.23e-5"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
