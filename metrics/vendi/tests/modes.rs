//! Differential modes against the golden spectra, FINC, and sets whose kinds are known.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ganscope_golden::{arrays, json, sets};
use ganscope_stats::random::RandomState;
use ganscope_stats::{Error, Features, Side};
use ganscope_vendi::{Kernel, Modes};

/// Eigenvalues of float64 moments, whose rows are of length one.
const EIGENVALUES: f64 = 1e-12;

fn rows(case: &str, name: &str) -> Features {
    let sets::Rows { data, dim } = sets::rows(case, name);
    Features::from_vec(data, dim).unwrap()
}

fn check(case: &str, [generated, reference]: [&str; 2], eta: f64) {
    let (golden, arrays) = (json("metrics2.json"), arrays("metrics2.safetensors"));
    let (generated, reference) = (rows(case, generated), rows(case, reference));
    let modes = Modes::new(&generated, &reference, Kernel::Linear, eta).unwrap();
    for (name, side) in [("novel", Side::Generated), ("missing", Side::Reference)] {
        let key = format!("{case}/{name}/eta{eta}");
        let expected = &arrays[&format!("modes/{key}/eigenvalues")].data;
        for (actual, expected) in modes.eigenvalues(side).iter().zip(expected) {
            assert!((actual - expected).abs() < EIGENVALUES, "{key}: {actual} for {expected}");
        }
        let golden = &golden["modes"][&key];
        let positive = golden["positive_sum"].as_f64().unwrap();
        assert!((modes.total(side) - positive).abs() < EIGENVALUES);
        let found = modes.of(side, 3, 5);
        assert_eq!(found.len(), expected.iter().take(3).filter(|&&value| value > 0.0).count());
        let rows = golden["top5_rows_of_first_3"].as_array().unwrap();
        for (mode, rows) in found.iter().zip(rows) {
            let rows: Vec<u64> =
                rows.as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
            let images: Vec<u64> = mode.images.iter().map(|&i| i as u64).collect();
            assert_eq!(images, rows, "{key}");
        }
    }
}

#[test]
fn spectra_and_images_are_golden() {
    for eta in [1.0, 2.0] {
        check("clusters", ["generated", "test"], eta);
        check("full-rank", ["fake", "real"], eta);
    }
}

#[test]
fn gaussian_modes_are_those_of_finc() {
    let golden = json("metrics2.json");
    let (generated, reference) = (rows("clusters", "generated"), rows("clusters", "test"));
    let kernel = Kernel::Gaussian { sigma: 2.0, frequencies: 48, seed: 0 };
    for eta in [1.0, 2.0] {
        let modes = Modes::new(&generated, &reference, kernel, eta).unwrap();
        let of_finc = golden["modes"].as_object().unwrap().iter();
        let start = format!("finc/clusters generated against test, eta {eta},");
        let (_, expected) = of_finc.into_iter().find(|(key, _)| key.starts_with(&start)).unwrap();
        let expected = expected.as_array().unwrap();
        for (actual, expected) in modes.eigenvalues(Side::Generated).iter().zip(expected) {
            let expected = expected.as_f64().unwrap();
            assert!((actual - expected).abs() < EIGENVALUES, "{actual} for {expected}");
        }
    }
}

/// Rows of unit length near the axes of `kinds`, in turn.
fn kinds(n: usize, kinds: &[usize], seed: u32) -> Features {
    let mut random = RandomState::new(seed);
    let row = |i: usize| -> Vec<f32> {
        let kind = kinds[i % kinds.len()];
        let noise = random.standard_normals(8);
        (0..8).map(|k| (f64::from(u8::from(k == kind)) + 0.02 * noise[k]) as f32).collect()
    };
    Features::from_vec((0..n).flat_map(row).collect(), 8).unwrap()
}

#[test]
fn a_missing_kind_is_the_first_missing_mode_with_its_share() {
    // A quarter of the reference is of kind 3, and none of the generated images; those have more of
    // kind 0 instead.
    let (generated, reference) = (kinds(400, &[0, 1, 2, 0], 1), kinds(400, &[0, 1, 2, 3], 2));
    let gaussian = Kernel::gaussian(&reference, 256, 0).unwrap();
    for kernel in [Kernel::Linear, gaussian] {
        let modes = Modes::new(&generated, &reference, kernel, 1.0).unwrap();
        for (side, every) in [(Side::Reference, vec![3]), (Side::Generated, vec![0, 3])] {
            let found = modes.of(side, 5, 25);
            assert!((found[0].excess - 0.25).abs() < 0.02, "{kernel:?}: {}", found[0].excess);
            assert!(found[0].images.iter().all(|i| every.contains(&(i % 4))), "{kernel:?}");
            // All else is noise.
            assert!(found[1..].iter().all(|mode| mode.excess < 0.02), "{kernel:?}: {found:?}");
        }
    }
}

#[test]
fn equal_sets_have_no_modes() {
    let rows = rows("clusters", "test");
    let modes = Modes::new(&rows, &rows, Kernel::Linear, 1.0).unwrap();
    for side in [Side::Generated, Side::Reference] {
        assert!(modes.total(side) < 1e-14, "{}", modes.total(side));
    }
    // With a larger factor nothing is more frequent.
    assert!(
        Modes::new(&rows, &rows, Kernel::Linear, 2.0).unwrap().of(Side::Generated, 5, 5).is_empty()
    );
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let (clusters, wide) = (rows("clusters", "test"), rows("wide", "test"));
    let fails =
        |a: &Features, b: &Features, kernel, eta| Modes::new(a, b, kernel, eta).unwrap_err();
    let linear = Kernel::Linear;
    assert!(matches!(fails(&clusters, &wide, linear, 1.0), Error::Dimension { .. }));
    assert!(matches!(fails(&clusters, &clusters, linear, 0.0), Error::Parameter { .. }));
    let kernel = Kernel::Gaussian { sigma: 0.0, frequencies: 4, seed: 0 };
    assert!(matches!(fails(&clusters, &clusters, kernel, 1.0), Error::Parameter { .. }));
    let empty = Features::new(16).unwrap();
    assert!(matches!(fails(&empty, &clusters, linear, 1.0), Error::TooFewImages { got: 0, .. }));
    let nan = Features::from_vec(vec![f32::NAN; 16], 16).unwrap();
    assert!(matches!(fails(&nan, &clusters, linear, 1.0), Error::NotFinite { .. }));
    assert!(Kernel::gaussian(&nan, 4, 0).is_err());
}

#[test]
fn chance_is_exceeded_by_a_missing_kind_and_not_by_a_division_of_one_set() {
    // A tenth of the reference is of kind 3, and none of the generated images.
    let reference = kinds(400, &[0, 1, 2, 0, 1, 2, 0, 1, 2, 3], 2);
    let generated = kinds(400, &[0, 1, 2], 1);
    let gaussian = Kernel::gaussian(&reference, 48, 0).unwrap();
    for (kernel, eta) in [(Kernel::Linear, 1.0), (gaussian, 1.0), (Kernel::Linear, 1.5)] {
        let modes = Modes::new(&generated, &reference, kernel, eta).unwrap();
        let chance = modes.chance(64, 99, 1).unwrap();
        let largest = modes.eigenvalues(Side::Reference)[0];
        assert!(chance.is_exceeded(largest, 0.05), "{kernel:?}: {}", chance.p_value());
        // In all directions it is the largest eigenvalue.
        let all = modes.chance(1000, 1, 1).unwrap().observed();
        assert!((all / largest - 1.0).abs() < 1e-5, "{kernel:?}: {all} {largest}");

        let (a, b) = (kinds(400, &[0, 1, 2, 3], 3), kinds(300, &[0, 1, 2, 3], 4));
        let p = Modes::new(&a, &b, kernel, eta).unwrap().chance(64, 99, 1).unwrap().p_value();
        assert!(p > 0.05, "{kernel:?}: {p}");
    }
    let modes = Modes::new(&generated, &reference, Kernel::Linear, 1.0).unwrap();
    assert!(modes.chance(0, 99, 1).is_err() && modes.chance(8, 0, 1).is_err());
}
