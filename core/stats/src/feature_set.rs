//! The features of one set of images, as far as metrics read them.

use std::fmt;

use bitflags::bitflags;

use crate::moments::check_width;
use crate::{Error, FeatureStats, Features, LeastImages, Logits, Result, Side, StatsBuilder};

bitflags! {
    /// The parts of a set that a metric reads, so that nothing else is kept.
    ///
    /// ```
    /// use ganscope_stats::Needs;
    /// let both = Needs::STATS | Needs::LOGITS;
    /// assert!(both.contains(Needs::LOGITS) && !both.contains(Needs::FEATURES));
    /// ```
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct Needs: u8 {
        /// Nothing.
        const NONE = 0;
        /// Mean and covariance of the features.
        const STATS = 1;
        /// The features themselves.
        const FEATURES = 2;
        /// The logits of the classifier.
        const LOGITS = 4;
        /// Mean and covariance of the spatial features.
        const SPATIAL = 8;
    }
}

/// Each part with its name in messages.
const PARTS: [(Needs, &str); 4] = [
    (Needs::STATS, "the mean and covariance of the features"),
    (Needs::SPATIAL, "the mean and covariance of the spatial features"),
    (Needs::FEATURES, "the features of each image"),
    (Needs::LOGITS, "the logits of each image"),
];

/// The parts in words, as a list.
impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            PARTS.iter().filter(|(part, _)| self.contains(*part)).map(|(_, name)| *name).collect();
        match names.as_slice() {
            [] => f.write_str("nothing"),
            [one] => f.write_str(one),
            [first @ .., last] => write!(f, "{} and {last}", first.join(", ")),
        }
    }
}

/// The output of a network for one batch of images, one row per image in each part.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureBatch {
    /// Pooled features, (N, dim).
    pub features: Features,
    /// Logits of the classifier, (N, classes).
    pub logits: Option<Features>,
    /// Flattened spatial features, (N, spatial dim).
    pub spatial: Option<Features>,
}

/// The features of one set of images, or their moments.
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
    /// The set of these features, one row per image, with their mean and covariance.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for an infinity or a NaN, [`Error::Parameter`] for rows that are too wide
    /// for a covariance.
    pub fn of_rows(features: Features) -> Result<Self> {
        check_width(features.dim())?;
        features.check_finite("features")?;
        let stats = Some(FeatureStats::from_features(&features));
        Ok(Self { stats, features: Some(features), ..Self::default() })
    }

    /// The parts that the set contains.
    pub fn holds(&self) -> Needs {
        let part = |held: bool, need| if held { need } else { Needs::NONE };
        part(self.stats.is_some(), Needs::STATS)
            | part(self.features.is_some(), Needs::FEATURES)
            | part(self.logits.is_some(), Needs::LOGITS)
            | part(self.spatial.is_some(), Needs::SPATIAL)
    }

    /// The same set with only the parts that `needs` names.
    #[must_use]
    pub fn only(self, needs: Needs) -> Self {
        let Self { stats, features, logits, spatial } = self;
        Self {
            stats: stats.filter(|_| needs.contains(Needs::STATS)),
            features: features.filter(|_| needs.contains(Needs::FEATURES)),
            logits: logits.filter(|_| needs.contains(Needs::LOGITS)),
            spatial: spatial.filter(|_| needs.contains(Needs::SPATIAL)),
        }
    }

    /// Number of images, unless only moments of unknown count are there.
    pub fn count(&self) -> Option<u64> {
        let stats = |part: &Option<FeatureStats>| part.as_ref().and_then(FeatureStats::count);
        stats(&self.stats)
            .or_else(|| self.features.as_ref().map(|rows| rows.len() as u64))
            .or_else(|| self.logits.as_ref().map(|rows| rows.len() as u64))
            .or_else(|| stats(&self.spatial))
    }

    /// Number of images behind `part`, a single part that the set contains, if known.
    fn count_of(&self, part: Needs) -> Option<u64> {
        match part {
            Needs::STATS => self.stats.as_ref()?.count(),
            Needs::SPATIAL => self.spatial.as_ref()?.count(),
            Needs::FEATURES => Some(self.features.as_ref()?.len() as u64),
            _ => Some(self.logits.as_ref()?.len() as u64),
        }
    }

    /// Width of `part`, a single part, if the set contains it.
    fn width_of(&self, part: Needs) -> Option<usize> {
        match part {
            Needs::STATS => self.stats.as_ref().map(FeatureStats::dim),
            Needs::SPATIAL => self.spatial.as_ref().map(FeatureStats::dim),
            Needs::FEATURES => self.features.as_ref().map(Features::dim),
            _ => self.logits.as_ref().map(Logits::dim),
        }
    }

    /// Checks that the set contains what `metric` needs, and enough images.
    pub(crate) fn check(
        &self,
        metric: &'static str,
        side: Side,
        needs: Needs,
        least: LeastImages,
    ) -> Result<()> {
        let held = self.holds();
        if held == Needs::NONE {
            least.check(metric, side, 0)?;
        }
        if !held.contains(needs) {
            return Err(Error::Missing { metric, part: needs.difference(held), side, held });
        }
        let counts = PARTS.iter().filter(|(part, _)| needs.contains(*part));
        match counts.filter_map(|(part, _)| self.count_of(*part)).min() {
            Some(count) => least.check(metric, side, usize::try_from(count).unwrap_or(usize::MAX)),
            None => Ok(()),
        }
    }

    /// Checks that this set, as the generated one, is as wide as `reference`, in the parts that are
    /// compared of each of them.
    pub(crate) fn check_widths(&self, reference: &Self, [mine, others]: [Needs; 2]) -> Result<()> {
        let pooled = [Needs::STATS, Needs::FEATURES];
        for kind in [&pooled[..], &[Needs::LOGITS], &[Needs::SPATIAL]] {
            let width = |set: &Self, needs: Needs| {
                kind.iter()
                    .filter(|part| needs.contains(**part))
                    .find_map(|part| set.width_of(*part))
            };
            if let (Some(got), Some(expected)) = (width(self, mine), width(reference, others))
                && got != expected
            {
                return Err(Error::Dimension { what: "the generated set", expected, got });
            }
        }
        Ok(())
    }

    /// Joins the features of two parts of one set: exact moments are merged, rows appended.
    ///
    /// # Errors
    /// [`Error::PartsDiffer`] if the sets contain different parts, [`Error::Dimension`] for parts
    /// of different width, [`Error::UnknownCount`] for moments without their count, and those of
    /// reading logits that are not in memory. The set is unchanged then.
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
        let (first, second) = (self.holds(), other.holds());
        if first != second {
            return Err(Error::PartsDiffer { first, second });
        }
        for (part, what) in PARTS {
            match (self.width_of(part), other.width_of(part)) {
                (Some(expected), Some(got)) if expected != got => {
                    return Err(Error::Dimension { what, expected, got });
                }
                _ => {}
            }
        }
        if self.is_mergeable() && other.is_mergeable() { Ok(()) } else { Err(Error::UnknownCount) }
    }

    /// Whether all moments come with their number of images.
    pub(crate) fn is_mergeable(&self) -> bool {
        [&self.stats, &self.spatial].into_iter().flatten().all(|stats| stats.count().is_some())
    }

    /// The reference, which `metric` needs.
    ///
    /// # Errors
    /// [`Error::NoReference`] if there is none.
    pub fn reference_for<'a>(
        reference: Option<&'a Self>,
        metric: &'static str,
    ) -> Result<&'a Self> {
        reference.ok_or(Error::NoReference { metric })
    }

    /// The mean and covariance of the features, which `metric` needs of this set.
    ///
    /// # Errors
    /// [`Error::Missing`] if the set does not contain them.
    pub fn stats_for(&self, metric: &'static str, side: Side) -> Result<&FeatureStats> {
        self.stats.as_ref().ok_or_else(|| self.missing(metric, Needs::STATS, side))
    }

    /// The features, which `metric` needs of this set.
    ///
    /// # Errors
    /// [`Error::Missing`] if the set does not contain them.
    pub fn features_for(&self, metric: &'static str, side: Side) -> Result<&Features> {
        self.features.as_ref().ok_or_else(|| self.missing(metric, Needs::FEATURES, side))
    }

    /// The logits, which `metric` needs of this set.
    ///
    /// # Errors
    /// [`Error::Missing`] if the set does not contain them.
    pub fn logits_for(&self, metric: &'static str, side: Side) -> Result<&Logits> {
        self.logits.as_ref().ok_or_else(|| self.missing(metric, Needs::LOGITS, side))
    }

    /// The mean and covariance of the spatial features, which `metric` needs of this set.
    ///
    /// # Errors
    /// [`Error::Missing`] if the set does not contain them.
    pub fn spatial_for(&self, metric: &'static str, side: Side) -> Result<&FeatureStats> {
        self.spatial.as_ref().ok_or_else(|| self.missing(metric, Needs::SPATIAL, side))
    }

    fn missing(&self, metric: &'static str, part: Needs, side: Side) -> Error {
        Error::Missing { metric, part, side, held: self.holds() }
    }
}

/// Collects a [`FeatureSet`] batch by batch, keeping only the parts that are needed.
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

    /// The parts that are collected.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// [`Error::Lacks`] if the batch does not contain a part that is collected,
    /// [`Error::Dimension`] if a part has another width than before, [`Error::NotFinite`] for an
    /// infinity or a NaN.
    pub fn push(&mut self, batch: &FeatureBatch) -> Result<()> {
        let wanted = |need| self.needs.contains(need);
        let missing = |part| Error::Lacks { what: "the batch", part };
        let (logits, spatial) = (batch.logits.as_ref(), batch.spatial.as_ref());
        let logits = wanted(Needs::LOGITS).then(|| logits.ok_or(missing("logits"))).transpose()?;
        let spatial = wanted(Needs::SPATIAL)
            .then(|| spatial.ok_or(missing("spatial features")))
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

    /// The set of all batches so far.
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
