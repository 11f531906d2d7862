//! Relevance through each step of a transformer against the formulas of its authors, step by step in
//! float64.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use ganscope_explain::lrp::AttentionLrp;
use ganscope_golden as golden;
use ganscope_model::network::{Builder, ConvSpec, Convolution, LayerNorm, Walker};
use ganscope_model::{FeatureMap, Network, Node, Op, Shape};

/// Rounding of float64 where relevance is divided by values near zero.
const F64: f64 = 1e-9;

/// Of the relevance of the output.
const CONSERVED: f64 = 1e-9;

const TOKENS: usize = 5;
const WIDTH: usize = 6;
const HEADS: usize = 2;

fn random(name: &str, n: usize) -> Vec<f32> {
    golden::tensor(name, &[n], (-1.0, 1.0), 0)
}

fn linear(name: &str, inputs: usize, outputs: usize, bias: fn(usize) -> Vec<f32>) -> Op {
    let spec = ConvSpec::new(inputs, outputs, [1, 1]);
    let weight = random(name, inputs * outputs);
    Op::Linear(Convolution { spec, weight, bias: bias(outputs) })
}

/// All kinds of steps in a row, and a residual addition, with biases of each number.
fn network(bias: fn(usize) -> Vec<f32>) -> Arc<Network> {
    let mut b = Builder::new(WIDTH);
    let linear = |name, inputs, outputs| linear(name, inputs, outputs, bias);
    let norm = LayerNorm { gain: random("gain", WIDTH), shift: bias(WIDTH), eps: 1e-6 };
    let x = b.step("norm", &[Node::INPUT], Op::LayerNorm(norm));
    let x = b.step("qkv", &[x], linear("qkv", WIDTH, 3 * WIDTH));
    let x = b.step("attention", &[x], Op::Attention(HEADS));
    let added = b.step("add", &[Node::INPUT, x], Op::Add);
    let x = b.step("up", &[added], linear("up", WIDTH, 8));
    let x = b.step("gelu", &[x], Op::Gelu);
    let x = b.step("quick", &[x], Op::QuickGelu);
    let x = b.step("down", &[x], linear("down", 8, 2 * WIDTH));
    let x = b.step("gated", &[x], Op::SwiGlu);
    b.step("length", &[x], Op::UnitLength);
    Arc::new(b.build())
}

/// `R_i = sum_j z_ij / y_j R_j` of a matrix (outputs, inputs) at each token.
fn proportional(matrix: &[Vec<f64>], x: &[f64], y: &[f64], relevance: &[f64]) -> Vec<f64> {
    let (inputs, outputs) = (matrix[0].len(), matrix.len());
    let at = |i: usize| {
        let (token, k) = (i / inputs, i % inputs);
        let share = |j: usize| x[i] * matrix[j][k] / y[token * outputs + j];
        (0..outputs).map(|j| share(j) * relevance[token * outputs + j]).sum()
    };
    (0..x.len()).map(at).collect()
}

/// The rules for products and the softmax, head by head: `R_A = A v / (2 o) R_o`,
/// `R_s = s (R_A - A sum R_A)`, `R_q = q k / (2 s) R_s`; values alone if the softmax is held. With what the
/// softmax keeps: it is taken as linear around its scores, `A_j + sum_i dA_j/ds_i (s'_i - s_i)`, and what is
/// constant in that, a bias, has its share of `R_A`.
fn attention(x: &[f64], y: &[f64], relevance: &[f64], is_held: bool) -> (Vec<f64>, f64) {
    let size = WIDTH / HEADS;
    let of = |token: usize, kind: usize, k: usize| token * 3 * WIDTH + kind * WIDTH + k;
    let (mut result, mut kept) = (vec![0.0; x.len()], 0.0);
    let half = if is_held { 1.0 } else { 0.5 };
    for head in 0..HEADS {
        let channels = || head * size..(head + 1) * size;
        for i in 0..TOKENS {
            let score = |j: usize| {
                let products = channels().map(|k| x[of(i, 0, k)] * x[of(j, 1, k)]);
                products.sum::<f64>() / (size as f64).sqrt()
            };
            let scores: Vec<f64> = (0..TOKENS).map(score).collect();
            let sum: f64 = scores.iter().map(|s| s.exp()).sum();
            let weights: Vec<f64> = scores.iter().map(|s| s.exp() / sum).collect();
            let mut of_weights = [0.0; TOKENS];
            for (j, of_weight) in of_weights.iter_mut().enumerate() {
                for k in channels() {
                    let out = i * WIDTH + k;
                    let share = half * weights[j] * x[of(j, 2, k)] / y[out] * relevance[out];
                    result[of(j, 2, k)] += share;
                    *of_weight += share;
                }
            }
            if is_held {
                continue;
            }
            let total: f64 = of_weights.iter().sum();
            for j in 0..TOKENS {
                let slope = |i: usize| weights[j] * (f64::from(u8::from(i == j)) - weights[i]);
                let bias = weights[j] - (0..TOKENS).map(|i| slope(i) * scores[i]).sum::<f64>();
                kept += bias / weights[j] * of_weights[j];
                let of_score = scores[j] * (of_weights[j] - weights[j] * total);
                for k in channels() {
                    let part = x[of(i, 0, k)] * x[of(j, 1, k)] / (size as f64).sqrt();
                    let share = 0.5 * part / scores[j] * of_score;
                    result[of(i, 0, k)] += share;
                    result[of(j, 1, k)] += share;
                }
            }
        }
    }
    (result, kept)
}

/// The relevance of the input by the formulas, and what the softmax keeps.
fn twin(values: &[Vec<f64>], network: &Network, start: &[f64], is_held: bool) -> (Vec<f64>, f64) {
    let mut kept = 0.0;
    let mut relevance: Vec<Vec<f64>> = values.iter().map(|v| vec![0.0; v.len()]).collect();
    *relevance.last_mut().unwrap() = start.to_vec();
    for (index, step) in network.steps().iter().enumerate().rev() {
        let (x, y) = (&values[step.inputs[0].index()], &values[index + 1]);
        let r = relevance[index + 1].clone();
        let parts: Vec<Vec<f64>> = match &step.op {
            Op::Linear(c) => {
                let row = |row: &[f32]| row.iter().map(|&w| f64::from(w)).collect();
                let matrix: Vec<Vec<f64>> =
                    c.weight.chunks_exact(c.spec.in_channels).map(row).collect();
                vec![proportional(&matrix, x, y, &r)]
            }
            Op::LayerNorm(norm) => {
                let parts = x.chunks_exact(WIDTH).enumerate().map(|(token, x)| {
                    let mean = x.iter().sum::<f64>() / WIDTH as f64;
                    let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / WIDTH as f64;
                    let deviation = (variance + f64::from(norm.eps)).sqrt();
                    let weight = |j: usize, i: usize| {
                        let own = f64::from(u8::from(i == j));
                        f64::from(norm.gain[j]) * (own - 1.0 / WIDTH as f64) / deviation
                    };
                    let row = |j: usize| (0..WIDTH).map(|i| weight(j, i)).collect();
                    let matrix: Vec<Vec<f64>> = (0..WIDTH).map(row).collect();
                    let here = token * WIDTH..(token + 1) * WIDTH;
                    proportional(&matrix, x, &y[here.clone()], &r[here])
                });
                vec![parts.flatten().collect()]
            }
            // In proportion, as epsilon.
            Op::Add => {
                let share = |n: &Node| {
                    let x = &values[n.index()];
                    x.iter().zip(y).zip(&r).map(|((x, y), r)| x / y * r).collect()
                };
                step.inputs.iter().map(share).collect()
            }
            // The identity rule.
            Op::Gelu | Op::QuickGelu | Op::UnitLength => vec![r],
            // The uniform rule, and the identity rule for the gate.
            Op::SwiGlu => {
                let [gate, gated] = if is_held { [0.0, 1.0] } else { [0.5, 0.5] };
                let share = |i: usize| {
                    let (token, k) = (i / (2 * WIDTH), i % (2 * WIDTH));
                    let factor = if k < WIDTH { gate } else { gated };
                    factor * r[token * WIDTH + k % WIDTH]
                };
                vec![(0..x.len()).map(share).collect()]
            }
            Op::Attention(_) => {
                let (parts, bias) = attention(x, y, &r, is_held);
                kept += bias;
                vec![parts]
            }
            other => panic!("no formula of {}", other.kind()),
        };
        for (node, part) in step.inputs.iter().zip(parts) {
            let sums = &mut relevance[node.index()];
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
    }
    (relevance.swap_remove(0), kept)
}

/// Compares the relevance of both methods with the formulas; `check` gets the relevance of the output, that
/// of the input, and what the softmax keeps.
fn compare(network: &Arc<Network>, check: impl Fn(f64, f64, f64)) {
    let walker = Walker::<f64>::new(network.clone());
    let shape = Shape { c: WIDTH, h: TOKENS, w: 1 };
    let input = random("input", shape.len()).iter().map(|&v| v.into()).collect();
    let trace = walker.run(FeatureMap::new(1, shape, input).unwrap()).unwrap();
    let output = trace.output();
    let weights = random("weights", output.data.len()).iter().map(|&v| v.into()).collect();
    let weights = FeatureMap::new(1, output.shape, weights).unwrap();
    let start: Vec<f64> = output.data.iter().zip(&weights.data).map(|(y, w)| y * w).collect();
    let steps = 0..=network.steps().len();
    let node = |i: usize| i.checked_sub(1).map_or(Node::INPUT, Node::of_step);
    let values: Vec<Vec<f64>> = steps.map(|i| trace.value(node(i)).data.clone()).collect();
    for (method, is_held) in [(AttentionLrp::attn_lrp(), false), (AttentionLrp::cp_lrp(), true)] {
        let found = method.relevance(&trace, network.output(), weights.clone()).unwrap();
        let (expected, kept) = twin(&values, network, &start, is_held);
        let error = golden::relative_l2(&found.map.data, &expected);
        assert!(error < F64, "{method:?}: {error:.2e}");
        let sum: f64 = expected.iter().sum();
        assert!((found.sum - sum).abs() < F64 * found.magnitude);
        assert!(!is_held || kept == 0.0);
        check(start.iter().sum(), found.sum, kept);
    }
}

#[test]
fn relevance_follows_the_formulas_of_the_authors() {
    compare(&network(|n| random("bias", n)), |_, _, _| ());
}

#[test]
fn relevance_is_conserved_without_biases() {
    compare(&network(|n| vec![0.0; n]), |start, end, kept| {
        let error = ((end + kept) / start - 1.0).abs();
        assert!(error < CONSERVED, "{start} becomes {end} and {kept}");
    });
}
