//! What a statistic of two sets is by chance.

use rayon::prelude::*;

use crate::random::RandomState;
use crate::{Features, LeastImages, Result, Side, check_parameter};

/// A statistic of two sets, beside what it is of sets that differ by chance alone: a permutation test.
///
/// The rows of both sets are divided anew, at random, into two sets of the same sizes. If the sets have
/// one distribution, the statistic is as likely to be the largest of all as that of any other division,
/// whatever the distribution is and however few rows there are.
///
/// Good, "Permutation, Parametric and Bootstrap Tests of Hypotheses", 2005. Where the statistic is the
/// largest of several numbers, a limit holds for all of them at once (Westfall and Young,
/// "Resampling-Based Multiple Testing", 1993).
///
/// ```
/// use ganscope_stats::{Chance, Features};
///
/// let mean = |rows: &Features| {
///     rows.rows().map(|row| f64::from(row[0])).sum::<f64>() / rows.len() as f64
/// };
/// let generated = Features::from_vec((0..20).map(|i| i as f32 + 15.0).collect(), 1)?;
/// let reference = Features::from_vec((0..20).map(|i| i as f32).collect(), 1)?;
/// let chance = Chance::new([&generated, &reference], 199, 0, |a, b| Ok((mean(a) - mean(b)).abs()))?;
/// assert_eq!(chance.p_value(), 1.0 / 200.0);
/// assert!(chance.is_exceeded(15.0, 0.01));
/// # Ok::<(), ganscope_stats::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Chance {
    observed: f64,
    /// By chance, the largest first.
    drawn: Vec<f64>,
}

impl Chance {
    /// The statistic of the generated set and the reference, and of `draws` divisions of both, which
    /// follow from `seed`.
    ///
    /// # Errors
    /// [`Error::Dimension`](crate::Error::Dimension) for sets of different width,
    /// [`Error::TooFewImages`](crate::Error::TooFewImages) for an empty one,
    /// [`Error::Parameter`](crate::Error::Parameter) without draws, and those of the statistic.
    pub fn new(
        [generated, reference]: [&Features; 2],
        draws: u32,
        seed: u32,
        statistic: impl Fn(&Features, &Features) -> Result<f64> + Sync,
    ) -> Result<Self> {
        check_parameter("the number of draws", draws, "at least 1", draws > 0)?;
        for (set, side) in [(generated, Side::Generated), (reference, Side::Reference)] {
            LeastImages::always(1).check("a permutation test", side, set.len())?;
        }
        let mut pooled = generated.clone();
        pooled.append(reference)?;
        let draw = |i: u32| {
            let order = RandomState::new(seed.wrapping_add(i)).permutation(pooled.len());
            let (a, b) = order.split_at(generated.len());
            statistic(&pooled.select(a), &pooled.select(b))
        };
        let mut drawn = (0..draws).into_par_iter().map(draw).collect::<Result<Vec<f64>>>()?;
        drawn.sort_by(|a, b| b.total_cmp(a));
        Ok(Self { observed: statistic(generated, reference)?, drawn })
    }

    /// The statistic of the sets themselves.
    pub fn observed(&self) -> f64 {
        self.observed
    }

    /// How probable it is that chance alone makes the statistic so large: the share of all divisions,
    /// the given one included, with at least its value.
    pub fn p_value(&self) -> f64 {
        let as_large = self.drawn.partition_point(|&value| value >= self.observed);
        (1 + as_large) as f64 / (1 + self.drawn.len()) as f64
    }

    /// The value that chance exceeds with a probability of at most `level`; infinite if there are fewer
    /// than `1 / level - 1` draws.
    pub fn limit(&self, level: f64) -> f64 {
        // Of 1 + B divisions at most this many may be above it, the given one among them.
        let above = (level * (1 + self.drawn.len()) as f64).floor() as usize;
        let place = above.checked_sub(1);
        place.and_then(|place| self.drawn.get(place)).copied().unwrap_or(f64::INFINITY)
    }

    /// Whether a number, of which the statistic is the largest, is more than chance: at most the share
    /// `level` of pairs of sets of one distribution have any such number.
    pub fn is_exceeded(&self, value: f64, level: f64) -> bool {
        let limit = self.limit(level);
        self.observed > limit && value > limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of two numbers with a few far outliers, which no normal distribution has.
    fn rows(count: usize, seed: u32) -> Features {
        let mut random = RandomState::new(seed);
        let mut value = || (random.standard_normal() / (0.05 + random.uniform())) as f32;
        Features::from_vec((0..2 * count).map(|_| value()).collect(), 2).unwrap()
    }

    /// The largest difference of the means of a coordinate.
    #[expect(clippy::unnecessary_wraps, reason = "statistics may fail")]
    fn shift(a: &Features, b: &Features) -> Result<f64> {
        let mean = |set: &Features, k: usize| {
            set.rows().map(|row| f64::from(row[k])).sum::<f64>() / set.len() as f64
        };
        Ok((0..2).map(|k| (mean(a, k) - mean(b, k)).abs()).fold(0.0, f64::max))
    }

    #[test]
    fn sets_of_one_distribution_exceed_chance_as_often_as_the_level_says() {
        const PAIRS: u32 = 400;
        let chances: Vec<Chance> = (0..PAIRS)
            .into_par_iter()
            .map(|i| {
                let (a, b) = (rows(12, 2 * i), rows(30, 2 * i + 1));
                Chance::new([&a, &b], 99, 1000 + 100 * i, shift).unwrap()
            })
            .collect();
        for level in [0.05, 0.2, 0.5] {
            let of = |found: &dyn Fn(&Chance) -> bool| {
                chances.iter().filter(|chance| found(chance)).count() as f64
            };
            let by_p = of(&|chance| chance.p_value() <= level);
            assert_eq!(by_p, of(&|chance| chance.is_exceeded(chance.observed, level)));
            let expected = f64::from(PAIRS) * level;
            // Three standard deviations of a binomial count.
            let error = 3.0 * (expected * (1.0 - level)).sqrt();
            assert!((by_p - expected).abs() < error, "{by_p} of {PAIRS} at {level}");
        }
    }

    #[test]
    fn limits_are_order_statistics() {
        let chance = Chance { observed: 8.5, drawn: (1..=9).rev().map(f64::from).collect() };
        assert_eq!([chance.limit(0.1), chance.limit(0.2), chance.limit(0.5)], [9.0, 8.0, 5.0]);
        assert_eq!(chance.limit(0.05), f64::INFINITY);
        assert_eq!(chance.p_value(), 0.2);
        assert!(chance.is_exceeded(8.5, 0.2) && !chance.is_exceeded(8.5, 0.1));
        // A single number beyond the limit of a test that finds nothing.
        assert!(!chance.is_exceeded(10.0, 0.1));
    }

    #[test]
    fn the_same_seed_gives_the_same_divisions() {
        let (a, b) = (rows(9, 1), rows(7, 2));
        let chance = |seed| Chance::new([&a, &b], 19, seed, shift).unwrap();
        assert_eq!(chance(3), chance(3));
        assert_ne!(chance(3), chance(30));
        assert!(Chance::new([&a, &b], 0, 0, shift).is_err());
        assert!(Chance::new([&a, &Features::new(2).unwrap()], 9, 0, shift).is_err());
    }
}
