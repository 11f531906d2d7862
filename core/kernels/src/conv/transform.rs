//! Winograd's transforms of a whole tile, along one axis or both.

use std::marker::PhantomData;

use crate::conv::points::{Axis, Points};
use crate::simd::Simd;

/// Points of the largest transform.
pub(super) const POINTS: usize = 64;
/// Outputs of the largest tile.
pub(super) const OUTPUTS: usize = 16;

/// The transforms of a tile.
pub(super) trait Transform: Sync {
    /// Points along each axis.
    const AXES: [usize; 2];
    /// Outputs along each axis.
    const TILE: [usize; 2];
    /// Inputs from output to output.
    const STRIDE: usize = 1;
    /// Points of a tile.
    const POINTS: usize = Self::AXES[0] * Self::AXES[1];

    /// Transforms the vectors at `offset` of the sources to points that lie `pitch` floats apart.
    ///
    /// # Safety
    /// The first `POINTS` sources are readable, and `to` is writable, at those places.
    unsafe fn analyse<S: Simd>(
        simd: S,
        sources: &[*const f32; POINTS],
        offset: usize,
        to: *mut f32,
        pitch: usize,
    );

    /// Transforms products that lie `pitch` floats apart into outputs.
    ///
    /// # Safety
    /// `from` is readable at those places.
    unsafe fn synthesise<S: Simd>(
        simd: S,
        from: *const f32,
        pitch: usize,
        outputs: &mut [S::Vector; OUTPUTS],
    );
}

/// `P` points to `M` outputs along the rows of a column.
pub(super) struct Rows<const P: usize, const M: usize>;

/// `P` points to `M` outputs along the columns of a row.
pub(super) struct Columns<const P: usize, const M: usize>;

/// `A` along both axes: `P` points to `M` outputs.
pub(super) struct Square<A, const P: usize, const M: usize>(PhantomData<A>);

impl<const P: usize, const M: usize> Transform for Rows<P, M> {
    const AXES: [usize; 2] = [P, 1];
    const TILE: [usize; 2] = [M, 1];

    #[inline(always)]
    unsafe fn analyse<S: Simd>(
        simd: S,
        sources: &[*const f32; POINTS],
        offset: usize,
        to: *mut f32,
        pitch: usize,
    ) {
        let mut line = [simd.splat(0.0); P];
        for (value, source) in line.iter_mut().zip(sources) {
            // SAFETY: as promised by the caller.
            *value = unsafe { simd.read(source.add(offset)) };
        }
        for (point, value) in <Points<P> as Axis<P, M>>::analyse(simd, line).into_iter().enumerate()
        {
            // SAFETY: as promised by the caller.
            unsafe { simd.write(value, to.add(point * pitch)) };
        }
    }

    #[inline(always)]
    unsafe fn synthesise<S: Simd>(
        simd: S,
        from: *const f32,
        pitch: usize,
        outputs: &mut [S::Vector; OUTPUTS],
    ) {
        let mut line = [simd.splat(0.0); P];
        for (point, value) in line.iter_mut().enumerate() {
            // SAFETY: as promised by the caller.
            *value = unsafe { simd.read(from.add(point * pitch)) };
        }
        let values: [_; M] = Points::<P>::synthesise(simd, line);
        outputs[..M].copy_from_slice(&values);
    }
}

impl<const P: usize, const M: usize> Transform for Columns<P, M> {
    const AXES: [usize; 2] = [1, P];
    const TILE: [usize; 2] = [1, M];

    #[inline(always)]
    unsafe fn analyse<S: Simd>(
        simd: S,
        sources: &[*const f32; POINTS],
        offset: usize,
        to: *mut f32,
        pitch: usize,
    ) {
        // SAFETY: as promised by the caller.
        unsafe { Rows::<P, M>::analyse(simd, sources, offset, to, pitch) };
    }

    #[inline(always)]
    unsafe fn synthesise<S: Simd>(
        simd: S,
        from: *const f32,
        pitch: usize,
        outputs: &mut [S::Vector; OUTPUTS],
    ) {
        // SAFETY: as promised by the caller.
        unsafe { Rows::<P, M>::synthesise(simd, from, pitch, outputs) };
    }
}

impl<A: Axis<P, M>, const P: usize, const M: usize> Transform for Square<A, P, M> {
    const AXES: [usize; 2] = [P, P];
    const TILE: [usize; 2] = [M, M];
    const STRIDE: usize = A::STRIDE;

    #[inline(always)]
    unsafe fn analyse<S: Simd>(
        simd: S,
        sources: &[*const f32; POINTS],
        offset: usize,
        to: *mut f32,
        pitch: usize,
    ) {
        let mut rows = [[simd.splat(0.0); P]; P];
        for x in 0..P {
            let mut column = [simd.splat(0.0); P];
            for (y, value) in column.iter_mut().enumerate() {
                // SAFETY: as promised by the caller.
                *value = unsafe { simd.read(sources[y * P + x].add(offset)) };
            }
            for (row, value) in rows.iter_mut().zip(A::analyse(simd, column)) {
                row[x] = value;
            }
        }
        for (y, row) in rows.into_iter().enumerate() {
            for (x, value) in A::analyse(simd, row).into_iter().enumerate() {
                // SAFETY: as promised by the caller.
                unsafe { simd.write(value, to.add((y * P + x) * pitch)) };
            }
        }
    }

    #[inline(always)]
    unsafe fn synthesise<S: Simd>(
        simd: S,
        from: *const f32,
        pitch: usize,
        outputs: &mut [S::Vector; OUTPUTS],
    ) {
        let mut rows = [[simd.splat(0.0); P]; M];
        for x in 0..P {
            let mut column = [simd.splat(0.0); P];
            for (y, value) in column.iter_mut().enumerate() {
                // SAFETY: as promised by the caller.
                *value = unsafe { simd.read(from.add((y * P + x) * pitch)) };
            }
            let column = A::synthesise(simd, column);
            for (row, value) in rows.iter_mut().zip(column) {
                row[x] = value;
            }
        }
        for (row, outputs) in rows.into_iter().zip(outputs.chunks_exact_mut(M)) {
            outputs.copy_from_slice(&A::synthesise(simd, row));
        }
    }
}
