//! The random streams of torch's generator on the processor.

use rand_mt::Mt;

/// Values that torch makes at once from as many uniform ones.
const BLOCK: usize = 16;

/// The generator behind `torch.Generator().manual_seed(seed)` on the processor, for seeds of 32 bits.
///
/// Words are exact. Normal values differ in the last bits of float32 from machine to machine, as
/// torch's vectorized logarithm and cosine do.
#[derive(Debug, Clone, PartialEq)]
pub struct TorchGenerator {
    twister: Mt,
}

impl TorchGenerator {
    /// The generator after `manual_seed(seed)`.
    pub fn new(seed: u32) -> Self {
        Self { twister: Mt::new(seed) }
    }

    /// One value of `torch.rand` in float32: uniform in [0, 1), a multiple of 2^-24.
    pub fn uniform(&mut self) -> f32 {
        (self.twister.next_u32() & 0xff_ffff) as f32 / 16_777_216.0
    }

    /// One value of `torch.rand` in float64: uniform in [0, 1), a multiple of 2^-53.
    fn uniform_f64(&mut self) -> f64 {
        let high = u64::from(self.twister.next_u32());
        let word = high << 32 | u64::from(self.twister.next_u32());
        (word & ((1 << 53) - 1)) as f64 / 9_007_199_254_740_992.0
    }

    /// `torch.randn(n)` in float32.
    ///
    /// The Box-Muller transform: of 16 uniform values the first 8 become radii and the others
    /// angles. If `n` is not a multiple of 16, the last 16 are made anew. Below 16 the values are
    /// made in pairs, in float64.
    pub fn standard_normals(&mut self, n: usize) -> Vec<f32> {
        if n < BLOCK {
            return self.pairs(n).into_iter().map(|x| x as f32).collect();
        }
        let mut values: Vec<f32> = (0..n).map(|_| self.uniform()).collect();
        values.chunks_exact_mut(BLOCK).for_each(transform);
        if !n.is_multiple_of(BLOCK) {
            let last = &mut values[n - BLOCK..];
            last.fill_with(|| self.uniform());
            transform(last);
        }
        values
    }

    fn pairs(&mut self, n: usize) -> Vec<f64> {
        let mut values = Vec::with_capacity(n + 1);
        while values.len() < n {
            let (u, v) = (self.uniform_f64(), self.uniform_f64());
            let (sin, cos) = (std::f64::consts::TAU * u).sin_cos();
            let radius = (-2.0 * (-v).ln_1p()).sqrt();
            values.extend([radius * cos, radius * sin]);
        }
        values.truncate(n);
        values
    }

    /// `torch.randperm(n)`, for `n` below 2^32.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in 0..n.saturating_sub(1) {
            order.swap(i, i + self.twister.next_u32() as usize % (n - i));
        }
        order
    }
}

/// Replaces 16 uniform values by normal ones, in float32.
fn transform(block: &mut [f32]) {
    let (radii, angles) = block.split_at_mut(BLOCK / 2);
    for (radius, angle) in radii.iter_mut().zip(angles) {
        let r = (-2.0 * (1.0 - *radius).ln()).sqrt();
        let (sin, cos) = (std::f32::consts::TAU * *angle).sin_cos();
        (*radius, *angle) = (r * cos, r * sin);
    }
}
