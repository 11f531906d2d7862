//! Described networks against the same computed by hand, and what a description may not say.

use std::collections::BTreeMap;

use super::*;
use crate::FeatureMap;
use crate::network::{Node, Shape, Walker};

/// Float32 through three layers.
const F32: f32 = 1e-5;

fn tensors(shapes: &[(&str, &[usize])]) -> Checkpoint {
    let tensor = |(name, shape): &(&str, &[usize])| {
        let span = ganscope_golden::span(name, shape);
        let values = ganscope_golden::tensor(name, shape, span, 0);
        ((*name).to_owned(), (shape.to_vec(), values))
    };
    Checkpoint::from_f32(shapes.iter().map(tensor).collect::<BTreeMap<_, _>>()).unwrap()
}

fn described(layers: &str) -> Description {
    let head = r#""img_resolution": 6, "img_channels": 2, "mean": [0.5, 0.5], "std": [0.5, 0.5]"#;
    Description::from_json(&format!("{{{head}, \"layers\": {layers}}}")).unwrap()
}

const BLOCK: &str = r#"[
    {"kind": "conv2d", "name": "conv1", "in": 2, "out": 4, "kernel": 3, "padding": 1, "bias": false},
    {"kind": "batch_norm", "name": "bn1"},
    {"kind": "relu", "name": "relu1"},
    {"kind": "dropout", "name": "drop", "p": 0.5},
    {"kind": "batch_norm", "name": "bn2", "eps": 0.001},
    {"kind": "add", "name": "sum", "inputs": ["bn1", "bn2"]},
    {"kind": "concat", "name": "joined", "inputs": ["sum", "input"]},
    {"kind": "global_average_pool", "name": "pool"},
    {"kind": "linear", "name": "fc", "in": 6, "out": 3}
]"#;

const BLOCK_TENSORS: &[(&str, &[usize])] = &[
    ("conv1.weight", &[4, 2, 3, 3]),
    ("bn1.weight", &[4]),
    ("bn1.bias", &[4]),
    ("bn1.running_mean", &[4]),
    ("bn1.running_var", &[4]),
    ("bn1.num_batches_tracked", &[]),
    ("bn2.weight", &[4]),
    ("bn2.bias", &[4]),
    ("bn2.running_mean", &[4]),
    ("bn2.running_var", &[4]),
    ("fc.weight", &[3, 6]),
    ("fc.bias", &[3]),
];

#[test]
fn a_described_block_computes_what_it_says() {
    let network = Arc::new(described(BLOCK).network(tensors(BLOCK_TENSORS)).unwrap());
    let names: Vec<&str> = network.steps().iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["conv1", "relu1", "bn2", "sum", "joined", "pool", "fc"]);
    let x = ganscope_golden::tensor("x", &[2, 6, 6], (-1.0, 1.0), 0);
    let input = FeatureMap::from_nchw(1, Shape { c: 2, h: 6, w: 6 }, &x).unwrap();
    let walker = Walker::<f32>::new(network.clone());
    let trace = walker.run(input).unwrap();

    let value = |name: &str| trace.value(network.node(name).unwrap()).to_nchw();
    let mut checkpoint = tensors(BLOCK_TENSORS);
    let mut norm = |name: &str, eps: f32, x: &[f32]| -> Vec<f32> {
        let mut take = |leaf: &str| checkpoint.take(&format!("{name}.{leaf}"), &[4]).unwrap();
        let [w, b, m, v] = ["weight", "bias", "running_mean", "running_var"].map(&mut take);
        let one = |(i, x): (usize, &f32)| {
            let c = i / 36;
            (x - m[c]) / (v[c] + eps).sqrt() * w[c] + b[c]
        };
        x.iter().enumerate().map(one).collect()
    };
    let weight = ganscope_golden::tensor(
        "conv1.weight",
        &[4, 2, 3, 3],
        ganscope_golden::span("conv1.weight", &[4, 2, 3, 3]),
        0,
    );
    let at = |c: usize, y: usize, x_: usize| {
        let inside = (1..7).contains(&y) && (1..7).contains(&x_);
        if inside { x[(c * 6 + y - 1) * 6 + x_ - 1] } else { 0.0 }
    };
    let mut convolved = vec![0.0; 4 * 36];
    for (i, sum) in convolved.iter_mut().enumerate() {
        let (o, y, x_) = (i / 36, i / 6 % 6, i % 6);
        for (j, w) in weight[o * 18..(o + 1) * 18].iter().enumerate() {
            *sum += w * at(j / 9, y + j / 3 % 3, x_ + j % 3);
        }
    }
    let first = norm("bn1", 1e-5, &convolved);
    let open: Vec<f32> = first.iter().map(|v| v.max(0.0)).collect();
    let second = norm("bn2", 1e-3, &open);
    let sum = first.iter().zip(&second).map(|(a, b)| a + b);
    for (expected, got) in sum.zip(value("sum")) {
        assert!((expected - got).abs() < F32, "{got} instead of {expected}");
    }
    assert_eq!(value("joined")[4 * 36..], x);
    assert_eq!(trace.value(Node::INPUT).to_nchw(), x);
    assert_eq!(trace.output().shape, Shape { c: 3, h: 1, w: 1 });
}

#[test]
fn the_shipped_classifier_describes_itself() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/fashion-cnn.safetensors");
    let weights =
        ganscope_weights::read(path.as_ref(), &ganscope_weights::ReadOptions::default()).unwrap();
    let description = Description::from_config(&weights.config).unwrap();
    let classifier = description.classifier("fashion-cnn", Checkpoint::from(weights)).unwrap();
    assert_eq!(classifier.labels.len(), 10);
    assert_eq!(classifier.network.steps().len(), 14);
    let shapes = classifier.network.shapes(32, 32).unwrap();
    assert_eq!(shapes[classifier.network.node("features.16").unwrap().index()].c, 128);
}

#[test]
fn a_description_that_cannot_be_is_refused_with_the_place() {
    let refusal = |layers: &str| described(layers).network(tensors(&[])).unwrap_err().to_string();
    let unknown = r#"[{"kind": "relu", "name": "a", "inputs": ["b"]}]"#;
    assert_eq!(refusal(unknown), "step `a`: reads `b`, which is not an earlier layer");
    let twice = r#"[{"kind": "relu", "name": "a"}, {"kind": "relu", "name": "a"}]"#;
    assert_eq!(refusal(twice), "step `a`: has the name of another layer");
    let zero = r#"[{"kind": "max_pool2d", "name": "a", "kernel": 0}]"#;
    assert_eq!(refusal(zero), "step `a`: a size of 0, expected 1 to 1024");
    let border = r#"[{"kind": "max_pool2d", "name": "a", "kernel": 2, "padding": 2}]"#;
    assert!(refusal(border).contains("a border of"));
    let groups =
        r#"[{"kind": "conv2d", "name": "a", "in": 2, "out": 2, "kernel": 1, "groups": 3}]"#;
    assert!(refusal(groups).contains("3 groups"));
    let missing = r#"[{"kind": "conv2d", "name": "a", "in": 2, "out": 2, "kernel": 1}]"#;
    assert!(refusal(missing).contains("no tensor `a.weight`"));
    let small = r#"[{"kind": "avg_pool2d", "name": "a", "kernel": 7}]"#;
    assert!(refusal(small).contains("too small"));
    assert!(refusal("[]").contains("1 to 4096 layers"));
}

#[test]
fn a_description_is_read_strictly() {
    let refusal = |text: &str| Description::from_json(text).unwrap_err().to_string();
    let head = r#""img_resolution": 6, "mean": [], "std": []"#;
    let layer = |layer: &str| refusal(&format!("{{{head}, \"layers\": [{layer}]}}"));
    assert!(
        layer(r#"{"kind": "relu", "name": "a", "slope": 1}"#).contains("unknown field `slope`")
    );
    assert!(layer(r#"{"kind": "selu", "name": "a"}"#).contains("unknown variant `selu`"));
    assert!(layer(r#"{"kind": "relu"}"#).contains("`name`"));
    assert!(refusal(&format!("{{{head}, \"layers\": [], \"more\": 1}}")).contains("`more`"));
    let classifier = described(BLOCK).classifier("block", tensors(BLOCK_TENSORS)).unwrap();
    assert_eq!(classifier.input_size, 6);
    let mut other = described(BLOCK);
    other.classes = vec!["one".into()];
    let error = other.classifier("block", tensors(BLOCK_TENSORS)).unwrap_err().to_string();
    assert_eq!(error, "configuration: 1 class names for 3 logits");
    other.std[1] = 0.0;
    assert!(other.classifier("block", tensors(BLOCK_TENSORS)).is_err());
}
