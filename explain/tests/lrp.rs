//! Rules against a dense twin of their formulas, and the conservation of relevance.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use ganscope_classifiers::Architecture;
use ganscope_explain::lrp::{Biases, Composite, Rule, Selector, propagate};
use ganscope_explain::{Target, relevance};
use ganscope_golden as golden;
use ganscope_model::network::{Builder, ConvSpec, Convolution, PoolSpec, Real, Walker};
use ganscope_model::{Checkpoint, FeatureMap, Network, Node, Normalization, Op, Shape};

/// Rounding of float64 through one layer.
const F64: f64 = 1e-9;
/// Rounding of float32 through one layer, of relevance that cancels.
const F32: f64 = 1e-3;
/// Relevance that a network without biases may lose.
const CONSERVED: f64 = 1e-4;

const PLACES: Shape = Shape { c: 4, h: 5, w: 6 };

fn random(name: &str, n: usize) -> Vec<f32> {
    golden::tensor(name, &[n], (-1.0, 1.0), 0)
}

fn rules() -> Vec<Rule> {
    vec![
        Rule::Epsilon(0.0),
        Rule::Epsilon(0.1),
        Rule::Gamma(0.25),
        Rule::Z_PLUS,
        Rule::ALPHA2_BETA1,
        Rule::AlphaBeta { alpha: 3.5 },
        Rule::WSquare,
        Rule::Flat,
        Rule::ZBox { low: vec![-1.0, -1.5, -2.0, -1.0], high: vec![1.0, 1.5, 1.0, 2.0] },
    ]
}

fn convolution(name: &str, spec: ConvSpec) -> Op {
    let weight = random(name, spec.weight_len());
    let bias = random("bias", spec.out_channels);
    Op::Conv(Convolution { spec, weight, bias })
}

fn one(op: Op) -> Arc<Network> {
    let mut builder = Builder::new(PLACES.c);
    builder.step("step", &[Node::INPUT], op);
    Arc::new(builder.build())
}

fn input() -> FeatureMap<f64> {
    let data = random("input", PLACES.len()).iter().map(|&v| v.into()).collect();
    FeatureMap::new(1, PLACES, data).unwrap()
}

/// The matrix (inputs, outputs) and bias of a network of one linear step.
fn dense(network: &Arc<Network>) -> (Vec<Vec<f64>>, Vec<f64>) {
    let walker = Walker::<f64>::new(network.clone());
    let answer = |x| walker.run(x).unwrap().output().data.clone();
    let zero = FeatureMap::filled(1, PLACES, 0.0);
    let bias = answer(zero.clone());
    let column = |i: usize| {
        let mut unit = zero.clone();
        unit.data[i] = 1.0;
        answer(unit).iter().zip(&bias).map(|(a, b)| a - b).collect()
    };
    ((0..PLACES.len()).map(column).collect(), bias)
}

/// What each input gets by a rule, from the formula, one output after the other; what remains of an
/// output is shared `evenly`, or lost.
fn twin(
    (rule, evenly): (&Rule, bool),
    matrix: &[Vec<f64>],
    bias: &[f64],
    x: &[f64],
    relevance: &[f64],
) -> Vec<f64> {
    let plus: fn(f64) -> f64 = |v| v.max(0.0);
    let minus: fn(f64) -> f64 = |v| v.min(0.0);
    let mut result = vec![0.0; x.len()];
    for (j, &r) in relevance.iter().enumerate() {
        // Padding connects an output to fewer inputs.
        let inputs: Vec<usize> = (0..x.len()).filter(|&i| matrix[i][j] != 0.0).collect();
        let z: Vec<f64> = inputs.iter().map(|&i| x[i] * matrix[i][j]).collect();
        let w: Vec<f64> = inputs.iter().map(|&i| matrix[i][j]).collect();
        let b = bias[j];
        let shares: Vec<f64> = match rule {
            Rule::Epsilon(e) => {
                let sum = z.iter().sum::<f64>() + b;
                let sum = if sum < 0.0 { sum - e } else { sum + e };
                z.iter().map(|z| z / sum).collect()
            }
            Rule::Gamma(g) => {
                let favored = if z.iter().sum::<f64>() + b > 0.0 { plus } else { minus };
                let sum = z.iter().map(|z| z + g * favored(*z)).sum::<f64>() + b + g * favored(b);
                z.iter().map(|z| (z + g * favored(*z)) / sum).collect()
            }
            Rule::AlphaBeta { alpha } => {
                let pro = z.iter().map(|z| plus(*z)).sum::<f64>() + plus(b);
                let contra = z.iter().map(|z| minus(*z)).sum::<f64>() + minus(b);
                let share = |part: f64, sum: f64| if sum == 0.0 { 0.0 } else { part / sum };
                let one = |z: &f64| {
                    alpha * share(plus(*z), pro) - (alpha - 1.0) * share(minus(*z), contra)
                };
                z.iter().map(one).collect()
            }
            Rule::WSquare => {
                let sum: f64 = w.iter().map(|w| w * w).sum();
                w.iter().map(|w| w * w / sum).collect()
            }
            Rule::Flat => vec![1.0 / inputs.len() as f64; inputs.len()],
            Rule::ZBox { low, high } => {
                let part = |(&i, w): (&usize, &f64)| {
                    x[i] * w - low[i % PLACES.c] * plus(*w) - high[i % PLACES.c] * minus(*w)
                };
                let parts: Vec<f64> = inputs.iter().zip(&w).map(part).collect();
                let sum: f64 = parts.iter().sum();
                parts.iter().map(|p| p / sum).collect()
            }
        };
        let rest = if evenly { 1.0 - shares.iter().sum::<f64>() } else { 0.0 };
        let rest = rest / inputs.len() as f64;
        inputs.iter().zip(shares).for_each(|(&i, share)| result[i] += (share + rest) * r);
    }
    result
}

fn spread<T: Real>(
    network: &Arc<Network>,
    x: &FeatureMap<T>,
    composite: &Composite,
) -> (Vec<f64>, Vec<f64>) {
    let walker = Walker::<T>::new(network.clone());
    let trace = walker.run(x.clone()).unwrap();
    let out = trace.output();
    let seed: Vec<T> = random("seed", out.data.len()).iter().map(|&v| T::of(v.into())).collect();
    let start = seed.iter().map(|v| v.to_f64()).collect();
    let seed = FeatureMap::new(out.n, out.shape, seed).unwrap();
    let map = propagate(&trace, network.output(), seed, composite).unwrap().map;
    (map.data.iter().map(|v| v.to_f64()).collect(), start)
}

fn check(name: &str, op: Op) {
    let network = one(op.clone());
    let (matrix, bias) = dense(&network);
    let x = input();
    let none = vec![0.0; bias.len()];
    let treatments = [(Biases::Keep, &bias), (Biases::Ignore, &none), (Biases::Share, &bias)];
    for (rule, (biases, bias)) in
        rules().into_iter().flat_map(|r| treatments.map(|t| (r.clone(), t)))
    {
        let composite = Composite::from(rule.clone()).with_biases(biases);
        let (slow, start) = spread(&network, &x, &composite);
        // Means have no evidence against an output: the alpha-beta rules are z+ there.
        let formula = match rule {
            Rule::AlphaBeta { .. } if !matches!(op, Op::Conv(_)) => Rule::Z_PLUS,
            _ => rule.clone(),
        };
        let evenly = biases == Biases::Share;
        let expected = twin((&formula, evenly), &matrix, bias, &x.data, &start);
        let error = golden::relative_l2(&slow, &expected);
        assert!(error < F64, "{name}, {rule}, {biases:?}, float64: {error:.2e}");
        let (fast, _) = spread(&network, &x.map(|v| v as f32), &composite);
        let error = golden::relative_l2(&fast, &expected);
        assert!(error < F32, "{name}, {rule}, {biases:?}, float32: {error:.2e}");
    }
}

#[test]
fn every_rule_is_its_formula_in_convolutions() {
    let plain = ConvSpec::new(4, 6, [3, 3]);
    check("plain", convolution("plain", plain));
    check("padded", convolution("padded", plain.padding(1, 1)));
    check("strided", convolution("strided", plain.stride(2).padding(1, 1)));
    let depthwise = ConvSpec { groups: 4, ..ConvSpec::new(4, 4, [3, 3]).padding(1, 1) };
    check("depthwise", convolution("depthwise", depthwise));
}

#[test]
fn every_rule_is_its_formula_in_means() {
    check("inside", Op::AvgPool(PoolSpec::new(3, 2).padding(1), false));
    check("bins", Op::AdaptiveAvgPool([2, 4]));
    check("global", Op::GlobalAvgPool);
}

#[test]
fn an_addition_shares_in_proportion() {
    let mut builder = Builder::new(1);
    let relu = builder.relu("relu", Node::INPUT);
    builder.step("sum", &[Node::INPUT, relu, Node::INPUT], Op::Add);
    let walker = Walker::<f64>::new(Arc::new(builder.build()));
    let shape = Shape { c: 1, h: 1, w: 3 };
    let map = |data: [f64; 3]| FeatureMap::new(1, shape, data.to_vec()).unwrap();
    let trace = walker.run(map([2.0, -1.0, 0.0])).unwrap();
    assert_eq!(trace.output().data, [6.0, -2.0, 0.0]);
    for rule in [Rule::Epsilon(0.0), Rule::Z_PLUS, Rule::ALPHA2_BETA1, Rule::Flat] {
        let seed = map([3.0, 5.0, 0.0]);
        let node = walker.network().output();
        let shared = propagate(&trace, node, seed, &Composite::from(rule.clone())).unwrap();
        // The second pixel has no positive addend for z+ to favor; flat hands a third to each.
        let second = if let Rule::AlphaBeta { .. } = rule { 0.0 } else { 5.0 };
        for (got, expected) in shared.map.data.iter().zip([3.0, second, 0.0]) {
            assert!((got - expected).abs() < F64, "{rule}: {got} instead of {expected}");
        }
        let evenly = Composite::from(rule.clone()).with_biases(Biases::Share);
        let shared = propagate(&trace, node, map([3.0, 5.0, 0.0]), &evenly).unwrap();
        assert!(shared.conservation_error() < F64, "{rule}");
    }
}

#[test]
fn a_maximum_gives_all_to_the_winner_and_a_concatenation_to_the_parts() {
    let mut builder = Builder::new(1);
    let pool = builder.max_pool("pool", Node::INPUT, PoolSpec::new(2, 2));
    builder.concat("joined", &[pool, pool]);
    let walker = Walker::<f64>::new(Arc::new(builder.build()));
    let shape = Shape { c: 1, h: 2, w: 4 };
    let x = FeatureMap::new(1, shape, vec![1.0, 2.0, 7.0, 7.0, 3.0, 0.0, 7.0, 0.0]).unwrap();
    let trace = walker.run(x).unwrap();
    let out = Shape { c: 2, h: 1, w: 2 };
    let seed = FeatureMap::new(1, out, vec![1.0, 10.0, 100.0, 1000.0]).unwrap();
    let node = walker.network().output();
    let shared = propagate(&trace, node, seed, &Composite::from(Rule::Flat)).unwrap();
    assert_eq!(shared.map.data, [0.0, 0.0, 1100.0, 0.0, 11.0, 0.0, 0.0, 0.0]);
    assert_eq!((shared.start, shared.sum, shared.conservation_error()), (1111.0, 1111.0, 0.0));
}

#[test]
fn a_composite_takes_the_first_rule_that_matches() {
    let mut builder = Builder::new(4);
    let spec = ConvSpec::new(4, 4, [3, 3]).padding(1, 1);
    let x = builder.step("block.conv", &[Node::INPUT], convolution("a", spec));
    let x = builder.relu("block.relu", x);
    builder.step("blocked", &[x], convolution("b", spec));
    let network = Arc::new(builder.build());
    let walker = Walker::<f64>::new(network.clone());
    let target = Target::class(&network, 1);
    let maps =
        |composite: Composite| relevance(&walker, &input(), &target, &composite).unwrap().map;
    let z_plus = Rule::Z_PLUS;
    let expected = maps(Composite::new(vec![(Selector::First, Rule::Flat)], z_plus.clone()));
    for selector in [Selector::Name("block".into()), Selector::Depth(0..1)] {
        let rules = vec![(selector, Rule::Flat), (Selector::Kind("conv"), z_plus.clone())];
        assert_eq!(maps(Composite::new(rules, Rule::WSquare)), expected);
    }
    assert_ne!(maps(Composite::from(z_plus)), expected);
}

#[test]
fn rules_parse_as_they_print() {
    let scaling = Normalization::imagenet();
    let z_box = Rule::z_box(&scaling);
    for rule in rules().into_iter().filter(|rule| !matches!(rule, Rule::ZBox { .. })).chain([z_box])
    {
        assert_eq!(Rule::parse(&rule.to_string(), &scaling).unwrap(), rule);
    }
    for wrong in ["", "alpha=0.5", "gamma=-1", "epsilon=x", "z+=1", "epsilon=inf", "zbox"] {
        let error = Rule::parse(wrong, &scaling).unwrap_err().to_string();
        assert!(error.contains("flat or z-box"), "{wrong}: {error}");
    }
}

#[test]
fn biases_that_are_ignored_or_share_take_nothing() {
    let architecture: Architecture = "resnet18".parse().unwrap();
    let network = architecture.network(checkpoint("classifier-resnet18-weights.json")).unwrap();
    let network = Arc::new(network);
    let target = Target::class(&network, 281);
    let image = FeatureMap::new(1, Shape { c: 3, h: 64, w: 64 }, random("image", 3 * 64 * 64));
    let image = image.unwrap().map(f64::from);
    let walker = Walker::<f64>::new(network);
    let lost = |biases| {
        let composite = Composite::epsilon_plus_flat().with_biases(biases);
        relevance(&walker, &image, &target, &composite).unwrap().conservation_error()
    };
    assert!(lost(Biases::Ignore) < CONSERVED);
    assert!(lost(Biases::Share) < CONSERVED);
    assert!(lost(Biases::Keep) > CONSERVED);
}

/// The same network without biases.
fn without_bias(network: &Network) -> Arc<Network> {
    let mut builder = Builder::new(network.in_channels());
    for step in network.steps() {
        let mut op = step.op.clone();
        if let Op::Conv(c) | Op::Linear(c) = &mut op {
            c.bias.fill(0.0);
        }
        builder.step(&step.name, &step.inputs, op);
    }
    Arc::new(builder.build())
}

fn check_conservation(network: &Network, size: usize, class: usize) {
    let network = without_bias(network);
    let walker = Walker::<f64>::new(network.clone());
    let pixels = golden::image(52, size, size);
    let data = pixels.iter().map(|&v| f64::from(v) / 128.0 - 1.0).collect();
    let image = FeatureMap::new(1, Shape { c: 3, h: size, w: size }, data).unwrap();
    let target = Target::class(&network, class);
    let first = |rule| vec![(Selector::First, rule)];
    for (name, composite) in [
        ("epsilon", Composite::from(Rule::Epsilon(1e-9))),
        ("z+", Composite::from(Rule::Z_PLUS)),
        ("gamma, w2", Composite::new(first(Rule::WSquare), Rule::Gamma(0.25))),
        ("z+, flat", Composite::new(first(Rule::Flat), Rule::Z_PLUS)),
    ] {
        let relevance = relevance(&walker, &image, &target, &composite).unwrap();
        let error = relevance.conservation_error();
        assert!(error < CONSERVED, "{name}: {error:.2e}");
    }
}

fn checkpoint(file: &str) -> Checkpoint {
    let weights: BTreeMap<_, _> = golden::weights(file);
    Checkpoint::from_f32(weights).unwrap()
}

#[test]
fn resnet18_without_biases_conserves_relevance() {
    let architecture: Architecture = "resnet18".parse().unwrap();
    let network = architecture.network(checkpoint("classifier-resnet18-weights.json")).unwrap();
    check_conservation(&network, 96, 281);
}

#[test]
fn inception_without_biases_conserves_relevance() {
    let network = ganscope_inception::network(checkpoint("inception-weights.json")).unwrap();
    check_conservation(&network, 107, 281);
}
