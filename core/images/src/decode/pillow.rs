//! Pillow's conversions of single values.

/// 16-bit gray, mode `I;16`, to 8 bits: what is above 255 becomes 255.
pub(super) fn clip(v: u16) -> u8 {
    v.min(255) as u8
}

/// 16-bit color to 8 bits: the low byte is dropped.
pub(super) fn high_byte(v: u16) -> u8 {
    (v >> 8) as u8
}

/// A color that was multiplied by `alpha`, as it was before; nothing is left of it without any.
pub(super) fn divided(color: u8, alpha: u8) -> u8 {
    (u32::from(color) * 255).checked_div(alpha.into()).unwrap_or(0).min(255) as u8
}

/// `a b / 255`, rounded, for bytes.
fn product(a: u8, b: u8) -> u8 {
    let v = u32::from(a) * u32::from(b) + 128;
    (((v >> 8) + v) >> 8) as u8
}

/// Cyan, magenta, yellow and black ink to red, green and blue, without a profile.
pub(super) fn cmyk([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    [c, m, y].map(|ink| (255 - k) - product(ink, 255 - k))
}
