//! A detector of defaced MRI slices, trained here and explained: does it look at the face?
//!
//! `cargo run --release --example defaced_slices -- defaced`
//!
//! To protect patients, the face is often cut away from a scan of the head. A small network learns
//! to tell such slices from whole ones; the slices are drawn, so that it is known where the face is.
//! The example writes the network as `ganscope explain --network` reads it, some slices, and
//! `sheet.png` with what five methods say about them, and prints how much of the relevance each
//! method puts on the face. Afterwards, this works as for any network of one's own:
//!
//! `ganscope explain grad-cam,lrp defaced/whole-0.png --network defaced/net.json --weights
//! defaced/net.safetensors -o out`

#![expect(clippy::print_stdout, reason = "an example prints its tables")]

use std::collections::HashMap;
use std::path::Path;

use candle_core::{D, Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer as _, ParamsAdamW, loss};
use ganscope::Result;
use ganscope::explain::figures::sheet;
use ganscope::explain::options::MethodOptions;
use ganscope::explain::{ExplainRequest, Explained};
use ganscope::images::{Image, save_png};
use ganscope::methods::Biases;
use ganscope::methods::cam::{channel_sum, enlarge};
use ganscope::models::classifier::ClassifierRequest;
use ganscope::stats::random::RandomState;
use serde_json::{Value, json};

/// Pixels of a side.
const SIDE: usize = 64;
const CLASSES: [&str; 2] = ["whole", "defaced"];
/// Input, output and stride of each convolution of 3 x 3; a ReLU follows.
const CONVOLUTIONS: [(usize, usize, usize); 4] = [(1, 8, 2), (8, 16, 1), (16, 24, 2), (24, 32, 1)];
/// Standard deviation of the gray levels 0 to 1. Their mean is taken for 0, so that air, which is
/// black, is 0 to the network, and occlusion cuts away.
const STD: f64 = 0.3;
const METHODS: [&str; 5] = ["grad-cam", "lrp", "integrated-gradients", "occlusion", "lime"];

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "defaced".into());
    run(Path::new(&folder), 768, 8, 20)
}

/// Trains on `count` slices and explains `explained` others of each class.
fn run(folder: &Path, count: u32, epochs: usize, explained: u32) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let network = Trained::fit(&(0..count).map(Slice::draw).collect::<Vec<_>>(), epochs)?;
    let (description, weights) = (folder.join("net.json"), folder.join("net.safetensors"));
    std::fs::write(&description, serde_json::to_string_pretty(&Trained::description())?)?;
    candle_core::safetensors::save(&network.tensors(), &weights)?;

    // From here on, the network is one of any user.
    let request = ExplainRequest {
        methods: METHODS.map(str::to_owned).to_vec(),
        classifier: ClassifierRequest {
            network: Some(description.display().to_string()),
            weights: Some(weights.display().to_string()),
            ..ClassifierRequest::default()
        },
        options: MethodOptions {
            window: Some(12),
            stride: Some(4),
            steps: 64,
            biases: Some(Biases::Keep),
            ..MethodOptions::default()
        },
        ..ExplainRequest::default()
    };
    let explanations = request.open(&mut ())?;
    let explainer = &explanations.classifier.explainer;
    let held_out = || (count..).map(Slice::draw);
    let mut right = 0;
    for slice in held_out().take(400) {
        let input = explainer.prepare(&slice.picture())?.input;
        right += u32::from(explainer.probabilities(&input)?[0][slice.class()] > 0.5);
    }
    println!("{:.1} % of 400 held-out slices are told apart", f64::from(right) / 4.0);

    let mut shares = [[0.0; 2]; METHODS.len()];
    let mut areas = [0.0; 2];
    let mut rows = Vec::new();
    for (number, slice) in held_out().take(2 * explained as usize).enumerate() {
        let (class, picture) = (slice.class(), slice.picture());
        let name = format!("{}-{}", CLASSES[class], number / 2);
        let found = explanations.explain_image(&name, picture.clone(), &mut ())?;
        areas[class] += slice.share_in_face(&[1.0; SIDE * SIDE]) / f64::from(explained);
        for (row, map) in shares.iter_mut().zip(&found.maps) {
            let map = enlarge(&channel_sum(&map.values), [SIDE; 2]);
            row[class] += slice.share_in_face(&map.data) / f64::from(explained);
        }
        if number < 6 {
            save_png(&folder.join(format!("{name}.png")), &picture)?;
            rows.push(found);
        }
    }
    rows.sort_by_key(|found: &Explained| found.report.image.clone());
    save_png(&folder.join("sheet.png"), &sheet(&rows)?.image()?)?;

    println!("\n{:22}{:>10}{:>10}", "positive, on the face", CLASSES[0], CLASSES[1]);
    for (name, row) in METHODS.into_iter().chain(["(its area)"]).zip(shares.iter().chain([&areas]))
    {
        println!("{name:22}{:8.0} %{:8.0} %", 100.0 * row[0], 100.0 * row[1]);
    }
    println!("\nsee {}", folder.join("sheet.png").display());
    Ok(())
}

/// A slice through a head at the height of the eyes, the nose up.
struct Slice {
    /// Gray levels, 0 to 1.
    pixels: Vec<f32>,
    /// Where the face is, or was.
    face: Vec<bool>,
    defaced: bool,
}

impl Slice {
    /// The slice of a seed; those of odd seeds are defaced.
    fn draw(seed: u32) -> Self {
        let defaced = seed % 2 == 1;
        let mut random = RandomState::new(seed);
        let mut about = |middle: f64, spread: f64| middle + spread * (2.0 * random.uniform() - 1.0);
        let (x, y, angle) = (about(0.0, 0.05), about(0.0, 0.05), about(0.0, 0.12));
        let (width, height, gain) = (about(1.0, 0.07), about(1.0, 0.07), about(1.0, 0.2));
        let (eye, cut, slope) = (about(0.26, 0.03), about(-0.3, 0.04), about(0.0, 0.15));
        let folds: Vec<[f64; 3]> =
            (0..6).map(|_| [about(0.0, 14.0), about(0.0, 14.0), about(0.0, 3.1)]).collect();
        let noise = random.standard_normals(SIDE * SIDE);
        let (mut pixels, mut face) = (Vec::new(), Vec::new());
        for (i, noise) in noise.into_iter().enumerate() {
            let along = |at: usize| (2 * at + 1) as f64 / SIDE as f64 - 1.0;
            let (right, down) = (along(i % SIDE) - x, along(i / SIDE) - y);
            let u = (right * angle.cos() + down * angle.sin()) / width;
            let v = (down * angle.cos() - right * angle.sin()) / height;
            // How much of the pixel an ellipse covers.
            let covered = |(left, top): (f64, f64), (wide, high): (f64, f64)| {
                let far = ((u - left) / wide).hypot((v - top) / high);
                ((1.0 - far) * wide.min(high) * SIDE as f64 / 2.0 + 0.5).clamp(0.0, 1.0)
            };
            let folds: f64 = folds.iter().map(|[a, b, c]| (a * u + b * v + c).sin()).sum();
            let mut gray = 0.0;
            for (middle, radii, tone) in [
                ((0.0, -0.72), (0.13, 0.19), 0.6),               // nose
                ((0.0, 0.08), (0.66, 0.80), 0.6),                // skin
                ((0.0, 0.08), (0.58, 0.72), 0.12),               // bone
                ((0.0, -0.42), (0.48, 0.26), 0.45),              // muscles of the face
                ((0.0, 0.24), (0.53, 0.52), 0.5 + 0.06 * folds), // brain
                ((-0.09, 0.2), (0.05, 0.17), 0.85),              // ventricles
                ((0.09, 0.2), (0.05, 0.17), 0.85),
                ((-eye, -0.46), (0.13, 0.13), 0.95), // eyes
                ((eye, -0.46), (0.13, 0.13), 0.95),
                ((0.0, -0.48), (0.06, 0.2), 0.1), // nasal cavity
            ] {
                gray += covered(middle, radii) * (tone - gray);
            }
            if defaced && v < cut + slope * u {
                gray = 0.0;
            }
            pixels.push((gain * gray + 0.03 + 0.03 * noise).clamp(0.0, 1.0) as f32);
            face.push(v < -0.2 && covered((0.0, 0.0), (0.76, 0.98)) > 0.5);
        }
        Self { pixels, face, defaced }
    }

    fn class(&self) -> usize {
        usize::from(self.defaced)
    }

    fn picture(&self) -> Image {
        let pixels = self.pixels.iter().flat_map(|&v| [(255.0 * v).round() as u8; 3]).collect();
        Image { width: SIDE, height: SIDE, pixels }
    }

    /// Share of the positive part of a map that lies on the face.
    fn share_in_face(&self, map: &[f32]) -> f64 {
        let positive = || map.iter().map(|&v| f64::from(v.max(0.0)));
        let inside: f64 = positive().zip(&self.face).filter(|(_, face)| **face).map(|p| p.0).sum();
        inside / positive().sum::<f64>()
    }
}

/// Weight and bias of each layer: the convolutions, and the linear layer behind the mean of the map.
struct Trained(Vec<[Var; 2]>);

impl Trained {
    fn fit(slices: &[Slice], epochs: usize) -> Result<Self> {
        let mut random = RandomState::new(0);
        let features = CONVOLUTIONS[CONVOLUTIONS.len() - 1].1;
        let mut shapes: Vec<Vec<usize>> =
            CONVOLUTIONS.iter().map(|&(inputs, outputs, _)| vec![outputs, inputs, 3, 3]).collect();
        shapes.push(vec![CLASSES.len(), features]);
        let layer = |shape: Vec<usize>| -> Result<[Var; 2]> {
            let (count, fan_in) = (shape.iter().product(), shape[1..].iter().product::<usize>());
            let normals = random.standard_normals(count).into_iter();
            let scaled: Vec<f32> =
                normals.map(|v| (v * (2.0 / fan_in as f64).sqrt()) as f32).collect();
            let bias = Var::from_vec(vec![0f32; shape[0]], shape[0], &Device::Cpu)?;
            Ok([Var::from_vec(scaled, shape, &Device::Cpu)?, bias])
        };
        let network = Self(shapes.into_iter().map(layer).collect::<Result<_>>()?);
        let options = ParamsAdamW { lr: 4e-3, ..Default::default() };
        let mut optimizer = AdamW::new(network.0.iter().flatten().cloned().collect(), options)?;
        let mut order: Vec<&Slice> = slices.iter().collect();
        for epoch in 0..epochs {
            RandomState::new(epoch as u32).shuffle(&mut order);
            for batch in order.chunks(32) {
                let pixels = batch.iter().flat_map(|slice| slice.pixels.clone()).collect();
                let images = Tensor::from_vec(pixels, (batch.len(), 1, SIDE, SIDE), &Device::Cpu)?;
                let classes: Vec<u32> = batch.iter().map(|slice| slice.class() as u32).collect();
                let classes = Tensor::from_vec(classes, batch.len(), &Device::Cpu)?;
                let logits = network.forward(&(images / STD)?)?;
                optimizer.backward_step(&loss::cross_entropy(&logits, &classes)?)?;
            }
        }
        Ok(network)
    }

    /// Logits of images, (N, 1, H, W) to (N, 2).
    fn forward(&self, images: &Tensor) -> Result<Tensor> {
        let mut map = images.clone();
        for ([weight, bias], (_, outputs, stride)) in self.0.iter().zip(CONVOLUTIONS) {
            let bias = bias.reshape((1, outputs, 1, 1))?;
            map = map.conv2d(weight, 1, stride, 1, 1)?.broadcast_add(&bias)?.relu()?;
        }
        let [weight, bias] = &self.0[CONVOLUTIONS.len()];
        let features = map.mean((D::Minus2, D::Minus1))?;
        Ok(features.matmul(&weight.t()?)?.broadcast_add(bias)?)
    }

    /// The layers as `--network` reads them.
    fn description() -> Value {
        let mut layers = Vec::new();
        for (i, (inputs, outputs, stride)) in CONVOLUTIONS.into_iter().enumerate() {
            layers.push(json!({"kind": "conv2d", "name": name(i), "in": inputs, "out": outputs,
                "kernel": 3, "stride": stride, "padding": 1}));
            layers.push(json!({"kind": "relu", "name": format!("relu{i}")}));
        }
        let features = CONVOLUTIONS[CONVOLUTIONS.len() - 1].1;
        layers.push(json!({"kind": "global_average_pool", "name": "mean"}));
        layers.push(json!({"kind": "linear", "name": name(CONVOLUTIONS.len()), "in": features,
            "out": CLASSES.len()}));
        json!({"img_resolution": SIDE, "img_channels": 1, "mean": [0.0], "std": [STD],
            "layers": layers, "classes": CLASSES})
    }

    /// The tensors by the names of the layers.
    fn tensors(&self) -> HashMap<String, Tensor> {
        let named = |(i, [weight, bias]): (usize, &[Var; 2])| {
            let tensor =
                |part: &str, var: &Var| (format!("{}.{part}", name(i)), var.as_tensor().clone());
            [tensor("weight", weight), tensor("bias", bias)]
        };
        self.0.iter().enumerate().flat_map(named).collect()
    }
}

/// Name of layer `i`.
fn name(i: usize) -> String {
    if i < CONVOLUTIONS.len() { format!("conv{i}") } else { "fc".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detector_trained_for_a_moment_writes_its_network_and_the_sheet() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), 32, 1, 3).unwrap();
        for name in ["net.json", "net.safetensors", "whole-0.png", "defaced-0.png", "sheet.png"] {
            assert!(folder.path().join(name).is_file(), "{name}");
        }
    }
}
