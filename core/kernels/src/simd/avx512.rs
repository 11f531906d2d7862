//! AVX-512: one register a vector, tiles of 14 rows by 32 columns in 28 of the 32 registers.

use std::arch::x86_64::{
    __m512, _CMP_UNORD_Q, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm512_abs_ps, _mm512_add_ps,
    _mm512_cmp_ps_mask, _mm512_div_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_mov_ps,
    _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_scalef_ps, _mm512_set1_ps,
    _mm512_storeu_ps, _mm512_sub_ps,
};

use super::{Job, LANES, Product, Simd, tile};

/// Proof that the processor has AVX-512F.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

/// # Safety
/// The processor must have AVX-512F.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn run<J: Job>(job: J) {
    job.run(Avx512(()));
}

/// # Safety
/// The processor must have AVX-512F; `product` as [`Simd::product`].
#[target_feature(enable = "avx512f")]
#[inline(never)]
unsafe fn product<const R: usize, const C: usize, const IN_PLACE: bool>(product: Product) {
    // SAFETY: as promised by the caller.
    unsafe { tile::<_, R, C, IN_PLACE>(Avx512(()), product) }
}

// SAFETY of every intrinsic below: the value of `Avx512` proves the instruction set.
impl Simd for Avx512 {
    type Vector = __m512;
    const ROWS: usize = 14;
    const VECTORS: usize = 2;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> __m512 {
        // SAFETY: see above; `from` is sixteen floats.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, vector: __m512, to: &mut [f32; LANES]) {
        // SAFETY: see above; `to` is sixteen floats.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), vector) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, sum: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    fn at_least(self, bound: __m512, value: __m512) -> __m512 {
        // SAFETY: see above. The instruction returns its second operand when one is NaN.
        unsafe { _mm512_max_ps(bound, value) }
    }

    #[inline(always)]
    fn at_most(self, bound: __m512, value: __m512) -> __m512 {
        // SAFETY: see above. The instruction returns its second operand when one is NaN.
        unsafe { _mm512_min_ps(bound, value) }
    }

    #[inline(always)]
    fn larger(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe {
            _mm512_mask_mov_ps(_mm512_max_ps(a, b), _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), a)
        }
    }

    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_abs_ps(a) }
    }

    #[inline(always)]
    fn times_pow2(self, a: __m512, n: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_scalef_ps(a, n) }
    }

    #[inline(always)]
    fn prefetch(self, from: *const f32) {
        // SAFETY: every x86-64 processor has the instruction, and it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }

    #[inline(always)]
    fn prefetch_far(self, from: *const f32) {
        // SAFETY: every x86-64 processor has the instruction, and it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) }
    }

    #[inline(always)]
    unsafe fn product(self, rows: usize, vectors: usize, operands: Product) {
        assert!(rows <= Self::ROWS && (1..=Self::VECTORS).contains(&vectors));
        // A class token and 16 x 16 patches leave five rows after strips of 14.
        // SAFETY: see above; `operands` as promised by the caller. The tile has at least `rows`
        // rows and at most `ROWS`.
        unsafe {
            match (vectors, rows) {
                (2, _) if operands.step > 0 => product::<14, 2, true>(operands),
                _ if operands.step > 0 => product::<14, 1, true>(operands),
                (2, 13..) => product::<14, 2, false>(operands),
                (2, 11..) => product::<12, 2, false>(operands),
                (2, 9..) => product::<10, 2, false>(operands),
                (2, 7..) => product::<8, 2, false>(operands),
                (2, 6) => product::<6, 2, false>(operands),
                (2, 5) => product::<5, 2, false>(operands),
                (2, 3..) => product::<4, 2, false>(operands),
                (2, _) => product::<2, 2, false>(operands),
                (_, 9..) => product::<14, 1, false>(operands),
                _ => product::<8, 1, false>(operands),
            }
        }
    }
}
