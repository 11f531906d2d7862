//! What makes a number doubtful.

use ganscope_images::{Format, Survey};
use ganscope_model::FeatureExtractor;
use ganscope_stats::{Metric, Needs};

/// Below this count the bias of FID is large against the differences between good models.
const BIASED_BELOW: u64 = 10_000;
/// An image this many times smaller than the network's input is mostly interpolation.
const TINY: usize = 4;

/// Warnings about one set: `name`, of `images`, against what is asked of it.
pub fn about_set(
    name: &str,
    images: Option<u64>,
    survey: Option<&Survey>,
    needs: Needs,
    extractor: &dyn FeatureExtractor,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let images = images.unwrap_or(u64::MAX);
    let dim = extractor.feature_dim();
    if needs.contains(Needs::STATS) && images < dim as u64 {
        warnings.push(format!(
            "`{name}`: {images} images, fewer than the {dim} features: the Frechet distance is \
             strongly biased upwards; compare only with sets of the same count"
        ));
    } else if needs.contains(Needs::STATS) && images < BIASED_BELOW {
        warnings.push(format!(
            "`{name}`: {images} images: the Frechet distance is biased upwards below \
             {BIASED_BELOW}; compare only with sets of the same count"
        ));
    }
    let Some(survey) = survey else { return warnings };
    if survey.duplicates > 0 {
        let n = survey.duplicates;
        warnings.push(format!("`{name}`: {n} images repeat another one byte for byte"));
    }
    let ((a, b), (c, d)) = (survey.smallest, survey.largest);
    if survey.sizes > 1 {
        let n = survey.sizes;
        warnings.push(format!("`{name}`: {n} different sizes, {a}x{b} to {c}x{d}"));
    }
    if a.min(b) * TINY < extractor.input_size() {
        warnings.push(format!(
            "`{name}`: images of {a}x{b} pixels are mostly interpolation at the network's input: \
             scores depend much on the resize convention"
        ));
    }
    warnings
}

/// A warning if one set is JPEG and the other is not: compression moves FID.
pub fn about_formats(generated: &Survey, reference: &Survey) -> Option<String> {
    let lossy = |s: &Survey| s.formats.get(&Format::Jpeg).copied().unwrap_or(0) > 0;
    (lossy(generated) != lossy(reference)).then(|| {
        "one set holds JPEG images and the other none: compression alone moves FID".to_owned()
    })
}

/// A warning if images were left out.
pub fn about_skipped(name: &str, skipped: usize) -> Option<String> {
    let images = if skipped == 1 { "1 image" } else { &format!("{skipped} images") };
    (skipped > 0).then(|| format!("`{name}`: {images} could not be read and took no part"))
}

/// A warning if a set of so many images is too small for a metric.
pub fn about_left_out(metric: &dyn Metric, images: u64) -> Option<String> {
    let (name, least) = (metric.name(), metric.least_images());
    (images < least as u64).then(|| {
        format!("{name} is left out: it needs {least} images as it is set, and a set has {images}")
    })
}
