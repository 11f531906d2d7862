//! Precision, recall, density and coverage of 10,000 x 10,000 rows of 2048, beside the bare product.

use criterion::{Criterion, criterion_group, criterion_main};
use ganscope_golden::tensor;
use ganscope_kernels::{Activation, Linear};
use ganscope_prdc::{Boundary, manifolds};
use ganscope_stats::Features;
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
    b.as_slice().par_chunks(TILE * DIM).for_each_init(
        || vec![0.0; TILE * TILE],
        |out, b| {
            let product = Linear::new([TILE, DIM], b, None, Activation::None);
            a.as_slice().chunks(TILE * DIM).for_each(|a| product.run(a, out));
        },
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
