//! Activation maximization in the latents of a generator: the picture that a class or a unit answers
//! to most among those that the generator can make.

use std::path::PathBuf;

use candle_core::Tensor;
use ganscope_explain::latent::{LatentMaximization, feature_map, network_input};
use ganscope_images::Image;
use ganscope_latent::{Class, Sampler, Seeds};
use ganscope_model::Truncation;
use serde::{Deserialize, Serialize};

use super::target::{Answer, Sought, TargetRequest};
use crate::catalog;
use crate::checks::within;
use crate::error::{Error, Hint, Result};
use crate::latents::codes::Codes;
use crate::latents::{DrawingRequest, sampler};
use crate::models::classifier::{Classifier, ClassifierRequest};
use crate::models::generator::{Generator, to_images};
use crate::models::shipped::shipped;
use crate::text;
use crate::watch::{Counter, Watch};

/// Seeds, those that are best already, from which the ascent is tried.
const STARTS: usize = 4;
/// The classifier of the pictures that shipped generators make.
const SHIPPED_CLASSIFIER: &str = "fashion-cnn";

/// Which latents are moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AscentSpace {
    /// The input of the mapping network.
    #[default]
    Z,
    /// The style, one for all layers.
    W,
}

impl std::str::FromStr for AscentSpace {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "z" => Ok(Self::Z),
            "w" => Ok(Self::W),
            _ => Err(Error::request(format!("no space `{name}`, expected z or w"))),
        }
    }
}

/// What is sought, in which generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LatentRequest {
    /// The generator, with the truncation under which latents are drawn and moved. Its class is the
    /// sought one if missing.
    pub generator: DrawingRequest,
    /// The class or the unit of the classifier.
    pub target: TargetRequest,
    /// The classifier. A shipped generator makes garments, so for it the default is `fashion-cnn`.
    pub classifier: ClassifierRequest,
    /// Which latents are moved.
    pub space: AscentSpace,
    /// Steps of the ascent.
    pub steps: usize,
    /// Length of the first step, as a share of the distance of the start from the mean latent.
    pub rate: f64,
    /// Weight of the squared distance from the mean latent.
    pub decay: f64,
    /// Seeds of the latents. The ascent starts from the four that the network answers to most.
    #[serde(with = "text")]
    pub seeds: Seeds,
    /// A file of style inputs to start from instead of seeds, in W; of each, the first style input.
    pub ws: Option<PathBuf>,
}

impl Default for LatentRequest {
    fn default() -> Self {
        let LatentMaximization { steps, rate, decay } = LatentMaximization::default();
        Self {
            generator: DrawingRequest::default(),
            target: TargetRequest::default(),
            classifier: ClassifierRequest::default(),
            space: AscentSpace::Z,
            steps,
            rate,
            decay,
            seeds: (0..=63).into(),
            ws: None,
        }
    }
}

/// A picture of a generator, and what the classifier answers to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The picture.
    pub picture: Image,
    /// The answer.
    pub answer: Answer,
}

/// The picture that an ascent ends with.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentMaximized {
    /// The classifier.
    pub model: String,
    /// The generator.
    pub generator: String,
    /// What is sought, for people.
    pub title: String,
    /// Seed of the latent that it started from, or its place in the file.
    pub seed: u32,
    /// The picture of that latent.
    pub start: Judged,
    /// The picture after the ascent.
    pub end: Judged,
}

/// The classifier of the pictures of a generator, with the default of shipped ones.
pub(super) fn classifier_of_pictures(
    classifier: &ClassifierRequest,
    generator: &DrawingRequest,
) -> ClassifierRequest {
    let mut request = classifier.clone();
    let named = request.model.is_some() || request.weights.is_some() || request.network.is_some();
    if !named && shipped(&generator.model).is_some() {
        request.model = Some(SHIPPED_CLASSIFIER.to_owned());
    }
    request
}

impl LatentRequest {
    /// Fails if the request contradicts itself.
    ///
    /// # Errors
    /// The message names the contradiction.
    pub fn check(&self) -> Result<()> {
        self.target.check()?;
        within("steps", self.steps, 1..=1_000_000)?;
        if self.ws.is_some() && self.space == AscentSpace::Z {
            return Err(Error::request("style inputs are no latents in Z")
                .with_hint(Hint::of("choose w with {space}")));
        }
        if self.space == AscentSpace::W && self.generator.truncation_centers.is_some() {
            return Err(Error::request(
                "an ascent in W measures distances from the mean of W, which several centers replace",
            )
            .with_hint(Hint::of("leave {truncation_centers} out, or choose z with {space}")));
        }
        Ok(())
    }
}

/// Gradient ascent in the latents of a generator on what is sought, minus a penalty on unlikely
/// latents: one picture for each class or unit.
///
/// # Errors
/// If a network cannot be opened, an option is out of range, or the task is stopped.
pub fn maximize_latent(
    request: &LatentRequest,
    watch: &mut dyn Watch,
) -> Result<Vec<LatentMaximized>> {
    request.check()?;
    let classifier = catalog::open_classifier(
        &classifier_of_pictures(&request.classifier, &request.generator),
        watch,
    )?;
    let generator = request.generator.open_generator(watch)?;
    let all = request.target.sought(&classifier)?;
    let found = request.ws.as_deref().map(Codes::read).transpose()?;
    let starts = STARTS.min(found.map_or(request.seeds.len(), |codes| codes.len()));
    let mut counter = Counter::new(watch, "ascents", 0, all.len() * starts);
    let mut found = Vec::with_capacity(all.len());
    for sought in all {
        let sampler = sampler_for(request, &generator, &classifier, &sought)?;
        let search = Search { request, generator: &generator, sampler, classifier: &classifier };
        found.push(search.run(&sought, &mut counter)?);
    }
    Ok(found)
}

/// How latents of the class that goes with what is sought are drawn.
fn sampler_for(
    request: &LatentRequest,
    generator: &Generator,
    classifier: &Classifier,
    sought: &Sought,
) -> Result<Sampler> {
    let count = generator.info().c_dim;
    let class = match (&request.generator.class, sought.class) {
        (Some(text), _) => Some(generator.class(text)?),
        (None, _) if count == 0 => None,
        (None, Some(class)) if classifier.classes()? == count => Some(class as u32),
        (None, _) => {
            let message = format!("the generator is conditional, with {count} classes of its own");
            return Err(Error::request(message).with_hint(Hint::of("give {generator_class}")));
        }
    };
    sampler(generator, &request.generator, class.map(Class::One))
}

/// The search for one target.
struct Search<'a> {
    request: &'a LatentRequest,
    generator: &'a Generator,
    sampler: Sampler,
    classifier: &'a Classifier,
}

/// A latent to start from and the mean latent, (1, D).
struct Start {
    seed: u32,
    latent: Tensor,
    center: Tensor,
}

impl Search<'_> {
    /// Ascends from the best seeds and keeps the best end.
    fn run(&self, sought: &Sought, counter: &mut Counter<'_, '_>) -> Result<LatentMaximized> {
        let LatentRequest { steps, rate, decay, .. } = *self.request;
        let method = LatentMaximization { steps, rate, decay };
        let mut starts = Vec::new();
        for start in self.starts()? {
            starts.push((self.judge(&start.latent, sought)?, start));
        }
        starts.sort_by(|a, b| {
            b.0.answer.score.total_cmp(&a.0.answer.score).then(a.1.seed.cmp(&b.1.seed))
        });
        let mut best: Option<LatentMaximized> = None;
        for (judged, start) in starts.into_iter().take(STARTS) {
            let ends = [&start.latent, &start.center];
            let synthesize = |latent: &Tensor| self.synthesize(latent);
            let explainer = &self.classifier.explainer;
            let latent = method.explain(explainer, &sought.target, ends, synthesize)?;
            let end = self.judge(&latent, sought)?;
            if best.as_ref().is_none_or(|best| end.answer.score > best.end.answer.score) {
                best = Some(LatentMaximized {
                    model: self.classifier.name.clone(),
                    generator: self.request.generator.model.clone(),
                    title: sought.title.clone(),
                    seed: start.seed,
                    start: judged,
                    end,
                });
            }
            counter.add()?;
        }
        best.ok_or_else(|| {
            Error::request("there are no seeds to start from").with_hint(Hint::of("give {seeds}"))
        })
    }

    /// Classes of the generator, as its mapping takes them.
    fn classes(&self) -> Option<Vec<u32>> {
        match self.sampler.class {
            Some(Class::One(class)) => Some(vec![class]),
            _ => None,
        }
    }

    /// The latents to choose from.
    fn starts(&self) -> Result<Vec<Start>> {
        let Some(path) = &self.request.ws else {
            return self.request.seeds.iter().map(|seed| self.start(seed)).collect();
        };
        let ws = Codes::read(path)?.of(&*self.generator.network)?;
        let center = self.start(0)?.center;
        let start = |i: usize| {
            let latent = ws.narrow(0, i, 1)?.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?;
            Ok(Start { seed: i as u32, latent, center: center.clone() })
        };
        (0..ws.dim(0)?).map(start).collect()
    }

    fn start(&self, seed: u32) -> Result<Start> {
        let network = &*self.generator.network;
        let z = self.sampler.latents(network, &[seed])?;
        if self.request.space == AscentSpace::Z {
            let center = z.zeros_like()?;
            return Ok(Start { seed, latent: z, center });
        }
        let w = |truncation| -> Result<Tensor> {
            let ws = network.map(&z, self.classes().as_deref(), truncation)?;
            Ok(ws.narrow(1, 0, 1)?.squeeze(1)?)
        };
        let (latent, center) = (w(self.sampler.truncation)?, w(Truncation::psi(0.0))?);
        Ok(Start { seed, latent, center })
    }

    /// (1, D) to (1, C, H, W).
    fn synthesize(&self, latent: &Tensor) -> ganscope_model::Result<Tensor> {
        let (network, info) = (&self.generator.network, self.generator.info());
        let ws = match self.request.space {
            AscentSpace::Z => {
                network.map(latent, self.classes().as_deref(), self.sampler.truncation)?
            }
            AscentSpace::W => {
                latent.unsqueeze(1)?.broadcast_as((1, info.num_ws, info.w_dim))?.contiguous()?
            }
        };
        network.synthesize(&ws, &self.sampler.synthesis)
    }

    /// The picture of a latent, and what the network answers to it.
    fn judge(&self, latent: &Tensor, sought: &Sought) -> Result<Judged> {
        let image = self.synthesize(latent)?;
        let input = feature_map(&network_input(&self.classifier.explainer, &image)?)?;
        let answer = sought.answer(self.classifier, &input)?;
        Ok(Judged { picture: to_images(&image, &self.generator.info())?.swap_remove(0), answer })
    }
}
