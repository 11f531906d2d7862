use proptest::prelude::*;

use super::*;

/// Two summation orders in float64 over fewer than a thousand rows.
const ROUNDING: f64 = 1e-12;

/// The moments by their definition.
fn slow(features: &Features) -> (DVector<f64>, DMatrix<f64>) {
    let rows: Vec<DVector<f64>> = features
        .rows()
        .map(|row| DVector::from_iterator(row.len(), row.iter().map(|&x| f64::from(x))))
        .collect();
    let mean = rows.iter().sum::<DVector<f64>>() / rows.len() as f64;
    let outer = |row: &DVector<f64>| (row - &mean) * (row - &mean).transpose();
    let scatter = rows.iter().map(outer).sum();
    (mean, scatter)
}

fn features(rows: usize, dim: usize, offset: f64) -> Features {
    let data = ganscope_golden::tensor("moments", &[rows, dim], (offset, offset + 1.0), 0);
    Features::from_vec(data, dim).unwrap()
}

fn assert_close(stats: &FeatureStats, mean: &DVector<f64>, scatter: &DMatrix<f64>) {
    assert!((stats.mean() - mean).norm() <= ROUNDING * mean.norm());
    assert!((stats.scatter().unwrap() - scatter).norm() <= ROUNDING * scatter.norm());
}

#[test]
fn moments_are_those_of_the_definition() {
    // 1..600 rows: less than a block, whole blocks, and a rest; 150 columns: more than a panel
    for (rows, dim) in [(1, 3), (2, 1), (256, 5), (600, 150)] {
        let features = features(rows, dim, -0.3);
        let (mean, scatter) = slow(&features);
        assert_close(&FeatureStats::from_features(&features), &mean, &scatter);
    }
}

#[test]
fn a_large_offset_costs_no_digits_of_the_scatter() {
    // multiples of 2^-10 near 2^12 are exact in float32
    let dim = 4;
    let base: Vec<f32> = (0..700 * dim).map(|i| ((i * 37) % 101) as f32 / 1024.0).collect();
    let moved = base.iter().map(|x| x + 4096.0).collect();
    let base = FeatureStats::from_features(&Features::from_vec(base, dim).unwrap());
    let moved = FeatureStats::from_features(&Features::from_vec(moved, dim).unwrap());
    let difference = (base.scatter().unwrap() - moved.scatter().unwrap()).norm();
    assert!(difference <= ROUNDING * base.scatter().unwrap().norm(), "{difference}");
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let features = features(700, 300, 0.0);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| FeatureStats::from_features(&features))
    };
    assert_eq!(with(1), with(2));
    assert_eq!(with(1), with(5));
}

#[test]
fn moments_without_some_rows_are_those_of_the_rest() {
    let all = features(40, 6, 2.0);
    let (part, rest): (Vec<usize>, Vec<usize>) = (0..40).partition(|i| i % 3 == 0);
    let moments = FeatureStats::from_features(&all);
    let part = FeatureStats::from_features(&all.select(&part));
    let (mean, scatter) = slow(&all.select(&rest));
    let left = moments.without(&part).unwrap();
    assert_eq!(left.count(), Some(rest.len() as u64));
    assert_close(&left, &mean, &scatter);
    assert!(moments.without(&moments).is_err());
}

#[test]
fn fewer_than_two_rows_have_no_covariance() {
    let one = FeatureStats::from_features(&features(1, 3, 0.0));
    assert!(matches!(one.cov(), Err(Error::TooFewSamples { needed: 2, got: 1, .. })));
    assert_eq!(one.max_rank(), 0);
}

#[test]
fn imported_moments_are_checked() {
    let mean = DVector::from_vec(vec![0.0, 1.0]);
    let cov = |values: [f64; 4]| {
        FeatureStats::from_cov(None, mean.clone(), DMatrix::from_row_slice(2, 2, &values))
    };
    let known = cov([1.0, 0.5, 0.5, 2.0]).unwrap();
    assert_eq!((known.count(), known.max_rank()), (None, 2));
    assert_eq!(known.cov().unwrap(), DMatrix::from_row_slice(2, 2, &[1.0, 0.5, 0.5, 2.0]));
    assert!(matches!(known.clone().merge(&known), Err(Error::UnknownCount)));
    assert!(matches!(
        cov([1.0, 0.5, 0.4, 2.0]),
        Err(Error::NotSymmetric { row: 1, column: 0, lower: 0.4, upper: 0.5 })
    ));
    assert!(matches!(cov([1.0, f64::NAN, 0.5, 2.0]), Err(Error::NotFinite { row: 0, .. })));
    let wide = FeatureStats::from_cov(None, mean, DMatrix::zeros(2, 3));
    assert!(matches!(wide, Err(Error::Dimension { expected: 2, got: 3, .. })));
}

proptest! {
    #[test]
    fn batches_of_any_size_give_the_same_bits(cuts in prop::collection::vec(0usize..300, 1..8)) {
        let dim = 3;
        let all = features(cuts.iter().sum::<usize>() + 1, dim, 0.0);
        let mut builder = StatsBuilder::new(dim).unwrap();
        let mut rest = all.as_slice();
        for rows in cuts {
            let (batch, tail) = rest.split_at(rows * dim);
            builder.push(&Features::from_vec(batch.to_vec(), dim).unwrap()).unwrap();
            rest = tail;
        }
        builder.push(&Features::from_vec(rest.to_vec(), dim).unwrap()).unwrap();
        prop_assert_eq!(builder.finish(), FeatureStats::from_features(&all));
    }

    #[test]
    fn merged_shards_are_the_whole(cuts in prop::collection::vec(1usize..400, 1..8)) {
        let dim = 5;
        let all = features(cuts.iter().sum(), dim, 3.0);
        let mut merged = StatsBuilder::new(dim).unwrap().finish();
        let mut first = 0;
        for rows in cuts {
            let shard = all.select(&(first..first + rows).collect::<Vec<_>>());
            merged.merge(&FeatureStats::from_features(&shard)).unwrap();
            first += rows;
        }
        let whole = FeatureStats::from_features(&all);
        prop_assert_eq!(merged.count(), whole.count());
        assert_close(&merged, whole.mean(), whole.scatter().unwrap());
    }

    #[test]
    fn a_scatter_is_exactly_symmetric(rows in 1usize..600, dim in 1usize..200) {
        let stats = FeatureStats::from_features(&features(rows, dim, 0.0));
        let mut merged = stats.clone();
        merged.merge(&stats).unwrap();
        for scatter in [stats.scatter().unwrap(), merged.scatter().unwrap()] {
            prop_assert_eq!(scatter, &scatter.transpose());
        }
    }
}

#[test]
fn rows_too_wide_for_a_covariance_are_refused() {
    let wide = StatsBuilder::new(1 << 20).unwrap_err().to_string();
    assert!(wide.contains("at most 32768"), "{wide}");
    let flat = Features::from_vec(vec![0.0; 2 * 300_000], 300_000).unwrap();
    assert!(crate::FeatureSet::of_rows(flat).is_err());
}
