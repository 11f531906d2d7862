//! Which rule a step follows.

use std::ops::Range;

use ganscope_model::network::{Op, Step};
use ganscope_model::{Network, Node, Normalization};

use super::{Biases, Rule};
use crate::{Error, Result};

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

impl Selector {
    /// [`Composite::parse`] tells the forms.
    fn parse(text: &str) -> Self {
        const KINDS: [&str; 6] =
            ["conv", "linear", "add", "avg-pool", "adaptive-avg-pool", "global-avg-pool"];
        let depths = text.split_once('-').and_then(|(from, to)| {
            let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
            Some(from..to + 1)
        });
        match (KINDS.into_iter().find(|kind| *kind == text), depths) {
            _ if text == "first" => Self::First,
            (Some(kind), _) => Self::Kind(kind),
            (None, Some(depths)) => Self::Depth(depths),
            (None, None) => Self::Name(text.to_owned()),
        }
    }
}

/// Rules by step: the first that matches.
#[derive(Debug, Clone, PartialEq)]
pub struct Composite {
    rules: Vec<(Selector, Rule)>,
    otherwise: Rule,
    biases: Biases,
}

impl From<Rule> for Composite {
    /// One rule for all steps.
    fn from(rule: Rule) -> Self {
        Self::new(Vec::new(), rule)
    }
}

impl Composite {
    /// `rules` in order, and a rule for all other steps.
    pub fn new(rules: Vec<(Selector, Rule)>, otherwise: Rule) -> Self {
        Self { rules, otherwise, biases: Biases::Keep }
    }

    /// The same rules with another treatment of biases.
    #[must_use]
    pub fn with_biases(self, biases: Biases) -> Self {
        Self { biases, ..self }
    }

    pub(super) fn biases(&self) -> Biases {
        self.biases
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

    /// The rules that `text` names: a composite by name, or `SELECTOR:RULE` in the order of matching
    /// and the rule of all other steps at the end, separated by commas.
    ///
    /// Composites are `epsilon-plus-flat`, `epsilon-alpha2-beta1-flat` and `epsilon-gamma-box`. A
    /// selector is `first`, a [kind](Op::kind) such as `linear`, a range of depths such as `0-3`, or
    /// the name of a step or block. Rules are those of [`Rule::parse`].
    ///
    /// # Errors
    /// If a rule is none, or the last one is missing.
    ///
    /// ```
    /// use ganscope_explain::{Composite, Rule, Selector};
    /// use ganscope_model::Normalization;
    ///
    /// let composite = Composite::parse("first:flat,linear:epsilon,z+", &Normalization::imagenet())?;
    /// let rules = vec![
    ///     (Selector::First, Rule::Flat),
    ///     (Selector::Kind("linear"), Rule::Epsilon(1e-6)),
    /// ];
    /// assert_eq!(composite, Composite::new(rules, Rule::Z_PLUS));
    /// # Ok::<(), ganscope_explain::Error>(())
    /// ```
    pub fn parse(text: &str, normalization: &Normalization) -> Result<Self> {
        let rule = |text: &str| Rule::parse(text, normalization);
        match text {
            "epsilon-plus-flat" => return Ok(Self::epsilon_plus_flat()),
            "epsilon-alpha2-beta1-flat" => return Ok(Self::epsilon_alpha2_beta1_flat()),
            "epsilon-gamma-box" => return Ok(Self::epsilon_gamma_box(normalization)),
            _ => {}
        }
        let (parts, otherwise) = text.rsplit_once(',').map_or((None, text), |(p, o)| (Some(p), o));
        let pair = |part: &str| match part.rsplit_once(':') {
            Some((selector, text)) => Ok((Selector::parse(selector), rule(text)?)),
            None => Err(Error::Option {
                name: "a part of a list of rules",
                expected: "SELECTOR:RULE, the last one a rule alone",
                got: part.to_owned(),
            }),
        };
        let rules: Result<Vec<_>> =
            parts.into_iter().flat_map(|p| p.split(',')).map(pair).collect();
        Ok(Self::new(rules?, rule(otherwise)?))
    }

    /// The first name of a rule that no step or block of `network` has.
    pub fn unknown_name(&self, network: &Network) -> Option<&str> {
        let names = self.rules.iter().filter_map(|(selector, _)| match selector {
            Selector::Name(name) => Some(name.as_str()),
            _ => None,
        });
        let known = |name: &str| network.steps().iter().any(|step| is_called(step, name));
        names.into_iter().find(|name| !known(name))
    }

    fn with_first(below: Rule, first: Rule) -> Self {
        let dense = (Selector::Kind("linear"), Rule::Epsilon(1e-6));
        Self::new(vec![(Selector::First, first), dense], below)
    }

    /// The rule of a step with the number `depth` among those with weights.
    pub(super) fn rule(&self, step: &Step, depth: Option<usize>) -> &Rule {
        let matches = |selector: &Selector| match selector {
            Selector::First => depth.is_some() && step.inputs.contains(&Node::INPUT),
            Selector::Name(name) => is_called(step, name),
            Selector::Kind(kind) => step.op.kind() == *kind,
            Selector::Depth(range) => depth.is_some_and(|depth| range.contains(&depth)),
        };
        self.rules.iter().find(|(s, _)| matches(s)).map_or(&self.otherwise, |(_, rule)| rule)
    }
}

/// Whether a step or its block has this name.
fn is_called(step: &Step, name: &str) -> bool {
    let rest = step.name.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Composite> {
        Composite::parse(text, &Normalization::imagenet())
    }

    #[test]
    fn lists_are_selectors_with_rules_and_a_last_rule() {
        let expected = vec![
            (Selector::Depth(0..3), Rule::z_box(&Normalization::imagenet())),
            (Selector::Name("layer4.1".into()), Rule::Gamma(0.5)),
        ];
        let composite = parse("0-2:z-box,layer4.1:gamma=0.5,epsilon=0.1").unwrap();
        assert_eq!(composite, Composite::new(expected, Rule::Epsilon(0.1)));
        assert_eq!(parse("w2").unwrap(), Composite::from(Rule::WSquare));
        assert_eq!(parse("epsilon-plus-flat").unwrap(), Composite::epsilon_plus_flat());
    }

    #[test]
    fn a_list_with_a_mistake_is_refused() {
        for wrong in ["", "first:flat", "flat,first:flat,z+", "first:zplus,z+", "first:flat,"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
