//! A sample of rows that depends on the rows alone, not on their order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::{Features, Result};

/// Rows that a sample keeps: enough for a variance to some 3 %.
pub const SAMPLE: usize = 1024;

/// Lanes of the digest, which are independent of each other.
const LANES: usize = 4;

/// The rows with the smallest digests of their bytes, at most [`SAMPLE`] of them: a uniform sample
/// without replacement, unless rows repeat.
///
/// Samples of parts of a set merge to the sample of the whole, in any order. Cohen and Kaplan,
/// "Summarizing data using bottom-k sketches", 2007.
#[derive(Debug, Clone)]
pub struct RowSample {
    dim: usize,
    kept: BinaryHeap<Keyed>,
}

impl RowSample {
    pub(crate) fn empty(dim: usize) -> Self {
        Self { dim, kept: BinaryHeap::new() }
    }

    /// The sample of all rows.
    pub fn of(features: &Features) -> Features {
        let mut sample = Self::empty(features.dim());
        sample.push(features.as_slice());
        sample.finish()
    }

    /// The sample of both samples.
    ///
    /// # Errors
    /// [`Error::Dimension`](crate::Error::Dimension) if they are not equally wide.
    pub fn merge(a: &Features, b: &Features) -> Result<Features> {
        let mut both = a.clone();
        both.append(b)?;
        Ok(Self::of(&both))
    }

    /// Offers rows laid end to end.
    pub(crate) fn push(&mut self, rows: &[f32]) {
        for row in rows.chunks_exact(self.dim) {
            let digest = digest(row);
            let full = self.kept.len() == SAMPLE;
            if full && self.kept.peek().is_some_and(|last| last.digest < digest) {
                continue;
            }
            self.kept.push(Keyed { digest, row: row.into() });
            if full {
                self.kept.pop();
            }
        }
    }

    /// The rows, in the order of their digests.
    pub(crate) fn finish(self) -> Features {
        let rows = self.kept.into_sorted_vec();
        Features::of_rows(rows.iter().flat_map(|keyed| keyed.row.iter().copied()), self.dim)
    }
}

impl PartialEq for RowSample {
    fn eq(&self, other: &Self) -> bool {
        self.clone().finish() == other.clone().finish()
    }
}

/// A row in the order of its digest.
#[derive(Debug, Clone)]
struct Keyed {
    digest: u64,
    row: Box<[f32]>,
}

impl Ord for Keyed {
    fn cmp(&self, other: &Self) -> Ordering {
        let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        self.digest.cmp(&other.digest).then_with(|| bits(&self.row).cmp(&bits(&other.row)))
    }
}

impl PartialOrd for Keyed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Keyed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Keyed {}

/// A digest of the bits of a row, whose values are spread evenly: multiplications by an odd
/// constant, and the finalizer of splitmix64.
fn digest(row: &[f32]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let step =
        |sum: u64, x: f32| (sum ^ u64::from(x.to_bits())).wrapping_mul(FACTOR).rotate_left(29);
    let (lanes, rest) = row.as_chunks::<LANES>();
    let mut sums = [1, 2, 3, 4];
    for lane in lanes {
        for (sum, &x) in sums.iter_mut().zip(lane) {
            *sum = step(*sum, x);
        }
    }
    for (sum, &x) in sums.iter_mut().zip(rest) {
        *sum = step(*sum, x);
    }
    sums.into_iter().fold(0, |digest: u64, sum| {
        let mut z = (digest ^ sum).wrapping_mul(FACTOR);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize) -> Features {
        Features::from_vec(ganscope_golden::tensor("rows", &[n, 7], (0.0, 1.0), 0), 7).unwrap()
    }

    #[test]
    fn samples_of_parts_merge_to_that_of_the_whole() {
        let all = rows(5000);
        let part =
            |from: usize, to: usize| RowSample::of(&all.select(&(from..to).collect::<Vec<_>>()));
        let (a, b, c) = (part(0, 900), part(900, 3700), part(3700, 5000));
        let merged = |x: &Features, y: &Features, z: &Features| {
            RowSample::merge(&RowSample::merge(x, y).unwrap(), z).unwrap()
        };
        let whole = RowSample::of(&all);
        assert_eq!((whole.len(), a.len()), (SAMPLE, 900));
        assert_eq!(merged(&a, &b, &c), whole);
        assert_eq!(merged(&c, &a, &b), whole);
    }

    #[test]
    fn the_sample_is_uniform() {
        // Of 5000 ordered rows 1024 are kept: the mean index of n drawn without replacement is off
        // by 5000 sqrt((1 - n/5000) / 12 n), 40.
        let all = Features::from_vec((0..5000).map(|i| i as f32).collect(), 1).unwrap();
        let sample = RowSample::of(&all);
        let mean = sample.as_slice().iter().sum::<f32>() / sample.len() as f32;
        assert!((mean - 2499.5).abs() < 4.0 * 40.0, "{mean}");
        let squares: f32 = sample.as_slice().iter().map(|x| (x - mean).powi(2)).sum();
        let deviation = (squares / sample.len() as f32).sqrt();
        assert!((deviation / (5000.0 / 12f32.sqrt()) - 1.0).abs() < 0.06, "{deviation}");
    }

    #[test]
    fn repeated_rows_are_kept_as_often() {
        let copies = Features::from_vec([1.0, 2.0].repeat(9), 2).unwrap();
        assert_eq!(RowSample::of(&copies), copies);
    }
}
