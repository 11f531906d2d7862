//! Whether the parts of an explanation sum to what they share out.

use serde::Serialize;

use crate::{Error, Result};

/// The sum of an explanation beside the difference of the answers that it shares out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Additivity {
    /// The answer to the image less that to the baseline.
    pub difference: f64,
    /// The sum of the parts.
    pub sum: f64,
    /// Standard error of the sum, where it is a mean of random draws.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
}

impl Additivity {
    /// `sum - difference`.
    pub fn gap(&self) -> f64 {
        self.sum - self.difference
    }

    /// Fails if the gap is larger than `share` of the difference, or of a twentieth of `magnitude`, the
    /// sum of the absolute parts, where parts cancel.
    ///
    /// # Errors
    /// [`Error::Gap`], which names `method`.
    pub fn check(self, method: &'static str, share: f64, magnitude: f64) -> Result<Self> {
        let size = self.difference.abs().max(magnitude / 20.0).max(f64::MIN_POSITIVE);
        if self.gap().abs() <= share * size {
            return Ok(self);
        }
        let Self { difference, sum, .. } = self;
        Err(Error::Gap { method, difference, sum })
    }
}
