//! Precision, recall, density and coverage of 10,000 x 10,000 rows of 2048, beside the bare product.

use criterion::{Criterion, criterion_group, criterion_main};
use ganscope_golden::tensor;
use ganscope_prdc::{Boundary, manifolds};
use ganscope_stats::Features;
use ganscope_stats::linalg::row_products_f32;
use rayon::prelude::*;

const ROWS: usize = 10_000;
const DIM: usize = 2048;
/// Rows of a tile of the bare product, and columns of it.
const TILE: usize = 500;

fn rows(name: &str) -> Features {
    Features::from_vec(tensor(name, &[ROWS, DIM], (0.0, 1.0), 0), DIM).expect("whole rows")
}

/// All dot products, tile by tile on all threads.
fn products(a: &Features, b: &Features) {
    let tiles = |f: &Features| f.as_slice().chunks(TILE * DIM).map(<[f32]>::to_vec).collect();
    let (a, b): (Vec<Vec<f32>>, Vec<Vec<f32>>) = (tiles(a), tiles(b));
    a.par_iter().for_each_init(
        || vec![0.0; TILE * TILE],
        |out, a| b.iter().for_each(|b| row_products_f32(a, b, DIM, out)),
    );
}

fn prdc(criterion: &mut Criterion) {
    let (generated, reference) = (rows("generated"), rows("reference"));
    let mut group = criterion.benchmark_group("10000 x 10000 x 2048");
    group.sample_size(10);
    group.bench_function("bare product", |bencher| {
        bencher.iter(|| products(&generated, &reference));
    });
    group.bench_function("precision, recall, density, coverage", |bencher| {
        bencher.iter(|| manifolds(&generated, &reference, 5, Boundary::Outside));
    });
    group.finish();
}

criterion_group!(benches, prdc);
criterion_main!(benches);
