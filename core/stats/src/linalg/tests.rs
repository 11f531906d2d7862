use proptest::prelude::*;

use super::*;

/// Rounding of decompositions of matrices of some hundred columns.
const ROUNDING: f64 = 1e-12;

fn random(name: &str, rows: usize, columns: usize) -> DMatrix<f64> {
    let data = ganscope_golden::uniform(name, rows * columns, 0).map(|u| u - 0.5);
    DMatrix::from_iterator(rows, columns, data)
}

fn two_by_two(rows: [f64; 4]) -> DMatrix<f64> {
    DMatrix::from_row_slice(2, 2, &rows)
}

/// An orthogonal matrix.
fn rotation(name: &str, n: usize) -> DMatrix<f64> {
    random(name, n, n).qr().q()
}

/// The nuclear norm by its fast way alone, which must not fail.
fn sum_of_values(matrix: &DMatrix<f64>) -> f64 {
    Reduced::new(matrix, Mat::zeros(matrix.ncols(), 0)).values().unwrap().iter().sum()
}

fn assert_near(actual: &DMatrix<f64>, expected: &DMatrix<f64>) {
    let error = (actual - expected).norm();
    assert!(error <= ROUNDING * (1.0 + expected.norm()), "error {error}");
}

#[test]
fn eigenvectors_diagonalise_the_matrix() {
    for n in [1, 2, 33, 150] {
        let matrix = random("a", n, n);
        let matrix = &matrix + matrix.transpose();
        let (values, vectors) = symmetric_eigen(&matrix).unwrap();
        assert_near(&(&vectors * DMatrix::from_diagonal(&values)), &(&matrix * &vectors));
        assert_near(&vectors.tr_mul(&vectors), &DMatrix::identity(n, n));
        assert!(values.as_slice().is_sorted());
    }
}

#[test]
fn eigenvalues_of_a_known_matrix() {
    // [[2, 1], [1, 2]]: 2 - 1 and 2 + 1
    let (values, _) = symmetric_eigen(&two_by_two([2.0, 1.0, 1.0, 2.0])).unwrap();
    assert!((values - DVector::from_vec(vec![1.0, 3.0])).norm() < ROUNDING);
}

#[test]
fn a_root_squares_to_its_matrix() {
    for rank in [0, 1, 40, 60] {
        let half = random("half", 60, rank);
        let matrix = &half * half.transpose();
        let root = sqrt_psd(&matrix).unwrap();
        assert_near(&(&root * &root), &matrix);
        assert_eq!(root.shape(), matrix.shape());
    }
}

#[test]
fn a_factor_of_a_singular_matrix_has_its_rank() {
    for rank in [0, 1, 7, 129, 200] {
        let half = random("half", 200, rank);
        let matrix = &half * half.transpose();
        let factor = factor_psd(matrix.clone(), usize::MAX).unwrap();
        assert_eq!(factor.ncols(), rank);
        assert_near(&(&factor * factor.transpose()), &matrix);
    }
}

#[test]
fn a_matrix_with_a_negative_eigenvalue_has_neither_root_nor_factor() {
    let indefinite = two_by_two([1.0, 2.0, 2.0, 1.0]);
    assert!(matches!(sqrt_psd(&indefinite), Err(Error::NotPsd { .. })));
    assert!(matches!(factor_psd(indefinite, 2), Err(Error::NotPsd { .. })));
    assert!(matches!(factor_psd(two_by_two([0.0, 1.0, 1.0, 0.0]), 2), Err(Error::NotPsd { .. })));
    assert!(matches!(factor_psd(DMatrix::from_element(1, 1, -1.0), 1), Err(Error::NotPsd { .. })));
}

#[test]
fn a_factor_that_may_not_reach_the_rank_is_refused() {
    let half = random("half", 20, 10);
    let matrix = &half * half.transpose();
    assert!(matches!(factor_psd(matrix, 9), Err(Error::NotPsd { .. })));
}

#[test]
fn a_singular_covariance_in_float32_has_a_factor() {
    let half = random("half", 300, 40);
    let matrix = (&half * half.transpose()).map(|v| f64::from(v as f32));
    let factor = factor_psd(matrix.clone(), usize::MAX).unwrap();
    let error = (&factor * factor.transpose() - &matrix).norm() / matrix.norm();
    assert!(error < 1e-5, "{error}"); // float32 rounds by 6e-8, the factor by the root of n more
}

#[test]
fn the_nuclear_norm_keeps_singular_values_of_every_scale() {
    // singular values 10^0 .. 10^-12: their squares span more than float64 has digits
    let n = 130;
    let values = DVector::from_fn(n, |i, _| 10f64.powf(-12.0 * i as f64 / (n - 1) as f64));
    let (u, v) = (rotation("u", n), rotation("v", n));
    let matrix = &u * DMatrix::from_diagonal(&values) * v.transpose();
    let error = (nuclear_norm(&matrix).unwrap() - values.sum()).abs();
    assert!(error < ROUNDING, "{error}");

    // a hundred small ones that together count as much as the single large one
    let values = DVector::from_fn(n, |i, _| if i == 0 { 1.0 } else { 1e-9 });
    let matrix = &u * DMatrix::from_diagonal(&values) * v.transpose();
    let error = (nuclear_norm(&matrix).unwrap() - values.sum()).abs();
    assert!(error < ROUNDING, "{error}");
}

#[test]
fn singular_values_sum_to_what_is_there() {
    // more columns than two bands, tall and wide, with ranks below
    for (rows, columns, rank) in [(150, 97, 97), (96, 200, 96), (129, 129, 40), (64, 64, 1)] {
        let matrix = random("left", rows, rank) * random("right", rank, columns);
        let expected = matrix.singular_values().sum();
        let error = (sum_of_values(&matrix) / expected - 1.0).abs();
        assert!(error < ROUNDING, "{rows} x {columns} of rank {rank}: {error}");
        let scaled = sum_of_values(&(&matrix * 1e-200)) / 1e-200;
        assert!((scaled / expected - 1.0).abs() < ROUNDING, "{scaled} {expected}");
    }
    // rotations have equal singular values; a diagonal keeps its own
    let n = 100;
    assert!((sum_of_values(&rotation("u", n)) - n as f64).abs() < ROUNDING * n as f64);
    let diagonal = DVector::from_fn(n, |i, _| if i % 3 == 0 { 0.0 } else { i as f64 });
    let norm = sum_of_values(&DMatrix::from_diagonal(&diagonal));
    assert!((norm / diagonal.sum() - 1.0).abs() < ROUNDING, "{norm}");
}

#[test]
fn matrices_that_are_not_finite_or_square_are_refused() {
    let nan = two_by_two([1.0, 0.0, f64::NAN, 1.0]);
    assert!(matches!(symmetric_eigen(&nan), Err(Error::NotFinite { row: 1, .. })));
    assert!(matches!(factor_psd(nan.clone(), 2), Err(Error::NotFinite { row: 1, .. })));
    assert!(matches!(nuclear_norm(&nan), Err(Error::NotFinite { .. })));
    let wide = DMatrix::zeros(2, 3);
    assert!(matches!(symmetric_eigen(&wide), Err(Error::NotSquare { rows: 2, columns: 3 })));
}

proptest! {
    #[test]
    fn the_nuclear_norm_is_the_sum_of_singular_values(rows in 0usize..40, columns in 0usize..40) {
        let matrix = random("matrix", rows, columns);
        let expected = if matrix.is_empty() { 0.0 } else { matrix.singular_values().sum() };
        let actual = nuclear_norm(&matrix).unwrap();
        prop_assert!((actual - expected).abs() <= ROUNDING * (1.0 + expected), "{actual} {expected}");
    }

    #[test]
    fn singular_values_are_exact_for_every_spectrum(
        n in 1usize..130, kind in 0usize..5, exponent in 0f64..16.0, copies in 1usize..40,
    ) {
        let values = DVector::from_fn(n, |i, _| {
            let part = i as f64 / n as f64;
            match kind {
                0 => 10f64.powf(-exponent * part),
                1 => 10f64.powf(-exponent * (i / copies) as f64),
                2 => if i % copies == 0 { 1.0 } else { 10f64.powf(-exponent) },
                3 => if i < copies { 1.0 - part } else { 0.0 },
                _ => 1.0 + 10f64.powf(-exponent) * part,
            }
        });
        let matrix = rotation("u", n) * DMatrix::from_diagonal(&values) * rotation("v", n);
        let error = (sum_of_values(&matrix) - values.sum()).abs();
        prop_assert!(error <= ROUNDING * values.sum(), "{error} of {}", values.sum());
        // the same on the diagonal, without rounding between them
        let error = (sum_of_values(&DMatrix::from_diagonal(&values)) - values.sum()).abs();
        prop_assert!(error <= ROUNDING * values.sum(), "{error} of {} on the diagonal", values.sum());
    }

    #[test]
    fn products_are_those_of_nalgebra(m in 1usize..30, k in 0usize..30, n in 1usize..30) {
        let (a, b) = (random("a", m, k), random("b", k, n));
        assert_near(&mul(&a, &b), &(&a * &b));
        assert_near(&tr_mul(&a.transpose(), &b), &(&a * &b));
        if k > 0 {
            let rows = a.transpose();
            assert_near(&row_products(rows.as_slice(), b.as_slice(), k), &(&a * &b));
        }
    }
}

#[test]
fn singular_vectors_are_those_of_the_values() {
    for (rows, columns) in [(9, 5), (5, 9), (6, 6)] {
        let data = ganscope_golden::tensor("m", &[rows, columns], (-1.0, 1.0), 0);
        let mut matrix = DMatrix::from_iterator(rows, columns, data.into_iter().map(f64::from));
        // columns of very different size, so that small singular values need a second turn
        matrix.column_iter_mut().enumerate().for_each(|(j, mut c)| c *= 10f64.powi(-2 * j as i32));
        let found = singular(&matrix).unwrap();
        // Two algorithms.
        let norm = nuclear_norm(&matrix).unwrap();
        assert!((found.values.iter().sum::<f64>() / norm - 1.0).abs() < ROUNDING);
        for (i, (&value, v)) in found.values.iter().zip(found.right.column_iter()).enumerate() {
            assert!((v.norm() - 1.0).abs() < 1e-6, "{rows} {i}: {}", v.norm());
            // A vector is off by the rounding of the largest value, in units of its own.
            if value > 1e-6 * norm {
                let stretch = (&matrix * v).norm() / value;
                assert!((stretch - 1.0).abs() < 1e-6, "{rows} {i}: {stretch} of {value}");
            }
        }
    }
}

/// What the points of the integral lose, and what a hundred singular values below a millionth of the
/// largest are off by: less than their size each.
const FORMS: f64 = 1e-6;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn forms_are_those_of_singular_vectors(
        rows in 1usize..110,
        columns in 1usize..110,
        count in 0usize..70,
        rank in 1usize..110,
        decades in 0.0f64..9.0,
        scale in -20i32..20,
    ) {
        let size = rows.min(columns);
        let value = |i: usize| {
            let part = i as f64 / size.max(2) as f64;
            if i < rank { 10f64.powf(f64::from(scale) - decades * part) } else { 0.0 }
        };
        let diagonal = DMatrix::from_fn(rows, columns, |i, j| if i == j { value(i) } else { 0.0 });
        let right = rotation("right", columns);
        let matrix = rotation("left", rows) * diagonal * &right;
        // Draws whose second moments are those of the matrix.
        let vectors = matrix.transpose() * random("draws", rows, count);
        let (norm, forms) = nuclear_norm_and_forms(&matrix, &vectors).unwrap();
        prop_assert_eq!(norm, nuclear_norm(&matrix).unwrap());
        prop_assert_eq!(forms.len(), count);
        let along = right * vectors;
        for (form, along) in forms.iter().zip(along.column_iter()) {
            let terms = (0..size.min(rank)).map(|i| along[i] * along[i] / value(i));
            let expected: f64 = terms.sum();
            prop_assert!((form - expected).abs() < FORMS * norm, "{form} for {expected} of {norm}");
        }
    }
}

#[test]
fn forms_of_nothing_are_nothing() {
    let zero = DMatrix::zeros(3, 4);
    let (norm, forms) = nuclear_norm_and_forms(&zero, &random("y", 4, 2)).unwrap();
    assert_eq!((norm, forms), (0.0, vec![0.0; 2]));
    for shape in [(0, 4), (4, 0), (0, 0)] {
        let empty = DMatrix::zeros(shape.0, shape.1);
        let (norm, forms) = nuclear_norm_and_forms(&empty, &random("y", shape.1, 2)).unwrap();
        assert_eq!((norm, forms), (0.0, vec![0.0; 2]), "{shape:?}");
    }
    let mut bad = random("y", 4, 2);
    bad[(1, 1)] = f64::NAN;
    assert!(matches!(
        nuclear_norm_and_forms(&random("m", 3, 4), &bad),
        Err(Error::NotFinite { .. })
    ));
}
