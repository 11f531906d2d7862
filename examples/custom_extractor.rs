//! A custom extractor: the mean of each color channel as three features.
//!
//! `cargo run --release --example custom_extractor`
#![expect(clippy::print_stdout, reason = "an example prints")]

use ganscope::Result;
use ganscope::images::{ImageBatch, Resize};
use ganscope::model::{self, FeatureExtractor};
use ganscope::models::extractor::Extractor;
use ganscope::score::{Custom, Row, ScoreRequest, score_with};
use ganscope::stats::{FeatureBatch, Features, Needs};

const SIZE: usize = 32;
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/samples");

#[derive(Debug)]
struct MeanColor;

impl FeatureExtractor for MeanColor {
    fn feature_dim(&self) -> usize {
        3
    }

    fn input_size(&self) -> usize {
        SIZE
    }

    /// Parts beside the features: neither logits nor spatial features.
    fn gives(&self) -> Needs {
        Needs::NONE
    }

    /// Pixels are on 0..255, (N, H, W, C).
    fn extract(&self, images: &ImageBatch) -> model::Result<FeatureBatch> {
        let mut means = vec![0.0; 3 * images.n];
        for (i, value) in images.data.iter().enumerate() {
            means[i / (SIZE * SIZE * 3) * 3 + i % 3] += value / (SIZE * SIZE) as f32;
        }
        let features = Features::from_vec(means, 3)?;
        Ok(FeatureBatch { features, logits: None, spatial: None })
    }
}

fn distance() -> Result<Row> {
    let color = Extractor::custom("color", "1", Resize::PillowBicubic, Box::new(MeanColor));
    let mut request = ScoreRequest { generated: vec![SAMPLES.into()], ..ScoreRequest::default() };
    (request.reference, request.metrics) = (Some(SAMPLES.into()), Some(vec!["fid".into()]));
    let custom = Custom { extractor: Some(color), ..Custom::default() };
    Ok(score_with(&request, custom, &mut ())?.scores.remove(0))
}

fn main() -> Result<()> {
    distance().map(|row| println!("{} {:.6}", row.title, row.value))
}

#[test]
fn a_set_has_no_distance_to_itself() {
    let row = distance().unwrap();
    assert!(row.title == "FD (color)" && row.value.abs() < 1e-6, "{row:?}");
}
