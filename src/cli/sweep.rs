//! `ganscope sweep`: what truncation trades.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use ganscope_images::{Image, grid};
use ganscope_latent::{Class, Sampler, Truncations};
use ganscope_model::Generator;
use ganscope_stats::Needs;

use super::extract::ExtractArgs;
use super::score::{self, MetricArgs};
use super::terminal::Terminal;
use crate::extraction::{self, Extraction};
use crate::extractors::OpenExtractor;
use crate::generators::{self, GeneratorOptions, OpenGenerator, to_images};
use crate::registry;
use crate::report::Row;
use crate::side::Side;
use crate::store::Store;
use crate::sweep::{Point, Sweep};

const EXAMPLES: &str = "\
Examples:
  ganscope sweep fashion-stylegan2 --reference fashion-test -o sweep/
  ganscope sweep ffhq.pkl --trunc 0.3:1.0:0.1 --num 10000 --reference ffhq-256.zip -o sweep/
  ganscope sweep biggan-deep-128 --metrics is,fid,prdc --reference imagenet.npz -o sweep/";

/// Generates and scores at many truncations: curves, a table, a grid, one page
///
/// Images go from the generator to the extractor without touching the disk. An interrupted sweep
/// goes on where it was. A conditional model draws the classes in turn unless one is given.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A shipped model, a known id, `hub:owner/repo/file`, or a file
    model: String,

    /// Truncations: values and ranges FROM:TO:STEP, separated by commas
    #[arg(long, default_value = "0.1:1.0:0.1", value_name = "LIST")]
    trunc: Truncations,

    /// Reference set: real images, or their statistics
    #[arg(long, short, value_name = "REF")]
    reference: PathBuf,

    /// Metrics, separated by commas
    #[arg(long, short, value_delimiter = ',', default_value = "is,fid,prdc", value_name = "NAMES")]
    metrics: Vec<String>,

    /// Folder to write
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    /// Class of a conditional model, by number
    #[arg(long, value_name = "N")]
    class: Option<u32>,

    /// First seed; image i has this seed plus i
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    first_seed: u32,

    /// Samples in a row of the grid
    #[arg(long, default_value_t = 10, value_name = "N")]
    columns: usize,

    /// Images that are generated together; changes no picture
    #[arg(long, default_value_t = 16, value_name = "N")]
    generate_batch: usize,

    #[command(flatten)]
    options: MetricArgs,

    #[command(flatten)]
    extract: ExtractArgs,
}

/// Images at each truncation unless told.
const IMAGES: usize = 5000;

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    let options = args.options.options();
    let metrics = score::metrics(&args.extract, Some(&args.metrics), &options, true)?;
    let side = Side::open(&args.reference, args.extract.recursive)?;
    let needs = metrics.iter().fold(Needs::NONE, |needs, m| needs | m.needs());
    let of_reference = metrics.iter().filter(|m| m.needs_reference());
    let of_reference = of_reference.fold(Needs::NONE, |needs, m| needs | m.needs());
    std::fs::create_dir_all(&args.output)
        .with_context(|| format!("cannot write `{}`", args.output.display()))?;

    let model = generators::open(
        &args.model,
        &GeneratorOptions::default(),
        &candle_core::Device::Cpu,
        &mut |_, _| {},
    )?;
    let open = args.extract.open(needs, side.convention(), terminal)?;
    side.check(&open.convention)?;
    let (reference, _, _) = score::features(&side, &args.extract, of_reference, &open, terminal)?;

    let mut points = Vec::new();
    for &truncation in &args.trunc.0 {
        let sampler = sampler(args, &*model.generator, truncation)?;
        let store = extract(args, &model, sampler, truncation, &open, terminal)?;
        let set = extraction::collect(store.into(), needs)?;
        let mut scores = Vec::new();
        for metric in &metrics {
            let found = metric.score(&set, Some(&reference));
            for score in found.with_context(|| format!("truncation {truncation}"))? {
                let title = registry::title(score.name, &open.convention);
                scores.push(Row::new(score, title, &args.model, Some(side.name())));
            }
        }
        terminal.note(&line(truncation, &scores));
        points.push(Point { truncation, scores });
    }
    let sweep = Sweep {
        model: args.model.clone(),
        reference: side.name().into(),
        images: args.extract.num.unwrap_or(IMAGES),
        first_seed: args.first_seed,
        convention: open.convention.to_string(),
        ganscope: env!("CARGO_PKG_VERSION"),
        points,
    };
    let captions: Vec<String> = args.trunc.0.iter().map(|t| format!("{t:.2}")).collect();
    sweep.write(&args.output, &samples(args, &*model.generator)?, &captions)?;
    terminal.data(&sweep.csv())?;
    terminal.note(&format!("see {}", args.output.join("report.html").display()));
    Ok(())
}

fn sampler(args: &Args, generator: &dyn Generator, truncation: f64) -> Result<Sampler> {
    let info = generator.info();
    let class = match args.class {
        Some(class) => Some(Class::One(class)),
        None => (info.c_dim > 0).then_some(Class::BySeed),
    };
    Ok(Sampler::new(generator, truncation, class)?)
}

/// Rows of the images of one truncation, from the cache as far as they are there.
fn extract(
    args: &Args,
    model: &OpenGenerator,
    sampler: Sampler,
    truncation: f64,
    open: &OpenExtractor,
    terminal: &Terminal,
) -> Result<Store> {
    let total = args.extract.num.unwrap_or(IMAGES);
    ensure!(total > 1, "--num must be at least 2");
    let last = args.first_seed.checked_add(total as u32).context("seeds end at 4294967295")?;
    let store = match args.extract.cache_folder() {
        Some(folder) => {
            let parts = format!("{:?} {sampler:?}", open.extractor.gives());
            let what = (model.digest.to_hex().to_string(), parts, args.first_seed, total);
            let key = serde_json::to_vec(&(what, &open.convention))?;
            Store::open(&folder, &blake3::hash(&key).to_hex())?
        }
        None => Store::temporary()?,
    };
    let generator = &*model.generator;
    let (first, batch) = (args.first_seed, args.generate_batch);
    let mut extraction =
        Extraction::of_generated(total, &*open.extractor, open.preprocess, store, |done| {
            let batches = sampler.stream(generator, first + done as u32..last, batch);
            Box::new(batches.map(|batch| to_images(&batch?.images, &generator.info())))
        });
    let bar = terminal.bar(total, &format!("truncation {truncation:.3}"));
    bar.set_position(extraction.done() as u64);
    bar.reset_eta();
    for done in &mut extraction {
        bar.set_position(done? as u64);
    }
    bar.finish_and_clear();
    Ok(extraction.into_store())
}

/// The same seeds at every truncation, a row each.
fn samples(args: &Args, generator: &dyn Generator) -> Result<Image> {
    let seeds: Vec<u32> = (args.first_seed..).take(args.columns.max(1)).collect();
    let mut images = Vec::new();
    for &truncation in &args.trunc.0 {
        let made = sampler(args, generator, truncation)?.images(generator, &seeds)?;
        images.extend(to_images(&made, &generator.info())?);
    }
    Ok(grid(&images, seeds.len(), 0, [255; 3]))
}

fn line(truncation: f64, scores: &[Row]) -> String {
    let scores: Vec<_> = scores.iter().map(|s| format!("{} {:.4}", s.title, s.value)).collect();
    format!("truncation {truncation:.3}: {}", scores.join(", "))
}
