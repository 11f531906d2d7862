//! Maps of a small DINOv2 with a layer of classes, against captum, lxt and pytorch-grad-cam.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use ganscope_explain::cam::last_map;
use ganscope_explain::distance::pixel_relevance;
use ganscope_explain::lrp::{AttentionLrp, Composite, Rule};
use ganscope_explain::{
    Error, Evidence, Explainer, Fusion, IntegratedGradients, Method, Occlusion, Prepared,
    Quadrature, Settings, Subject, Target, attention_rollout, grad_cam, gradient, input_x_gradient,
};
use ganscope_golden as golden;
use ganscope_images::Image;
use ganscope_model::network::{
    Builder, ConvSpec, Convolution, Op, Positions, Real, Rectifier, Walker,
};
use ganscope_model::{Checkpoint, Classifier, FeatureMap, Network, Node, Normalization, Shape};
use ganscope_vit::{Config, Vit};
use ganscope_weights::{ReadOptions, read};

/// Float64 on the position embedding that `PyTorch` interpolates in float32, which is golden too; the maps
/// are stored in float32.
const F64: f64 = 1e-6;
/// Rules that divide relevance by values near zero, in float32.
const F32_RULES: f64 = 1e-3;
/// Float32 forward and back.
const F32: f64 = 1e-4;
/// The class of the golden maps.
const CLASS: usize = 3;
/// Relevance that a network without biases may lose.
const CONSERVED: f64 = 1e-4;

fn numbers() -> &'static BTreeMap<String, golden::Array> {
    static NUMBERS: OnceLock<BTreeMap<String, golden::Array>> = OnceLock::new();
    NUMBERS.get_or_init(|| golden::arrays("vit-explain.safetensors"))
}

fn head() -> Checkpoint {
    let bound = (6.0_f64 / 48.0).sqrt();
    let weight = golden::tensor("head.weight", &[10, 48], (-bound, bound), 0);
    let bias = golden::tensor("head.bias", &[10], (-0.1, 0.1), 0);
    let tensors = [("head.weight", (vec![10, 48], weight)), ("head.bias", (vec![10], bias))];
    Checkpoint::from_f32(tensors.map(|(name, t)| (name.to_owned(), t)).into()).unwrap()
}

/// The layer with this weight and bias, and the factors of the branch that it ends, as they are stored.
fn stored(name: &str) -> Option<[Vec<f32>; 3]> {
    let (block, factors) = match name.strip_suffix(".attn.proj") {
        Some(block) => (block, "ls1.gamma"),
        None => (name.strip_suffix(".mlp.fc2")?, "ls2.gamma"),
    };
    let file = golden::data().join("dinov2-tiny.pth");
    let arrays = read(&file, &ReadOptions::default()).unwrap().arrays;
    let names = [format!("{name}.weight"), format!("{name}.bias"), format!("{block}.{factors}")];
    Some(names.map(|name| arrays[&name].to_f32()))
}

/// The small network as the reference computes it: the factors of the branches are steps of their own,
/// named `factors` with a number, and not part of the layers before them; and the position embedding is
/// the golden one, as that of the reference is off by the rounding of its coordinates.
fn network() -> Arc<Network> {
    let network = classifier("dinov2-tiny.pth").network;
    let golden = golden::arrays("dinov2.safetensors").remove("tiny/pos_embed_16x16").unwrap();
    let rows: Vec<f32> = golden.data.iter().map(|&v| v as f32).collect();
    let mut builder = Builder::new(network.in_channels());
    // Where the value of each node is now.
    let mut places = vec![Node::INPUT];
    for step in network.steps() {
        let mut op = step.op.clone();
        if let Op::Tokens(tokens) = &mut op {
            tokens.positions = rows[rows.len() - 16 * 16 * 48..].to_vec();
            (tokens.grid, tokens.resize) = ([16, 16], Positions::Fixed);
        }
        let inputs: Vec<Node> = step.inputs.iter().map(|input| places[input.index()]).collect();
        let factors = stored(&step.name);
        if let (Op::Linear(layer), Some([weight, bias, _])) = (&mut op, &factors) {
            (layer.weight, layer.bias) = (weight.clone(), bias.clone());
        }
        let mut node = builder.step(&step.name, &inputs, op);
        if let Some([.., weight]) = factors {
            let spec = ConvSpec { groups: 48, ..ConvSpec::new(48, 48, [1, 1]) };
            let scale = Convolution { spec, weight, bias: vec![0.0; 48] };
            node = builder.step(&format!("factors{}", places.len()), &[node], Op::Conv(scale));
        }
        places.push(node);
    }
    Arc::new(builder.build())
}

fn classifier(file: &str) -> Classifier {
    let checkpoint = read(&golden::data().join(file), &ReadOptions::default()).unwrap();
    let config = Config::from_json(r#"{"num_heads": 3}"#).unwrap();
    Vit::dinov2_classifier(checkpoint.into(), Some(head()), &config).unwrap()
}

/// Recipe image 70, scaled in the precision of the rest.
fn image<T: Real>() -> FeatureMap<T> {
    let scaling = Normalization::imagenet();
    let decimal = |v: f32| v.to_string().parse::<f64>().unwrap();
    let scale = |(i, x): (usize, u8)| {
        let (mean, std) = (scaling.mean()[i % 3], scaling.std()[i % 3]);
        T::of((f64::from(x) / 255.0 - decimal(mean)) / decimal(std))
    };
    let data = golden::image(70, 224, 224).into_iter().enumerate().map(scale).collect();
    FeatureMap::new(1, Shape { c: 3, h: 224, w: 224 }, data).unwrap()
}

fn values<T: Real>(map: &FeatureMap<T>) -> Vec<f64> {
    map.to_nchw().iter().map(|v| v.to_f64()).collect()
}

fn check(key: &str, actual: &[f64], tolerance: f64) {
    let error = golden::relative_l2(actual, &numbers()[key].data);
    assert!(error < tolerance, "{key}: {error:.2e}");
}

/// Compares a map of the input with its golden crop, sums over patches, sum and length, after
/// multiplication with `factor`.
fn check_map<T: Real>(key: &str, map: &FeatureMap<T>, factor: f64, tolerance: f64) {
    let map: Vec<f64> = values(map).iter().map(|v| v * factor).collect();
    let at = |c: usize, y: usize, x: usize| map[(c * 224 + y) * 224 + x];
    let crop: Vec<f64> =
        (0..3 * 64 * 64).map(|i| at(i / 4096, 80 + i / 64 % 64, 80 + i % 64)).collect();
    let patch = |p: usize| {
        let pixels = (0..3 * 14 * 14).map(|i| (i / 196, i / 14 % 14, i % 14));
        pixels.map(|(c, y, x)| at(c, p / 16 * 14 + y, p % 16 * 14 + x)).sum::<f64>()
    };
    let patches: Vec<f64> = (0..256).map(patch).collect();
    let length = map.iter().map(|v| v * v).sum::<f64>().sqrt();
    check(&format!("{key}/crop80"), &crop, tolerance);
    check(&format!("{key}/patch_sum"), &patches, tolerance);
    check(&format!("{key}/sum_l2"), &[map.iter().sum(), length], tolerance);
}

fn check_all<T: Real>(network: &Arc<Network>, tolerance: f64) {
    let walker = Walker::<T>::new(network.clone());
    let (image, target) = (image::<T>(), Target::class(network, CLASS));
    let trace = walker.run(image.clone()).unwrap();
    check("logits", &values(trace.output()), tolerance);

    let map = gradient(&walker, &image, &target, Rectifier::Gradient).unwrap();
    check_map("gradient", &map, 1.0, tolerance);
    let map = input_x_gradient(&walker, &image, &target).unwrap();
    check_map("input_x_gradient", &map, 1.0, tolerance);
    // Captum's weights of the trapezoid sum to (N - 1) / N.
    for (key, quadrature, steps, factor) in [
        ("gausslegendre_50", Quadrature::GaussLegendre, 50, 1.0),
        ("riemann_middle_32", Quadrature::Middle, 32, 1.0),
        ("riemann_trapezoid_21", Quadrature::Trapezoid, 21, 20.0 / 21.0),
    ] {
        let method = IntegratedGradients { steps, quadrature, baseline: vec![0.0] };
        let map = method.explain(&walker, &image, &target).unwrap();
        check_map(&format!("integrated_gradients_{key}"), &map, factor, tolerance);
    }

    for block in 0..3 {
        let node = network.node(&format!("blocks.{block}.attn")).unwrap();
        let heads = trace.attention_weights(node, 0).unwrap();
        let rows: Vec<f64> = heads.iter().flat_map(|h| &h[..257]).map(|v| v.to_f64()).collect();
        check(&format!("attention/block{block}/cls_row"), &rows, tolerance);
    }
    for fusion in Fusion::ALL {
        let key = format!("attention_rollout_{fusion}/cls_row");
        let map = attention_rollout(&walker, &image, fusion).unwrap();
        assert_eq!((map.shape.h, map.shape.w), (16, 16));
        let error = golden::relative_l2(&values(&map), &numbers()[&key].data[1..]);
        assert!(error < tolerance, "{key}: {error:.2e}");
    }
    let layer = last_map(network, [224, 224]).unwrap();
    assert_eq!(layer, network.node("blocks.2.norm1").unwrap());
    let map = grad_cam(&walker, &image, &target, layer, Evidence::Signed).unwrap();
    check("grad_cam_norm1/raw", &values(&map), tolerance);
}

fn check_relevance<T: Real>(network: &Arc<Network>, tolerance: f64) {
    let walker = Walker::<T>::new(network.clone());
    let (image, target) = (image::<T>(), Target::class(network, CLASS));
    let trace = walker.run(image.clone()).unwrap();
    let tokens = network.node("tokens").unwrap();
    for (key, method) in
        [("attn_lrp", AttentionLrp::attn_lrp()), ("cp_lrp", AttentionLrp::cp_lrp())]
    {
        let found = method.explain(&walker, &image, &target).unwrap();
        check_map(key, &found.map, 1.0, tolerance);
        let logit = target.score(trace.output()).unwrap()[0];
        assert!((found.start - logit).abs() < F64 * logit.abs(), "{key}");
        let seed = target.seed(trace.output()).unwrap();
        let at = method.at(&trace, target.node(), seed, &[tokens]).unwrap().swap_remove(0);
        let sums = at.data.chunks_exact(48).map(|t| t.iter().map(|v| v.to_f64()).sum());
        check(&format!("{key}/tokens_in"), &sums.collect::<Vec<f64>>(), tolerance);
    }
    let scaling = Normalization::imagenet();
    for (key, rules) in [
        ("conv0.25_linear0.05", "conv:gamma=0.25,gamma=0.05"),
        ("conv100_linear0", "conv:gamma=100,gamma=0"),
    ] {
        // Zennit adds 1e-6 to sums; the factors of the branches multiply, and are no layers.
        let factors = network.steps().iter().filter(|step| step.name.starts_with("factors"));
        let parts = factors.map(|step| format!("{}:epsilon=0", step.name));
        let parts: Vec<String> = parts.chain([rules.to_owned()]).collect();
        let rules = Composite::parse(&parts.join(","), &scaling).unwrap();
        let method = AttentionLrp::cp_lrp().with_rules(rules.with_stabilizer(1e-6));
        let found = method.explain(&walker, &image, &target).unwrap();
        let tolerance = if tolerance > F64 { F32_RULES } else { F64 };
        check_map(&format!("cp_lrp_gamma_{key}"), &found.map, 1.0, tolerance);
    }

    // The pixels of a distance, whose gradient with respect to the class token is golden.
    let cls = network.node("cls").unwrap();
    check("fd/cls", &values(trace.value(cls)), tolerance);
    let by_features = &numbers()["fd/gradient_cls"].data;
    let target = Target::direction(cls, by_features);
    let map = gradient(&walker, &image, &target, Rectifier::Gradient).unwrap();
    check_map("fd/gradient", &map, 1.0, tolerance);
    let any = Composite::epsilon_plus_flat();
    let found = pixel_relevance(&walker, &image, cls, by_features, &any).unwrap();
    check_map("fd/attn_lrp", &found.map, 1.0, tolerance);
}

#[test]
fn maps_in_float64_are_those_of_captum_and_pytorch_grad_cam() {
    check_all::<f64>(&network(), F64);
}

#[test]
fn maps_in_float32_are_near() {
    check_all::<f32>(&classifier("dinov2-tiny.pth").network, F32);
}

#[test]
fn relevance_in_float64_is_that_of_lxt() {
    check_relevance::<f64>(&network(), F64);
}

#[test]
fn relevance_in_float32_is_near() {
    check_relevance::<f32>(&classifier("dinov2-tiny.pth").network, F32);
}

/// The same network without biases and shifts.
fn without_bias(network: &Network) -> Arc<Network> {
    let mut builder = Builder::new(network.in_channels());
    for step in network.steps() {
        let mut op = step.op.clone();
        match &mut op {
            Op::Conv(c) | Op::Linear(c) => c.bias.fill(0.0),
            Op::LayerNorm(norm) => norm.shift.fill(0.0),
            _ => {}
        }
        builder.step(&step.name, &step.inputs, op);
    }
    Arc::new(builder.build())
}

#[test]
fn relevance_through_held_attention_is_conserved_without_biases() {
    for file in ["dinov2-tiny.pth", "dinov2-tiny-swiglu.pth", "dinov2-tiny-reg4.pth"] {
        let network = without_bias(&classifier(file).network);
        let walker = Walker::<f64>::new(network.clone());
        let target = Target::class(&network, CLASS);
        let trace = walker.run(image()).unwrap();
        let logit = target.score(trace.output()).unwrap()[0];
        let gammas = Composite::new(Vec::new(), Rule::Gamma(0.25));
        for method in [AttentionLrp::cp_lrp(), AttentionLrp::cp_lrp().with_rules(gammas)] {
            // The class token, registers and position embeddings enter at the tokens.
            let seed = target.seed(trace.output()).unwrap();
            let tokens = network.node("tokens").unwrap();
            let at = method.at(&trace, target.node(), seed, &[tokens]).unwrap();
            let sum: f64 = at[0].data.iter().sum();
            let error = ((sum - logit) / logit).abs();
            assert!(error < CONSERVED, "{file}: {error:.2e}");
        }
    }
}

#[test]
fn networks_without_attention_are_refused() {
    let mut builder = Builder::new(3);
    builder.step("relu", &[Node::INPUT], Op::Relu);
    let network = Arc::new(builder.build());
    let walker = Walker::<f32>::new(network.clone());
    let (image, target) = (image::<f32>(), Target::channel(network.output(), 0));
    let error = AttentionLrp::attn_lrp().explain(&walker, &image, &target).unwrap_err();
    assert!(error.to_string().contains("transformer"), "{error}");
    let error = attention_rollout(&walker, &image, Fusion::Mean).unwrap_err();
    assert!(error.to_string().contains("class token"), "{error}");
    let vit = Walker::<f32>::new(classifier("dinov2-tiny.pth").network);
    let target = Target::class(vit.network(), 0);
    for rule in [Rule::Flat, Rule::WSquare] {
        let method = AttentionLrp::cp_lrp().with_rules(rule.into());
        assert!(method.explain(&vit, &image, &target).is_err());
    }
}

#[test]
fn every_other_method_and_the_measures_apply_unchanged() {
    let explainer = Explainer::new(classifier("dinov2-tiny.pth"));
    let picture = Image::new(224, 224, golden::image(70, 224, 224)).unwrap();
    let prepared: Prepared = explainer.prepare(&picture).unwrap();
    let target = Target::class(&explainer.classifier().network, CLASS);
    let mut settings = Settings::default();
    settings.smooth_grad.samples = 3;
    settings.integrated_gradients.steps = 4;
    settings.occlusion = Occlusion { window: [56; 2], stride: [56; 2], ..Occlusion::default() };
    settings.lime.samples = 12;
    let subject = Subject {
        explainer: &explainer,
        image: prepared,
        target,
        class: CLASS,
        against: None,
        baseline: &[0.0; 3],
    };
    for method in [
        Method::Gradient,
        Method::SmoothGrad,
        Method::InputXGradient,
        Method::IntegratedGradients,
        Method::Occlusion,
        Method::Lime,
        Method::GradCam,
        Method::AttentionRollout,
        Method::AttnLrp,
        Method::CpLrp,
    ] {
        let found = subject.explain(method, &settings).unwrap();
        assert!(found.map.data.iter().all(|v| v.is_finite()), "{method}");
        assert!(found.map.data.iter().any(|&v| v != 0.0), "{method}");
        if method == Method::AttnLrp {
            let measures = subject.measure(method, &found.map, &settings).unwrap();
            let shares = [measures.positivity, measures.deletion, measures.road];
            assert!(shares.iter().all(|v| (0.0..=1.0).contains(v)), "{measures:?}");
        }
    }
    for method in [Method::GuidedBackprop, Method::Deconvnet, Method::Cam, Method::Lrp] {
        assert!(subject.explain(method, &settings).is_err(), "{method}");
    }
    settings.rise.masks = 4;
    settings.shapley.samples = 8;
    settings.gradient_shap.samples = 2;
    for method in Method::ALL {
        let refused = match subject.explain(method, &settings) {
            // So few samples leave a gap in any network.
            Ok(_) | Err(Error::Gap { .. }) => None,
            Err(error) => Some(error),
        };
        assert_eq!(explainer.suits(method), refused.is_none(), "{method}: {refused:?}");
    }
}
