//! Explains an image by every method, side by side, with the deletion curve of each.
//!
//! `cargo run --release -p ganscope-explain --example explain_image -- resnet18 WEIGHTS IMAGE OUT.png [CLASS]`

#![expect(clippy::print_stdout, reason = "an example prints its table")]

use std::path::Path;

use ganscope_classifiers::Architecture;
use ganscope_explain::cam::enlarge;
use ganscope_explain::measure::{Curve, Selectivity, area};
use ganscope_explain::{Explainer, Method, Occlusion, Settings, Target, heat};
use ganscope_model::{Checkpoint, FeatureMap, Shape};
use ganscope_stats::random::RandomState;
use ganscope_weights::ReadOptions;

type Failure = Box<dyn std::error::Error>;

/// Steps of a deletion curve.
const STEPS: usize = 49;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [architecture, weights, image, out, rest @ ..] = arguments.as_slice() else {
        return Err("arguments: ARCHITECTURE WEIGHTS IMAGE OUT.png [CLASS]".into());
    };
    let weights = ganscope_weights::read(Path::new(weights), &ReadOptions::default())?;
    let architecture: Architecture = architecture.parse()?;
    let explainer = Explainer::new(architecture.classifier(Checkpoint::from(weights))?);
    let picture = ganscope_images::decode(&std::fs::read(image)?, image)?.image;
    let prepared = explainer.prepare(&picture)?;

    let probabilities = explainer.probabilities(&prepared.input)?;
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let label = |class: usize| explainer.classifier().labels.get(class).map_or("", String::as_str);
    for &class in &order[..order.len().min(5)] {
        println!("{:5.1} %  {class:4}  {}", 100.0 * probabilities[class], label(class));
    }
    let class = match rest {
        [class, ..] => class.parse()?,
        [] => order[0],
    };
    let target = Target::class(&explainer.classifier().network, class);

    let settings = Settings {
        occlusion: Occlusion { window: [32, 32], stride: [16, 16], ..Occlusion::default() },
        ..Settings::default()
    };
    let size = explainer.classifier().input_size;
    let deletion = |map: &FeatureMap| -> Result<f64, Failure> {
        let baseline = prepared.input.map(|_| 0.0);
        let score = |batch: &FeatureMap| explainer.score(batch, &target);
        let selectivity = Selectivity { curve: Curve::Deletion, patch: 16, steps: STEPS };
        let curve = selectivity.measure(&prepared.input, &baseline, map, score)?;
        let (whole, empty) = (curve[0], curve[STEPS]);
        Ok(area(&curve.iter().map(|s| (s - empty) / (whole - empty)).collect::<Vec<_>>()))
    };
    let mut random = RandomState::new(0);
    let noise = (0..size * size).map(|_| random.uniform() as f32).collect();
    let noise = FeatureMap::new(1, Shape { c: 1, h: size, w: size }, noise)?;
    println!("\n{:22} {:>9} {:>9}", "method", "deletion", "seconds");
    println!("{:22} {:9.3}", "chance", deletion(&noise)?);

    let mut pictures = vec![prepared.picture.clone()];
    for method in Method::ALL {
        let start = std::time::Instant::now();
        let explanation = match explainer.explain(method, &prepared, &target, &settings) {
            Ok(explanation) => explanation,
            Err(error) => {
                println!("{method:22} {error}");
                continue;
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        let map = &explanation.map;
        println!("{method:22} {:9.3} {seconds:9.2}", deletion(&enlarge(map, [size, size]))?);
        let heat = heat::draw(map, heat::Palette::of(map), heat::scale(map, 0.995), [size, size]);
        pictures.push(heat::overlay(&prepared.picture, &heat, 0.7)?);
    }
    let sheet = ganscope_images::grid(&pictures, 5, 4, [255, 255, 255]);
    ganscope_images::save_png(Path::new(out), &sheet)?;
    Ok(())
}
