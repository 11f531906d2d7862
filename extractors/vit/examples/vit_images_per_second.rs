//! Rate of DINOv2 at 224 pixels, and where the time goes.
//!
//! `cargo run --release -p ganscope-vit --example vit_images_per_second -- [s|b|l] [BATCH] [ROUNDS]`
//!
//! With `turns` for the rounds it runs once for each line of standard input and prints the seconds,
//! so that another program can run in turns with it.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::sync::Arc;
use std::time::Instant;

use ganscope_model::{Checkpoint, Engine, Result};
use ganscope_vit::{Config, Vit};

/// A checkpoint with small numbers.
fn checkpoint(width: usize, depth: usize) -> Result<Checkpoint> {
    let mut tensors = BTreeMap::new();
    let mut add = |name: &str, shape: &[usize]| {
        let count: usize = shape.iter().product();
        let value = |i: usize| ((i as f32 * 0.618_034).fract() - 0.5) * 0.1;
        tensors.insert(name.to_owned(), (shape.to_vec(), (0..count).map(value).collect()));
    };
    add("cls_token", &[1, 1, width]);
    add("pos_embed", &[1, 1370, width]);
    add("patch_embed.proj.weight", &[width, 3, 14, 14]);
    add("patch_embed.proj.bias", &[width]);
    for block in 0..depth {
        let mut layer = |name: &str, shape: &[usize]| {
            add(&format!("blocks.{block}.{name}.weight"), shape);
            add(&format!("blocks.{block}.{name}.bias"), &shape[..1]);
        };
        layer("norm1", &[width]);
        layer("attn.qkv", &[3 * width, width]);
        layer("attn.proj", &[width, width]);
        layer("norm2", &[width]);
        layer("mlp.fc1", &[4 * width, width]);
        layer("mlp.fc2", &[width, 4 * width]);
        add(&format!("blocks.{block}.ls1.gamma"), &[width]);
        add(&format!("blocks.{block}.ls2.gamma"), &[width]);
    }
    add("norm.weight", &[width]);
    add("norm.bias", &[width]);
    Checkpoint::from_f32(tensors)
}

/// Seconds of one run.
fn seconds(engine: &Engine, input: &[f32], batch: usize) -> Result<f64> {
    let start = Instant::now();
    engine.run(input, (batch, 224, 224))?;
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds of the fastest of some runs up to the step `name`.
fn fastest(vit: &Vit, name: &str, input: &[f32], batch: usize, rounds: usize) -> Result<f64> {
    let engine = Engine::new(Arc::clone(vit.network()), &[vit.network().node(name)?]);
    let mut best = f64::INFINITY;
    for _ in 0..=rounds {
        best = best.min(seconds(&engine, input, batch)?);
    }
    Ok(best)
}

fn main() -> Result<()> {
    let argument = |i: usize, default: &str| std::env::args().nth(i).unwrap_or(default.to_owned());
    let (width, depth) = match argument(1, "s").as_str() {
        "b" => (768, 12),
        "l" => (1024, 24),
        _ => (384, 12),
    };
    ganscope_kernels::pool(0).build_global().expect("no thread has been started before");
    let batch: usize = argument(2, "8").parse().unwrap_or(8);
    let vit = Vit::dinov2(checkpoint(width, depth)?, &Config::default())?;
    let input: Vec<f32> =
        (0..batch * 224 * 224 * 3).map(|i| (i as f32 * 0.618_034).fract() - 0.5).collect();
    if argument(3, "5") == "turns" {
        let engine = Engine::new(Arc::clone(vit.network()), &[vit.network().node("cls")?]);
        for _ in std::io::stdin().lock().lines() {
            println!("{}", seconds(&engine, &input, batch)?);
        }
        return Ok(());
    }
    let rounds = argument(3, "5").parse().unwrap_or(5);
    let all = fastest(&vit, "cls", &input, batch, rounds)?;
    println!("{:.2} images/s, batch {batch}", batch as f64 / all);
    // The steps of the third block, each as the difference of two runs that end one step apart.
    let steps = ["attn.qkv", "attn", "attn.proj", "norm2", "mlp.fc1", "mlp.act", "mlp.fc2"];
    let mut before = fastest(&vit, "blocks.2.norm1", &input, batch, rounds)?;
    for step in steps {
        let after = fastest(&vit, &format!("blocks.2.{step}"), &input, batch, rounds)?;
        println!("{step:10} {:7.2} ms", 1e3 * (after - before));
        before = after;
    }
    Ok(())
}
