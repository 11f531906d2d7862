//! The distance by directions, against the golden split in float64 and against its definition.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ganscope_fid::{Directions, directions, frechet_distance, largest_part};
use ganscope_golden::{arrays, json, sets};
use ganscope_stats::linalg::mul;
use ganscope_stats::{Error, FeatureStats, Features};

/// The parts sum to the distance, both in float64.
const SUM: f64 = 1e-9;

/// The map divides by eigenvalues of the reference covariance: float64 loses some digits to its condition.
const GOLDEN: f64 = 1e-8;

fn rows(case: &str, name: &str) -> Features {
    let sets::Rows { data, dim } = sets::rows(case, name);
    Features::from_vec(data, dim).unwrap()
}

fn check_sum(generated: &FeatureStats, reference: &FeatureStats) -> Directions {
    let found = directions(generated, reference).unwrap();
    let expected = frechet_distance(generated, reference).unwrap();
    let sum: f64 = found.parts.iter().map(ganscope_fid::Direction::distance).sum();
    assert!((sum / expected - 1.0).abs() < SUM, "{sum} for {expected}");
    assert_eq!(found.distance, sum);
    assert!(found.parts.iter().all(|part| part.shift >= 0.0 && part.spread >= 0.0));
    let parts = &found.parts;
    assert!(parts.windows(2).all(|pair| pair[0].distance() >= pair[1].distance()));
    let unit = found.vectors.tr_mul(&found.vectors);
    let off = (unit - nalgebra::DMatrix::identity(parts.len(), parts.len())).amax();
    assert!(off < 1e-12, "not orthonormal: {off:e}");
    found
}

#[test]
fn parts_are_those_of_the_closed_form() {
    let (golden, arrays) = (json("metrics2.json"), arrays("metrics2.safetensors"));
    let array = |name: &str| arrays[&format!("fd_by_direction/full-rank/{name}")].data.clone();
    let [g, r] = ["fake", "real"].map(|name| FeatureStats::from_features(&rows("full-rank", name)));
    let found = check_sum(&g, &r);
    let exact = golden["fd_by_direction"]["full-rank"]["fd_exact"].as_f64().unwrap();
    assert!((found.distance / exact - 1.0).abs() < SUM);
    assert_eq!(found.rank, 64);
    for (i, part) in found.parts.iter().enumerate() {
        let near = |actual: f64, expected: f64| (actual - expected).abs() < GOLDEN;
        assert!(near(part.shift, array("mean_term")[i]), "{i}: {part:?}");
        assert!(near(part.spread, array("covariance_term")[i]), "{i}: {part:?}");
        assert!(near(part.stretch.unwrap(), array("stretch")[i]), "{i}: {part:?}");
    }
    for (i, expected) in array("directions3").chunks_exact(64).enumerate() {
        let direction = found.vectors.column(i);
        let off = direction.iter().zip(expected).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f64::max) < GOLDEN, "direction {i}");
    }
}

#[test]
fn directions_are_eigenvectors_of_the_transport() {
    let [g, r] = ["fake", "real"].map(|name| FeatureStats::from_features(&rows("full-rank", name)));
    let found = directions(&g, &r).unwrap();
    let stretch = found.parts.iter().map(|part| part.stretch.unwrap());
    let mut scaled = found.vectors.clone();
    scaled.column_iter_mut().zip(stretch).for_each(|(mut column, a)| column *= a);
    let map = mul(&scaled, &found.vectors.transpose());
    let (r, g) = (r.cov().unwrap(), g.cov().unwrap());
    let off = (mul(&mul(&map, &r), &map) - &g).amax();
    assert!(off < GOLDEN * g.amax(), "A R A = G is off by {off:e}");
}

#[test]
fn singular_covariances_are_split_on_their_range() {
    let [g, r] = ["fake", "real"].map(|n| FeatureStats::from_features(&rows("rank-deficient", n)));
    let found = check_sum(&g, &r);
    assert_eq!(found.rank, 39);
    let outside = found.parts.iter().filter(|part| part.stretch.is_none());
    assert_eq!(outside.count(), 256 - 39);
    // with the sets exchanged the range is that of the other
    assert_eq!(check_sum(&r, &g).rank, 49);
    // the same set, whose distance is rounding
    let none = directions(&g, &g).unwrap();
    assert!(none.distance < 1e-9 * g.cov().unwrap().trace(), "{}", none.distance);
}

#[test]
fn independent_features_are_their_own_directions() {
    // Standard deviations 1, 2, 3 and 0 against 2, 2, 1.5 and 1; means apart by 0, 1, 0 and 0.5.
    let rows = |scale: [f32; 4], mean: [f32; 4]| {
        let row = |i: usize| -> Vec<f32> {
            let sign = |k: usize| if i >> k & 1 == 1 { 1.0 } else { -1.0 };
            (0..4).map(|k| mean[k] + scale[k] * sign(k)).collect()
        };
        let data = (0..16).flat_map(row).collect();
        FeatureStats::from_features(&Features::from_vec(data, 4).unwrap())
    };
    let reference = rows([1.0, 2.0, 3.0, 0.0], [0.0; 4]);
    let generated = rows([2.0, 2.0, 1.5, 1.0], [0.0, -1.0, 0.0, 0.5]);
    let found = check_sum(&generated, &reference);
    let unbiased = 16.0 / 15.0;
    // By size: the third feature, the fourth, the first, the second.
    let expected = [
        (0.0, 1.5 * 1.5 * unbiased, Some(0.5)),
        (0.25, unbiased, None),
        (0.0, unbiased, Some(2.0)),
        (1.0, 0.0, Some(1.0)),
    ];
    for (part, (shift, spread, stretch)) in found.parts.iter().zip(expected) {
        assert!((part.shift - shift).abs() < 1e-12, "{part:?}");
        assert!((part.spread - spread).abs() < 1e-12, "{part:?}");
        assert_eq!(part.stretch.is_some(), stretch.is_some(), "{part:?}");
        let off = part.stretch.zip(stretch).map_or(0.0, |(a, b)| (a - b).abs());
        assert!(off < 1e-12, "{part:?}");
    }
    assert_eq!(found.rank, 3);
    // Generated means are not below those of the reference.
    let row = Features::from_vec(vec![0.0, -2.0, 0.0, 0.0], 4).unwrap();
    assert_eq!(row.along(&found.vectors).unwrap().row(0)[3], 2.0);
    let wide = Features::from_vec(vec![0.0; 5], 5).unwrap();
    assert!(matches!(wide.along(&found.vectors), Err(Error::Dimension { got: 5, .. })));
}

#[test]
fn a_shift_is_more_than_chance_and_a_division_of_one_set_is_not() {
    let all = rows("full-rank", "real");
    let half =
        |odd: usize| all.select(&(0..all.len() / 2).map(|i| 2 * i + odd).collect::<Vec<_>>());
    let (a, b) = (half(0), half(1));
    let mut shifted = Features::new(all.dim()).unwrap();
    for row in a.rows() {
        shifted.push_rows(&row.iter().map(|x| x + 0.2).collect::<Vec<_>>()).unwrap();
    }
    let chance = |a: &Features| {
        let mut pooled = FeatureStats::from_features(a);
        pooled.merge(&FeatureStats::from_features(&b)).unwrap();
        largest_part([a, &b], &pooled, 16, (99, 5)).unwrap()
    };
    assert!(chance(&a).p_value() > 0.05, "{}", chance(&a).p_value());
    assert_eq!(chance(&shifted).p_value(), 0.01);
    // With all components the statistic is the largest part of the whole distance.
    let mut pooled = FeatureStats::from_features(&shifted);
    pooled.merge(&FeatureStats::from_features(&b)).unwrap();
    let all_components = largest_part([&shifted, &b], &pooled, 64, (1, 0)).unwrap().observed();
    let [g, r] = [&shifted, &b].map(FeatureStats::from_features);
    let expected = directions(&g, &r).unwrap().parts[0].distance();
    assert!((all_components / expected - 1.0).abs() < 1e-4, "{all_components} {expected}");
}

#[test]
fn a_nearly_singular_reference_loses_no_digit_of_the_sum() {
    // Standard deviations from 1 to 1e-5: the condition of the covariance is 1e10.
    let scaled = |name: &str, shift: f32| {
        let rows = rows("full-rank", name);
        let scale = |(i, x): (usize, &f32)| (x + shift) * 10f32.powf(-5.0 * (i % 64) as f32 / 63.0);
        let data = rows.as_slice().iter().enumerate().map(scale).collect();
        FeatureStats::from_features(&Features::from_vec(data, 64).unwrap())
    };
    let plain = FeatureStats::from_features(&rows("full-rank", "fake"));
    check_sum(&plain, &scaled("real", 0.5));
    check_sum(&scaled("fake", 0.0), &scaled("real", 0.5));
}

#[test]
fn sets_that_do_not_fit_are_refused() {
    let [full, wide] = ["full-rank", "rank-deficient"]
        .map(|case| FeatureStats::from_features(&rows(case, "real")));
    assert!(matches!(directions(&full, &wide), Err(Error::Dimension { .. })));
    let one = FeatureStats::from_features(&Features::from_vec(vec![0.0; 64], 64).unwrap());
    assert!(matches!(directions(&one, &full), Err(Error::TooFewImages { got: 1, .. })));
}
