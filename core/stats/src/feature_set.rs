//! Everything the metrics may ask about one set of images.

use std::ops::BitOr;

use crate::{Error, FeatureStats, Features, Logits, Result, StatsBuilder};

// Parts of a set, as errors name them.
const STATS: &str = "the mean and covariance of the features";
const FEATURES: &str = "the features of each image";
const LOGITS: &str = "the logits";
const SPATIAL: &str = "the mean and covariance of the spatial features";

/// What a metric reads, so that nothing else is kept.
///
/// ```
/// use ganscope_stats::Needs;
/// let both = Needs::STATS | Needs::LOGITS;
/// assert!(both.contains(Needs::LOGITS) && !both.contains(Needs::FEATURES));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Needs(u8);

impl Needs {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Mean and covariance of the features.
    pub const STATS: Self = Self(1);
    /// The features themselves.
    pub const FEATURES: Self = Self(2);
    /// The logits of the classifier.
    pub const LOGITS: Self = Self(4);
    /// Mean and covariance of the spatial features.
    pub const SPATIAL: Self = Self(8);

    /// Whether all of `other` is among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These, but for `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Needs {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a network says about one batch of images, a row an image in each part.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureBatch {
    /// Pooled features, (N, dim).
    pub features: Features,
    /// Logits of the classifier, (N, classes).
    pub logits: Option<Features>,
    /// Flattened spatial features, (N, spatial dim).
    pub spatial: Option<Features>,
}

/// What is known about one set of images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FeatureSet {
    /// Mean and covariance of the features.
    pub stats: Option<FeatureStats>,
    /// The features, (N, dim).
    pub features: Option<Features>,
    /// Logits of the classifier, (N, classes).
    pub logits: Option<Logits>,
    /// Mean and covariance of the spatial features.
    pub spatial: Option<FeatureStats>,
}

impl FeatureSet {
    /// What the set holds.
    pub fn holds(&self) -> Needs {
        let part = |held: bool, need| if held { need } else { Needs::NONE };
        part(self.stats.is_some(), Needs::STATS)
            | part(self.features.is_some(), Needs::FEATURES)
            | part(self.logits.is_some(), Needs::LOGITS)
            | part(self.spatial.is_some(), Needs::SPATIAL)
    }

    /// Number of images, where a part of the set tells it.
    pub fn count(&self) -> Option<u64> {
        let stats = |part: &Option<FeatureStats>| part.as_ref().and_then(FeatureStats::count);
        stats(&self.stats)
            .or_else(|| self.features.as_ref().map(|rows| rows.len() as u64))
            .or_else(|| self.logits.as_ref().map(|rows| rows.len() as u64))
            .or_else(|| stats(&self.spatial))
    }

    /// Joins what is known of two parts of one set: exact moments are merged, rows appended.
    ///
    /// # Errors
    /// [`Error::Missing`] when one part holds what the other lacks, [`Error::Dimension`] for parts of
    /// different width, [`Error::UnknownCount`] for moments that do not tell their count, and those of
    /// reading logits that are not in memory. The set stays as it was then.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        self.check_merge(&other)?;
        if let (Some(mine), Some(other)) = (&mut self.logits, &other.logits) {
            mine.append(other)?;
        }
        if let (Some(mine), Some(other)) = (&mut self.stats, &other.stats) {
            mine.merge(other)?;
        }
        if let (Some(mine), Some(other)) = (&mut self.spatial, &other.spatial) {
            mine.merge(other)?;
        }
        if let (Some(mine), Some(other)) = (&mut self.features, &other.features) {
            mine.append(other)?;
        }
        Ok(())
    }

    fn check_merge(&self, other: &Self) -> Result<()> {
        let missing = |what, side| Err(Error::Missing { metric: "a merged set", what, side });
        for ((what, mine), (_, other)) in self.widths().into_iter().zip(other.widths()) {
            match (mine, other) {
                (None, Some(_)) => return missing(what, "first"),
                (Some(_), None) => return missing(what, "second"),
                (Some(expected), Some(got)) if expected != got => {
                    return Err(Error::Dimension { what, expected, got });
                }
                _ => {}
            }
        }
        let moments = [&self.stats, &self.spatial, &other.stats, &other.spatial];
        if moments.into_iter().flatten().all(|stats| stats.count().is_some()) {
            Ok(())
        } else {
            Err(Error::UnknownCount)
        }
    }

    /// Width of each part that the set holds.
    fn widths(&self) -> [(&'static str, Option<usize>); 4] {
        [
            (STATS, self.stats.as_ref().map(FeatureStats::dim)),
            (SPATIAL, self.spatial.as_ref().map(FeatureStats::dim)),
            (FEATURES, self.features.as_ref().map(Features::dim)),
            (LOGITS, self.logits.as_ref().map(Logits::dim)),
        ]
    }

    /// The reference, for `metric`.
    ///
    /// # Errors
    /// [`Error::NoReference`] when there is none.
    pub fn reference_for<'a>(
        reference: Option<&'a Self>,
        metric: &'static str,
    ) -> Result<&'a Self> {
        reference.ok_or(Error::NoReference { metric })
    }

    /// The statistics, for `metric`, which calls this set `side`.
    ///
    /// # Errors
    /// [`Error::Missing`] when the set holds none.
    pub fn stats_for(&self, metric: &'static str, side: &'static str) -> Result<&FeatureStats> {
        self.stats.as_ref().ok_or(Error::Missing { metric, what: STATS, side })
    }

    /// The features, for `metric`, which calls this set `side`.
    ///
    /// # Errors
    /// [`Error::Missing`] when the set holds none.
    pub fn features_for(&self, metric: &'static str, side: &'static str) -> Result<&Features> {
        self.features.as_ref().ok_or(Error::Missing { metric, what: FEATURES, side })
    }

    /// The logits, for `metric`, which calls this set `side`.
    ///
    /// # Errors
    /// [`Error::Missing`] when the set holds none.
    pub fn logits_for(&self, metric: &'static str, side: &'static str) -> Result<&Logits> {
        self.logits.as_ref().ok_or(Error::Missing { metric, what: LOGITS, side })
    }

    /// The spatial statistics, for `metric`, which calls this set `side`.
    ///
    /// # Errors
    /// [`Error::Missing`] when the set holds none.
    pub fn spatial_for(&self, metric: &'static str, side: &'static str) -> Result<&FeatureStats> {
        self.spatial.as_ref().ok_or(Error::Missing { metric, what: SPATIAL, side })
    }
}

/// Collects a [`FeatureSet`] batch by batch, keeping only what is needed.
///
/// The result depends on the rows and their order, not on how they were cut into batches.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSetBuilder {
    needs: Needs,
    pub(crate) stats: Option<StatsBuilder>,
    pub(crate) features: Option<Features>,
    pub(crate) logits: Option<Features>,
    pub(crate) spatial: Option<StatsBuilder>,
}

impl FeatureSetBuilder {
    /// Collects what `needs` names.
    pub fn new(needs: Needs) -> Self {
        Self { needs, stats: None, features: None, logits: None, spatial: None }
    }

    /// What is collected.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// [`Error::Missing`] when the batch lacks a part that is collected, [`Error::Dimension`] when
    /// a part is as wide as no earlier one, [`Error::NotFinite`] for an infinity or a NaN.
    pub fn push(&mut self, batch: &FeatureBatch) -> Result<()> {
        let wanted = |need| self.needs.contains(need);
        let missing = |what| Error::Missing { metric: "the set", what, side: "pushed" };
        let (logits, spatial) = (batch.logits.as_ref(), batch.spatial.as_ref());
        let logits = wanted(Needs::LOGITS).then(|| logits.ok_or(missing(LOGITS))).transpose()?;
        let spatial = wanted(Needs::SPATIAL)
            .then(|| spatial.ok_or(missing("the spatial features")))
            .transpose()?;
        let stats = wanted(Needs::STATS).then_some(&batch.features);
        let features = wanted(Needs::FEATURES).then_some(&batch.features);
        let dim = |part: &Option<StatsBuilder>| part.as_ref().map(StatsBuilder::dim);
        let width = |part: &Option<Features>| part.as_ref().map(Features::dim);
        let parts = [
            ("features", dim(&self.stats).or(width(&self.features)), stats.or(features)),
            ("logits", width(&self.logits), logits),
            ("spatial features", dim(&self.spatial), spatial),
        ];
        // Everything is checked before anything is added, so an error leaves the set as it was.
        for (what, dim, rows) in parts {
            let Some(rows) = rows else { continue };
            let (expected, got) = (batch.features.len(), rows.len());
            if expected != got {
                return Err(Error::RowCount { what, expected, got });
            }
            match dim {
                Some(expected) if expected != rows.dim() => {
                    return Err(Error::Dimension { what, expected, got: rows.dim() });
                }
                _ => rows.check_finite(what)?,
            }
        }
        push_stats(&mut self.stats, stats)?;
        push_rows(&mut self.features, features)?;
        push_rows(&mut self.logits, logits)?;
        push_stats(&mut self.spatial, spatial)
    }

    /// The set as far as it was collected.
    #[must_use]
    pub fn finish(self) -> FeatureSet {
        FeatureSet {
            stats: self.stats.map(StatsBuilder::finish),
            features: self.features,
            logits: self.logits.map(Logits::Held),
            spatial: self.spatial.map(StatsBuilder::finish),
        }
    }
}

fn push_stats(part: &mut Option<StatsBuilder>, rows: Option<&Features>) -> Result<()> {
    match (part, rows) {
        (_, None) => Ok(()),
        (Some(part), Some(rows)) => part.push(rows),
        (part @ None, Some(rows)) => part.insert(StatsBuilder::new(rows.dim())?).push(rows),
    }
}

fn push_rows(part: &mut Option<Features>, rows: Option<&Features>) -> Result<()> {
    match (part, rows) {
        (_, None) => Ok(()),
        (Some(part), Some(rows)) => part.append(rows),
        (part @ None, Some(rows)) => {
            *part = Some(rows.clone());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
