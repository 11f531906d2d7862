//! Plain Rust over arrays of sixteen floats.

use std::array::from_fn;

use super::{LANES, Product, Simd, tile};

/// Any processor.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// Fused where the target has the instruction: a call to the C library would take its place.
const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

impl Simd for Portable {
    type Vector = [f32; LANES];
    const ROWS: usize = 4;
    const VECTORS: usize = 1;

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; LANES] {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> [f32; LANES] {
        *from
    }

    #[inline(always)]
    fn store(self, vector: [f32; LANES], to: &mut [f32; LANES]) {
        *to = vector;
    }

    #[inline(always)]
    fn add(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn div(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        from_fn(|i| a[i] / b[i])
    }

    #[inline(always)]
    fn mul(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn mul_add(self, a: [f32; LANES], b: [f32; LANES], sum: [f32; LANES]) -> [f32; LANES] {
        from_fn(|i| if FUSED { a[i].mul_add(b[i], sum[i]) } else { a[i] * b[i] + sum[i] })
    }

    #[inline(always)]
    fn at_least(self, bound: [f32; LANES], value: [f32; LANES]) -> [f32; LANES] {
        from_fn(|i| if bound[i] > value[i] { bound[i] } else { value[i] })
    }

    #[inline(always)]
    fn at_most(self, bound: [f32; LANES], value: [f32; LANES]) -> [f32; LANES] {
        from_fn(|i| if bound[i] < value[i] { bound[i] } else { value[i] })
    }

    #[inline(always)]
    fn larger(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        from_fn(|i| if a[i] > b[i] || a[i].is_nan() { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn abs(self, a: [f32; LANES]) -> [f32; LANES] {
        a.map(f32::abs)
    }

    #[inline(always)]
    fn times_pow2(self, a: [f32; LANES], n: [f32; LANES]) -> [f32; LANES] {
        from_fn(|i| a[i] * f32::from_bits(((n[i] as i32).wrapping_add(127) as u32) << 23))
    }

    #[inline(always)]
    fn prefetch(self, _: *const f32) {}

    #[inline(always)]
    fn prefetch_far(self, _: *const f32) {}

    #[inline(always)]
    unsafe fn product(self, rows: usize, vectors: usize, operands: Product) {
        assert!(rows <= Self::ROWS && vectors == 1);
        // SAFETY: as promised by the caller.
        unsafe {
            match operands.step {
                0 => tile::<_, 4, 1, false>(self, operands),
                _ => tile::<_, 4, 1, true>(self, operands),
            }
        }
    }
}
