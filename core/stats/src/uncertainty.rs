//! Standard errors and confidence intervals.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::Result;
use crate::check_parameter;

/// Share of the intervals that contain the expected score.
pub const CONFIDENCE: f64 = 0.95;

/// How far a score is from its expectation over other draws of equally many generated images. The
/// reference set is taken as given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uncertainty {
    /// Estimated standard deviation of the score.
    pub standard_error: f64,
    /// Lower and upper end of the 95 % confidence interval.
    pub interval: [f64; 2],
}

impl Uncertainty {
    /// `value - z e` to `value + z e` with the normal quantile `z`.
    pub fn normal(value: f64, standard_error: f64) -> Self {
        let quantile = Normal::standard().inverse_cdf(upper());
        Self::symmetric(value, standard_error, quantile)
    }

    /// The interval of Student's t distribution, for an error estimated from few values.
    ///
    /// # Errors
    /// [`Error::Parameter`](crate::Error::Parameter) unless `freedom` is positive and finite.
    pub fn student(value: f64, standard_error: f64, freedom: f64) -> Result<Self> {
        let (name, expected) = ("the degrees of freedom", "positive and finite");
        let t = StudentsT::new(0.0, 1.0, freedom).ok().filter(|_| freedom.is_finite());
        check_parameter(name, freedom, expected, t.is_some())?;
        let quantile = t.map_or(f64::NAN, |t| t.inverse_cdf(upper()));
        Ok(Self::symmetric(value, standard_error, quantile))
    }

    /// The interval of a share of `n` independent images: the error is `sqrt(p (1 - p) / n)`, and
    /// the interval contains every share that a test at its own error would not reject.
    ///
    /// Wilson, "Probable inference, the law of succession, and statistical inference", 1927. It
    /// does not shrink to a point at 0 and 1.
    pub fn share(p: f64, n: usize) -> Self {
        let (n, z) = (n.max(1) as f64, Normal::standard().inverse_cdf(upper()));
        let z2 = z * z / n;
        let center = (p + z2 / 2.0) / (1.0 + z2);
        let half = z * (p * (1.0 - p) / n + z2 / (4.0 * n)).sqrt() / (1.0 + z2);
        let interval = [(center - half).max(0.0), (center + half).min(1.0)];
        Self { standard_error: (p * (1.0 - p) / n).sqrt(), interval }
    }

    /// The uncertainty of the mean of independent `values`.
    ///
    /// # Errors
    /// [`Error::TooFewSamples`](crate::Error::TooFewSamples) for fewer than two values.
    pub fn of_mean(values: &[f64]) -> Result<Self> {
        let n = values.len();
        if n < 2 {
            return Err(crate::Error::TooFewSamples {
                what: "a standard error",
                needed: 2,
                got: n,
            });
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Self::student(mean, (squares / ((n - 1) * n) as f64).sqrt(), (n - 1) as f64)
    }

    /// The same in a unit `factor` times as large.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        let [low, high] = self.interval.map(|end| end * factor);
        let interval = [low.min(high), low.max(high)];
        Self { standard_error: self.standard_error * factor.abs(), interval }
    }

    fn symmetric(value: f64, standard_error: f64, quantile: f64) -> Self {
        let reach = quantile * standard_error;
        Self { standard_error, interval: [value - reach, value + reach] }
    }
}

/// Probability below the upper end of an interval.
fn upper() -> f64 {
    f64::midpoint(1.0, CONFIDENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables are printed with three or four decimals.
    const PRINTED: f64 = 1e-3;

    #[test]
    fn quantiles_are_those_of_tables() {
        let near = |interval: [f64; 2], reach: f64| {
            assert!((interval[1] - reach).abs() < PRINTED, "{interval:?} {reach}");
            assert_eq!(interval[0], -interval[1]);
        };
        near(Uncertainty::normal(0.0, 1.0).interval, 1.96);
        for (freedom, quantile) in [(1.0, 12.7062), (9.0, 2.2622), (13.0, 2.1604), (30.0, 2.0423)] {
            near(Uncertainty::student(0.0, 1.0, freedom).unwrap().interval, quantile);
        }
        assert!(Uncertainty::student(0.0, 1.0, 0.0).is_err());
        assert!(Uncertainty::student(0.0, 1.0, f64::NAN).is_err());
    }

    #[test]
    fn the_interval_of_a_share_is_that_of_wilson() {
        // 8 of 10: (0.4902, 0.9433); 0 of 10: (0, 0.2775), as R's binom.confint prints
        let share = Uncertainty::share(0.8, 10);
        assert!((share.standard_error - 0.016f64.sqrt()).abs() < 1e-15);
        for (found, expected) in share.interval.into_iter().zip([0.4902, 0.9433]) {
            assert!((found - expected).abs() < PRINTED, "{found} {expected}");
        }
        let [low, high] = Uncertainty::share(0.0, 10).interval;
        assert!(low == 0.0 && (high - 0.2775).abs() < PRINTED, "{high}");
    }

    #[test]
    fn the_error_of_a_mean_by_hand() {
        // deviations -1, 0, 1: variance 1, error 1 / sqrt(3), t of 2 degrees 4.3027
        let mean = Uncertainty::of_mean(&[1.0, 2.0, 3.0]).unwrap();
        assert!((mean.standard_error - 3f64.sqrt().recip()).abs() < 1e-15);
        assert!((mean.interval[1] - (2.0 + 4.3027 / 3f64.sqrt())).abs() < PRINTED);
        assert!(Uncertainty::of_mean(&[1.0]).is_err());
        assert_eq!(mean.scaled(-2.0).interval, [mean.interval[1] * -2.0, mean.interval[0] * -2.0]);
    }
}
