use ganscope_fid::Fid;
use ganscope_stats::Metric as _;
use ganscope_stats::random::RandomState;

use super::*;
use crate::features::Cache;

/// Normal features of width 6, the first of them moved.
fn drawn(n: usize, shift: f64, random: &mut RandomState) -> FeatureSet {
    let value = |i: usize, random: &mut RandomState| {
        random.standard_normal() + if i.is_multiple_of(6) { shift } else { 0.0 }
    };
    let rows = (0..n * 6).map(|i| value(i, random) as f32).collect();
    FeatureSet::of_rows(Features::from_vec(rows, 6).unwrap()).unwrap()
}

fn fid(set: &FeatureSet, reference: &FeatureSet) -> Score {
    Fid.score(set, Some(reference)).unwrap().remove(0)
}

#[test]
fn planned_numbers_of_images_have_the_promised_power() {
    // The Fréchet distance of equal covariances is the squared distance of the means.
    let (first, difference) = (1.5_f64, 0.5);
    let second = (first * first + difference).sqrt();
    let mut random = RandomState::new(11);
    let reference = drawn(4000, 0.0, &mut random);
    for power in [0.5, 0.8, 0.95] {
        // Pilots scatter; the power of the average plan is what is promised.
        let pilots = 20;
        let planned: Vec<u64> = (0..pilots)
            .map(|_| {
                let pilot = fid(&drawn(500, first, &mut random), &reference);
                images_needed(pilot.standard_error.unwrap(), 500, difference, power, 0.05)
            })
            .collect();
        let images = (planned.iter().sum::<u64>() / pilots) as usize;
        let repetitions = 300;
        let seen = (0..repetitions).filter(|_| {
            let a = fid(&drawn(images, first, &mut random), &reference);
            let b = fid(&drawn(images, second, &mut random), &reference);
            let error = a.standard_error.unwrap().hypot(b.standard_error.unwrap());
            (b.value - a.value).abs() > 1.96 * error
        });
        let share = seen.count() as f64 / f64::from(repetitions);
        // 300 trials scatter by up to 0.09. The plan takes the error of the first generator for that of
        // the second, whose square is larger by a fifth: at 0.8 that costs 0.05.
        assert!((share - power).abs() < 0.12, "{share} instead of {power} with {images} images");
    }
}

#[test]
fn numbers_by_hand() {
    // (1.959964 + 0.841621)^2 = 7.84888
    assert_eq!(images_needed(1.0, 100, 1.0, 0.8, 0.05), 1570);
    // A tenth of the difference needs a hundred times the images.
    assert_eq!(images_needed(1.0, 100, 0.1, 0.8, 0.05), 156_978);
    assert_eq!(images_needed(1e-9, 100, 1.0, 0.8, 0.05), 2);
}

fn request() -> PlanRequest {
    let mut request = PlanRequest {
        generated: Some("models/samples".into()),
        reference: Some("fashion-test".into()),
        difference: 0.5,
        ..PlanRequest::default()
    };
    request.features.extractor = Some("fashion-cnn".into());
    request.features.cache = Cache::Off;
    request
}

#[test]
fn a_plan_of_the_shipped_samples() {
    let found = plan(&request(), &mut ()).unwrap();
    let [of_fid] = &found.plans[..] else { panic!("one plan") };
    let error = of_fid.score.standard_error.unwrap();
    assert_eq!(of_fid.measured, 40);
    assert_eq!(of_fid.needed, images_needed(error, 40, 0.5, 0.8, 0.05));
    assert!(of_fid.needed > 40);
    // With the visible difference, the images at hand are the plan.
    assert_eq!(images_needed(error, 40, of_fid.visible * 1.0001, 0.8, 0.05), 40);
    let half = of_fid.half.as_ref().unwrap();
    assert!(half.value > of_fid.score.value, "the bias falls");
    let exponent = of_fid.exponent.unwrap();
    assert!((exponent - (half.standard_error.unwrap() / error).log2()).abs() < 1e-9);
    assert!(of_fid.notes[0].contains("biased upwards"), "{:?}", of_fid.notes);
}

#[test]
fn a_metric_of_several_scores_has_several_plans_and_halves_stand_in_for_a_generator() {
    let mut several = PlanRequest { metric: "prdc".into(), ..request() };
    several.options.nearest_k = Some(3);
    several.difference = 0.1;
    let names = |request: &PlanRequest| -> Vec<String> {
        let found = plan(request, &mut ()).unwrap();
        found.plans.into_iter().map(|plan| plan.score.name).collect()
    };
    assert_eq!(names(&several), ["precision", "recall", "density", "coverage"]);
    let lone = PlanRequest { generated: None, reference: several.generated.clone(), ..request() };
    let found = plan(&lone, &mut ()).unwrap();
    assert_eq!(found.plans[0].measured, 20);
    assert_eq!(found.plans[0].score.generated, "models/samples (even images)");
    assert!(found.plans[0].notes.last().unwrap().contains("half of the reference"));
}

#[test]
fn what_cannot_be_planned_is_refused() {
    let given = |change: fn(&mut PlanRequest)| {
        let mut request = request();
        change(&mut request);
        plan(&request, &mut ()).unwrap_err().report()
    };
    assert!(given(|r| r.difference = 0.0).contains("`difference` is 0, expected more than 0"));
    assert!(given(|r| r.difference = f64::NAN).contains("`difference` is NaN"));
    assert!(given(|r| r.power = 1.0).contains("`power` is 1"));
    assert!(given(|r| r.alpha = -0.1).contains("`alpha` is -0.1"));
    assert!(given(|r| (r.power, r.alpha) = (0.01, 0.9)).contains("by chance"));
    assert!(given(|r| r.metric = "ct".into()).contains("held-out"));
    assert!(given(|r| r.generated = None).contains("no images to take for generated"));
    assert!(given(|r| (r.generated, r.reference) = (None, None)).contains("no set"));
}
