//! Activation maximization on pixels: the image that a class or a unit answers to most.

use ganscope_explain::{Maximization, faint_noise, input_range};
use ganscope_images::Image;
use serde::{Deserialize, Serialize};

use super::target::{Answer, TargetRequest};
use crate::catalog;
use crate::checks::{up_to, within};
use crate::error::Result;
use crate::models::classifier::ClassifierRequest;
use crate::watch::{Counter, Watch};

/// What is sought, by which ascent. The defaults suit small networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaximizeRequest {
    /// The class or the unit.
    pub target: TargetRequest,
    /// The classifier.
    pub classifier: ClassifierRequest,
    /// Steps of the ascent.
    pub steps: usize,
    /// Length of a step, as a root mean square over the image.
    pub rate: f64,
    /// Weight of the squared length of the image.
    pub decay: f64,
    /// Weight of the total variation.
    pub variation: f64,
    /// Largest shift of the image at each step, in pixels.
    pub jitter: usize,
    /// Standard deviation of a blur after each step, in pixels.
    pub blur: f64,
    /// Seed of the noise that the ascent starts from, and of the shifts.
    pub seed: u32,
}

impl Default for MaximizeRequest {
    fn default() -> Self {
        Self {
            target: TargetRequest::default(),
            classifier: ClassifierRequest::default(),
            steps: 300,
            rate: 0.05,
            decay: 1e-4,
            variation: 0.0,
            jitter: 1,
            blur: 0.4,
            seed: 0,
        }
    }
}

/// The image that an ascent ends with.
#[derive(Debug, Clone, PartialEq)]
pub struct Maximized {
    /// The classifier.
    pub model: String,
    /// What is sought, for people.
    pub title: String,
    /// The image.
    pub picture: Image,
    /// What the network answers to it.
    pub answer: Answer,
}

/// Gradient ascent from faint noise on what is sought, minus penalties on the length and the
/// roughness of the image: one image for each class or unit.
///
/// # Errors
/// If the classifier cannot be opened, an option is out of range, or the task is stopped.
pub fn maximize(request: &MaximizeRequest, watch: &mut dyn Watch) -> Result<Vec<Maximized>> {
    within("steps", request.steps, 1..=1_000_000)?;
    within("jitter", request.jitter, 0..=1024)?;
    up_to("blur", request.blur, 256.0)?;
    request.target.check()?;
    let classifier = catalog::open_classifier(&request.classifier, watch)?;
    let all = request.target.sought(&classifier)?;
    let (explainer, network) = (&classifier.explainer, classifier.classifier());
    let method = Maximization {
        steps: request.steps,
        rate: request.rate,
        decay: request.decay,
        variation: request.variation,
        jitter: request.jitter,
        blur: request.blur,
        range: input_range(network),
        seed: request.seed,
    };
    let mut counter = Counter::new(watch, "steps", 0, all.len() * request.steps);
    let mut found = Vec::with_capacity(all.len());
    for sought in all {
        let mut image = faint_noise(network, request.seed)?;
        for step in method.ascend(explainer.walker(), image.clone(), &sought.target)? {
            image = step?;
            counter.add()?;
        }
        let answer = sought.answer(&classifier, &image)?;
        let (model, picture) = (classifier.name.clone(), explainer.picture(&image));
        found.push(Maximized { model, title: sought.title, picture, answer });
    }
    Ok(found)
}
