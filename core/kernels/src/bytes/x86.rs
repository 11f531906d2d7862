//! The vector neural network instructions of x86-64.

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_dpbusd_avx_epi32, _mm256_loadu_si256, _mm256_set1_epi32,
    _mm256_storeu_si256, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_storeu_si512,
};

use super::{Job, OFFSET, QUAD, VECTORS};

/// # Safety
/// The processor must have AVX-512F and AVX-512 VNNI.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn wide(job: Job<'_>) {
    run::<_, 8>(Wide(()), job);
}

/// # Safety
/// The processor must have AVX2 and AVX-VNNI.
#[target_feature(enable = "avx2,avxvnni")]
pub(super) unsafe fn narrow(job: Job<'_>) {
    run::<_, 4>(Narrow(()), job);
}

/// A vector of 32-bit lanes. A value of the type proves that the processor has its instructions.
trait Lanes: Copy {
    type Vector: Copy;
    const COUNT: usize;

    fn splat(self, value: i32) -> Self::Vector;

    /// # Safety
    /// `from` must be valid for reads of a vector.
    unsafe fn read(self, from: *const u8) -> Self::Vector;

    /// # Safety
    /// `to` must be valid for writes of a vector.
    unsafe fn write(self, vector: Self::Vector, to: *mut i32);

    /// `sum + a[0] b[0] + .. + a[3] b[3]` in each lane, the bytes of `a` unsigned, those of `b` not.
    fn dot(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;
}

/// Proof that the processor has AVX-512F and AVX-512 VNNI.
#[derive(Clone, Copy)]
pub(super) struct Wide(());

impl Wide {
    pub(super) const LANES: usize = 16;
}

// SAFETY of every intrinsic below: the value of `Wide` proves the instructions.
impl Lanes for Wide {
    type Vector = __m512i;
    const COUNT: usize = Self::LANES;

    #[inline(always)]
    fn splat(self, value: i32) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn read(self, from: *const u8) -> __m512i {
        // SAFETY: see above; `from` as promised by the caller.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn write(self, vector: __m512i, to: *mut i32) {
        // SAFETY: see above; `to` as promised by the caller.
        unsafe { _mm512_storeu_si512(to.cast(), vector) }
    }

    #[inline(always)]
    fn dot(self, sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_dpbusd_epi32(sum, a, b) }
    }
}

/// Proof that the processor has AVX2 and AVX-VNNI.
#[derive(Clone, Copy)]
pub(super) struct Narrow(());

impl Narrow {
    pub(super) const LANES: usize = 8;
}

// SAFETY of every intrinsic below: the value of `Narrow` proves the instructions.
impl Lanes for Narrow {
    type Vector = __m256i;
    const COUNT: usize = Self::LANES;

    #[inline(always)]
    fn splat(self, value: i32) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn read(self, from: *const u8) -> __m256i {
        // SAFETY: see above; `from` as promised by the caller.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn write(self, vector: __m256i, to: *mut i32) {
        // SAFETY: see above; `to` as promised by the caller.
        unsafe { _mm256_storeu_si256(to.cast(), vector) }
    }

    #[inline(always)]
    fn dot(self, sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_dpbusd_avx_epi32(sum, a, b) }
    }
}

/// Tiles of `R` rows of the job by one panel.
#[inline(always)]
fn run<L: Lanes, const R: usize>(lanes: L, job: Job<'_>) {
    let Job { panels, bytes, sums, output } = job;
    let (depth, width) = (panels.depth, VECTORS * L::COUNT);
    for (index, panel) in panels.data.chunks_exact(width * depth).enumerate() {
        let first = index * width;
        let columns = width.min(panels.rows - first);
        for (rows, sums) in (0..sums.len()).step_by(R).zip(sums.chunks(R)) {
            // Missing rows of the last tile repeat its last one.
            let mut tile = [[lanes.splat(0); VECTORS]; R];
            let mut starts = [bytes.as_ptr(); R];
            for r in 0..R {
                let row = r.min(sums.len() - 1);
                tile[r] = [lanes.splat(sums[row].wrapping_mul(-OFFSET)); VECTORS];
                starts[r] = bytes[(rows + row) * depth..][..depth].as_ptr();
            }
            for quad in 0..depth / QUAD {
                // SAFETY: the panel contains `VECTORS` vectors for each quad, and the rows that
                // start at `starts` are `depth` bytes long.
                unsafe {
                    let mut a = [lanes.splat(0); VECTORS];
                    for (c, a) in a.iter_mut().enumerate() {
                        *a = lanes.read(panel.as_ptr().add((quad * width + c * L::COUNT) * QUAD));
                    }
                    for (sums, start) in tile.iter_mut().zip(starts) {
                        let b = start.add(quad * QUAD).cast::<i32>().read_unaligned();
                        let b = lanes.splat(b);
                        for (sum, a) in sums.iter_mut().zip(a) {
                            *sum = lanes.dot(*sum, a, b);
                        }
                    }
                }
            }
            for (r, tile) in tile.iter().take(sums.len()).enumerate() {
                let mut row = [0; VECTORS * Wide::LANES];
                for (vector, to) in tile.iter().zip(row.chunks_exact_mut(L::COUNT)) {
                    // SAFETY: `to` is as long as the vector.
                    unsafe { lanes.write(*vector, to.as_mut_ptr()) };
                }
                output[(rows + r) * panels.rows + first..][..columns]
                    .copy_from_slice(&row[..columns]);
            }
        }
    }
}
