//! Maps on recipe weights and images, against captum and, for relevance, zennit.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use ganscope_classifiers::Architecture;
use ganscope_explain::cam::enlarge;
use ganscope_explain::lrp::{Composite, Rule};
use ganscope_explain::road::impute;
use ganscope_explain::{
    Evidence, Occlusion, Quickshift, Result, Superpixels, Target, cam, grad_cam, gradient,
    guided_grad_cam, input_x_gradient, relevance,
};
use ganscope_golden as golden;
use ganscope_images::Image;
use ganscope_model::network::{Builder, ConvSpec, PoolSpec, Real, Rectifier, Walker};
use ganscope_model::{Checkpoint, Engine, FeatureMap, Network, Node, Normalization, Op, Shape};

/// Relative error of maps of float32 networks.
const MAP: f64 = 1e-4;
/// Relative error of imputed pixels, which are float32 on both sides.
const IMPUTED: f64 = 1e-6;

/// One network with the image that is explained, and the names of its golden maps.
struct Case {
    name: &'static str,
    network: Arc<Network>,
    image: FeatureMap,
    target: Target,
    layer: Node,
    /// First row and column of the part of a map that is golden; all of it if missing.
    crop: Option<usize>,
}

fn arrays() -> &'static BTreeMap<String, golden::Array> {
    static ARRAYS: OnceLock<BTreeMap<String, golden::Array>> = OnceLock::new();
    ARRAYS.get_or_init(|| golden::arrays("explain.safetensors"))
}

impl Case {
    fn new(name: &'static str) -> Self {
        let (image, size, layer, crop) = match name {
            "small" => (50, 32, "features.6", None),
            "alexnet" => (51, 224, "features.10", Some(80)),
            "resnet18" => (52, 224, "layer4.1", Some(80)),
            "vgg11" => (53, 96, "features.18", Some(16)),
            _ => panic!("no case {name}"),
        };
        let weights = golden::weights(&format!("classifier-{name}-weights.json"));
        let checkpoint = Checkpoint::from_f32(weights).unwrap();
        let network = match name {
            "small" => small(checkpoint),
            _ => name.parse::<Architecture>().unwrap().network(checkpoint).unwrap(),
        };
        let scaling = Normalization::imagenet();
        let pixels = golden::image(image, size, size);
        let scaled = pixels.iter().enumerate().map(|(i, &v)| scaling.apply(i % 3, v.into()));
        let shape = Shape { c: 3, h: size, w: size };
        let image = FeatureMap::new(1, shape, scaled.collect()).unwrap();
        let class = golden::json("explain.json")[name]["target"].as_u64().unwrap() as usize;
        let target = Target::class(&network, class);
        let layer = network.node(layer).unwrap();
        Self { name, network: Arc::new(network), image, target, layer, crop }
    }

    /// Compares a map with the golden `NAME/KEY`: all of it, or its crop, sum and length.
    fn check<T: Real>(&self, key: &str, map: &FeatureMap<T>, tolerance: f64) {
        let planes: Vec<f64> = map.to_nchw().iter().map(|v| v.to_f64()).collect();
        let at = |suffix: &str| &arrays()[&format!("{}/{key}{suffix}", self.name)].data;
        let error = match self.crop {
            None => golden::relative_l2(&planes, at("")),
            Some(crop) => {
                let Shape { c, w, .. } = map.shape;
                let inside = (0..c * 64 * 64).map(|i| {
                    let (k, y, x) = (i / 4096, i / 64 % 64, i % 64);
                    planes[(k * w + crop + y) * w + crop + x]
                });
                let inside: Vec<f64> = inside.collect();
                let length = planes.iter().map(|v| v * v).sum::<f64>().sqrt();
                let expected = at("/sum_l2");
                let difference = (length - expected[1]).abs() / expected[1];
                assert!(difference < tolerance, "{} {key}: length {difference:.2e}", self.name);
                let expected = at(&format!("/crop{crop}"));
                // Where Grad-CAM is zero, so is the part of the map under it.
                if expected.iter().all(|&v| v == 0.0) {
                    assert!(inside.iter().all(|&v| v == 0.0), "{} {key}: not zero", self.name);
                    return;
                }
                golden::relative_l2(&inside, expected)
            }
        };
        assert!(error < tolerance, "{} {key}: {error:.2e}", self.name);
    }

    /// All maps by gradients.
    fn check_gradients<T: Real>(&self) {
        let walker = Walker::<T>::new(self.network.clone());
        let image = self.image.map(|v| T::of(v.into()));
        for (key, rectifier) in [
            ("gradient", Rectifier::Gradient),
            ("deconvnet", Rectifier::Deconvnet),
            ("guided_backprop", Rectifier::Guided),
        ] {
            self.check(key, &gradient(&walker, &image, &self.target, rectifier).unwrap(), MAP);
        }
        let product = input_x_gradient(&walker, &image, &self.target).unwrap();
        self.check("input_x_gradient", &product, MAP);
        let places = grad_cam(&walker, &image, &self.target, self.layer, Evidence::Positive);
        let expected = &arrays()[&format!("{}/grad_cam_raw", self.name)].data;
        let values: Vec<f64> = places.unwrap().data.iter().map(|v| v.to_f64()).collect();
        let error = golden::relative_l2(&values, expected);
        assert!(error < MAP, "{} grad_cam_raw: {error:.2e}", self.name);
        let guided = guided_grad_cam(&walker, &image, &self.target, self.layer).unwrap();
        self.check("guided_grad_cam_bilinear", &guided, MAP);
    }

    /// Relevance, in the float64 that the golden maps were computed in.
    fn check_relevance(&self) {
        let walker = Walker::<f64>::new(self.network.clone());
        let image = self.image.map(f64::from);
        let facts = &golden::json("explain.json")[self.name];
        for (key, rule) in [
            ("lrp_epsilon_1e-6", Rule::Epsilon(1e-6)),
            ("lrp_zplus", Rule::Z_PLUS),
            ("lrp_alpha2beta1", Rule::ALPHA2_BETA1),
        ] {
            let composite = Composite::from(rule);
            let relevance = relevance(&walker, &image, &self.target, &composite).unwrap();
            self.check(key, &relevance.map, MAP);
            let sum = facts[format!("{key}_sum")].as_f64().unwrap();
            assert!((relevance.sum - sum).abs() < MAP * sum.abs(), "{} {key}: sum", self.name);
        }
    }
}

/// Three convolutions, a global mean and a linear layer.
fn small(mut checkpoint: Checkpoint) -> Network {
    let mut b = Builder::new(3);
    let mut x = Node::INPUT;
    for (layer, inputs, outputs) in [(0, 3, 8), (3, 8, 16), (6, 16, 24)] {
        let spec = ConvSpec::new(inputs, outputs, [3, 3]).padding(1, 1);
        x = b.conv(&mut checkpoint, &format!("features.{layer}"), x, spec, true).unwrap();
        x = b.relu(&format!("features.{}", layer + 1), x);
        if layer < 6 {
            x = b.max_pool(&format!("features.{}", layer + 2), x, PoolSpec::new(2, 2));
        }
    }
    let x = b.step("avgpool", &[x], Op::GlobalAvgPool);
    b.linear(&mut checkpoint, "classifier", x, (24, 10)).unwrap();
    checkpoint.finish().unwrap();
    b.build()
}

#[test]
fn gradients_of_the_small_network_are_those_of_captum() {
    let case = Case::new("small");
    case.check_gradients::<f32>();
    case.check_gradients::<f64>();
}

#[test]
fn gradients_of_alexnet_are_those_of_captum() {
    Case::new("alexnet").check_gradients::<f32>();
}

#[test]
fn gradients_of_resnet18_are_those_of_captum() {
    Case::new("resnet18").check_gradients::<f32>();
}

#[test]
fn gradients_of_vgg11_are_those_of_captum() {
    Case::new("vgg11").check_gradients::<f32>();
}

#[test]
fn relevance_in_the_small_network_is_that_of_zennit() {
    Case::new("small").check_relevance();
}

#[test]
fn relevance_in_alexnet_is_that_of_zennit() {
    Case::new("alexnet").check_relevance();
}

#[test]
fn relevance_in_vgg11_is_that_of_zennit() {
    Case::new("vgg11").check_relevance();
}

#[test]
fn the_class_activation_map_is_that_of_the_formula() {
    let case = Case::new("small");
    let walker = Walker::<f32>::new(case.network.clone());
    case.check("cam", &cam(&walker, &case.image, &case.target).unwrap(), MAP);
}

#[test]
fn occlusion_is_that_of_captum() {
    let case = Case::new("small");
    let node = case.target.node();
    let engine = Engine::new(case.network.clone(), &[node]);
    let score = |batch: &FeatureMap| -> Result<Vec<f64>> {
        let size = (batch.n, batch.shape.h, batch.shape.w);
        case.target.score(&engine.run(&batch.data, size)?[0])
    };
    for (window, stride) in [(5, 3), (8, 4)] {
        let occlusion = Occlusion {
            window: [window; 2],
            stride: [stride; 2],
            batch: 7,
            ..Occlusion::default()
        };
        let map = occlusion.explain(&case.image, score).unwrap();
        let planes = FeatureMap::from_nchw(1, case.image.shape, &map.data.repeat(3)).unwrap();
        case.check(&format!("occlusion_window{window}_stride{stride}_baseline0"), &planes, MAP);
    }
    // A window of the whole image leaves the difference of two forward passes.
    let whole = Occlusion { window: [32, 32], stride: [32, 32], ..Occlusion::default() };
    let map = whole.explain(&case.image, score).unwrap();
    let scores = [&case.image, &case.image.map(|_| 0.0)].map(|image| score(image).unwrap()[0]);
    assert!(map.data.iter().all(|&v| v == (scores[0] - scores[1]) as f32));
    assert_eq!(enlarge(&map, [64, 64]).data[0], map.data[0]);
}

#[test]
fn the_first_filters_of_alexnet_are_its_weights() {
    let case = Case::new("alexnet");
    let filters = ganscope_explain::heat::filters(&case.network).unwrap();
    let expected = &arrays()["alexnet/first_layer_filters"].data;
    assert_eq!(filters.pictures.len(), 64);
    for (filter, weights) in filters.pictures.iter().zip(expected.chunks_exact(3 * 121)) {
        let low = weights.iter().copied().fold(f64::MAX, f64::min);
        let high = weights.iter().copied().fold(f64::MIN, f64::max);
        for (i, &byte) in filter.pixels.iter().enumerate() {
            let weight = weights[i % 3 * 121 + i / 3];
            let error = (f64::from(byte) / 255.0 - (weight - low) / (high - low)).abs();
            assert!(error <= 0.5001 / 255.0, "{error}");
        }
    }
}

#[test]
fn superpixels_of_quickshift_are_those_of_scikit_image() {
    let image = Image::new(48, 40, golden::image(54, 40, 48)).unwrap();
    for (name, expected) in golden::arrays("superpixels.safetensors") {
        let options: Vec<f64> = name.split('_').skip(1).map(|v| v.parse().unwrap()).collect();
        let [kernel, distance, ratio] = options[..] else { panic!("{name}") };
        let parts = Quickshift { kernel, distance, ratio }.segment(&image).unwrap();
        let labels: Vec<usize> = expected.data.iter().map(|&label| label as usize).collect();
        assert_eq!(parts, Superpixels::new(48, 40, &labels), "{name}");
    }
}

#[test]
fn removed_pixels_take_the_values_of_the_noisy_linear_imputer() {
    let (h, w) = (20, 24);
    let bytes = golden::image(55, h, w);
    let pixels = bytes.iter().map(|&byte| (f64::from(byte) / 255.0) as f32).collect();
    let image = FeatureMap::new(1, Shape { c: 3, h, w }, pixels).unwrap();
    let chance = golden::tensor("removed", &[h, w], (0.0, 1.0), 0);
    let cases = golden::arrays("road.safetensors");
    assert_eq!(cases.len(), 4);
    for (name, expected) in cases {
        let removed: Vec<bool> = match name.strip_prefix("share") {
            Some(share) => {
                let share = share.parse::<f32>().unwrap() / 100.0;
                chance.iter().map(|&v| v < share).collect()
            }
            None => (0..h * w).map(|p| p / w >= 3 && (5..20).contains(&(p % w))).collect(),
        };
        let filled = impute(&image, &removed).unwrap();
        let expected: Vec<f64> = expected.f32().into_iter().map(f64::from).collect();
        let error = golden::relative_l2(&filled.to_nchw(), &expected);
        assert!(error < IMPUTED, "{name}: {error:e}");
        // What stood there before has no say.
        let mut spoilt = image.clone();
        for (values, _) in spoilt.data.chunks_exact_mut(3).zip(&removed).filter(|(_, r)| **r) {
            values.fill(7.0);
        }
        let again = impute(&spoilt, &removed).unwrap();
        let filled: Vec<f64> = filled.data.iter().map(|&v| f64::from(v)).collect();
        assert!(golden::relative_l2(&again.data, &filled) < IMPUTED, "{name}");
    }
    assert!(impute(&image, &vec![true; h * w]).is_err() && impute(&image, &[false]).is_err());
}
