//! The transforms of Winograd's short convolutions, for interpolation points in pairs.
//!
//! Winograd, "Arithmetic Complexity of Computations", 1980; Lavin and Gray, "Fast Algorithms for
//! Convolutional Neural Networks", 2015, <https://arxiv.org/abs/1509.09308>.
//!
//! `M` outputs of a filter of `R` taps depend on `P = M + R - 1` inputs. Both are polynomials;
//! their product is known from its values at `P` points, here `0`, pairs `p, -p`, and infinity.
//! The input passes the transposed interpolation ([`Points::analyse`]), the filter is evaluated
//! ([`Points::filter`]), and the products pass the transposed evaluation
//! ([`Points::synthesise`]). A pair shares its even and odd parts, which halves the additions.

use crate::simd::Simd;

/// The transforms with `P` points. The order of points is `0, p1, -p1, p2, -p2, .., infinity`.
pub(crate) struct Points<const P: usize>;

/// Pairs of the largest transform.
const PAIRS: usize = 5;

/// The positive members of the pairs of `points` points.
///
/// They lie around 1, where powers neither grow nor vanish, and are short binary fractions. Of a
/// few dozen sets tried these gave the smallest errors.
const fn pairs(points: usize) -> [f64; PAIRS] {
    match points {
        6 => [0.75, 1.5, 0.0, 0.0, 0.0],
        8 => [1.0, 2.0, 0.5, 0.0, 0.0],
        _ => [0.3125, 0.625, 0.875, 1.25, 2.0],
    }
}

/// Coefficients of `prod (y - p^2)` over the pairs of `points` points except pair `skip`.
const fn squares(points: usize, skip: usize) -> [f64; PAIRS + 1] {
    let mut polynomial = [0.0; PAIRS + 1];
    polynomial[0] = 1.0;
    let mut pair = 0;
    while pair < points / 2 - 1 {
        if pair != skip {
            let square = pairs(points)[pair] * pairs(points)[pair];
            let mut power = PAIRS;
            while power > 0 {
                polynomial[power] = polynomial[power - 1] - square * polynomial[power];
                power -= 1;
            }
            polynomial[0] *= -square;
        }
        pair += 1;
    }
    polynomial
}

/// `value` to the power of `exponent`.
const fn power(value: f64, exponent: usize) -> f64 {
    let mut product = 1.0;
    let mut i = 0;
    while i < exponent {
        product *= value;
        i += 1;
    }
    product
}

impl<const P: usize> Points<P> {
    /// Number of pairs.
    const COUNT: usize = P / 2 - 1;
    /// The positive members of the pairs.
    const PAIR: [f64; PAIRS] = pairs(P);
    /// The polynomial that vanishes at all pairs, in `y = x^2`.
    const ALL: [f64; PAIRS + 1] = squares(P, usize::MAX);
    /// The polynomials that vanish at all pairs but one, in `y = x^2`.
    const OTHERS: [[f64; PAIRS + 1]; PAIRS] = {
        let mut others = [[0.0; PAIRS + 1]; PAIRS];
        let mut pair = 0;
        while pair < Self::COUNT {
            others[pair] = squares(P, pair);
            pair += 1;
        }
        others
    };

    /// The matrix, (P, taps), that evaluates a filter at each point and divides it by what the
    /// interpolation polynomial is there.
    pub(crate) fn filter(taps: usize) -> Vec<Vec<f64>> {
        let powers = |x: f64, divisor: f64| -> Vec<f64> {
            (0..taps).map(|tap| power(x, tap) / divisor).collect()
        };
        let mut rows = vec![powers(0.0, Self::ALL[0])];
        for pair in 0..Self::COUNT {
            let p = Self::PAIR[pair];
            let others =
                Self::OTHERS[pair].iter().rev().fold(0.0, |sum, value| sum * (p * p) + value);
            rows.push(powers(p, 2.0 * p * p * others));
            rows.push(powers(-p, 2.0 * p * p * others));
        }
        let last = |tap| if tap + 1 == taps { 1.0 } else { 0.0 };
        rows.push((0..taps).map(last).collect());
        rows
    }

    /// The transposed interpolation of `P` inputs.
    #[inline(always)]
    pub(crate) fn analyse<S: Simd>(simd: S, input: [S::Vector; P]) -> [S::Vector; P] {
        // Both polynomials of the ends are monic in y.
        let (mut zero, mut infinity) = (input[P - 2], input[P - 1]);
        for i in 0..Self::COUNT {
            let factor = simd.splat(Self::ALL[i] as f32);
            zero = simd.mul_add(factor, input[2 * i], zero);
            infinity = simd.mul_add(factor, input[2 * i + 1], infinity);
        }
        let mut output = [zero; P];
        for pair in 0..Self::COUNT {
            let (mut even, mut odd) = (input[P - 2], input[P - 3]);
            for i in 0..Self::COUNT - 1 {
                let factor = simd.splat(Self::OTHERS[pair][i] as f32);
                even = simd.mul_add(factor, input[2 * i + 2], even);
                odd = simd.mul_add(factor, input[2 * i + 1], odd);
            }
            let p = Self::PAIR[pair] as f32;
            output[2 * pair + 1] = simd.mul_add(simd.splat(p), odd, even);
            output[2 * pair + 2] = simd.mul_add(simd.splat(-p), odd, even);
        }
        output[P - 1] = infinity;
        output
    }

    /// The transposed evaluation of `P` products: the `M` outputs.
    #[inline(always)]
    pub(crate) fn synthesise<S: Simd, const M: usize>(
        simd: S,
        products: [S::Vector; P],
    ) -> [S::Vector; M] {
        let mut output = [products[0]; M];
        let mut sums = [products[0]; PAIRS];
        let mut differences = [products[0]; PAIRS];
        for pair in 0..Self::COUNT {
            let (plus, minus) = (products[2 * pair + 1], products[2 * pair + 2]);
            sums[pair] = simd.add(plus, minus);
            differences[pair] = simd.sub(plus, minus);
        }
        for (i, value) in output.iter_mut().enumerate() {
            let parts = if i.is_multiple_of(2) { &sums } else { &differences };
            let mut total = if i == 0 { products[0] } else { simd.splat(0.0) };
            for (pair, &part) in parts.iter().enumerate().take(Self::COUNT) {
                let factor = simd.splat(power(Self::PAIR[pair], i) as f32);
                total = simd.mul_add(factor, part, total);
            }
            *value = if i + 1 == M { simd.add(total, products[P - 1]) } else { total };
        }
        output
    }
}
