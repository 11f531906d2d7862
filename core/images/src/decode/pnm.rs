//! PNM whose largest value is not 255: Pillow scales it as `round(v / largest * 255)`.

use super::{Failure, pillow, reason};
use crate::{Image, Limits};

/// The header of an image whose largest value is not 255.
struct Header {
    is_text: bool,
    channels: usize,
    width: usize,
    height: usize,
    largest: u32,
    /// Where its values begin.
    end: usize,
}

/// The header, unless the image is of another kind.
fn header(bytes: &[u8], limits: Limits) -> Result<Option<Header>, Failure> {
    let (is_text, channels) = match bytes {
        [b'P', b'2', ..] => (true, 1),
        [b'P', b'3', ..] => (true, 3),
        [b'P', b'5', ..] => (false, 1),
        [b'P', b'6', ..] => (false, 3),
        _ => return Ok(None),
    };
    let mut words = Words { bytes, at: 2 };
    let mut next = || words.number().ok_or_else(|| reason("a header that is cut short"));
    let (width, height, largest) = (next()?, next()?, next()?);
    if largest == 255 || !(1..=65535).contains(&largest) {
        return Ok(None);
    }
    let (width, height) = limits.checked_size(width, height, bytes.len())?;
    Ok(Some(Header { is_text, channels, width, height, largest, end: words.at }))
}

/// The size of an image that [`decode`] reads.
pub(super) fn size(bytes: &[u8], limits: Limits) -> Result<Option<(usize, usize)>, Failure> {
    Ok(header(bytes, limits)?.map(|header| (header.width, header.height)))
}

/// The pixels of an image with another largest value than 255; `None` for all others.
///
/// Gray above 255 has 16 bits in Pillow, scaled to 65535 and then clipped.
pub(super) fn decode(bytes: &[u8], limits: Limits) -> Result<Option<Image>, Failure> {
    let Some(Header { is_text, channels, width, height, largest, end }) = header(bytes, limits)?
    else {
        return Ok(None);
    };
    let mut words = Words { bytes, at: end };
    let is_deep = channels == 1 && largest > 255;
    let top = if is_deep { 65535.0 } else { 255.0 };
    let scaled = |value: u32| {
        let scaled = (f64::from(value) / f64::from(largest) * top).round_ties_even().min(top);
        pillow::clip(scaled as u16)
    };
    let count = channels * width * height;
    let values: Vec<u8> = if is_text {
        let fitting = |value: Option<u32>| value.filter(|&value| value <= largest);
        (0..count).map_while(|_| fitting(words.number()).map(scaled)).collect()
    } else {
        let rest = bytes.get(end..).unwrap_or_default();
        if largest < 256 {
            rest.iter().take(count).map(|&value| scaled(value.into())).collect()
        } else {
            let pairs = rest.as_chunks::<2>().0.iter().take(count);
            pairs.map(|&pair| scaled(u16::from_be_bytes(pair).into())).collect()
        }
    };
    if values.len() < count {
        return Err(reason("values are missing, or too large"));
    }
    let pixels = match channels {
        1 => values.into_iter().flat_map(|value| [value; 3]).collect(),
        _ => values,
    };
    Ok(Some(Image { width, height, pixels }))
}

/// Numbers with blanks and comments between them.
struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Words<'_> {
    /// The next number, and the blank behind it; a comment may stand within it, as in Pillow.
    fn number(&mut self) -> Option<u32> {
        let mut digits = String::new();
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'#' => {
                    let line = self.bytes[self.at..].iter();
                    let end = line.clone().position(|&b| b == b'\n' || b == b'\r');
                    self.at += end.map_or(line.len(), |end| end + 1);
                }
                byte if byte.is_ascii_whitespace() && digits.is_empty() => {}
                byte if byte.is_ascii_whitespace() => break,
                byte if byte.is_ascii_digit() && digits.len() < 10 => digits.push(byte.into()),
                _ => return None,
            }
        }
        digits.parse().ok()
    }
}
