//! Bits of entropy-coded data.

use super::super::{Failure, reason};
use super::huffman::Table;

/// Bits from a position up to the next marker; behind it, zeros.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
    /// The bits that were read and not yet used, the next one in the highest place.
    buffer: u64,
    count: u32,
    /// The marker that ends the data, once it was reached.
    pub(super) marker: Option<u8>,
    /// Whether zeros were handed out in place of data.
    pub(super) starved: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position, buffer: 0, count: 0, marker: None, starved: false }
    }

    /// Position after the bytes read, and after the marker if there is one.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Drops the bits in the buffer and continues at `position`.
    pub(super) fn restart(&mut self, position: usize, marker: Option<u8>) {
        (self.position, self.marker) = (position, marker);
        (self.buffer, self.count) = (0, 0);
    }

    fn refill(&mut self) {
        if let Some(chunk) = self.bytes.get(self.position..).and_then(|rest| rest.first_chunk())
            && self.marker.is_none()
        {
            let word = u64::from_be_bytes(*chunk);
            let has_ff = (!word).wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080;
            if has_ff == 0 {
                let taken = (64 - self.count) / 8;
                if taken > 0 {
                    self.buffer |= word >> (64 - 8 * taken) << (64 - 8 * taken) >> self.count;
                    self.count += 8 * taken;
                    self.position += taken as usize;
                }
                return;
            }
        }
        while self.count <= 56 && self.marker.is_none() {
            let Some(&byte) = self.bytes.get(self.position) else { return };
            self.position += 1;
            if byte == 0xFF {
                let Some(padding) = self.bytes[self.position..].iter().position(|&b| b != 0xFF)
                else {
                    self.position = self.bytes.len();
                    return;
                };
                let code = self.bytes[self.position + padding];
                self.position += padding + 1;
                if code != 0 {
                    self.marker = Some(code);
                    return;
                }
            }
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// Makes `n` bits available, at most 32.
    #[inline]
    fn need(&mut self, n: u32) -> Result<(), Failure> {
        if self.count < n {
            self.refill();
            if self.count < n {
                if self.marker.is_none() {
                    return Err(reason("cut short"));
                }
                self.starved = true;
                self.count = 64;
            }
        }
        Ok(())
    }

    #[inline]
    fn drop_bits(&mut self, n: u32) {
        self.buffer <<= n;
        self.count -= n;
    }

    /// The next `n` bits, at most 16.
    #[inline]
    pub(super) fn bits(&mut self, n: u32) -> Result<i32, Failure> {
        if n == 0 {
            return Ok(0);
        }
        self.need(n)?;
        let value = (self.buffer >> (64 - n)) as i32;
        self.drop_bits(n);
        Ok(value)
    }

    /// The next bit.
    #[inline]
    pub(super) fn bit(&mut self) -> Result<bool, Failure> {
        Ok(self.bits(1)? == 1)
    }

    /// The next `n` bits as a signed number: T.81, figure F.12.
    #[inline]
    pub(super) fn signed(&mut self, n: u32) -> Result<i32, Failure> {
        let value = self.bits(n)?;
        Ok(if n > 0 && value < 1 << (n - 1) { value - (1 << n) + 1 } else { value })
    }

    /// The symbol of the next code; 0 where no symbol has it.
    #[inline]
    pub(super) fn symbol(&mut self, table: &Table) -> Result<u8, Failure> {
        if self.count < 16 {
            self.refill();
        }
        let (symbol, length) = table.lookup((self.buffer >> 48) as u16);
        self.need(length)?;
        self.drop_bits(length);
        Ok(symbol)
    }
}
