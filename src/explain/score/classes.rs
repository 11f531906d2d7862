//! The section of classes: how much of the distance is the mix of classes.

use std::collections::BTreeMap;

use ganscope_fid::{Weighted, distance_at_histogram, frechet_distance};
use ganscope_stats::{FeatureSet, FeatureStats, Features};
use serde::Serialize;

use super::causes::{Cause, percent};
use super::sets::{Labels, Member, predicted};
use crate::error::{Hint, Result};
use crate::watch::Warning;

/// Classes with fewer expected images are not compared.
const EXPECTED: f64 = 5.0;
/// Standard deviations beyond which the frequency of a class is no chance, among a thousand classes.
const DEVIATIONS: f64 = 4.5;
/// The part of a distance beyond which the mix of classes is a warning.
const MUCH: f64 = 0.1;
/// Classes that a sentence names.
const NAMED: usize = 4;

/// How frequent classes are, and what that does to the distance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassReport {
    /// The most probable classes of the images, by the extractor's own classifier.
    pub histogram: Vec<ClassCount>,
    /// Half the sum of the differences of the shares: so many images would have to change their class.
    pub difference: f64,
    /// The distance with generated images weighted so that classes are as frequent as in the reference.
    pub distance_at_reference_histogram: f64,
    /// The share of the reference in classes that no generated image has, which no weights bring back.
    pub lost: f64,
    /// Where such classes are: the distance with reference images weighted so that classes are as
    /// frequent as in the generated set.
    pub distance_at_generated_histogram: Option<f64>,
    /// The share of the distance that the same frequencies take away, by the smaller of these distances.
    pub part: f64,
    /// Whether the frequency of a class differs by more than chance.
    pub differs: bool,
}

/// A class in both sets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassCount {
    /// The class.
    pub class: usize,
    /// Its name.
    pub title: String,
    /// Its generated images.
    pub generated: usize,
    /// Its reference images.
    pub reference: usize,
    /// Its share of the generated images and of the reference.
    pub shares: [f64; 2],
    /// Standard deviations by which the share of the generated images is larger; none if there are too
    /// few images to tell.
    pub deviations: Option<f64>,
}

/// The distance of the images of one label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelDistance {
    /// The label.
    pub label: String,
    /// Its generated images.
    pub generated: usize,
    /// Its reference images.
    pub reference: usize,
    /// The distance; none below two images.
    pub distance: Option<f64>,
    /// Whether there are fewer images than features in either set: the distance is strongly biased.
    pub is_small: bool,
}

impl ClassReport {
    /// Compares the classes; none if those of a set are not known.
    pub(super) fn new(
        generated: &Member,
        reference: &Member,
        distance: f64,
        labels: &Labels,
    ) -> Result<Option<Self>> {
        let (Some(a), Some(b), Some(rows)) =
            (&generated.classes, &reference.classes, &generated.rows)
        else {
            return Ok(None);
        };
        let found = Histogram::new(a, b, labels);
        if !found.has_common() {
            return Ok(None);
        }
        let of_generated = Classified { classes: a, stats: &generated.stats };
        let of_reference = Classified { classes: b, stats: &reference.stats };
        let others = reference.rows.as_ref();
        let equal = found.equalized((of_generated, rows), (of_reference, others))?;
        let part = if distance > 0.0 { 1.0 - equal.least() / distance } else { 0.0 };
        let mut histogram = found.classes;
        histogram.retain(|class| class.generated + class.reference > 0);
        Ok(Some(Self {
            difference: 0.5
                * histogram.iter().map(|c| (c.shares[0] - c.shares[1]).abs()).sum::<f64>(),
            distance_at_reference_histogram: equal.generated.distance,
            lost: equal.generated.lost,
            distance_at_generated_histogram: equal.reference,
            part,
            differs: histogram.iter().any(ClassCount::differs),
            histogram,
        }))
    }

    /// The classes whose frequency differs by more than chance, the largest difference first.
    pub fn unlike(&self) -> Vec<&ClassCount> {
        let mut unlike: Vec<_> = self.histogram.iter().filter(|class| class.differs()).collect();
        unlike.sort_by(|a, b| b.difference().total_cmp(&a.difference()));
        unlike
    }

    /// One cause for each class that differs.
    pub(super) fn causes(&self, title: &str) -> Vec<Cause> {
        let mut causes: Vec<Cause> =
            self.unlike().into_iter().take(NAMED).map(ClassCount::cause).collect();
        if let Some(first) = causes.first_mut().filter(|_| self.part > 0.0) {
            first.part = Some(self.part);
            first.text = format!(
                "{} With the same mix of classes in both sets, {title} would be {} smaller.",
                first.text,
                percent(self.part)
            );
        }
        causes
    }
}

impl ClassCount {
    /// Whether the frequency differs by more than chance.
    pub fn differs(&self) -> bool {
        self.deviations.is_some_and(|deviations| deviations.abs() > DEVIATIONS)
    }

    fn difference(&self) -> f64 {
        (self.shares[0] - self.shares[1]).abs()
    }

    fn cause(&self) -> Cause {
        let [of_generated, of_reference] = self.shares.map(percent);
        let few = if self.shares[0] < self.shares[1] { "few" } else { "many" };
        Cause {
            text: format!(
                "Too {few} pictures of {}: {of_generated} instead of {of_reference}.",
                self.title
            ),
            section: "classes",
            share: self.difference(),
            part: None,
            class: Some(self.class),
        }
    }
}

/// A warning if much of the distance `title`, which is `distance`, is the mix of classes, as far as rows and
/// logits of both sets are at hand.
///
/// # Errors
/// If logits cannot be read.
pub(crate) fn about_classes(
    generated: &FeatureSet,
    reference: &FeatureSet,
    (title, distance): (&str, f64),
) -> Result<Option<Warning>> {
    let (Some(rows), Some(a), Some(b)) =
        (&generated.features, &generated.logits, &reference.logits)
    else {
        return Ok(None);
    };
    let (Some(of_a), Some(of_b)) = (&generated.stats, &reference.stats) else { return Ok(None) };
    if a.len() != rows.len() {
        return Ok(None);
    }
    let others = reference.features.as_ref().filter(|rows| rows.len() == b.len());
    let (a, b) = (predicted(a)?, predicted(b)?);
    let histogram = Histogram::new(&a, &b, &Labels::default());
    if !histogram.classes.iter().any(ClassCount::differs) || !histogram.has_common() {
        return Ok(None);
    }
    let of_generated = Classified { classes: &a, stats: of_a };
    let of_reference = Classified { classes: &b, stats: of_b };
    let equal = histogram.equalized((of_generated, rows), (of_reference, others))?;
    let part = 1.0 - equal.least() / distance;
    Ok((part > MUCH).then(|| {
        let text = format!(
            "{} of {title} is the mix of classes: it goes away when images are drawn so that \
             classes are equally frequent in both sets",
            percent(part)
        );
        let hint = Some(Hint::of("see {explain.}"));
        Warning { text, hint }
    }))
}

/// A set with its classes.
#[derive(Clone, Copy)]
struct Classified<'a> {
    classes: &'a [usize],
    stats: &'a FeatureStats,
}

/// A distance with images weighted so that classes are equally frequent.
struct Equalized {
    /// With weights of the generated images.
    generated: Weighted,
    /// With weights of the reference images, where the former lose a class.
    reference: Option<f64>,
}

impl Equalized {
    fn least(&self) -> f64 {
        self.reference.map_or(self.generated.distance, |other| other.min(self.generated.distance))
    }
}

/// How frequent classes are in both sets.
struct Histogram {
    /// All classes, also those without images.
    classes: Vec<ClassCount>,
}

impl Histogram {
    /// Counts the classes of generated and reference images.
    fn new(a: &[usize], b: &[usize], labels: &Labels) -> Self {
        let classes = a.iter().chain(b).max().map_or(0, |last| last + 1);
        let count = |of: &[usize]| {
            let mut counts = vec![0_usize; classes];
            for &class in of {
                counts[class] += 1;
            }
            counts
        };
        let (of_a, of_b) = (count(a), count(b));
        let (n, m) = (a.len().max(1) as f64, b.len().max(1) as f64);
        let class = |class: usize| {
            let [x, y] = [of_a[class], of_b[class]];
            let shares = [x as f64 / n, y as f64 / m];
            let pooled = (x + y) as f64 / (n + m);
            let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
            let enough = pooled * n.min(m) >= EXPECTED && error > 0.0;
            ClassCount {
                class,
                title: labels.title(class),
                generated: x,
                reference: y,
                shares,
                deviations: enough.then(|| (shares[0] - shares[1]) / error),
            }
        };
        Self { classes: (0..classes).map(class).collect() }
    }

    /// The distance of the generated set and the reference with equally frequent classes.
    ///
    /// `others` are the rows of the reference, as far as they are known.
    fn equalized(
        &self,
        (generated, rows): (Classified<'_>, &Features),
        (reference, others): (Classified<'_>, Option<&Features>),
    ) -> Result<Equalized> {
        let (histogram, classes) = (self.of_reference(), generated.classes);
        let found = distance_at_histogram(rows, classes, &histogram, reference.stats)?;
        let other_way = others.filter(|_| found.lost > 0.0).map(|others| {
            distance_at_histogram(others, reference.classes, &self.of_generated(), generated.stats)
        });
        let other_way = other_way.transpose()?.map(|weighted| weighted.distance);
        Ok(Equalized { generated: found, reference: other_way })
    }

    fn of_generated(&self) -> Vec<f64> {
        self.classes.iter().map(|class| class.shares[0]).collect()
    }

    fn of_reference(&self) -> Vec<f64> {
        self.classes.iter().map(|class| class.shares[1]).collect()
    }

    /// Whether some class is in both sets.
    fn has_common(&self) -> bool {
        self.classes.iter().any(|class| class.generated > 0 && class.reference > 0)
    }
}

/// The distance of the images of each label that both sets have; nothing where a set has no labels.
pub(super) fn distances_by_label(
    generated: &Member,
    reference: &Member,
) -> Result<Vec<LabelDistance>> {
    let (Some(a), Some(b)) = (&generated.rows, &reference.rows) else { return Ok(Vec::new()) };
    let by_label = |member: &Member, rows: usize| {
        let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for i in 0..rows {
            let Some(label) = member.album.label(i) else { continue };
            found.entry(label).or_default().push(i);
        }
        found
    };
    let (of_a, of_b) = (by_label(generated, a.len()), by_label(reference, b.len()));
    let mut distances = Vec::new();
    for (label, images) in of_a {
        let Some(others) = of_b.get(&label) else { continue };
        let stats = [a.select(&images), b.select(others)];
        let [g, r] = stats.each_ref().map(FeatureStats::from_features);
        let enough = images.len() > 1 && others.len() > 1;
        distances.push(LabelDistance {
            distance: enough.then(|| frechet_distance(&g, &r)).transpose()?,
            is_small: images.len().min(others.len()) <= a.dim(),
            generated: images.len(),
            reference: others.len(),
            label,
        });
    }
    Ok(distances)
}
