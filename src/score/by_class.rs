//! Scores of each class of images.

use std::collections::{BTreeMap, BTreeSet};

use ganscope_stats::files::Convention;
use ganscope_stats::{FeatureSet, Metric, Side};
use serde::Serialize;

use super::Row;
use super::chosen::Chosen;
use crate::error::{Error, Hint, Result};
use crate::features::{Gathered, extraction};
use crate::source::Source;

/// Classes whose moments are in memory at once.
const AT_ONCE: usize = 16;
/// Classes that a message lists.
const LISTED: usize = 5;

/// The scores of one class of a generated set, against the same class of the reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassScores {
    /// The generated set.
    pub generated: String,
    /// The class: its number, or the name of its folder.
    pub class: String,
    /// Its images in the generated set.
    pub images: usize,
    /// Its images in the reference set, where there is one.
    pub reference_images: Option<usize>,
    /// The scores that the class suffices for.
    pub scores: Vec<Row>,
    /// The metrics that it does not suffice for.
    pub missing: Vec<MissingScore>,
}

/// A metric without a score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingScore {
    /// Name of the metric.
    pub metric: &'static str,
    /// Why it has none.
    pub reason: String,
}

/// A set whose images have classes.
struct Classes<'a> {
    set: &'a Gathered,
    /// The class of each row.
    of_row: Vec<String>,
    /// Number of rows of each class.
    counts: BTreeMap<Order, usize>,
}

/// A class in the order of tables: numbers by their value, before names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    number: u64,
    name: String,
}

impl Order {
    fn of(class: &str) -> Self {
        Self { number: class.parse().unwrap_or(u64::MAX), name: class.to_owned() }
    }
}

/// The class of image `i` of a set: its label in `dataset.json` or the array, else its folder.
fn class(source: &Source, i: usize) -> Result<String> {
    let images = source.need_images()?;
    let name = images.name(i);
    let folder = || name.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let class = images.label(i).map(|label| label.to_string()).or_else(folder);
    class.ok_or_else(|| {
        Error::request(format!("`{name}` of `{}` has no class", source.name())).with_hint(
            "classes are sub-folders, labels of a `dataset.json`, or `arr_1` or `y` of an npz",
        )
    })
}

/// Checks that all images of a set have classes.
///
/// # Errors
/// If one has none, or the set consists of statistics.
pub(super) fn check(source: &Source) -> Result<()> {
    (0..source.need_images()?.len()).try_for_each(|i| class(source, i).map(drop))
}

impl<'a> Classes<'a> {
    fn of(source: &Source, set: &'a Gathered) -> Result<Self> {
        let class = |&i: &usize| class(source, i);
        let of_row: Vec<String> = set.places.iter().map(class).collect::<Result<_>>()?;
        let mut counts = BTreeMap::new();
        for class in &of_row {
            *counts.entry(Order::of(class)).or_insert(0) += 1;
        }
        Ok(Self { set, of_row, counts })
    }

    fn count(&self, class: &Order) -> usize {
        self.counts.get(class).copied().unwrap_or(0)
    }

    /// The features of some classes.
    fn sets(&self, classes: &[Order], chosen: &Chosen, side: Side) -> Result<Vec<FeatureSet>> {
        let place = |class: &String| classes.iter().position(|of| of.name == *class);
        let groups: Vec<Option<usize>> = self.of_row.iter().map(place).collect();
        match &self.set.rows {
            Some(store) => {
                extraction::collect_groups(store, chosen.needs(side), &groups, classes.len())
            }
            None => Ok(vec![FeatureSet::default(); classes.len()]),
        }
    }
}

/// The scores of all classes of generated sets, set by set.
///
/// # Errors
/// If an image has no class, no class is in both sets, or features cannot be read.
pub(super) fn scores(
    (sources, sets): (&[Source], &[Gathered]),
    reference: Option<(&Source, &Gathered)>,
    chosen: &Chosen,
    convention: Option<&Convention>,
) -> Result<Vec<ClassScores>> {
    let classes = |(source, set)| Classes::of(source, set);
    let generated: Vec<Classes<'_>> =
        sources.iter().zip(sets).map(classes).collect::<Result<_>>()?;
    let reference = reference.map(|(source, set)| Classes::of(source, set)).transpose()?;
    let reference = reference.as_ref();
    generated.iter().try_for_each(|set| check_common(set, reference))?;
    let all = generated.iter().chain(reference).flat_map(|set| set.counts.keys().cloned());
    let all: Vec<Order> = all.collect::<BTreeSet<Order>>().into_iter().collect();
    let mut found: Vec<Vec<ClassScores>> = generated.iter().map(|_| Vec::new()).collect();
    for some in all.chunks(AT_ONCE) {
        let of_reference = reference.map(|set| set.sets(some, chosen, Side::Reference));
        let of_reference = of_reference.transpose()?;
        for (set, found) in generated.iter().zip(&mut found) {
            let of_generated = set.sets(some, chosen, Side::Generated)?;
            for (i, class) in some.iter().enumerate() {
                let other = of_reference.as_ref().map(|sets| &sets[i]);
                let mut scores = ClassScores {
                    generated: set.set.facts.path.clone(),
                    class: class.name.clone(),
                    images: set.count(class),
                    reference_images: reference.map(|set| set.count(class)),
                    scores: Vec::new(),
                    missing: Vec::new(),
                };
                let against = reference.map(|set| set.set.facts.path.as_str());
                for metric in &chosen.metrics {
                    scores.add(&**metric, (&of_generated[i], other), against, convention);
                }
                found.push(scores);
            }
        }
    }
    Ok(found.into_iter().flatten().collect())
}

impl ClassScores {
    /// Adds the scores of a metric, or the reason why there are none.
    fn add(
        &mut self,
        metric: &dyn Metric,
        (generated, reference): (&FeatureSet, Option<&FeatureSet>),
        against: Option<&str>,
        convention: Option<&Convention>,
    ) {
        let path = &self.generated;
        let reason = if self.images == 0 {
            Some(format!("no images in `{path}`"))
        } else if metric.needs_reference() && self.reference_images == Some(0) {
            Some(format!("no images in `{}`", against.unwrap_or_default()))
        } else if metric.needs_held_out() {
            Some(format!("{} compares with held-out images of all classes", metric.title()))
        } else {
            None
        };
        let scores = match reason {
            Some(reason) => Err(reason),
            None => score_one(path, generated, reference, metric),
        };
        match scores {
            Ok(scores) => {
                let row = |score| Row::new(score, convention, path, against);
                let rows: Vec<Row> = scores.into_iter().map(row).collect();
                self.scores.extend(rows);
            }
            Err(reason) => self.missing.push(MissingScore { metric: metric.name(), reason }),
        }
    }
}

/// The scores of one metric, or the reason why there are none.
fn score_one(
    path: &str,
    generated: &FeatureSet,
    reference: Option<&FeatureSet>,
    metric: &dyn Metric,
) -> Result<Vec<ganscope_stats::Score>, String> {
    let found = metric.score(generated, reference).map_err(|error| Error::from(error).cause())?;
    let infinite = found.iter().any(|score| !score.value.is_finite());
    if infinite { Err(format!("the numbers of `{path}` are too large")) } else { Ok(found) }
}

/// Fails if a generated set has no class of the reference.
fn check_common(set: &Classes<'_>, reference: Option<&Classes<'_>>) -> Result<()> {
    let Some(reference) = reference else { return Ok(()) };
    if set.counts.keys().any(|class| reference.counts.contains_key(class)) {
        return Ok(());
    }
    let list = |classes: &Classes<'_>| {
        let names = classes.counts.keys().take(LISTED).map(|class| class.name.as_str());
        let names = names.collect::<Vec<_>>().join(", ");
        let more = if classes.counts.len() > LISTED { ", …" } else { "" };
        format!("{names}{more} in `{}`", classes.set.facts.path)
    };
    let problem = format!("no class is in both sets: {}, {}", list(set), list(reference));
    Err(Error::request(problem)
        .with_hint(Hint::of("name the classes alike, or leave {by_class} out")))
}

#[cfg(test)]
mod tests;
