//! How many images a comparison needs.

use ganscope_images::ImageSet;
use ganscope_stats::{FeatureSet, Features, Needs, Score, Side};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF as _, Normal};

use super::chosen::{Chosen, choose};
use super::growth::rows_of;
use super::{Row, Task, Warned, network, refuse_one_image, score_set, warnings};
use crate::error::{Error, Hint, Result};
use crate::features::{FeatureRequest, Gathered};
use crate::metrics::MetricOptions;
use crate::source::Source;
use crate::watch::{Warning, Watch};

/// Which difference is to be seen, by which metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanRequest {
    /// Images of a generator like those that will be compared; if missing, every second reference
    /// image is taken for generated.
    pub generated: Option<String>,
    /// The reference set.
    pub reference: Option<String>,
    /// Name of the metric.
    pub metric: String,
    /// The difference of two scores that is to be seen, in their unit, above 0.
    pub difference: f64,
    /// Chance of seeing it, above 0 and below 1.
    pub power: f64,
    /// Chance of seeing one where there is none (two-sided), above 0 and below 1.
    pub alpha: f64,
    /// Options of the metrics.
    pub options: MetricOptions,
    /// How images become features.
    pub features: FeatureRequest,
}

impl Default for PlanRequest {
    fn default() -> Self {
        Self {
            generated: None,
            reference: None,
            metric: "fid".into(),
            difference: 0.0,
            power: 0.8,
            alpha: 0.05,
            options: MetricOptions::default(),
            features: FeatureRequest::default(),
        }
    }
}

/// How many images show a difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// The difference that is to be seen.
    pub difference: f64,
    /// Chance of seeing it.
    pub power: f64,
    /// Chance of seeing one where there is none.
    pub alpha: f64,
    /// One plan for each score of the metric.
    pub plans: Vec<Plan>,
    /// Warnings about scores that may mislead.
    pub warnings: Vec<Warning>,
}

/// How many images show a difference of one score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The score of the images that are there.
    pub score: Row,
    /// Their number.
    pub measured: u64,
    /// Images of each generator that show the difference.
    pub needed: u64,
    /// The difference that the images that are there would show.
    pub visible: f64,
    /// The same score of every second image, where their features are known.
    pub half: Option<Row>,
    /// `p` of an error that falls like `N^-p` from half of the images to all; the plan takes 1/2.
    pub exponent: Option<f64>,
    /// What the plan leaves out.
    pub notes: Vec<String>,
}

/// Images of each of two generators at which a difference `d` of their scores is significant with
/// the chance `power`, in a two-sided test at `alpha`.
///
/// `N = 2 n (e (z(1 - alpha / 2) + z(power)) / d)^2`, where `e` is the standard error of the score of
/// `n` images and `z` the normal quantile: the error of a score of `N` images is taken to be
/// `e (n / N)^(1/2)`, and that of a difference `2^(1/2)` times as large, as both generators are
/// scored on their own images against one reference set.
///
/// The square root is exact for means over images (precision, density), and the first order of all
/// other scores. The second order is that of the pairs in KID and CMMD and of the estimated
/// covariance in FID, and falls faster; it counts where a generator is nearly as good as the data.
/// The error of drawing subsets for KID does not fall at all. Bias is no error, and no part of the
/// formula: that of FID is the same for equal numbers of images to first order.
///
/// ```
/// use ganscope::score::plan::images_needed;
///
/// // 2 * 1000 * (0.05 * (1.960 + 0.842) / 0.1)^2 = 3924.4
/// assert_eq!(images_needed(0.05, 1000, 0.1, 0.8, 0.05), 3925);
/// ```
pub fn images_needed(
    standard_error: f64,
    images: u64,
    difference: f64,
    power: f64,
    alpha: f64,
) -> u64 {
    let errors = standard_error * quantiles(power, alpha) / difference;
    ((2.0 * images as f64 * errors * errors).ceil() as u64).max(2)
}

/// `z(1 - alpha / 2) + z(power)`.
fn quantiles(power: f64, alpha: f64) -> f64 {
    let z = |p: f64| Normal::standard().inverse_cdf(p);
    z(1.0 - alpha / 2.0) + z(power)
}

/// Tells how many images show a difference of scores, from the standard errors of those at hand.
///
/// # Errors
/// If the request is not sound, a set cannot be read, the score has no standard error, or the task is
/// stopped.
pub fn plan(request: &PlanRequest, watch: &mut dyn Watch) -> Result<PlanReport> {
    request.check()?;
    let (generated, reference) = request.sources()?;
    let mut warned = Warned::new(watch);
    let names = [request.metric.clone()];
    let chosen = choose(Some(&names), &[], &request.options, reference.is_some())?;
    chosen.held_out(None)?;
    let (sets, reference) = gather(request, &chosen, generated, reference, &mut warned)?;
    let mut plans = Vec::new();
    for set in &sets {
        plans.extend(request.of_set(set, reference.as_ref(), &chosen)?);
    }
    if plans.is_empty() {
        let title = chosen.metrics.first().map_or("the metric", |metric| metric.title());
        return Err(Error::request(format!("{title} of these sets has no standard error"))
            .with_hint("take another metric, or more images"));
    }
    let PlanRequest { difference, power, alpha, .. } = *request;
    Ok(PlanReport { difference, power, alpha, plans, warnings: warned.warnings })
}

/// The features of both sets.
fn gather(
    request: &PlanRequest,
    chosen: &Chosen,
    generated: Source,
    reference: Option<Source>,
    warned: &mut Warned<'_>,
) -> Result<(Vec<Gathered>, Option<Gathered>)> {
    let task = Task { chosen, features: &request.features, force: false };
    let generated = [generated];
    let extractor = task.open_extractor(&generated, [&reference, &None], warned.watch)?;
    let all = || generated.iter().chain(&reference);
    let convention = extractor.as_ref().map(|extractor| &extractor.convention);
    let convention = convention.or(all().find_map(Source::convention)).cloned();
    for source in all() {
        task.check_convention(source, convention.as_ref(), warned)?;
    }
    // The rows of the generated set tell how the error changes with their number.
    let is_stored = generated.iter().any(|source| source.stored().is_some());
    let rows = if is_stored { Needs::NONE } else { Needs::FEATURES };
    let needs = [chosen.needs(Side::Generated) | rows, chosen.needs(Side::Reference)];
    let network_of = (&request.features, extractor.as_ref());
    let (sets, [reference]) =
        super::gather(network_of, needs, &generated, [&reference], warned.watch)?;
    let all: Vec<&Gathered> = sets.iter().chain(&reference).collect();
    let needs = chosen.needs(Side::Generated);
    warned.extend(warnings::about_sets(&all, needs, extractor.as_ref().map(network)));
    Ok((sets, reference))
}

/// Every second image of a set whose parts are known image by image. Sets are often sorted by class, so
/// that the first images are of another kind than the last.
fn every_second_row(set: &FeatureSet) -> Result<Option<FeatureSet>> {
    let count = set.features.as_ref().map_or(0, Features::len);
    let some: Vec<usize> = (0..count / 2).map(|i| 2 * i).collect();
    rows_of(set, &some)
}

impl PlanRequest {
    /// Checks all of the request that does not depend on the sets.
    fn check(&self) -> Result<()> {
        self.features.check()?;
        if !(self.difference > 0.0 && self.difference.is_finite()) {
            let problem = format!("`difference` is {}, expected more than 0", self.difference);
            return Err(Error::request(problem));
        }
        for (name, share) in [("power", self.power), ("alpha", self.alpha)] {
            if !(share > 0.0 && share < 1.0) {
                let problem = format!("`{name}` is {share}, expected more than 0 and less than 1");
                return Err(Error::request(problem));
            }
        }
        if quantiles(self.power, self.alpha) <= 0.0 {
            let (power, alpha) = (self.power, self.alpha);
            let problem = format!("a power of {power} is had by chance at a level of {alpha}");
            return Err(Error::request(problem).with_hint(Hint::of("raise {power}")));
        }
        Ok(())
    }

    /// The generated and the reference set: halves of the reference if nothing is generated.
    fn sources(&self) -> Result<(Source, Option<Source>)> {
        let open = |name: &String| Source::open(name, &self.features.set_options());
        let reference = self.reference.as_ref().map(open).transpose()?;
        reference.iter().try_for_each(refuse_one_image)?;
        if let Some(name) = &self.generated {
            let generated = open(name)?;
            refuse_one_image(&generated)?;
            return Ok((generated, reference));
        }
        let Some(reference) = reference else {
            return Err(Error::request("no set to plan with")
                .with_hint(Hint::of("give {generated}, {reference}, or both")));
        };
        let images = reference.images().ok_or_else(|| {
            Error::request(format!(
                "`{}` contains no images to take for generated",
                reference.name()
            ))
            .with_hint(Hint::of("give images of a generator with {generated}"))
        })?;
        let every_second = |from: usize| {
            let whole = images.clone();
            let count = images.len().saturating_sub(from).div_ceil(2);
            ImageSet::from_fn(count, move |i| Ok(whole.get(2 * i + from)?.image))
        };
        let part = |what: &str, from| {
            Source::of_images(format!("{} ({what} images)", reference.name()), every_second(from))
        };
        Ok((part("even", 0), Some(part("odd", 1))))
    }

    /// The plans for the scores of a set that have standard errors.
    fn of_set(
        &self,
        set: &Gathered,
        reference: Option<&Gathered>,
        chosen: &Chosen,
    ) -> Result<Vec<Plan>> {
        let path = &set.facts.path;
        let other = reference.map(|reference| &reference.set);
        let images = set.set.count().ok_or_else(|| {
            Error::request(format!("`{path}` does not tell how many images it is of"))
                .with_hint("give the images, or statistics with their number")
        })?;
        let rows = |of: &FeatureSet| -> Result<Vec<Row>> {
            let convention = set.facts.convention.as_ref();
            let against = reference.map(|reference| reference.facts.path.as_str());
            let scores = score_set(path, of, other, &chosen.metrics)?;
            let row = |score: Score| Row::new(score, convention, path, against);
            Ok(scores.into_iter().map(row).collect())
        };
        let suffices = |half: &FeatureSet| {
            chosen.metrics.iter().all(|metric| metric.check(half, other).is_ok())
        };
        let half = every_second_row(&set.set)?.filter(suffices);
        let of_half = half.as_ref().map(rows).transpose()?.unwrap_or_default();
        let plan = |score: Row| {
            let half = of_half.iter().find(|half| half.name == score.name).cloned();
            self.of_score(score, half, images)
        };
        Ok(rows(&set.set)?.into_iter().filter_map(plan).collect())
    }

    /// The plan for a score of `images` images, if it has a standard error.
    fn of_score(&self, score: Row, half: Option<Row>, images: u64) -> Option<Plan> {
        let error = super::differences::error(&score).filter(|&error| error > 0.0)?;
        let (power, alpha) = (self.power, self.alpha);
        let needed = images_needed(error, images, self.difference, power, alpha);
        let of_half = half.as_ref().and_then(super::differences::error);
        let exponent = of_half.filter(|&of_half| of_half > 0.0).map(|e| (e / error).log2());
        let mut notes = Vec::new();
        notes.extend(about(&score.name).map(str::to_owned));
        if let Some(half) = half.as_ref().filter(|_| BIASED.contains(&score.name.as_str())) {
            let (from, to) = (half.value, score.value);
            let count = images / 2;
            notes.push(format!(
                "{} of {count} images is {from:.6}, of {images} {to:.6}",
                score.title
            ));
        }
        if let Some(p) = exponent.filter(|p| (p - 0.5).abs() > EXPONENT) {
            notes.push(format!(
                "from half of the images to all, the error fell like N^-{p:.2}; the plan takes \
                 N^-0.50: plan again with more images"
            ));
        }
        if needed > images.saturating_mul(FAR) {
            notes.push(format!("{needed} images are far beyond the {images} at hand"));
        }
        if self.generated.is_none() {
            notes.push(
                "half of the reference set was taken for generated: a worse generator has a larger \
                 error, and needs more images"
                    .into(),
            );
        }
        let visible = error * 2f64.sqrt() * quantiles(power, alpha);
        Some(Plan { score, measured: images, needed, visible, half, exponent, notes })
    }
}

/// An exponent this far from that of a mean is told: its own error is about a tenth.
const EXPONENT: f64 = 0.15;
/// A plan for this many times the images at hand is told.
const FAR: u64 = 20;
/// Scores whose expectation depends on the number of images.
const BIASED: &[&str] = &["fid", "sfid", "mifid", "is", "vendi", "vendi_2", "vendi_inf", "mind"];

/// What the scaling of the error of a score leaves out.
fn about(score: &str) -> Option<&'static str> {
    match score {
        "fid" | "sfid" | "mifid" | "mind" => Some(
            "the distance of few images is biased upwards; the bias cancels in a difference only if \
             both sets have equally many images",
        ),
        "kid" => Some(
            "the error of drawing subsets does not fall with the number of images: raise the number \
             of subsets with it",
        ),
        "is" => Some("the score grows with the images in a split, and its error with it"),
        "vendi" | "vendi_2" | "vendi_inf" => Some("the score grows with the number of images"),
        "recall" | "coverage" | "prc_recall" | "prc_f_score" | "clipped_coverage" => Some(
            "the score changes with the numbers of images of both sets; only its error at the number \
             at hand is known",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
