//! Attention, layer normalization and curved activations.

use ganscope_kernels::{
    Activation, Isa, Map, MapMut, activate, attend_with, attention, attention_with, gate,
    layer_norm,
};
use proptest::prelude::*;

use crate::{dense, distance, values};

/// Error of sums of at most some hundred products in f32 and of exponentials, relative in l2.
const F32_SUM: f64 = 2e-6;
/// Error of a curve, relative to the size of its argument.
const CURVE: f64 = 3e-7;

/// The rows of scores, their softmax, and the means of the values, one after the other.
fn attention_in_f64(input: Map<'_>, heads: usize) -> Vec<f64> {
    let c = input.shape()[3];
    let parts = [0, 1, 2].map(|part| input.channels(part * c / 3..(part + 1) * c / 3));
    attend_in_f64(parts, heads, 1.0 / ((c / 3 / heads) as f64).sqrt())
}

/// The same of queries, keys and values in maps of their own.
fn attend_in_f64(parts: [Map<'_>; 3], heads: usize, scale: f64) -> Vec<f64> {
    let tokens = |part: usize| parts[part].shape()[1] * parts[part].shape()[2];
    let size = |part: usize| parts[part].shape()[3] / heads;
    let value = |part: usize, image: usize, token: usize, head: usize, k: usize| {
        f64::from(parts[part].pixel(image * tokens(part) + token)[head * size(part) + k])
    };
    let (queries, keys) = (tokens(0), tokens(1));
    let mut result = Vec::new();
    for (image, token) in (0..parts[0].shape()[0] * queries).map(|i| (i / queries, i % queries)) {
        for head in 0..heads {
            let score = |other: usize| -> f64 {
                let product = |k| value(0, image, token, head, k) * value(1, image, other, head, k);
                (0..size(0)).map(product).sum::<f64>() * scale
            };
            let powers: Vec<f64> = (0..keys).map(|other| score(other).exp()).collect();
            let sum: f64 = powers.iter().sum();
            result.extend((0..size(2)).map(|k| {
                let weighted = |other| powers[other] / sum * value(2, image, other, head, k);
                (0..keys).map(weighted).sum::<f64>()
            }));
        }
    }
    result
}

/// The distribution function of the normal distribution, by Simpson's rule from 0.
fn normal_distribution(x: f64) -> f64 {
    let density = |t: f64| (-t * t / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let steps = 2000;
    let at = |i: usize| x * i as f64 / f64::from(steps);
    let weight = |i: usize| if i.is_multiple_of(2) { 2.0 } else { 4.0 };
    let inner: f64 = (1..steps as usize).map(|i| weight(i) * density(at(i))).sum();
    0.5 + (density(0.0) + inner + density(x)) * x / f64::from(steps) / 3.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 60 }))]

    #[test]
    fn attention_is_its_formula(
        n in 1_usize..4,
        size in [1_usize..20, 1_usize..3],
        heads in 1_usize..4,
        channels in prop_oneof![1_usize..5, 15_usize..18, 30_usize..70],
        slice in 0_usize..5,
        sharpness in 0.5_f32..6.0,
    ) {
        let [h, w] = size;
        let (c, stride) = (3 * heads * channels, 3 * heads * channels + slice);
        let mut data = values(7, n * h * w * stride);
        for v in &mut data {
            *v *= sharpness;
        }
        let input = Map::with_stride(&data, [n, h, w, c], stride);
        let expected = attention_in_f64(input, heads);
        for isa in Isa::available() {
            let mut out = vec![f32::NAN; n * h * w * heads * channels];
            attention_with(input, heads, MapMut::new(&mut out, [n, h, w, c / 3]), isa);
            let error = distance(&out, &expected, &expected);
            prop_assert!(error < F32_SUM * f64::from(sharpness * sharpness).max(1.0), "{error:.2e} on {isa:?}");
            for rows in 1..h {
                let mut first = vec![f32::NAN; n * rows * w * heads * channels];
                attention_with(input, heads, MapMut::new(&mut first, [n, rows, w, c / 3]), isa);
                let image = |out: &[f32], rows| -> Vec<Vec<f32>> {
                    out.chunks(rows * w * c / 3).map(<[f32]>::to_vec).collect()
                };
                for (first, all) in image(&first, rows).iter().zip(image(&out, h)) {
                    prop_assert_eq!(first, &all[..first.len()]);
                }
            }
        }
    }

    #[test]
    fn queries_may_attend_to_other_tokens(
        n in 1_usize..4,
        queries in [1_usize..20, 1_usize..3],
        keys in [1_usize..20, 1_usize..3],
        heads in 1_usize..4,
        channels in prop_oneof![1_usize..5, 15_usize..18, 30_usize..70],
        value_channels in prop_oneof![1_usize..5, 15_usize..18, 30_usize..70],
        scale in 0.1_f32..1.0,
    ) {
        let shapes = [(queries, channels), (keys, channels), (keys, value_channels)];
        let shapes = shapes.map(|([h, w], channels)| [n, h, w, heads * channels]);
        let data = [0, 1, 2].map(|i| values(11 + i as u64, shapes[i].iter().product()));
        let parts = [0, 1, 2].map(|i| Map::new(&data[i], shapes[i]));
        let expected = attend_in_f64(parts, heads, scale.into());
        let shape = [n, queries[0], queries[1], heads * value_channels];
        for isa in Isa::available() {
            let mut out = vec![f32::NAN; shape.iter().product()];
            attend_with(parts, heads, scale, MapMut::new(&mut out, shape), isa);
            let error = distance(&out, &expected, &expected);
            prop_assert!(error < F32_SUM, "{error:.2e} on {isa:?}");
        }
    }

    #[test]
    fn layer_norm_is_its_formula(
        pixels in 1_usize..20,
        c in prop_oneof![1_usize..5, 15_usize..18, 30_usize..70],
        slice in 0_usize..5,
        shift in -10.0_f32..10.0,
    ) {
        let data: Vec<f32> = values(3, pixels * (c + slice)).iter().map(|v| v + shift).collect();
        let input = Map::with_stride(&data, [1, pixels, 1, c], c + slice);
        let (gain, bias, eps) = (values(4, c), values(5, c), 1e-2);
        let mut expected = Vec::new();
        for pixel in 0..pixels {
            let x: Vec<f64> = input.pixel(pixel).iter().map(|&v| v.into()).collect();
            let mean = x.iter().sum::<f64>() / c as f64;
            let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / c as f64;
            expected.extend(x.iter().zip(gain.iter().zip(&bias)).map(|(v, (&gain, &bias))| {
                (v - mean) / (variance + f64::from(eps)).sqrt() * f64::from(gain) + f64::from(bias)
            }));
        }
        let mut out = vec![f32::NAN; pixels * c];
        layer_norm(input, [&gain, &bias], eps, MapMut::new(&mut out, [1, pixels, 1, c]));
        let scale: Vec<f64> = expected.iter().map(|v| v.abs() + 1.0).collect();
        // The mean is subtracted from values up to ten times as large as the rest.
        prop_assert!(distance(&out, &expected, &scale) < 10.0 * F32_SUM);
    }
}

#[test]
fn curves_are_their_formulas() {
    let x: Vec<f32> = (-4000..=4000).map(|i| i as f32 * 0.005).collect();
    let shape = [1, x.len(), 1, 1];
    for (activation, formula) in [
        (Activation::Gelu, (|x| x * normal_distribution(x)) as fn(f64) -> f64),
        (Activation::Swish { slope: 1.0 }, |x| x / (1.0 + (-x).exp())),
        (Activation::Swish { slope: 1.702 }, |x| x / (1.0 + (-f64::from(1.702_f32) * x).exp())),
    ] {
        let mut out = vec![f32::NAN; x.len()];
        activate(activation, Map::new(&x, shape), MapMut::new(&mut out, shape));
        for (&x, &y) in x.iter().zip(&out) {
            let expected = formula(x.into());
            let error = (f64::from(y) - expected).abs();
            assert!(error <= CURVE * f64::from(x).abs(), "{activation:?}: {y} at {x}: {expected}");
            assert!((activation.apply(x) - y).abs() <= 4e-7 * x.abs(), "{activation:?} of {x}");
        }
        assert!(activation.apply(f32::NAN).is_nan());
        assert_eq!(activation.apply(f32::INFINITY), f32::INFINITY, "{activation:?}");
    }
}

#[test]
fn a_gate_multiplies_halves() {
    let input = values(1, 3 * 2 * 37);
    let map = Map::new(&input, [1, 3, 1, 74]);
    let mut out = vec![0.0; 3 * 37];
    let silu = Activation::Swish { slope: 1.0 };
    gate(silu, map, MapMut::new(&mut out, [1, 3, 1, 37]));
    for (i, &y) in out.iter().enumerate() {
        let pixel = map.pixel(i / 37);
        let expected = silu.apply(pixel[i % 37]) * pixel[37 + i % 37];
        assert!((y - expected).abs() < 1e-6, "{y} instead of {expected}");
    }
}

#[test]
fn attention_does_not_depend_on_the_batch_or_the_threads() {
    let (n, tokens, c) = (3, 41, 3 * 2 * 24);
    let data = values(11, n * tokens * c);
    let run = |data: &[f32], n: usize| {
        let mut out = vec![0.0; n * tokens * c / 3];
        attention(
            Map::new(data, [n, tokens, 1, c]),
            2,
            MapMut::new(&mut out, [n, tokens, 1, c / 3]),
        );
        out
    };
    let all = run(&data, n);
    for threads in [1, 3, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for image in 0..n {
            let alone = pool.install(|| run(&data[image * tokens * c..][..tokens * c], 1));
            assert_eq!(
                alone,
                dense(Map::new(&all, [n, tokens, 1, c / 3]).images(image..image + 1))
            );
        }
    }
}

#[test]
fn scores_of_any_size_have_finite_weights() {
    let data = vec![1e4; 5 * 3 * 16];
    let mut out = vec![0.0; 5 * 16];
    attention(Map::new(&data, [1, 5, 1, 48]), 1, MapMut::new(&mut out, [1, 5, 1, 16]));
    assert!(out.iter().all(|&v| (v - 1e4).abs() < 1.0), "{out:?}");
}
