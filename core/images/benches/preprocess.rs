//! Decoding and resizing, which run ahead of a network: one image each.

use std::hint::black_box;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ganscope_golden as golden;
use ganscope_images::{Image, Preprocess, Resize, decode, save_png};
use ganscope_weights::npz;

fn recipe(side: usize) -> Image {
    Image { width: side, height: side, pixels: golden::image(0, side, side) }
}

fn resize(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resize to 299");
    for side in [64, 256, 1024] {
        let image = recipe(side);
        for resize in [Resize::TfBilinear, Resize::TorchBilinear, Resize::PillowBicubic] {
            let preprocess = Preprocess { resize, size: 299 };
            let mut out = vec![0.0; preprocess.values()];
            group.bench_function(BenchmarkId::new(resize.name(), side), |bencher| {
                bencher.iter(|| preprocess.apply(black_box(&image), &mut out));
            });
        }
    }
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.png");
    for side in [64, 256, 1024] {
        save_png(&path, &recipe(side)).expect("a PNG is written");
        let png = std::fs::read(&path).expect("and read");
        group.bench_function(BenchmarkId::new("png", side), |bencher| {
            bencher.iter(|| decode(black_box(&png), "a.png"));
        });
    }
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pillow.npz");
    let files = npz::read(&files).expect("the test files");
    for name in ["jpeg-baseline-420-95", "jpeg-progressive-420-95", "webp-rgb"] {
        let file = files[&format!("decode/{name}/file")].data();
        group.bench_function(BenchmarkId::new(name, "19x21"), |bencher| {
            bencher.iter(|| decode(black_box(file), name));
        });
    }
}

criterion_group!(benches, resize, decoding);
criterion_main!(benches);
