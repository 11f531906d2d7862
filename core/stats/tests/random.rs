//! The streams of `RandomState` against NumPy's and SciPy's, those of `TorchGenerator` against torch's.

#![expect(clippy::unreadable_literal, reason = "numbers as NumPy prints them")]

use ganscope_golden::{Array, arrays, relative_l2};
use ganscope_stats::random::{RandomState, TorchGenerator};

/// The logarithm and the quantile of two mathematical libraries differ in the last bits.
const LIBRARIES: f64 = 1e-12;

/// torch's vectorized logarithm and cosine differ by machine.
const TORCH_FLOAT32: f64 = 1e-5;

fn for_each_seed(stream: &str, check: impl Fn(RandomState, &Array)) {
    let arrays = arrays("numpy_random.safetensors");
    let mut seeds = 0;
    for (name, array) in &arrays {
        if let Some(seed) = name.strip_suffix(stream).and_then(|s| s.strip_suffix('/')) {
            check(RandomState::new(seed.parse().expect("a seed")), array);
            seeds += 1;
        }
    }
    assert!(seeds > 1, "{stream}: only {seeds} seeds among {:?}", arrays.keys());
}

fn integers(values: &[usize]) -> Vec<f64> {
    values.iter().map(|&v| v as f64).collect()
}

#[test]
fn uniform_values_are_bit_exact() {
    for_each_seed("uniform", |mut random, expected| {
        let actual: Vec<f64> = expected.data.iter().map(|_| random.uniform()).collect();
        assert_eq!(actual, expected.data);
    });
}

#[test]
fn permutations_are_exact() {
    for_each_seed("permutation100", |mut random, expected| {
        assert_eq!(integers(&random.permutation(100)), expected.data);
    });
}

#[test]
fn choices_are_exact() {
    for_each_seed("choice_50_of_1000", |mut random, expected| {
        assert_eq!(integers(&random.choice(1000, 50).unwrap()), expected.data);
    });
}

#[test]
fn random_integers_are_exact() {
    for_each_seed("randint1000", |mut random, expected| {
        let actual: Vec<f64> =
            expected.data.iter().map(|_| random.below(1000).unwrap() as f64).collect();
        assert_eq!(actual, expected.data);
    });
}

#[test]
fn normal_values_agree_and_continue_over_calls() {
    for_each_seed("randn", |mut random, expected| {
        let actual = random.standard_normals(expected.data.len());
        assert!(relative_l2(&actual, &expected.data) <= LIBRARIES);
    });
    for_each_seed("randn_3_then_4", |mut random, expected| {
        let mut actual = random.standard_normals(3);
        actual.extend(random.standard_normals(4));
        assert!(relative_l2(&actual, &expected.data) <= LIBRARIES);
    });
}

#[test]
fn truncated_normal_values_agree() {
    for_each_seed("truncnorm_-2_2", |mut random, expected| {
        let actual: Vec<f64> =
            expected.data.iter().map(|_| random.truncated_normal(-2.0, 2.0).unwrap()).collect();
        for (actual, expected) in actual.iter().zip(&expected.data) {
            assert!((actual - expected).abs() <= LIBRARIES, "{actual} {expected}");
        }
    });
}

#[test]
fn truncated_normals_of_other_ranges_are_those_of_scipy() {
    // truncnorm.rvs(low, high, size=3, random_state=RandomState(5))
    let cases = [
        (1.0, 3.0, [1.1565186434050225, 2.02014068041556, 1.1448424014894893]),
        (-0.5, 4.0, [-0.09531968838101858, 1.344388873750388, -0.12194944643951308]),
    ];
    for (low, high, expected) in cases {
        let mut random = RandomState::new(5);
        for expected in expected {
            let actual = random.truncated_normal(low, high).unwrap();
            assert!((actual - expected).abs() <= LIBRARIES, "{actual} {expected}");
        }
    }
}

#[test]
fn wide_and_empty_ranges_of_integers_draw_as_numpy() {
    // r = RandomState(7); r.randint(2**40, size=4), r.randint(2**32, size=3), r.randint(1), r.random_sample()
    let mut random = RandomState::new(7);
    let wide = [752595690692, 108744157686, 291964244179, 650496783975];
    assert_eq!(wide.map(|_| random.below(1 << 40).unwrap()), wide);
    let words = [4200432988, 1322904761, 2312822158];
    assert_eq!(words.map(|_| random.below(1 << 32).unwrap()), words);
    assert_eq!(random.below(1).unwrap(), 0);
    assert_eq!(random.uniform(), 0.26387083903789865);
}

#[test]
fn ranges_without_mass_are_refused() {
    let mut random = RandomState::new(0);
    assert!(random.below(0).is_err());
    assert!(random.choice(10, 11).is_err());
    for (low, high) in
        [(1.0, 1.0), (2.0, -2.0), (f64::NAN, 1.0), (0.0, f64::INFINITY), (50.0, 60.0)]
    {
        assert!(random.truncated_normal(low, high).is_err(), "{low}..{high}");
    }
}

fn for_each_torch_seed(stream: &str, check: impl Fn(TorchGenerator, &Array)) {
    let arrays = arrays("metrics2.safetensors");
    for seed in [0, 2020] {
        let name = format!("torch_random/seed{seed}/{stream}");
        check(TorchGenerator::new(seed), arrays.get(&name).unwrap_or_else(|| panic!("no {name}")));
    }
}

#[test]
fn uniform_values_and_permutations_of_torch_are_exact() {
    for_each_torch_seed("rand_20", |mut random, expected| {
        let actual: Vec<f64> = (0..20).map(|_| f64::from(random.uniform())).collect();
        assert_eq!(actual, expected.data);
    });
    for_each_torch_seed("randperm_100", |mut random, expected| {
        assert_eq!(integers(&random.permutation(100)), expected.data);
    });
}

#[test]
fn normal_values_of_torch_agree() {
    for (stream, n) in [("randn_5", 5), ("randn_16", 16), ("randn_100", 100)] {
        for_each_torch_seed(stream, |mut random, expected| {
            let actual = random.standard_normals(n);
            let error = relative_l2(&actual, &expected.data);
            assert!(error <= TORCH_FLOAT32, "{stream}: {error:e}");
        });
    }
    for_each_torch_seed("randperm_100_then_randn_32", |mut random, expected| {
        random.permutation(100);
        assert!(relative_l2(&random.standard_normals(32), &expected.data) <= TORCH_FLOAT32);
    });
}
