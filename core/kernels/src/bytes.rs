//! Products of rows of signed bytes, exact in 32 bits.
//!
//! An instruction that adds four products of bytes to each lane does four times the work of one
//! on floats. Processors without it gain nothing, and have no path here.

#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::Range;

/// Bytes whose products one lane adds up at once.
const QUAD: usize = 4;

/// The longest rows whose products fit 32 bits: `128 * 128 * DEPTH = 2^31`, with one to spare.
const DEPTH: usize = (1 << 17) - QUAD;

/// Added to the bytes of panels: the instructions multiply unsigned bytes by signed ones.
const OFFSET: i32 = 128;

/// Vectors across a panel.
const VECTORS: usize = 3;

/// Instructions that add up products of bytes.
#[derive(Clone, Copy, Debug)]
enum Set {
    /// AVX-512 VNNI, sixteen lanes.
    #[cfg(target_arch = "x86_64")]
    Wide,
    /// AVX-VNNI, eight lanes.
    #[cfg(target_arch = "x86_64")]
    Narrow,
}

impl Set {
    /// All that this processor has, the fastest first.
    fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
                sets.push(Self::Wide);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni") {
                sets.push(Self::Narrow);
            }
        }
        sets
    }

    /// Rows of a panel.
    fn width(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Wide => VECTORS * x86::Wide::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Narrow => VECTORS * x86::Narrow::LANES,
        }
    }

    fn run(self, job: Job<'_>) {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `available` gives it where the processor has the instructions.
            Self::Wide => unsafe { x86::wide(job) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Narrow => unsafe { x86::narrow(job) },
        }
    }
}

/// Rows of signed bytes, end to end.
#[derive(Clone, Debug)]
pub struct ByteRows {
    bytes: Vec<i8>,
    /// The sum of each row.
    sums: Vec<i32>,
    depth: usize,
    set: Set,
}

/// Some of [`ByteRows`] in the order in which the innermost loop reads them.
#[derive(Clone, Debug)]
pub struct BytePanels {
    /// `[panel][depth / 4][row][4]`, all bytes moved by [`OFFSET`].
    data: Vec<u8>,
    rows: usize,
    depth: usize,
    set: Set,
}

impl ByteRows {
    /// Whether this processor multiplies bytes faster than floats, in rows of `depth`.
    pub fn pay(depth: usize) -> bool {
        depth <= DEPTH && !Set::available().is_empty()
    }

    /// Bytes from a row to the next: the depth, with zeros up to a multiple of four.
    pub fn pitch(depth: usize) -> usize {
        depth.next_multiple_of(QUAD)
    }

    /// Takes rows of [`pitch`](Self::pitch) bytes each.
    ///
    /// # Panics
    /// If they are not whole rows, or [do not pay](Self::pay).
    pub fn new(bytes: Vec<i8>, depth: usize) -> Self {
        let pitch = Self::pitch(depth);
        assert!(bytes.len().is_multiple_of(pitch), "whole rows");
        assert!(depth <= DEPTH, "products that fit 32 bits");
        let set = *Set::available().first().expect("a processor that multiplies bytes");
        let sum = |row: &[i8]| row.iter().map(|&byte| i32::from(byte)).sum();
        let sums = bytes.chunks_exact(pitch).map(sum).collect();
        Self { bytes, sums, depth: pitch, set }
    }

    /// Packs the rows in `range` for products with others.
    ///
    /// # Panics
    /// If there are no such rows.
    pub fn pack(&self, range: Range<usize>) -> BytePanels {
        let Self { depth, set, .. } = *self;
        let (rows, width) = (range.len(), set.width());
        let bytes = &self.bytes[range.start * depth..range.end * depth];
        let mut data = vec![0; rows.next_multiple_of(width) * depth];
        for (row, bytes) in bytes.chunks_exact(depth).enumerate() {
            let start = row / width * width * depth + row % width * QUAD;
            let places = data[start..].chunks_mut(width * QUAD);
            for (place, quad) in places.zip(bytes.chunks_exact(QUAD)) {
                for (to, byte) in place.iter_mut().zip(quad) {
                    *to = byte.wrapping_add(i8::MIN).cast_unsigned();
                }
            }
        }
        BytePanels { data, rows, depth, set }
    }
}

impl BytePanels {
    /// Writes the products of the rows of `others` in `range` with all rows of the panels,
    /// (rows in range, rows).
    ///
    /// # Panics
    /// If there are no such rows, or lengths do not fit.
    pub fn products(&self, others: &ByteRows, range: Range<usize>, output: &mut [i32]) {
        assert_eq!(self.depth, others.depth, "rows of one length");
        assert_eq!(output.len(), range.len() * self.rows, "a product for each pair");
        let depth = self.depth;
        let bytes = &others.bytes[range.start * depth..range.end * depth];
        self.set.run(Job { panels: self, bytes, sums: &others.sums[range], output });
    }
}

/// The operands of [`BytePanels::products`].
struct Job<'a> {
    panels: &'a BytePanels,
    /// Whole rows of the depth of the panels.
    bytes: &'a [i8],
    /// The sum of each of those rows.
    sums: &'a [i32],
    /// As many rows, each as long as the panels have rows.
    output: &'a mut [i32],
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of all values, the extreme ones often.
    fn bytes(rows: usize, depth: usize, seed: u32) -> Vec<i8> {
        let pitch = ByteRows::pitch(depth);
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match state >> 29 {
                0 => i8::MIN,
                1 => i8::MAX,
                _ => (state >> 16) as i8,
            }
        };
        let byte = |i: usize| if i % pitch < depth { next() } else { 0 };
        (0..rows * pitch).map(byte).collect()
    }

    #[test]
    fn products_are_those_of_integers() {
        for set in Set::available() {
            for (rows, others, depth) in [(1, 1, 1), (48, 8, 64), (50, 9, 7), (131, 30, 250)] {
                let (a, b) = (bytes(rows, depth, 1), bytes(others, depth, 2));
                let mut a = ByteRows::new(a, depth);
                a.set = set;
                let (first, b) = (rows / 3, ByteRows::new(b, depth));
                let panels = a.pack(first..rows);
                let mut output = vec![0; (rows - first) * (others - others / 4)];
                panels.products(&b, others / 4..others, &mut output);
                let dot = |(a, b): (&[i8], &[i8])| -> i32 {
                    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
                };
                let (a, b) = (a.bytes.chunks(a.depth), b.bytes.chunks(b.depth));
                let expected: Vec<i32> = b
                    .skip(others / 4)
                    .flat_map(|b| a.clone().skip(first).map(move |a| (a, b)))
                    .map(dot)
                    .collect();
                assert_eq!(output, expected, "{set:?} {rows} {others} {depth}");
            }
        }
    }

    #[test]
    fn the_largest_products_do_not_overflow() {
        for set in Set::available() {
            let mut rows =
                ByteRows::new([vec![i8::MIN; DEPTH], vec![i8::MAX; DEPTH]].concat(), DEPTH);
            rows.set = set;
            let mut output = [0; 4];
            rows.pack(0..2).products(&rows, 0..2, &mut output);
            let depth = DEPTH as i32;
            assert_eq!(output, [16384 * depth, -16256 * depth, -16256 * depth, 16129 * depth]);
        }
    }
}
