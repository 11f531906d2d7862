//! Relevance through attention.
//!
//! Relevance is a value times a changed gradient. The identity rule hands the relevance of an
//! activation to its argument, and that of a normalization to what it normalizes, whose mean is taken
//! off; both are the gradient with the factor held constant. The uniform rule halves relevance between
//! the factors of a product. The softmax has the gradient, whose share that belongs to no input, as
//! that of a bias, stays where it is.
//!
//! Achtibat et al., "`AttnLRP`: Attention-Aware Layer-Wise Relevance Propagation for Transformers", 2024,
//! <https://arxiv.org/abs/2402.05602>; Ali et al., "XAI for Transformers: Better Explanations through
//! Conservative Propagation", 2022, <https://arxiv.org/abs/2202.07304>. The numbers are those of lxt.

use ganscope_model::network::{Op, Products, Real, Trace, Visit, Walker};
use ganscope_model::{FeatureMap, Node};

use super::{Biases, Composite, Relevance, Rule, Treatment, composite};
use crate::tokens::is_transformer;
use crate::{Error, Result, Target};

/// Added to values that relevance is divided by.
const STABILIZER: f64 = 1e-10;

/// Relevance propagation for transformers.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionLrp {
    products: Products,
    rules: Composite,
}

impl AttentionLrp {
    /// `AttnLRP`: attention weights and values get half of the relevance each, and of what passes the
    /// softmax queries and keys half each.
    pub fn attn_lrp() -> Self {
        let products = Products { scores: 0.25, values: 0.5, gate: [0.5; 2] };
        Self { products, rules: Rule::Epsilon(0.0).into() }
    }

    /// `CP-LRP`: attention weights and gates are constants, so that values get all relevance. Without
    /// biases nothing is lost.
    pub fn cp_lrp() -> Self {
        let products = Products { scores: 0.0, values: 1.0, gate: [0.0, 1.0] };
        Self { products, rules: Rule::Epsilon(0.0).into() }
    }

    /// The same with other rules in convolutions and linear layers, where relevance follows
    /// `z_ij / z_j` otherwise. Gamma makes maps less noisy: the authors take `conv:gamma=0.25` and
    /// `gamma=0.05` for CP-LRP.
    #[must_use]
    pub fn with_rules(self, rules: Composite) -> Self {
        Self { rules, ..self }
    }

    /// Relevance of each value of `image` for `target`, which starts with its own value. Biases, the
    /// class token and position embeddings keep their shares.
    ///
    /// # Errors
    /// [`Error::Unsuited`] if the network has no attention, or a layer has a rule that is none of
    /// epsilon, gamma, alpha-beta; if the image does not suit the network, or the target does not
    /// exist.
    pub fn explain<T: Real>(
        &self,
        walker: &Walker<T>,
        image: &FeatureMap<T>,
        target: &Target,
    ) -> Result<Relevance<T>> {
        let trace = walker.run(image.clone())?;
        let seed = target.seed(trace.value(target.node()))?;
        self.relevance(&trace, target.node(), seed)
    }

    /// Relevance of each value of the image for the sum of `weights` times the value of `from`.
    ///
    /// # Errors
    /// Those of [`explain`](Self::explain), and if the weights are not of the shape of that value.
    pub fn relevance<T: Real>(
        &self,
        trace: &Trace<'_, T>,
        from: Node,
        weights: FeatureMap<T>,
    ) -> Result<Relevance<T>> {
        let handed = trace.value(from).data.iter().zip(&weights.data);
        let handed: Vec<f64> = handed.map(|(v, w)| v.to_f64() * w.to_f64()).collect();
        let (start, magnitude) = (handed.iter().sum(), handed.iter().map(|v| v.abs()).sum());
        let map = self.at(trace, from, weights, &[Node::INPUT])?.swap_remove(0);
        let sum = map.data.iter().map(|v| v.to_f64()).sum();
        Ok(Relevance { map, start, magnitude, sum })
    }

    /// As [`relevance`](Self::relevance), at each value of `keep`.
    ///
    /// # Errors
    /// Those of [`relevance`](Self::relevance).
    pub fn at<T: Real>(
        &self,
        trace: &Trace<'_, T>,
        from: Node,
        weights: FeatureMap<T>,
        keep: &[Node],
    ) -> Result<Vec<FeatureMap<T>>> {
        let network = trace.network();
        if !is_transformer(network) {
            let needs = "a transformer; lrp is for other networks";
            return Err(Error::Unsuited { method: "relevance through attention", needs });
        }
        let depths = composite::depths(network);
        for (step, &depth) in network.steps().iter().zip(&depths) {
            let rule = self.rules.rule(step, depth);
            let is_proportional =
                matches!(rule, Rule::Epsilon(_) | Rule::Gamma(_) | Rule::AlphaBeta { .. });
            if depth.is_some() && !is_proportional {
                let needs = "rules in proportion to values: epsilon, gamma, alpha or z+";
                return Err(Error::Unsuited { method: "relevance through attention", needs });
            }
        }
        let signals = trace.walk(from, weights, keep, |visit| {
            let rule = self.rules.rule(visit.step, depths[visit.index]);
            Ok(match (&visit.step.op, rule) {
                (Op::Conv(_) | Op::Linear(_), rule) if *rule != Rule::Epsilon(0.0) => {
                    let treatment = Treatment { biases: Biases::Keep, ..self.rules.treatment() };
                    by_rule(rule, visit, treatment)
                }
                _ => visit.held_gradient(self.products),
            })
        })?;
        let relevance = |(node, signal): (&Node, FeatureMap<T>)| {
            trace.value(*node).zip(&signal, |value, s| value * s)
        };
        Ok(keep.iter().zip(signals).map(relevance).collect())
    }
}

/// The signal of a linear step by a rule: relevance over value.
fn by_rule<T: Real>(rule: &Rule, visit: &Visit<'_, T>, treatment: Treatment) -> Vec<FeatureMap<T>> {
    let relevance = visit.signal.zip(visit.output, |s, v| s * v);
    let shares = rule.propagate(&visit.with_signal(&relevance), treatment);
    let nothing = T::of(STABILIZER);
    let over = |x: T, r: T| r / if x < T::ZERO { x - nothing } else { x + nothing };
    visit.inputs.iter().zip(shares).map(|(x, share)| x.zip(&share, over)).collect()
}
