//! Speed of the convolutions of FID Inception at 299x299, as a whole and layer by layer.
//!
//! `cargo run --release -p ganscope-kernels --example inception -- [BATCH] [THREADS] [RUNS]`
//!
//! The network has random weights; its speed does not depend on them. `DIRECT=1` turns Winograd
//! off, `LAYERS=1` prints the table of layers with their rate as a multiple of direct
//! multiply-adds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

use ganscope_kernels::{
    Activation, Algorithm, Conv2d, ConvSpec, Isa, Map, MapMut, PoolSpec, avg_pool, global_average,
    max_pool,
};

/// Padding that keeps the size.
fn same(inputs: usize, outputs: usize, kernel: [usize; 2]) -> ConvSpec {
    ConvSpec::new(inputs, outputs, kernel).padding(kernel[0] / 2, kernel[1] / 2)
}

/// A channel-last buffer.
struct Buffer {
    data: Vec<f32>,
    shape: [usize; 4],
}

thread_local! {
    /// Memory of dropped buffers, so that no page is touched for the first time while the clock
    /// runs.
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

impl Drop for Buffer {
    fn drop(&mut self) {
        FREE.with_borrow_mut(|free| free.push(std::mem::take(&mut self.data)));
    }
}

impl Buffer {
    fn new(n: usize, size: usize, channels: usize) -> Self {
        let shape = [n, size, size, channels];
        let length = shape.iter().product();
        let data = FREE.with_borrow_mut(|free| {
            let index = free.iter().position(|data| data.len() == length)?;
            Some(free.swap_remove(index))
        });
        Self { data: data.unwrap_or_else(|| vec![0.0; length]), shape }
    }

    fn map(&self) -> Map<'_> {
        Map::new(&self.data, self.shape)
    }

    fn channels(&mut self, range: std::ops::Range<usize>) -> MapMut<'_> {
        MapMut::new(&mut self.data, self.shape).channels(range)
    }
}

/// Layers in the order of their first use, with the time spent in each.
#[derive(Default)]
struct Network {
    direct: bool,
    layers: Vec<(Conv2d, String, f64)>,
    next: usize,
    seconds: BTreeMap<&'static str, f64>,
}

impl Network {
    /// Convolution with ReLU from `input` into the channels of `output` from `first` on.
    fn conv(&mut self, spec: ConvSpec, input: Map<'_>, output: &mut Buffer, first: usize) {
        if self.next == self.layers.len() {
            let [_, h, w, _] = input.shape();
            let [kh, kw] = spec.kernel;
            let name = format!(
                "{kh}x{kw}/{} {:>4} -> {:<4} {h:>3}x{w:<3}",
                spec.stride[0], spec.in_channels, spec.out_channels
            );
            self.layers.push((random_conv(spec, self.direct), name, 0.0));
        }
        let (conv, _, seconds) = &mut self.layers[self.next];
        self.next += 1;
        let start = Instant::now();
        conv.run(input, output.channels(first..first + spec.out_channels));
        *seconds += start.elapsed().as_secs_f64();
    }

    /// Convolution into a map of its own.
    fn own(&mut self, spec: ConvSpec, input: Map<'_>) -> Buffer {
        let [n, h, w, _] = input.shape();
        let mut output = Buffer::new(n, spec.output_size(h, w)[0], spec.out_channels);
        self.conv(spec, input, &mut output, 0);
        output
    }

    /// A chain of convolutions, the last into `output` from `first` on.
    fn chain(&mut self, specs: &[ConvSpec], input: Map<'_>, output: &mut Buffer, first: usize) {
        let (last, head) = specs.split_last().expect("a chain has a layer");
        let mut buffer: Option<Buffer> = None;
        for spec in head {
            let input = buffer.as_ref().map_or(input, Buffer::map);
            buffer = Some(self.own(*spec, input));
        }
        self.conv(*last, buffer.as_ref().map_or(input, Buffer::map), output, first);
    }

    fn time<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        *self.seconds.entry(name).or_default() += start.elapsed().as_secs_f64();
        result
    }

    fn max_pool(&mut self, input: Map<'_>) -> Buffer {
        let [n, h, _, c] = input.shape();
        let mut output = Buffer::new(n, (h - 3) / 2 + 1, c);
        self.max_pool_into(input, &mut output, 0);
        output
    }

    fn max_pool_into(&mut self, input: Map<'_>, output: &mut Buffer, first: usize) {
        let channels = first..first + input.shape()[3];
        self.time("max_pool 3/2", || {
            max_pool(&PoolSpec::new(3, 2), input, output.channels(channels));
        });
    }

    fn avg_pool(&mut self, input: Map<'_>) -> Buffer {
        let [n, h, _, c] = input.shape();
        let mut output = Buffer::new(n, h, c);
        self.time("avg_pool 3/1", || {
            let spec = PoolSpec::new(3, 1).padding(1);
            avg_pool(&spec, false, input, output.channels(0..c));
        });
        output
    }

    fn mixed_5(&mut self, x: &Buffer, pool: usize) -> Buffer {
        let [n, size, _, c] = x.shape;
        let mut y = Buffer::new(n, size, 224 + pool);
        self.chain(&[same(c, 64, [1, 1])], x.map(), &mut y, 0);
        self.chain(&[same(c, 48, [1, 1]), same(48, 64, [5, 5])], x.map(), &mut y, 64);
        let triple = [same(c, 64, [1, 1]), same(64, 96, [3, 3]), same(96, 96, [3, 3])];
        self.chain(&triple, x.map(), &mut y, 128);
        let pooled = self.avg_pool(x.map());
        self.conv(same(c, pool, [1, 1]), pooled.map(), &mut y, 224);
        y
    }

    fn mixed_6a(&mut self, x: &Buffer) -> Buffer {
        let mut y = Buffer::new(x.shape[0], 17, 768);
        let half = |i, o| ConvSpec::new(i, o, [3, 3]).stride(2);
        self.chain(&[half(288, 384)], x.map(), &mut y, 0);
        let triple = [same(288, 64, [1, 1]), same(64, 96, [3, 3]), half(96, 96)];
        self.chain(&triple, x.map(), &mut y, 384);
        self.max_pool_into(x.map(), &mut y, 480);
        y
    }

    fn mixed_6(&mut self, x: &Buffer, c: usize) -> Buffer {
        let mut y = Buffer::new(x.shape[0], 17, 768);
        self.conv(same(768, 192, [1, 1]), x.map(), &mut y, 0);
        let triple = [same(768, c, [1, 1]), same(c, c, [1, 7]), same(c, 192, [7, 1])];
        self.chain(&triple, x.map(), &mut y, 192);
        let double = [
            same(768, c, [1, 1]),
            same(c, c, [7, 1]),
            same(c, c, [1, 7]),
            same(c, c, [7, 1]),
            same(c, 192, [1, 7]),
        ];
        self.chain(&double, x.map(), &mut y, 384);
        let pooled = self.avg_pool(x.map());
        self.conv(same(768, 192, [1, 1]), pooled.map(), &mut y, 576);
        y
    }

    fn mixed_7a(&mut self, x: &Buffer) -> Buffer {
        let mut y = Buffer::new(x.shape[0], 8, 1280);
        let half = |i, o| ConvSpec::new(i, o, [3, 3]).stride(2);
        self.chain(&[same(768, 192, [1, 1]), half(192, 320)], x.map(), &mut y, 0);
        let chain = [
            same(768, 192, [1, 1]),
            same(192, 192, [1, 7]),
            same(192, 192, [7, 1]),
            half(192, 192),
        ];
        self.chain(&chain, x.map(), &mut y, 320);
        self.max_pool_into(x.map(), &mut y, 512);
        y
    }

    fn mixed_7(&mut self, x: &Buffer) -> Buffer {
        let c = x.shape[3];
        let mut y = Buffer::new(x.shape[0], 8, 2048);
        self.conv(same(c, 320, [1, 1]), x.map(), &mut y, 0);
        let a = self.own(same(c, 384, [1, 1]), x.map());
        self.conv(same(384, 384, [1, 3]), a.map(), &mut y, 320);
        self.conv(same(384, 384, [3, 1]), a.map(), &mut y, 704);
        let b = self.own(same(c, 448, [1, 1]), x.map());
        let b = self.own(same(448, 384, [3, 3]), b.map());
        self.conv(same(384, 384, [1, 3]), b.map(), &mut y, 1088);
        self.conv(same(384, 384, [3, 1]), b.map(), &mut y, 1472);
        let pooled = self.avg_pool(x.map());
        self.conv(same(c, 192, [1, 1]), pooled.map(), &mut y, 1856);
        y
    }

    fn forward(&mut self, x: &Buffer) -> Vec<f32> {
        self.next = 0;
        let x = self.own(ConvSpec::new(3, 32, [3, 3]).stride(2), x.map());
        let x = self.own(ConvSpec::new(32, 32, [3, 3]), x.map());
        let x = self.own(same(32, 64, [3, 3]), x.map());
        let x = self.max_pool(x.map());
        let x = self.own(ConvSpec::new(64, 80, [1, 1]), x.map());
        let x = self.own(ConvSpec::new(80, 192, [3, 3]), x.map());
        let x = self.max_pool(x.map());
        let x = self.mixed_5(&x, 32);
        let x = self.mixed_5(&x, 64);
        let x = self.mixed_5(&x, 64);
        let x = self.mixed_6a(&x);
        let x = self.mixed_6(&x, 128);
        let x = self.mixed_6(&x, 160);
        let x = self.mixed_6(&x, 160);
        let x = self.mixed_6(&x, 192);
        let x = self.mixed_7a(&x);
        let x = self.mixed_7(&x);
        let x = self.mixed_7(&x);
        let mut features = vec![0.0; x.shape[0] * 2048];
        self.time("global_average", || global_average(x.map(), &mut features));
        features
    }
}

/// A layer with weights of the variance that keeps activations alive.
fn random_conv(spec: ConvSpec, direct: bool) -> Conv2d {
    let fan_in = spec.weight_len() / spec.out_channels;
    let bound = (6.0 / fan_in as f32).sqrt();
    let weight: Vec<f32> = random(spec.weight_len()).into_iter().map(|w| w * bound).collect();
    let algorithm = if direct { Algorithm::Direct } else { Algorithm::best(&spec) };
    let isa = match std::env::var("ISA").as_deref() {
        Ok("avx2") => Isa::Avx2,
        Ok("portable") => Isa::Portable,
        _ => Isa::best(),
    };
    Conv2d::with(spec, &weight, None, Activation::Relu, algorithm, isa)
}

/// Values in [-1, 1).
fn random(count: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Processor time of all threads, in hundredths of a second; zero where `/proc` is missing.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.split_whitespace().skip(13).take(2).filter_map(|t| t.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// `|a - b| / |b|`.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let squares =
        |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
    (squares(&mut a.iter().zip(b).map(|(a, b)| a - b)) / squares(&mut b.iter().copied())).sqrt()
}

fn multiply_adds(conv: &Conv2d, pixels: usize) -> f64 {
    (conv.spec().weight_len() * pixels) as f64
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn main() {
    let mut numbers = std::env::args().skip(1).map(|a| a.parse().expect("a number"));
    let mut number = |default: usize| numbers.next().unwrap_or(default);
    let (batch, threads, runs) = (number(8), number(2), number(5));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let mut x = Buffer::new(batch, 299, 3);
    x.data = random(x.data.len());
    let direct = std::env::var_os("DIRECT").is_some();
    let mut network = Network { direct, ..Network::default() };
    pool.install(|| network.forward(&x));
    for (_, _, seconds) in &mut network.layers {
        *seconds = 0.0;
    }
    network.seconds.clear();
    let mut rates = Vec::new();
    let before = processor_seconds();
    for _ in 0..runs {
        let start = Instant::now();
        let features = pool.install(|| network.forward(&x));
        rates.push(batch as f64 / start.elapsed().as_secs_f64());
        assert!(features.iter().all(|value| value.is_finite()));
    }
    let per_image = (processor_seconds() - before) / (batch * runs) as f64;
    rates.sort_by(f64::total_cmp);
    println!(
        "ganscope images/s: best {:.2} median {:.2}  (batch {batch}, threads {threads}) \
         processor ms/image: {:.1}",
        rates[runs - 1],
        rates[runs / 2],
        per_image * 1e3
    );
    if std::env::var_os("ERROR").is_some() {
        let mut direct = Network { direct: true, ..Network::default() };
        let error = pool.install(|| distance(&network.forward(&x), &direct.forward(&x)));
        println!("features: relative l2 distance to those of direct convolution {error:.1e}");
    }
    if std::env::var_os("LAYERS").is_none() {
        return;
    }
    let total: f64 = network.layers.iter().map(|layer| layer.2).sum::<f64>()
        + network.seconds.values().sum::<f64>();
    println!("{:<32} {:>9} {:>6} {:>9}", "layer", "ms/image", "share", "GFLOP/s");
    let images = (batch * runs) as f64;
    for (conv, name, seconds) in &network.layers {
        let size: usize = name.rsplit('x').next().and_then(|s| s.trim().parse().ok()).expect("w");
        let [h, w] = conv.output_size(size, size);
        let rate = 2.0 * multiply_adds(conv, h * w) * images / seconds / 1e9;
        let (time, share) = (seconds / images * 1e3, seconds / total * 100.0);
        println!("{name:<32} {time:>9.3} {share:>5.1}% {rate:>9.1}");
    }
    for (name, seconds) in &network.seconds {
        println!("{name:<32} {:>9.3} {:>5.1}%", seconds / images * 1e3, seconds / total * 100.0);
    }
}
