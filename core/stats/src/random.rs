//! The random streams of NumPy's legacy generator and of torch's.
//!
//! `numpy.random.RandomState(seed)` is what the reference tools seed, so a seed here means the same
//! latents, shuffles and subsets as there. Matsumoto and Nishimura, "Mersenne Twister", 1998.

mod torch;

use rand_mt::Mt;

pub use torch::TorchGenerator;

use crate::{Error, Result};

/// The generator behind `numpy.random.RandomState(seed)`.
///
/// ```
/// use ganscope_stats::random::RandomState;
/// // np.random.RandomState(0).randn(2)
/// let mut random = RandomState::new(0);
/// assert_eq!(random.standard_normal(), 1.764052345967664);
/// assert_eq!(random.standard_normal(), 0.4001572083672233);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RandomState {
    twister: Mt,
    /// Second value of the last pair of normals.
    spare: Option<f64>,
}

impl RandomState {
    /// The state of `RandomState(seed)`.
    pub fn new(seed: u32) -> Self {
        Self { twister: Mt::new(seed), spare: None }
    }

    /// One value of `random_sample()`: uniform in [0, 1), a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        let (high, low) = (self.twister.next_u32() >> 5, self.twister.next_u32() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// One value of `randn()`, by Marsaglia's polar method; every second one is kept from the call
    /// before.
    pub fn standard_normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let x = 2.0 * self.uniform() - 1.0;
            let y = 2.0 * self.uniform() - 1.0;
            let square = x * x + y * y;
            if square < 1.0 && square != 0.0 {
                let scale = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(scale * x);
                return scale * y;
            }
        }
    }

    /// `n` values of `randn(n)`.
    pub fn standard_normals(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.standard_normal()).collect()
    }

    /// One value of `randint(bound)`: an integer in `0..bound`.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `bound` is zero.
    pub fn below(&mut self, bound: u64) -> Result<u64> {
        if bound == 0 {
            let (name, expected) = ("the bound of random integers", "at least 1");
            return Err(Error::Parameter { name, expected, got: bound.to_string() });
        }
        Ok(self.at_most(bound - 1))
    }

    /// Puts `items` in the order of `shuffle(items)`.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.at_most(i as u64) as usize);
        }
    }

    /// `permutation(n)`: the integers `0..n`, shuffled.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }

    /// `choice(n, size, replace=False)`: `size` different integers of `0..n`.
    ///
    /// # Errors
    /// [`Error::TooFewSamples`] if `size` is greater than `n`.
    pub fn choice(&mut self, n: usize, size: usize) -> Result<Vec<usize>> {
        if size > n {
            let what = "a choice without replacement";
            return Err(Error::TooFewSamples { what, needed: size, got: n });
        }
        let mut order = self.permutation(n);
        order.truncate(size);
        Ok(order)
    }

    /// One value of SciPy's `truncnorm.rvs(low, high)`: the quantile of a uniform value in the
    /// normal distribution cut off outside `low..high`.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless both bounds are finite, `low < high`, and the normal
    /// distribution has mass between them.
    pub fn truncated_normal(&mut self, low: f64, high: f64) -> Result<f64> {
        // The upper tail is the mirrored lower one, where probabilities keep their digits.
        let (mirror, a, b) = if low >= 0.0 { (-1.0, -high, -low) } else { (1.0, low, high) };
        let (below, upto) = (normal_cdf(a), normal_cdf(b));
        if !(low.is_finite() && high.is_finite() && below < upto) {
            let (name, expected) = ("the range of a truncated normal", "finite and increasing");
            return Err(Error::Parameter { name, expected, got: format!("{low}..{high}") });
        }
        let u = self.uniform();
        let u = if mirror < 0.0 { 1.0 - u } else { u };
        Ok((mirror * normal_quantile(below + u * (upto - below))).clamp(low, high))
    }

    /// An integer in `0..=max`, by rejection of masked words.
    fn at_most(&mut self, max: u64) -> u64 {
        if max == 0 {
            return 0;
        }
        let mask = u64::MAX >> max.leading_zeros();
        loop {
            let high = if max > u64::from(u32::MAX) { self.twister.next_u32() } else { 0 };
            let word = u64::from(high) << 32 | u64::from(self.twister.next_u32());
            if word & mask <= max {
                return word & mask;
            }
        }
    }
}

/// Mass of the standard normal distribution below `x`.
fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// Value below which the standard normal distribution has mass `p`.
///
/// A rational approximation (Abramowitz and Stegun 26.2.23, error below 4.5e-4) and two of Halley's
/// steps, each of which triples the number of digits.
fn normal_quantile(p: f64) -> f64 {
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    let t = (-2.0 * p.ln()).sqrt();
    let ratio = (2.515_517 + t * (0.802_853 + t * 0.010_328))
        / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    let mut x = ratio - t;
    for _ in 0..2 {
        let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let step = (normal_cdf(x) - p) / density;
        x -= step / (1.0 + 0.5 * x * step);
    }
    x
}
