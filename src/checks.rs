//! Ranges of the numbers in requests.

use std::ops::RangeInclusive;

use ganscope_images::Limits;

use crate::error::{Error, Result};

/// Fails unless the number `field` of a request is above 0.
pub(crate) fn positive(field: &'static str, value: usize) -> Result<()> {
    at_least(field, value, 1)
}

/// Fails unless the number `field` of a request is at least `least`.
pub(crate) fn at_least(field: &'static str, value: usize, least: usize) -> Result<()> {
    if value >= least {
        return Ok(());
    }
    let field = field.replace('_', "-");
    Err(Error::request(format!("`{field}` is {value}, expected at least {least}")))
}

/// Fails if no image is within the limits of a request.
pub(crate) fn limits(limits: Limits) -> Result<()> {
    positive("max_pixels", usize::try_from(limits.max_pixels).unwrap_or(usize::MAX))
}

/// Fails unless the number `field` of a request is at least 0 and at most `most`.
pub(crate) fn up_to(field: &'static str, value: f64, most: f64) -> Result<()> {
    if (0.0..=most).contains(&value) {
        return Ok(());
    }
    let field = field.replace('_', "-");
    Err(Error::request(format!("`{field}` is {value}, expected 0 to {most}")))
}

/// Fails unless the number `field` of a request is in a range.
pub(crate) fn within(
    field: &'static str,
    value: usize,
    range: RangeInclusive<usize>,
) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let (field, least, greatest) = (field.replace('_', "-"), range.start(), range.end());
    Err(Error::request(format!("`{field}` is {value}, expected {least} to {greatest}")))
}
