//! Explains what a classifier sees in a picture: two heat maps and their sums.
//!
//! `cargo run --release --example explain_image -- picture.png`
#![expect(clippy::print_stdout, reason = "an example prints")]

use ganscope::Result;
use ganscope::explain::{ExplainRequest, Explained, explain};
use ganscope::models::classifier::ClassifierRequest;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/samples/3-dress-0.png");

fn explained(picture: String) -> Result<Explained> {
    let request = ExplainRequest {
        methods: vec!["grad-cam".into(), "lrp".into()],
        images: vec![picture],
        // The shipped classifier knows garments only.
        classifier: ClassifierRequest { model: Some("fashion-cnn".into()), ..Default::default() },
        ..ExplainRequest::default()
    };
    Ok(explain(&request, &mut ())?.swap_remove(0))
}

fn main() -> Result<()> {
    let found = explained(std::env::args().nth(1).unwrap_or_else(|| SAMPLE.into()))?;
    println!("{}, {:.1} %", found.title, 100.0 * found.report.target.probability);
    for facts in &found.report.maps {
        println!("{}: sum {:.3}", facts.method, facts.sum);
    }
    // Maps are data until they are drawn.
    found.write("explained".as_ref(), true)
}

#[test]
fn a_dress_is_a_dress() {
    let found = explained(SAMPLE.into()).unwrap();
    assert_eq!(found.title, "dress (3)");
    assert_eq!(found.maps.len(), 2);
}
