//! Images of BigGAN-PyTorch and of StudioGAN, number by number.

use candle_core::{DType, Device, Tensor, Var};
use ganscope_biggan::{BigGan, is_biggan, is_pytorch, is_studio, studio_config};
use ganscope_golden as golden;
use ganscope_model::{Checkpoint, Generator, Synthesis, Truncation};
use ganscope_weights::{Array, ReadOptions, Weights, read};
use serde_json::{Map, Value, json};

/// Relative error of float32 networks.
const F32_NETWORK: f64 = 1e-4;
const CLASSES: [u32; 2] = [0, 3];
const PYTORCH: [&str; 5] = [
    "biggan-ajbrock",
    "biggan-ajbrock-deep",
    "biggan-ajbrock-mybn",
    "biggan-ajbrock-syncbn",
    "biggan-ajbrock-cifar",
];
const STUDIO: [&str; 3] = ["biggan-studio", "biggan-studio-deep-legacy", "biggan-studio-deep"];

fn weights(name: &str) -> Weights {
    read(&golden::data().join(format!("{name}.pth")), &ReadOptions::default()).unwrap()
}

fn object(json: Value) -> Map<String, Value> {
    json.as_object().unwrap().clone()
}

fn try_open(weights: Weights, config: Value) -> Result<BigGan, String> {
    let checkpoint = Checkpoint::from(weights);
    BigGan::foreign(checkpoint, &object(config), &Device::Cpu).map_err(|e| e.to_string())
}

fn refused(weights: Weights, config: Value) -> String {
    try_open(weights, config).map(drop).unwrap_err()
}

fn open(name: &str, config: Value) -> BigGan {
    try_open(weights(name), config).unwrap()
}

/// `z` of the golden file, and the style inputs of the two classes.
fn ws(generator: &BigGan, name: &str) -> Tensor {
    let file = if name.contains("studio") { "biggan-studio" } else { "biggan-ajbrock" };
    let z = &golden::arrays(&format!("{file}.safetensors"))[&format!("{name}/z")];
    assert_eq!(z.shape[1], generator.info().z_dim);
    let z = Tensor::from_vec(z.f32(), (2, z.shape[1]), &Device::Cpu).unwrap();
    generator.map(&z, Some(&CLASSES), Truncation::NONE).unwrap()
}

fn images(generator: &BigGan, ws: &Tensor) -> Tensor {
    generator.synthesize(ws, &Synthesis::default()).unwrap()
}

fn values(images: &Tensor) -> Vec<f32> {
    images.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_golden(generator: &BigGan, name: &str, case: &str) {
    let file = if name.contains("studio") { "biggan-studio" } else { "biggan-ajbrock" };
    let expected = &golden::arrays(&format!("{file}.safetensors"))[&format!("{name}/{case}image")];
    let images = images(generator, &ws(generator, name));
    assert_eq!(images.dims(), expected.shape);
    let error = golden::relative_l2(&values(&images), &expected.data);
    assert!(error <= F32_NETWORK, "{name} {case}: {error:.1e}");
}

#[test]
fn images_are_those_of_biggan_pytorch() {
    for name in PYTORCH {
        assert_golden(&open(name, json!({})), name, "");
    }
}

#[test]
fn ports_from_tensorflow_have_its_term_under_the_root() {
    let name = "biggan-ajbrock";
    assert_golden(&open(name, json!({ "BN_eps": 1e-4 })), name, "BN_eps1e-4/");
    let mut ported = weights(name);
    ported.arrays.retain(|name, _| !name.ends_with("sv0"));
    assert_golden(&try_open(ported.clone(), json!({})).unwrap(), name, "BN_eps1e-4/");
    assert_golden(&try_open(ported, json!({ "BN_eps": 1e-5 })).unwrap(), name, "");
}

#[test]
fn standing_statistics_are_divided_by_their_count() {
    let name = "biggan-ajbrock-mybn";
    let standing = open(name, json!({ "accumulate_standing": true }));
    assert_golden(&standing, name, "accumulate_standing/");
    let error = refused(weights("biggan-ajbrock"), json!({ "accumulate_standing": true }));
    assert!(error.contains("no number of batches"));
}

#[test]
fn images_are_those_of_studiogan() {
    for name in STUDIO {
        assert_golden(&open(name, json!({})), name, "");
        let text = std::fs::read_to_string(golden::data().join(format!("{name}.yaml"))).unwrap();
        let config = studio_config(&text).unwrap();
        assert_golden(&open(name, Value::Object(config)), name, "");
    }
}

#[test]
fn a_wrong_configuration_is_an_error_with_both_facts() {
    let fail = |name: &str, config: Value| refused(weights(name), config);
    for (name, config, part) in [
        (
            "biggan-ajbrock",
            json!({ "n_classes": 1000 }),
            "`n_classes` is 1000, but the tensors are those of 10",
        ),
        ("biggan-ajbrock", json!({ "resolution": 128 }), "`resolution` is 128"),
        ("biggan-ajbrock", json!({ "G_ch": 96 }), "`G_ch` is 96, but the tensors are those of 4"),
        ("biggan-ajbrock", json!({ "BN_epsilon": 1e-4 }), "`BN_epsilon` is no option"),
        ("biggan-ajbrock", json!({ "BN_eps": "small" }), "`BN_eps` is \"small\""),
        ("biggan-ajbrock-deep", json!({ "G_depth": 1 }), "`G_depth` is 1"),
        ("biggan-ajbrock-cifar", json!({ "hier": true }), "`hier` is true"),
        ("biggan-studio", json!({ "num_classes": 100 }), "`num_classes` is 100"),
        ("biggan-studio", json!({ "backbone": "resnet" }), "`backbone` is \"resnet\""),
        ("biggan-studio", json!({ "g_act_fn": "GELU" }), "`g_act_fn` is \"GELU\""),
        ("biggan-studio", json!({ "attn_g_loc": [3] }), "`attn_g_loc` is [3]"),
    ] {
        let error = fail(name, config);
        assert!(error.contains(part), "{error}");
    }
    for name in PYTORCH {
        let config = golden::json("biggan-ajbrock-configs.json")[name].clone();
        let decisive =
            ["resolution", "n_classes", "G_ch", "G_depth", "hier", "G_shared", "shared_dim"];
        let config: Map<String, Value> = object(config)
            .into_iter()
            .filter(|(key, _)| decisive.contains(&key.as_str()))
            .collect();
        open(name, Value::Object(config));
    }
}

#[test]
fn damaged_checkpoints_are_errors() {
    let damaged = |name: &str, change: &dyn Fn(&mut Weights)| {
        let mut weights = weights(name);
        change(&mut weights);
        refused(weights, json!({}))
    };
    for name in PYTORCH.iter().chain(&STUDIO) {
        let studio = name.contains("studio");
        let conv = if studio { "blocks.0.0.conv2d1" } else { "blocks.0.0.conv1" };
        let bias = format!("{conv}.bias");
        let error = damaged(name, &|w| drop(w.arrays.remove(&bias)));
        assert!(error.contains(&bias), "{name}: {error}");
        let copy = |w: &mut Weights, from: &str, to: &str| {
            let array = w.arrays[from].clone();
            w.arrays.insert(to.into(), array);
        };
        let error = damaged(name, &|w| copy(w, &bias, "discriminator.bias"));
        assert!(error.contains("discriminator.bias"), "{name}: {error}");
        // A layer of another width.
        let shared = if studio { "conv2d5.bias" } else { "output_layer.2.bias" };
        let error = damaged(name, &|w| copy(w, shared, &bias));
        assert!(error.contains("has shape [3]"), "{name}: {error}");
        let mean = if studio { "bn4.running_mean" } else { "output_layer.0.gain" };
        assert!(!damaged(name, &|w| copy(w, shared, mean)).is_empty());
        let first = if studio { "linear0.bias" } else { "linear.bias" };
        assert!(damaged(name, &|w| copy(w, shared, first)).contains("has shape [3]"));
    }
    let insert = |w: &mut Weights, name: &str, shape: &[usize], value: f32| {
        let values = vec![value; shape.iter().product()];
        w.arrays.insert(name.into(), Array::from_f32(shape.to_vec(), &values).unwrap());
    };
    // Class embeddings that are longer than a condition, and for which the first layer is too wide.
    let longer = |w: &mut Weights| insert(w, "shared.weight", &[10, 20], 1.0);
    let error = damaged("biggan-ajbrock", &longer);
    assert!(error.contains("a condition of 16, with an embedding of 20"), "{error}");
    let shorter = |w: &mut Weights| insert(w, "shared.weight", &[10, 11], 1.0);
    let error = damaged("biggan-ajbrock", &shorter);
    assert!(error.contains("`linear.weight` has shape [1024, 4], expected [1024, 5]"), "{error}");
    let narrow = |w: &mut Weights| insert(w, "blocks.1.0.conv1.weight", &[32, 63, 3, 3], 1.0);
    let error = damaged("biggan-ajbrock", &narrow);
    assert!(error.contains("`blocks.1.0` takes 63 channels, but gets 64"), "{error}");
    let deep = |w: &mut Weights| insert(w, "blocks.0.0.conv4.weight", &[32, 16, 1, 1], 1.0);
    let error = damaged("biggan-ajbrock-deep", &deep);
    assert!(error.contains("blocks.1.0` takes 64 channels, but gets 32"), "{error}");
    let zero = |w: &mut Weights| insert(w, "linear.u0", &[1, 1024], 0.0);
    assert!(damaged("biggan-ajbrock", &zero).contains("spectral norm of `linear` is 0"));
}

#[test]
fn each_origin_recognizes_its_own() {
    for name in PYTORCH {
        let weights = weights(name);
        assert_eq!(
            (is_biggan(&weights), is_pytorch(&weights), is_studio(&weights)),
            (false, true, false)
        );
    }
    for name in STUDIO {
        let weights = weights(name);
        assert_eq!(
            (is_biggan(&weights), is_pytorch(&weights), is_studio(&weights)),
            (false, false, true)
        );
    }
    let published = read(&golden::data().join("biggan-tiny.bin"), &ReadOptions::default()).unwrap();
    assert!(is_biggan(&published) && !is_pytorch(&published) && !is_studio(&published));
}

#[test]
fn a_batch_gives_each_image_bit_for_bit() {
    for name in ["biggan-ajbrock", "biggan-ajbrock-cifar", "biggan-studio-deep"] {
        let generator = open(name, json!({}));
        let ws = ws(&generator, name);
        let alone = [0, 1].map(|i| values(&images(&generator, &ws.narrow(0, i, 1).unwrap())));
        assert_eq!(values(&images(&generator, &ws)), alone.concat(), "{name}");
    }
}

#[test]
fn truncation_scales_z_and_leaves_the_class() {
    let generator = open("biggan-ajbrock", json!({}));
    let z = Tensor::ones((1, 20), DType::F32, &Device::Cpu).unwrap();
    let map = |psi| generator.map(&z, Some(&[3]), Truncation::psi(psi)).unwrap();
    let (whole, half) = (map(1.0), map(0.5));
    let part = |ws: &Tensor, from, len| values(&ws.narrow(2, from, len).unwrap());
    assert_eq!(whole.dims(), [1, 5, 16]);
    assert_eq!(part(&half, 0, 4), [0.5; 20]);
    assert_eq!(part(&half, 4, 12), part(&whole, 4, 12));
}

#[test]
fn images_can_be_differentiated() {
    for name in ["biggan-ajbrock", "biggan-ajbrock-syncbn", "biggan-studio-deep"] {
        let generator = open(name, json!({}));
        let start = ws(&generator, name).narrow(0, 0, 1).unwrap().to_dtype(DType::F64).unwrap();
        let var = Var::from_tensor(&start).unwrap();
        let sum = |ws: &Tensor| images(&generator, ws).sqr().unwrap().sum_all().unwrap();
        let gradients = sum(&var).backward().unwrap();
        let gradient: Vec<f64> =
            gradients.get(&var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let start_values: Vec<f64> = start.flatten_all().unwrap().to_vec1().unwrap();
        for at in [0, 9, 20] {
            let moved = |by: f64| {
                let mut values = start_values.clone();
                values[at] += by;
                let ws = Tensor::from_vec(values, start.dims(), &Device::Cpu).unwrap();
                sum(&ws).to_scalar::<f64>().unwrap()
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let error = (slope - gradient[at]).abs() / slope.abs().max(1e-3);
            assert!(error < 1e-4, "{name} {at}: {slope} {}", gradient[at]);
        }
    }
}
