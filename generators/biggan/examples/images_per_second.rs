//! Images a second of BigGAN-deep at 128 pixels, with made-up weights:
//! `cargo run --release -p ganscope-biggan --example images_per_second [BATCH] [ROUNDS]`.
#![expect(clippy::print_stdout, reason = "an example prints what it measured")]

use std::error::Error;
use std::time::Instant;

use candle_core::{Device, Tensor};
use ganscope_biggan::BigGan;
use ganscope_model::{Checkpoint, Generator, Synthesis, Truncation};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>());
    let batch = arguments.next().unwrap_or(Ok(4))?;
    let rounds = arguments.next().unwrap_or(Ok(5))?;
    let mut weights = ganscope_golden::weights("biggan-deep-128-weights.json");
    let layers: Vec<_> =
        weights.keys().filter_map(|n| n.strip_suffix(".weight_orig")).map(str::to_owned).collect();
    for layer in layers {
        // Folded weights: the speed does not depend on the norm.
        let weight = weights.remove(&format!("{layer}.weight_orig"));
        weights.extend(weight.map(|w| (format!("{layer}.weight"), w)));
        weights.retain(|name, _| {
            ![".weight_u", ".weight_v"].iter().any(|v| *name == format!("{layer}{v}"))
        });
    }
    let generator = BigGan::from_checkpoint(Checkpoint::from_f32(weights)?, &Device::Cpu)?;
    let z: Vec<f32> = (0..batch * 128).map(|i| (i as f32).sin()).collect();
    let z = Tensor::from_vec(z, (batch, 128), &Device::Cpu)?;
    let ws = generator.map(&z, Some(&vec![207; batch]), Truncation::psi(0.5))?;
    let options = Synthesis { threshold: 0.5, ..Synthesis::default() };
    for round in 0..=rounds {
        let start = Instant::now();
        generator.synthesize(&ws, &options)?;
        if round > 0 {
            println!("{:.2} images/s", batch as f64 / start.elapsed().as_secs_f64());
        }
    }
    Ok(())
}
