//! What chance does: sets of the same sizes, drawn from the images of both.

use ganscope_fid::{frechet_distance, largest_part};
use ganscope_stats::random::RandomState;
use ganscope_stats::{Chance, FeatureStats};
use serde::Serialize;

use super::sets::Member;
use crate::error::Result;

/// Sets that are drawn.
pub(super) const DRAWS: u32 = 199;
/// Probability of an alarm where there is no difference, for each test: there is one of directions, and
/// one for each kernel of the modes.
pub(super) const LEVEL: f64 = 0.01;
/// Directions of the features in which sets that are drawn are compared.
pub(super) const LEADING: usize = 128;

/// What the largest of several numbers is by chance alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ByChance {
    /// The number that is more in one of a hundred drawings.
    pub limit: f64,
    /// How probable it is that the largest number is chance.
    pub p_value: f64,
}

impl ByChance {
    pub(super) fn of(chance: &Chance) -> Self {
        Self { limit: chance.limit(LEVEL), p_value: chance.p_value() }
    }
}

/// What chance does to the distance: its value for one drawing, and the largest part of a direction.
pub(super) struct OfDistance {
    pub(super) distance: f64,
    pub(super) largest_part: Chance,
}

impl OfDistance {
    /// The images of both sets, drawn anew; none where a set has no features of single images.
    pub(super) fn new(generated: &Member, reference: &Member, seed: u32) -> Result<Option<Self>> {
        let (Some(a), Some(b)) = (&generated.rows, &reference.rows) else { return Ok(None) };
        let mut pooled = generated.stats.clone();
        pooled.merge(&reference.stats)?;
        let mut all = a.clone();
        all.append(b)?;
        let order = RandomState::new(seed).permutation(all.len());
        let drawn = FeatureStats::from_features(&all.select(&order[..a.len()]));
        let rest = pooled.without(&drawn)?;
        Ok(Some(Self {
            distance: frechet_distance(&drawn, &rest)?,
            largest_part: largest_part([a, b], &pooled, LEADING, (DRAWS, seed))?,
        }))
    }
}
