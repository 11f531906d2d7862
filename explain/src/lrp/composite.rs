//! Which rule a step follows.

use std::ops::Range;

use ganscope_model::network::{Op, Step};
use ganscope_model::{Network, Node, Normalization};

use super::Rule;

/// Steps that a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// Steps with weights that read the image.
    First,
    /// The step of this name, and those of the block of this name.
    Name(String),
    /// Steps of this [kind](Op::kind).
    Kind(&'static str),
    /// Steps whose number among those with weights, from 0 at the image, is in this range.
    Depth(Range<usize>),
}

/// Rules by step: the first that matches.
#[derive(Debug, Clone, PartialEq)]
pub struct Composite {
    rules: Vec<(Selector, Rule)>,
    otherwise: Rule,
}

impl From<Rule> for Composite {
    /// One rule for all steps.
    fn from(rule: Rule) -> Self {
        Self { rules: Vec::new(), otherwise: rule }
    }
}

impl Composite {
    /// `rules` in order, and a rule for all other steps.
    pub fn new(rules: Vec<(Selector, Rule)>, otherwise: Rule) -> Self {
        Self { rules, otherwise }
    }

    /// Epsilon in linear layers, z+ below, flat at the image.
    pub fn epsilon_plus_flat() -> Self {
        Self::with_first(Rule::Z_PLUS, Rule::Flat)
    }

    /// Epsilon in linear layers, alpha 2 and beta 1 below, flat at the image.
    pub fn epsilon_alpha2_beta1_flat() -> Self {
        Self::with_first(Rule::ALPHA2_BETA1, Rule::Flat)
    }

    /// Epsilon in linear layers, gamma below, z-box at the image.
    pub fn epsilon_gamma_box(normalization: &Normalization) -> Self {
        Self::with_first(Rule::Gamma(0.25), Rule::z_box(normalization))
    }

    fn with_first(below: Rule, first: Rule) -> Self {
        let dense = (Selector::Kind("linear"), Rule::Epsilon(1e-6));
        Self::new(vec![(Selector::First, first), dense], below)
    }

    /// The rule of a step with the number `depth` among those with weights.
    pub(super) fn rule(&self, step: &Step, depth: Option<usize>) -> &Rule {
        let matches = |selector: &Selector| match selector {
            Selector::First => depth.is_some() && step.inputs.contains(&Node::INPUT),
            Selector::Name(name) => {
                let rest = step.name.strip_prefix(name.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
            Selector::Kind(kind) => step.op.kind() == *kind,
            Selector::Depth(range) => depth.is_some_and(|depth| range.contains(&depth)),
        };
        self.rules.iter().find(|(s, _)| matches(s)).map_or(&self.otherwise, |(_, rule)| rule)
    }
}

/// Number of each step among those with weights.
pub(super) fn depths(network: &Network) -> Vec<Option<usize>> {
    let mut depth = 0;
    let number = |step: &Step| {
        let weighted = matches!(step.op, Op::Conv(_) | Op::Linear(_));
        depth += usize::from(weighted);
        weighted.then(|| depth - 1)
    };
    network.steps().iter().map(number).collect()
}
