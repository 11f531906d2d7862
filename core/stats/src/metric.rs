//! The interface of every metric.

use std::fmt;

use crate::{Error, FeatureSet, Features, Needs, Result, Uncertainty};

/// One number about a generated set.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Name in files, as `fid`; no two scores share one.
    pub name: &'static str,
    /// Name for people, as `FID` or `precision (k=5)`.
    pub title: String,
    /// The value.
    pub value: f64,
    /// Spread over splits or subsets, where the metric has one.
    pub std: Option<f64>,
    /// Estimated standard deviation of the value over other draws of equally many generated images,
    /// where it is known.
    pub standard_error: Option<f64>,
    /// Lower and upper end of the 95 % confidence interval, where one holds.
    pub interval: Option<[f64; 2]>,
    /// Whether a larger value is better.
    pub higher_is_better: bool,
}

impl Score {
    /// A value without spread and uncertainty.
    pub fn new(
        name: &'static str,
        title: impl Into<String>,
        value: f64,
        higher_is_better: bool,
    ) -> Self {
        let (title, std, standard_error, interval) = (title.into(), None, None, None);
        Self { name, title, value, std, standard_error, interval, higher_is_better }
    }

    /// The score with its spread over splits or subsets.
    #[must_use]
    pub fn with_std(self, std: f64) -> Self {
        Self { std: Some(std), ..self }
    }

    /// The score with its uncertainty, if it is known.
    #[must_use]
    pub fn with_uncertainty(self, known: impl Into<Option<Uncertainty>>) -> Self {
        let known = known.into();
        Self {
            standard_error: known.map(|known| known.standard_error),
            interval: known.map(|known| known.interval),
            ..self
        }
    }
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
    /// [`Error::TooFewSamples`] if there are none.
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

/// One of the two sets of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The set to be scored.
    Generated,
    /// The set it is compared with.
    Reference,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Generated => "generated",
            Self::Reference => "reference",
        })
    }
}

/// An option of a metric that sets how many images the metric needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Parameter {
    /// Number of splits of the Inception Score.
    IsSplits,
    /// Number of images in a subset of KID.
    KidSubsetSize,
    /// Number of nearest neighbors of precision, recall, density, coverage and realism.
    NearestK,
    /// Smallest number of images at which FID infinity takes the distance.
    FidInfinityFewest,
}

/// The number of images that the parameter requires.
impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IsSplits => "one per split",
            Self::KidSubsetSize => "the size of a subset",
            Self::NearestK => "one more than the number of nearest neighbors",
            Self::FidInfinityFewest => "one more than its smallest subset",
        })
    }
}

/// The smallest number of images that a metric accepts in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeastImages {
    /// The number with any options.
    pub always: usize,
    /// The number with the options of the metric.
    pub with_options: usize,
    /// The option that sets it.
    pub parameter: Option<Parameter>,
}

impl LeastImages {
    /// A number that depends on no option.
    pub const fn always(images: usize) -> Self {
        Self { always: images, with_options: images, parameter: None }
    }

    /// Checks that a set of `got` images is large enough for `metric`, which calls the set `side`.
    ///
    /// # Errors
    /// [`Error::TooFewImages`], which names the option if another value of it would help.
    pub fn check(&self, metric: &'static str, side: Side, got: usize) -> Result<()> {
        let (needed, parameter) = if got < self.always {
            (self.always, None)
        } else {
            (self.with_options, self.parameter)
        };
        if got < needed {
            return Err(Error::TooFewImages { metric, side, needed, got, parameter });
        }
        Ok(())
    }
}

/// A metric: scores of a generated set, most often against a reference set.
pub trait Metric: Send + Sync {
    /// Name in requests and files, as `fid`.
    fn name(&self) -> &'static str;

    /// Name for people, as `FID`.
    fn title(&self) -> &'static str;

    /// The parts of a set that the metric reads; none of the reference if it needs no reference.
    fn needs(&self, side: Side) -> Needs;

    /// Whether [`Metric::score`] fails without a reference.
    fn needs_reference(&self) -> bool {
        self.needs(Side::Reference) != Needs::NONE
    }

    /// Whether the metric compares with a third set: real images that were not trained on.
    fn needs_held_out(&self) -> bool {
        false
    }

    /// The metric with the features of held-out images; `None` if it needs none.
    fn with_held_out(&self, _features: Features) -> Option<Box<dyn Metric>> {
        None
    }

    /// Images that a set must contain.
    fn least_images(&self, _side: Side) -> LeastImages {
        LeastImages::always(2)
    }

    /// Checks the options.
    ///
    /// # Errors
    /// [`Error::Parameter`], which states the range.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Checks the options, and whether the sets contain the parts that the metric needs, enough
    /// images, and features of one width. It reads no feature, so a caller can leave out a metric
    /// before the work starts.
    ///
    /// A set without any part counts as a set of no images.
    ///
    /// # Errors
    /// [`Error::NoReference`], [`Error::Missing`], [`Error::TooFewImages`], [`Error::Dimension`],
    /// and those of [`validate`](Metric::validate).
    fn check(&self, generated: &FeatureSet, reference: Option<&FeatureSet>) -> Result<()> {
        self.validate()?;
        let reference = match reference {
            _ if !self.needs_reference() => None,
            Some(reference) => Some(reference),
            None => return Err(Error::NoReference { metric: self.title() }),
        };
        let check = |set: &FeatureSet, side| {
            set.check(self.title(), side, self.needs(side), self.least_images(side))
        };
        check(generated, Side::Generated)?;
        let Some(reference) = reference else { return Ok(()) };
        check(reference, Side::Reference)?;
        let compared = [self.needs(Side::Generated), self.needs(Side::Reference)];
        generated.check_widths(reference, compared)
    }

    /// Computes the scores of sets that pass [`check`](Metric::check).
    ///
    /// # Errors
    /// Those of the function of the metric.
    fn compute(&self, generated: &FeatureSet, reference: Option<&FeatureSet>)
    -> Result<Vec<Score>>;

    /// Scores `generated`, against `reference` unless the metric needs none.
    ///
    /// # Errors
    /// Those of [`check`](Metric::check) and [`compute`](Metric::compute).
    fn score(&self, generated: &FeatureSet, reference: Option<&FeatureSet>) -> Result<Vec<Score>> {
        self.check(generated, reference)?;
        self.compute(generated, reference)
    }
}

#[cfg(test)]
mod tests;
