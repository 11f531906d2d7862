//! PNM whose largest value is not 255: Pillow scales it as `round(v / largest * 255)`.

use super::{Failure, checked_size, pillow, reason};
use crate::Image;

/// The pixels of an image with another largest value than 255; `None` for all others.
///
/// Gray above 255 has 16 bits in Pillow, scaled to 65535 and then clipped.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<Image>, Failure> {
    let (is_text, channels) = match bytes {
        [b'P', b'2', ..] => (true, 1),
        [b'P', b'3', ..] => (true, 3),
        [b'P', b'5', ..] => (false, 1),
        [b'P', b'6', ..] => (false, 3),
        _ => return Ok(None),
    };
    let mut words = Words { bytes, at: 2 };
    let mut header = || words.number().ok_or_else(|| reason("the header is cut short"));
    let (width, height, largest) = (header()?, header()?, header()?);
    if largest == 255 || !(1..=65535).contains(&largest) {
        return Ok(None);
    }
    let (width, height) = checked_size(width, height, bytes.len())?;
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
        let rest = bytes.get(words.at + 1..).unwrap_or_default();
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
    fn number(&mut self) -> Option<u32> {
        loop {
            match self.bytes.get(self.at)? {
                b'#' => {
                    self.at +=
                        self.bytes[self.at..].iter().position(|&b| b == b'\n' || b == b'\r')?;
                }
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => break,
            }
        }
        let digits = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = std::str::from_utf8(&self.bytes[self.at..self.at + digits]).ok()?;
        self.at += digits;
        text.parse().ok()
    }
}
