//! AVX2 with FMA: two registers a vector, tiles of 6 rows by 16 columns in 12 of 16 registers.

use std::arch::x86_64::{
    __m256, _CMP_UNORD_Q, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm256_add_epi32, _mm256_add_ps,
    _mm256_andnot_ps, _mm256_blendv_ps, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cvtps_epi32,
    _mm256_div_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_ps,
};

use super::{Job, LANES, Product, Simd, tile};

/// Proof that the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// # Safety
/// The processor must have AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run<J: Job>(job: J) {
    job.run(Avx2(()));
}

/// # Safety
/// The processor must have AVX2 and FMA; `product` as [`Simd::product`].
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
unsafe fn product<const R: usize, const IN_PLACE: bool>(product: Product) {
    // SAFETY: as promised by the caller.
    unsafe { tile::<_, R, 1, IN_PLACE>(Avx2(()), product) }
}

// SAFETY of every intrinsic below: the value of `Avx2` proves the instruction set.
impl Simd for Avx2 {
    type Vector = [__m256; 2];
    const ROWS: usize = 6;
    const VECTORS: usize = 1;

    #[inline(always)]
    fn splat(self, value: f32) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_set1_ps(value); 2] }
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> [__m256; 2] {
        // SAFETY: see above; `from` is twice eight floats.
        unsafe { [_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))] }
    }

    #[inline(always)]
    fn store(self, vector: [__m256; 2], to: &mut [f32; LANES]) {
        // SAFETY: see above; `to` is twice eight floats.
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), vector[0]);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), vector[1]);
        }
    }

    #[inline(always)]
    fn add(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn sub(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn div(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul_add(self, a: [__m256; 2], b: [__m256; 2], sum: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], sum[0]), _mm256_fmadd_ps(a[1], b[1], sum[1])] }
    }

    #[inline(always)]
    fn at_least(self, bound: [__m256; 2], value: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above. The instruction returns its second operand when one is NaN.
        unsafe { [_mm256_max_ps(bound[0], value[0]), _mm256_max_ps(bound[1], value[1])] }
    }

    #[inline(always)]
    fn at_most(self, bound: [__m256; 2], value: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above. The instruction returns its second operand when one is NaN.
        unsafe { [_mm256_min_ps(bound[0], value[0]), _mm256_min_ps(bound[1], value[1])] }
    }

    #[inline(always)]
    fn larger(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe {
            [
                _mm256_blendv_ps(
                    _mm256_max_ps(a[0], b[0]),
                    a[0],
                    _mm256_cmp_ps::<_CMP_UNORD_Q>(a[0], a[0]),
                ),
                _mm256_blendv_ps(
                    _mm256_max_ps(a[1], b[1]),
                    a[1],
                    _mm256_cmp_ps::<_CMP_UNORD_Q>(a[1], a[1]),
                ),
            ]
        }
    }

    #[inline(always)]
    fn abs(self, a: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above. The first bit is the sign.
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            [_mm256_andnot_ps(sign, a[0]), _mm256_andnot_ps(sign, a[1])]
        }
    }

    #[inline(always)]
    fn times_pow2(self, a: [__m256; 2], n: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above. The bits of the exponent alone make a power of two.
        unsafe {
            let bias = _mm256_set1_epi32(127);
            let low = _mm256_add_epi32(_mm256_cvtps_epi32(n[0]), bias);
            let high = _mm256_add_epi32(_mm256_cvtps_epi32(n[1]), bias);
            let low = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(low));
            let high = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(high));
            [_mm256_mul_ps(a[0], low), _mm256_mul_ps(a[1], high)]
        }
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
        assert!(rows <= Self::ROWS && vectors == 1);
        // SAFETY: see above; `operands` as promised by the caller. The tile has at least `rows`
        // rows and at most `ROWS`.
        unsafe {
            match rows {
                _ if operands.step > 0 => product::<6, true>(operands),
                4.. => product::<6, false>(operands),
                _ => product::<3, false>(operands),
            }
        }
    }
}
