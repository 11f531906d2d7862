//! The engine, which rearranges a network, against every step by itself in float64.

use super::*;
use crate::network::{
    Builder, ConvSpec, Convolution, LayerNorm, PoolSpec, Positions, Tokens, Walker,
};

/// Float32 through eight convolutions, some of them by Winograd's transforms.
const F32: f64 = 1e-5;
/// Height and width of the images: 16 channels of them are a large map.
const SIZE: (usize, usize) = (70, 66);

fn random(name: &str, n: usize, bound: f64) -> Vec<f32> {
    ganscope_golden::tensor(name, &[n], (-bound, bound), 0)
}

/// Appends a convolution and a rectifier; weights keep the size of values.
fn conv(builder: &mut Builder, name: &str, x: Node, spec: ConvSpec) -> Node {
    let inputs = spec.in_channels * spec.kernel[0] * spec.kernel[1];
    let weight = random(name, spec.weight_len(), (3.0 / inputs as f64).sqrt());
    let bias = random("bias", spec.out_channels, 0.5);
    let x = builder.step(name, &[x], Op::Conv(Convolution { spec, weight, bias }));
    builder.relu(&format!("{name}.relu"), x)
}

/// A block of branches as Inception has them; 16 channels to 80, or 80 to 80.
fn block(b: &mut Builder, name: &str, x: Node, channels: usize) -> Node {
    let one = |outputs| ConvSpec::new(channels, outputs, [1, 1]);
    let same = PoolSpec::new(3, 1).padding(1);
    let alone = conv(b, &format!("{name}.alone"), x, one(20));
    let first = conv(b, &format!("{name}.first"), x, one(16));
    let second =
        conv(b, &format!("{name}.second"), first, ConvSpec::new(16, 28, [3, 3]).padding(1, 1));
    let mean = b.avg_pool(&format!("{name}.mean"), x, same);
    let mean = conv(b, &format!("{name}.of_mean"), mean, one(12));
    let largest = b.max_pool(&format!("{name}.largest"), x, same);
    let largest = conv(b, &format!("{name}.of_largest"), largest, one(20));
    b.concat(name, &[alone, second, mean, largest])
}

/// Two blocks on large maps, between them a layer with more weights than its maps have numbers,
/// then a smaller one.
fn network() -> Arc<Network> {
    let mut b = Builder::new(3);
    let x = conv(&mut b, "stem", Node::INPUT, ConvSpec::new(3, 16, [3, 3]).padding(1, 1));
    let x = block(&mut b, "large", x, 16);
    let x = block(&mut b, "wide", x, 80);
    let x = conv(&mut b, "reduction", x, ConvSpec::new(80, 80, [8, 8]).stride(6));
    let x = block(&mut b, "small", x, 80);
    b.step("pooled", &[x], Op::GlobalAvgPool);
    Arc::new(b.build())
}

fn input(n: usize) -> Vec<f32> {
    random("input", n * SIZE.0 * SIZE.1 * 3, 1.0)
}

fn run(network: &Arc<Network>, taps: &[Node], input: &[f32], n: usize) -> Vec<FeatureMap> {
    Engine::new(network.clone(), taps).run(input, (n, SIZE.0, SIZE.1)).unwrap()
}

/// Compares the values of all steps with those of each step by itself: alone, so that everything
/// before it may be rearranged; with the last value, which reads it; and among all of them, where
/// nothing may be.
fn check(network: &Arc<Network>, n: usize, (h, w): (usize, usize)) {
    let input = random("input", n * h * w * 3, 1.0);
    let exact = input.iter().map(|&v| f64::from(v)).collect();
    let exact = FeatureMap::new(n, Shape { c: 3, h, w }, exact).unwrap();
    let walker = Walker::<f64>::new(network.clone());
    let trace = walker.run(exact).unwrap();
    let check = |taps: &[Node]| {
        let values = Engine::new(network.clone(), taps).run(&input, (n, h, w)).unwrap();
        for (actual, tap) in values.iter().zip(taps) {
            let expected = trace.value(*tap);
            assert_eq!(actual.shape, expected.shape);
            let pairs = actual.data.iter().zip(&expected.data);
            let squares = pairs.map(|(a, e)| (f64::from(*a) - e).powi(2)).sum::<f64>();
            let error = (squares / expected.data.iter().map(|e| e * e).sum::<f64>()).sqrt();
            let name = &network.steps()[tap.step().unwrap()].name;
            assert!(error < F32, "{name} of {} taps: {error:.1e}", taps.len());
        }
    };
    let all: Vec<Node> = (0..network.steps().len()).map(Node::of_step).collect();
    for &tap in &all {
        check(&[tap]);
        check(&[network.output(), tap]);
    }
    check(&all);
}

#[test]
fn every_value_is_that_of_its_step() {
    check(&network(), 3, SIZE);
    check(&transformer(32), 3, (12, 8));
    check(&transformer(24), 3, (12, 8));
}

#[test]
fn pixels_that_lie_apart_keep_their_values() {
    let mut b = Builder::new(3);
    let wide = conv(&mut b, "wide", Node::INPUT, ConvSpec::new(3, 512, [1, 1]));
    let left = conv(&mut b, "left", wide, ConvSpec::new(512, 240, [1, 1]));
    let right = conv(&mut b, "right", wide, ConvSpec::new(512, 272, [1, 1]));
    let both = b.concat("both", &[left, right]);
    let x = b.max_pool("largest", both, PoolSpec::new(2, 2));
    let x = conv(&mut b, "reduction", x, ConvSpec::new(512, 64, [3, 3]));
    b.step("pooled", &[x], Op::GlobalAvgPool);
    let network = Arc::new(b.build());
    let plan = Plan::new(&network, &[network.output()]);
    let shapes = network.shapes(18, 16).unwrap();
    assert!(plan.front(&network, &shapes) > both.step().unwrap());
    check(&network, 3, (18, 16));
}

#[test]
fn means_move_and_convolutions_join() {
    let network = network();
    let plan = Plan::new(&network, &[network.output()]);
    let step = |name: &str| network.node(name).unwrap().step().unwrap();
    for block in ["large", "wide", "small"] {
        let step = |name: &str| step(&format!("{block}.{name}"));
        let Layer::Joined { to, .. } = &plan.layers[step("alone")] else {
            panic!("{:?}", plan.layers[step("alone")]);
        };
        let to: Vec<_> = to.iter().map(|node| node.step().unwrap()).collect();
        assert_eq!(to, ["alone.relu", "first.relu", "mean"].map(step));
        assert!(matches!(plan.layers[step("of_mean")], Layer::AvgPool { .. }));
    }
    let shapes = network.shapes(SIZE.0, SIZE.1).unwrap();
    assert_eq!(plan.front(&network, &shapes), step("reduction"));
}

#[test]
fn no_value_depends_on_the_batch_or_on_the_threads() {
    let network = network();
    let taps = ["large", "wide", "pooled"].map(|name| network.node(name).unwrap());
    let (n, input) = (10, input(10));
    let size = input.len() / n;
    let alone: Vec<_> = input.chunks(size).map(|image| run(&network, &taps, image, 1)).collect();
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let engine = Engine::new(network.clone(), &taps);
        // Twice, the second time with buffers that were used before.
        for _ in 0..2 {
            let together = pool.install(|| engine.run(&input, (n, SIZE.0, SIZE.1))).unwrap();
            for (image, alone) in alone.iter().enumerate() {
                for (together, alone) in together.iter().zip(alone) {
                    assert_eq!(together.image(image), alone.image(0), "{threads} threads");
                }
            }
        }
    }
}

/// A transformer of two blocks on 3 x 2 patches of four pixels, its class token read in two ways. Its
/// attention has `width` channels, its tokens 32.
fn transformer(width: usize) -> Arc<Network> {
    let (c, patches) = (32, [3, 2]);
    let mut b = Builder::new(3);
    let spec = ConvSpec::new(3, c, [4, 4]).stride(4);
    let weight = random("patches", spec.weight_len(), 0.3);
    let conv = Op::Conv(Convolution { spec, weight, bias: random("bias", c, 0.5) });
    let x = b.step("patches", &[Node::INPUT], conv);
    let tokens = Tokens {
        front: random("front", 2 * c, 1.0),
        positions: random("positions", 6 * c, 1.0),
        grid: patches,
        resize: Positions::Fixed,
    };
    let mut x = b.step("tokens", &[x], Op::Tokens(tokens));
    let norm = || Op::LayerNorm(LayerNorm { gain: vec![1.0; c], shift: vec![0.0; c], eps: 1e-6 });
    let linear = |name: &str, inputs, outputs| {
        let spec = ConvSpec::new(inputs, outputs, [1, 1]);
        let weight = random(name, spec.weight_len(), (3.0 / inputs as f64).sqrt());
        Op::Linear(Convolution { spec, weight, bias: random("bias", outputs, 0.5) })
    };
    for block in ["first", "last"] {
        let mut step =
            |name: &str, inputs: &[Node], op| b.step(&format!("{block}.{name}"), inputs, op);
        let y = step("norm1", &[x], norm());
        let y = step("qkv", &[y], linear("qkv", c, 3 * width));
        let y = step("attention", &[y], Op::Attention(2));
        let y = step("projection", &[y], linear("projection", width, c));
        x = step("middle", &[x, y], Op::Add);
        let y = step("norm2", &[x], norm());
        let y = step("wide", &[y], linear("wide", c, 2 * c));
        let y = step("curve", &[y], Op::Gelu);
        let y = step("narrow", &[y], linear("narrow", 2 * c, c));
        x = step("sum", &[x, y], Op::Add);
    }
    let all = b.step("norm", &[x], norm());
    b.step("class", &[all], Op::Rows(0, Some(1)));
    b.step("others", &[all], Op::Rows(2, None));
    let class = b.step("own", &[x], Op::Rows(0, Some(1)));
    b.step("unit", &[class], Op::UnitLength);
    Arc::new(b.build())
}

#[test]
fn only_tokens_that_are_read_are_computed() {
    let network = transformer(32);
    let size = (12, 8);
    let all: Vec<Node> = (0..network.steps().len()).map(Node::of_step).collect();
    for n in [1, 2, 9] {
        let input = random("images", n * size.0 * size.1 * 3, 1.0);
        let run = |taps: &[Node]| {
            Engine::new(network.clone(), taps).run(&input, (n, size.0, size.1)).unwrap()
        };
        let every = run(&all);
        for &tap in &all {
            assert_eq!(run(&[tap])[0], every[tap.index() - 1], "{tap:?} of {n} images");
            let two = run(&[tap, network.output()]);
            assert_eq!(two[0], every[tap.index() - 1], "{tap:?} and the last of {n} images");
        }
    }
    let node = |name: &str| network.node(name).unwrap();
    let rows = |tap: &str| {
        let plan = Plan::new(&network, &[node(tap)]);
        let shapes = plan.shapes(&network, network.shapes(size.0, size.1).unwrap()).unwrap();
        ["first.sum", "last.qkv", "last.attention", "last.middle", "last.curve", "last.sum"]
            .map(|name| shapes[node(name).index()].h)
    };
    let folded = |tap: &str| {
        let plan = Plan::new(&network, &[node(tap)]);
        let layer = |name: &str| &plan.layers[node(name).step().unwrap()];
        assert!(matches!(layer("first.attention"), Layer::Plain));
        let skips = matches!(layer("last.qkv"), Layer::Skip);
        match layer("last.attention") {
            Layer::Folded { whole, .. } => {
                assert_eq!(skips, !whole, "keys of all tokens");
                Some(*whole)
            }
            _ => None,
        }
    };
    assert_eq!(
        ["class", "unit", "others", "last.middle"].map(folded).map(Option::unwrap),
        [false, false, true, true]
    );
    assert_eq!(rows("class"), [8, 8, 1, 1, 1, 1]);
    assert_eq!(rows("unit"), [8, 8, 1, 1, 1, 1]);
    assert_eq!(rows("others"), [8; 6]);
    assert_eq!(rows("last.middle"), [8; 6]);
}
