//! Vectors of sixteen floats on each instruction set, chosen when the program runs.
//!
//! A [`Job`] is written once for any [`Simd`]; [`Isa::run`] enters it through a function compiled
//! for the instruction set. A value of a `Simd` type proves that the processor has its
//! instructions, so its methods are safe.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod portable;

/// Floats in a vector, on every instruction set.
pub(crate) const LANES: usize = 16;

/// Place of the fastest instruction set that [`Isa::best`] may choose.
static LIMIT: AtomicUsize = AtomicUsize::new(0);

/// An instruction set that the inner loops are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isa {
    /// 512-bit vectors of x86-64.
    Avx512,
    /// 256-bit vectors of x86-64 with fused multiply-add.
    Avx2,
    /// Plain Rust, which the compiler turns into the vectors of the target.
    Portable,
}

impl Isa {
    /// All of them, the fastest first.
    const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// The fastest one that this processor has, within [`Isa::limit`].
    pub fn best() -> Self {
        let allowed = &Self::ALL[LIMIT.load(Relaxed)..];
        allowed.iter().copied().find(|isa| isa.exists()).unwrap_or(Self::Portable)
    }

    /// Makes [`Isa::best`] choose none that is faster, in this process: for measurements.
    pub fn limit(self) {
        LIMIT.store(Self::ALL.iter().position(|&isa| isa == self).unwrap_or(0), Relaxed);
    }

    /// All that this processor has, the fastest first.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|isa| isa.exists()).collect()
    }

    fn exists(self) -> bool {
        match self {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Portable => true,
            #[cfg(any(not(target_arch = "x86_64"), miri))]
            _ => false,
        }
    }

    /// Runs `job` with the vectors of this instruction set.
    ///
    /// # Panics
    /// If the processor does not have it.
    pub(crate) fn run<J: Job>(self, job: J) {
        assert!(self.exists(), "this processor has no {self:?}");
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the instructions, as asserted.
            Self::Avx512 => unsafe { avx512::run(job) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the instructions, as asserted.
            Self::Avx2 => unsafe { avx2::run(job) },
            _ => job.run(portable::Portable),
        }
    }

    /// Rows and vectors of the tile that fills the registers.
    pub(crate) fn tile(self) -> [usize; 2] {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => [avx512::Avx512::ROWS, avx512::Avx512::VECTORS],
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => [avx2::Avx2::ROWS, avx2::Avx2::VECTORS],
            _ => [portable::Portable::ROWS, portable::Portable::VECTORS],
        }
    }
}

/// Work written for any instruction set.
///
/// `run` and all it calls must be `#[inline(always)]`, and no closure may contain vector code:
/// code that is not inlined is compiled without the instruction set.
pub(crate) trait Job {
    /// Does the work with the vectors of `S`.
    fn run<S: Simd>(self, simd: S);
}

/// The operations on vectors of sixteen floats.
pub(crate) trait Simd: Copy {
    /// Sixteen floats.
    type Vector: Copy;
    /// Rows of the tile that fills the registers.
    const ROWS: usize;
    /// Vectors across that tile.
    const VECTORS: usize;

    /// The same value in all lanes.
    fn splat(self, value: f32) -> Self::Vector;
    /// Reads sixteen floats.
    fn load(self, from: &[f32; LANES]) -> Self::Vector;
    /// Writes sixteen floats.
    fn store(self, vector: Self::Vector, to: &mut [f32; LANES]);
    /// `a + b`.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a - b`.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a / b`.
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b`.
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + sum`.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, sum: Self::Vector) -> Self::Vector;
    /// The larger of `bound` and `value`; a NaN in `value` stays.
    fn at_least(self, bound: Self::Vector, value: Self::Vector) -> Self::Vector;
    /// The smaller of `bound` and `value`; a NaN in `value` stays.
    fn at_most(self, bound: Self::Vector, value: Self::Vector) -> Self::Vector;
    /// The larger of `a` and `b`; a NaN in either stays.
    fn larger(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// `|a|`.
    fn abs(self, a: Self::Vector) -> Self::Vector;
    /// `a 2^n` for whole numbers `n` from -126 to 127.
    fn times_pow2(self, a: Self::Vector, n: Self::Vector) -> Self::Vector;

    /// Asks for the cache line of `from`, which need not be valid.
    fn prefetch(self, from: *const f32);

    /// Asks for the cache line of `from`, which need not be valid, into the second-level cache.
    fn prefetch_far(self, from: *const f32);

    /// Multiplies a strip by a panel with the tile of `rows` and `vectors`; see [`Product`].
    ///
    /// # Safety
    /// The pointers of `product` must be valid as [`Product`] says, for `rows <= ROWS`, or `ROWS` of
    /// them in place, and `1 <= vectors <= VECTORS`.
    unsafe fn product(self, rows: usize, vectors: usize, product: Product);

    /// Reads sixteen floats.
    ///
    /// # Safety
    /// `from` must be valid for reads of sixteen floats.
    #[inline(always)]
    unsafe fn read(self, from: *const f32) -> Self::Vector {
        // SAFETY: an array of f32 has the alignment of f32; validity is the caller's promise.
        self.load(unsafe { &*from.cast() })
    }

    /// Writes sixteen floats.
    ///
    /// # Safety
    /// `to` must be valid for writes of sixteen floats, which nobody else accesses.
    #[inline(always)]
    unsafe fn write(self, vector: Self::Vector, to: *mut f32) {
        // SAFETY: an array of f32 has the alignment of f32; validity is the caller's promise.
        self.store(vector, unsafe { &mut *to.cast() });
    }
}

/// `sums += strip * panel` for one tile: the operands of the innermost loop.
///
/// The depth is cut into blocks of sixteen. `strip` contains for each block the sixteen values of
/// each of `ROWS` rows, `[block][ROWS][16]`; `panel` contains for each value of the depth the
/// weights of all columns, `[block][16][vectors][16]`; `sums` contains the rows `pitch` floats
/// apart. Each sum is one chain of multiply-adds along the depth, whatever the size of the tile.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub(crate) strip: *const f32,
    /// Zero, or the distance of the rows of a strip that is no copy but `ROWS` rows of a map: its
    /// values are then `[ROWS][blocks][16]`.
    pub(crate) step: usize,
    pub(crate) panel: *const f32,
    pub(crate) blocks: usize,
    pub(crate) sums: *mut f32,
    pub(crate) pitch: usize,
    /// Weights of a later product, which may still lie in memory: one cache line for each value of
    /// the depth is asked for meanwhile. It need not be valid.
    pub(crate) ahead: *const f32,
    /// Starts from the values in `sums` rather than from zero.
    pub(crate) accumulate: bool,
}

/// The innermost loop: `R` rows by `C` vectors in registers.
///
/// # Safety
/// As [`Simd::product`], with `R <= S::ROWS` rows readable in each block.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const C: usize, const IN_PLACE: bool>(
    simd: S,
    product: Product,
) {
    let Product { mut strip, step, mut panel, blocks, sums, pitch, mut ahead, accumulate } =
        product;
    let [row_step, block_step] = if IN_PLACE { [step, LANES] } else { [LANES, S::ROWS * LANES] };
    let mut sum = [[simd.splat(0.0); C]; R];
    // SAFETY: `strip` and `panel` advance by whole blocks and stay inside their operands; `sums`
    // has R rows of C vectors, `pitch` apart.
    unsafe {
        if accumulate {
            for (r, row) in sum.iter_mut().enumerate() {
                for (c, value) in row.iter_mut().enumerate() {
                    *value = simd.read(sums.add(r * pitch + c * LANES));
                }
            }
        }
        for _ in 0..blocks {
            for k in 0..LANES {
                let mut weight = [simd.splat(0.0); C];
                for (c, value) in weight.iter_mut().enumerate() {
                    let from = panel.add((k * C + c) * LANES);
                    *value = simd.read(from);
                    // The weights of the next block come from the second-level cache.
                    simd.prefetch(from.wrapping_add(LANES * C * LANES));
                }
                simd.prefetch_far(ahead.wrapping_add(k * LANES));
                for (r, row) in sum.iter_mut().enumerate() {
                    let value = simd.splat(*strip.add(r * row_step + k));
                    for (c, total) in row.iter_mut().enumerate() {
                        *total = simd.mul_add(value, weight[c], *total);
                    }
                }
            }
            strip = strip.add(block_step);
            panel = panel.add(LANES * C * LANES);
            ahead = ahead.wrapping_add(LANES * LANES);
        }
        for (r, row) in sum.iter().enumerate() {
            for (c, value) in row.iter().enumerate() {
                simd.write(*value, sums.add(r * pitch + c * LANES));
            }
        }
    }
}

/// The sum of all lanes, in pairs.
#[inline(always)]
pub(crate) fn sum_of_lanes<S: Simd>(simd: S, vector: S::Vector) -> f32 {
    fold_lanes(simd, vector, |a, b| a + b)
}

/// Joins all lanes, in pairs.
#[inline(always)]
pub(crate) fn fold_lanes<S: Simd>(
    simd: S,
    vector: S::Vector,
    join: impl Fn(f32, f32) -> f32,
) -> f32 {
    let mut lanes = [0.0; LANES];
    simd.store(vector, &mut lanes);
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] = join(lanes[lane], lanes[lane + width]);
        }
    }
    lanes[0]
}

/// A vector of at most sixteen values; the other lanes are zero.
#[inline(always)]
pub(crate) fn read_part<S: Simd>(simd: S, from: &[f32]) -> S::Vector {
    if let Ok(whole) = from.try_into() {
        return simd.load(whole);
    }
    let mut lanes = [0.0; LANES];
    lanes[..from.len()].copy_from_slice(from);
    simd.load(&lanes)
}

/// Writes the first lanes, at most sixteen.
#[inline(always)]
pub(crate) fn write_part<S: Simd>(simd: S, vector: S::Vector, to: &mut [f32]) {
    if let Ok(whole) = (&mut *to).try_into() {
        return simd.store(vector, whole);
    }
    let mut lanes = [0.0; LANES];
    simd.store(vector, &mut lanes);
    to.copy_from_slice(&lanes[..to.len()]);
}
