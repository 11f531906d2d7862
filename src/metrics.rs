//! Metrics of the catalog and their options.

use ganscope_stats::Metric;
use serde::{Deserialize, Serialize};

use crate::checks::{at_least, positive, within};
use crate::error::Result;

/// Options of the metrics; the default is the published protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricOptions {
    /// Seed of the shuffle of the Inception Score, of the subsets of KID and of FD infinity, and of the
    /// directions of MIND.
    pub seed: u32,
    /// Splits of the Inception Score, at least 1.
    pub is_splits: usize,
    /// Subsets of KID, 1 to 1,000,000.
    pub kid_subsets: usize,
    /// Images in each subset of KID, at least 2.
    pub kid_subset_size: usize,
    /// Neighbors of the metrics of neighbors, such as precision and recall, at least 1; each metric's
    /// own if missing.
    pub nearest_k: Option<usize>,
}

impl Default for MetricOptions {
    fn default() -> Self {
        Self { seed: 2020, is_splits: 10, kid_subsets: 100, kid_subset_size: 1000, nearest_k: None }
    }
}

impl MetricOptions {
    /// Fails if a number is out of range.
    ///
    /// # Errors
    /// The message names the number and its range.
    pub fn check(&self) -> Result<()> {
        positive("is_splits", self.is_splits)?;
        within("kid_subsets", self.kid_subsets, 1..=1_000_000)?;
        at_least("kid_subset_size", self.kid_subset_size, 2)?;
        self.nearest_k.map_or(Ok(()), |k| positive("nearest_k", k))
    }
}

/// A metric of the catalog.
#[derive(Debug)]
pub struct MetricEntry {
    /// Its name.
    pub name: &'static str,
    /// Its meaning.
    pub about: &'static str,
    /// Number of neighbors of the published protocol, for a metric of neighbors.
    pub nearest_k: Option<usize>,
    /// Builds it.
    pub(crate) build: fn(&MetricOptions) -> Box<dyn Metric>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_refused() {
        let default = MetricOptions::default();
        for options in [
            MetricOptions { is_splits: 0, ..default },
            MetricOptions { kid_subset_size: 1, ..default },
            MetricOptions { nearest_k: Some(0), ..default },
        ] {
            assert!(options.check().is_err(), "{options:?}");
        }
    }
}
