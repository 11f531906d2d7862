//! Seconds that each explanation of one image takes on FID Inception at 299 pixels, with weights of
//! the recipe: the time does not depend on them.
//!
//! `cargo run --release -p ganscope-explain --example inception_seconds -- [THREADS] [RUNS]`

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::sync::Arc;
use std::time::Instant;

use ganscope_explain::{Explainer, Method, Occlusion, Settings, Target};
use ganscope_golden as golden;
use ganscope_images::Image;
use ganscope_inception::{INPUT_SIZE, network};
use ganscope_model::{Checkpoint, Classifier, Normalization};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).map(|a| a.parse::<usize>());
    let threads = numbers.next().unwrap_or(Ok(2))?;
    let runs = numbers.next().unwrap_or(Ok(3))?;
    let weights = golden::weights("inception-weights.json");
    let explainer = Explainer::new(Classifier {
        id: "inception".into(),
        network: Arc::new(network(Checkpoint::from_f32(weights)?)?),
        input_size: INPUT_SIZE,
        normalization: Normalization::Unit,
        labels: Vec::new(),
    });
    let pixels = golden::image(50, INPUT_SIZE, INPUT_SIZE);
    let image = explainer.prepare(&Image { width: INPUT_SIZE, height: INPUT_SIZE, pixels })?;
    let target = Target::class(&explainer.classifier().network, 7);
    let settings = Settings {
        occlusion: Occlusion { window: [50, 50], stride: [25, 25], ..Occlusion::default() },
        ..Settings::default()
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    println!("{:22} {:>9}", "method", "seconds");
    for method in Method::ALL {
        // The first run packs the weights.
        let mut seconds = Vec::new();
        for _ in 0..=runs {
            let start = Instant::now();
            if let Err(error) =
                pool.install(|| explainer.explain(method, &image, &target, &settings))
            {
                println!("{method:22} {error}");
                break;
            }
            seconds.push(start.elapsed().as_secs_f64());
        }
        if seconds.len() > 1 {
            seconds[1..].sort_by(f64::total_cmp);
            println!("{method:22} {:9.3}", seconds[seconds.len() / 2]);
        }
    }
    Ok(())
}
