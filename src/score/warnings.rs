//! Warnings about scores that may mislead.

use ganscope_images::{Format, Survey};
use ganscope_stats::Needs;
use ganscope_stats::files::Convention;

use crate::error::Hint;
use crate::features::{Gathered, SetFacts};
use crate::watch::Warning;

/// Below this count the bias of a Fréchet distance is large against the differences between good
/// models.
const BIASED_BELOW: u64 = 10_000;
/// Below this number of images in a split the Inception Score is far below its limit.
const SPLIT_BELOW: u64 = 1000;
/// An image this many times smaller than the network's input is mostly interpolation.
const TINY: usize = 4;
/// Sets whose numbers of images differ by this factor are not alike.
const UNEQUAL: u64 = 2;
/// Names that a warning lists.
const LISTED: usize = 3;

/// The sizes of a network that warnings use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    /// Features of an image.
    pub(crate) dim: usize,
    /// Side of its input, in pixels.
    pub(crate) input: usize,
}

/// Warnings about the sets of a comparison, of which each moment-based score reads `needs`.
pub(crate) fn about_sets(
    sets: &[&Gathered],
    needs: Needs,
    network: Option<Network>,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if needs.contains(Needs::STATS) {
        let dim = network
            .map(|network| network.dim)
            .or_else(|| sets.iter().find_map(|set| Some(set.set.stats.as_ref()?.mean().len())));
        let counts: Vec<&SetFacts> = sets.iter().map(|set| &set.facts).collect();
        warnings.extend(about_bias(&counts, dim.unwrap_or(0) as u64));
    }
    if needs.contains(Needs::FEATURES) {
        warnings.extend(about_rows(sets));
    }
    for set in sets {
        warnings.extend(about_set(set, network));
    }
    // A set that is both generated and reference says everything once.
    let mut once: Vec<Warning> = Vec::new();
    for warning in warnings {
        if !once.contains(&warning) {
            once.push(warning);
        }
    }
    once
}

/// Warnings about the numbers of images whose features are compared one by one.
fn about_rows(sets: &[&Gathered]) -> Vec<Warning> {
    let rows = |set: &Gathered| Some(set.set.features.as_ref()?.len() as u64);
    let mut warnings = Vec::new();
    for set in sets {
        if let (Some(rows), Some(images)) = (rows(set), set.facts.images)
            && rows < images
        {
            let path = &set.facts.path;
            let text = format!("`{path}` holds the features of {rows} of its {images} images");
            warnings.push(text.into());
        }
    }
    let counts = sets.iter().filter_map(|set| rows(set));
    if let (Some(least), Some(most)) = (counts.clone().min(), counts.max())
        && least * UNEQUAL <= most
    {
        warnings.push(
            format!(
                "{least} images against {most}: neighbors depend on numbers, so precision, recall, \
                 density and coverage compare only with those of equal sets"
            )
            .into(),
        );
    }
    warnings
}

/// One warning for all sets with too few images for an unbiased Fréchet distance.
fn about_bias(sets: &[&SetFacts], dim: u64) -> Option<Warning> {
    let mut few: Vec<(&str, u64)> = sets
        .iter()
        .filter_map(|set| Some((set.path.as_str(), set.images?)))
        .filter(|(_, images)| *images < BIASED_BELOW)
        .collect();
    few.dedup();
    let least = few.iter().map(|(_, images)| *images).min()?;
    let named: Vec<String> =
        few.iter().map(|(path, images)| format!("`{path}`: {}", count(*images))).collect();
    let (named, strongly) = (named.join(", "), if least < dim { "strongly " } else { "" });
    let bound = if least < dim {
        format!("{dim}, the number of features")
    } else {
        format!("{BIASED_BELOW}")
    };
    Some(
        format!(
            "{named}: below {bound}, Fréchet distances are {strongly}biased upwards; compare only \
             sets of equal size"
        )
        .into(),
    )
}

/// A warning if generated sets that are compared with each other have different numbers of images.
pub(crate) fn about_numbers(sets: &[&SetFacts]) -> Option<Warning> {
    let known = sets.iter().filter_map(|set| set.images);
    let (least, most) = (known.clone().min()?, known.max()?);
    (least != most).then(|| {
        let text = format!(
            "generated sets of {least} to {most} images: scores depend on the number, so a difference \
             between the sets may be one of numbers"
        );
        Warning { text, hint: Some(Hint::of("take as many of each with {num}")) }
    })
}

/// `1 image`, `2 images`.
pub(crate) fn count(images: u64) -> String {
    if images == 1 { "1 image".into() } else { format!("{images} images") }
}

/// Warnings about one set.
fn about_set(set: &Gathered, network: Option<Network>) -> Vec<Warning> {
    let name = &set.facts.path;
    let mut warnings: Vec<Warning> = Vec::new();
    if !set.facts.skipped.is_empty() {
        let skipped = &set.facts.skipped;
        let shown: Vec<&str> = skipped.iter().take(LISTED).map(String::as_str).collect();
        let rest = skipped.len().saturating_sub(LISTED);
        let rest = if rest > 0 { format!("; and {rest} more") } else { String::new() };
        let count = count(skipped.len() as u64);
        let shown = shown.join("; ");
        warnings.push(format!("`{name}`: {count} could not be read: {shown}{rest}").into());
    }
    let Some(survey) = &set.survey else { return warnings };
    if survey.duplicates > 0 {
        let n = survey.duplicates as u64;
        let (images, repeat) = (count(n), if n == 1 { "repeats" } else { "repeat" });
        warnings.push(format!("`{name}`: {images} {repeat} another one byte for byte").into());
    }
    let ((a, b), (c, d)) = (survey.smallest, survey.largest);
    if survey.sizes > 1 {
        let n = survey.sizes;
        warnings
            .push(format!("`{name}`: images of {n} different sizes, {a}x{b} to {c}x{d}").into());
    }
    if survey.deep_gray > 0 {
        let n = count(survey.deep_gray as u64);
        warnings.push(
            format!(
                "`{name}`: {n} of 16-bit gray: values above 255 become white, as in Pillow; convert \
                 them to 8 bits first"
            )
            .into(),
        );
    }
    if network.is_some_and(|network| a.min(b) * TINY < network.input) && survey.images > 0 {
        warnings.push(
            format!(
                "`{name}`: images of {a}x{b} pixels are mostly interpolation at the network's \
                 input: scores depend much on the resize convention"
            )
            .into(),
        );
    }
    warnings
}

/// One warning for all sets whose Inception Score has few images in a split.
pub(crate) fn about_splits(sets: &[&SetFacts], splits: usize) -> Option<Warning> {
    let in_split = |set: &&SetFacts| Some((set.path.clone(), set.images? / splits.max(1) as u64));
    let few: Vec<(String, u64)> =
        sets.iter().filter_map(in_split).filter(|(_, images)| *images < SPLIT_BELOW).collect();
    let named: Vec<String> =
        few.iter().map(|(path, images)| format!("`{path}`: {}", count(*images))).collect();
    (!few.is_empty()).then(|| Warning {
        text: format!(
            "{} in each of {splits} splits: below {SPLIT_BELOW}, the Inception Score is biased \
             downwards",
            named.join(", ")
        ),
        hint: Some(Hint::of("take fewer splits with {is_splits}, or more images")),
    })
}

/// Warnings about the two sets of a comparison: formats, identity.
pub(crate) fn about_pair(generated: &Gathered, reference: &Gathered) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let (Some(a), Some(b)) = (&generated.survey, &reference.survey) else { return warnings };
    let (of_a, of_b) = (&generated.facts.path, &reference.facts.path);
    if a.images > 0 && a.digest == b.digest {
        warnings.push(format!("`{of_a}` and `{of_b}` contain the same images").into());
    }
    let lossy = |s: &Survey| s.formats.get(&Format::Jpeg).copied().unwrap_or(0) > 0;
    if lossy(a) != lossy(b) {
        let (with, without) = if lossy(a) { (of_a, of_b) } else { (of_b, of_a) };
        warnings.push(
            format!(
                "`{with}` contains JPEG images and `{without}` none: compression alone moves FID"
            )
            .into(),
        );
    }
    warnings
}

/// A warning if stored statistics of a set were taken under another convention than that of the
/// comparison, or contain no convention.
pub(crate) fn about_convention(
    name: &str,
    stored: Option<&Convention>,
    convention: Option<&Convention>,
) -> Option<Warning> {
    match (stored, convention) {
        (None, Some(convention)) => Some(
            format!(
                "`{name}` does not tell how its features were taken; they are taken to be those of \
                 {convention}"
            )
            .into(),
        ),
        (None, None) => Some(
            format!(
                "`{name}` does not tell how its features were taken: neither extractor nor resize"
            )
            .into(),
        ),
        (Some(stored), Some(convention)) => convention.check(stored).err().map(|difference| {
            format!("`{name}` is compared under different conventions: {difference}").into()
        }),
        (Some(_), None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(path: &str, images: u64) -> SetFacts {
        SetFacts { path: path.into(), images: Some(images), convention: None, skipped: vec![] }
    }

    #[test]
    fn few_images_are_said_once_for_all_sets() {
        let sets = [facts("a", 40), facts("b", 5000), facts("c", 20_000)];
        let warning = about_bias(&sets.each_ref(), 2048).unwrap().text;
        assert!(warning.starts_with("`a`: 40 images, `b`: 5000 images: below 2048"), "{warning}");
        assert!(about_bias(&[&sets[2]], 2048).is_none());
    }

    #[test]
    fn few_images_in_a_split_are_said() {
        assert!(
            about_splits(&[&facts("a", 40)], 10).unwrap().text.contains("4 images in each of 10")
        );
        assert!(about_splits(&[&facts("a", 50_000)], 10).is_none());
    }
}
