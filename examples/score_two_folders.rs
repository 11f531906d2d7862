//! Scores a folder of generated images against a folder of real ones, with progress.
//!
//! `cargo run --release --example score_two_folders -- GENERATED REFERENCE`
//!
//! Without folders it scores the sample pictures of the repository against the shipped statistics of
//! Fashion-MNIST.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]

use ganscope::score::{ScoreRequest, score};
use ganscope::{Result, Step, Warning, Watch};

/// Prints warnings and how far the task is.
struct Printer;

impl Watch for Printer {
    fn step(&mut self, step: Step<'_>) {
        eprintln!("{}: {} of {:?}", step.what, step.done, step.total);
    }

    fn warn(&mut self, warning: &Warning) {
        eprintln!("warning: {warning}");
    }
}

fn main() -> Result<()> {
    let folders: Vec<String> = std::env::args().skip(1).collect();
    let mut request = shipped();
    if let [generated, reference] = &folders[..] {
        let (generated, reference) = (vec![generated.clone()], Some(reference.clone()));
        request = ScoreRequest { generated, reference, ..ScoreRequest::default() };
    }
    let report = score(&request, &mut Printer)?;
    for row in &report.scores {
        println!("{:<24} {:.6}", row.title, row.value);
    }
    Ok(())
}

/// What needs no download.
fn shipped() -> ScoreRequest {
    let mut request = ScoreRequest {
        generated: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/models/samples").into()],
        reference: Some("fashion-test".into()),
        metrics: Some(vec!["fid".into()]),
        ..ScoreRequest::default()
    };
    request.features.extractor = Some("fashion-cnn".into());
    request
}

#[test]
fn the_samples_are_scored() {
    let report = score(&shipped(), &mut ()).unwrap();
    assert_eq!(report.scores.len(), 1);
    assert!(report.scores[0].value > 0.0, "{}", report.scores[0].value);
}
