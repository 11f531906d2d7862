//! Aligned buffers: packed weights, and the working memory of each thread.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

use crate::simd::LANES;

/// Sixteen floats in a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

/// A buffer of floats that starts at a cache line and ends with one.
///
/// Vectors of a map that does not start at one lie across two, and cost twice.
#[derive(Clone, Debug, Default)]
pub struct Lines(Vec<Line>);

impl Lines {
    /// At least `length` zeros.
    pub fn zeros(length: usize) -> Self {
        Self(vec![Line([0.0; LANES]); length.div_ceil(LANES)])
    }

    fn grow(&mut self, length: usize) {
        if self.len() < length {
            *self = Self::zeros(length);
        }
    }
}

impl Deref for Lines {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a `Line` is sixteen floats without padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LANES) }
    }
}

impl DerefMut for Lines {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: a `Line` is sixteen floats without padding.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LANES) }
    }
}

thread_local! {
    static SCRATCH: Cell<Lines> = const { Cell::new(Lines(Vec::new())) };
}

/// The working memory of this thread, on loan.
///
/// A guard rather than a function that calls back: a closure need not be inlined, and vector code
/// that is not inlined loses its instruction set.
pub(crate) struct Scratch(Lines);

impl Scratch {
    /// Takes the memory of this thread; its content is left over from the last loan.
    pub(crate) fn take() -> Self {
        Self(SCRATCH.take())
    }

    /// Buffers of the given lengths at least, each aligned to a cache line.
    pub(crate) fn split<const N: usize>(&mut self, lengths: [usize; N]) -> [&mut [f32]; N] {
        let lengths = lengths.map(|length| length.next_multiple_of(LANES));
        self.0.grow(lengths.iter().sum());
        let mut rest = &mut self.0[..];
        lengths.map(|length| rest.split_off_mut(..length).expect("the sum of lengths fits"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        SCRATCH.set(std::mem::take(&mut self.0));
    }
}
