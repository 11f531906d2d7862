//! The font of all figures, and the widths of texts set in it.

use std::sync::{Arc, LazyLock};

use resvg::usvg::fontdb::Database;
use ttf_parser::Face;

/// Roboto Regular, reduced to Latin and Greek letters (Apache-2.0).
pub(super) const BYTES: &[u8] = include_bytes!("font/roboto-latin.ttf");
/// Name of the font, as the file has it.
pub(super) const FAMILY: &str = "Roboto";
/// Height of capitals and digits, in units of the font size.
pub(super) const CAPITALS: f64 = 0.711;

static FACE: LazyLock<Face<'static>> =
    LazyLock::new(|| Face::parse(BYTES, 0).expect("the font in the repository is sound"));

/// The font as the only one of a database.
pub(super) static DATABASE: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut database = Database::new();
    database.load_font_data(BYTES.to_vec());
    Arc::new(database)
});

/// Width of a text in pixels: the sum of the advances of its letters. Kerning makes it a little narrower.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let advance = |letter| FACE.glyph_hor_advance(FACE.glyph_index(letter).unwrap_or_default());
    let units: u32 = text.chars().filter_map(advance).map(u32::from).sum();
    f64::from(units) * size / f64::from(FACE.units_per_em())
}

/// The text, or its beginning and end with an ellipsis between them, at most `most` pixels wide.
///
/// Both ends stay, because names of files often differ in the last letters only.
pub(super) fn fit(text: &str, size: f64, most: f64) -> String {
    let letters: Vec<char> = text.chars().collect();
    let shortened = |kept: usize| -> String {
        let (head, tail) = (kept.div_ceil(2), kept / 2);
        let head = letters[..head].iter().collect::<String>();
        let tail = letters[letters.len() - tail..].iter().collect::<String>();
        format!("{}…{}", head.trim_end(), tail.trim_start())
    };
    if width(text, size) <= most {
        return text.to_owned();
    }
    let kept = (0..letters.len()).rev().map(shortened);
    kept.into_iter().find(|short| width(short, size) <= most).unwrap_or_default()
}

/// The words of a text in lines at most `most` pixels wide; a longer word is shortened.
pub(super) fn wrap(text: &str, size: f64, most: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if let Some(last) = lines.last_mut() {
            let longer = format!("{last} {word}");
            if width(&longer, size) <= most {
                *last = longer;
                continue;
            }
        }
        lines.push(fit(word, size, most));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_is_the_sum_of_the_advances() {
        // Advances as fontTools reads them, in units of 1/2048 em: `h` 1128, `i` 498, digits 1151.
        assert_eq!(width("hi", 2048.0), 1626.0);
        assert!((width("0123456789", 20.48) - 115.1).abs() < 1e-9);
        assert_eq!(width("", 16.0), 0.0);
    }

    #[test]
    fn the_font_has_the_letters_of_labels() {
        for letter in " azAZ09é±×−…–“”≥≤∞αψσ".chars() {
            assert!(FACE.glyph_index(letter).is_some(), "{letter}");
        }
    }

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        assert_eq!(fit("short", 15.0, 100.0), "short");
        let short = fit("a-rather-long-name-of-a-file-0001.png", 15.0, 120.0);
        assert!(short.starts_with("a-ra") && short.ends_with("01.png"), "{short}");
        assert!(width(&short, 15.0) <= 120.0 && short.contains('…'), "{short}");
        assert_eq!(fit("wide", 15.0, 0.0), "");
    }

    #[test]
    fn lines_are_as_full_as_they_can_be() {
        let text = "one two three four five six seven";
        let lines = wrap(text, 15.0, 90.0);
        assert_eq!(lines.join(" "), text);
        assert!(lines.iter().all(|line| width(line, 15.0) <= 90.0), "{lines:?}");
        for pair in lines.windows(2) {
            let first = pair[1].split(' ').next().unwrap();
            assert!(width(&format!("{} {first}", pair[0]), 15.0) > 90.0, "{lines:?}");
        }
        assert!(wrap("", 15.0, 90.0).is_empty());
    }
}
