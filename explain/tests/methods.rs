//! What each method promises, on networks whose answer is known.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use ganscope_explain::measure::{Curve, Selectivity, area, continuity, elsewhere, positivity};
use ganscope_explain::road::{Road, impute};
use ganscope_explain::{
    Evidence, Fill, IntegratedGradients, Lime, Maximization, Occlusion, Result, SmoothGrad,
    Superpixels, Target, cam, grad_cam, gradient,
};
use ganscope_golden as golden;
use ganscope_model::network::{Builder, ConvSpec, Convolution, PoolSpec, Rectifier, Walker};
use ganscope_model::{FeatureMap, Network, Node, Op, Shape};
use ganscope_stats::random::RandomState;

const SHAPE: Shape = Shape { c: 2, h: 8, w: 8 };

fn random(name: &str, n: usize) -> Vec<f32> {
    golden::tensor(name, &[n], (-1.0, 1.0), 0)
}

fn image() -> FeatureMap {
    FeatureMap::new(1, SHAPE, random("image", SHAPE.len())).unwrap()
}

fn convolution(name: &str, spec: ConvSpec) -> Convolution {
    let weight = random(name, spec.weight_len());
    Convolution { spec, weight, bias: random("bias", spec.out_channels) }
}

/// Two convolutions, a global mean, and three classes.
fn network() -> Arc<Network> {
    let mut b = Builder::new(2);
    let first = ConvSpec::new(2, 8, [3, 3]).padding(1, 1);
    let x = b.step("conv1", &[Node::INPUT], Op::Conv(convolution("conv1", first)));
    let x = b.relu("relu1", x);
    let x = b.max_pool("pool", x, PoolSpec::new(2, 2));
    let second = ConvSpec::new(8, 6, [3, 3]).padding(1, 1);
    let x = b.step("conv2", &[x], Op::Conv(convolution("conv2", second)));
    let x = b.relu("relu2", x);
    let x = b.step("mean", &[x], Op::GlobalAvgPool);
    b.step("fc", &[x], Op::Linear(convolution("fc", ConvSpec::new(6, 3, [1, 1]))));
    Arc::new(b.build())
}

/// One weight a pixel and channel.
fn linear() -> (Arc<Network>, Vec<f32>) {
    let mut b = Builder::new(2);
    let conv = convolution("linear", ConvSpec::new(2, 1, [8, 8]));
    let planes = FeatureMap::from_nchw(1, SHAPE, &conv.weight).unwrap();
    b.step("linear", &[Node::INPUT], Op::Conv(conv));
    (Arc::new(b.build()), planes.data)
}

fn score(network: &Arc<Network>, target: &Target) -> impl Fn(&FeatureMap) -> Result<Vec<f64>> {
    let walker = Walker::<f32>::new(network.clone());
    let target = target.clone();
    move |batch| target.score(walker.run(batch.clone())?.value(target.node()))
}

#[test]
fn integrated_gradients_are_complete() {
    let network = network();
    let walker = Walker::<f64>::new(network.clone());
    let image = image().map(f64::from);
    for (target, baseline) in [
        (Target::class(&network, 1), vec![0.0]),
        (Target::contrast(&network, 0, 2), vec![-1.0, 0.5]),
    ] {
        let method = IntegratedGradients { baseline, ..IntegratedGradients::default() };
        let map = method.explain(&walker, &image, &target).unwrap();
        let at =
            |x: &FeatureMap<f64>| target.score(walker.run(x.clone()).unwrap().output()).unwrap()[0];
        let difference = at(&image) - at(&method.baseline_of(&image));
        let sum: f64 = map.data.iter().sum();
        assert!((sum - difference).abs() < 0.01 * difference.abs(), "{sum} for {difference}");
    }
}

#[test]
fn smoothgrad_of_a_linear_network_is_its_weight() {
    let (network, weight) = linear();
    let walker = Walker::<f32>::new(network.clone());
    let target = Target::class(&network, 0);
    let method = SmoothGrad { samples: 7, ..SmoothGrad::PAPER };
    let map = method.explain(&walker, &image(), &target).unwrap();
    assert!(map.data.iter().zip(&weight).all(|(a, b)| (a - b).abs() < 1e-6));
    // In a rectified network the noise changes the map, the seed decides how.
    let network = self::network();
    let walker = Walker::<f32>::new(network.clone());
    let target = Target::class(&network, 0);
    let of = |seed, noise| {
        SmoothGrad { samples: 3, seed, noise }.explain(&walker, &image(), &target).unwrap()
    };
    assert_eq!(of(1, 0.5), of(1, 0.5));
    assert_ne!(of(1, 0.5), of(2, 0.5));
    let plain = gradient(&walker, &image(), &target, Rectifier::Gradient).unwrap();
    assert!(of(1, 0.0).data.iter().zip(&plain.data).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn a_class_activation_map_averages_to_the_logit_less_the_bias() {
    let network = network();
    let walker = Walker::<f64>::new(network.clone());
    let image = image().map(f64::from);
    let target = Target::class(&network, 2);
    let map = cam(&walker, &image, &target).unwrap();
    let mean = map.data.iter().sum::<f64>() / map.data.len() as f64;
    let logit = target.score(walker.run(image.clone()).unwrap().output()).unwrap()[0];
    assert!((mean + f64::from(random("bias", 3)[2]) - logit).abs() < 1e-12);
    // Where the head is a mean and a linear layer, Grad-CAM is CAM up to the number of pixels.
    let layer = network.node("relu2").unwrap();
    let signed = grad_cam(&walker, &image, &target, layer, Evidence::Signed).unwrap();
    for (grad_cam, cam) in signed.data.iter().zip(&map.data) {
        assert!((grad_cam * 16.0 - cam).abs() < 1e-12);
    }
    let (other, _) = linear();
    let refused = cam(&Walker::<f64>::new(other.clone()), &image, &Target::class(&other, 0));
    assert!(refused.unwrap_err().to_string().starts_with("CAM needs"));
}

#[test]
fn a_class_that_there_is_not_is_an_error() {
    let network = network();
    let walker = Walker::<f32>::new(network.clone());
    let target = Target::class(&network, 3);
    let error = gradient(&walker, &image(), &target, Rectifier::Gradient).unwrap_err();
    assert_eq!(error.to_string(), "no class 3 among 3");
}

#[test]
fn occlusion_of_a_linear_network_is_the_part_of_the_window() {
    let (network, weight) = linear();
    let target = Target::class(&network, 0);
    let image = image();
    let method = Occlusion { window: [3, 2], stride: [3, 2], batch: 4, ..Occlusion::default() };
    let map = method.explain(&image, score(&network, &target)).unwrap();
    for (pixel, &got) in map.data.iter().enumerate() {
        let (top, left) = (pixel / 8 / 3 * 3, pixel % 8 / 2 * 2);
        let inside = (top..(top + 3).min(8)).flat_map(|y| (left..left + 2).map(move |x| y * 8 + x));
        let expected: f32 = inside
            .map(|p| (0..2).map(|c| weight[2 * p + c] * image.data[2 * p + c]).sum::<f32>())
            .sum();
        assert!((got - expected).abs() < 1e-5, "{pixel}: {got} instead of {expected}");
    }
    let gaps = Occlusion { window: [2, 2], stride: [3, 2], ..Occlusion::default() };
    assert!(gaps.explain(&image, score(&network, &target)).is_err());
}

#[test]
fn lime_recovers_a_linear_model() {
    let (network, weight) = linear();
    let target = Target::class(&network, 0);
    let image = image();
    let parts = Superpixels::squares(8, 8, 2).unwrap();
    let fill = Fill::Value(vec![0.0]);
    let method = Lime { ridge: 1e-3, fill, ..Lime::default() };
    let model = method.explain(&image, &parts, score(&network, &target)).unwrap();
    let mut expected = vec![0.0; parts.count];
    for (i, (w, v)) in weight.iter().zip(&image.data).enumerate() {
        expected[parts.labels[i / 2]] += f64::from(w * v);
    }
    assert_eq!(model.weights.len(), parts.count);
    for &(part, got) in &model.weights {
        assert!((got - expected[part]).abs() < 1e-3, "{part}: {got} for {}", expected[part]);
    }
    assert!((model.intercept - f64::from(random("bias", 1)[0])).abs() < 1e-3);
    assert!(model.r_squared > 0.999);
    // The few largest weights stay in front.
    let few = Lime { features: Some(3), ..method.clone() };
    let few = few.explain(&image, &parts, score(&network, &target)).unwrap();
    let numbers =
        |m: &[(usize, f64)]| m.iter().map(|w| w.0).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(numbers(&few.weights), numbers(&model.weights[..3]));
    let other = Superpixels::squares(8, 4, 2).unwrap();
    assert!(method.explain(&image, &other, score(&network, &target)).is_err());
}

#[test]
fn deleting_what_matters_lowers_the_score_fastest() {
    let (network, weight) = linear();
    let target = Target::class(&network, 0);
    let image = image();
    let products = weight.iter().zip(&image.data).map(|(w, v)| w * v);
    let relevance = FeatureMap::new(1, SHAPE, products.collect()).unwrap();
    let baseline = image.map(|_| 0.0);
    let of = |map: &FeatureMap, curve| {
        let selectivity = Selectivity { curve, patch: 1, steps: 64, batch: 7 };
        selectivity.measure(&image, &baseline, map, score(&network, &target)).unwrap()
    };
    let best = of(&relevance, Curve::Deletion);
    let worst = of(&relevance.map(|v| -v), Curve::Deletion);
    let shuffled = FeatureMap::new(1, SHAPE, random("shuffled", SHAPE.len())).unwrap();
    let random = of(&shuffled, Curve::Deletion);
    assert!(area(&best) < area(&random) && area(&random) < area(&worst));
    let back = of(&relevance, Curve::Insertion);
    assert!((back[0] - best[64]).abs() < 1e-5 && (back[64] - best[0]).abs() < 1e-5);
    assert!(area(&back) > area(&of(&shuffled, Curve::Insertion)));
    // Patches of two pixels a side, the last of which removes all.
    let patches = Selectivity { curve: Curve::Deletion, patch: 2, steps: 16, batch: 1 };
    let curve = patches.measure(&image, &baseline, &relevance, score(&network, &target)).unwrap();
    assert!((curve[16] - best[64]).abs() < 1e-5 && curve.len() == 17);
    let parts = |patch: usize| -> f32 {
        let pixels = (0..4).map(|i| (patch / 4 * 2 + i / 2) * 8 + patch % 4 * 2 + i % 2);
        pixels.map(|p| relevance.data[2 * p] + relevance.data[2 * p + 1]).sum()
    };
    let largest = (0..16).map(parts).fold(f32::MIN, f32::max);
    assert!((curve[0] - curve[1] - f64::from(largest)).abs() < 1e-5);
    let steps = Selectivity { steps: 17, ..patches };
    let steps = steps.measure(&image, &baseline, &relevance, |_| Ok(vec![0.0]));
    assert!(steps.is_err());
}

#[test]
fn the_most_relevant_pixels_leave_first_and_no_other_changes() {
    let relevance = FeatureMap::new(1, Shape { c: 1, ..SHAPE }, random("map", 64)).unwrap();
    let mut order: Vec<usize> = (0..64).collect();
    order.sort_by(|&a, &b| relevance.data[b].total_cmp(&relevance.data[a]));
    let (image, road) = (image(), Road::default());
    let mut seen = Vec::new();
    let scores = road.measure(&image, &relevance, |batch| {
        for (share, one) in batch.data.chunks_exact(SHAPE.len()).enumerate() {
            let count = [6, 13, 19, 26, 32, 38, 45, 51, 58][share];
            for (i, &pixel) in order.iter().enumerate() {
                let values = 2 * pixel..2 * pixel + 2;
                let same = one[values.clone()] == image.data[values];
                assert_eq!(same, i >= count, "share {share}, pixel {pixel}");
            }
            seen.push(one.to_vec());
        }
        Ok((0..batch.n).map(|i| i as f64).collect())
    });
    assert_eq!(scores.unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    // The noise has a seed.
    let other = |seed: u32| {
        let mut data = Vec::new();
        let road = Road { seed, ..road.clone() };
        let score = |batch: &FeatureMap| {
            data.clone_from(&batch.data);
            Ok(vec![0.0; batch.n])
        };
        road.measure(&image, &relevance, score).unwrap();
        data
    };
    assert!(other(0) == seen.concat() && other(1) != other(0));
}

#[test]
fn a_large_hole_in_a_ramp_is_filled_with_the_ramp() {
    // The mean of the neighbors of any place on a plane is its own height.
    let (h, w) = (90, 120);
    let plane = |i: usize| [0.01 * (i % w) as f32 - 0.5, 0.02 * (i / w) as f32 + 0.3];
    let ramp: Vec<f32> = (0..h * w).flat_map(plane).collect();
    let ramp = FeatureMap::new(1, Shape { c: 2, h, w }, ramp).unwrap();
    let inside = |i: usize| (1..h - 1).contains(&(i / w)) && (1..w - 1).contains(&(i % w));
    let removed: Vec<bool> = (0..h * w).map(inside).collect();
    let mut spoilt = ramp.clone();
    for (values, _) in spoilt.data.chunks_exact_mut(2).zip(&removed).filter(|(_, r)| **r) {
        values.fill(-3.0);
    }
    let filled = impute(&spoilt, &removed).unwrap();
    let errors = filled.data.iter().zip(&ramp.data).map(|(a, b)| (a - b).abs());
    assert!(errors.fold(0.0, f32::max) < 1e-4);
    spoilt.data[0] = f32::NAN;
    assert!(impute(&spoilt, &removed).is_err());
}

#[test]
fn a_removal_that_cannot_be_measured_is_refused() {
    let (image, map) = (image(), FeatureMap::new(1, SHAPE, random("map", SHAPE.len())).unwrap());
    let fail = |road: Road, map: &FeatureMap| {
        road.measure(&image, map, |_| unreachable!()).unwrap_err().to_string()
    };
    let of = |shares: &[f64]| fail(Road { shares: shares.to_vec(), ..Road::default() }, &map);
    for shares in [&[0.5, 0.4][..], &[1.0], &[0.0], &[0.999], &[], &[f64::NAN]] {
        assert!(of(shares).contains("growing, above 0 and below 1"), "{shares:?}");
    }
    for noise in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(fail(Road { noise, ..Road::default() }, &map).contains("the noise"));
    }
    let small = FeatureMap::new(1, Shape { c: 1, h: 4, w: 8 }, vec![0.0; 32]).unwrap();
    let told = fail(Road::default(), &small);
    assert_eq!(told, "height and width of the relevance: expected 8 x 8, got 4 x 8");
}

#[test]
fn a_map_elsewhere_keeps_its_values_and_neighbors() {
    let shape = Shape { c: 2, h: 3, w: 4 };
    let map = FeatureMap::new(1, shape, (0..24).map(|v| v as f32).collect()).unwrap();
    let mut random = RandomState::new(0);
    let mut places = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        let moved = elsewhere(&map, &mut random);
        let at = |y: usize, x: usize| moved.data[2 * ((y % 3) * 4 + x % 4)];
        let pixel = |y, x| (at(y, x) as usize / 2 / 4, at(y, x) as usize / 2 % 4);
        let (y, x) = pixel(0, 0);
        // Steps between neighbors are one pixel forth or back, everywhere the same.
        let down = (pixel(1, 0).0 + 3 - y) % 3;
        let right = (pixel(0, 1).1 + 4 - x) % 4;
        assert!([1, 2].contains(&down) && [1, 3].contains(&right));
        for (i, j) in (0..3).flat_map(|i| (0..4).map(move |j| (i, j))) {
            assert_eq!(pixel(i, j), ((y + i * down) % 3, (x + j * right) % 4));
            assert_eq!(moved.data[2 * (i * 4 + j) + 1], at(i, j) + 1.0, "channels stay together");
        }
        places.insert((y, x, down, right));
    }
    assert_eq!(places.len(), 3 * 4 * 2 * 2);
}

#[test]
fn measures_of_known_maps() {
    let map = FeatureMap::new(1, Shape { c: 1, h: 1, w: 3 }, vec![3.0_f32, -1.0, 0.0]).unwrap();
    assert_eq!(positivity(&map), 0.75);
    assert_eq!(area(&[1.0, 0.0, 0.0]), 0.25);
    // The explanation of a linear network by its gradient does not move with the image.
    let (network, _) = linear();
    let walker = Walker::<f32>::new(network.clone());
    let target = Target::class(&network, 0);
    let still = |x: &FeatureMap| gradient(&walker, x, &target, Rectifier::Gradient);
    assert_eq!(continuity(&image(), 0.1, 3, 0, still).unwrap(), 0.0);
    // Twice the image changes by twice the distance, in the other norm.
    let twice = |x: &FeatureMap| Ok(x.map(|v| 2.0 * v));
    let change = continuity(&image(), 0.1, 3, 0, twice).unwrap();
    assert!(change > 2.0 && change <= 2.0 * (SHAPE.len() as f64).sqrt() + 1e-3, "{change}");
}

#[test]
fn the_ascent_finds_the_maximum_of_a_linear_network() {
    let (network, weight) = linear();
    let walker = Walker::<f32>::new(network.clone());
    let target = Target::class(&network, 0);
    // Within a box a linear function is largest where every value has the sign of its weight.
    let method = Maximization {
        steps: 4000,
        rate: 0.02,
        decay: 0.0,
        jitter: 0,
        range: [-1.0, 1.0],
        ..Maximization::default()
    };
    let best = method.explain(&walker, FeatureMap::filled(1, SHAPE, 0.0), &target).unwrap();
    let clear = weight.iter().zip(&best.data).filter(|(w, _)| w.abs() > 0.05);
    clear.for_each(|(w, v)| assert_eq!(*v, w.signum()));
    // With a penalty it stops at `weight / (2 decay)`.
    let penalized = Maximization { decay: 2.0, steps: 2000, rate: 1e-3, ..method };
    let start = FeatureMap::filled(1, SHAPE, 0.0);
    let found = penalized.explain(&walker, start.clone(), &target).unwrap();
    for (w, v) in weight.iter().zip(&found.data) {
        assert!((v - w / 4.0).abs() < 5e-3, "{v} instead of {}", w / 4.0);
    }
    // A total variation makes it smoother, and so does a blur.
    let roughness =
        |x: &FeatureMap| -> f32 { x.data.windows(3).map(|w| (w[2] - w[0]).powi(2)).sum() };
    let smooth = Maximization { variation: 5.0, ..penalized };
    let blurred = Maximization { blur: 1.0, steps: 200, ..penalized };
    for other in [smooth, blurred] {
        let smoother = other.explain(&walker, start.clone(), &target).unwrap();
        assert!(roughness(&smoother) < 0.5 * roughness(&found));
    }
    assert!(Maximization { rate: -1.0, ..method }.explain(&walker, start, &target).is_err());
}
