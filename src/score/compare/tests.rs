use ganscope_images::{Image, ImageSet};
use ganscope_stats::Features;

use super::*;
use crate::features::Cache;
use crate::models::extractor::Extractor;

/// A set of rows of one feature.
fn set(values: &[f32]) -> FeatureSet {
    FeatureSet::of_rows(Features::from_vec(values.to_vec(), 1).unwrap()).unwrap()
}

#[test]
fn a_biased_covariance_divides_by_the_number_of_images() {
    // Deviations -1, 0, 1 and a mean of 3: scatter 2, divided by 3.
    let biased = biased(&set(&[2.0, 3.0, 4.0])).unwrap();
    let stats = biased.stats.unwrap();
    assert!((stats.cov().unwrap()[(0, 0)] - 2.0 / 3.0).abs() < 1e-15);
    assert_eq!((stats.count(), stats.mean()[0]), (Some(3), 3.0));
    assert_eq!(stats.sample().unwrap().len(), 3);
}

#[test]
fn each_reason_is_told_once_with_all_that_it_keeps_out() {
    let out = |preset, reason: &str| LeftOut { extractor: "clip", preset, reason: reason.into() };
    let lines =
        LeftOut::lines(&[out("a", "no weights"), out("b", "too old"), out("c", "no weights")]);
    assert_eq!(lines, ["a of clip, c of clip: no weights", "b of clip: too old"]);
}

fn request() -> ComparePresetsRequest {
    let mut request = ComparePresetsRequest {
        generated: "models/samples".into(),
        reference: "models/samples".into(),
        ..ComparePresetsRequest::default()
    };
    request.features.extractor = Some("fashion-cnn".into());
    request.features.cache = Cache::Off;
    request
}

#[test]
fn what_a_comparison_of_all_conventions_cannot_have_is_refused() {
    let mut preset = request();
    preset.features.preset = Some("clean-fid".into());
    let mut resize = request();
    resize.features.resize = Some(ganscope_images::Resize::TfBilinear);
    let held_out = ComparePresetsRequest { metrics: Some(vec!["ct".into()]), ..request() };
    let lone = ComparePresetsRequest { reference: String::new(), ..request() };
    for (request, part) in [
        (preset, "no `preset`"),
        (resize, "no `resize`"),
        (held_out, "three sets"),
        (lone, "a generated and a reference set"),
    ] {
        let error = compare_presets(&request, &mut ()).unwrap_err().report();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_set_too_small_for_a_metric_is_refused_before_an_image_is_read() {
    let folder = tempfile::tempdir().unwrap();
    (0..3).for_each(|i| std::fs::write(folder.path().join(format!("{i}.png")), "no PNG").unwrap());
    let few = folder.path().display().to_string();
    let metrics = Some(vec!["kid".into()]);
    let compared =
        ComparePresetsRequest { generated: few.clone(), metrics: metrics.clone(), ..request() };
    let error = compare_presets(&compared, &mut ()).unwrap_err();
    assert!(error.report().contains("generated set has 3"), "{}", error.report());
    let scored = crate::score::ScoreRequest {
        generated: vec![few],
        reference: Some("models/samples".into()),
        metrics,
        features: request().features,
        ..crate::score::ScoreRequest::default()
    };
    let error = crate::score::score(&scored, &mut ()).unwrap_err();
    assert!(error.report().contains("generated set has 3"), "{}", error.report());
}

#[test]
fn the_spread_is_a_share_of_the_largest_value() {
    let row = |value: f64| Row {
        generated: "a".into(),
        reference: None,
        name: "fid".into(),
        title: "FID".into(),
        value,
        std: None,
        standard_error: None,
        interval: None,
        higher_is_better: false,
    };
    let tool = |name: &'static str, scores: Vec<Row>| ToolRow {
        tool: name,
        also: &[],
        preset: "p",
        resize: String::new(),
        scaling: String::new(),
        splits: Splits::InOrder,
        covariance: Covariance::Biased,
        scores: scores.into_iter().map(Some).collect(),
    };
    let column = Column {
        name: "fid".into(),
        title: "FID".into(),
        higher_is_better: false,
        spread: None,
        extremes: None,
    };
    let mut table = ConventionTable {
        extractor: "x".into(),
        weights_sha256: String::new(),
        layer: String::new(),
        columns: vec![column],
        rows: vec![tool("a", vec![row(4.0)]), tool("b", vec![]), tool("c", vec![row(5.0)])],
    };
    table.finish();
    assert_eq!(table.columns[0].spread, Some(0.2));
    assert_eq!(table.columns[0].extremes, Some(["a".into(), "c".into()]));
    assert_eq!(table.rows[1].scores, [None]);
}

/// An extractor of fashion-cnn under a resize.
fn extractor(preset: &str) -> Extractor {
    let mut features = request().features;
    features.preset = Some(preset.into());
    features.open_extractor(Needs::STATS | Needs::FEATURES, None, &mut ()).unwrap()
}

#[test]
fn lanes_have_the_rows_of_their_own_runs_and_share_passes() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::features::{Gatherer, Shard, extraction, together};

    let all = [extractor("torch-fidelity"), extractor("clean-fid")];
    // Images of the size of the network's input, which no resize changes, and larger ones.
    let size = all[0].network.input_size();
    let image = move |i: usize| {
        let side = if i < 5 { size } else { size + 12 };
        let pixels = (0..3 * side * side).map(|p| ((p / 3 * (i + 7)) % 251) as u8).collect();
        Image { width: side, height: side, pixels }
    };
    let decoded = Arc::new(AtomicUsize::new(0));
    let count = decoded.clone();
    let images = ImageSet::from_fn(8, move |i| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(image(i))
    });
    let lanes = all.each_ref().map(|extractor| together::Lane {
        extractor,
        preprocess: extractor.preprocess,
        convention: &extractor.convention,
    });
    let mut features = request().features;
    features.batch = 5;
    let filled = together::fill(&features, "set", &images, &lanes, &mut ()).unwrap();
    // Once for their facts, once for their pixels.
    assert_eq!(decoded.load(Ordering::SeqCst), 2 * 8);
    // 5 images are the same under both resizes.
    assert_eq!(filled.passes, 5 + 3 + 3);
    for (extractor, store) in all.iter().zip(filled.stores) {
        let mut gatherer = Gatherer::new(&features, extractor);
        let needs = Needs::FEATURES;
        let alone = gatherer.gather_images("set", &images, Shard::WHOLE, needs, &mut ()).unwrap();
        assert_eq!(alone.set.features, extraction::collect(store, needs).unwrap().features);
    }
}

#[test]
fn a_cache_that_is_ahead_in_one_lane_is_continued() {
    use crate::features::{Gatherer, Shard, extraction, together};

    let folder = tempfile::tempdir().unwrap();
    let gray = |i: usize| Image::filled(40, 40, [(17 * i) as u8; 3]);
    let images = ImageSet::from_fn(9, move |i| Ok(gray(i)));
    let all = [extractor("torch-fidelity"), extractor("clean-fid")];
    let lanes = all.each_ref().map(|extractor| together::Lane {
        extractor,
        preprocess: extractor.preprocess,
        convention: &extractor.convention,
    });
    let mut features = request().features;
    features.cache = Cache::Folder(folder.path().to_owned());
    features.batch = 4;
    // The first lane is full, as an earlier run of the other verb left it.
    let mut gatherer = Gatherer::new(&features, &all[0]);
    gatherer.gather_images("set", &images, Shard::WHOLE, Needs::FEATURES, &mut ()).unwrap();
    drop(gatherer);
    let filled = together::fill(&features, "set", &images, &lanes, &mut ()).unwrap();
    assert_eq!(filled.passes, 9);
    let rows: Vec<_> = filled
        .stores
        .into_iter()
        .map(|store| extraction::collect(store, Needs::FEATURES).unwrap().features.unwrap())
        .collect();
    assert_eq!(rows[0].len(), 9);
    assert_eq!(rows[1].len(), 9);
}
