//! Tests of directions.

use std::collections::BTreeMap;

use ganscope_golden as golden;
use ganscope_latent::boundary::{boundary, conditioned};
use ganscope_model::Truncation;

use super::*;

/// Closed forms in float64 on latents and weights that are float32; they are stored as float32.
const F32_ROUNDING: f64 = 1e-6;
/// As the recipe states for `coef` and `boundary`.
const SOLVED: f64 = 1e-5;
/// A plane through two thousand latents, two thirds of them within its margin, rests on a few whose
/// last bits decide it: the recipe's own float32 solution is 3e-3 away.
const OF_ROUNDED_CODES: f64 = 1e-4;

fn golden() -> BTreeMap<String, golden::Array> {
    golden::arrays("latent2.safetensors").into_iter().collect()
}

fn drawing() -> Drawing {
    let path = golden::data().join("stylegan-s2-skip.pkl");
    Drawing::open(&DrawingRequest::of(path.to_str().unwrap()), &mut ()).unwrap()
}

/// Largest relative error, in l2, of vectors up to their sign.
fn worst(actual: &[Vec<f32>], expected: &golden::Array) -> f64 {
    let rows = expected.data.chunks(expected.shape[1]);
    let error = |(actual, expected): (&Vec<f32>, &[f64])| {
        let actual: Vec<f64> = actual.iter().map(|&v| f64::from(v)).collect();
        let turned: Vec<f64> = actual.iter().map(|v| -v).collect();
        golden::relative_l2(&actual, expected).min(golden::relative_l2(&turned, expected))
    };
    actual.iter().zip(rows).map(error).fold(0.0, f64::max)
}

#[test]
fn semantic_directions_are_those_of_sefa() {
    let (golden, drawing) = (golden(), drawing());
    for layers in ["all", "0-1", "2-4", "7"] {
        let styles = (layers != "all").then(|| layers.parse::<Styles>().unwrap());
        let weights = style_rows(&drawing, styles.as_ref()).unwrap();
        let found = semantic_directions(&weights, 10).unwrap();
        let error = worst(&found.vectors, &golden[&format!("sefa/{layers}/directions")]);
        assert!(error < F32_ROUNDING, "{layers}: {error:e}");
        let eigenvalues: Vec<f64> = found.strengths.iter().map(|s| s * s).collect();
        let expected = &golden[&format!("sefa/{layers}/eigenvalues")].data;
        let error = golden::relative_l2(&eigenvalues, expected);
        assert!(error < F32_ROUNDING, "{layers}: {error:e}");
    }
}

#[test]
fn components_are_those_of_ganspace() {
    let (golden, drawing) = (golden(), drawing());
    let codes = codes(&drawing, 2000, &mut ()).unwrap();
    let found = principal_components(&codes, 48).unwrap();
    let error = golden::relative_l2(&found.strengths, &golden["pca/stdev"].data);
    assert!(error < F32_ROUNDING, "{error:e}");
    // The last components have nearly equal strength, so that rounding of w turns them.
    let error = worst(&found.vectors[..10], &golden["pca/components"]);
    assert!(error < 1e-5, "{error:e}");
    for (vector, strength) in found.vectors.iter().zip(&found.strengths) {
        assert!((spread(&codes, vector) / strength - 1.0).abs() < 1e-5);
    }
}

/// Scores of the recipe: a known direction of z and noise.
fn scores(k: usize, z: &Features) -> Vec<f64> {
    let towards = golden::tensor(&format!("interfacegan/direction{k}"), &[32], (-1.0, 1.0), 0);
    let noise = golden::tensor(&format!("interfacegan/noise{k}"), &[2000], (-1.0, 1.0), 0);
    let score = |(row, noise): (&[f32], &f32)| {
        let dot: f64 = row.iter().zip(&towards).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        dot + 3.0 * f64::from(*noise)
    };
    z.rows().zip(&noise).map(score).collect()
}

/// What a support vector machine minimizes, at cost 1, for the upper and lower half of the scores.
fn objective(codes: &Features, scores: &[f64], weights: &[f64], intercept: f64) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted[sorted.len() / 2];
    let hinge = |(row, &score): (&[f32], &f64)| {
        let dot: f64 = row.iter().zip(weights).map(|(&x, w)| f64::from(x) * w).sum();
        let sign = if score >= middle { 1.0 } else { -1.0 };
        (1.0 - sign * (dot + intercept)).max(0.0)
    };
    let slack: f64 = codes.rows().zip(scores).map(hinge).sum();
    weights.iter().map(|w| w * w).sum::<f64>() / 2.0 + slack
}

#[test]
fn boundaries_are_those_of_interfacegan() {
    let (golden, drawing) = (golden(), drawing());
    let network = &*drawing.generator.network;
    let seeds: Vec<u32> = (0..2000).collect();
    let z = drawing.sampler.latents(network, &seeds).unwrap();
    // As the recipe has it: computed in float64, then rounded.
    let exact = z.to_dtype(DType::F64).unwrap();
    let w = network.map(&exact, None, Truncation::NONE).unwrap().narrow(1, 0, 1).unwrap();
    let w = w.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let w = Features::from_vec(w, 48).unwrap();
    let z: Vec<f32> = z.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let z = Features::from_vec(z, 32).unwrap();
    let told = golden::json("latent.json");
    let half = BoundaryOptions { share: 0.5, train: 1.0, ..BoundaryOptions::default() };
    let cases = [
        ("z-2pct-k1", 1, &z, BoundaryOptions::default()),
        ("w-2pct-k1", 1, &w, BoundaryOptions::default()),
        ("w-half-k1", 1, &w, half),
        ("w-half-k2", 2, &w, half),
        ("w-half-k3", 3, &w, half),
    ];
    let mut normals = Vec::new();
    for (name, k, codes, options) in cases {
        let found = boundary(codes, &scores(k, &z), &options).unwrap();
        let coef = &golden[&format!("interfacegan/{name}/coef")].data;
        let error = golden::relative_l2(&found.weights, coef);
        let known = if options.share == 0.5 { OF_ROUNDED_CODES } else { SOLVED };
        assert!(error < known, "{name}: {error:e}");
        let normal = &golden[&format!("interfacegan/{name}/boundary")].data;
        assert!(golden::relative_l2(&found.normal, normal) < known, "{name}");
        if options.share == 0.5 {
            // On these codes no other plane is better, not even that of the recipe.
            let scores = scores(k, &z);
            let facts = &told[&format!("interfacegan/{name}")];
            let number = |key: &str| facts[key].as_f64().unwrap();
            let ours = objective(codes, &scores, &found.weights, found.intercept);
            let theirs = objective(codes, &scores, coef, number("intercept"));
            assert!(ours <= theirs, "{name}: {ours} of {theirs}");
            assert!((ours / number("primal") - 1.0).abs() < F32_ROUNDING, "{name}: {ours}");
        }
        assert_eq!(found.accuracy.is_some(), name.contains("2pct"), "{name}");
        normals.push(found.normal);
    }
    for (name, others) in [("w-half-k1-given-2", 3..4), ("w-half-k1-given-2-3", 3..5)] {
        let found = conditioned(&normals[2], &normals[others]).unwrap();
        let error = golden::relative_l2(&found, &golden[&format!("interfacegan/{name}")].data);
        assert!(error < OF_ROUNDED_CODES, "{name}: {error:e}");
    }
}
