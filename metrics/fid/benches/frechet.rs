//! The linear algebra of FID, from statistics of 2048 dimensions.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ganscope_fid::{frechet_distance, frechet_distance_with_error};
use ganscope_golden::tensor;
use ganscope_stats::{FeatureStats, Features, StatsBuilder};

const DIM: usize = 2048;

fn stats(name: &str, images: usize) -> FeatureStats {
    let rows = tensor(name, &[images, DIM], (0.0, 1.0), 0);
    let rows = Features::from_vec(rows, DIM).expect("whole rows");
    let mut builder = StatsBuilder::new(DIM).expect("a width");
    builder.push(&rows).expect("finite rows");
    builder.finish()
}

fn frechet(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frechet distance");
    group.sample_size(10);
    for images in [500, 5000] {
        let (generated, reference) = (stats("generated", images), stats("reference", images));
        group.bench_function(BenchmarkId::new("images", images), |bencher| {
            bencher.iter(|| frechet_distance(&generated, &reference));
        });
        group.bench_function(BenchmarkId::new("images, with error", images), |bencher| {
            bencher.iter(|| frechet_distance_with_error(&generated, &reference));
        });
    }
    group.finish();
}

criterion_group!(benches, frechet);
criterion_main!(benches);
