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

/// A transform of `P` points to `M` outputs along one axis.
pub(crate) trait Axis<const P: usize, const M: usize>: Sync {
    /// Inputs from output to output.
    const STRIDE: usize;

    /// The points of `P` inputs.
    fn analyse<S: Simd>(simd: S, input: [S::Vector; P]) -> [S::Vector; P];

    /// The outputs of products, one for each point.
    fn synthesise<S: Simd>(simd: S, products: [S::Vector; P]) -> [S::Vector; M];
}

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
        4 => [1.0, 0.0, 0.0, 0.0, 0.0],
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
    /// The powers of all pairs.
    const POWERS: [[f32; PAIRS]; P] = {
        let mut powers = [[0.0; PAIRS]; P];
        let mut exponent = 0;
        while exponent < P {
            let mut pair = 0;
            while pair < Self::COUNT {
                powers[exponent][pair] = power(Self::PAIR[pair], exponent) as f32;
                pair += 1;
            }
            exponent += 1;
        }
        powers
    };
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
}

impl<const P: usize, const M: usize> Axis<P, M> for Points<P> {
    const STRIDE: usize = 1;

    /// The transposed interpolation.
    #[inline(always)]
    fn analyse<S: Simd>(simd: S, input: [S::Vector; P]) -> [S::Vector; P] {
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

    /// The transposed evaluation.
    #[inline(always)]
    fn synthesise<S: Simd>(simd: S, products: [S::Vector; P]) -> [S::Vector; M] {
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
                let factor = simd.splat(Self::POWERS[i][pair]);
                total = simd.mul_add(factor, part, total);
            }
            *value = if i + 1 == M { simd.add(total, products[P - 1]) } else { total };
        }
        output
    }
}

/// Three outputs of three taps of stride 2, from seven inputs.
///
/// The first and the last tap read even inputs only, as a filter of two taps and stride 1 would, for
/// which four points do. The tap between them reads the odd inputs: one product for each output.
pub(crate) struct Strided;

impl Strided {
    /// The matrix, (7, 3), as [`Points::filter`].
    pub(crate) fn filter() -> Vec<Vec<f64>> {
        let even = Points::<4>::filter(2).into_iter().map(|row| vec![row[0], 0.0, row[1]]);
        even.chain(std::iter::repeat_n(vec![0.0, 1.0, 0.0], 3)).collect()
    }
}

impl Axis<7, 3> for Strided {
    const STRIDE: usize = 2;

    #[inline(always)]
    fn analyse<S: Simd>(simd: S, input: [S::Vector; 7]) -> [S::Vector; 7] {
        let [a, b, c, d, e, f, g] = input;
        let [zero, plus, minus, infinity] = <Points<4> as Axis<4, 3>>::analyse(simd, [a, c, e, g]);
        [zero, plus, minus, infinity, b, d, f]
    }

    #[inline(always)]
    fn synthesise<S: Simd>(simd: S, products: [S::Vector; 7]) -> [S::Vector; 3] {
        let [zero, plus, minus, infinity, b, d, f] = products;
        let [x, y, z] = Points::<4>::synthesise(simd, [zero, plus, minus, infinity]);
        [simd.add(x, b), simd.add(y, d), simd.add(z, f)]
    }
}
