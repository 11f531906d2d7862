//! Vision transformers on recipe weights and images against the reference implementations.

mod bad_input;
mod clip;
mod dinov2;
mod gradient;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use candle_core::Device;
use ganscope_golden::{Array, arrays, bytes, data, image, relative_l2, weights_vit};
use ganscope_images::{Image, ImageBatch, Preprocess, Resize};
use ganscope_model::{Checkpoint, Engine, FeatureExtractor, FeatureMap};
use ganscope_vit::{Vit, VitFeatures};
use ganscope_weights::{ReadOptions, read};

/// Float32 through a transformer. The references are within 1.3e-6 of float64.
const F32_NETWORK: f64 = 1e-5;

/// Sizes of the golden images 60 to 63, (h, w).
const SIZES: [(usize, usize); 4] = [(224, 224), (300, 200), (33, 100), (48, 64)];

/// A golden checkpoint.
fn open(file: &str) -> Checkpoint {
    read(&data().join(file), &ReadOptions::default()).expect("a golden file is read").into()
}

/// The checkpoint of names and shapes with the numbers of the recipe.
fn recipe(shapes: &str) -> Checkpoint {
    Checkpoint::from_f32(weights_vit(shapes)).expect("shapes fit")
}

fn dinov2_numbers() -> &'static BTreeMap<String, Array> {
    static NUMBERS: OnceLock<BTreeMap<String, Array>> = OnceLock::new();
    NUMBERS.get_or_init(|| arrays("dinov2.safetensors"))
}

fn clip_numbers() -> &'static BTreeMap<String, Array> {
    static NUMBERS: OnceLock<BTreeMap<String, Array>> = OnceLock::new();
    NUMBERS.get_or_init(|| arrays("clip.safetensors"))
}

/// The golden images 60 to 63, prepared.
fn batch(resize: Resize, size: usize) -> ImageBatch {
    let preprocess = Preprocess { resize, size };
    let mut pixels = vec![0.0; preprocess.values() * SIZES.len()];
    let out = pixels.chunks_exact_mut(preprocess.values());
    for (k, (&(height, width), out)) in SIZES.iter().zip(out).enumerate() {
        preprocess.apply(&Image { width, height, pixels: image(60 + k, height, width) }, out);
    }
    of_pixels(pixels, SIZES.len(), [size; 2])
}

fn of_pixels(data: Vec<f32>, n: usize, [height, width]: [usize; 2]) -> ImageBatch {
    let (skipped, digests) = (Vec::new(), Vec::new());
    ImageBatch { data, n, height, width, indices: (0..n).collect(), skipped, digests }
}

/// Recipe image `k` as it is.
fn whole(k: usize, height: usize, width: usize) -> ImageBatch {
    let pixels = image(k, height, width).into_iter().map(f32::from).collect();
    of_pixels(pixels, 1, [height, width])
}

/// The values of some steps for a batch.
fn values(vit: &Vit, images: &ImageBatch, steps: &[&str]) -> Vec<FeatureMap> {
    let taps: Vec<_> = steps.iter().map(|step| vit.network().node(step).unwrap()).collect();
    let input = vit.normalization().apply_all(&images.data);
    let engine = Engine::new(vit.network().clone(), &taps);
    engine.run(&input, (images.n, images.height, images.width)).unwrap()
}

/// Compares a step for all images with the entries `KEY/K/ENTRY`; at least one must be there.
fn check(
    numbers: &BTreeMap<String, Array>,
    vit: &Vit,
    images: &ImageBatch,
    (key, step, entry): (&str, &str, &str),
) {
    let features = VitFeatures::new(vit.clone(), step, &Device::Cpu).unwrap();
    let features = features.extract(images).unwrap().features;
    let mut compared = 0;
    for k in 0..SIZES.len() {
        let Some(expected) = numbers.get(&format!("{key}/{}/{entry}", 60 + k)) else { continue };
        let error = relative_l2(features.row(k), &expected.data);
        assert!(error < F32_NETWORK, "{key}/{}/{entry}: {error:.2e}", 60 + k);
        compared += 1;
    }
    assert!(compared > 0, "no {key}/K/{entry}");
}

#[test]
fn features_do_not_depend_on_the_batch_or_the_threads() {
    let config = r#"{"num_heads": 3}"#;
    let dinov2 = Vit::dinov2(open("dinov2-tiny-reg4.pth"), &dinov2::config(config)).unwrap();
    let clip = Vit::clip(open("clip-tiny.safetensors"), &dinov2::config(config)).unwrap();
    for (vit, step) in [(dinov2, "patch_mean"), (clip, "normalized")] {
        let all = batch(Resize::PillowBicubicBytes, vit.input_size());
        let one = all.data.len() / all.n;
        let features = VitFeatures::new(vit, step, &Device::Cpu).unwrap();
        let together = features.extract(&all).unwrap().features;
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for k in 0..all.n {
                let data = all.data[k * one..][..one].to_vec();
                let alone = of_pixels(data, 1, [all.height, all.width]);
                let alone = pool.install(|| features.extract(&alone)).unwrap().features;
                assert_eq!(alone.row(0), together.row(k), "{step}, image {k}, {threads} threads");
            }
        }
    }
}
