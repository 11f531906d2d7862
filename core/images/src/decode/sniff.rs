//! File formats by their first bytes.

use super::Format;

/// The image format that the bytes announce.
pub(crate) fn format(bytes: &[u8]) -> Option<Format> {
    Some(match bytes {
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Format::Png,
        [0xFF, 0xD8, 0xFF, ..] => Format::Jpeg,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Format::WebP,
        [b'B', b'M', ..] => Format::Bmp,
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Format::Tiff,
        [b'P', b'1'..=b'6', b' ' | b'\t' | b'\r' | b'\n' | b'#', ..] => Format::Pnm,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Format::Gif,
        _ => return None,
    })
}

/// A description of bytes that are not an image.
pub(crate) fn describe(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(24)];
    match bytes {
        [] => "an empty file".to_owned(),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => "a zip archive".to_owned(),
        [0x1F, 0x8B, ..] => "gzip data".to_owned(),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => "a NumPy array".to_owned(),
        [b'%', b'P', b'D', b'F', ..] => "a PDF document".to_owned(),
        [_, _, _, _, b'f', b't', b'y', b'p', kind @ ..] if kind.len() >= 4 => {
            format!("an ISO media file of kind `{}`", String::from_utf8_lossy(&kind[..4]))
        }
        _ if start.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) => {
            let line: String = start.iter().map(|&b| char::from(b)).collect();
            format!("text beginning with `{}`", line.lines().next().unwrap_or_default().trim_end())
        }
        _ => {
            let hex: Vec<String> = start.iter().take(8).map(|b| format!("{b:02x}")).collect();
            format!("bytes {}", hex.join(" "))
        }
    }
}
