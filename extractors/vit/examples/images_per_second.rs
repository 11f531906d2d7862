//! Rate of ViT-S/14 at 224 pixels, and where the time goes.
//!
//! `cargo run --release -p ganscope-vit --example images_per_second -- [BATCH] [ROUNDS]`

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use ganscope_model::{Checkpoint, Engine, Result};
use ganscope_vit::{Config, Vit};

const WIDTH: usize = 384;

/// A checkpoint of ViT-S/14 with small numbers.
fn checkpoint() -> Result<Checkpoint> {
    let mut tensors = BTreeMap::new();
    let mut add = |name: &str, shape: &[usize]| {
        let count: usize = shape.iter().product();
        let value = |i: usize| ((i as f32 * 0.618_034).fract() - 0.5) * 0.1;
        tensors.insert(name.to_owned(), (shape.to_vec(), (0..count).map(value).collect()));
    };
    add("cls_token", &[1, 1, WIDTH]);
    add("pos_embed", &[1, 1370, WIDTH]);
    add("patch_embed.proj.weight", &[WIDTH, 3, 14, 14]);
    add("patch_embed.proj.bias", &[WIDTH]);
    for block in 0..12 {
        let mut layer = |name: &str, shape: &[usize]| {
            add(&format!("blocks.{block}.{name}.weight"), shape);
            add(&format!("blocks.{block}.{name}.bias"), &shape[..1]);
        };
        layer("norm1", &[WIDTH]);
        layer("attn.qkv", &[3 * WIDTH, WIDTH]);
        layer("attn.proj", &[WIDTH, WIDTH]);
        layer("norm2", &[WIDTH]);
        layer("mlp.fc1", &[4 * WIDTH, WIDTH]);
        layer("mlp.fc2", &[WIDTH, 4 * WIDTH]);
        add(&format!("blocks.{block}.ls1.gamma"), &[WIDTH]);
        add(&format!("blocks.{block}.ls2.gamma"), &[WIDTH]);
    }
    add("norm.weight", &[WIDTH]);
    add("norm.bias", &[WIDTH]);
    Checkpoint::from_f32(tensors)
}

/// Seconds of the fastest of some runs up to the step `name`.
fn seconds(vit: &Vit, name: &str, input: &[f32], batch: usize, rounds: usize) -> Result<f64> {
    let engine = Engine::new(Arc::clone(vit.network()), &[vit.network().node(name)?]);
    let mut best = f64::INFINITY;
    for _ in 0..=rounds {
        let start = Instant::now();
        engine.run(input, (batch, 224, 224))?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn main() -> Result<()> {
    let argument = |i: usize, default| std::env::args().nth(i).map_or(Ok(default), |a| a.parse());
    let parse = |i, default| argument(i, default).unwrap_or(default);
    let (batch, rounds) = (parse(1, 8), parse(2, 5));
    let vit = Vit::dinov2(checkpoint()?, &Config::default())?;
    let input: Vec<f32> =
        (0..batch * 224 * 224 * 3).map(|i| (i as f32 * 0.618_034).fract() - 0.5).collect();
    let all = seconds(&vit, "cls", &input, batch, rounds)?;
    println!("{:.2} images/s, batch {batch}", batch as f64 / all);
    // The steps of the third block, each as the difference of two runs that end one step apart.
    let steps = ["attn.qkv", "attn", "attn.proj", "norm2", "mlp.fc1", "mlp.act", "mlp.fc2"];
    let mut before = seconds(&vit, "blocks.2.norm1", &input, batch, rounds)?;
    for step in steps {
        let after = seconds(&vit, &format!("blocks.2.{step}"), &input, batch, rounds)?;
        println!("{step:10} {:7.2} ms", 1e3 * (after - before));
        before = after;
    }
    Ok(())
}
