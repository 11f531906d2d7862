//! What a request from the page may name: the models of the program and of the command line. Paths are
//! never taken from a request, so no request makes the server read another file.

use std::collections::BTreeSet;
use std::path::Path;

use ganscope::explain::ExplainRequest;
use ganscope::explain::maximize::MaximizeRequest;
use ganscope::explain::options::MethodOptions;
use ganscope::explain::units::UnitRequest;
use ganscope::features::FeatureRequest;
use ganscope::images::Limits;
use ganscope::latents::DrawingRequest;
use ganscope::latents::plane::{COMPUTED, PlaceRequest};
use ganscope::latents::walk::WalkRequest;
use ganscope::metrics::MetricOptions;
use ganscope::models::classifier::ClassifierRequest;
use ganscope::score::ScoreRequest;
use ganscope::score::growth::GrowthRequest;
use ganscope::score::map::MapRequest;
use ganscope::score::sweep::SweepRequest;
use ganscope::{Error, Result};
use serde::Serialize;

use crate::ServeRequest;

/// Generators that are part of the program.
const GENERATORS: [&str; 2] = ["fashion-stylegan2", "fashion-biggan"];
/// The classifier that is part of the program.
const CLASSIFIER: &str = "fashion-cnn";
/// The reference set that is part of the program.
const REFERENCE: &str = "fashion-test";

/// Most pictures of a walk, truncations of a sweep, and images at each truncation.
const MOST_STEPS: usize = 200;
const MOST_SEEDS: usize = 32;
const MOST_POINTS: usize = 50;
const MOST_IMAGES: usize = 50_000;
/// Most images that a method of explanation asks the network for, and parts of an image.
const MOST_COPIES: usize = 10_000;
const MOST_SEGMENTS: usize = 1000;
/// Highest preview.
const MOST_SIDE: usize = 1 << 14;
/// Most steps of an ascent.
const MOST_ASCENT: usize = 2000;

/// The names that requests may have.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Allowed {
    pub(crate) models: BTreeSet<String>,
    pub(crate) classifiers: BTreeSet<String>,
    pub(crate) generated: Vec<String>,
    pub(crate) references: Vec<String>,
    /// Files of directions.
    pub(crate) directions: Vec<String>,
    #[serde(skip)]
    features: FeatureRequest,
}

impl Allowed {
    pub(crate) fn new(request: &ServeRequest) -> Self {
        let ServeRequest {
            models, generated, reference, classifiers, directions, features, ..
        } = request.clone();
        let shipped = cfg!(feature = "models");
        let of = |name: &str| shipped.then(|| name.to_owned());
        Self {
            models: GENERATORS.iter().filter_map(|name| of(name)).chain(models).collect(),
            classifiers: of(CLASSIFIER).into_iter().chain(classifiers).collect(),
            generated,
            references: reference.into_iter().chain(of(REFERENCE)).collect(),
            directions,
            features,
        }
    }

    /// Fails unless the drawing is of an allowed model and names no file.
    ///
    /// # Errors
    /// What is not allowed.
    pub(crate) fn drawing(&self, request: &DrawingRequest) -> Result<()> {
        named("model", &request.model, &self.models.iter().collect::<Vec<_>>())?;
        // Everything else that may be asked for is a number or one of a few words.
        let DrawingRequest { model, truncation, truncation_cutoff, class, noise_mode, .. } =
            request.clone();
        let DrawingRequest { prior, bn_stats, translate, rotate, .. } = *request;
        let plain = DrawingRequest {
            truncation,
            truncation_cutoff,
            class,
            noise_mode,
            prior,
            bn_stats,
            translate,
            rotate,
            ..DrawingRequest::of(model)
        };
        let batch = request.batch;
        same(&DrawingRequest { batch, ..plain }, request, "the drawing")
    }

    /// Fails unless a place is of an allowed drawing, and goes along allowed directions.
    pub(crate) fn place(&self, request: &PlaceRequest) -> Result<()> {
        self.drawing(&request.drawing)?;
        most("preview", request.preview.unwrap_or(0), MOST_SIDE)?;
        request.direction.iter().try_for_each(|step| self.directions(&step.file))
    }

    /// Fails unless a set of directions is computed, or named on the command line.
    pub(crate) fn directions(&self, set: &Path) -> Result<()> {
        let computed = COMPUTED.map(|method| method.name().to_owned());
        let all: Vec<_> = computed.iter().chain(&self.directions).collect();
        named("set of directions", &set.to_string_lossy(), &all)
    }

    /// A walk that is allowed.
    pub(crate) fn walk(&self, request: WalkRequest) -> Result<WalkRequest> {
        self.drawing(&request.drawing)?;
        most("steps", request.steps, MOST_STEPS)?;
        most("seeds", request.seeds.len(), MOST_SEEDS)?;
        let measured = WalkRequest { distance: None, weights: None, ..request.clone() };
        same(&measured, &request, "the walk")?;
        Ok(request)
    }

    /// A sweep that is allowed, with the features of the command line.
    pub(crate) fn sweep(&self, request: SweepRequest) -> Result<SweepRequest> {
        self.drawing(&request.drawing)?;
        named("reference", &request.reference, &self.references.iter().collect::<Vec<_>>())?;
        most("truncations", request.truncations.len(), MOST_POINTS)?;
        most("columns", request.columns, MOST_SEEDS)?;
        default_options(&request.options)?;
        let features = self.features(&request.features)?;
        Ok(SweepRequest { features, ..request })
    }

    /// The features of the command line, of as many images as are asked for.
    fn features(&self, request: &FeatureRequest) -> Result<FeatureRequest> {
        let num = request.num;
        most("num", num.unwrap_or(0), MOST_IMAGES)?;
        same(&FeatureRequest { num, ..FeatureRequest::default() }, request, "the features")?;
        Ok(FeatureRequest { num: num.or(self.features.num), ..self.features.clone() })
    }

    /// Fails unless both sets are served.
    fn sets(&self, generated: &str, reference: Option<&str>) -> Result<()> {
        named("generated", generated, &self.generated.iter().collect::<Vec<_>>())?;
        let references: Vec<_> = self.references.iter().collect();
        reference.map_or(Ok(()), |reference| named("reference", reference, &references))
    }

    /// A map that is allowed, with the features of the command line.
    pub(crate) fn map(&self, request: MapRequest) -> Result<MapRequest> {
        self.sets(&request.generated, Some(&request.reference))?;
        let features = self.features(&request.features)?;
        Ok(MapRequest { features, ..request })
    }

    /// Scores that are allowed, with the features of the command line.
    pub(crate) fn score(&self, request: ScoreRequest) -> Result<ScoreRequest> {
        let reference = request.reference.as_deref();
        request.generated.iter().try_for_each(|generated| self.sets(generated, reference))?;
        most("generated", request.generated.len(), MOST_SEEDS)?;
        default_options(&request.options)?;
        let plain = ScoreRequest { held_out: None, by_class: false, ..request.clone() };
        same(&plain, &request, "the score")?;
        let features = self.features(&request.features)?;
        Ok(ScoreRequest { features, ..request })
    }

    /// Scores of growing parts that are allowed, with the features of the command line.
    pub(crate) fn growth(&self, request: GrowthRequest) -> Result<GrowthRequest> {
        self.sets(&request.generated, request.reference.as_deref())?;
        most("points", request.points, MOST_POINTS)?;
        default_options(&request.options)?;
        let features = self.features(&request.features)?;
        Ok(GrowthRequest { features, ..request })
    }

    /// An explanation that is allowed.
    pub(crate) fn explanation(&self, request: ExplainRequest) -> Result<ExplainRequest> {
        self.classifier(&request.classifier)?;
        let without = ExplainRequest {
            images: Vec::new(),
            than: None,
            limits: ExplainRequest::default().limits,
            ..request.clone()
        };
        same(&without, &request, "the explanation")?;
        let MethodOptions { samples, copies, steps, masks, coalitions, segments, .. } =
            request.options;
        most("masks", masks, MOST_COPIES)?;
        most("coalitions", coalitions, MOST_COPIES)?;
        most("samples", samples, MOST_COPIES)?;
        most("copies", copies, MOST_COPIES)?;
        most("steps", steps, MOST_COPIES)?;
        most("segments", segments.unwrap_or(0), MOST_SEGMENTS)?;
        Ok(request)
    }

    /// Fails unless a classifier is named on the command line or part of the program.
    pub(crate) fn classifier(&self, request: &ClassifierRequest) -> Result<()> {
        let model = request.model.clone();
        let names: Vec<_> = self.classifiers.iter().collect();
        named("model", model.as_deref().unwrap_or_default(), &names)?;
        let plain = ClassifierRequest { model, ..ClassifierRequest::default() };
        same(&plain, request, "the classifier")
    }

    /// An ascent that is allowed.
    pub(crate) fn maximize(&self, request: MaximizeRequest) -> Result<MaximizeRequest> {
        self.classifier(&request.classifier)?;
        most("steps", request.steps, MOST_ASCENT)?;
        Ok(request)
    }

    /// A search in served sets for what a unit answers to.
    pub(crate) fn unit(&self, request: UnitRequest) -> Result<UnitRequest> {
        self.classifier(&request.classifier)?;
        let sets: Vec<_> = self.generated.iter().chain(&self.references).collect();
        request.images.iter().try_for_each(|name| named("set", name, &sets))?;
        most("images", request.images.len(), MOST_SEEDS)?;
        most("top", request.top, MOST_POINTS)?;
        let plain = UnitRequest { limits: Limits::default(), ..request.clone() };
        same(&plain, &request, "the search")?;
        Ok(request)
    }
}

/// Fails unless `name` is one of `names`.
fn named(field: &str, name: &str, names: &[&String]) -> Result<()> {
    if names.iter().any(|known| *known == name) {
        return Ok(());
    }
    let mut names = names.iter();
    let problem = format!("no {field} `{name}` is served");
    Err(Error::not_found(problem).with_hint(match names.next() {
        None => format!("name one when the server is started: it serves no {field}"),
        Some(first) => {
            let all = names.fold(format!("`{first}`"), |all, name| format!("{all}, `{name}`"));
            format!("there are {all}; others are named when the server is started")
        }
    }))
}

/// Fails for options of metrics other than the published ones: some take memory without bounds.
fn default_options(options: &MetricOptions) -> Result<()> {
    same(&MetricOptions::default(), options, "the request")
}

fn most(field: &str, value: usize, most: usize) -> Result<()> {
    if value <= most {
        return Ok(());
    }
    Err(Error::request(format!("`{field}` is {value}, expected at most {most} here")))
}

/// Fails if a request asks for more than what may be asked for over the network.
fn same<R: PartialEq>(plain: &R, request: &R, what: &str) -> Result<()> {
    if plain == request {
        return Ok(());
    }
    Err(Error::request(format!("{what} asks for what only the command line gives"))
        .with_hint("leave out files, folders and devices"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use ganscope::latents::CentersRequest;

    use super::*;

    fn allowed() -> Allowed {
        Allowed::new(&ServeRequest {
            models: vec!["mine.pkl".into()],
            generated: vec!["samples".into()],
            ..ServeRequest::default()
        })
    }

    #[test]
    fn a_drawing_names_no_file_but_those_of_the_command_line() {
        let allowed = allowed();
        let drawing = |change: fn(&mut DrawingRequest)| {
            let mut request = DrawingRequest::of("mine.pkl");
            change(&mut request);
            allowed.drawing(&request)
        };
        assert!(drawing(|r| r.truncation = 0.5).is_ok());
        assert!(drawing(|r| r.class = Some("each".into())).is_ok());
        assert!(drawing(|r| r.model = "/etc/passwd".into()).is_err());
        assert!(drawing(|r| r.model = "hub:a/b/c".into()).is_err());
        assert!(drawing(|r| r.config = Some(PathBuf::from("/etc/passwd"))).is_err());
        let file = |r: &mut DrawingRequest| {
            r.truncation_centers = Some(CentersRequest::File("/etc/passwd".into()));
        };
        assert!(drawing(file).is_err());
        assert!(drawing(|r| r.device = "cuda".into()).is_err());
    }

    #[test]
    fn a_place_goes_along_directions_of_the_command_line_alone() {
        let request = ServeRequest { directions: vec!["mine.npz".into()], ..Default::default() };
        let allowed = Allowed::new(&request);
        let place = |step: &str| {
            let direction = vec![step.parse().unwrap()];
            let drawing = DrawingRequest::of("fashion-stylegan2");
            allowed.place(&PlaceRequest { drawing, direction, ..PlaceRequest::default() })
        };
        for step in ["pca:0=+1", "sefa:2=-1", "mine.npz:0=+1"] {
            assert!(place(step).is_ok(), "{step}");
        }
        for step in ["/etc/passwd:0=+1", "./mine.npz:0=+1", "class:0=1", ":0=1"] {
            assert!(place(step).is_err(), "{step}");
        }
    }

    #[test]
    fn classifiers_and_images_are_those_of_the_command_line() {
        let allowed = allowed();
        let classifier = |model: &str| ClassifierRequest {
            model: Some(model.into()),
            ..ClassifierRequest::default()
        };
        let of = |images: &str, model: &str| {
            let (images, classifier) = (vec![images.to_owned()], classifier(model));
            allowed.unit(UnitRequest { images, classifier, ..UnitRequest::default() })
        };
        assert!(of("samples", "fashion-cnn").is_ok());
        assert!(of("/etc", "fashion-cnn").is_err());
        assert!(of("samples", "resnet18").is_err());
        let explained = |options| {
            let classifier = classifier("fashion-cnn");
            let plain = ExplainRequest::default();
            allowed.explanation(ExplainRequest { classifier, options, ..plain })
        };
        assert!(explained(MethodOptions::default()).is_ok());
        let many = 1_000_000;
        assert!(explained(MethodOptions { samples: many, ..Default::default() }).is_err());
        assert!(explained(MethodOptions { masks: many, ..Default::default() }).is_err());
        assert!(explained(MethodOptions { coalitions: many, ..Default::default() }).is_err());
        assert!(explained(MethodOptions { segments: Some(many), ..Default::default() }).is_err());
        let ascent = |classifier, steps| {
            allowed.maximize(MaximizeRequest { classifier, steps, ..MaximizeRequest::default() })
        };
        assert!(ascent(classifier("fashion-cnn"), 300).is_ok());
        assert!(ascent(classifier("fashion-cnn"), 1_000_000).is_err());
        let weights = Some("/etc/passwd".into());
        assert!(ascent(ClassifierRequest { weights, ..classifier("fashion-cnn") }, 300).is_err());
    }

    #[test]
    fn sets_and_features_are_those_of_the_command_line() {
        let allowed = allowed();
        let request = |generated: &str, reference: &str| {
            let (generated, reference) = (generated.to_owned(), reference.to_owned());
            MapRequest { generated, reference, ..MapRequest::default() }
        };
        assert!(allowed.map(request("samples", "fashion-test")).is_ok());
        assert!(allowed.map(request("/etc", "fashion-test")).is_err());
        assert!(allowed.map(request("samples", "samples/../..")).is_err());
        let mut other = request("samples", "fashion-test");
        other.features.weights = Some("/etc/passwd".into());
        assert!(allowed.map(other).is_err());
        let score = |generated: &str, reference: &str| ScoreRequest {
            generated: vec![generated.into()],
            reference: Some(reference.into()),
            ..ScoreRequest::default()
        };
        assert!(allowed.score(score("samples", "fashion-test")).is_ok());
        assert!(allowed.score(score("/etc", "fashion-test")).is_err());
        assert!(allowed.score(score("samples", "/etc")).is_err());
        let held_out = Some("/etc".to_owned());
        let held_out = ScoreRequest { held_out, ..score("samples", "fashion-test") };
        assert!(allowed.score(held_out).is_err());
        let growth = |generated: &str, points| {
            let generated = generated.to_owned();
            allowed.growth(GrowthRequest { generated, points, ..GrowthRequest::default() })
        };
        assert!(growth("samples", 10).is_ok());
        assert!(growth("/etc", 10).is_err());
        assert!(growth("samples", 1000).is_err());
    }

    #[test]
    fn work_is_bounded() {
        let allowed = allowed();
        let drawing = DrawingRequest::of("mine.pkl");
        let walk = WalkRequest { drawing: drawing.clone(), ..WalkRequest::default() };
        assert!(allowed.walk(walk.clone()).is_ok());
        assert!(allowed.walk(WalkRequest { steps: 1_000_000, ..walk }).is_err());
        let place = PlaceRequest { drawing: drawing.clone(), ..PlaceRequest::default() };
        for (preview, is_allowed) in [(None, true), (Some(32), true), (Some(usize::MAX), false)] {
            let place = PlaceRequest { preview, ..place.clone() };
            assert_eq!(allowed.place(&place).is_ok(), is_allowed, "{preview:?}");
        }
        let reference = "fashion-test".to_owned();
        let mut sweep = SweepRequest { drawing, reference, ..SweepRequest::default() };
        assert!(allowed.sweep(sweep.clone()).is_ok());
        sweep.features.num = Some(1 << 40);
        assert!(allowed.sweep(sweep).is_err());
    }
}
