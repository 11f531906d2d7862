//! A custom metric: the cosine between the mean features of two sets.
//!
//! `cargo run --release --example custom_metric`
#![expect(clippy::print_stdout, reason = "an example prints")]

use ganscope::Result;
use ganscope::score::{Custom, ScoreRequest, score_with};
use ganscope::stats::{self, FeatureSet, Metric, Needs, Score, Side};

/// `<m1, m2> / (|m1| |m2|)` of the mean features.
struct MeanCosine;

impl Metric for MeanCosine {
    fn name(&self) -> &'static str {
        "mean-cosine"
    }

    fn title(&self) -> &'static str {
        "cosine of the means"
    }

    /// All that it reads: nothing else is kept in memory.
    fn needs(&self, _side: Side) -> Needs {
        Needs::STATS
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> stats::Result<Vec<Score>> {
        let mean = |set: &FeatureSet| set.stats.as_ref().map(|stats| stats.mean().clone());
        let means = mean(generated).zip(reference.and_then(mean));
        let cosine = means.map_or(f64::NAN, |(a, b)| a.dot(&b) / (a.norm() * b.norm()));
        Ok(vec![Score::new(self.name(), self.title(), cosine, true)])
    }
}

fn value() -> Result<f64> {
    let mut request = ScoreRequest {
        generated: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/models/samples").into()],
        reference: Some("fashion-test".into()),
        ..ScoreRequest::default()
    };
    request.features.extractor = Some("fashion-cnn".into());
    let custom = Custom { metrics: vec![Box::new(MeanCosine)], ..Custom::default() };
    Ok(score_with(&request, custom, &mut ())?.scores[0].value)
}

fn main() -> Result<()> {
    value().map(|value| println!("cosine of the means: {value:.6}"))
}

#[test]
fn samples_resemble_the_reference() {
    assert!((0.5..=1.0).contains(&value().unwrap()));
}
