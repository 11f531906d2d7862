//! What a request from the page may name: the models of the program and of the command line. Paths are
//! never taken from a request, so no request makes the server read another file.

use std::collections::BTreeSet;

use ganscope::explain::ExplainRequest;
use ganscope::features::FeatureRequest;
use ganscope::latents::DrawingRequest;
use ganscope::latents::walk::WalkRequest;
use ganscope::models::classifier::ClassifierRequest;
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

/// The names that requests may have.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Allowed {
    pub(crate) models: BTreeSet<String>,
    pub(crate) classifiers: BTreeSet<String>,
    pub(crate) generated: Vec<String>,
    pub(crate) references: Vec<String>,
    #[serde(skip)]
    features: FeatureRequest,
}

impl Allowed {
    pub(crate) fn new(request: &ServeRequest) -> Self {
        let ServeRequest { models, generated, reference, classifiers, features, .. } =
            request.clone();
        let shipped = cfg!(feature = "models");
        let of = |name: &str| shipped.then(|| name.to_owned());
        Self {
            models: GENERATORS.iter().filter_map(|name| of(name)).chain(models).collect(),
            classifiers: of(CLASSIFIER).into_iter().chain(classifiers).collect(),
            generated,
            references: reference.into_iter().chain(of(REFERENCE)).collect(),
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
        let num = request.features.num;
        most("num", num.unwrap_or(0), MOST_IMAGES)?;
        let plain = FeatureRequest { num, ..FeatureRequest::default() };
        same(&plain, &request.features, "the features")?;
        Ok(SweepRequest { features: FeatureRequest { num, ..self.features.clone() }, ..request })
    }

    /// A map that is allowed, with the features of the command line.
    pub(crate) fn map(&self, request: MapRequest) -> Result<MapRequest> {
        named("generated", &request.generated, &self.generated.iter().collect::<Vec<_>>())?;
        named("reference", &request.reference, &self.references.iter().collect::<Vec<_>>())?;
        same(&FeatureRequest::default(), &request.features, "the features")?;
        Ok(MapRequest { features: self.features.clone(), ..request })
    }

    /// An explanation that is allowed.
    pub(crate) fn explanation(&self, request: ExplainRequest) -> Result<ExplainRequest> {
        let model = request.classifier.model.clone();
        named(
            "model",
            model.as_deref().unwrap_or_default(),
            &self.classifiers.iter().collect::<Vec<_>>(),
        )?;
        let plain = ClassifierRequest { model, ..ClassifierRequest::default() };
        same(&plain, &request.classifier, "the classifier")?;
        let without = ExplainRequest {
            images: Vec::new(),
            than: None,
            limits: ExplainRequest::default().limits,
            ..request.clone()
        };
        same(&without, &request, "the explanation")?;
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
    }

    #[test]
    fn work_is_bounded() {
        let allowed = allowed();
        let drawing = DrawingRequest::of("mine.pkl");
        let walk = WalkRequest { drawing: drawing.clone(), ..WalkRequest::default() };
        assert!(allowed.walk(walk.clone()).is_ok());
        assert!(allowed.walk(WalkRequest { steps: 1_000_000, ..walk }).is_err());
        let reference = "fashion-test".to_owned();
        let mut sweep = SweepRequest { drawing, reference, ..SweepRequest::default() };
        assert!(allowed.sweep(sweep.clone()).is_ok());
        sweep.features.num = Some(1 << 40);
        assert!(allowed.sweep(sweep).is_err());
    }
}
