//! Methods that ask about many changed images: Shapley values against all orders, RISE against its
//! formula and its own repetitions, and gradient SHAP against what it shares out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use ganscope_explain::{
    Additivity, Fill, GradientShap, Rise, Shapley, ShapleyEstimate, Superpixels, Target,
};
use ganscope_golden as golden;
use ganscope_model::network::{Builder, ConvSpec, Convolution, Walker};
use ganscope_model::{FeatureMap, Node, Op, Shape};

/// Rounding of sums in float64.
const F64: f64 = 1e-9;
/// Shapley values sum to the difference of the answers.
const SUM: f64 = 1e-6;
/// Standard errors beyond which no estimate lies, of a few hundred.
const ERRORS: f64 = 5.0;

const PARTS: usize = 6;

/// An answer to an image of six pixels that no sum of parts is.
fn answer(pixels: &[f32]) -> f64 {
    let v: Vec<f64> = pixels.iter().map(|&v| v.into()).collect();
    v[0] * v[1] + 2.0 * v[2] - v[3] * v[4] * v[5] + (v[0] + v[5]).tanh()
}

#[expect(clippy::unnecessary_wraps, reason = "scores may fail")]
fn answers(batch: &FeatureMap) -> ganscope_explain::Result<Vec<f64>> {
    Ok((0..batch.n).map(|i| answer(batch.image(i))).collect())
}

fn pixels() -> (FeatureMap, Superpixels) {
    let values = vec![0.9, -1.2, 0.5, 1.5, -0.7, 1.1];
    let image = FeatureMap::new(1, Shape { c: 1, h: 1, w: PARTS }, values).unwrap();
    (image, Superpixels::squares(PARTS, 1, 1).unwrap())
}

/// The mean over all 720 orders of what each part adds.
fn by_all_orders(image: &FeatureMap) -> Vec<f64> {
    fn visit(order: &mut Vec<usize>, image: &[f32], sums: &mut [f64], count: &mut f64) {
        if order.len() == PARTS {
            let mut now = vec![0.0_f32; PARTS];
            let mut before = answer(&now);
            for &part in order.iter() {
                now[part] = image[part];
                let after = answer(&now);
                sums[part] += after - before;
                before = after;
            }
            *count += 1.0;
            return;
        }
        for part in 0..PARTS {
            if !order.contains(&part) {
                order.push(part);
                visit(order, image, sums, count);
                order.pop();
            }
        }
    }
    let (mut sums, mut count) = (vec![0.0; PARTS], 0.0);
    visit(&mut Vec::new(), &image.data, &mut sums, &mut count);
    assert_eq!(count, 720.0);
    sums.iter().map(|sum| sum / count).collect()
}

fn shapley(estimate: ShapleyEstimate, samples: usize) -> Shapley {
    Shapley { estimate, samples, fill: Fill::Value(vec![0.0]), seed: 3, batch: 7 }
}

#[test]
fn kernel_shap_with_all_sets_is_the_mean_over_all_orders() {
    let (image, parts) = pixels();
    let expected = by_all_orders(&image);
    let found = shapley(ShapleyEstimate::Kernel, 62).explain(&image, &parts, answers).unwrap();
    for (value, expected) in found.values.iter().zip(&expected) {
        assert!((value - expected).abs() < F64, "{:?} instead of {expected:?}", found.values);
    }
    let difference = answer(&image.data) - answer(&[0.0; PARTS]);
    assert!((found.additivity.sum - difference).abs() < SUM * difference.abs());
    assert!(found.additivity.gap().abs() < SUM * difference.abs());
    assert!(found.standard_error.is_none());
}

#[test]
fn sampled_orders_are_near_and_sum_to_the_difference() {
    let (image, parts) = pixels();
    let expected = by_all_orders(&image);
    let found = shapley(ShapleyEstimate::Sampling, 2000).explain(&image, &parts, answers).unwrap();
    let errors = found.standard_error.as_ref().unwrap();
    for ((value, expected), &error) in found.values.iter().zip(&expected).zip(&errors.data) {
        let allowed = ERRORS * f64::from(error) + F64;
        assert!((value - expected).abs() < allowed, "{value} instead of {expected}, {error}");
    }
    let difference = answer(&image.data) - answer(&[0.0; PARTS]);
    assert!((found.values.iter().sum::<f64>() - difference).abs() < SUM * difference.abs());
    // A sample of sets is near, too, and sums to the difference.
    let sampled = shapley(ShapleyEstimate::Kernel, 40).explain(&image, &parts, answers).unwrap();
    assert!((sampled.additivity.sum - difference).abs() < SUM * difference.abs());
    assert!(golden::relative_l2(&sampled.values, &expected) < 0.5);
}

#[test]
fn too_few_samples_and_other_sizes_are_refused() {
    let (image, parts) = pixels();
    for estimate in [ShapleyEstimate::Kernel, ShapleyEstimate::Sampling] {
        assert!(shapley(estimate, 11).explain(&image, &parts, answers).is_err());
        let other = Superpixels::squares(3, 2, 1).unwrap();
        assert!(shapley(estimate, 60).explain(&image, &other, answers).is_err());
        // One part has the whole difference.
        let whole = Superpixels::squares(PARTS, 1, PARTS).unwrap();
        let found = shapley(estimate, 60).explain(&image, &whole, answers).unwrap();
        assert_eq!(found.values, [answer(&image.data) - answer(&[0.0; PARTS])]);
    }
}

#[test]
fn a_sum_that_misses_the_difference_is_an_error() {
    let of = |sum| Additivity { difference: 2.0, sum, standard_error: None };
    assert!(of(2.1).check("kernel-shap", 0.1, 0.0).is_ok());
    let error = of(2.3).check("gradient-shap", 0.1, 0.0).unwrap_err().to_string();
    assert!(error.contains("gradient-shap") && error.contains("2.3"), "{error}");
    // Where parts cancel, the difference alone is no measure.
    let small = Additivity { difference: 1e-9, sum: 2e-9, standard_error: None };
    assert!(small.check("kernel-shap", 1e-6, 1.0).is_ok());
    assert!(small.check("kernel-shap", 1e-6, 0.0).is_err());
}

/// A small network with curvature, its walker, and the target of one channel.
fn network() -> (Walker<f64>, Target, FeatureMap<f64>) {
    let shape = Shape { c: 2, h: 4, w: 4 };
    let linear = |name: &str, inputs: usize, outputs: usize, kernel: usize| {
        let spec = ConvSpec::new(inputs, outputs, [kernel; 2]);
        let weight = golden::tensor(name, &[spec.weight_len()], (-1.0, 1.0), 0);
        Op::Conv(Convolution { spec, weight, bias: vec![0.1; outputs] })
    };
    let mut builder = Builder::new(shape.c);
    let x = builder.step("first", &[Node::INPUT], linear("first", 2, 6, 3));
    let x = builder.step("gelu", &[x], Op::Gelu);
    builder.step("second", &[x], linear("second", 6, 3, 2));
    let walker = Walker::new(Arc::new(builder.build()));
    let target = Target::class(walker.network(), 1);
    let data = golden::tensor("pixels", &[shape.len()], (-2.0, 2.0), 0);
    let image = FeatureMap::new(1, shape, data.iter().map(|&v| v.into()).collect()).unwrap();
    (walker, target, image)
}

#[test]
fn gradient_shap_sums_to_the_difference_within_its_error() {
    let (walker, target, image) = network();
    let score =
        |image: FeatureMap<f64>| target.score(walker.run(image).unwrap().output()).unwrap()[0];
    let baselines = vec![vec![0.0], vec![1.0, -1.0]];
    let differences: f64 = [[0.0, 0.0], [1.0, -1.0]]
        .iter()
        .map(|b| score(image.clone()) - score(FeatureMap { data: b.repeat(16), ..image.clone() }))
        .sum();
    for seed in 0..5 {
        let method = GradientShap { samples: 400, baselines: baselines.clone(), seed };
        let (map, additivity) = method.explain(&walker, &image, &target).unwrap();
        let sum: f64 = map.data.iter().sum();
        assert!((sum - additivity.sum).abs() < F64);
        assert!((additivity.difference - differences / 2.0).abs() < F64);
        let error = additivity.standard_error.unwrap();
        assert!(additivity.gap().abs() < ERRORS * error, "{additivity:?}");
        // The places in equal parts are better than independent ones.
        assert!(additivity.gap().abs() < 0.01 * additivity.difference.abs(), "{additivity:?}");
    }
}

/// An answer to masked ones: one corner with its neighbor, and the middle by itself.
fn corner(image: &[f32]) -> f64 {
    f64::from(image[0]) * f64::from(image[1]) + 0.5 * f64::from(image[12 * 24 + 12])
}

const SIDE: usize = 24;

#[test]
fn rise_is_its_formula() {
    let image = FeatureMap::filled(1, Shape { c: 1, h: SIDE, w: SIDE }, 1.0);
    let rise = Rise { masks: 50, cells: 4, kept: 0.4, ..Rise::default() };
    // Of an image of ones on nothing, the masked image is the mask.
    let mut masks: Vec<Vec<f32>> = Vec::new();
    let found = rise
        .explain(&image, |batch| {
            masks.extend((0..batch.n).map(|i| batch.image(i).to_vec()));
            Ok((0..batch.n).map(|i| corner(batch.image(i))).collect())
        })
        .unwrap();
    assert_eq!(masks.len(), 50);
    assert!(masks.iter().flatten().all(|m| (0.0..=1.0).contains(m)));
    let mean = masks.iter().map(|m| corner(m)).sum::<f64>() / 50.0;
    let terms = |pixel: usize| -> Vec<f64> {
        let term = |mask: &Vec<f32>| (corner(mask) - mean) * (f64::from(mask[pixel]) - 0.4) / 0.4;
        masks.iter().map(term).collect()
    };
    let (mut maps, mut errors) = (Vec::new(), Vec::new());
    for pixel in 0..SIDE * SIDE {
        let terms = terms(pixel);
        let middle = terms.iter().sum::<f64>() / 50.0;
        let variance = terms.iter().map(|t| (t - middle).powi(2)).sum::<f64>() / 49.0;
        maps.push(middle);
        errors.push((variance / 50.0).sqrt());
    }
    // The map is float32.
    assert!(golden::relative_l2(&found.map.data, &maps) < 1e-6);
    assert!(golden::relative_l2(&found.standard_error.data, &errors) < 1e-6);
}

/// How far the mean of 20 variances of each of some 50 independent places may be from their
/// expectation: a relative deviation of `sqrt(2 / 19) = 0.32` each, and of some 0.05 of their mean.
const OF_VARIANCES: f64 = 0.2;

#[test]
fn the_standard_error_of_rise_is_the_deviation_of_repetitions() {
    let image = FeatureMap::filled(1, Shape { c: 1, h: SIDE, w: SIDE }, 1.0);
    let runs: Vec<_> = (0..20)
        .map(|seed| {
            let rise = Rise { masks: 400, seed, ..Rise::default() };
            let answer =
                |batch: &FeatureMap| Ok((0..batch.n).map(|i| corner(batch.image(i))).collect());
            rise.explain(&image, answer).unwrap()
        })
        .collect();
    let (mut expected, mut observed) = (0.0, 0.0);
    for pixel in 0..SIDE * SIDE {
        let values: Vec<f64> = runs.iter().map(|run| run.map.data[pixel].into()).collect();
        let mean = values.iter().sum::<f64>() / 20.0;
        observed += values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 19.0;
        let error = |run: &ganscope_explain::RiseExplanation| {
            f64::from(run.standard_error.data[pixel]).powi(2)
        };
        expected += runs.iter().map(error).sum::<f64>() / 20.0;
    }
    let ratio = observed / expected;
    assert!((ratio - 1.0).abs() < OF_VARIANCES, "{ratio}");
    // The pixels that make the answer stand out of the noise, far ones do not.
    let run = &runs[0];
    let signal = |pixel: usize| run.map.data[pixel] / run.standard_error.data[pixel];
    assert!(signal(0) > ERRORS as f32 && signal(12 * SIDE + 12) > ERRORS as f32);
    assert!(signal(SIDE - 1).abs() < ERRORS as f32);
}

#[test]
fn options_of_rise_out_of_range_are_refused() {
    let image = FeatureMap::filled(1, Shape { c: 1, h: 4, w: 4 }, 1.0);
    let fails = |rise: Rise| rise.explain(&image, |b| Ok(vec![0.0; b.n])).is_err();
    assert!(fails(Rise { masks: 1, ..Rise::default() }));
    assert!(fails(Rise { kept: 1.0, ..Rise::default() }));
    assert!(fails(Rise { cells: 0, ..Rise::default() }));
    assert!(fails(Rise { baseline: vec![0.0; 2], ..Rise::default() }));
    assert!(!fails(Rise { masks: 9, cells: 2, ..Rise::default() }));
}
