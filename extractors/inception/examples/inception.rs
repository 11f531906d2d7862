//! Speed of FID Inception at 299 x 299, as a whole and layer by layer.
//!
//! `cargo run --release -p ganscope-inception --example inception -- [BATCH] [THREADS] [RUNS]`
//!
//! The weights are those of the recipe; the speed does not depend on them. With `turns` for the runs
//! it runs once for each line of standard input and prints the seconds, so that another program can
//! run in turns with it. `LAYERS=1` prints a table of layers, the fastest run of each alone as a
//! network of one step whose output is copied, with the rate of convolutions as a multiple of direct
//! multiply-adds. `AVX2=1` leaves AVX-512 unused.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::collections::HashMap;
use std::io::BufRead as _;
use std::sync::Arc;
use std::time::Instant;

use ganscope_golden as golden;
use ganscope_inception::{INPUT_SIZE, Layer, network};
use ganscope_model::network::Builder;
use ganscope_model::{Checkpoint, Engine, Network, Node, Op, Shape, Step};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How often to run on how many images.
#[derive(Clone, Copy)]
struct Work {
    batch: usize,
    runs: usize,
}

/// The seconds that a layer takes, and its multiply-adds, for one image.
#[derive(Default)]
struct Cost {
    seconds: f64,
    multiply_adds: f64,
}

fn main() -> Result<()> {
    let argument = |i: usize, default: &str| std::env::args().nth(i).unwrap_or(default.to_owned());
    let (batch, threads) = (argument(1, "8").parse()?, argument(2, "2").parse()?);
    if std::env::var_os("AVX2").is_some() {
        ganscope_kernels::Isa::Avx2.limit();
    }
    let pool = ganscope_kernels::pool(threads).build()?;
    let weights = golden::weights("inception-weights.json");
    let network = Arc::new(network(Checkpoint::from_f32(weights)?)?);
    let features = network.node(Layer::L2048.step())?;

    let input = Shape { c: 3, h: INPUT_SIZE, w: INPUT_SIZE };
    if argument(3, "5") == "turns" {
        return pool.install(|| turns(network, features, input, batch));
    }
    let runs = argument(3, "5").parse::<usize>()?.max(1);
    let work = Work { batch, runs };
    let before = processor_seconds();
    let seconds = pool.install(|| work.seconds(network.clone(), features, input))?;
    // The first run, which touches the memory, is in the processor time alone.
    let per_image = (processor_seconds() - before) / (batch * (runs + 1)) as f64;
    let rate = |seconds: f64| batch as f64 / seconds;
    println!(
        "ganscope images/s: best {:.2} median {:.2}  (batch {batch}, threads {threads}) \
         processor ms/image: {:.1}",
        rate(seconds[0]),
        rate(seconds[runs / 2]),
        per_image * 1e3
    );
    if std::env::var_os("LAYERS").is_none() {
        return Ok(());
    }
    let layers = pool.install(|| layers(&network, features, work))?;
    let total: f64 = layers.iter().map(|(_, cost)| cost.seconds).sum();
    println!("{:<32} {:>9} {:>6} {:>9}", "layer", "ms/image", "share", "GFLOP/s");
    for (name, Cost { seconds, multiply_adds }) in layers {
        let share = 100.0 * seconds / total;
        let rate = 2e-9 * multiply_adds / seconds;
        let rate = if rate > 0.0 { format!("{rate:>9.1}") } else { String::new() };
        println!("{name:<32} {:>9.3} {share:>5.1}% {rate}", seconds * 1e3);
    }
    Ok(())
}

/// Runs `network` up to `node` once for each line of standard input.
fn turns(network: Arc<Network>, node: Node, input: Shape, batch: usize) -> Result<()> {
    let engine = Engine::new(network, &[node]);
    let data = images(input, batch);
    for _ in std::io::stdin().lock().lines() {
        let start = Instant::now();
        engine.run(&data, (batch, input.h, input.w))?;
        println!("{}", start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// A batch of maps of the shape `input`.
fn images(input: Shape, batch: usize) -> Vec<f32> {
    let name = format!("{}x{}x{}", input.c, input.h, input.w);
    golden::tensor(&name, &[batch, input.len()], (-1.0, 1.0), 0)
}

impl Work {
    /// Seconds of each run of `network` up to `node`, in increasing order.
    fn seconds(self, network: Arc<Network>, node: Node, input: Shape) -> Result<Vec<f64>> {
        let engine = Engine::new(network, &[node]);
        let data = images(input, self.batch);
        let mut seconds = Vec::new();
        for _ in 0..=self.runs {
            let start = Instant::now();
            let maps = engine.run(&data, (self.batch, input.h, input.w))?;
            seconds.push(start.elapsed().as_secs_f64());
            assert!(maps[0].data.iter().all(|value| value.is_finite()), "{input:?}");
        }
        // The first run touches the memory.
        seconds.remove(0);
        seconds.sort_by(f64::total_cmp);
        Ok(seconds)
    }
}

/// The cost of all layers up to `last`, in their order; equal ones are added up.
fn layers(network: &Network, last: Node, work: Work) -> Result<Vec<(String, Cost)>> {
    let shapes = network.shapes(INPUT_SIZE, INPUT_SIZE)?;
    let mut names = Vec::new();
    let mut costs: HashMap<String, Cost> = HashMap::new();
    for (i, step) in network.steps()[..last.index()].iter().enumerate() {
        let (input, output) = (shapes[step.inputs[0].index()], shapes[i + 1]);
        let Some(name) = title(step, input) else { continue };
        let mut builder = Builder::new(input.c);
        let mut node = builder.step("layer", &[Node::INPUT], step.op.clone());
        let mut multiply_adds = 0.0;
        if let Op::Conv(conv) = &step.op {
            node = builder.relu("relu", node);
            multiply_adds = (output.h * output.w * conv.weight.len()) as f64;
        }
        let seconds = work.seconds(Arc::new(builder.build()), node, input)?;
        let cost = costs.entry(name.clone()).or_insert_with(|| {
            names.push(name);
            Cost::default()
        });
        cost.seconds += seconds[0] / work.batch as f64;
        cost.multiply_adds += multiply_adds;
    }
    Ok(names.into_iter().filter_map(|name| costs.remove_entry(&name)).collect())
}

/// What the table calls a step; none for steps that others compute on their way.
fn title(step: &Step, input: Shape) -> Option<String> {
    match &step.op {
        Op::Conv(conv) => {
            let [kh, kw] = conv.spec.kernel;
            let (stride, from, to) =
                (conv.spec.stride[0], conv.spec.in_channels, conv.spec.out_channels);
            Some(format!("{kh}x{kw}/{stride} {from:>4} -> {to:<4} {:>3}x{:<3}", input.h, input.w))
        }
        Op::MaxPool(window) => Some(format!("max_pool {}/{}", window.kernel[0], window.stride[0])),
        Op::AvgPool(window, _) => {
            Some(format!("avg_pool {}/{}", window.kernel[0], window.stride[0]))
        }
        _ => None,
    }
}

/// Processor time of all threads; zero where `/proc` is missing.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.split_whitespace().skip(13).take(2).filter_map(|t| t.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}
