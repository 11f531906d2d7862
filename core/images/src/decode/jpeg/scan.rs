//! Scans: the entropy-coded data of some components.

use super::super::{Failure, reason};
use super::bits::Bits;
use super::frame::{Component, Frame};
use super::huffman::Table;
use super::progressive::Pass;
use super::{ZIGZAG, find_marker, idct, marker};

/// Blocks of an interleaved unit: T.81, B.2.3.
const MAX_UNIT: usize = 10;

/// Components of a scan, and how far it got.
pub(super) struct Scan {
    members: Vec<Member>,
    indices: Vec<usize>,
    /// Part of the coefficients, in progressive coding.
    pass: Pass,
    end: (usize, Option<u8>),
}

/// A component of a scan.
struct Member {
    index: usize,
    dc: usize,
    ac: usize,
}

/// The state that is carried from block to block.
#[derive(Default)]
pub(super) struct State {
    /// The last DC coefficient of each member.
    predictions: [i32; 4],
    /// Blocks that are known to contain nothing more, in progressive coding.
    pub(super) end_of_band: u32,
    next_restart: u8,
}

impl Scan {
    pub(super) fn parse(content: &[u8], frame: &Frame) -> Result<Self, Failure> {
        let broken = || reason("a scan header of another length");
        let (&count, rest) = content.split_first().ok_or_else(broken)?;
        let (selectors, rest) = rest.split_at_checked(2 * count as usize).ok_or_else(broken)?;
        let &[start, end, approximation] = rest else { return Err(broken()) };
        let mut members: Vec<Member> = Vec::new();
        for &[id, tables] in selectors.as_chunks::<2>().0 {
            let fresh = |index: &usize| members.iter().all(|member| member.index != *index);
            let index = (0..frame.components.len())
                .find(|index| frame.components[*index].id == id && fresh(index))
                .ok_or_else(|| Failure::Reason(format!("a scan of component {id}")))?;
            members.push(Member { index, dc: (tables >> 4) as usize, ac: (tables & 15) as usize });
        }
        let unit = |member: &Member| {
            let (h, v) = frame.components[member.index].sampling;
            h * v
        };
        let blocks: usize = members.iter().map(unit).sum();
        if members.is_empty() || (members.len() > 1 && blocks > MAX_UNIT) {
            return Err(Failure::Reason(format!("{blocks} blocks in a unit of a scan")));
        }
        let pass = if frame.progressive {
            Pass::new(start, end, approximation, members.len())?
        } else {
            Pass::default()
        };
        let indices = members.iter().map(|member| member.index).collect();
        Ok(Self { members, indices, pass, end: (0, None) })
    }

    /// Indices of its components in the frame.
    pub(super) fn components(&self) -> &[usize] {
        &self.indices
    }

    /// The coefficients that it carries, in coded order, and their lowest bit.
    pub(super) fn carried(&self) -> (std::ops::RangeInclusive<usize>, u32) {
        self.pass.carried()
    }

    /// Blocks that it visits.
    pub(super) fn blocks(&self, frame: &Frame) -> usize {
        let components = self.indices.iter().map(|&index| &frame.components[index]);
        components.map(|c| c.blocks.0 * c.blocks.1).sum()
    }

    /// Position behind the data, and the marker before that position, if one was reached.
    pub(super) fn end(&self) -> (usize, Option<u8>) {
        self.end
    }

    /// Decodes the data at `position`.
    pub(super) fn decode(
        &mut self,
        frame: &mut Frame,
        dc: &[Option<Table>; 4],
        ac: &[Option<Table>; 4],
        restart_interval: usize,
        bytes: &[u8],
        position: usize,
    ) -> Result<(), Failure> {
        let tables = self.tables(frame.progressive, dc, ac)?;
        let mut bits = Bits::new(bytes, position);
        let mut state = State::default();
        let units = match *self.indices {
            [index] => frame.components[index].blocks,
            _ => (
                frame.width.div_ceil(8 * frame.sampling.0),
                frame.height.div_ceil(8 * frame.sampling.1),
            ),
        };
        let mut left = restart_interval;
        for y in 0..units.1 {
            for x in 0..units.0 {
                if restart_interval > 0 {
                    if left == 0 {
                        restart(&mut bits, &mut state, bytes)?;
                        left = restart_interval;
                    }
                    left -= 1;
                }
                if bits.starved {
                    continue;
                }
                for (m, &index) in self.indices.iter().enumerate() {
                    let component = &mut frame.components[index];
                    let (h, v) = if self.indices.len() == 1 { (1, 1) } else { component.sampling };
                    for (dx, dy) in (0..v).flat_map(|dy| (0..h).map(move |dx| (dx, dy))) {
                        let at = (x * h + dx, y * v + dy);
                        let prediction = &mut state.predictions[m];
                        if frame.progressive {
                            let block = at.1 * component.blocks_stride() + at.0;
                            let block = &mut component.coefficients[block];
                            self.pass.block(
                                block,
                                &mut bits,
                                tables[m],
                                prediction,
                                &mut state.end_of_band,
                            )?;
                        } else {
                            sequential(component, at, &mut bits, tables[m], prediction)?;
                        }
                    }
                }
            }
        }
        self.end = (bits.position(), bits.marker);
        Ok(())
    }

    /// The tables of each member; those that the scan does not use may be missing.
    fn tables<'a>(
        &self,
        progressive: bool,
        dc: &'a [Option<Table>; 4],
        ac: &'a [Option<Table>; 4],
    ) -> Result<Vec<Tables<'a>>, Failure> {
        let find = |tables: &'a [Option<Table>; 4], slot: usize| tables.get(slot)?.as_ref();
        let mut found = Vec::new();
        for member in &self.members {
            let (dc, ac) = (find(dc, member.dc), find(ac, member.ac));
            let (needs_dc, needs_ac) = if progressive { self.pass.needs() } else { (true, true) };
            if (needs_dc && dc.is_none()) || (needs_ac && ac.is_none()) {
                return Err(reason("a Huffman table is missing"));
            }
            found.push(Tables { dc, ac });
        }
        Ok(found)
    }
}

/// The codes of a component, as far as its scan needs them.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a> {
    pub(super) dc: Option<&'a Table>,
    pub(super) ac: Option<&'a Table>,
}

/// Decodes all coefficients of a block and transforms them.
fn sequential(
    component: &mut Component,
    (x, y): (usize, usize),
    bits: &mut Bits<'_>,
    tables: Tables<'_>,
    prediction: &mut i32,
) -> Result<(), Failure> {
    let (Some(dc), Some(ac), Some(quantization)) = (tables.dc, tables.ac, component.quantization)
    else {
        return Err(reason("a table is missing"));
    };
    let mut block = [0_i16; 64];
    let length = bits.symbol(dc)?;
    *prediction = prediction.wrapping_add(bits.signed(length.into())?);
    block[0] = *prediction as i16;
    let mut k = 1;
    while k < 64 {
        let symbol = bits.symbol(ac)?;
        let (zeros, length) = ((symbol >> 4) as usize, symbol & 15);
        if length > 0 {
            k += zeros;
            block[ZIGZAG[k.min(63)] as usize] = bits.signed(length.into())? as i16;
        } else if zeros == 15 {
            k += 15;
        } else {
            break;
        }
        k += 1;
    }
    let (offset, stride) = (component.offset(x, y), component.stride);
    idct::block(&block, &quantization, &mut component.samples[offset..], stride);
    Ok(())
}

/// Looks for the restart marker that is due. Where another one is found, either it is taken for a
/// damaged one, or the interval up to it counts as lost, as libjpeg decides it.
fn restart(bits: &mut Bits<'_>, state: &mut State, bytes: &[u8]) -> Result<(), Failure> {
    let due = state.next_restart;
    let missing = || reason("cut short");
    let mut found = match bits.marker {
        Some(code) => (code, bits.position()),
        None => find_marker(bytes, bits.position()).ok_or_else(missing)?,
    };
    let resume = loop {
        match found.0 {
            marker::RST0..=marker::RST7 => match (found.0 - marker::RST0).wrapping_sub(due) & 7 {
                1 | 2 => break (found.1, Some(found.0)),
                6 | 7 => {}
                _ => break (found.1, None),
            },
            code if code >= marker::SOF0 => break (found.1, Some(code)),
            _ => {}
        }
        found = find_marker(bytes, found.1).ok_or_else(missing)?;
    };
    bits.restart(resume.0, resume.1);
    if resume.1.is_none() {
        bits.starved = false;
    }
    *state = State { next_restart: (due + 1) & 7, ..State::default() };
    Ok(())
}
