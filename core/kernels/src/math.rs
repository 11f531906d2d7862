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
/// `e^x` for `x` within `ln 2 / 2` of zero: the polynomial of its degree with the smallest relative
/// error, 2e-9.
const POWER: [f32; 7] =
    [1.0, 1.0, 0.499_999_9, 0.166_664_2, 0.041_668_23, 0.008_374_857, 0.001_383_679_4];

/// `e^x` of each lane for `x` limited to -87..88; relative error 2e-7. A NaN stays a NaN.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    power(simd, simd.at_most(simd.splat(88.0), simd.at_least(simd.splat(-87.0), x)))
}

/// `e^x` of lanes that are all within -87..88, or NaN.
#[inline(always)]
fn power<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let round = simd.splat(ROUND);
    let n = simd.sub(simd.mul_add(x, simd.splat(LOG2_E), round), round);
    let rest = simd.mul_add(n, simd.splat(-LN_2_HIGH), x);
    let rest = simd.mul_add(n, simd.splat(-LN_2_LOW), rest);
    simd.times_pow2(polynomial(simd, rest, &POWER), n)
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

/// Step of the substitution `q = 1 / (1 + STEP x)` in [`TAIL`]: of some dozen the one with the
/// smallest error.
const STEP: f32 = 0.28;
/// `e^(x^2 / 2) erfc(x / sqrt 2) / (2 q)` as a polynomial of `q`: the one of its degree with the
/// smallest error of `erfc(x / sqrt 2) / 2`, 9e-9.
const TAIL: [f32; 6] =
    [0.116_520_91, 0.067_495_9, 0.268_912_32, -0.236_996_17, 0.389_875_69, -0.105_808_66];
/// The tail is nothing beyond.
const FAR: f32 = 13.0;

/// `x Phi(x)` of each lane, with the distribution function `Phi` of the normal distribution:
/// `max(x, 0) - |x| erfc(|x| / sqrt 2) / 2`.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let size = simd.at_most(simd.splat(FAR), simd.abs(x));
    let one = simd.splat(1.0);
    let q = simd.div(one, simd.mul_add(size, simd.splat(STEP), one));
    let power = power(simd, simd.mul(size, simd.mul(size, simd.splat(-0.5))));
    let part = simd.mul(simd.mul(size, q), power);
    let tail = simd.mul(part, polynomial(simd, q, &TAIL));
    simd.sub(simd.at_least(simd.splat(0.0), x), tail)
}

/// `x / (1 + e^(-slope x))` of each lane.
#[inline(always)]
pub(crate) fn swish<S: Simd>(simd: S, x: S::Vector, slope: f32) -> S::Vector {
    let power = exp(simd, simd.mul(x, simd.splat(-slope)));
    simd.div(x, simd.add(simd.splat(1.0), power))
}
