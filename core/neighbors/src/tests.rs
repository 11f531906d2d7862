use ganscope_golden::tensor;
use ganscope_stats::Features;
use proptest::prelude::*;

use super::*;
use crate::rows::{Columns, Near, Tile, TileRows, round_up, squared_distance};

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

#[test]
fn bounds_hold_the_exact_distances_and_no_pair_within_reach_is_lost() {
    for (n, m, dim) in [(90, 40, 3), (100, 61, 130), (64, 70, 1000)] {
        let [a, b] = uneven(n, m, dim);
        let frame = Frame::around(&[&a, &b]);
        let (a, b) = (Rows::new(&a, &frame), Rows::new(&b, &frame));
        let mut exact: Vec<f64> = (0..m)
            .flat_map(|j| (0..n).map(move |i| (i, j)))
            .map(|(i, j)| a.exact(i, &b, j))
            .collect();
        let check = |near: &[Near], reach: f64| {
            for pair in near {
                let exact = a.exact(pair.row, &b, pair.column);
                let (low, high) = (f64::from(pair.low), f64::from(pair.high));
                assert!(low <= exact && exact <= high, "{dim}: {exact} in {low}..{high}");
            }
            let within = |&(i, j): &(usize, usize)| a.exact(i, &b, j) <= reach;
            let expected = (0..m).flat_map(|j| (0..n).map(move |i| (i, j))).filter(within);
            let found: Vec<_> = near.iter().map(|pair| (pair.row, pair.column)).collect();
            assert!(expected.into_iter().all(|pair| found.contains(&pair)), "{dim}: {reach}");
        };
        exact.sort_by(f64::total_cmp);
        let packed = Packed::new(&a);
        // Few pairs are within the first reach; all are within the last, and there bytes give up.
        for reach in [exact[m * n / 200], exact[m * n / 10], exact[m * n - 1]] {
            let (rows, columns) = (vec![round_up(reach); n], vec![round_up(reach); m]);
            let mut tile = Tile::default();
            let rows = TileRows { packed: &packed, tile: 0, reach: &rows };
            let columns = Columns { rows: &b, range: 0..m, reach: &columns };
            check(tile.near(rows, &columns), reach);
        }
    }
}

/// The distances to the `k` nearest rows by their definition.
fn slow(rows: &Features, others: &Features, k: usize, within: bool) -> Vec<Vec<f64>> {
    let nearest = |(i, a): (usize, &[f32])| {
        let others = others.rows().enumerate().filter(|(j, _)| !(within && i == *j));
        let mut all: Vec<f64> = others.map(|(_, b)| squared_distance(a, b).sqrt()).collect();
        all.sort_by(f64::total_cmp);
        all.truncate(k);
        all
    };
    rows.rows().enumerate().map(nearest).collect()
}

/// Distances of features, of which each is that of the row it is said to belong to.
fn distances(rows: &Rows<'_>, others: &Rows<'_>, found: Vec<Vec<Neighbor>>) -> Vec<Vec<f64>> {
    let list = |(row, list): (usize, Vec<Neighbor>)| {
        assert!(list.iter().all(|n| n.squared == rows.exact(row, others, n.row)));
        list.into_iter().map(|n| rows.distance(n.squared)).collect()
    };
    found.into_iter().enumerate().map(list).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn neighbors_are_those_of_the_definition(
        n in 7usize..650, m in 7usize..650, dim in 1usize..150, k in 1usize..7
    ) {
        let [a, b] = uneven(n, m, dim);
        let frame = Frame::around(&[&a, &b]);
        let (rows, others) = (Rows::new(&a, &frame), Rows::new(&b, &frame));
        let packed = Packed::new(&rows);
        prop_assert_eq!(distances(&rows, &rows, nearest(&packed, k)), slow(&a, &a, k, true));
        let found = nearest_of(&packed, &others, k);
        prop_assert_eq!(distances(&rows, &others, found), slow(&a, &b, k, false));
    }
}
