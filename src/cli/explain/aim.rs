//! What an ascent seeks: a class, each class, or a unit.

use anyhow::{Result, bail};
use ganscope_explain::Target;
use ganscope_model::FeatureMap;

use crate::classifiers::OpenClassifier;

/// The class or the unit that is sought.
#[derive(Debug, clap::Args)]
pub(super) struct AimArgs {
    /// Class of the network, by number or name, or `each`
    #[arg(long, value_name = "N|NAME", required_unless_present = "unit", conflicts_with = "unit")]
    class: Option<String>,

    /// Channel of a layer, instead of a class
    #[arg(long, value_name = "N", requires = "layer")]
    unit: Option<usize>,

    /// Layer of the unit
    #[arg(long, value_name = "NAME", requires = "unit")]
    layer: Option<String>,
}

/// What is sought.
pub(super) struct Aim {
    /// For people.
    pub title: String,
    /// The number that the ascent raises.
    pub target: Target,
    /// The class, unless it is a unit.
    pub class: Option<usize>,
}

impl AimArgs {
    /// The class or the unit, or each class.
    pub(super) fn aims(&self, open: &OpenClassifier) -> Result<Vec<Aim>> {
        let network = &open.classifier().network;
        let aim = |class: usize| Aim {
            title: open.title(class),
            target: Target::class(network, class),
            class: Some(class),
        };
        Ok(match (self.class.as_deref(), self.unit, &self.layer) {
            (Some("each"), ..) => (0..open.classes()?).map(aim).collect(),
            (Some(text), ..) => vec![aim(open.class(text)?)],
            (None, Some(unit), Some(layer)) => {
                let target = Target::channel(open.layer(layer)?, unit);
                vec![Aim { title: format!("unit {unit} of {layer}"), target, class: None }]
            }
            _ => bail!("a class, or a unit and its layer are needed"),
        })
    }
}

impl Aim {
    /// What the network says of an input, as a number and in words.
    pub(super) fn judge(&self, open: &OpenClassifier, input: &FeatureMap) -> Result<(f64, String)> {
        let score = open.explainer.score(input, &self.target)?[0];
        let note = match self.class {
            Some(class) => {
                let probability = open.explainer.probabilities(input)?[0][class];
                format!("logit {score:.2}, {:.1} %", 100.0 * probability)
            }
            None => format!("mean activation {score:.3}"),
        };
        Ok((score, note))
    }
}
