//! Images per second of StyleGAN2 at the size of FFHQ at 256 x 256: 25 million parameters.
//!
//! `cargo bench -p ganscope-stylegan`

use candle_core::{Device, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ganscope_golden as golden;
use ganscope_model::{Synthesis, Truncation};
use ganscope_stylegan::load;

#[path = "../tests/golden/recipe.rs"]
mod recipe;

fn synthesis(criterion: &mut Criterion) {
    let generator = load(recipe::ffhq256(), &Device::Cpu).expect("the recipe fits");
    let mut group = criterion.benchmark_group("stylegan2-ffhq256");
    for n in [1, 4] {
        let z = golden::tensor("z", &[n, 512], (-1.7, 1.7), 0);
        let z = Tensor::from_vec(z, (n, 512), &Device::Cpu).expect("a fitting shape");
        group.sample_size(10).throughput(Throughput::Elements(n as u64));
        group.bench_function(format!("batch {n}"), |bencher| {
            bencher.iter(|| {
                let ws = generator.map(&z, None, Truncation::psi(0.7)).expect("latents fit");
                generator.synthesize(&ws, &Synthesis::default()).expect("style inputs fit")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, synthesis);
criterion_main!(benches);
