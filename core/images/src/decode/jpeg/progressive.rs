//! Passes of progressive coding: T.81, annex G.

use super::super::{Failure, reason};
use super::ZIGZAG;
use super::bits::Bits;
use super::scan::Tables;

/// The coefficients that a scan carries, and which bits of them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pass {
    /// First and last coefficient in coded order.
    start: usize,
    end: usize,
    /// Whether bits are added to coefficients that an earlier scan began.
    refines: bool,
    /// Lowest bit carried.
    low: u32,
}

impl Pass {
    pub(super) fn new(
        start: u8,
        end: u8,
        approximation: u8,
        components: usize,
    ) -> Result<Self, Failure> {
        let (high, low) = (approximation >> 4, approximation & 15);
        let band = if start == 0 { end == 0 } else { start <= end && end < 64 && components == 1 };
        if !band || low > 13 || (high > 0 && low != high - 1) {
            return Err(Failure::Reason(format!(
                "a pass over coefficients {start} to {end}, bits {high} to {low}"
            )));
        }
        let (start, end) = (start as usize, end as usize);
        Ok(Self { start, end, refines: high > 0, low: low.into() })
    }

    /// The coefficients that it carries, in coded order, and their lowest bit.
    pub(super) fn carried(&self) -> (std::ops::RangeInclusive<usize>, u32) {
        (self.start..=self.end, self.low)
    }

    /// Whether it needs the codes of DC and of AC coefficients.
    pub(super) fn needs(&self) -> (bool, bool) {
        (self.start == 0 && !self.refines, self.start > 0)
    }

    /// Decodes the part of one block that is in this pass.
    pub(super) fn block(
        &self,
        block: &mut [i16; 64],
        bits: &mut Bits<'_>,
        tables: Tables<'_>,
        prediction: &mut i32,
        end_of_band: &mut u32,
    ) -> Result<(), Failure> {
        match (tables.dc, tables.ac) {
            _ if self.start == 0 && self.refines => {
                if bits.bit()? {
                    block[0] |= 1 << self.low;
                }
                Ok(())
            }
            (Some(dc), _) if self.start == 0 => {
                let length = bits.symbol(dc)?;
                *prediction = prediction.wrapping_add(bits.signed(length.into())?);
                block[0] = (*prediction << self.low) as i16;
                Ok(())
            }
            (_, Some(ac)) if self.refines => self.refine(block, bits, ac, end_of_band),
            (_, Some(ac)) => self.first(block, bits, ac, end_of_band),
            _ => Err(reason("a Huffman table is missing")),
        }
    }

    /// The first bits of AC coefficients.
    fn first(
        &self,
        block: &mut [i16; 64],
        bits: &mut Bits<'_>,
        ac: &super::huffman::Table,
        end_of_band: &mut u32,
    ) -> Result<(), Failure> {
        if *end_of_band > 0 {
            *end_of_band -= 1;
            return Ok(());
        }
        let mut k = self.start;
        while k <= self.end {
            let symbol = bits.symbol(ac)?;
            let (zeros, length) = ((symbol >> 4) as usize, symbol & 15);
            if length > 0 {
                k += zeros;
                let value = bits.signed(length.into())?;
                block[ZIGZAG[k.min(63)] as usize] = (value << self.low) as i16;
            } else if zeros == 15 {
                k += 15;
            } else {
                *end_of_band = (1 << zeros) - 1 + bits.bits(zeros as u32)? as u32;
                break;
            }
            k += 1;
        }
        Ok(())
    }

    /// One more bit of AC coefficients: T.81, figure G.7.
    fn refine(
        &self,
        block: &mut [i16; 64],
        bits: &mut Bits<'_>,
        ac: &super::huffman::Table,
        end_of_band: &mut u32,
    ) -> Result<(), Failure> {
        let one = 1_i16 << self.low;
        let mut k = self.start;
        if *end_of_band == 0 {
            while k <= self.end {
                let symbol = bits.symbol(ac)?;
                let (mut zeros, length) = (symbol >> 4, symbol & 15);
                let mut value = 0;
                if length > 0 {
                    value = if bits.bit()? { one } else { -one };
                } else if zeros < 15 {
                    *end_of_band = (1 << zeros) + bits.bits(zeros.into())? as u32;
                    break;
                }
                // Passes over `zeros` coefficients that are still zero, refining those that are
                // not.
                while k <= self.end {
                    let coefficient = &mut block[ZIGZAG[k] as usize];
                    if *coefficient != 0 {
                        refine(coefficient, one, bits)?;
                    } else if zeros == 0 {
                        break;
                    } else {
                        zeros -= 1;
                    }
                    k += 1;
                }
                if value != 0 {
                    block[ZIGZAG[k.min(63)] as usize] = value;
                }
                k += 1;
            }
        }
        if *end_of_band > 0 {
            for &at in &ZIGZAG[k.min(64)..=self.end.max(k.min(64) - 1)] {
                let coefficient = &mut block[at as usize];
                if *coefficient != 0 {
                    refine(coefficient, one, bits)?;
                }
            }
            *end_of_band -= 1;
        }
        Ok(())
    }
}

/// Reads a bit and, when it is set, moves a coefficient away from zero, unless it has that bit.
fn refine(coefficient: &mut i16, one: i16, bits: &mut Bits<'_>) -> Result<(), Failure> {
    if bits.bit()? && *coefficient & one == 0 {
        let step = if *coefficient >= 0 { one } else { -one };
        *coefficient = coefficient.wrapping_add(step);
    }
    Ok(())
}
