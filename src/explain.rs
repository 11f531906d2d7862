//! What the methods of explanation find in one image, in numbers, maps and pictures.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use ganscope_explain::cam::enlarge;
use ganscope_explain::heat::{self, Palette};
use ganscope_explain::measure::{Curve, Selectivity, area, continuity, elsewhere, positivity};
use ganscope_explain::road::Road;
use ganscope_explain::{Error, Explanation, Method, Prepared, Settings, Target};
use ganscope_images::{Image, save_png};
use ganscope_model::{FeatureMap, Shape};
use ganscope_stats::random::RandomState;
use ganscope_weights::{Array, npy};
use serde::Serialize;

use crate::captions::enlarged;
use crate::classifiers::OpenClassifier;
use crate::report::write_text;
use crate::sheet::{Cell, Sheet};

/// Pictures are enlarged by repeating pixels until they have about so many a side.
const PICTURE: usize = 224;
/// Weight of the colours over the grey image.
const WEIGHT: f64 = 0.7;
/// Share of pixels within the scale of the colours.
const SHARE: f64 = 0.995;
/// Classes that a report lists.
const TOP: usize = 5;
/// Pictures in a row of a sheet.
const COLUMNS: usize = 5;

/// Most steps of a deletion or insertion curve.
const STEPS: usize = 49;
/// Random orders, and places of the same map, that a map is compared with.
const CHANCES: usize = 10;
/// Images of a curve that are scored together.
const BATCH: usize = 10;
/// Noise of the neighbours of an image, on the scale of the network's input.
const NOISE: f64 = 0.05;
/// Neighbours of an image.
const NEIGHBOURS: usize = 4;

/// What is to be explained, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// The methods.
    pub methods: Vec<Method>,
    /// Whether methods that do not suit the network are left out, instead of ending with an error.
    pub lenient: bool,
    /// The class; the most probable one if missing.
    pub class: Option<usize>,
    /// The class that it is set against.
    pub against: Option<usize>,
    /// Options of the methods.
    pub settings: Settings,
    /// Whether the maps are measured.
    pub measure: bool,
}

/// A class as the network sees it in an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFacts {
    /// Its number.
    pub class: usize,
    /// Its name, where classes have names.
    pub name: Option<String>,
    /// Its probability.
    pub probability: f64,
}

/// How good a map is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measures {
    /// Share of positive values in the sum of absolute values.
    pub positivity: f64,
    /// Largest change of the map by the change of the image, over neighbours of the image.
    pub continuity: f64,
    /// Mean probability while the most relevant patches are replaced by nothing one after another.
    pub deletion: f64,
    /// Mean probability while the most relevant patches are put into nothing one after another.
    pub insertion: f64,
    /// Mean probability while 10 to 90 % of the pixels, the most relevant first, take the values that
    /// their neighbours suggest ([`Road`]).
    pub road: f64,
    /// Mean of `road` over the same map [`elsewhere`]: what its shape alone does.
    pub road_elsewhere: f64,
}

/// What a map without any knowledge reaches: patches and pixels in random order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RandomOrder {
    /// As [`Measures::deletion`].
    pub deletion: f64,
    /// As [`Measures::insertion`].
    pub insertion: f64,
    /// As [`Measures::road`].
    pub road: f64,
}

/// The map of one method, in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MapFacts {
    /// The method.
    pub method: &'static str,
    /// Channels, height and width of the map.
    pub shape: [usize; 3],
    /// Sum of its values.
    pub sum: f64,
    /// Sum of its positive values.
    pub positive: f64,
    /// Sum of its negative values.
    pub negative: f64,
    /// What was lost on the way from the target to the pixels, as a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conservation_error: Option<f64>,
    /// Share of the variance that the linear model of LIME explains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r_squared: Option<f64>,
    /// Measures, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measures: Option<Measures>,
}

/// What was found in one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The image as it was named.
    pub image: String,
    /// The classifier.
    pub model: String,
    /// Digest of its weights.
    pub weights_sha256: String,
    /// The class that is explained.
    pub target: ClassFacts,
    /// The class that it is set against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<ClassFacts>,
    /// The number that the maps explain: a logit or a difference of two.
    pub score: f64,
    /// The most probable classes.
    pub top: Vec<ClassFacts>,
    /// The maps.
    pub maps: Vec<MapFacts>,
    /// Patches and pixels in random order, where maps are measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_order: Option<RandomOrder>,
    /// Methods that do not suit the network, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<(&'static str, String)>,
    /// Version of this program.
    pub ganscope: &'static str,
}

/// Maps of one image with their report.
#[derive(Debug, Clone)]
pub struct Found {
    /// The numbers.
    pub report: Report,
    /// The map of each method, in the order of the report.
    pub maps: Vec<(Method, FeatureMap)>,
    /// The image as the network sees it.
    pub picture: Image,
    /// The target for people.
    pub title: String,
}

/// Explains an image; `watch` is called after each method.
///
/// # Errors
/// When a method fails, or does not suit the network and was asked for by name.
pub fn explain(
    open: &OpenClassifier,
    (name, image): (&str, &Image),
    request: &Request,
    watch: &mut dyn FnMut(),
) -> Result<Found> {
    let (explainer, network) = (&open.explainer, &open.classifier().network);
    let prepared = explainer.prepare(image)?;
    let probabilities = explainer.probabilities(&prepared.input)?.swap_remove(0);
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b)));
    let facts = |class: usize| ClassFacts {
        class,
        name: open.label(class).map(str::to_owned),
        probability: probabilities[class],
    };
    let class = request.class.unwrap_or(order[0]);
    let target = match request.against {
        Some(other) => Target::contrast(network, class, other),
        None => Target::class(network, class),
    };
    let subject = Subject { open, prepared, target, class, against: request.against };
    let mut report = Report {
        image: name.to_owned(),
        model: open.name.clone(),
        weights_sha256: open.weights_sha256.clone(),
        target: facts(class),
        against: request.against.map(facts),
        score: explainer.score(&subject.prepared.input, &subject.target)?[0],
        top: order.iter().take(TOP).map(|&class| facts(class)).collect(),
        maps: Vec::new(),
        random_order: if request.measure { Some(subject.random_order()?) } else { None },
        left_out: Vec::new(),
        ganscope: env!("CARGO_PKG_VERSION"),
    };
    let mut maps = Vec::new();
    for &method in &request.methods {
        match subject.explain(method, &request.settings) {
            Ok(found) => {
                let measures = if request.measure {
                    Some(subject.measures(method, &found.map, &request.settings)?)
                } else {
                    None
                };
                report.maps.push(map_facts(method, &found, measures));
                maps.push((method, found.map));
            }
            Err(error @ Error::Unsuited { .. }) if request.lenient => {
                report.left_out.push((method.name(), error.to_string()));
            }
            Err(error) => return Err(error).with_context(|| format!("explain `{name}`")),
        }
        watch();
    }
    if maps.is_empty() {
        bail!("no method suits {}", open.name);
    }
    let title = match request.against {
        Some(other) => format!("{} rather than {}", open.title(class), open.title(other)),
        None => open.title(class),
    };
    Ok(Found { report, maps, picture: subject.prepared.picture, title })
}

fn map_facts(method: Method, found: &Explanation, measures: Option<Measures>) -> MapFacts {
    let Shape { c, h, w } = found.map.shape;
    let sum = |part: fn(f64) -> f64| found.map.data.iter().map(|&v| part(f64::from(v))).sum();
    MapFacts {
        method: method.name(),
        shape: [c, h, w],
        sum: sum(|v| v),
        positive: sum(|v| v.max(0.0)),
        negative: sum(|v| v.min(0.0)),
        conservation_error: found.conservation_error,
        r_squared: found.r_squared,
        measures,
    }
}

/// An image and what is asked of it.
struct Subject<'a> {
    open: &'a OpenClassifier,
    prepared: Prepared,
    target: Target,
    class: usize,
    against: Option<usize>,
}

impl Subject<'_> {
    fn explain(&self, method: Method, settings: &Settings) -> Result<Explanation, Error> {
        self.open.explainer.explain(method, &self.prepared, &self.target, settings)
    }

    fn measures(&self, method: Method, map: &FeatureMap, settings: &Settings) -> Result<Measures> {
        let input = &self.prepared.input;
        let again = |moved: &FeatureMap| {
            let image = Prepared { input: moved.clone(), ..self.prepared.clone() };
            Ok(self.open.explainer.explain(method, &image, &self.target, settings)?.map)
        };
        let (h, w) = (input.shape.h, input.shape.w);
        let map = if (map.shape.h, map.shape.w) == (h, w) { map } else { &enlarge(map, [h, w]) };
        let mut random = RandomState::new(0);
        let places = (0..CHANCES).map(|_| self.road(&elsewhere(map, &mut random)));
        let road_elsewhere = places.sum::<Result<f64, Error>>()? / CHANCES as f64;
        Ok(Measures {
            positivity: positivity(map),
            continuity: continuity(input, NOISE, NEIGHBOURS, 0, again)?,
            deletion: self.area(Curve::Deletion, map)?,
            insertion: self.area(Curve::Insertion, map)?,
            road: self.road(map)?,
            road_elsewhere,
        })
    }

    /// Probabilities of the class, among all or against the other one.
    fn probabilities(&self, images: &FeatureMap) -> Result<Vec<f64>, Error> {
        let probability = |all: Vec<f64>| {
            let other = self.against.map_or(1.0 - all[self.class], |other| all[other]);
            all[self.class] / (all[self.class] + other)
        };
        Ok(self.open.explainer.probabilities(images)?.into_iter().map(probability).collect())
    }

    /// Area under the curve of the probability.
    fn area(&self, curve: Curve, map: &FeatureMap) -> Result<f64, Error> {
        let input = &self.prepared.input;
        let (h, w) = (input.shape.h, input.shape.w);
        let patch = (h / 14).max(1);
        let steps = STEPS.min(h.div_ceil(patch) * w.div_ceil(patch));
        let nothing = FeatureMap {
            data: self.open.baseline.repeat(input.data.len() / self.open.baseline.len()),
            ..input.clone()
        };
        let selectivity = Selectivity { curve, patch, steps, batch: BATCH };
        let score = |images: &FeatureMap| self.probabilities(images);
        Ok(area(&selectivity.measure(input, &nothing, map, score)?))
    }

    /// Mean probability over the shares of removed pixels.
    fn road(&self, map: &FeatureMap) -> Result<f64, Error> {
        let score = |images: &FeatureMap| self.probabilities(images);
        let scores = Road::default().measure(&self.prepared.input, map, score)?;
        Ok(scores.iter().sum::<f64>() / scores.len() as f64)
    }

    /// The mean over random maps.
    fn random_order(&self) -> Result<RandomOrder> {
        let Shape { h, w, .. } = self.prepared.input.shape;
        let mut random = RandomState::new(0);
        let mut mean = RandomOrder { deletion: 0.0, insertion: 0.0, road: 0.0 };
        for _ in 0..CHANCES {
            let noise = (0..h * w).map(|_| random.uniform() as f32).collect();
            let map = FeatureMap::new(1, Shape { c: 1, h, w }, noise)?;
            mean.deletion += self.area(Curve::Deletion, &map)? / CHANCES as f64;
            mean.insertion += self.area(Curve::Insertion, &map)? / CHANCES as f64;
            mean.road += self.road(&map)? / CHANCES as f64;
        }
        Ok(mean)
    }
}

impl Found {
    /// The image, enlarged if it is small.
    fn large(&self) -> Image {
        enlarged(&self.picture, (PICTURE / self.picture.width).max(1))
    }

    /// A map over the image, and its scale.
    fn heat(&self, map: &FeatureMap) -> Result<(Image, Palette, f64)> {
        let (palette, scale) = (Palette::of(map), heat::scale(map, SHARE));
        Ok((over(&self.picture, map, palette, scale)?, palette, scale))
    }

    /// The heading of its pictures.
    pub fn heading(&self) -> String {
        format!("{}, {:.1} %", self.title, 100.0 * self.report.target.probability)
    }

    /// The image and its maps with captions and scales.
    fn cells(&self) -> Result<Vec<Cell>> {
        let mut cells = vec![Cell::new(self.large(), &self.report.image, self.heading())];
        for ((method, map), facts) in self.maps.iter().zip(&self.report.maps) {
            let (picture, palette, scale) = self.heat(map)?;
            let note = facts.measures.as_ref().map(|m| format!("deletion {:.3}", m.deletion));
            cells.push(Cell {
                scale: Some((palette, scale)),
                ..Cell::new(picture, method.name(), note.unwrap_or_default())
            });
        }
        Ok(cells)
    }

    /// What the colours of its maps mean.
    fn legend(&self) -> String {
        let palettes = || self.maps.iter().map(|(_, map)| Palette::of(map));
        let signed = palettes().any(|p| p == Palette::Signed);
        let positive = palettes().any(|p| p == Palette::Positive);
        let signed = signed.then(|| format!("Red speaks for {}, blue against it. ", self.title));
        let positive =
            positive.then_some("Maps without sign go from violet, nothing, to yellow, most. ");
        let signed = signed.unwrap_or_default();
        format!("{signed}{}Each map has its own scale.", positive.unwrap_or_default())
    }

    /// Writes `METHOD.png` and `METHOD.npy` for each method, `report.json`, and, of several methods,
    /// `sheet.png` into `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("make the folder `{}`", folder.display()))?;
        for (method, map) in &self.maps {
            let (picture, ..) = self.heat(map)?;
            save_png(&folder.join(format!("{method}.png")), &picture)?;
            let Shape { c, h, w } = map.shape;
            let array = Array::from_f32([c, h, w], &map.to_nchw())?;
            npy::write(&folder.join(format!("{method}.npy")), &array)?;
        }
        if self.maps.len() > 1 {
            save_png(&folder.join("sheet.png"), &sheet(std::slice::from_ref(self))?)?;
        }
        let json = serde_json::to_string_pretty(&self.report)? + "\n";
        write_text(&folder.join("report.json"), &json)
    }
}

/// A contact sheet of one image, or of several with a row for each.
///
/// # Errors
/// When the text cannot be drawn.
pub fn sheet(found: &[Found]) -> Result<Image> {
    let mut cells = Vec::new();
    for one in found {
        cells.extend(one.cells()?);
    }
    let (title, legend, columns) = match found {
        [one] => (one.heading(), one.legend(), COLUMNS),
        [first, ..] => {
            let mut legend = first.legend();
            if let Some((_, rest)) = legend.split_once("blue against it.") {
                legend = format!("Red speaks for the class, blue against it.{rest}");
            }
            (String::new(), legend, first.maps.len() + 1)
        }
        [] => bail!("a sheet needs an image"),
    };
    Sheet { title, legend, columns, cells }.draw()
}

/// A map in colours over a grey copy of a picture, both enlarged if they are small.
///
/// # Errors
/// When their sizes differ.
pub fn over(picture: &Image, map: &FeatureMap, palette: Palette, scale: f64) -> Result<Image> {
    let times = (PICTURE / picture.width).max(1);
    let size = [picture.width, picture.height];
    let heat = if [map.shape.w, map.shape.h] == size {
        enlarged(&heat::draw(map, palette, scale, size), times)
    } else {
        heat::draw(map, palette, scale, size.map(|s| s * times))
    };
    Ok(heat::overlay(&enlarged(picture, times), &heat, WEIGHT)?)
}
