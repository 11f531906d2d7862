//! The inverse cosine transform in integers.
//!
//! Loeffler, Ligtenberg and Moschytz, "Practical Fast 1-D DCT Algorithms with 11 Multiplications",
//! 1989, with constants of 13 bits and 2 more bits between the passes, rounded to nearest: the
//! choices of libjpeg's accurate transform, on which its results depend.
#![expect(clippy::inline_always, reason = "what `pulp` dispatches must be inlined into it")]

use pulp::{Arch, NullaryFnOnce};

const CONST_BITS: u32 = 13;
const PASS_BITS: u32 = 2;

const FIX_0_298: i32 = 2446;
const FIX_0_390: i32 = 3196;
const FIX_0_541: i32 = 4433;
const FIX_0_765: i32 = 6270;
const FIX_0_899: i32 = 7373;
const FIX_1_175: i32 = 9633;
const FIX_1_501: i32 = 12299;
const FIX_1_847: i32 = 15137;
const FIX_1_961: i32 = 16069;
const FIX_2_053: i32 = 16819;
const FIX_2_562: i32 = 20995;
const FIX_3_072: i32 = 25172;

/// Transforms the coefficients of a block, multiplied by their steps, to 8 rows of samples.
pub(super) fn block(coefficients: &[i16; 64], steps: &[u16; 64], out: &mut [u8], stride: usize) {
    if coefficients[1..].iter().all(|&c| c == 0) {
        let level = (i32::from(coefficients[0]).wrapping_mul(steps[0].into()) << PASS_BITS) + 16;
        let sample = sample(level >> (PASS_BITS + 3));
        for row in out.chunks_mut(stride).take(8) {
            row[..8].fill(sample);
        }
        return;
    }
    Arch::new().dispatch(Block { coefficients, steps, out, stride });
}

/// The arguments of [`block`], whose work is compiled for the vectors of the processor: each pass
/// transforms eight columns at once, one in each lane.
struct Block<'a> {
    coefficients: &'a [i16; 64],
    steps: &'a [u16; 64],
    out: &'a mut [u8],
    stride: usize,
}

impl NullaryFnOnce for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let mut rows = [[0; 8]; 8];
        for (y, row) in rows.iter_mut().enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                let step = self.steps[8 * y + x];
                *value = i32::from(self.coefficients[8 * y + x]).wrapping_mul(step.into());
            }
        }
        let columns = transposed(&transform(&rows, CONST_BITS - PASS_BITS));
        let rows = transposed(&transform(&columns, CONST_BITS + PASS_BITS + 3));
        for (row, out) in rows.iter().zip(self.out.chunks_mut(self.stride)) {
            for (out, &value) in out.iter_mut().zip(row) {
                *out = sample(value);
            }
        }
    }
}

#[inline(always)]
fn transposed(rows: &[[i32; 8]; 8]) -> [[i32; 8]; 8] {
    std::array::from_fn(|x| std::array::from_fn(|y| rows[y][x]))
}

#[inline(always)]
fn sample(value: i32) -> u8 {
    value.saturating_add(128).clamp(0, 255) as u8
}

/// Eight samples from the eight coefficients of each column, divided by `2^shift` and rounded.
#[inline(always)]
fn transform(rows: &[[i32; 8]; 8], shift: u32) -> [[i32; 8]; 8] {
    let mul = i32::wrapping_mul;
    let add = i32::wrapping_add;
    let sub = i32::wrapping_sub;
    let mut out = [[0; 8]; 8];
    for x in 0..8 {
        let c = [0, 1, 2, 3, 4, 5, 6, 7].map(|y: usize| rows[y][x]);
        // Even part.
        let z = mul(add(c[2], c[6]), FIX_0_541);
        let t2 = sub(z, mul(c[6], FIX_1_847));
        let t3 = add(z, mul(c[2], FIX_0_765));
        let t0 = add(c[0], c[4]) << CONST_BITS;
        let t1 = sub(c[0], c[4]) << CONST_BITS;
        let even = [add(t0, t3), add(t1, t2), sub(t1, t2), sub(t0, t3)];
        // Odd part.
        let [t0, t1, t2, t3] = [c[7], c[5], c[3], c[1]];
        let z5 = mul(add(add(t0, t2), add(t1, t3)), FIX_1_175);
        let z1 = mul(add(t0, t3), -FIX_0_899);
        let z2 = mul(add(t1, t2), -FIX_2_562);
        let z3 = add(mul(add(t0, t2), -FIX_1_961), z5);
        let z4 = add(mul(add(t1, t3), -FIX_0_390), z5);
        let odd = [
            add(add(mul(t3, FIX_1_501), z1), z4),
            add(add(mul(t2, FIX_3_072), z2), z3),
            add(add(mul(t1, FIX_2_053), z2), z4),
            add(add(mul(t0, FIX_0_298), z1), z3),
        ];
        let round = 1 << (shift - 1);
        for i in 0..4 {
            out[i][x] = add(add(even[i], odd[i]), round) >> shift;
            out[7 - i][x] = add(sub(even[i], odd[i]), round) >> shift;
        }
    }
    out
}
