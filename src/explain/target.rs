//! What an ascent or a picture of units looks for: a class, each class, or a unit.

use ganscope_explain::Target;
use ganscope_model::{FeatureMap, Node};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Hint, Result};
use crate::latents::EACH;
use crate::models::classifier::Classifier;

/// A class of a classifier, or a channel of one of its layers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetRequest {
    /// The class, by number or name, or [`EACH`].
    pub class: Option<String>,
    /// The channel, instead of a class.
    pub unit: Option<usize>,
    /// The layer of the channel.
    pub layer: Option<String>,
}

/// A number of a network that is made as large as possible.
#[derive(Debug, Clone, PartialEq)]
pub struct Sought {
    /// For people: `t-shirt (0)`, `unit 3 of features.4`.
    pub title: String,
    /// The number.
    pub target: Target,
    /// The class, unless it is a unit.
    pub class: Option<usize>,
}

/// What a network answers to an input.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Answer {
    /// The logit of the class, or the mean activation of the unit.
    pub score: f64,
    /// The probability of the class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.probability {
            Some(share) => write!(f, "logit {:.2}, {:.1} %", self.score, 100.0 * share),
            None => write!(f, "mean activation {:.3}", self.score),
        }
    }
}

impl TargetRequest {
    /// Fails unless a class, or a unit and its layer are asked for.
    ///
    /// # Errors
    /// The hint names the fields.
    pub fn check(&self) -> Result<()> {
        match (&self.class, self.unit, &self.layer) {
            (Some(_), None, None) | (None, Some(_), Some(_)) => Ok(()),
            _ => Err(Error::request("expected either a class, or a unit and its layer")
                .with_hint(Hint::of("give {class}, or {unit} and {layer}"))),
        }
    }

    /// What is sought in a classifier, in the order of its classes.
    ///
    /// # Errors
    /// If it has no such class, layer or unit.
    pub fn sought(&self, classifier: &Classifier) -> Result<Vec<Sought>> {
        self.check()?;
        let network = &classifier.classifier().network;
        let of_class = |class: usize| Sought {
            title: classifier.title(class),
            target: Target::class(network, class),
            class: Some(class),
        };
        if let Some(text) = &self.class {
            return Ok(match text.as_str() {
                EACH => (0..classifier.classes()?).map(of_class).collect(),
                text => vec![of_class(classifier.class(text)?)],
            });
        }
        let (unit, layer) = (self.unit.unwrap_or(0), self.layer.as_deref().unwrap_or_default());
        let node = find_unit(classifier, layer, unit)?;
        let (title, target) = (format!("unit {unit} of {layer}"), Target::channel(node, unit));
        Ok(vec![Sought { title, target, class: None }])
    }
}

/// The layer `layer`, if it has a channel `unit`.
///
/// # Errors
/// If there is no such layer, or it has no such channel.
pub(super) fn find_unit(classifier: &Classifier, layer: &str, unit: usize) -> Result<Node> {
    let node = classifier.layer(layer)?;
    let size = classifier.classifier().input_size;
    let count = classifier.classifier().network.shapes(size, size)?[node.index()].c;
    if unit >= count {
        return Err(Error::not_found(format!("no unit {unit} in layer `{layer}`"))
            .with_hint(format!("its units are 0 to {}", count - 1)));
    }
    Ok(node)
}

impl Sought {
    /// What a classifier answers to an input, (1, C, H, W).
    ///
    /// # Errors
    /// If the input does not suit the network.
    pub fn answer(&self, classifier: &Classifier, input: &FeatureMap) -> Result<Answer> {
        let explainer = &classifier.explainer;
        let probability = |class: usize| Ok::<_, Error>(explainer.probabilities(input)?[0][class]);
        Ok(Answer {
            score: explainer.score(input, &self.target)?[0],
            probability: self.class.map(probability).transpose()?,
        })
    }
}
