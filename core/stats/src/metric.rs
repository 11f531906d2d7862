//! What every metric looks like from outside.

use crate::{Error, FeatureSet, Needs, Result};

/// One number about a generated set.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Name in reports, as `fid`.
    pub name: &'static str,
    /// The value.
    pub value: f64,
    /// Spread over splits or subsets, where the metric has one.
    pub std: Option<f64>,
    /// Whether a larger value speaks for the generated set.
    pub higher_is_better: bool,
}

/// Mean and population standard deviation of repeated estimates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The root of the mean squared deviation, divided by the number of values.
    pub std: f64,
}

impl Spread {
    /// The spread of `values`.
    ///
    /// # Errors
    /// [`Error::TooFewSamples`] when there are none.
    pub fn of(values: &[f64]) -> Result<Self> {
        if values.is_empty() {
            return Err(Error::TooFewSamples { what: "a mean", needed: 1, got: 0 });
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        Ok(Self { mean, std: variance.sqrt() })
    }
}

/// A metric: scores of a generated set, most often against a reference set.
pub trait Metric: Sync {
    /// Name on the command line, as `fid`.
    fn name(&self) -> &'static str;

    /// What the metric reads of each set.
    fn needs(&self) -> Needs;

    /// Whether [`Metric::score`] fails without a reference.
    fn needs_reference(&self) -> bool {
        true
    }

    /// Images that each set it reads must hold at least.
    fn least_images(&self) -> usize {
        2
    }

    /// Scores `generated`, against `reference` unless the metric stands alone.
    ///
    /// # Errors
    /// [`crate::Error::Missing`] when a set lacks what the metric [needs](Metric::needs), and the
    /// errors of the metric's function.
    fn score(&self, generated: &FeatureSet, reference: Option<&FeatureSet>) -> Result<Vec<Score>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_the_population() {
        let spread = Spread::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((spread.mean, spread.std), (5.0, 2.0));
        assert!(Spread::of(&[]).is_err());
    }
}
