//! How many pictures a generator draws in a second.
//!
//! `cargo run --release --example images_per_second -- GENERATOR [BATCH] [RUNS]`
//!
//! With `turns` for the runs it draws once for each line of standard input and prints the seconds, so that another
//! program can run in turns with it.
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::io::BufRead as _;
use std::time::Instant;

use candle_core::Device;
use ganscope::Result;
use ganscope::catalog::open_generator;
use ganscope::latent::{Class, Sampler};
use ganscope::models::generator::{Generator, GeneratorOptions};

/// Seconds of a batch, from seeds to pictures.
fn seconds(generator: &Generator, batch: u32) -> Result<f64> {
    let network = &*generator.network;
    let class = (network.info().c_dim > 0).then_some(Class::BySeed);
    let sampler = Sampler::new(network, 0.5, class)?;
    let seeds: Vec<u32> = (0..batch).collect();
    let start = Instant::now();
    sampler.images(network, &seeds)?;
    Ok(start.elapsed().as_secs_f64())
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let argument = |i, default: &str| std::env::args().nth(i).unwrap_or_else(|| default.into());
    let (name, batch, runs) =
        (argument(1, "fashion-stylegan2"), argument(2, "4").parse()?, argument(3, "5"));
    ganscope::keep_memory();
    ganscope::pool(0).build_global()?;
    let generator = open_generator(&name, &GeneratorOptions::default(), &Device::Cpu, &mut ())?;
    if runs == "turns" {
        for line in std::io::stdin().lock().lines() {
            line?;
            println!("{}", seconds(&generator, batch)?);
        }
        return Ok(());
    }
    for _ in 0..runs.parse()? {
        println!("{:.2} images/s", f64::from(batch) / seconds(&generator, batch)?);
    }
    Ok(())
}

#[test]
fn every_shipped_generator_draws_in_measurable_time() {
    for name in ["fashion-stylegan2", "fashion-biggan"] {
        let generator = open_generator(name, &GeneratorOptions::default(), &Device::Cpu, &mut ());
        assert!(seconds(&generator.unwrap(), 2).unwrap() > 0.0, "{name}");
    }
}
