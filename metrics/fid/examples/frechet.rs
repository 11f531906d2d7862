//! Seconds of a Fréchet distance from statistics of 2048 dimensions.
//!
//! `cargo run --release -p ganscope-fid --example frechet -- [IMAGES] [ROUNDS] [error]`
//!
//! With `error`, of the distance and its standard error.
//!
//! The features are random, and vary less from dimension to dimension as those of a network do. With
//! `turns` for the rounds it runs once for each line of standard input and prints the seconds, so that
//! another program can run in turns with it.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::io::BufRead as _;
use std::time::Instant;

use ganscope_fid::{frechet_distance, frechet_distance_with_error};
use ganscope_stats::{FeatureStats, Features, Result, StatsBuilder};

const DIM: usize = 2048;
/// Dimensions over which the standard deviation falls by e.
const DECAY: f32 = 300.0;

fn stats(name: &str, images: usize) -> Result<FeatureStats> {
    let mut rows = ganscope_golden::tensor(name, &[images, DIM], (0.0, 1.0), 0);
    for (index, value) in rows.iter_mut().enumerate() {
        *value *= (-((index % DIM) as f32) / DECAY).exp();
    }
    let mut builder = StatsBuilder::new(DIM)?;
    builder.push(&Features::from_vec(rows, DIM)?)?;
    Ok(builder.finish())
}

fn main() -> Result<()> {
    let argument = |i: usize, default: &str| std::env::args().nth(i).unwrap_or(default.to_owned());
    let images = argument(1, "5000").parse().unwrap_or(5000);
    let (generated, reference) = (stats("generated", images)?, stats("reference", images)?);
    let seconds = || {
        let start = Instant::now();
        if argument(3, "") == "error" {
            frechet_distance_with_error(&generated, &reference)?;
        } else {
            frechet_distance(&generated, &reference)?;
        }
        Result::Ok(start.elapsed().as_secs_f64())
    };
    if argument(2, "5") == "turns" {
        for _ in std::io::stdin().lock().lines() {
            println!("{}", seconds()?);
        }
        return Ok(());
    }
    for _ in 0..argument(2, "5").parse().unwrap_or(5) {
        println!("{:.3} s for statistics of {images} images", seconds()?);
    }
    Ok(())
}
