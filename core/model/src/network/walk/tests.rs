//! Every step's gradient against central differences, and float32 against float64.

use std::sync::Arc;

use super::*;
use crate::network::{Builder, ConvSpec, LayerNorm, PoolSpec, Positions, Tokens};

/// Step of the central differences in float64: truncation 1e-8, rounding 1e-10.
const STEP: f64 = 1e-4;
/// Largest difference from central differences, of gradients of size 1.
const DIFFERENCE: f64 = 1e-6;
/// Float32 through three steps.
const F32: f64 = 1e-5;

fn random(name: &str, n: usize) -> Vec<f32> {
    ganscope_golden::tensor(name, &[n], (-1.0, 1.0), 0)
}

fn convolution(name: &str, spec: ConvSpec) -> Convolution {
    let weight = random(name, spec.weight_len());
    Convolution { spec, weight, bias: random("bias", spec.out_channels) }
}

fn dot(a: &FeatureMap<f64>, b: &FeatureMap<f64>) -> f64 {
    a.data.iter().zip(&b.data).map(|(a, b)| a * b).sum()
}

/// Checks the gradient of `network` for two images of (channels, h, w), in both number types.
fn check(name: &str, network: Network, [h, w]: [usize; 2]) {
    let network = Arc::new(network);
    let shape = Shape { c: network.in_channels(), h, w };
    let data = random(name, 2 * shape.len()).iter().map(|&v| 2.0 * f64::from(v)).collect();
    let input = FeatureMap::new(2, shape, data).unwrap();
    let walker = Walker::<f64>::new(network.clone());
    let trace = walker.run(input.clone()).unwrap();
    let out = trace.output();
    let seed = random("seed", out.data.len()).iter().map(|&v| f64::from(v)).collect();
    let seed = FeatureMap::new(2, out.shape, seed).unwrap();
    let gradient =
        |seed| trace.gradient(network.output(), seed, &[Node::INPUT], Rectifier::Gradient);
    let gradient = gradient(seed.clone()).unwrap().remove(0);

    for i in 0..input.data.len() {
        let at = |step: f64| {
            let mut moved = input.clone();
            moved.data[i] += step;
            dot(&seed, walker.run(moved).unwrap().output())
        };
        let expected = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        let error = (gradient.data[i] - expected).abs();
        assert!(error < DIFFERENCE, "{name}: {} instead of {expected}", gradient.data[i]);
    }

    let walker = Walker::<f32>::new(network.clone());
    let trace = walker.run(input.map(|v| v as f32)).unwrap();
    let seed = seed.map(|v| v as f32);
    let fast = trace.gradient(network.output(), seed, &[Node::INPUT], Rectifier::Gradient);
    let fast = fast.unwrap().remove(0);
    let norm = gradient.data.iter().map(|g| g.abs()).fold(0.0, f64::max);
    for (fast, slow) in fast.data.iter().zip(&gradient.data) {
        assert!((f64::from(*fast) - slow).abs() < F32 * norm, "{name}: {fast} instead of {slow}");
    }
}

fn one(channels: usize, op: Op) -> Network {
    let mut builder = Builder::new(channels);
    builder.step("step", &[Node::INPUT], op);
    builder.build()
}

#[test]
fn convolutions_carry_gradients_back() {
    let plain = ConvSpec::new(3, 4, [3, 3]);
    for (name, spec, size) in [
        ("plain", plain, [5, 6]),
        ("wide", ConvSpec::new(16, 32, [3, 3]).padding(1, 1), [6, 5]),
        ("strided", plain.stride(2).padding(1, 1), [6, 7]),
        ("leftover rows", plain.stride(3), [8, 10]),
        ("row kernel", ConvSpec::new(3, 2, [1, 5]).padding(0, 2), [4, 6]),
        ("dilated", ConvSpec { dilation: [2, 3], ..plain.padding(2, 3) }, [7, 8]),
        ("grouped", ConvSpec { groups: 2, ..ConvSpec::new(4, 6, [3, 3]).padding(1, 1) }, [5, 4]),
        ("depthwise", ConvSpec { groups: 4, ..ConvSpec::new(4, 4, [3, 3]).padding(1, 1) }, [5, 6]),
        (
            "depthwise, strided, one-sided border",
            ConvSpec {
                groups: 4,
                padding: [[0, 1], [1, 2]],
                ..ConvSpec::new(4, 4, [3, 5]).stride(2)
            },
            [6, 9],
        ),
    ] {
        check(name, one(spec.in_channels, Op::Conv(convolution(name, spec))), size);
    }
}

#[test]
fn poolings_carry_gradients_back() {
    let same = PoolSpec::new(3, 1).padding(1);
    for (name, op, size) in [
        ("maximum", Op::MaxPool(PoolSpec::new(2, 2)), [4, 6]),
        ("overlapping maxima", Op::MaxPool(PoolSpec::new(3, 2).padding(1)), [7, 6]),
        ("maxima that keep the size", Op::MaxPool(same), [4, 5]),
        ("mean inside", Op::AvgPool(same, false), [4, 5]),
        ("mean with border", Op::AvgPool(same, true), [4, 5]),
        ("mean, leftover rows", Op::AvgPool(PoolSpec::new(2, 2), true), [5, 5]),
        ("bins", Op::AdaptiveAvgPool([2, 3]), [5, 7]),
        ("more bins than pixels", Op::AdaptiveAvgPool([7, 7]), [3, 3]),
        ("global mean", Op::GlobalAvgPool, [4, 5]),
    ] {
        check(name, one(3, op), size);
    }
}

#[test]
fn rectifiers_carry_gradients_back() {
    check("relu", one(3, Op::Relu), [4, 4]);
    let mut builder = Builder::new(2);
    let spec = ConvSpec::new(2, 8, [3, 3]);
    let mut wide = convolution("relu6", spec);
    wide.weight.iter_mut().for_each(|w| *w *= 4.0);
    let x = builder.step("conv", &[Node::INPUT], Op::Conv(wide));
    builder.step("relu6", &[x], Op::Relu6);
    check("relu6", builder.build(), [6, 6]);
}

#[test]
fn branches_that_meet_carry_gradients_back() {
    let mut builder = Builder::new(3);
    let spec = ConvSpec::new(3, 3, [3, 3]).padding(1, 1);
    let a = builder.step("a", &[Node::INPUT], Op::Conv(convolution("a", spec)));
    let relu = builder.relu("relu", a);
    let sum = builder.step("sum", &[relu, Node::INPUT, relu], Op::Add);
    let pool = builder.max_pool("pool", Node::INPUT, PoolSpec::new(3, 1).padding(1));
    let joined = builder.concat("joined", &[sum, pool, sum]);
    let flat = builder.step("flat", &[joined], Op::Flatten);
    let fc = convolution("fc", ConvSpec::new(9 * 20, 4, [1, 1]));
    builder.step("fc", &[flat], Op::Linear(fc));
    check("branches", builder.build(), [4, 5]);
}

#[test]
fn a_walk_keeps_inner_signals_and_leaves_out_what_is_not_upstream() {
    let mut builder = Builder::new(1);
    let a = builder.relu("a", Node::INPUT);
    let b = builder.relu("b", a);
    let aside = builder.relu("aside", Node::INPUT);
    let network = Arc::new(builder.build());
    let walker = Walker::<f64>::new(network);
    let shape = Shape { c: 1, h: 1, w: 2 };
    let trace = walker.run(FeatureMap::new(1, shape, vec![1.0, -1.0]).unwrap()).unwrap();
    let seed = FeatureMap::new(1, shape, vec![3.0, 5.0]).unwrap();
    let keep = [a, aside, Node::INPUT];
    let signals = trace.gradient(b, seed.clone(), &keep, Rectifier::Gradient).unwrap();
    let data: Vec<&[f64]> = signals.iter().map(|s| s.data.as_slice()).collect();
    assert_eq!(data, [&[3.0, 0.0], &[0.0, 0.0], &[3.0, 0.0]]);
    let wrong = FeatureMap::filled(1, Shape { c: 2, ..shape }, 1.0);
    assert!(trace.gradient(b, wrong, &keep, Rectifier::Gradient).is_err());
}

#[test]
fn the_rectifier_variants_are_those_of_the_papers() {
    let walker = Walker::<f64>::new(Arc::new(one(1, Op::Relu)));
    let shape = Shape { c: 1, h: 2, w: 2 };
    let map = |data: [f64; 4]| FeatureMap::new(1, shape, data.to_vec()).unwrap();
    let trace = walker.run(map([1.0, 1.0, -1.0, -1.0])).unwrap();
    let back = |rectifier| {
        let seed = map([2.0, -2.0, 2.0, -2.0]);
        let node = walker.network().output();
        trace.gradient(node, seed, &[Node::INPUT], rectifier).unwrap().remove(0).data
    };
    assert_eq!(back(Rectifier::Gradient), [2.0, -2.0, 0.0, 0.0]);
    assert_eq!(back(Rectifier::Deconvnet), [2.0, 0.0, 2.0, 0.0]);
    assert_eq!(back(Rectifier::Guided), [2.0, 0.0, 0.0, 0.0]);
}

#[test]
fn steps_of_transformers_carry_gradients_back() {
    let tokens = |grid, resize| Tokens {
        front: random("front", 2 * 6),
        positions: random("positions", 6 * 6),
        grid,
        resize,
    };
    let norm = LayerNorm { gain: random("gain", 6), shift: random("shift", 6), eps: 1e-3 };
    let bicubic = Positions::Bicubic { offset: 0.1 };
    for (name, channels, op, size) in [
        ("layer norm", 6, Op::LayerNorm(norm), [5, 1]),
        ("gelu", 3, Op::Gelu, [4, 4]),
        ("quick gelu", 3, Op::QuickGelu, [4, 4]),
        ("swiglu", 6, Op::SwiGlu, [3, 2]),
        ("one head", 9, Op::Attention(1), [5, 1]),
        ("two heads", 12, Op::Attention(2), [3, 2]),
        ("tokens", 6, Op::Tokens(tokens([2, 3], Positions::Fixed)), [2, 3]),
        ("resized tokens", 6, Op::Tokens(tokens([3, 2], bicubic)), [2, 3]),
        ("one row", 3, Op::Rows(1, Some(1)), [4, 2]),
        ("last rows", 3, Op::Rows(1, None), [4, 2]),
        ("unit length", 5, Op::UnitLength, [2, 2]),
        ("linear", 4, Op::Linear(convolution("linear", ConvSpec::new(4, 3, [1, 1]))), [5, 1]),
    ] {
        check(name, one(channels, op), size);
    }
}
