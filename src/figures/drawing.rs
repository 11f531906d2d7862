//! The drawing of a figure: pictures, and lines and text above them as SVG.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ganscope_images::Image;
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use super::font::{self, BYTES, CAPITALS, FAMILY};
use super::page::{data_uri, escape};
use super::{Error, Result};

/// Font size of titles, in pixels.
pub(super) const TITLE: f64 = 20.0;
/// Font size of captions, labels and legends.
pub(super) const CAPTION: f64 = 15.0;
/// Font size of notes and of captions of small pictures.
pub(super) const NOTE: f64 = 13.0;
/// Height of a line of text, in units of its font size.
pub(super) const LINE: f64 = 1.4;
/// Color of titles, captions and labels.
pub(super) const TEXT: &str = "#222";
/// Color of notes and ticks.
pub(super) const GRAY: &str = "#555";

/// The end of a text that lies at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A line of text.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "a text has a text")]
pub(super) struct Text<'a> {
    /// The text. Roboto has no arrows: a final ↑ or ↓ is drawn as a line.
    pub(super) text: &'a str,
    /// Place of the anchor on the baseline.
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) size: f64,
    pub(super) color: &'a str,
    pub(super) anchor: Anchor,
    /// Whether the text runs upwards.
    pub(super) upwards: bool,
}

impl<'a> Text<'a> {
    /// A caption whose line begins at `x` and has its upper edge at `y`.
    pub(super) fn below(text: &'a str, (x, y): (f64, f64), size: f64, color: &'a str) -> Self {
        let y = y + 0.5 * (LINE + CAPITALS) * size;
        Self { text, x, y, size, color, anchor: Anchor::Start, upwards: false }
    }
}

/// Lines and text as SVG over pictures.
#[derive(Debug)]
pub(super) struct Drawing {
    width: usize,
    height: usize,
    /// Pictures with the places of their upper left corners.
    pictures: Vec<(Image, [usize; 2])>,
    /// Elements of SVG.
    elements: String,
}

impl Drawing {
    /// An empty white drawing.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pictures: Vec::new(), elements: String::new() }
    }

    /// Adds a picture under all lines and text, its upper left corner at `place`.
    pub(super) fn picture(&mut self, image: Image, place: [usize; 2]) {
        if image.width * image.height > 0 {
            self.pictures.push((image, place));
        }
    }

    /// Adds a straight line of the given color and width.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), color: &str, width: f64) {
        self.path(&[from, to], color, width);
    }

    /// Adds the line through `points`.
    pub(super) fn path(&mut self, points: &[(f64, f64)], color: &str, width: f64) {
        let steps = points.iter().enumerate().map(|(i, &(x, y))| {
            format!("{}{} {}", if i == 0 { 'M' } else { 'L' }, round(x), round(y))
        });
        let steps = steps.collect::<String>();
        self.push(format_args!(
            "<path d=\"{steps}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\" \
             stroke-linejoin=\"round\"/>"
        ));
    }

    /// Adds a filled circle.
    pub(super) fn dot(&mut self, (x, y): (f64, f64), radius: f64, color: &str) {
        let (x, y) = (round(x), round(y));
        self.push(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{color}\"/>"));
    }

    /// Adds a line of text.
    pub(super) fn text(&mut self, text: &Text<'_>) {
        let Text { text: letters, size, color, anchor, .. } = *text;
        let arrow = letters.chars().last().filter(|last| matches!(last, '↑' | '↓'));
        let letters = letters.trim_end_matches(['↑', '↓']).trim_end();
        if letters.is_empty() {
            return;
        }
        let turn = if text.upwards { " rotate(-90)" } else { "" };
        let (x, y) = (round(text.x), round(text.y));
        let width = font::width(letters, size);
        // Room for the arrow behind the text.
        let room = if arrow.is_some() { size } else { 0.0 };
        let (name, start) = match anchor {
            Anchor::Start => ("start", 0.0),
            Anchor::Middle => ("middle", -0.5 * room),
            Anchor::End => ("end", -room),
        };
        self.push(format_args!(
            "<text transform=\"translate({x} {y}){turn}\" x=\"{}\" font-size=\"{size}\" \
             fill=\"{color}\" text-anchor=\"{name}\">{}</text>",
            round(start),
            escape(letters)
        ));
        let Some(arrow) = arrow else { return };
        let end = match anchor {
            Anchor::Start => width,
            Anchor::Middle => start + 0.5 * width,
            Anchor::End => start,
        };
        // Along the arrow from its middle to its tip, and to its left.
        let middle = (end + 0.62 * size, -0.37 * size);
        let up = if arrow == '↑' { 1.0 } else { -1.0 };
        // The arrow keeps its direction beside a text that runs upwards.
        let point = |along: f64, left: f64| {
            let (along, left) = (up * along * size, left * size);
            let (dx, dy) = if text.upwards { (along, -left) } else { (left, -along) };
            format!("{} {}", round(middle.0 + dx), round(middle.1 + dy))
        };
        self.push(format_args!(
            "<path transform=\"translate({x} {y}){turn}\" d=\"M{}L{}M{}L{}L{}\" fill=\"none\" \
             stroke=\"{color}\" stroke-width=\"{}\"/>",
            point(-0.37, 0.0),
            point(0.37, 0.0),
            point(0.12, -0.22),
            point(0.37, 0.0),
            point(0.12, 0.22),
            round(0.09 * size),
        ));
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.elements, "{element}").expect("writing to a string");
    }

    /// The drawing as an SVG that needs no other file: its font and its pictures are inside.
    ///
    /// # Errors
    /// If a picture cannot be encoded.
    pub(super) fn svg(&self) -> Result<String> {
        let font = BASE64_STANDARD.encode(BYTES);
        let style = format!(
            "<style>@font-face{{font-family:{FAMILY};src:url(data:font/ttf;base64,{font})}}</style>\n"
        );
        Ok(self.document(&style, &self.embedded()?))
    }

    /// The drawing as an SVG element of a page that has the font.
    ///
    /// # Errors
    /// If a picture cannot be encoded.
    pub(super) fn inline_svg(&self) -> Result<String> {
        Ok(self.document("", &self.embedded()?))
    }

    fn embedded(&self) -> Result<String> {
        let element = |(image, [x, y]): &(Image, [usize; 2])| -> Result<String> {
            let (width, height, data) = (image.width, image.height, data_uri(image)?);
            Ok(format!(
                "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
                 style=\"image-rendering:pixelated\" href=\"{data}\"/>\n"
            ))
        };
        let paper = "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n".to_owned();
        let pictures = self.pictures.iter().map(element).collect::<Result<String>>()?;
        Ok(paper + &pictures)
    }

    fn document(&self, style: &str, pictures: &str) -> String {
        let (width, height, elements) = (self.width, self.height, &self.elements);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{FAMILY}, sans-serif\">\n\
             {style}{pictures}{elements}</svg>\n"
        )
    }

    /// Lines and text, without pictures.
    fn tree(&self) -> Result<Tree> {
        let options = Options {
            fontdb: font::DATABASE.clone(),
            font_family: FAMILY.to_owned(),
            ..Options::default()
        };
        Ok(Tree::from_str(&self.document("", ""), &options)?)
    }

    /// The drawing as pixels, `scale` pixels per unit of length.
    ///
    /// # Errors
    /// If the image has no area or is too large.
    pub(super) fn image(&self, scale: usize) -> Result<Image> {
        let (width, height) = (self.width * scale, self.height * scale);
        let too_large = || Error::Size { width, height };
        let size = (u32::try_from(width).ok(), u32::try_from(height).ok());
        let (Some(columns), Some(rows)) = size else { return Err(too_large()) };
        let mut canvas = Image::filled(width, height, [255; 3]);
        for (picture, [x, y]) in &self.pictures {
            canvas.paste(&picture.enlarged(scale), [x * scale, y * scale]);
        }
        let mut pixmap = Pixmap::new(columns, rows).ok_or_else(too_large)?;
        pixmap.fill(Color::WHITE);
        let pixels = pixmap.data_mut().chunks_exact_mut(4).zip(canvas.pixels.chunks_exact(3));
        pixels.for_each(|(rgba, rgb)| rgba[..3].copy_from_slice(rgb));
        let scale = Transform::from_scale(scale as f32, scale as f32);
        resvg::render(&self.tree()?, scale, &mut pixmap.as_mut());
        let pixels = pixmap.data().chunks_exact(4).flat_map(|rgba| [rgba[0], rgba[1], rgba[2]]);
        Ok(Image { width, height, pixels: pixels.collect() })
    }
}

/// Coordinates have two digits after the point, which is enough and short.
fn round(x: f64) -> f64 {
    // `+ 0.0` turns -0 into 0.
    (100.0 * x).round() / 100.0 + 0.0
}

#[cfg(test)]
mod tests {
    use resvg::usvg::Node;

    use super::*;

    fn text(text: &str, anchor: Anchor) -> Text<'_> {
        Text { text, x: 100.0, y: 30.0, size: 16.0, color: "#000", anchor, upwards: false }
    }

    /// Letters and the left edges of their advances, as the rasterizer sets them.
    fn letters(drawing: &Drawing) -> Vec<(String, [f64; 2])> {
        fn collect(node: &Node, letters: &mut Vec<(String, [f64; 2])>) {
            match node {
                Node::Group(group) => group.children().iter().for_each(|n| collect(n, letters)),
                Node::Text(text) => {
                    let placed = text.abs_transform();
                    for glyph in text.layouted().iter().flat_map(|span| &span.positioned_glyphs) {
                        let at = placed.pre_concat(glyph.transform());
                        letters.push((glyph.text.clone(), [at.tx.into(), at.ty.into()]));
                    }
                }
                _ => {}
            }
        }
        let mut found = Vec::new();
        drawing.tree().unwrap().root().children().iter().for_each(|n| collect(n, &mut found));
        found
    }

    #[test]
    fn letters_stand_one_advance_apart_on_one_baseline() {
        for size in [11.0, 13.0, 15.0, 20.0] {
            let words = "fashion-cnn 40.01 ± 0.57";
            let mut drawing = Drawing::new(400, 50);
            drawing.text(&Text { size, ..text(words, Anchor::Start) });
            let letters = letters(&drawing);
            assert_eq!(letters.len(), words.chars().count());
            let mut before = String::new();
            for (letter, [x, y]) in letters {
                let expected = 100.0 + font::width(&before, size);
                // Kerning may move a letter, by less than a fiftieth of the size.
                assert!((x - expected).abs() < 0.02 * size, "{before}|{letter}: {x} {expected}");
                assert!((y - 30.0).abs() < 1e-3, "{letter}: {y}");
                before += &letter;
            }
        }
    }

    #[test]
    fn the_same_letter_looks_the_same_at_the_same_fraction_of_a_pixel() {
        // 2048 units are one em: at this size `i`, 498 units, is 8 pixels wide.
        let size = 8.0 * 2048.0 / 498.0;
        let mut drawing = Drawing::new(200, 50);
        drawing.text(&Text { size, x: 8.0, ..text("iiiiii", Anchor::Start) });
        let image = drawing.image(1).unwrap();
        let part = |k: usize| -> Vec<u8> {
            let row = |y: usize| &image.pixels[3 * (y * 200 + 8 * (k + 1))..][..24];
            (0..50).flat_map(row).copied().collect()
        };
        assert!(part(0).iter().any(|&v| v < 128));
        for k in 1..6 {
            let differences = part(0).into_iter().zip(part(k)).map(|(a, b)| a.abs_diff(b));
            assert!(differences.max().unwrap() <= 2, "{k}");
        }
    }

    /// Columns of dark pixels.
    fn dark(drawing: &Drawing) -> Vec<usize> {
        let image = drawing.image(1).unwrap();
        let pixels = image.pixels.chunks_exact(3).enumerate().filter(|(_, p)| p[0] < 128);
        pixels.map(|(i, _)| i % image.width).collect()
    }

    #[test]
    fn a_text_lies_at_its_anchor() {
        let width = font::width("LRP", 16.0);
        for (anchor, start) in [
            (Anchor::Start, 100.0),
            (Anchor::Middle, 100.0 - 0.5 * width),
            (Anchor::End, 100.0 - width),
        ] {
            let mut drawing = Drawing::new(200, 50);
            drawing.text(&text("LRP", anchor));
            let columns = dark(&drawing);
            let inside = |&x: &usize| (start - 1.0..start + width + 1.0).contains(&(x as f64));
            assert!(columns.len() > 20 && columns.iter().all(inside), "{anchor:?} {columns:?}");
        }
    }

    #[test]
    fn a_final_arrow_is_drawn_behind_the_text() {
        for anchor in [Anchor::Start, Anchor::Middle, Anchor::End] {
            let mut drawing = Drawing::new(200, 50);
            drawing.text(&text("LRP ↓", anchor));
            assert!(!drawing.elements.contains('↓'));
            let text = letters(&drawing)[0].1[0] + font::width("LRP", 16.0);
            let last = dark(&drawing).into_iter().max().unwrap() as f64;
            assert!((text + 6.0..text + 16.0).contains(&last), "{anchor:?}: {text} {last}");
        }
    }

    #[test]
    fn a_drawing_without_area_is_an_error() {
        assert!(matches!(Drawing::new(0, 10).image(1), Err(Error::Size { width: 0, height: 10 })));
    }
}
