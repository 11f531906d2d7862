//! The projector and the video of the StyleGAN tools, against the numbers of the reference code.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use ganscope::latent::projector::{Center, Projection, Projector, noise_regularization};
use ganscope::latent::{Sampler, Spline};
use ganscope::model::{Checkpoint, Generator, Synthesis};
use ganscope::models::loss::{Loss, LossTo};
use ganscope::weights::{ReadOptions, read};
use ganscope_golden::{Array, arrays, image, json, span, tensor};
use ganscope_lpips::Lpips;

/// float32 through a mapping network.
const F32_MAPPING: f64 = 1e-5;
/// Closed forms in float64.
const F64_ROUNDING: f64 = 1e-12;
/// float32 against float64 through the generator and VGG-16 and back.
const F32_GRADIENT: f64 = 2e-5;
/// The same where a kink of a rectifier or a pooling lies between the two, which happens to the
/// reference code itself at two of twenty latents.
const F32_KINK: f64 = 2e-2;
/// What is left of float32 after four free steps, and after twenty: the reference code in float32 is
/// as far from itself in float64.
const FREE_STEPS: [f64; 2] = [2e-4, 2.5e-2];
/// The same for the distance.
const FREE_DISTANCE: f64 = 1e-2;
/// The frames of a video in float32.
const F32_VIDEO: f64 = 1e-5;

fn golden(name: &str) -> Array {
    arrays("latent2.safetensors")[name].clone()
}

fn generator() -> Box<dyn Generator> {
    let path = ganscope_golden::data().join("stylegan-s2-skip.pkl");
    ganscope::stylegan::load(read(&path, &ReadOptions::default()).unwrap(), &Device::Cpu).unwrap()
}

/// `|a - b| / |b|`.
fn off(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let difference = square(&mut a.iter().zip(b).map(|(a, b)| a - b));
    (difference / square(&mut b.iter().copied())).sqrt()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// LPIPS with the recipe's weights under torchvision's names, and heads in (0, 1).
fn lpips() -> Loss {
    let mut tensors = BTreeMap::new();
    let (mut channels, mut layer) = (3, 0);
    let blocks = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)];
    for (block, (convolutions, width)) in blocks.into_iter().enumerate() {
        for _ in 0..convolutions {
            for (leaf, shape) in [("weight", vec![width, channels, 3, 3]), ("bias", vec![width])] {
                let name = format!("features.{layer}.{leaf}");
                let filled = tensor(&name, &shape, span(&name, &shape), 0);
                tensors.insert(name, (shape, filled));
            }
            (channels, layer) = (width, layer + 2);
        }
        layer += 1;
        let (name, shape) = (format!("lin{block}.model.1.weight"), vec![1, width, 1, 1]);
        let filled = tensor(&name, &shape, (0.0, 1.0), 0);
        tensors.insert(name, (shape, filled));
    }
    Loss::Lpips(Box::new(Lpips::new(Checkpoint::from_f32(tensors).unwrap()).unwrap()))
}

/// Recipe image 70 in [-1, 1], (1, 3, 32, 32).
fn target() -> Tensor {
    let pixels = image(70, 32, 32);
    let at = |i: usize| f32::from(pixels[3 * (i % 1024) + i / 1024]) / 127.5 - 1.0;
    Tensor::from_vec((0..3 * 1024).map(at).collect(), (1, 3, 32, 32), &Device::Cpu).unwrap()
}

#[test]
fn the_start_is_the_mean_of_ten_thousand_latents() {
    let generator = generator();
    let sampler = Sampler::new(&*generator, 1.0, None).unwrap();
    let center = Center::of(&*generator, &sampler).unwrap();
    let first = center.ws.narrow(1, 3, 1).unwrap();
    assert!(off(&values(&first), &golden("projector/w_avg").data) < F32_MAPPING);
    let spread = golden("projector/w_std").data[0];
    assert!((center.spread / spread - 1.0).abs() < F32_MAPPING, "{} {spread}", center.spread);
}

#[test]
fn neighbors_in_noise_maps_are_regularized_as_published() {
    let maps = generator().noise_maps();
    let vars = maps.iter().map(|map| Var::from_tensor(&map.to_dtype(DType::F64).unwrap()).unwrap());
    let vars: Vec<Var> = vars.collect();
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let total = noise_regularization(&tensors).unwrap();
    let expected = golden("projector/noise_reg/total").data[0];
    assert!((total.to_scalar::<f64>().unwrap() / expected - 1.0).abs() < F64_ROUNDING);
    let gradients = total.backward().unwrap();
    let names = json("latent.json")["noise maps"].as_array().unwrap().clone();
    assert_eq!(names.len(), vars.len());
    for (name, var) in names.iter().zip(&tensors) {
        let expected = golden(&format!("projector/noise_reg/d_{}", name.as_str().unwrap()));
        assert!(off(&values(gradients.get(var).unwrap()), &expected.data) < F64_ROUNDING, "{name}");
    }
}

#[test]
fn distance_and_gradient_at_a_point_are_those_of_float64() {
    let generator = generator();
    let ws = golden("projector/point/ws").f32();
    let ws = Var::from_tensor(&Tensor::from_vec(ws, (1, 8, 48), &Device::Cpu).unwrap()).unwrap();
    let maps = generator.noise_maps();
    let maps: Vec<Var> = maps.iter().map(|map| Var::from_tensor(map).unwrap()).collect();
    let given: Vec<Tensor> = maps.iter().map(|map| map.as_tensor().clone()).collect();
    let made = generator.synthesize_with_noise(&ws, &given).unwrap();
    let plain = generator.synthesize(&ws, &Synthesis::default()).unwrap();
    assert!(off(&values(&made), &values(&plain)) < F32_MAPPING);
    let loss = lpips();
    let (distance, by_image) = loss.to(&target()).unwrap().gradient(&made).unwrap();
    let expected = golden("projector/point/distance").data[0];
    assert!((distance / expected - 1.0).abs() < F32_GRADIENT, "{distance} {expected}");
    assert!(off(&values(&by_image), &golden("projector/point/d_image").data) < F32_KINK);
    let gradients = (made * by_image).unwrap().sum_all().unwrap().backward().unwrap();
    let by_ws = values(gradients.get(ws.as_tensor()).unwrap());
    assert!(off(&by_ws, &golden("projector/point/d_ws").data) < F32_KINK);
    let names = json("latent.json")["noise maps"].as_array().unwrap().clone();
    for (name, map) in names.iter().zip(&given) {
        let expected = golden(&format!("projector/point/d_{}", name.as_str().unwrap()));
        let by_map = values(gradients.get(map).unwrap());
        assert!(off(&by_map, &expected.data) < F32_KINK, "{name}");
    }
}

/// Steps of a projection on LPIPS to the target: `w` after each, distances and regularizations before.
fn run(
    start: &Tensor,
    steps: usize,
    maps: &[Tensor],
) -> (Vec<Vec<f64>>, Vec<f64>, Vec<f64>, Projection) {
    let (generator, loss) = (generator(), lpips());
    let to: LossTo<'_> = loss.to(&target()).unwrap();
    let settings = Projector { steps, noise: 0.0, ..Projector::PUBLISHED };
    let mut projection = Projection::new(settings, start, 1.0, maps).unwrap();
    let (mut rows, mut distances, mut terms) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..20 {
        let objective = |image: &Tensor| to.gradient(image);
        let taken = projection.step(&*generator, &Synthesis::default(), objective).unwrap();
        distances.push(taken.distance);
        terms.push(taken.regularization);
        rows.push(values(projection.w()));
    }
    (rows, distances, terms, projection)
}

fn check_distances(found: &[f64], name: &str) {
    for (found, expected) in found.iter().zip(&golden(name).data) {
        assert!((found / expected - 1.0).abs() < FREE_DISTANCE, "{name}: {found} {expected}");
    }
}

#[test]
fn gradients_at_the_latents_of_the_published_trace_are_the_published_ones() {
    let [ws, gradients] = ["w", "d_w"].map(|part| golden(&format!("projector/trace20-w/{part}")));
    let (generator, loss) = (generator(), lpips());
    let to = loss.to(&target()).unwrap();
    let mut near = 0;
    for (step, (w, expected)) in
        ws.data.chunks_exact(48).zip(gradients.data.chunks_exact(48).skip(1)).enumerate()
    {
        let w: Vec<f32> = w.iter().map(|&v| v as f32).collect();
        let start = Tensor::from_vec(w, (1, 1, 48), &Device::Cpu).unwrap();
        let settings = Projector { noise: 0.0, ..Projector::PUBLISHED };
        let mut projection = Projection::new(settings, &start, 1.0, &[]).unwrap();
        let objective = |image: &Tensor| to.gradient(image);
        let taken = projection.step(&*generator, &Synthesis::default(), objective).unwrap();
        let off = off(&values(&taken.gradient), expected);
        assert!(off < F32_KINK, "step {step}: {off}");
        near += usize::from(off < F32_GRADIENT);
    }
    assert!(near >= 16, "{near} of 19 gradients");
}

#[test]
fn free_steps_follow_the_published_trace() {
    let names = json("latent.json")["noise maps"].as_array().unwrap().clone();
    let maps: Vec<Tensor> = generator()
        .noise_maps()
        .iter()
        .zip(&names)
        .map(|(map, name)| {
            let (name, side) = (name.as_str().unwrap(), 3f64.sqrt());
            let name = format!("projector/{name}");
            let filled = tensor(&name, map.dims(), (-side, side), 0);
            Tensor::from_vec(filled, map.dims(), &Device::Cpu).unwrap()
        })
        .collect();
    for (name, steps) in [("trace20-noise", 20), ("trace1000-noise", 1000)] {
        let of = |part: &str| golden(&format!("projector/{name}/{part}"));
        let expected = of("w").data;
        let start: Vec<f32> = expected[..48].iter().map(|&v| v as f32).collect();
        let start = Tensor::from_vec(start, (1, 1, 48), &Device::Cpu).unwrap();
        let (rows, distances, terms, projection) = run(&start, steps, &maps);
        for (step, (row, expected)) in rows.iter().zip(expected.chunks_exact(48)).enumerate() {
            let early = step < 4 && steps == 1000;
            let limit = FREE_STEPS[usize::from(!early)];
            assert!(off(row, expected) < limit, "{name}, step {step}: {}", off(row, expected));
        }
        check_distances(&distances, &format!("projector/{name}/distance"));
        check_distances(&terms, &format!("projector/{name}/noise_reg"));
        let last = projection.maps();
        for (at, part) in [(0, "last_b4.conv1.noise_const"), (6, "last_b32.conv1.noise_const")] {
            assert!(off(&values(&last[at]), &of(part).data) < FREE_STEPS[1], "{name} {part}");
        }
    }
}

#[test]
fn a_latent_for_each_style_input_follows_the_published_trace() {
    let expected = golden("projector/trace20-wplus/w").data;
    let start: Vec<f32> =
        golden("projector/trace20-w/w").data[..48].iter().map(|&v| v as f32).collect();
    let start = Tensor::from_vec(start, (1, 1, 48), &Device::Cpu).unwrap();
    let start = start.broadcast_as((1, 8, 48)).unwrap().contiguous().unwrap();
    // Behind step 9 the rows part at kinks, each with its own.
    let (rows, distances, _, _) = run(&start, 20, &[]);
    for (row, expected) in [4, 9].into_iter().zip(expected.chunks_exact(8 * 48)) {
        let off = off(&rows[row], expected);
        assert!(off < FREE_STEPS[1], "step {row}: {off}");
    }
    check_distances(&distances[..10], "projector/trace20-wplus/distance");
}

#[test]
fn a_video_passes_the_frames_of_the_published_tool() {
    let generator = generator();
    let sampler = Sampler::new(&*generator, 0.7, None).unwrap();
    let keys = sampler.ws(&*generator, &[85, 265, 297]).unwrap();
    let first = |ws: &Tensor| values(&ws.narrow(1, 0, 1).unwrap());
    assert!(off(&first(&keys), &golden("video/keyframes").data) < F32_MAPPING);
    let frames = Spline::new(keys, 4).unwrap().frames().collect::<Result<Vec<_>, _>>().unwrap();
    let found: Vec<f64> = frames.iter().flat_map(first).collect();
    assert!(off(&found, &golden("video/ws").data) < F32_VIDEO);
}
