//! Sheets: pictures in rows, with captions, notes and the scales of their colors.

use std::ops::Range;

use ganscope_explain::heat::Palette;
use ganscope_images::Image;

use super::Result;
use super::drawing::{Anchor, CAPTION, Drawing, GRAY, LINE, NOTE, TEXT, TITLE, Text};
use super::font::{fit, width, wrap};

/// Space around a sheet, and between the pictures of a loose one, in pixels.
const GAP: usize = 14;
/// Cells less wide than this have smaller captions.
const WIDE: usize = 100;
/// Height of a bar of colors.
const BAR: usize = 8;
/// Least width of the text of a title or a legend.
const TEXT_WIDTH: usize = 320;
/// Most width of the label of a row.
const LABEL_WIDTH: f64 = 200.0;

/// Colors of a picture, and the value at their end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// The colors, for values from 0 to `end`, or from `-end` to `end`.
    pub palette: Palette,
    /// The largest value; at 0 the sheet says "nothing found" instead of showing a bar.
    pub end: f64,
}

/// A picture and the text around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The picture; an empty place if it has no pixels.
    pub picture: Image,
    /// A line above it.
    pub caption: String,
    /// A line below it.
    pub note: String,
    /// Its colors, drawn as a bar below it.
    pub scale: Option<Scale>,
}

impl Cell {
    /// A picture without text.
    pub fn new(picture: Image) -> Self {
        Self { picture, caption: String::new(), note: String::new(), scale: None }
    }

    /// An empty place.
    pub fn empty() -> Self {
        Self::new(Image::filled(0, 0, [255; 3]))
    }

    /// The cell with a line above its picture.
    #[must_use]
    pub fn caption(self, caption: impl Into<String>) -> Self {
        Self { caption: caption.into(), ..self }
    }

    /// The cell with a line below its picture.
    #[must_use]
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// The cell with a bar of colors below its picture.
    #[must_use]
    pub fn scale(self, palette: Palette, end: f64) -> Self {
        Self { scale: Some(Scale { palette, end }), ..self }
    }
}

/// Pictures that belong together. They take several lines if one would be too wide.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// Text to the left of the pictures.
    pub label: String,
    /// Text above the pictures.
    pub heading: String,
    /// The pictures.
    pub cells: Vec<Cell>,
}

/// Rows of pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// Heading.
    pub title: String,
    /// Explanation below the pictures, such as the meaning of colors.
    pub legend: String,
    /// The rows.
    pub rows: Vec<Row>,
    /// Pixels between pictures: [`Sheet::LOOSE`] or [`Sheet::TIGHT`].
    pub gap: usize,
    /// Least width and height of a picture in pixels. Smaller ones are enlarged by a whole factor.
    pub least: usize,
    /// Most width of the sheet in pixels. Rows with more pictures take several lines.
    pub most: usize,
    /// Most pictures in a line.
    pub columns: usize,
    /// Pictures that stay in one line: 2 for pairs.
    pub together: usize,
    /// Rows at the top and columns at the left that stand apart, as the headers of a table do.
    pub headers: [usize; 2],
}

impl Default for Sheet {
    /// An empty loose sheet of at most 1600 pixels, pictures of at least 64.
    fn default() -> Self {
        Self {
            title: String::new(),
            legend: String::new(),
            rows: Vec::new(),
            gap: Self::LOOSE,
            least: 64,
            most: 1600,
            columns: usize::MAX,
            together: 1,
            headers: [0, 0],
        }
    }
}

impl Sheet {
    /// Gap between pictures with captions.
    pub const LOOSE: usize = GAP;
    /// Gap between the pictures of a grid.
    pub const TIGHT: usize = 2;

    /// A sheet of pictures in one row, which takes as many lines as it needs.
    pub fn of(cells: Vec<Cell>) -> Self {
        Self { rows: vec![Row { cells, ..Row::default() }], ..Self::default() }
    }

    /// The sheet as an SVG that needs no other file.
    ///
    /// # Errors
    /// See [`Error`](super::Error).
    pub fn svg(&self) -> Result<String> {
        self.drawing().svg()
    }

    /// The sheet as an SVG element of a [`Page`](super::page::Page), which has the font.
    ///
    /// # Errors
    /// See [`Error`](super::Error).
    pub fn inline_svg(&self) -> Result<String> {
        self.drawing().inline_svg()
    }

    /// The sheet as an image, pictures at whole pixels.
    ///
    /// # Errors
    /// See [`Error`](super::Error).
    pub fn image(&self) -> Result<Image> {
        self.drawing().image(1)
    }

    /// By how much a picture is enlarged.
    fn factor(&self, picture: &Image) -> usize {
        self.least.div_ceil(picture.width.max(picture.height).max(1)).max(1)
    }

    fn drawing(&self) -> Drawing {
        let layout = Layout::new(self);
        let mut drawing = Drawing::new(layout.width, layout.height);
        let text = |drawing: &mut Drawing, text: &str, x: usize, y: usize, size, color| {
            drawing.text(&Text::below(text, (x as f64, y as f64), size, color));
        };
        for (i, line) in layout.title.iter().enumerate() {
            text(&mut drawing, line, GAP, GAP + i * height(TITLE), TITLE, TEXT);
        }
        for (row, block) in self.rows.iter().zip(&layout.blocks) {
            for (i, line) in block.heading.iter().enumerate() {
                let y = block.top + i * height(CAPTION);
                text(&mut drawing, line, layout.left, y, CAPTION, TEXT);
            }
            if let Some(line) = block.lines.first() {
                let middle = (line.top + line.caption) as f64 + 0.5 * line.picture as f64;
                let y = middle - 0.5 * LINE * layout.caption;
                let place = ((layout.left - 8) as f64, y);
                let label = fit(&row.label, layout.caption, LABEL_WIDTH);
                let label = Text::below(&label, place, layout.caption, TEXT);
                drawing.text(&Text { anchor: Anchor::End, ..label });
            }
            for line in &block.lines {
                for (column, cell) in row.cells[line.cells.clone()].iter().enumerate() {
                    self.draw_cell(&mut drawing, cell, layout.column(column), line, &layout);
                }
            }
        }
        for (i, line) in layout.legend.iter().enumerate() {
            let y = layout.legend_top + i * height(CAPTION);
            text(&mut drawing, line, GAP, y, CAPTION, GRAY);
        }
        drawing
    }

    fn draw_cell(
        &self,
        drawing: &mut Drawing,
        cell: &Cell,
        x: usize,
        line: &Line,
        layout: &Layout,
    ) {
        let most = layout.cell as f64;
        let at = |y: usize| (x as f64, y as f64);
        let caption = fit(&cell.caption, layout.caption, most);
        drawing.text(&Text::below(&caption, at(line.top), layout.caption, TEXT));
        let picture = cell.picture.enlarged(self.factor(&cell.picture));
        let (picture_width, top) = (picture.width, line.top + line.caption);
        drawing.picture(picture, [x, top]);
        let mut y = top + line.picture + 4;
        if let Some(Scale { palette, end }) = cell.scale {
            if end > 0.0 {
                drawing.picture(palette.bar(picture_width, BAR), [x, y]);
                let (low, high) = ends(palette, end);
                let below =
                    Text::below(&high, (at(y).0 + picture_width as f64, at(y + BAR).1), NOTE, GRAY);
                drawing.text(&Text { anchor: Anchor::End, ..below });
                if width(&low, NOTE) + width(&high, NOTE) + 8.0 <= picture_width as f64 {
                    drawing.text(&Text::below(&low, at(y + BAR), NOTE, GRAY));
                }
            } else {
                let words = fit("nothing found", NOTE, most);
                drawing.text(&Text::below(&words, at(y), NOTE, GRAY));
            }
        }
        y += if cell.scale.is_some() { line.scale } else { 0 };
        drawing.text(&Text::below(&fit(&cell.note, NOTE, most), at(y), NOTE, GRAY));
    }
}

/// The values at the ends of a scale.
fn ends(palette: Palette, end: f64) -> (String, String) {
    let low = if palette == Palette::Signed { -end } else { 0.0 };
    (number(low), number(end))
}

/// Places of everything on a sheet, in pixels.
struct Layout {
    width: usize,
    height: usize,
    /// Left edge of the first column.
    left: usize,
    /// Width of a column.
    cell: usize,
    gap: usize,
    /// Leading columns that stand apart.
    apart: usize,
    /// Font size of captions and labels.
    caption: f64,
    title: Vec<String>,
    blocks: Vec<Block>,
    legend: Vec<String>,
    legend_top: usize,
}

/// The place of a row.
struct Block {
    top: usize,
    heading: Vec<String>,
    lines: Vec<Line>,
}

/// The place of a line of pictures, and the heights of its parts.
struct Line {
    cells: Range<usize>,
    top: usize,
    caption: usize,
    picture: usize,
    scale: usize,
    note: usize,
}

impl Layout {
    fn new(sheet: &Sheet) -> Self {
        let cells = || sheet.rows.iter().flat_map(|row| &row.cells);
        let cell = cells().map(|c| c.picture.width * sheet.factor(&c.picture)).max().unwrap_or(0);
        let caption = if cell < WIDE { NOTE } else { CAPTION };
        let labels = sheet.rows.iter().map(|row| width(&row.label, caption).min(LABEL_WIDTH));
        let labels = labels.fold(0.0, f64::max).ceil() as usize;
        let left = GAP + if labels > 0 { labels + 8 } else { 0 };
        let apart = if sheet.headers[1] > 0 { GAP } else { 0 };
        // Pictures per line.
        let room = (sheet.most + sheet.gap).saturating_sub(left + GAP + apart);
        let fitting = (room / (cell + sheet.gap).max(1)).min(sheet.columns).max(1);
        let ranges: Vec<_> =
            sheet.rows.iter().map(|r| lines(r.cells.len(), fitting, sheet.together)).collect();
        let columns = ranges.iter().flatten().map(Range::len).max().unwrap_or(0);
        let pictures = left + apart + (columns * (cell + sheet.gap)).saturating_sub(sheet.gap);
        let texts = !(sheet.title.is_empty() && sheet.legend.is_empty());
        let total = (pictures + GAP).max(if texts { TEXT_WIDTH } else { 0 });
        let mut layout = Self {
            width: total,
            height: 0,
            left,
            cell,
            gap: sheet.gap,
            apart: sheet.headers[1],
            caption,
            title: wrap(&sheet.title, TITLE, (total - 2 * GAP) as f64),
            blocks: Vec::new(),
            legend: wrap(&sheet.legend, CAPTION, (total - 2 * GAP) as f64),
            legend_top: 0,
        };
        let title = layout.title.len() * height(TITLE);
        let mut y = GAP + title + if title > 0 { GAP / 2 } else { 0 };
        let several = ranges.iter().any(|lines| lines.len() > 1);
        for (i, (row, ranges)) in sheet.rows.iter().zip(ranges).enumerate() {
            let block = layout.block(sheet, row, ranges, y);
            y = block.lines.last().map_or(y, Line::bottom) + sheet.gap;
            // A row of several lines stands apart from the next one, a heading from the row above.
            let next = sheet.rows.get(i + 1);
            let headed = next.is_some_and(|next| !next.heading.is_empty());
            y += if next.is_some() && (several || headed && sheet.gap < GAP) { GAP } else { 0 };
            y += if i + 1 == sheet.headers[0] { GAP } else { 0 };
            layout.blocks.push(block);
        }
        y = y.saturating_sub(if sheet.rows.is_empty() { 0 } else { sheet.gap });
        layout.legend_top = y + GAP / 2;
        let legend = layout.legend.len() * height(CAPTION);
        layout.height = y + GAP + if legend > 0 { legend + GAP / 2 } else { 0 };
        layout
    }

    fn block(&self, sheet: &Sheet, row: &Row, ranges: Vec<Range<usize>>, top: usize) -> Block {
        let room = (self.width - self.left - GAP) as f64;
        let heading = wrap(&row.heading, CAPTION, room);
        let mut y = top + heading.len() * height(CAPTION);
        y += if heading.is_empty() { 0 } else { 4 };
        let mut lines = Vec::new();
        for range in ranges {
            let cells = &row.cells[range.clone()];
            let some = |there: bool, height: usize| if there { height } else { 0 };
            let picture = |c: &Cell| c.picture.height * sheet.factor(&c.picture);
            let line = Line {
                top: y,
                caption: some(
                    cells.iter().any(|c| !c.caption.is_empty()),
                    height(self.caption) + 2,
                ),
                picture: cells.iter().map(picture).max().unwrap_or(0),
                scale: some(cells.iter().any(|c| c.scale.is_some()), BAR + height(NOTE)),
                note: some(cells.iter().any(|c| !c.note.is_empty()), height(NOTE)),
                cells: range,
            };
            y = line.bottom() + sheet.gap;
            lines.push(line);
        }
        Block { top, heading, lines }
    }

    /// Left edge of a column.
    fn column(&self, column: usize) -> usize {
        let apart = if self.apart > 0 && column >= self.apart { GAP } else { 0 };
        self.left + column * (self.cell + self.gap) + apart
    }
}

impl Line {
    fn bottom(&self) -> usize {
        let below = self.scale + self.note;
        self.top + self.caption + self.picture + if below > 0 { below + 4 } else { 0 }
    }
}

/// Height of a line of text.
fn height(size: f64) -> usize {
    (LINE * size).ceil() as usize
}

/// `count` cells in as few lines of at most `most` as possible, each about equally long, with groups
/// of `together` cells unbroken.
fn lines(count: usize, most: usize, together: usize) -> Vec<Range<usize>> {
    let together = together.clamp(1, most.max(1));
    let groups = count.div_ceil(together);
    let per_line = (most / together).max(1);
    let per_line = groups.div_ceil(groups.div_ceil(per_line).max(1)).max(1) * together;
    (0..count).step_by(per_line).map(|start| start..(start + per_line).min(count)).collect()
}

/// A number with three significant digits, in as few characters as possible.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(color: [u8; 3]) -> Image {
        Image::filled(100, 60, color)
    }

    fn count(sheet: &Image, color: [u8; 3]) -> usize {
        sheet.pixels.chunks_exact(3).filter(|p| *p == color).count()
    }

    /// Columns and rows of the pixels of a color.
    fn bounds(sheet: &Image, color: [u8; 3]) -> (Range<usize>, Range<usize>) {
        let pixels = sheet.pixels.chunks_exact(3).enumerate().filter(|(_, p)| *p == color);
        let (xs, ys): (Vec<_>, Vec<_>) =
            pixels.map(|(i, _)| (i % sheet.width, i / sheet.width)).unzip();
        let range = |v: &[usize]| *v.iter().min().unwrap()..v.iter().max().unwrap() + 1;
        (range(&xs), range(&ys))
    }

    #[test]
    fn pictures_keep_their_pixels_and_scales_end_in_the_strongest_color() {
        let colors = [[1, 200, 3], [4, 200, 6], [7, 200, 9]];
        let cell = |color| Cell::new(picture(color)).caption("x").scale(Palette::Signed, 0.25);
        let sheet = Sheet {
            title: "title".into(),
            legend: "red for".into(),
            columns: 2,
            ..Sheet::of(colors.map(cell).to_vec())
        };
        let image = sheet.image().unwrap();
        assert_eq!(image.width, TEXT_WIDTH.max(2 * 100 + 3 * GAP));
        for color in colors {
            assert_eq!(count(&image, color), 6000);
        }
        assert!(count(&image, Palette::Signed.color(1.0)) >= 3 * BAR);
        assert_eq!(sheet.svg().unwrap().matches("<image").count(), 6);
    }

    #[test]
    fn lines_are_few_even_and_keep_groups() {
        let lengths = |count, most, together| -> Vec<usize> {
            lines(count, most, together).into_iter().map(|line| line.len()).collect()
        };
        assert_eq!(lengths(13, 6, 1), [5, 5, 3]);
        assert_eq!(lengths(25, 6, 1), [5, 5, 5, 5, 5]);
        assert_eq!(lengths(6, 6, 1), [6]);
        assert_eq!(lengths(20, 5, 2), [4, 4, 4, 4, 4]);
        assert_eq!(lengths(3, 1, 2), [1, 1, 1]);
        assert!(lengths(0, 5, 1).is_empty());
    }

    #[test]
    fn a_wide_sheet_wraps_and_stays_within_its_width() {
        let cells = vec![Cell::new(Image::filled(224, 224, [9, 9, 9])).caption("a"); 13];
        let row = || Row { label: "a label".into(), cells: cells.clone(), ..Row::default() };
        let image = Sheet { rows: vec![row(), row()], ..Sheet::default() }.image().unwrap();
        assert!(image.width <= 1600, "{}", image.width);
        assert_eq!(count(&image, [9, 9, 9]), 2 * 13 * 224 * 224);
    }

    #[test]
    fn small_pictures_are_enlarged_by_whole_factors() {
        let sheet = Sheet::of(vec![Cell::new(Image::filled(28, 20, [9, 9, 9]))]);
        let (columns, rows) = bounds(&sheet.image().unwrap(), [9, 9, 9]);
        assert_eq!((columns.len(), rows.len()), (84, 60));
    }

    #[test]
    fn headers_stand_apart_from_the_body() {
        let colors = [[10, 0, 0], [20, 0, 0], [30, 0, 0], [40, 0, 0]];
        let [a, b, c, d] = colors.map(|color| Cell::new(picture(color)));
        let row = |cells| Row { label: "7".into(), cells, ..Row::default() };
        let rows = vec![row(vec![a, b]), row(vec![c, d])];
        let sheet = Sheet { rows, gap: Sheet::TIGHT, headers: [1, 1], ..Sheet::default() };
        let image = sheet.image().unwrap();
        let [first, right, below, _] = colors.map(|color| bounds(&image, color));
        assert_eq!(right.0.start - first.0.end, Sheet::TIGHT + GAP);
        assert_eq!(below.1.start - first.1.end, Sheet::TIGHT + GAP);
        assert_eq!((right.1, below.0), (first.1, first.0));
    }

    #[test]
    fn an_empty_map_says_so() {
        let svg =
            |end| Sheet::of(vec![Cell::new(picture([0; 3])).scale(Palette::Positive, end)]).svg();
        assert!(svg(0.0).unwrap().contains("nothing found"));
        let svg = svg(0.5).unwrap();
        assert!(!svg.contains("nothing found") && svg.contains(">0.5<") && svg.contains(">0<"));
    }

    #[test]
    fn text_stays_on_the_sheet_and_off_the_pictures() {
        let long = "a very long text that does not fit above a picture";
        let cell =
            Cell::new(picture([9, 9, 9])).caption(long).note(long).scale(Palette::Signed, 1e-7);
        let row = Row { label: long.into(), heading: long.into(), cells: vec![cell; 3] };
        let rows = vec![row.clone(), row];
        let sheet = Sheet { title: long.into(), legend: long.into(), rows, ..Sheet::default() };
        let image = sheet.image().unwrap();
        assert_eq!(count(&image, [9, 9, 9]), 6 * 6000, "a letter covers a picture");
        let edge = |i: usize| {
            let (x, y) = (i % image.width, i / image.width);
            x < 6 || y < 6 || x + 6 >= image.width || y + 6 >= image.height
        };
        let pixels = image.pixels.chunks_exact(3).enumerate();
        assert!(pixels.filter(|(i, _)| edge(*i)).all(|(_, p)| p == [255; 3]));
    }

    #[test]
    fn an_empty_sheet_is_a_white_picture() {
        assert_eq!(count(&Sheet::default().image().unwrap(), [255; 3]), 28 * 28);
    }

    #[test]
    fn numbers_have_three_significant_digits() {
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
