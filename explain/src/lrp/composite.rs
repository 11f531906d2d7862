//! Which rule a step follows.

use std::ops::Range;

use ganscope_model::network::{Op, Step};
use ganscope_model::{Network, Node, Normalization};

use super::{Biases, Rule, Treatment};
use crate::{Error, Result};

/// What zennit adds to sums.
const STABILIZER: f64 = 1e-6;
const EPSILON: Rule = Rule::Epsilon(STABILIZER);
/// Kinds of steps that share in proportion to the values in zennit's composites.
const PROPORTIONAL: [&str; 5] =
    ["linear", "add", "avg-pool", "adaptive-avg-pool", "global-avg-pool"];

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
    treatment: Treatment,
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
        Self { rules, otherwise, treatment: Treatment::default() }
    }

    /// The same rules with another treatment of biases.
    #[must_use]
    pub fn with_biases(self, biases: Biases) -> Self {
        Self { treatment: Treatment { biases, ..self.treatment }, ..self }
    }

    /// The same rules with `stabilizer` added to sums, away from zero; epsilon has its own.
    #[must_use]
    pub fn with_stabilizer(self, stabilizer: f64) -> Self {
        Self { treatment: Treatment { stabilizer, ..self.treatment }, ..self }
    }

    /// What becomes of biases, and what is added to sums.
    pub(super) fn treatment(&self) -> Treatment {
        self.treatment
    }

    /// Epsilon in linear layers, z+ in convolutions: zennit's `EpsilonPlus`.
    ///
    /// The composites of zennit's names give its maps where additions are its `Sum` modules: additions
    /// and means share in proportion to the values, as epsilon does, biases keep their shares, and 1e-6
    /// is added to all sums.
    pub fn epsilon_plus() -> Self {
        Self::of_zennit(None, Rule::Z_PLUS)
    }

    /// Epsilon in linear layers, alpha 2 and beta 1 in convolutions: zennit's `EpsilonAlpha2Beta1`.
    pub fn epsilon_alpha2_beta1() -> Self {
        Self::of_zennit(None, Rule::ALPHA2_BETA1)
    }

    /// [`epsilon_plus`](Self::epsilon_plus), flat at the image: zennit's `EpsilonPlusFlat`.
    pub fn epsilon_plus_flat() -> Self {
        Self::of_zennit(Some(Rule::Flat), Rule::Z_PLUS)
    }

    /// [`epsilon_alpha2_beta1`](Self::epsilon_alpha2_beta1), flat at the image: zennit's
    /// `EpsilonAlpha2Beta1Flat`.
    pub fn epsilon_alpha2_beta1_flat() -> Self {
        Self::of_zennit(Some(Rule::Flat), Rule::ALPHA2_BETA1)
    }

    /// Epsilon in linear layers, gamma in convolutions, z-box at the image: zennit's
    /// `EpsilonGammaBox`.
    pub fn epsilon_gamma_box(normalization: &Normalization) -> Self {
        Self::of_zennit(Some(Rule::z_box(normalization)), Rule::Gamma(0.25))
    }

    /// Epsilon in linear layers, flat at the image, and z+ elsewhere: in additions, too, so that of the
    /// addends only those that speak for a sum share its relevance. What biases would keep is
    /// [shared](Biases::Share), so that the map sums to the target.
    pub fn conserving() -> Self {
        let dense = (Selector::Kind("linear"), EPSILON);
        let rules = vec![(Selector::First, Rule::Flat), dense];
        Self::new(rules, Rule::Z_PLUS).with_biases(Biases::Share)
    }

    fn of_zennit(first: Option<Rule>, convolutions: Rule) -> Self {
        let first = first.map(|rule| (Selector::First, rule));
        let proportional = PROPORTIONAL.map(|kind| (Selector::Kind(kind), EPSILON));
        let rules = first.into_iter().chain(proportional).collect();
        Self::new(rules, convolutions).with_stabilizer(STABILIZER)
    }

    /// The rules that `text` names: a composite by name, or `SELECTOR:RULE` in the order of matching
    /// and the rule of all other steps at the end, separated by commas.
    ///
    /// Composites are `conserving`, `epsilon-plus`, `epsilon-alpha2-beta1`, both with `-flat`, and
    /// `epsilon-gamma-box`; a list [shares](Biases::Share) what biases would keep. A selector is `first`, a [kind](Op::kind) such as `linear`, a range of depths such as `0-3`, or
    /// the name of a step or block. Rules are those of [`Rule::parse`].
    ///
    /// # Errors
    /// If a rule is none, or the last one is missing.
    ///
    /// ```
    /// use ganscope_explain::{Biases, Composite, Rule, Selector};
    /// use ganscope_model::Normalization;
    ///
    /// let composite = Composite::parse("first:flat,linear:epsilon,z+", &Normalization::imagenet())?;
    /// let rules = vec![
    ///     (Selector::First, Rule::Flat),
    ///     (Selector::Kind("linear"), Rule::Epsilon(1e-6)),
    /// ];
    /// let expected = Composite::new(rules, Rule::Z_PLUS).with_biases(Biases::Share);
    /// assert_eq!(composite, expected);
    /// # Ok::<(), ganscope_explain::Error>(())
    /// ```
    pub fn parse(text: &str, normalization: &Normalization) -> Result<Self> {
        let rule = |text: &str| Rule::parse(text, normalization);
        match text {
            "conserving" => return Ok(Self::conserving()),
            "epsilon-plus" => return Ok(Self::epsilon_plus()),
            "epsilon-alpha2-beta1" => return Ok(Self::epsilon_alpha2_beta1()),
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
        Ok(Self::new(rules?, rule(otherwise)?).with_biases(Biases::Share))
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
        let expected = Composite::new(expected, Rule::Epsilon(0.1)).with_biases(Biases::Share);
        assert_eq!(composite, expected);
        assert_eq!(parse("w2").unwrap(), Composite::from(Rule::WSquare).with_biases(Biases::Share));
        assert_eq!(parse("epsilon-plus-flat").unwrap(), Composite::epsilon_plus_flat());
        assert_eq!(parse("conserving").unwrap(), Composite::conserving());
    }

    #[test]
    fn a_list_with_a_mistake_is_refused() {
        for wrong in ["", "first:flat", "flat,first:flat,z+", "first:zplus,z+", "first:flat,"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
