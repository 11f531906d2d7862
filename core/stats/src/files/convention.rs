//! The conditions under which features are computed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The conditions of features apart from the images: two sets can be compared when they are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convention {
    /// Extractor.
    pub extractor: String,
    /// Digest of the file of its weights.
    pub weights_sha256: String,
    /// Layer of the features.
    pub layer: String,
    /// Resize convention.
    pub resize: String,
    /// Input scaling.
    pub scaling: String,
}

impl Convention {
    /// Fails when `other` differs.
    ///
    /// # Errors
    /// [`Error::OtherConvention`], which names every difference.
    pub fn check(&self, other: &Self) -> Result<()> {
        let fields = |c: &Self| {
            let Self { extractor, weights_sha256, layer, resize, scaling } = c.clone();
            [extractor, weights_sha256, layer, resize, scaling]
        };
        let names = ["extractor", "weights sha256", "layer", "resize", "scaling"];
        let differ = |((name, a), b): ((&str, &String), &String)| {
            (a != b).then(|| format!("{name} {b} instead of {a}"))
        };
        let (mine, others) = (fields(self), fields(other));
        let differences: Vec<_> =
            names.into_iter().zip(&mine).zip(&others).filter_map(differ).collect();
        if differences.is_empty() {
            return Ok(());
        }
        Err(Error::OtherConvention { differences: differences.join(", ") })
    }
}

impl fmt::Display for Convention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { extractor, weights_sha256, layer, resize, scaling } = self;
        let weights = weights_sha256.get(..8).unwrap_or(weights_sha256);
        write!(f, "{extractor} ({weights}), layer {layer}, {resize}, {scaling}")
    }
}
