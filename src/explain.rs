//! Explanations of what a classifier sees in images.
//!
//! [`explain`] makes maps of images and returns them with their numbers; [`figures`] and [`sheets`]
//! draw and write them. [`maximize`] and [`latent`] look for the picture that a class or a unit answers to most,
//! [`counterfactual`] for the nearest picture of another class; [`units`] shows filters and what a unit answers to, [`distance`] which pixels raise the
//! distance of a set, and [`score`] why that distance is what it is.

pub mod counterfactual;
pub mod distance;
pub mod figures;
pub(crate) mod images;
pub mod latent;
pub mod maximize;
pub mod measuring;
pub mod options;
pub mod report;
pub mod score;
pub mod sheets;
pub mod target;
pub mod units;

use ganscope_explain::randomization::Randomization;
use ganscope_explain::{
    Error as MethodError, Evidence, Method, Prepared, Settings, Subject, Superpixels, Target,
};
use ganscope_images::{Image, Limits};
use ganscope_model::FeatureMap;
use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Error, Hint, Kind, Result};
use crate::models::classifier::{Classifier, ClassifierRequest};
use crate::watch::{Counter, Warning, Watch};
use crate::{catalog, checks};
use images::Images;
use measuring::Measuring;
use options::MethodOptions;
use report::{ClassFacts, MapFacts, Report, ThanFacts};

/// The name that stands for all methods that suit a network.
pub const ALL: &str = "all";

/// Which images are explained, by which methods, of which classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExplainRequest {
    /// Names of methods; [`ALL`] alone for all that suit the network.
    pub methods: Vec<String>,
    /// Images, or folders or archives of images.
    pub images: Vec<String>,
    /// What images and archives may cost.
    pub limits: Limits,
    /// The classifier.
    pub classifier: ClassifierRequest,
    /// Class to explain, by number or name; the most probable one of each image if missing.
    pub class: Option<String>,
    /// Class that it is compared with: the maps explain the difference of the two logits.
    pub against: Option<String>,
    /// An image that is compared with: the maps of methods that have a baseline explain the difference of
    /// the answers, from this image to each of the others.
    pub than: Option<String>,
    /// What of the maps is measured.
    pub measure: Measuring,
    /// Options of the methods.
    pub options: MethodOptions,
}

impl Default for ExplainRequest {
    fn default() -> Self {
        Self {
            methods: vec![ALL.to_owned()],
            images: Vec::new(),
            limits: Limits::default(),
            classifier: ClassifierRequest::default(),
            class: None,
            against: None,
            than: None,
            measure: Measuring::None,
            options: MethodOptions::default(),
        }
    }
}

/// The map of one method.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// The method.
    pub method: Method,
    /// The map, (1, C, H, W), in the size of the layer that it belongs to.
    pub values: FeatureMap,
    /// The evidence that it shows.
    pub evidence: Evidence,
    /// The parts of the image that LIME weighs, or that have Shapley values.
    pub superpixels: Option<Superpixels>,
    /// Standard error of each value, of methods that draw at random.
    pub standard_error: Option<FeatureMap>,
}

/// What was found in one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The numbers.
    pub report: Report,
    /// The map of each method, in the order of the report.
    pub maps: Vec<Map>,
    /// The image.
    pub image: Image,
    /// The square in its middle, as the network sees it.
    pub picture: Image,
    /// What is explained, for people: `t-shirt (0)`, `t-shirt (0) rather than shirt (6)`.
    pub title: String,
    /// A folder name for its files, different for each image of a request; the name of an image in
    /// memory.
    pub folder: String,
}

/// Explains every image of a request.
///
/// All maps stay in memory; for many images, see [`ExplainRequest::open`].
///
/// ```
/// use ganscope::explain::{ExplainRequest, explain};
/// use ganscope::models::classifier::ClassifierRequest;
///
/// # #[cfg(feature = "models")] {
/// let request = ExplainRequest {
///     methods: vec!["grad-cam".to_owned()],
///     images: vec!["models/samples/3-dress-0.png".to_owned()],
///     classifier: ClassifierRequest {
///         model: Some("fashion-cnn".to_owned()),
///         ..ClassifierRequest::default()
///     },
///     ..ExplainRequest::default()
/// };
/// let found = explain(&request, &mut ())?.swap_remove(0);
/// assert_eq!(found.title, "dress (3)");
/// assert_eq!(found.report.maps[0].method, "grad-cam");
/// # }
/// # Ok::<(), ganscope::Error>(())
/// ```
///
/// # Errors
/// If there are no images; those of [`ExplainRequest::open`] and [`Explanations::explain`].
pub fn explain(request: &ExplainRequest, watch: &mut dyn Watch) -> Result<Vec<Explained>> {
    let open = request.open(watch)?;
    open.images.need_some()?;
    (0..open.len()).map(|i| open.explain(i, watch)).collect()
}

/// An open request: its images are explained one after another.
#[derive(Debug)]
pub struct Explanations {
    /// The classifier.
    pub classifier: Classifier,
    images: Images,
    request: ExplainRequest,
    methods: Vec<Method>,
    settings: Settings,
    class: Option<usize>,
    against: Option<usize>,
    than: Option<(String, Prepared)>,
}

impl ExplainRequest {
    /// Whether methods that do not suit the network are left out, instead of ending with an error.
    fn is_lenient(&self) -> bool {
        self.methods == [ALL]
    }

    /// Fails if the request could not be carried out whatever the images and the classifier.
    ///
    /// # Errors
    /// If a name is unknown, or a number is out of range.
    pub fn check(&self) -> Result<()> {
        catalog::methods(&self.methods.join(","))?;
        checks::limits(self.limits)?;
        self.classifier.check()?;
        self.options.check()
    }

    /// Opens the images and the classifier.
    ///
    /// # Errors
    /// Those of [`check`](Self::check), if no classifier is named, or something cannot be opened, and
    /// if the classifier has no such class or layer.
    pub fn open(&self, watch: &mut dyn Watch) -> Result<Explanations> {
        self.check()?;
        let images = Images::open(&self.images, self.limits)?;
        let classifier = catalog::open_classifier(&self.classifier, watch)?;
        let class =
            |name: &Option<String>| name.as_deref().map(|n| classifier.class(n)).transpose();
        let mut settings = self.options.settings(&classifier)?;
        let mut than = None;
        if let Some(path) = &self.than {
            let set = Images::open(std::slice::from_ref(path), self.limits)?;
            if set.len() != 1 {
                let message = format!("`{path}` contains {} images, expected one", set.len());
                return Err(Error::request(message).with_hint(Hint::of("name one with {than}")));
            }
            let image = classifier.explainer.prepare(&set.get(0)?)?;
            settings = settings.with_baseline(&image.input);
            than = Some((set.name(0), image));
        }
        Ok(Explanations {
            methods: catalog::methods(&self.methods.join(","))?,
            settings,
            than,
            class: class(&self.class)?,
            against: class(&self.against)?,
            request: self.clone(),
            images,
            classifier,
        })
    }
}

impl Explanations {
    /// How many images there are.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.images.len() == 0
    }

    /// Explains the image at position `i`.
    ///
    /// # Errors
    /// If the image cannot be read, a method fails, a method that was asked for by name does not suit
    /// the network, none does, or the task is stopped.
    pub fn explain(&self, i: usize, watch: &mut dyn Watch) -> Result<Explained> {
        let (name, image) = (self.images.name(i), self.images.get(i)?);
        let (done, total) = (i * self.methods.len(), self.len() * self.methods.len());
        let found = {
            let mut counter = Counter::new(watch, "maps", done, total);
            self.maps_of(&name, image, &mut counter)?
        };
        found.report.warnings.iter().for_each(|warning| watch.warn(warning));
        Ok(Explained { folder: self.images.folder(i).to_owned(), ..found })
    }

    /// Explains an image in memory.
    ///
    /// # Errors
    /// As [`explain`](Self::explain).
    pub fn explain_image(
        &self,
        name: &str,
        image: Image,
        watch: &mut dyn Watch,
    ) -> Result<Explained> {
        let found = {
            let mut counter = Counter::new(watch, "maps", 0, self.methods.len());
            self.maps_of(name, image, &mut counter)?
        };
        found.report.warnings.iter().for_each(|warning| watch.warn(warning));
        Ok(found)
    }

    fn maps_of(
        &self,
        name: &str,
        image: Image,
        counter: &mut Counter<'_, '_>,
    ) -> Result<Explained> {
        let (open, explainer) = (&self.classifier, &self.classifier.explainer);
        let network = &open.classifier().network;
        let prepared = explainer.prepare(&image)?;
        let probabilities = explainer.probabilities(&prepared.input)?.swap_remove(0);
        if probabilities.iter().any(|probability| !probability.is_finite()) {
            let problem = "the classifier answers with NaN: its weights are damaged, or too large";
            return Err(Error::problem(Kind::UnfitCheckpoint, problem));
        }
        let order = most_probable_first(&probabilities);
        let facts = |class| ClassFacts::new(open, class, &probabilities);
        let class = self.class.unwrap_or(order[0]);
        let target = match self.against {
            Some(other) => Target::contrast(network, class, other),
            None => Target::class(network, class),
        };
        let mut title = match self.against {
            Some(other) => format!("{} rather than {}", open.title(class), open.title(other)),
            None => open.title(class),
        };
        let mut than = None;
        if let Some((other, image)) = &self.than {
            title = format!("{title}, more than {other}");
            than = Some(ThanFacts {
                image: other.clone(),
                score: explainer.score(&image.input, &target)?[0],
                probability: explainer.probabilities(&image.input)?[0][class],
            });
        }
        let score = explainer.score(&prepared.input, &target)?[0];
        let baseline = &open.baseline;
        let (against, measure) = (self.against, self.request.measure);
        let subject = Subject { explainer, image: prepared, target, class, against, baseline };
        let mut report = Report {
            image: name.to_owned(),
            model: open.name.clone(),
            weights_sha256: open.weights_sha256.clone(),
            target: facts(class),
            against: against.map(facts),
            score,
            than,
            top: order.iter().take(report::TOP).map(|&class| facts(class)).collect(),
            maps: Vec::new(),
            random_order: measure.maps().then(|| subject.random_order()).transpose()?,
            left_out: Vec::new(),
            options: self.request.options.clone(),
            warnings: report::color_warning(open, name, &image).into_iter().collect(),
            ganscope: crate::score::VERSION,
        };
        let mut maps = Vec::new();
        for &method in &self.methods {
            match self.map_of(&subject, method) {
                Ok((map, facts)) => {
                    report.warnings.extend(facts.warnings(name, &title));
                    report.maps.push(facts);
                    maps.push(map);
                }
                Err(error @ (MethodError::Unsuited { .. } | MethodError::Gap { .. }))
                    if self.request.is_lenient() =>
                {
                    if !method.needs_attention() {
                        let text = format!("{method} is left out: {error}");
                        report.warnings.push(Warning::from(text));
                    }
                    report.left_out.push((method.name(), error.to_string()));
                }
                Err(error) => return Err(error).with_context(|| format!("explain `{name}`")),
            }
            counter.add()?;
        }
        if maps.is_empty() {
            return Err(Error::request(format!("no method suits {}", open.name)));
        }
        let (picture, folder) = (subject.image.picture, name.to_owned());
        Ok(Explained { report, maps, image, picture, title, folder })
    }
}

impl Explanations {
    /// The map of one method with its numbers.
    fn map_of(
        &self,
        subject: &Subject<'_>,
        method: Method,
    ) -> Result<(Map, MapFacts), MethodError> {
        if self.than.is_some() && !method.has_baseline() {
            let needs = "one image alone: it has no baseline that another image could be";
            return Err(MethodError::Unsuited { method: method.name(), needs });
        }
        let found = subject.explain(method, &self.settings)?;
        let mut facts = MapFacts::new(method, &found);
        if self.request.measure.maps() {
            facts.measures = Some(subject.measure(method, &found.map, &self.settings)?);
        }
        if self.request.measure.randomization() {
            let random = Randomization { seed: self.settings.rise.seed, ..Default::default() };
            facts.randomization =
                Some(random.curve(subject, method, &found.map, &self.settings)?);
        }
        let evidence = self.settings.evidence.unwrap_or(method.evidence());
        let map = Map {
            method,
            values: found.map,
            evidence,
            superpixels: found.superpixels,
            standard_error: found.standard_error,
        };
        Ok((map, facts))
    }
}

/// The classes, the most probable one first, and of equal ones that of the lower number.
fn most_probable_first(probabilities: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b)));
    order
}

#[cfg(test)]
#[cfg(feature = "models")]
mod tests {
    use super::*;

    fn request(methods: &str) -> ExplainRequest {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/models/samples/9-ankle-boot-1.png");
        ExplainRequest {
            methods: methods.split(',').map(str::to_owned).collect(),
            images: vec![sample.to_owned()],
            classifier: ClassifierRequest {
                model: Some("fashion-cnn".to_owned()),
                ..ClassifierRequest::default()
            },
            ..ExplainRequest::default()
        }
    }

    #[test]
    fn a_request_survives_json_and_refuses_unknown_fields() {
        let mut request = request("lrp,cam");
        request.options.evidence = Some(Evidence::Absolute);
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<ExplainRequest>(&json).unwrap(), request);
        assert!(serde_json::from_str::<ExplainRequest>(r#"{"method": "lrp"}"#).is_err());
        let read: ExplainRequest = serde_json::from_str("{}").unwrap();
        assert_eq!(read, ExplainRequest::default());
    }

    #[test]
    fn lrp_keeps_the_relevance_unless_biases_are_asked_to_keep_their_share() {
        let found = explain(&request("lrp"), &mut ()).unwrap().swap_remove(0);
        assert!(found.report.maps[0].conservation_error.unwrap() < 1e-5);
        assert!(found.report.warnings.is_empty(), "{:?}", found.report.warnings);
        let mut keep = request("lrp");
        keep.options.biases = Some(ganscope_explain::Biases::Keep);
        keep.options.rule = "epsilon-gamma-box".to_owned();
        let found = explain(&keep, &mut ()).unwrap().swap_remove(0);
        let lost = found.report.maps[0].conservation_error.unwrap();
        assert!(lost > 0.5, "{lost}");
        let hint = found.report.warnings[0].hint.clone().unwrap();
        assert!(format!("{hint:?}").contains("biases"), "{hint:?}");
    }

    #[test]
    fn a_stopped_task_ends_as_cancelled() {
        struct Stop;
        impl Watch for Stop {
            fn stop(&self) -> bool {
                true
            }
        }
        let error = explain(&request("gradient,lrp"), &mut Stop).unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled);
    }

    #[test]
    fn a_classifier_must_be_named() {
        let request = ExplainRequest { classifier: ClassifierRequest::default(), ..request("lrp") };
        let error = explain(&request, &mut ()).unwrap_err();
        assert_eq!(error.kind(), Kind::BadRequest);
        let hint = format!("{:?}", error.hint());
        assert!(hint.contains("fashion-cnn") && hint.contains("garments"), "{hint}");
    }
}
