use ganscope_golden::{json, tensor};
use proptest::prelude::*;

use super::*;

fn set(name: &str, rows: usize, dim: usize, (low, high): (f64, f64)) -> Features {
    Features::from_vec(tensor(name, &[rows, dim], (low, high), 0), dim).unwrap()
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
}

/// The numbers by their definition, with all distances in float64.
fn slow(generated: &Features, reference: &Features, k: usize, boundary: Boundary) -> Manifolds {
    let radii = |set: &Features| -> Vec<f64> {
        let radius = |row: &[f32]| {
            let mut distances: Vec<f64> = set.rows().map(|r| squared_distance(row, r)).collect();
            distances.sort_by(f64::total_cmp);
            distances[k] // the first is the row itself
        };
        set.rows().map(radius).collect()
    };
    let inside = |distance: f64, radius: f64| match boundary {
        Boundary::Inside => distance <= radius,
        Boundary::Outside => distance < radius,
    };
    let (generated_radii, reference_radii) = (radii(generated), radii(reference));
    let (mut precise, mut recalled) = (vec![false; generated.len()], vec![false; reference.len()]);
    let (mut covered, mut balls) = (vec![false; reference.len()], 0);
    for (i, x) in reference.rows().enumerate() {
        for (j, y) in generated.rows().enumerate() {
            let distance = squared_distance(x, y);
            if inside(distance, reference_radii[i]) {
                (precise[j], covered[i]) = (true, true);
                balls += 1;
            }
            recalled[i] |= inside(distance, generated_radii[j]);
        }
    }
    let share = |flags: &[bool]| flags.iter().filter(|&&f| f).count() as f64 / flags.len() as f64;
    Manifolds {
        precision: share(&precise),
        recall: share(&recalled),
        density: f64::from(balls) / (k * generated.len()) as f64,
        coverage: share(&covered),
    }
}

fn golden(case: &str, side: &str) -> Features {
    let metrics = json("metrics.json");
    let number = |i: usize| metrics[case][side][i].as_f64().unwrap();
    let (rows, dim) = (number(0) as usize, number(1) as usize);
    set(&format!("features/{case}/{side}"), rows, dim, (number(2), number(3)))
}

#[test]
fn golden_counts_in_float64() {
    let metrics = json("metrics.json");
    for case in ["full-rank", "rank-deficient"] {
        let (generated, reference) = (golden(case, "fake"), golden(case, "real"));
        let near = |actual: f64, table: &str, key: &str| {
            let expected = metrics[case][table][key].as_f64().unwrap();
            // counts over a few hundred images, written with 16 digits
            assert!((actual - expected).abs() < 1e-12, "{case} {key}: {actual} for {expected}");
        };
        let found = manifolds(&generated, &reference, 5, Boundary::Outside).unwrap();
        near(found.precision, "prdc_k5", "precision");
        near(found.recall, "prdc_k5", "recall");
        near(found.density, "prdc_k5", "density");
        near(found.coverage, "prdc_k5", "coverage");
        let found = manifolds(&generated, &reference, 3, Boundary::Inside).unwrap();
        near(found.precision, "prc_k3_f64", "precision");
        near(found.recall, "prc_k3_f64", "recall");
        let printed = metrics[case]["prc_k3"]["f_score"].as_f64().unwrap();
        assert!((found.f_score() - printed).abs() < 1e-7); // from shares in float32
    }
}

#[test]
fn points_on_a_line_by_hand() {
    // reference 0, 1, 3 with radii 1, 1, 2; generated 2, 5, 9 with radii 3, 3, 4
    let line = |points: [f32; 3]| Features::from_vec(points.to_vec(), 1).unwrap();
    let (generated, reference) = (line([2.0, 5.0, 9.0]), line([0.0, 1.0, 3.0]));
    let found = manifolds(&generated, &reference, 1, Boundary::Inside).unwrap();
    // 2 is in the balls of 1 and 3, 5 in that of 3; all of 0, 1, 3 are in the ball of 2
    let expected =
        Manifolds { precision: 2.0 / 3.0, recall: 1.0, density: 3.0 / 3.0, coverage: 2.0 / 3.0 };
    assert_eq!(found, expected);
    let found = manifolds(&generated, &reference, 1, Boundary::Outside).unwrap();
    // 2 only in that of 3
    let expected =
        Manifolds { precision: 1.0 / 3.0, recall: 1.0, density: 1.0 / 3.0, coverage: 1.0 / 3.0 };
    assert_eq!(found, expected);
}

#[test]
fn a_collapsed_generator_is_precise_without_recall() {
    let reference = set("reference", 400, 8, (0.0, 1.0));
    let near = reference.row(7).to_vec().into_iter();
    let near: Vec<f32> = near
        .cycle()
        .take(300 * 8)
        .zip(tensor("jitter", &[2400], (0.0, 1e-4), 0))
        .map(|(x, e)| x + e)
        .collect();
    let generated = Features::from_vec(near, 8).unwrap();
    let found = manifolds(&generated, &reference, 5, Boundary::Outside).unwrap();
    assert_eq!(found.precision, 1.0);
    assert!(found.recall < 0.01 && found.coverage < 0.1, "{found:?}");
}

#[test]
fn copies_of_one_image_are_at_distance_zero() {
    // strict balls of radius zero are empty, closed ones hold the copies
    let copies = Features::from_vec([1.7, -0.3, 255.0].repeat(700), 3).unwrap();
    let open = manifolds(&copies, &copies, 5, Boundary::Outside).unwrap();
    assert_eq!(open, Manifolds { precision: 0.0, recall: 0.0, density: 0.0, coverage: 0.0 });
    let closed = manifolds(&copies, &copies, 5, Boundary::Inside).unwrap();
    assert_eq!(closed, Manifolds { precision: 1.0, recall: 1.0, density: 140.0, coverage: 1.0 });
}

#[test]
fn a_set_against_itself_is_all_inside() {
    let set = set("set", 600, 16, (0.0, 1.0));
    let found = manifolds(&set, &set, 5, Boundary::Outside).unwrap();
    assert_eq!((found.precision, found.recall, found.coverage), (1.0, 1.0, 1.0));
    // each ball holds its center and the four neighbors nearer than the fifth
    assert_eq!(found.density, 1.0);
}

#[test]
fn distances_beyond_the_digits_of_float32_are_told_apart() {
    // points on a far grid, whose products differ from each other by less than float32 can hold
    let grid = |step: f32, n: usize| {
        Features::from_vec((0..n).flat_map(|i| [4096.0 + step * i as f32, -4096.0]).collect(), 2)
    };
    let (generated, reference) =
        (grid(0.001_953_125, 40).unwrap(), grid(0.003_906_25, 30).unwrap());
    for boundary in [Boundary::Inside, Boundary::Outside] {
        let found = manifolds(&generated, &reference, 2, boundary).unwrap();
        assert_eq!(found, slow(&generated, &reference, 2, boundary));
    }
}

#[test]
fn features_of_every_magnitude_are_counted() {
    for power in [-100, -40, 0, 40, 100] {
        let factor = 2f32.powi(power); // exact
        let scaled = |set: &Features| {
            let data = set.as_slice().iter().map(|x| x * factor).collect();
            Features::from_vec(data, set.dim()).unwrap()
        };
        let (generated, reference) = (set("x", 70, 5, (0.0, 1.0)), set("y", 60, 5, (0.1, 1.1)));
        let found = manifolds(&scaled(&generated), &scaled(&reference), 4, Boundary::Outside);
        let expected = slow(&generated, &reference, 4, Boundary::Outside);
        assert_eq!(found.unwrap(), expected, "{power}");
    }
}

#[test]
fn too_few_images_are_refused_with_the_numbers() {
    let (few, many) = (set("few", 5, 2, (0.0, 1.0)), set("many", 50, 2, (0.0, 1.0)));
    let message = |generated, reference, k| {
        manifolds(generated, reference, k, Boundary::Outside).unwrap_err().to_string()
    };
    assert_eq!(
        message(&many, &few, 5),
        "the k-th nearest neighbor needs at least 6 images (one more than the number of nearest \
         neighbors); the reference set has 5"
    );
    assert_eq!(
        message(&few, &many, usize::MAX),
        format!(
            "the k-th nearest neighbor needs at least {} images (one more than the number of \
             nearest neighbors); the generated set has 5",
            usize::MAX
        )
    );
    assert_eq!(
        message(&many, &many, 0),
        "the number of nearest neighbors must be at least 1, got 0"
    );
}

fn rows(n: usize, dim: usize) -> FeatureSet {
    FeatureSet { features: Some(set("x", n, dim, (0.0, 1.0))), ..FeatureSet::default() }
}

#[test]
fn the_check_tells_what_the_score_would_tell() {
    let (whole, nothing) = (rows(9, 3), FeatureSet::default());
    let cases = [nothing, rows(5, 3), rows(1, 3), rows(0, 3), rows(9, 4)];
    let metrics: [&dyn Metric; 2] = [&Prdc { nearest_k: 5 }, &PrecisionRecall { nearest_k: 5 }];
    for metric in metrics {
        let sides = cases.iter().flat_map(|other| [(other, &whole), (&whole, other)]);
        for (generated, reference) in sides {
            let error = metric.check(generated, Some(reference)).unwrap_err().to_string();
            let score = metric.score(generated, Some(reference));
            assert_eq!(score.unwrap_err().to_string(), error);
        }
        assert!(metric.check(&whole, Some(&whole)).is_ok());
        assert!(metric.score(&whole, Some(&whole)).is_ok());
    }
    assert_eq!(
        Prdc::PAPER.check(&whole, Some(&rows(1, 3))).unwrap_err().to_string(),
        "PRDC needs at least 2 images; the reference set has 1"
    );
}

#[test]
fn no_two_scores_share_a_name_or_a_title() {
    let (x, y) = (rows(9, 3), rows(8, 3));
    let k = 4;
    let mut scores = Prdc { nearest_k: k }.score(&x, Some(&y)).unwrap();
    scores.extend(PrecisionRecall { nearest_k: k }.score(&x, Some(&y)).unwrap());
    let names: Vec<_> = scores.iter().map(|s| (s.name, s.title.as_str())).collect();
    assert_eq!(
        names,
        [
            ("precision", "precision (k=4)"),
            ("recall", "recall (k=4)"),
            ("density", "density (k=4)"),
            ("coverage", "coverage (k=4)"),
            ("prc_precision", "PRC precision (k=4)"),
            ("prc_recall", "PRC recall (k=4)"),
            ("prc_f_score", "PRC F-score (k=4)"),
        ]
    );
}

#[test]
fn options_are_read_with_the_published_defaults() {
    let prdc = |text: &str| serde_json::from_str::<Prdc>(text);
    let prc = |text: &str| serde_json::from_str::<PrecisionRecall>(text);
    assert_eq!((prdc("{}").unwrap(), prc("{}").unwrap()), (Prdc::PAPER, PrecisionRecall::PAPER));
    assert_eq!(prc(r#"{"nearest_k": 7}"#).unwrap(), PrecisionRecall { nearest_k: 7 });
    assert_eq!(serde_json::to_string(&Prdc::PAPER).unwrap(), r#"{"nearest_k":5}"#);
    assert!(prdc(r#"{"k": 7}"#).is_err() && prc(r#"{"k": 7}"#).is_err());
    assert_eq!(
        prdc(r#"{"nearest_k": 0}"#).unwrap().validate().unwrap_err().to_string(),
        "the number of nearest neighbors must be at least 1, got 0"
    );
}

#[test]
fn realism_is_the_largest_ratio_of_radius_and_distance() {
    // radii 1, 1, 2, 6 with the median 1.5: only 0 and 1 take part
    let line = |points: &[f32]| Features::from_vec(points.to_vec(), 1).unwrap();
    let scores = realism(&line(&[2.0, 0.25, 9.0, 1.0]), &line(&[0.0, 1.0, 3.0, 9.0]), 1).unwrap();
    assert_eq!(scores, [1.0, 4.0, 0.125, f64::INFINITY]);
}

/// Sets of which some rows repeat, some are tiny and some have a single large value.
fn uneven(n: usize, m: usize, dim: usize) -> [Features; 2] {
    let set = |name, rows| {
        let mut data = tensor(name, &[rows, dim], (-1.0, 1.0), 0);
        for (i, row) in data.chunks_exact_mut(dim).enumerate() {
            match i % 10 {
                0 => row[i % dim] *= 300.0,
                1 => row.iter_mut().for_each(|x| *x *= 1e-6),
                2 => row.fill(0.25),
                _ => {}
            }
        }
        Features::from_vec(data, dim).unwrap()
    };
    [set("x", n), set("y", m)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn counts_of_uneven_sets_are_those_of_the_definition(
        n in 7usize..650, m in 7usize..650, dim in 13usize..300, k in 1usize..7
    ) {
        let [generated, reference] = uneven(n, m, dim);
        for boundary in [Boundary::Inside, Boundary::Outside] {
            let found = manifolds(&generated, &reference, k, boundary).unwrap();
            prop_assert_eq!(found, slow(&generated, &reference, k, boundary));
        }
    }

    #[test]
    fn counts_are_those_of_the_definition(
        n in 7usize..700, m in 7usize..700, dim in 1usize..12, k in 1usize..7, levels in 2u32..40
    ) {
        // few levels make many ties
        let levels = f64::from(levels);
        let rounded = |name, rows, shift: f64| {
            let data = tensor(name, &[rows, dim], (shift, shift + levels), 0);
            Features::from_vec(data.into_iter().map(f32::floor).collect(), dim).unwrap()
        };
        let (generated, reference) = (rounded("x", n, 1000.0), rounded("y", m, 1000.3));
        for boundary in [Boundary::Inside, Boundary::Outside] {
            let found = manifolds(&generated, &reference, k, boundary).unwrap();
            prop_assert_eq!(found, slow(&generated, &reference, k, boundary));
        }
    }

    #[test]
    fn precision_and_recall_swap_with_the_sets(n in 7usize..60, m in 7usize..60, dim in 1usize..9) {
        let (x, y) = (set("x", n, dim, (0.0, 1.0)), set("y", m, dim, (0.2, 1.4)));
        let forth = manifolds(&x, &y, 3, Boundary::Inside).unwrap();
        let back = manifolds(&y, &x, 3, Boundary::Inside).unwrap();
        prop_assert_eq!((forth.precision, forth.recall), (back.recall, back.precision));
        prop_assert_eq!(forth.f_score(), back.f_score());
    }
}
