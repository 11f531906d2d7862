//! Functions of sixteen floats: the exponential and what is made of it.

use std::f32::consts::LOG2_E;
use std::f64::consts::LN_2;

use crate::simd::Simd;

/// A sum with this number rounds to a whole number.
const ROUND: f32 = 1.5 * (1 << 23) as f32;
/// The first digits of `ln 2`: a product with any exponent is exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
/// The other digits.
const LN_2_LOW: f32 = (LN_2 - 355.0 / 512.0) as f32;
/// `1 / k!`; the terms beyond are below 6e-9 for the arguments that are left.
const TAYLOR: [f32; 8] =
    [1.0, 1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];

/// `e^x` of each lane for `x` limited to -87..88; relative error 2e-7. A NaN stays a NaN.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let x = simd.at_most(simd.splat(88.0), simd.at_least(simd.splat(-87.0), x));
    let round = simd.splat(ROUND);
    let n = simd.sub(simd.mul_add(x, simd.splat(LOG2_E), round), round);
    let rest = simd.mul_add(n, simd.splat(-LN_2_HIGH), x);
    let rest = simd.mul_add(n, simd.splat(-LN_2_LOW), rest);
    simd.mul(polynomial(simd, rest, &TAYLOR), simd.pow2(n))
}

/// The polynomial with these coefficients, the constant first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::Vector, terms: &[f32; N]) -> S::Vector {
    let mut sum = simd.splat(terms[N - 1]);
    for term in terms.iter().rev().skip(1) {
        sum = simd.mul_add(sum, x, simd.splat(*term));
    }
    sum
}

/// Step of the substitution `q = 1 / (1 + STEP z)` in [`TAIL`].
const STEP: f32 = 0.36;
/// `e^(z^2) erfc(z) / (2 q)` as a polynomial of `q`, interpolated at Chebyshev's nodes of 0..1;
/// relative error 5e-8. The step is the one of some dozen tried with the smallest error.
const TAIL: [f32; 10] = [
    0.101_554_12,
    0.101_554_61,
    0.094_954_68,
    0.082_119_08,
    0.060_703_77,
    0.055_289_66,
    -0.017_534_83,
    0.074_696_17,
    -0.072_483_02,
    0.019_145_79,
];

/// `x Phi(x)` of each lane, with the distribution function `Phi` of the normal distribution:
/// `max(x, 0) - |x| erfc(|x| / sqrt 2) / 2`.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let zero = simd.splat(0.0);
    let size = simd.larger(x, simd.sub(zero, x));
    let z = simd.mul(size, simd.splat(std::f32::consts::FRAC_1_SQRT_2));
    let one = simd.splat(1.0);
    let q = simd.div(one, simd.mul_add(z, simd.splat(STEP), one));
    let scaled = simd.mul(q, polynomial(simd, q, &TAIL));
    let tail = simd.mul(scaled, exp(simd, simd.sub(zero, simd.mul(z, z))));
    simd.sub(simd.at_least(zero, x), simd.mul(size, tail))
}

/// `x / (1 + e^(-slope x))` of each lane.
#[inline(always)]
pub(crate) fn swish<S: Simd>(simd: S, x: S::Vector, slope: f32) -> S::Vector {
    let power = exp(simd, simd.mul(x, simd.splat(-slope)));
    simd.div(x, simd.add(simd.splat(1.0), power))
}
