//! All metrics on stored features, through the request, against the reference implementations.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use ganscope::score::{Report, ScoreRequest, score};
use ganscope::stats::files::{self, Convention, Stored};
use ganscope::stats::{FeatureSet, FeatureStats, Features};
use ganscope_golden::{json, sets};

/// Metrics on given features, both sides float64.
const GIVEN: f64 = 1e-6;

fn set(rows: Features) -> FeatureSet {
    FeatureSet {
        stats: Some(FeatureStats::from_features(&rows)),
        features: Some(rows),
        ..FeatureSet::default()
    }
}

fn rows(name: &str) -> Features {
    let sets::Rows { data, dim } = sets::rows("clusters", name);
    Features::from_vec(data, dim).unwrap()
}

/// Writes a set as `ganscope stats` does, and returns its path.
fn write(folder: &Path, name: &str, set: FeatureSet) -> String {
    let path = folder.join(name).with_extension("safetensors");
    let convention = Convention {
        extractor: "given".into(),
        weights_sha256: "0".into(),
        layer: "last".into(),
        resize: "none".into(),
        scaling: "none".into(),
    };
    files::write(&path, &Stored { set, convention: Some(convention) }).unwrap();
    path.display().to_string()
}

fn scored(generated: String, reference: String, held_out: String, metrics: &[&str]) -> Report {
    let request = ScoreRequest {
        generated: vec![generated],
        reference: Some(reference),
        held_out: Some(held_out),
        metrics: Some(metrics.iter().map(|&name| name.to_owned()).collect()),
        ..ScoreRequest::default()
    };
    score(&request, &mut ()).unwrap()
}

fn value(report: &Report, name: &str) -> f64 {
    report.scores.iter().find(|row| row.name == name).unwrap().value
}

#[test]
fn scores_of_stored_features_are_those_of_the_reference_implementations() {
    let folder = tempfile::tempdir().unwrap();
    let [generated, train, test] =
        ["generated", "train", "test"].map(|name| write(folder.path(), name, set(rows(name))));
    let metrics = ["vendi", "clipped", "p-prc", "rarity", "authpct", "ct", "mifid", "fid"];
    let report = scored(generated, train, test, &metrics);
    let golden = json("metrics2.json");
    let expect = |name: &str, expected: &serde_json::Value| {
        let (found, expected) = (value(&report, name), expected.as_f64().unwrap());
        assert!((found / expected - 1.0).abs() < GIVEN, "{name}: {found} for {expected}");
    };
    let both = "clusters: reference train, generated generated";
    let vendi = &golden["vendi"]["clusters/generated"];
    expect("vendi", &vendi["q1"]["dual"]);
    expect("vendi_2", &vendi["q2"]["dual"]);
    expect("vendi_inf", &vendi["qinf"]["dual"]);
    let clipped = &golden["clipped"][format!("{both}, k 5")];
    expect("clipped_density", &clipped["clipped_density"]);
    expect("clipped_coverage", &clipped["clipped_coverage"]);
    expect("p_precision", &golden["p_precision_recall"]["clusters"]["p_precision"]);
    expect("p_recall", &golden["p_precision_recall"]["clusters"]["p_recall"]);
    expect("rarity", &golden["rarity_k3"]["clusters"]["mean_of_nonzero"]);
    expect("authpct", &golden["authpct"]["clusters"]["float64"]);
    expect("ct", &golden["ct"]["clusters"]["kmeans_random_state_0"]["c_t"]);
    expect("mifid", &golden["mifid"][both]["mifid"]);
    expect("fid", &golden["mifid"][both]["fid_exact"]);
    assert_eq!(report.conditions.held_out.as_ref().unwrap().images, Some(200));
    let json = serde_json::to_value(&report).unwrap();
    let fid = json["scores"].as_array().unwrap().last().unwrap();
    assert!(fid["standard_error"].as_f64().unwrap() > 0.0);
    assert!(fid["interval"][0].as_f64().unwrap() < fid["value"].as_f64().unwrap());
}

#[test]
fn shards_merged_in_any_order_give_the_same_scores_and_errors() {
    let folder = tempfile::tempdir().unwrap();
    let [train, test] = ["train", "test"].map(|name| write(folder.path(), name, set(rows(name))));
    let all = rows("generated");
    let shard = |range: std::ops::Range<usize>| set(all.select(&range.collect::<Vec<_>>()));
    let shards = [shard(0..50), shard(50..70), shard(70..320)];
    // Neither KID nor MIND: their subsets are drawn by the index of an image.
    let metrics =
        ["fid", "cmmd", "prdc", "prc", "clipped", "p-prc", "rarity", "vendi", "authpct", "mifid"];
    let reports: Vec<Report> = [[0, 1, 2], [2, 0, 1], [1, 2, 0]]
        .into_iter()
        .map(|order| {
            let mut merged = shards[order[0]].clone();
            order[1..].iter().for_each(|&i| merged.merge(shards[i].clone()).unwrap());
            let merged = write(folder.path(), &format!("{order:?}"), merged);
            scored(merged, train.clone(), test.clone(), &metrics)
        })
        .collect();
    for report in &reports[1..] {
        for (row, first) in report.scores.iter().zip(&reports[0].scores) {
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs().max(1e-3);
            assert!(near(row.value, first.value), "{}: {} {}", row.name, row.value, first.value);
            let errors = row.standard_error.zip(first.standard_error);
            assert!(errors.is_none_or(|(a, b)| near(a, b)), "{}: {errors:?}", row.name);
            assert_eq!(row.standard_error.is_some(), row.name != "p_recall" && row.name != "mifid");
        }
    }
}

#[test]
fn a_metric_of_three_sets_asks_for_the_third() {
    let request = ScoreRequest {
        generated: vec!["generated".into()],
        reference: Some("fashion-test".into()),
        metrics: Some(vec!["ct".into()]),
        ..ScoreRequest::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let generated = write(folder.path(), "generated", set(rows("generated")));
    let error = score(&ScoreRequest { generated: vec![generated], ..request }, &mut ());
    let error = error.unwrap_err();
    assert_eq!(error.to_string(), "C_T needs held-out images");
    assert!(error.hint().is_some());
}
