//! Huffman codes.

use super::super::{Failure, reason};

/// Codes up to this length are looked up at once.
const SHORT: u32 = 9;

/// The symbols of codes of at most 16 bits.
pub(super) struct Table {
    /// Symbol and length of the code that each group of [`SHORT`] bits begins with; length 0 where
    /// the code is longer.
    short: [(u8, u8); 1 << SHORT],
    /// For each length, the codes of that length end below this, moved to the left of 16 bits.
    ends: [u32; 17],
    /// For each length, index of the first symbol minus the first code.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// A table from the numbers of codes of each length and the symbols, and the bytes behind them.
    pub(super) fn parse(content: &[u8], dc: bool) -> Result<(Self, &[u8]), Failure> {
        let short = || reason("a Huffman table is cut short");
        let (counts, rest) = content.split_first_chunk::<16>().ok_or_else(short)?;
        let total = counts.iter().map(|&n| n as usize).sum();
        if total > 256 {
            return Err(Failure::Reason(format!("a Huffman table of {total} codes")));
        }
        let (symbols, rest) = rest.split_at_checked(total).ok_or_else(short)?;
        if dc && symbols.iter().any(|&symbol| symbol > 15) {
            return Err(reason("a difference of more than 15 bits in a Huffman table"));
        }
        let mut table = Self {
            short: [(0, 0); 1 << SHORT],
            ends: [0; 17],
            offsets: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut index) = (0_u32, 0);
        for length in 1..=16 {
            table.offsets[length] = index as i32 - code as i32;
            for _ in 0..counts[length - 1] {
                table.enter(code, length as u32, symbols[index]);
                code += 1;
                index += 1;
            }
            if code > 1 << length {
                return Err(reason("a Huffman table with more codes than there are"));
            }
            table.ends[length] = code << (16 - length);
            code <<= 1;
        }
        Ok((table, rest))
    }

    fn enter(&mut self, code: u32, length: u32, symbol: u8) {
        if length <= SHORT {
            let start = (code << (SHORT - length)) as usize;
            let range = start..start + (1 << (SHORT - length));
            if let Some(entries) = self.short.get_mut(range) {
                entries.fill((symbol, length as u8));
            }
        }
    }

    /// Symbol and length of the code at the start of 16 bits; symbol 0 for bits that begin no code.
    #[inline]
    pub(super) fn lookup(&self, bits: u16) -> (u8, u32) {
        let (symbol, length) = self.short[(bits >> (16 - SHORT)) as usize];
        if length > 0 {
            return (symbol, length.into());
        }
        let code = u32::from(bits);
        for length in SHORT as usize + 1..=16 {
            if code < self.ends[length] {
                let index = (code >> (16 - length)) as i32 + self.offsets[length];
                return (self.symbols.get(index as usize).copied().unwrap_or(0), length as u32);
            }
        }
        (0, 16)
    }
}
