//! Pages: HTML that shows tables and figures and needs no other file.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ganscope_images::{Image, encode_png};

use super::font::{BYTES, FAMILY};
use super::{Cell, Curve, Result, Sheet};

/// A text as it stands in HTML and SVG, in elements and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// A picture as an address that contains it, `data:image/png;base64,...`.
///
/// # Errors
/// If the picture cannot be encoded.
pub fn data_uri(image: &Image) -> Result<String> {
    Ok(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(encode_png(image)?)))
}

/// A cell of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableCell {
    /// The text.
    pub text: String,
    /// Small text after it; nothing if empty.
    pub detail: String,
    /// Whether it is the best of its column, which is shown bold.
    pub is_best: bool,
}

impl From<String> for TableCell {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl From<&str> for TableCell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// A page that is written from top to bottom. All texts are escaped here.
///
/// It is readable from 400 pixels of width on: wide tables and pictures scroll sideways.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    body: String,
}

impl Page {
    /// A page with its heading.
    pub fn new(title: &str) -> Self {
        let title = escape(title);
        let body = format!("<h1>{title}</h1>\n");
        Self { title, body }
    }

    /// Adds the heading of a section.
    pub fn heading(&mut self, text: &str) -> &mut Self {
        self.push(format_args!("<h2>{}</h2>", escape(text)))
    }

    /// Adds the heading of a section that [`list`](Self::list) can refer to by `id`.
    pub fn section(&mut self, id: &str, text: &str) -> &mut Self {
        self.push(format_args!("<h2 id=\"{}\">{}</h2>", escape(id), escape(text)))
    }

    /// Adds the heading of a part of a section.
    pub fn subheading(&mut self, text: &str) -> &mut Self {
        self.push(format_args!("<h3>{}</h3>", escape(text)))
    }

    /// Adds a numbered list: texts, each with the name and the id of the section that shows more.
    pub fn list(&mut self, items: &[(&str, &str, &str)]) -> &mut Self {
        let item = |(text, name, id): &(&str, &str, &str)| {
            let [text, name, id] = [text, name, id].map(|text| escape(text));
            format!("<li>{text} <a href=\"#{id}\">{name}</a></li>\n")
        };
        let items: String = items.iter().map(item).collect();
        self.push(format_args!("<ol>\n{items}</ol>"))
    }

    /// Adds a paragraph.
    pub fn paragraph(&mut self, text: &str) -> &mut Self {
        self.push(format_args!("<p>{}</p>", escape(text)))
    }

    /// Adds a warning.
    pub fn warning(&mut self, text: &str) -> &mut Self {
        self.push(format_args!("<p class=\"warning\">{}</p>", escape(text)))
    }

    /// Adds a table; `head` may be empty.
    pub fn table(&mut self, head: &[String], rows: &[Vec<TableCell>]) -> &mut Self {
        let head: Vec<String> =
            head.iter().map(|name| format!("<th>{}</th>", escape(name))).collect();
        let head = head.concat();
        let head = if head.is_empty() { head } else { format!("<thead><tr>{head}</tr></thead>\n") };
        let cell = |cell: &TableCell| {
            let class = if cell.is_best { " class=\"best\"" } else { "" };
            let detail = match &*cell.detail {
                "" => String::new(),
                detail => format!(" <small>{}</small>", escape(detail)),
            };
            format!("<td{class}>{}{detail}</td>", escape(&cell.text))
        };
        let row = |row: &Vec<TableCell>| {
            format!("<tr>{}</tr>\n", row.iter().map(cell).collect::<String>())
        };
        let rows: String = rows.iter().map(row).collect();
        self.push(format_args!(
            "<div class=\"scroll\"><table>\n{head}<tbody>\n{rows}</tbody></table></div>"
        ))
    }

    /// Adds a picture with a description for those who cannot see it.
    ///
    /// # Errors
    /// If the picture cannot be encoded.
    pub fn picture(&mut self, image: &Image, description: &str) -> Result<&mut Self> {
        let (width, height, data) = (image.width, image.height, data_uri(image)?);
        Ok(self.push(format_args!(
            "<div class=\"scroll\"><img alt=\"{}\" width=\"{width}\" height=\"{height}\" \
             src=\"{data}\"></div>",
            escape(description)
        )))
    }

    /// Adds pictures with their captions and notes below, as many beside each other as the page is
    /// wide.
    ///
    /// # Errors
    /// If a picture cannot be encoded.
    pub fn gallery(&mut self, cells: &[Cell]) -> Result<&mut Self> {
        let figure = |cell: &Cell| -> Result<String> {
            let Image { width, height, .. } = cell.picture;
            let (data, caption) = (data_uri(&cell.picture)?, escape(&cell.caption));
            Ok(format!(
                "<figure style=\"width:{width}px\"><img alt=\"{caption}\" width=\"{width}\" \
                 height=\"{height}\" src=\"{data}\"><figcaption>{caption}<br><small>{}</small>\
                 </figcaption></figure>\n",
                escape(&cell.note)
            ))
        };
        let figures = cells.iter().map(figure).collect::<Result<String>>()?;
        Ok(self.push(format_args!("<div class=\"gallery\">\n{figures}</div>")))
    }

    /// Adds a sheet, whose texts stay texts.
    ///
    /// # Errors
    /// If the sheet cannot be drawn.
    pub fn sheet(&mut self, sheet: &Sheet) -> Result<&mut Self> {
        let svg = sheet.inline_svg()?;
        Ok(self.push(format_args!("<div class=\"scroll\">\n{svg}</div>")))
    }

    /// Adds curves, two beside each other where the page is wide enough.
    ///
    /// # Errors
    /// If a curve cannot be drawn.
    pub fn curves(&mut self, curves: &[&Curve]) -> Result<&mut Self> {
        let curves = curves.iter().map(|curve| curve.inline_svg()).collect::<Result<String>>()?;
        Ok(self.push(format_args!("<div class=\"curves\">\n{curves}</div>")))
    }

    /// Adds paragraphs at the end, below a line.
    pub fn footer(&mut self, paragraphs: &[String]) -> &mut Self {
        let paragraphs = paragraphs.iter().map(|text| format!("<p>{}</p>\n", escape(text)));
        let paragraphs: String = paragraphs.collect();
        self.push(format_args!("<footer>\n{paragraphs}</footer>"))
    }

    /// The page.
    pub fn html(&self) -> String {
        let Self { title, body } = self;
        let (font, style) = (BASE64_STANDARD.encode(BYTES), include_str!("page/style.css"));
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n\
             @font-face {{ font-family: {FAMILY}; src: url(data:font/ttf;base64,{font}) }}\n\
             {style}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
        )
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) -> &mut Self {
        writeln!(self.body, "{element}").expect("writing to a string");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_with_a_meaning_is_escaped() {
        assert_eq!(
            escape("<a href=\"x\">'&amp;' é ↑"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;amp;&#39; é ↑"
        );
    }

    #[test]
    fn a_page_escapes_all_its_texts_and_needs_no_other_file() {
        let mut page = Page::new("<1>");
        page.paragraph("<2>").warning("<3>").heading("<4>").footer(&["<5>".into()]);
        let cell = TableCell { text: "<7>".into(), detail: "<8>".into(), is_best: true };
        page.table(&["<6>".into()], &[vec![cell]]);
        page.picture(&Image::filled(1, 1, [0; 3]), "\"<9>").unwrap();
        page.curves(&[&Curve { title: "<10>".into(), ..Curve::default() }]).unwrap();
        page.gallery(&[Cell::new(Image::filled(1, 1, [0; 3])).caption("<11>").note("<12>")])
            .unwrap();
        page.sheet(&Sheet { title: "<13>".into(), ..Sheet::default() }).unwrap();
        let html = page.html();
        for number in 1..=13 {
            assert!(html.contains(&format!("&lt;{number}&gt;")), "{number}");
            assert!(!html.contains(&format!("<{number}>")), "{number}");
        }
        assert!(html.contains("alt=\"&quot;&lt;9&gt;\"") && html.contains("class=\"best\""));
        assert!(!html.contains("src=\"http") && !html.contains("url(http"));
        assert_eq!(html.matches("@font-face").count(), 1);
    }

    #[test]
    fn a_data_uri_contains_the_pixels() {
        let picture = Image::filled(3, 2, [1, 2, 3]);
        let uri = data_uri(&picture).unwrap();
        let png = BASE64_STANDARD.decode(uri.strip_prefix("data:image/png;base64,").unwrap());
        assert_eq!(
            image::load_from_memory(&png.unwrap()).unwrap().to_rgb8().into_raw(),
            picture.pixels
        );
    }
}
