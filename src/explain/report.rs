//! What the maps of an image say in numbers.

use ganscope_explain::randomization::Forgotten;
use ganscope_explain::{Additivity, Explanation, Measures, Method, RandomOrder};
use ganscope_images::Image;
use ganscope_model::Shape;
use serde::Serialize;

use super::options::MethodOptions;
use crate::error::Hint;
use crate::models::classifier::Classifier;
use crate::watch::Warning;

/// Classes that a report lists.
pub(super) const TOP: usize = 5;
/// Share of the answer that a map may lose without a warning.
const LOSS: f64 = 0.5;
/// Mean difference of the largest and the smallest channel, of 255, from which an image is colored.
/// Gray pictures have 0, their JPEGs up to some 3.
const COLORED: f64 = 8.0;

/// A class and its probability for an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFacts {
    /// Its number.
    pub class: usize,
    /// Its name, where classes have names.
    pub name: Option<String>,
    /// Its probability.
    pub probability: f64,
}

impl ClassFacts {
    pub(super) fn new(classifier: &Classifier, class: usize, probabilities: &[f64]) -> Self {
        let name = classifier.label(class).map(str::to_owned);
        Self { class, name, probability: probabilities[class] }
    }
}

/// The map of one method, in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MapFacts {
    /// The method.
    pub method: &'static str,
    /// Whether the map shares the answer out among the pixels ([`Method::claims_relevance`]).
    pub claims_relevance: bool,
    /// Whether the map hardly depends on the class ([`Method::ignores_upper_layers`]).
    pub ignores_upper_layers: bool,
    /// Channels, height and width of the map.
    pub shape: [usize; 3],
    /// Sum of its values.
    pub sum: f64,
    /// Sum of its positive values.
    pub positive: f64,
    /// Sum of its negative values.
    pub negative: f64,
    /// What was lost on the way from the target to the pixels, as a share of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conservation_error: Option<f64>,
    /// Share of the variance that the linear model of LIME explains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r_squared: Option<f64>,
    /// The sum of Shapley values and of gradient SHAP, beside the difference that they share out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additivity: Option<Additivity>,
    /// Standard errors of the map's values, as a share of them: the roots of their mean squares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// Measures, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measures: Option<Measures>,
    /// How alike the map stays while layers forget, where this was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub randomization: Option<Vec<Forgotten>>,
}

/// The image that an answer is compared with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThanFacts {
    /// The image as it was named.
    pub image: String,
    /// Its answer.
    pub score: f64,
    /// Its probability of the class.
    pub probability: f64,
}

/// What was found in one image, in numbers.
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
    /// The class that it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<ClassFacts>,
    /// The number that the maps explain: a logit or a difference of two.
    pub score: f64,
    /// The image whose answer it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub than: Option<ThanFacts>,
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
    /// Options of the methods, as they were asked for.
    pub options: MethodOptions,
    /// What may mislead.
    pub warnings: Vec<Warning>,
    /// Version of this library.
    pub ganscope: &'static str,
}

impl MapFacts {
    pub(super) fn new(method: Method, found: &Explanation) -> Self {
        let Shape { c, h, w } = found.map.shape;
        let sum = |part: fn(f64) -> f64| found.map.data.iter().map(|&v| part(f64::from(v))).sum();
        Self {
            method: method.name(),
            claims_relevance: method.claims_relevance(),
            ignores_upper_layers: method.ignores_upper_layers(),
            shape: [c, h, w],
            sum: sum(|v| v),
            positive: sum(|v| v.max(0.0)),
            negative: sum(|v| v.min(0.0)),
            conservation_error: found.conservation_error,
            r_squared: found.r_squared,
            additivity: found.additivity,
            noise: found.noise(),
            measures: None,
            randomization: None,
        }
    }

    /// What may mislead in this map of the image `name` for the target `title`.
    pub(super) fn warnings(&self, name: &str, title: &str) -> Vec<Warning> {
        let method = self.method;
        let mut warnings = Vec::new();
        if self.positive == 0.0 && self.negative == 0.0 {
            warnings.push(Warning {
                text: format!("`{name}`: {method} finds nothing for {title}"),
                hint: Some(Hint::of(
                    "{evidence} set to `signed` also shows what speaks against it",
                )),
            });
        }
        if let Some(lost) = self.conservation_error.filter(|&lost| lost > LOSS) {
            let (what, hint) = if method == Method::Lrp.name() {
                ("biases keep", Some("{biases} set to `share` lets all of it arrive at the pixels"))
            } else if [Method::AttnLrp, Method::CpLrp].iter().any(|m| m.name() == method) {
                ("the class token, position embeddings and biases keep", None)
            } else {
                ("too few steps lose", Some("take more {steps}"))
            };
            warnings.push(Warning {
                text: format!("`{name}`: {what} {:.0} % of the answer of {method}", 100.0 * lost),
                hint: hint.map(Hint::of),
            });
        }
        warnings
    }
}

/// The warning that a classifier of gray pictures gets a colored one.
pub(super) fn color_warning(classifier: &Classifier, name: &str, image: &Image) -> Option<Warning> {
    let knows = classifier.knows?;
    let spread = |pixel: &[u8]| {
        let (low, high) = pixel.iter().fold((255, 0), |(l, h), &v| (v.min(l), v.max(h)));
        f64::from(high - low)
    };
    let pixels = image.pixels.len() / 3;
    let mean = image.pixels.chunks_exact(3).map(spread).sum::<f64>() / pixels.max(1) as f64;
    (mean > COLORED).then(|| Warning {
        text: format!(
            "`{name}` is colored, but {} knows {knows} only: what it says of other images means \
             nothing",
            classifier.name
        ),
        hint: Some(Hint::of("name a classifier of photographs with {model}")),
    })
}
