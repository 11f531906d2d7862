//! Scores a generator at three truncations and prints what truncation trades.
//!
//! `cargo run --release --example truncation_sweep`
#![expect(clippy::print_stdout, reason = "an example prints")]

use ganscope::Result;
use ganscope::latents::DrawingRequest;
use ganscope::score::sweep::{Sweep, SweepRequest, sweep};

/// The shipped BigGAN against the shipped statistics of the test images.
fn request(images: usize) -> SweepRequest {
    let mut request = SweepRequest {
        drawing: DrawingRequest { batch: 16, ..DrawingRequest::of("fashion-biggan") },
        truncations: vec![0.3, 0.6, 1.0],
        reference: "fashion-test".into(),
        metrics: vec!["is".into(), "fid".into()],
        ..SweepRequest::default()
    };
    request.features.extractor = Some("fashion-cnn".into());
    request.features.num = Some(images);
    request
}

/// A result is data: a table, curves or a page are drawn from it.
fn table(sweep: &Sweep) -> String {
    sweep.csv()
}

fn main() -> Result<()> {
    let found = sweep(&request(2000), &mut ())?;
    print!("{}", table(&found));
    for named in found.curves() {
        ganscope::files::write_text(format!("{}.svg", named.name).as_ref(), &named.curve.svg()?)?;
    }
    Ok(())
}

#[test]
fn truncation_raises_the_inception_score() {
    let found = sweep(&request(200), &mut ()).unwrap();
    let score = |i: usize| found.points[i].scores[0].value;
    assert!(score(0) > score(2), "{}", table(&found));
}
