//! JPEG: baseline, extended and progressive with Huffman codes and 8 bits, to the bit as libjpeg.
//!
//! ITU-T T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, leaves the rounding of the inverse
//! transform and the interpolation of subsampled color to the decoder. Tools of the field read
//! JPEG through libjpeg(-turbo) with its defaults: the accurate integer transform and triangle
//! interpolation. Scores depend on that, so the same integers are computed here. Like there,
//! damaged entropy-coded data are decoded as far as possible, and a file without its end is
//! refused.
//!
//! Written by hand because no decoder in Rust has these bits: `zune-jpeg`, which `image` uses,
//! lists bit identical results with libjpeg as a non-goal, and `turbojpeg` needs a C compiler and
//! cmake. `tests/decode.rs` compares the decoders with Pillow on more than 90 files, to the bit.

mod bits;
mod color;
mod frame;
mod huffman;
mod idct;
mod progressive;
mod scan;
mod upsample;

use frame::Frame;
use huffman::Table;
use scan::Scan;
use upsample::Upsample;

use super::{Failure, reason};
use crate::{Image, Limits};

/// Scans of one image; more are taken for an attack on the time of the reader.
const MAX_SCANS: usize = 500;

/// Order in which the coefficients of a block are coded: index by row and column.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Codes of markers, after 0xFF.
mod marker {
    pub(super) const SOF0: u8 = 0xC0;
    pub(super) const SOF2: u8 = 0xC2;
    pub(super) const DHT: u8 = 0xC4;
    pub(super) const SOF15: u8 = 0xCF;
    pub(super) const JPG: u8 = 0xC8;
    pub(super) const DAC: u8 = 0xCC;
    pub(super) const RST0: u8 = 0xD0;
    pub(super) const RST7: u8 = 0xD7;
    pub(super) const SOI: u8 = 0xD8;
    pub(super) const EOI: u8 = 0xD9;
    pub(super) const SOS: u8 = 0xDA;
    pub(super) const DQT: u8 = 0xDB;
    pub(super) const DRI: u8 = 0xDD;
    pub(super) const APP0: u8 = 0xE0;
    pub(super) const APP14: u8 = 0xEE;
    pub(super) const TEM: u8 = 0x01;
}

pub(super) fn size(bytes: &[u8], limits: Limits) -> Result<(usize, usize), Failure> {
    let mut decoder = Decoder::new(bytes, limits);
    while decoder.frame.is_none() {
        let marker = decoder.next_marker()?;
        if marker == marker::SOS || marker == marker::EOI {
            return Err(reason("no frame"));
        }
        decoder.segment(marker)?;
    }
    let frame = decoder.frame.as_ref().ok_or_else(|| reason("no frame"))?;
    Ok((frame.width, frame.height))
}

pub(super) fn decode(bytes: &[u8], limits: Limits) -> Result<Image, Failure> {
    let mut decoder = Decoder::new(bytes, limits);
    let (mut scans, mut blocks) = (0, 0);
    let most = limits.blocks(bytes.len());
    loop {
        match decoder.next_marker()? {
            marker::EOI => break,
            marker::SOS => {
                scans += 1;
                if scans > MAX_SCANS {
                    return Err(Failure::Reason(format!("more than {MAX_SCANS} scans")));
                }
                blocks += decoder.scan(most - blocks)?;
            }
            other => decoder.segment(other)?,
        }
    }
    let mut frame = decoder.frame.take().ok_or_else(|| reason("no frame"))?;
    if scans == 0 {
        return Err(reason("no scan"));
    }
    if frame.is_unfinished() {
        return Err(reason("the last scans are missing"));
    }
    let upsamples: Option<Vec<Upsample>> =
        frame.components.iter().map(|component| Upsample::of(component, frame.sampling)).collect();
    let upsamples = upsamples.ok_or_else(|| reason("sampling factors of no whole ratio"))?;
    frame.finish();
    let (width, height) = (frame.width, frame.height);
    let pixels = color::rgb(&frame, &upsamples, decoder.jfif, decoder.adobe);
    Ok(Image { width, height, pixels })
}

/// Bytes with a position, and the content of the segments before it.
struct Decoder<'a> {
    bytes: &'a [u8],
    limits: Limits,
    position: usize,
    /// A marker that entropy-coded data ran into.
    pending: Option<u8>,
    frame: Option<Frame>,
    quantization: [Option<[u16; 64]>; 4],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart_interval: usize,
    jfif: bool,
    /// The color transform of an Adobe segment.
    adobe: Option<u8>,
}

impl<'a> Decoder<'a> {
    /// A decoder behind the marker `SOI`.
    fn new(bytes: &'a [u8], limits: Limits) -> Self {
        Self {
            bytes,
            limits,
            position: 2,
            pending: None,
            frame: None,
            quantization: [None; 4],
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            restart_interval: 0,
            jfif: false,
            adobe: None,
        }
    }

    /// The next marker; bytes that belong to none are skipped.
    fn next_marker(&mut self) -> Result<u8, Failure> {
        if let Some(marker) = self.pending.take() {
            return Ok(marker);
        }
        let (marker, position) =
            find_marker(self.bytes, self.position).ok_or_else(|| reason("the end is missing"))?;
        self.position = position;
        Ok(marker)
    }

    /// The content of the segment at the position.
    fn content(&mut self) -> Result<&'a [u8], Failure> {
        let missing = || reason("the end is missing");
        let rest = self.bytes.get(self.position..).ok_or_else(missing)?;
        let (length, _) = rest.split_first_chunk().ok_or_else(missing)?;
        let length = u16::from_be_bytes(*length) as usize;
        if length < 2 {
            return Err(Failure::Reason(format!("a segment of {length} bytes")));
        }
        let content = rest.get(2..length).ok_or_else(missing)?;
        self.position += length;
        Ok(content)
    }

    /// Reads the segment of any marker but `SOS` and `EOI`.
    fn segment(&mut self, marker: u8) -> Result<(), Failure> {
        match marker {
            marker::TEM | marker::RST0..=marker::RST7 => {}
            marker::SOI => return Err(reason("a second start")),
            marker::DQT => self.quantization_tables()?,
            marker::DHT => self.huffman_tables()?,
            marker::DRI => match *self.content()? {
                [high, low] => self.restart_interval = u16::from_be_bytes([high, low]).into(),
                _ => return Err(reason("a restart interval of another length")),
            },
            marker::SOF0..=marker::SOF15 if marker != marker::JPG && marker != marker::DAC => {
                if self.frame.is_some() {
                    return Err(reason("two frames"));
                }
                let content = self.content()?;
                if marker > marker::SOF2 {
                    let kind = marker - marker::SOF0;
                    return Err(Failure::Reason(format!("coding process {kind}, not 0 to 2")));
                }
                let checked =
                    |width, height| self.limits.checked_size(width, height, self.bytes.len());
                let frame = Frame::parse(content, marker == marker::SOF2, checked)?;
                self.frame = Some(frame);
            }
            marker::APP0 => {
                let content = self.content()?;
                self.jfif |= content.len() >= 12 && content.starts_with(b"JFIF\0");
            }
            marker::APP14 => {
                let content = self.content()?;
                if content.len() >= 12 && content.starts_with(b"Adobe") {
                    self.adobe = Some(content[11]);
                }
            }
            _ => {
                self.content()?;
            }
        }
        Ok(())
    }

    fn quantization_tables(&mut self) -> Result<(), Failure> {
        let short = || reason("a quantization table is cut short");
        let mut content = self.content()?;
        while let Some((&kind, rest)) = content.split_first() {
            let (wide, slot) = (kind >> 4 != 0, (kind & 15) as usize);
            let table = self.quantization.get_mut(slot);
            let table = table.ok_or_else(|| reason("a fifth quantization table"))?;
            let (values, rest) =
                rest.split_at_checked(if wide { 128 } else { 64 }).ok_or_else(short)?;
            let table = table.insert([0; 64]);
            for (k, &at) in ZIGZAG.iter().enumerate() {
                table[at as usize] = if wide {
                    u16::from_be_bytes([values[2 * k], values[2 * k + 1]])
                } else {
                    values[k].into()
                };
            }
            content = rest;
        }
        Ok(())
    }

    fn huffman_tables(&mut self) -> Result<(), Failure> {
        let mut content = self.content()?;
        while let Some((&kind, rest)) = content.split_first() {
            let (table, rest) = Table::parse(rest, kind & 0x10 == 0)?;
            let tables = if kind & 0x10 == 0 { &mut self.dc } else { &mut self.ac };
            let slot = tables.get_mut((kind & 0xEF) as usize);
            *slot.ok_or_else(|| reason("a fifth Huffman table"))? = Some(table);
            content = rest;
        }
        Ok(())
    }

    /// Reads the header of a scan and the entropy-coded data behind it; returns the number of blocks
    /// that it visits, `most` at most.
    fn scan(&mut self, most: u64) -> Result<u64, Failure> {
        let content = self.content()?;
        let frame = self.frame.as_mut().ok_or_else(|| reason("a scan before the frame"))?;
        let mut scan = Scan::parse(content, frame)?;
        let blocks = scan.blocks(frame) as u64;
        if blocks > most {
            return Err(reason("more scans of more blocks than a file of its size has"));
        }
        frame.latch_tables(&scan, &self.quantization)?;
        frame.note_pass(&scan);
        scan.decode(frame, &self.dc, &self.ac, self.restart_interval, self.bytes, self.position)?;
        (self.position, self.pending) = scan.end();
        Ok(blocks)
    }
}

/// The next marker from `position` on, and the position behind it.
fn find_marker(bytes: &[u8], mut position: usize) -> Option<(u8, usize)> {
    loop {
        position += bytes.get(position..)?.iter().position(|&b| b == 0xFF)?;
        position += bytes[position..].iter().position(|&b| b != 0xFF)?;
        let code = bytes[position];
        position += 1;
        if code != 0 {
            return Some((code, position));
        }
    }
}
