//! Methods on a trained network: what deletion says of their maps, and what becomes of them when
//! the network forgets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ganscope_explain::cam::enlarge;
use ganscope_explain::measure::{Curve, Selectivity, area, elsewhere};
use ganscope_explain::randomization::{Randomization, rank_correlation};
use ganscope_explain::road::Road;
use ganscope_explain::{
    Biases, Composite, Explainer, Fill, Lime, Method, Occlusion, Prepared, Settings, Subject,
    Target, faint_noise, input_range,
};
use ganscope_golden as golden;
use ganscope_model::network::{Builder, Description};
use ganscope_model::{Checkpoint, Classifier, FeatureMap, Op, Shape};
use ganscope_stats::random::RandomState;
use ganscope_weights::{ReadOptions, read};

/// Network input of the black that surrounds every picture of Fashion-MNIST.
const BLACK: f32 = -1.0;
/// A method that claims relevance lowers the probability of the class at least this much faster
/// than a random order, as a share of the area: half of what the weakest is known to do.
const FASTER: f64 = 0.1;
/// Random orders that chance is the mean of.
const ORDERS: u32 = 3;
/// Places of a map that chance is the mean of.
const PLACES: usize = 4;
/// Rank correlation below which two maps are no longer alike; that of unchanged maps is 1, that of
/// unrelated ones 0 but for what both owe to the picture.
const FORGOTTEN: f64 = 0.4;
/// Rank correlation above which they still are.
const REMEMBERED: f64 = 0.6;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

fn classifier() -> Classifier {
    let weights = read(&models().join("fashion-cnn.safetensors"), &ReadOptions::default()).unwrap();
    let checkpoint = Checkpoint::from(weights);
    let description = Description::from_config(checkpoint.config()).unwrap();
    description.classifier("fashion-cnn", checkpoint).unwrap()
}

/// The first picture of each class, as the network sees it.
fn samples(explainer: &Explainer) -> Vec<Prepared> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(models().join("samples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with("-0.png"))
        .collect();
    files.sort();
    let prepare = |path: &PathBuf| {
        let image = ganscope_images::decode(&std::fs::read(path).unwrap(), "sample").unwrap().image;
        explainer.prepare(&image).unwrap()
    };
    files.iter().map(prepare).collect()
}

fn settings() -> Settings {
    let mut settings = Settings {
        occlusion: Occlusion { window: [4; 2], stride: [2; 2], baseline: vec![BLACK], batch: 16 },
        lime: Lime { samples: 300, fill: Fill::Value(vec![BLACK]), ..Lime::default() },
        ..Settings::default()
    };
    settings.integrated_gradients.baseline = vec![BLACK.into()];
    settings.smooth_grad.samples = 10;
    settings.rise.masks = 400;
    settings.rise.baseline = vec![BLACK];
    settings.shapley.samples = 300;
    settings.shapley.fill = Fill::Value(vec![BLACK]);
    settings.gradient_shap.baselines = vec![vec![BLACK.into()]];
    settings
}

fn best(explainer: &Explainer, input: &FeatureMap) -> usize {
    let all = explainer.probabilities(input).unwrap().swap_remove(0);
    (0..all.len()).max_by(|&a, &b| all[a].total_cmp(&all[b])).unwrap()
}

/// Mean probability of the best class while patches become nothing, the most relevant first.
fn deletion(explainer: &Explainer, image: &FeatureMap, map: &FeatureMap, nothing: f32) -> f64 {
    let class = best(explainer, image);
    let score = |x: &FeatureMap| {
        Ok(explainer.probabilities(x)?.into_iter().map(|all| all[class]).collect())
    };
    let selectivity = Selectivity { curve: Curve::Deletion, patch: 2, steps: 32, batch: 11 };
    let nothing = image.map(|_| nothing);
    area(&selectivity.measure(image, &nothing, map, score).unwrap())
}

fn noise(seed: u32, shape: Shape) -> FeatureMap {
    let mut random = RandomState::new(seed);
    let shape = Shape { c: 1, ..shape };
    let data = (0..shape.len()).map(|_| random.uniform() as f32).collect();
    FeatureMap::new(1, shape, data).unwrap()
}

/// The network input that a method takes for nothing.
fn nothing_of(method: Method) -> f32 {
    // The product with the image is nothing where the input is zero, which is gray.
    if method == Method::InputXGradient { 0.0 } else { BLACK }
}

/// Mean probability of the best class while pixels take the values of their neighbors, the most
/// relevant first.
fn road(explainer: &Explainer, image: &FeatureMap, map: &FeatureMap) -> f64 {
    let class = best(explainer, image);
    let score = |x: &FeatureMap| {
        Ok(explainer.probabilities(x)?.into_iter().map(|all| all[class]).collect())
    };
    let scores = Road::default().measure(image, map, score).unwrap();
    scores.iter().sum::<f64>() / scores.len() as f64
}

#[test]
fn what_claims_relevance_is_missed_before_anything_else() {
    let explainer = Explainer::new(classifier());
    let (samples, settings) = (samples(&explainer), settings());
    assert_eq!(samples.len(), 10);
    let mut random = RandomState::new(0);
    let in_random_order = |measure: &dyn Fn(&FeatureMap, &FeatureMap) -> f64| {
        let area = |(seed, sample): (u32, &Prepared)| {
            measure(&sample.input, &noise(seed, sample.input.shape))
        };
        let areas = (0..ORDERS).flat_map(|seed| samples.iter().map(move |s| (seed, s))).map(area);
        areas.sum::<f64>() / (ORDERS as usize * samples.len()) as f64
    };
    let orders = [BLACK, 0.0].map(|nothing| {
        (nothing, in_random_order(&|image, map| deletion(&explainer, image, map, nothing)))
    });
    let road_order = in_random_order(&|image, map| road(&explainer, image, map));
    println!(
        "{:22} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9}",
        "method", "nothing", "deletion", "order", "ROAD", "order", "elsewhere"
    );
    for method in Method::ALL.into_iter().filter(|method| !method.needs_attention()) {
        let nothing = nothing_of(method);
        let (mut deleted, mut removed, mut chance) = (0.0, 0.0, 0.0);
        for sample in &samples {
            let class = best(&explainer, &sample.input);
            let target = Target::class(&explainer.classifier().network, class);
            let map = explainer.explain(method, sample, &target, &settings).unwrap().map;
            let Shape { h, w, .. } = sample.input.shape;
            let map = enlarge(&map, [h, w]);
            deleted += deletion(&explainer, &sample.input, &map, nothing);
            removed += road(&explainer, &sample.input, &map);
            for _ in 0..PLACES {
                let moved = elsewhere(&map, &mut random);
                chance += road(&explainer, &sample.input, &moved) / PLACES as f64;
            }
        }
        let means = [deleted, removed, chance].map(|sum| sum / samples.len() as f64);
        let [deleted, removed, chance] = means;
        let (_, order) = orders.into_iter().find(|(n, _)| *n == nothing).unwrap();
        println!(
            "{method:22} {nothing:8} {deleted:8.4} {order:8.4} {removed:8.4} {road_order:8.4} {chance:9.4}"
        );
        if method.claims_relevance() {
            for (own, other) in [(deleted, order), (removed, road_order), (removed, chance)] {
                assert!(own < (1.0 - FASTER) * other, "{method}: {own:.3}, at random {other:.3}");
            }
        }
    }
}

/// The network with weights of the last convolution and of the classifier drawn anew, as large as
/// they were.
fn forgetful(classifier: &Classifier) -> Classifier {
    let mut builder = Builder::new(classifier.network.in_channels());
    for step in classifier.network.steps() {
        let mut op = step.op.clone();
        if let (Op::Conv(c) | Op::Linear(c), "features.14" | "classifier") =
            (&mut op, step.name.as_str())
        {
            let square: f32 = c.weight.iter().map(|w| w * w).sum();
            let end = f64::from(3.0 * square / c.weight.len() as f32).sqrt();
            c.weight = golden::tensor(&step.name, &[c.weight.len()], (-end, end), 1);
        }
        builder.step(&step.name, &step.inputs, op);
    }
    Classifier { network: Arc::new(builder.build()), ..classifier.clone() }
}

#[test]
fn maps_change_when_the_upper_layers_forget_but_for_those_known_not_to() {
    let trained = Explainer::new(classifier());
    let forgetful = Explainer::new(forgetful(trained.classifier()));
    let samples = samples(&trained);
    let likeness_of = |method: Method, rule: &str| {
        let normalization = &trained.classifier().normalization;
        // As published.
        let composite = Composite::parse(rule, normalization).unwrap().with_biases(Biases::Keep);
        let settings = Settings { composite, ..settings() };
        let one = |s: &Prepared| {
            let target = Target::class(&trained.classifier().network, best(&trained, &s.input));
            let map = |of: &Explainer| of.explain(method, s, &target, &settings).unwrap().map;
            rank_correlation(&map(&trained), &map(&forgetful))
        };
        samples.iter().map(one).sum::<f64>() / samples.len() as f64
    };
    for method in Method::ALL.into_iter().filter(|method| !method.needs_attention()) {
        let value = likeness_of(method, "epsilon");
        println!("{method:22} {value:6.3}");
        if !method.ignores_upper_layers() {
            assert!(value < FORGOTTEN, "{method}: {value:.3}");
        }
    }
    let z_plus = likeness_of(Method::Lrp, "epsilon-plus-flat");
    println!("{:22} {z_plus:6.3}", "lrp, z+");
    let guided = likeness_of(Method::GuidedBackprop, "epsilon");
    assert!(z_plus > REMEMBERED && guided > REMEMBERED, "{z_plus:.3} {guided:.3}");
}

#[test]
fn randomization_leaves_guided_backprop_as_it_is_and_changes_gradients() {
    let explainer = Explainer::new(classifier());
    let (samples, settings) = (samples(&explainer), settings());
    let curve = |method: Method| -> Vec<f64> {
        let mut means = Vec::new();
        for image in &samples {
            let class = best(&explainer, &image.input);
            let target = Target::class(&explainer.classifier().network, class);
            let subject = Subject {
                explainer: &explainer,
                image: image.clone(),
                target,
                class,
                against: None,
                baseline: &[BLACK; 3],
            };
            let map = subject.explain(method, &settings).unwrap().map;
            let curve = Randomization::default().curve(&subject, method, &map, &settings).unwrap();
            means.resize(curve.len(), 0.0);
            for (mean, point) in means.iter_mut().zip(&curve) {
                *mean += point.likeness / samples.len() as f64;
            }
        }
        means
    };
    let [guided, gradient] = [Method::GuidedBackprop, Method::Gradient].map(curve);
    println!("guided backprop {guided:.3?}\ngradient {gradient:.3?}");
    assert!((guided[0] - 1.0).abs() < 1e-9 && (gradient[0] - 1.0).abs() < 1e-9);
    // Flat while the upper two thirds of the layers forget; falling at once.
    let upper = &guided[1..=(guided.len() - 1) * 2 / 3];
    assert!(upper.iter().all(|&v| v > REMEMBERED), "{guided:?}");
    assert!(gradient[1] < FORGOTTEN, "{gradient:?}");
    assert!(gradient[1..].iter().zip(&guided[1..]).all(|(g, b)| g < b), "{gradient:?}");
    assert!(gradient.last().unwrap() < &FORGOTTEN, "{gradient:?}");
}

#[test]
fn an_input_becomes_the_picture_that_it_was() {
    let explainer = Explainer::new(classifier());
    let image = ganscope_images::Image::new(32, 32, golden::image(5, 32, 32)).unwrap();
    let prepared = explainer.prepare(&image).unwrap();
    assert_eq!(prepared.picture, image);
    assert_eq!(explainer.picture(&prepared.input), image);
}

#[test]
fn an_ascent_starts_from_faint_noise_within_the_range_of_pixels() {
    let classifier = classifier();
    assert_eq!(input_range(&classifier), [-1.0, 1.0]);
    let noise = faint_noise(&classifier, 7).unwrap();
    let mut random = RandomState::new(7);
    for &value in &noise.data {
        assert_eq!(value, (0.1 * random.standard_normal()) as f32);
    }
    assert_eq!(noise.shape, Shape { c: 3, h: 32, w: 32 });
}
