//! Convolutions of FID Inception, StyleGAN2 at 256 and BigGAN-deep at 128 pixels, layer by layer.
//!
//! `cargo bench -p ganscope-kernels -- inception`; the rate is in operations of direct convolution
//! a second (two a multiply-add), so Winograd may exceed what the machine can do.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ganscope_kernels::{Activation, Conv2d, ConvSpec, Map, MapMut};

/// Channels in and out, kernel, size of the input, stride.
type Layer = (usize, usize, [usize; 2], usize, usize);

/// One of each shape, in the order of the network; batch 8.
const INCEPTION: &[Layer] = &[
    (3, 32, [3, 3], 299, 2),
    (32, 32, [3, 3], 149, 1),
    (32, 64, [3, 3], 147, 1),
    (64, 80, [1, 1], 73, 1),
    (80, 192, [3, 3], 73, 1),
    (288, 64, [1, 1], 35, 1),
    (48, 64, [5, 5], 35, 1),
    (64, 96, [3, 3], 35, 1),
    (96, 96, [3, 3], 35, 1),
    (288, 384, [3, 3], 35, 2),
    (768, 192, [1, 1], 17, 1),
    (192, 192, [1, 7], 17, 1),
    (192, 192, [7, 1], 17, 1),
    (192, 320, [3, 3], 17, 2),
    (2048, 320, [1, 1], 8, 1),
    (448, 384, [3, 3], 8, 1),
    (384, 384, [1, 3], 8, 1),
];

/// The second convolution of each resolution, as it runs between the modulations; batch 1.
const STYLEGAN2: &[Layer] = &[
    (512, 512, [3, 3], 4, 1),
    (512, 512, [3, 3], 8, 1),
    (512, 512, [3, 3], 16, 1),
    (512, 512, [3, 3], 32, 1),
    (256, 256, [3, 3], 64, 1),
    (128, 128, [3, 3], 128, 1),
    (64, 64, [3, 3], 256, 1),
];

/// The bottlenecks: 1x1, 3x3, 1x1; batch 4.
const BIGGAN: &[Layer] = &[
    (2048, 512, [1, 1], 4, 1),
    (512, 512, [3, 3], 8, 1),
    (1024, 256, [1, 1], 16, 1),
    (256, 256, [3, 3], 32, 1),
    (128, 128, [3, 3], 64, 1),
    (64, 64, [3, 3], 128, 1),
    (64, 256, [1, 1], 128, 1),
    (128, 3, [3, 3], 128, 1),
];

fn run(criterion: &mut Criterion, name: &str, batch: usize, layers: &[Layer]) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    for &(inputs, outputs, kernel, size, stride) in layers {
        let [h, w] = kernel;
        let padding = if stride == 1 { [h / 2, w / 2] } else { [0, 0] };
        let spec = ConvSpec::new(inputs, outputs, kernel);
        let spec = spec.stride(stride).padding(padding[0], padding[1]);
        let weight = ramp(spec.weight_len());
        let conv = Conv2d::new(spec, &weight, None, Activation::Relu);
        let [rows, columns] = spec.output_size(size, size);
        let input = ramp(batch * size * size * inputs);
        let mut output = vec![0.0; batch * rows * columns * outputs];
        let operations = 2 * spec.weight_len() * batch * rows * columns;
        group.throughput(Throughput::Elements(operations as u64));
        let label = format!("{h}x{w}/{stride} {inputs} to {outputs} at {size}");
        group.bench_function(label, |bencher| {
            bencher.iter(|| {
                conv.run(
                    Map::new(&input, [batch, size, size, inputs]),
                    MapMut::new(&mut output, [batch, rows, columns, outputs]),
                );
            });
        });
    }
    group.finish();
}

/// Values in [-1, 1) without pattern to speak of; none is subnormal.
fn ramp(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 0.618_034).fract() * 2.0 - 1.0).collect()
}

fn layers(criterion: &mut Criterion) {
    run(criterion, "inception", 8, INCEPTION);
    run(criterion, "stylegan2-256", 1, STYLEGAN2);
    run(criterion, "biggan-deep-128", 4, BIGGAN);
}

criterion_group!(benches, layers);
criterion_main!(benches);
