//! Whether a map depends on what the network has learned: its layers forget one after the other, from the
//! output down.
//!
//! Adebayo et al., "Sanity Checks for Saliency Maps", 2018, <https://arxiv.org/abs/1810.03292>.

use std::sync::Arc;

use ganscope_model::network::{Builder, Op};
use ganscope_model::{Classifier, FeatureMap, Network};
use ganscope_stats::random::RandomState;
use serde::Serialize;

use crate::cam::{channel_sum, enlarge};
use crate::error::require;
use crate::{Explainer, Method, Result, Settings, Subject};

/// Cascading randomization of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Randomization {
    /// Points of a curve after the first, at most; layers of deep networks forget several at once.
    pub points: usize,
    /// Seed of the weights.
    pub seed: u32,
}

impl Default for Randomization {
    fn default() -> Self {
        Self { points: 12, seed: 0 }
    }
}

/// How alike a map is to that of the trained network when some layers have forgotten.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forgotten {
    /// How many layers with weights have forgotten, those nearest to the output.
    pub layers: usize,
    /// The lowest of them; empty where none has.
    pub down_to: String,
    /// Rank correlation of the two maps, [`rank_correlation`]: 1 if they are the same, 0 if they have
    /// nothing in common.
    pub likeness: f64,
}

impl Randomization {
    /// The networks whose `1, 2, ..` highest layers with weights have forgotten: weights are drawn from a
    /// normal distribution with the mean and the deviation that they had; biases and shifts are zero.
    ///
    /// # Errors
    /// If there are no points.
    pub fn networks(&self, network: &Network) -> Result<Vec<(usize, String, Network)>> {
        require(self.points > 0, "the number of points", "at least 1", self.points)?;
        let weighted: Vec<usize> = (0..network.steps().len())
            .rev()
            .filter(|&i| matches!(network.steps()[i].op, Op::Conv(_) | Op::Linear(_)))
            .collect();
        let points = self.points.min(weighted.len());
        let point = |k: usize| {
            let layers = k * weighted.len() / points;
            let lowest = weighted[layers - 1];
            (layers, network.steps()[lowest].name.clone(), self.forget(network, lowest))
        };
        Ok((1..=points).map(point).collect())
    }

    /// The network without what the steps from `lowest` on have learned.
    fn forget(&self, network: &Network, lowest: usize) -> Network {
        let mut builder = Builder::new(network.in_channels());
        for (index, step) in network.steps().iter().enumerate() {
            let mut op = step.op.clone();
            match &mut op {
                Op::Conv(c) | Op::Linear(c) if index >= lowest => {
                    // Of each layer the same weights at all points.
                    let mut random = RandomState::new(self.seed.wrapping_add(index as u32));
                    let n = c.weight.len() as f64;
                    let mean = c.weight.iter().map(|&w| f64::from(w)).sum::<f64>() / n;
                    let square = |&w: &f32| (f64::from(w) - mean).powi(2);
                    let deviation = (c.weight.iter().map(square).sum::<f64>() / n).sqrt();
                    for w in &mut c.weight {
                        *w = (mean + deviation * random.standard_normal()) as f32;
                    }
                    c.bias.fill(0.0);
                }
                Op::LayerNorm(norm) if index >= lowest => {
                    norm.gain.fill(1.0);
                    norm.shift.fill(0.0);
                }
                _ => {}
            }
            builder.step(&step.name, &step.inputs, op);
        }
        builder.build()
    }

    /// The curve of a method for one image, from the trained network to one that knows nothing; `map` is
    /// that of the trained network.
    ///
    /// # Errors
    /// Those of the method.
    pub fn curve(
        &self,
        subject: &Subject<'_>,
        method: Method,
        map: &FeatureMap,
        settings: &Settings,
    ) -> Result<Vec<Forgotten>> {
        let classifier = subject.explainer.classifier();
        let mut curve = vec![Forgotten { layers: 0, down_to: String::new(), likeness: 1.0 }];
        for (layers, down_to, network) in self.networks(&classifier.network)? {
            let network = Arc::new(network);
            let explainer = Explainer::new(Classifier { network, ..classifier.clone() });
            let found = explainer.explain(method, &subject.image, &subject.target, settings)?;
            let likeness = rank_correlation(map, &found.map);
            curve.push(Forgotten { layers, down_to, likeness });
        }
        Ok(curve)
    }
}

/// Spearman's rank correlation of the channel sums of two maps, with their signs; equal values share the
/// mean of their ranks. 0 where one of them is the same everywhere.
pub fn rank_correlation(a: &FeatureMap, b: &FeatureMap) -> f64 {
    let b = if (a.shape.h, a.shape.w) == (b.shape.h, b.shape.w) {
        b.clone()
    } else {
        enlarge(b, [a.shape.h, a.shape.w])
    };
    let ranks = |map: &FeatureMap| -> Vec<f64> {
        let values = channel_sum(map).data;
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
        let mut ranks = vec![0.0; values.len()];
        let mut first = 0;
        for group in order.chunk_by(|&i, &j| values[i] == values[j]) {
            let mean = first as f64 + (group.len() - 1) as f64 / 2.0;
            for &i in group {
                ranks[i] = mean;
            }
            first += group.len();
        }
        ranks
    };
    let (a, b) = (ranks(a), ranks(&b));
    let middle = (a.len() as f64 - 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - middle) * (y - middle)).sum()
    };
    let size = (product(&a, &a) * product(&b, &b)).sqrt();
    if size > 0.0 { product(&a, &b) / size } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use ganscope_model::Shape;

    use super::*;

    #[test]
    fn rank_correlation_is_that_of_spearman() {
        let map = |values: [f32; 5]| {
            FeatureMap::new(1, Shape { c: 1, h: 1, w: 5 }, values.to_vec()).unwrap()
        };
        let a = map([-1.0, 2.0, 3.0, 4.0, 5.0]);
        let close = |b: [f32; 5], expected: f64| {
            let found = rank_correlation(&a, &map(b));
            assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
        };
        close([10.0, 20.0, 30.0, 40.0, 50.0], 1.0);
        close([5.0, 4.0, 3.0, 2.0, -1.0], -1.0);
        // Differences of ranks 1, 1, 0, 1, 1: 1 - 6 * 4 / (5 * 24).
        close([2.0, 1.0, 3.0, 5.0, 4.0], 0.8);
        // Ranks 1.5, 1.5, 3, 4, 5, by the product of deviations.
        close([1.0, 1.0, 3.0, 4.0, 5.0], 9.5 / (10.0_f64 * 9.5).sqrt());
        close([1.0; 5], 0.0);
    }
}
