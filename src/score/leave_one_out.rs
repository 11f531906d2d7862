//! Contributions: how much each image adds to a score, by leaving it out.

pub mod figures;

use std::fmt::Write as _;

use ganscope_fid::{LeaveOneOut, frechet_distance, worst_first};
use ganscope_images::{Image, ImageSet};
use ganscope_inception_score::leave_one_out as leave_out_of_inception_score;
use ganscope_prdc::realism;
use ganscope_stats::files::Convention;
use ganscope_stats::{FeatureSet, FeatureStats, Needs, Score};
use serde::{Deserialize, Serialize};

use super::chosen::{self, Chosen};
use super::{Task, VERSION, Warned, network, warnings};
use crate::checks::{positive, within};
use crate::error::{Context as _, Error, Kind, Result};
use crate::explain::distance::{PixelMaps, pixel_maps};
use crate::features::{FeatureRequest, Gatherer};
use crate::source::Source;
use crate::watch::{Counter, Warning, Watch};

/// Whose images are left out, against which reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeaveOneOutRequest {
    /// The generated images.
    pub generated: String,
    /// The reference set: real images, or their statistics.
    pub reference: String,
    /// Number of images that are listed as the worst, at least 1.
    pub top: usize,
    /// Number of the worst images whose pixels are explained.
    pub heat: usize,
    /// Neighbors of realism in the reference, at least 1.
    pub nearest_k: usize,
    /// How images become features.
    pub features: FeatureRequest,
    /// Whether sets are compared that were taken under different conventions.
    pub force: bool,
}

impl Default for LeaveOneOutRequest {
    fn default() -> Self {
        Self {
            generated: String::new(),
            reference: String::new(),
            top: 25,
            heat: 6,
            nearest_k: 3,
            features: FeatureRequest::default(),
            force: false,
        }
    }
}

/// What one image adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contribution {
    /// Its name in the set.
    pub name: String,
    /// The distance of the set minus that of the set without the image: positive where the image
    /// hurts.
    pub distance: f64,
    /// The Inception Score of the set minus that of the set without the image: negative where the
    /// image hurts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inception_score: Option<f64>,
    /// Its realism: at least 1 inside the reference manifold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realism: Option<f64>,
}

/// A generated set and what its images add to its scores.
#[derive(Debug, Clone, Serialize)]
pub struct Contributions {
    /// The generated set.
    pub generated: String,
    /// The reference set.
    pub reference: String,
    /// Extractor, layer and resize, in words.
    pub convention: String,
    /// Name of the distance: `FID`, or `FD (fashion-cnn)`.
    pub title: String,
    /// Name of the Inception Score on these features.
    #[serde(skip)]
    pub inception_score_title: String,
    /// The distance of all images.
    pub distance: f64,
    /// How many images are left out as the worst.
    pub top: usize,
    /// How many images each list shows.
    #[serde(skip)]
    pub listed: usize,
    /// The distance of the set without those.
    pub without_worst: f64,
    /// The Inception Score of all images at once, where there are logits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inception_score: Option<f64>,
    /// The images in the order of the set.
    pub images: Vec<Contribution>,
    /// What may mislead.
    pub warnings: Vec<Warning>,
    /// Version of this library.
    pub ganscope: &'static str,
    /// Positions of the images whose pixels are explained, with their maps.
    #[serde(skip)]
    pub maps: Vec<(usize, PixelMaps)>,
    /// The generated images.
    #[serde(skip)]
    pictures: Pictures,
}

/// Images of a set by their position among those that took part.
#[derive(Debug, Clone)]
struct Pictures {
    set: ImageSet,
    places: Vec<usize>,
}

/// Leaves out each generated image in turn, in closed form.
///
/// # Errors
/// If the generated set consists of statistics, a set or the extractor cannot be read, or the task is
/// stopped.
pub fn leave_one_out(request: &LeaveOneOutRequest, watch: &mut dyn Watch) -> Result<Contributions> {
    let features = &request.features;
    features.check()?;
    within("top", request.top, 1..=1000)?;
    within("heat", request.heat, 0..=1000)?;
    positive("nearest_k", request.nearest_k)?;
    let generated = Source::open(&request.generated, &features.set_options())?;
    let reference = Source::open(&request.reference, &features.set_options())?;
    let images = generated.need_images()?;
    let needs = Needs::STATS | Needs::FEATURES;
    let extractor = features.open_extractor(needs, reference.convention(), watch)?;
    let convention = &extractor.convention;
    let mut warned = Warned::new(watch);
    let chosen = Chosen { metrics: Vec::new(), by_name: true };
    let task = Task { chosen: &chosen, features, force: request.force };
    for source in [&generated, &reference] {
        task.check_convention(source, Some(convention), &mut warned)?;
    }
    let logits = extractor.computes() & Needs::LOGITS;
    let mut gatherer = Gatherer::new(features, &extractor);
    let of_generated = gatherer.gather(&generated, needs | logits, warned.watch)?;
    let of_reference = gatherer.gather(&reference, needs, warned.watch)?;
    let sets = [&of_generated, &of_reference];
    warned.extend(warnings::about_sets(&sets, Needs::STATS, Some(network(&extractor))));
    warned.extend(warnings::about_pair(&of_generated, &of_reference));
    if of_reference.set.features.is_none() {
        let name = reference.name();
        warned.watch.note(&format!("`{name}` contains no features of single images: no realism"));
    }

    let pictures = Pictures { set: images.clone(), places: of_generated.places.clone() };
    let (mut found, decomposed) =
        Contributions::new(&of_generated.set, &of_reference.set, request, pictures)
            .with_context(|| format!("`{}` against `{}`", generated.name(), reference.name()))?;
    found.convention = convention.to_string();
    found.title = title("fid", "FID", convention);
    found.inception_score_title = title("is", "Inception Score", convention);
    if request.heat > 0 {
        let rows = of_generated.set.features.as_ref().ok_or_else(|| lacks("features"))?;
        let worst: Vec<usize> = found.worst().into_iter().take(request.heat).collect();
        let mut counter = Counter::new(warned.watch, "heat maps", 0, worst.len());
        for i in worst {
            let gradient = decomposed.gradient(rows.row(i))?;
            found.maps.push((i, pixel_maps(&extractor, &found.image(i)?, &gradient)?));
            counter.add()?;
        }
    }
    warned.extend(found.about_sums());
    found.warnings = warned.warnings;
    Ok(found)
}

/// Name of a score for people.
fn title(name: &'static str, title: &str, convention: &Convention) -> String {
    chosen::title(&Score::new(name, title, 0.0, false), Some(convention))
}

fn lacks(what: &str) -> Error {
    Error::problem(Kind::Internal, format!("a set without its {what}"))
}

impl Contributions {
    /// Warnings where the contributions say less than a reader may think.
    fn about_sums(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let title = &self.title;
        if self.images.iter().all(|image| image.distance <= 0.0) {
            let text =
                format!("no image raises {title} by itself: a smaller set lies farther away");
            warnings.push(text.into());
        } else if self.without_worst > self.distance {
            let text = format!(
                "contributions do not add up: {title} is larger without the {} worst images at once",
                self.top
            );
            warnings.push(text.into());
        }
        warnings
    }

    fn new(
        generated: &FeatureSet,
        reference: &FeatureSet,
        request: &LeaveOneOutRequest,
        pictures: Pictures,
    ) -> Result<(Self, LeaveOneOut)> {
        let stats = generated.stats.as_ref().ok_or_else(|| lacks("moments"))?;
        let features = generated.features.as_ref().ok_or_else(|| lacks("features"))?;
        let reference_stats = reference.stats.as_ref().ok_or_else(|| lacks("moments"))?;
        let decomposed = LeaveOneOut::new(stats, reference_stats)?;
        let distances = decomposed.contributions(features)?;
        let scores = generated.logits.as_ref().map(leave_out_of_inception_score).transpose()?;
        let realism = reference.features.as_ref().map(|r| realism(features, r, request.nearest_k));
        let realism = realism.transpose()?;
        let image = |(i, &place): (usize, &usize)| Contribution {
            name: pictures.set.name(place),
            distance: distances[i],
            inception_score: scores.as_ref().map(|scores| scores.contributions[i]),
            realism: realism.as_ref().map(|realism| realism[i]),
        };
        let images: Vec<_> = pictures.places.iter().enumerate().map(image).collect();
        // Moments need a few images that stay.
        let top = request.top.min(images.len().saturating_sub(2));
        let mut stay = worst_first(&distances).split_off(top);
        stay.sort_unstable();
        let rest = FeatureStats::from_features(&features.select(&stay));
        let contributions = Self {
            generated: request.generated.clone(),
            reference: request.reference.clone(),
            convention: String::new(),
            title: String::new(),
            inception_score_title: String::new(),
            distance: decomposed.distance(),
            top,
            listed: request.top,
            without_worst: frechet_distance(&rest, reference_stats)?,
            inception_score: scores.map(|scores| scores.score),
            images,
            warnings: Vec::new(),
            ganscope: VERSION,
            maps: Vec::new(),
            pictures,
        };
        Ok((contributions, decomposed))
    }

    /// The image at position `i`.
    ///
    /// # Errors
    /// If it cannot be read any more.
    pub fn image(&self, i: usize) -> Result<Image> {
        let Pictures { set, places } = &self.pictures;
        let image = set.get(places[i]);
        Ok(image.with_context(|| format!("read `{}`", set.name(places[i])))?.image)
    }

    /// Positions of the images, the one that hurts the distance most first.
    pub fn worst(&self) -> Vec<usize> {
        worst_first(&self.images.iter().map(|i| i.distance).collect::<Vec<_>>())
    }

    /// Positions of the images, the one that lowers the Inception Score most first.
    pub fn worst_by_score(&self) -> Option<Vec<usize>> {
        let parts: Option<Vec<f64>> =
            self.images.iter().map(|i| Some(-i.inception_score?)).collect();
        Some(worst_first(&parts?))
    }

    /// Positions of the images, the least realistic first.
    pub fn least_realistic(&self) -> Option<Vec<usize>> {
        let parts: Option<Vec<f64>> = self.images.iter().map(|i| Some(-i.realism?)).collect();
        Some(worst_first(&parts?))
    }

    /// One line per image, the worst first.
    pub fn csv(&self) -> String {
        let mut csv = "rank,name,distance".to_owned();
        let first = self.images.first();
        let score = first.is_some_and(|i| i.inception_score.is_some());
        let realism = first.is_some_and(|i| i.realism.is_some());
        csv += if score { ",inception_score" } else { "" };
        csv += if realism { ",realism" } else { "" };
        for (rank, i) in self.worst().into_iter().enumerate() {
            let image = &self.images[i];
            let name = quoted(&image.name);
            write!(csv, "\n{},{name},{}", rank + 1, image.distance).expect("writing to a string");
            for value in [image.inception_score, image.realism].into_iter().flatten() {
                write!(csv, ",{value}").expect("writing to a string");
            }
        }
        csv + "\n"
    }
}

/// A field of a CSV file.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use ganscope_stats::Features;
    use ganscope_stats::random::RandomState;

    use super::*;

    /// Images of four features, of which every tenth is far away; their logits are their features.
    fn set(n: usize, seed: u32, far: f32) -> FeatureSet {
        let mut random = RandomState::new(seed);
        let shift = |i: usize| if i / 4 % 10 == 3 { far } else { 0.0 };
        let rows = (0..4 * n).map(|i| random.standard_normal() as f32 + shift(i)).collect();
        let features = Features::from_vec(rows, 4).unwrap();
        FeatureSet {
            stats: Some(FeatureStats::from_features(&features)),
            logits: Some(features.clone().into()),
            features: Some(features),
            spatial: None,
        }
    }

    pub(super) fn contributions() -> Contributions {
        let set_of = ImageSet::from_images(vec![Image::filled(1, 1, [0; 3]); 60]);
        let pictures = Pictures { set: set_of, places: (0..60).collect() };
        let request = LeaveOneOutRequest { top: 6, ..Default::default() };
        Contributions::new(&set(60, 1, 4.0), &set(80, 2, 0.0), &request, pictures).unwrap().0
    }

    #[test]
    fn outliers_are_the_worst_by_distance_and_by_realism() {
        let found = contributions();
        for mut order in [found.worst(), found.least_realistic().unwrap()] {
            order.truncate(6);
            order.sort_unstable();
            assert_eq!(order, [3, 13, 23, 33, 43, 53]);
        }
        assert!(found.without_worst < 0.5 * found.distance, "{}", found.without_worst);
        let order = found.worst_by_score().unwrap();
        let part = |i: usize| found.images[i].inception_score.unwrap();
        assert!(part(order[0]) < 0.0 && part(order[59]) > 0.0);
    }

    #[test]
    fn the_table_has_one_line_per_image() {
        let csv = contributions().csv();
        assert_eq!(csv.lines().count(), 61);
        assert!(csv.starts_with("rank,name,distance,inception_score,realism\n1,"), "{csv}");
        assert!(csv.lines().all(|line| line.split(',').count() == 5));
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
