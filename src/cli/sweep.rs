//! `ganscope sweep`: what truncation trades.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use ganscope_images::{Image, Survey};
use ganscope_latent::{Sampler, Truncations};
use ganscope_stats::Needs;
use indicatif::ProgressBar;

use super::extract::ExtractArgs;
use super::model::{GeneratorArgs, ModelArgs};
use super::output::make_folder;
use super::score::{self, MetricArgs};
use super::terminal::Terminal;
use crate::extraction::{self, Extraction};
use crate::extractors::OpenExtractor;
use crate::generators::{OpenGenerator, to_images};
use crate::hint::advised;
use crate::report::Row;
use crate::side::Side;
use crate::store::Store;
use crate::sweep::{self, Point, Sweep};
use crate::{cache, captions, notices, registry};

const EXAMPLES: &str = "\
Examples:
  ganscope sweep fashion-stylegan2 --reference fashion-test -o sweep/
  ganscope sweep ffhq.pkl --trunc 0.3:1.0:0.1 --num 10000 --reference ffhq-256.zip -o sweep/
  ganscope sweep biggan-deep-128 --class 'golden retriever' --reference retrievers/ -o sweep/";

/// Generates and scores at many truncations: curves, a table, a grid, one page
///
/// Images go from the generator to the extractor without touching the disk. An interrupted sweep
/// goes on where it was.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    mut_arg("num", |arg| arg.help("Images at each truncation [default: 5000]"))
)]
pub(crate) struct Args {
    #[command(flatten)]
    generator: GeneratorArgs,

    /// Truncations: values and ranges FROM:TO:STEP, separated by commas
    #[arg(
        long,
        default_value = "0.1:1.0:0.1",
        value_name = "LIST",
        allow_hyphen_values = true,
        help_heading = "Generator"
    )]
    trunc: Truncations,

    /// Class of a conditional generator: number, name, or `each` for `seed mod classes`
    #[arg(long, default_value = "each", help_heading = "Generator")]
    class: String,

    /// First seed; image i has this seed plus i
    #[arg(long, default_value_t = 0, value_name = "SEED", help_heading = "Generator")]
    first_seed: u32,

    /// Images that are generated together; changes no picture
    #[arg(long, default_value_t = 16, value_name = "N", help_heading = "Generator")]
    generate_batch: usize,

    /// Reference set: real images, or their statistics
    #[arg(long, short, value_name = "REF")]
    reference: PathBuf,

    /// Metrics, separated by commas
    #[arg(long, short, value_delimiter = ',', default_value = "is,fid,prdc", value_name = "NAMES")]
    metrics: Vec<String>,

    /// Folder to write
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    /// Samples in a row of the grid
    #[arg(long, default_value_t = 10, value_name = "N")]
    columns: usize,

    #[command(flatten)]
    options: MetricArgs,

    #[command(flatten)]
    extract: ExtractArgs,
}

/// Images at each truncation unless told.
const IMAGES: usize = 5000;

/// Samples of the grid are averaged down to at most this width, and small ones enlarged to at least
/// that, in pixels.
const MOST: usize = 128;
const LEAST: usize = 64;

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    let total = args.extract.num.unwrap_or(IMAGES);
    ensure!(total > 1, "--num must be at least 2");
    ensure!(args.generate_batch > 0, "--generate-batch must be at least 1");
    let last = u32::try_from(total).ok().and_then(|total| args.first_seed.checked_add(total));
    let Some(last) = last else {
        return Err(advised(
            format!("{total} seeds from {} go beyond {}", args.first_seed, u32::MAX),
            "begin at a lower `--first-seed`",
        ));
    };
    let options = args.options.options();
    let metrics = score::metrics(&args.extract, Some(&args.metrics), &options, true)?;
    let side = Side::open(&args.reference, args.extract.recursive)?;
    let needs = metrics.iter().fold(Needs::NONE, |needs, m| needs | m.needs());
    let of_reference = metrics.iter().filter(|m| m.needs_reference());
    let of_reference = of_reference.fold(Needs::NONE, |needs, m| needs | m.needs());
    make_folder(&args.output)?;

    let model = args.generator.open(&args.extract.device, terminal)?;
    let samplers = samplers(args, &model)?;
    let open = args.extract.open(needs, side.convention(), terminal)?;
    side.check(&open.convention)?;
    let whole = args.extract.without_num();
    let (reference, facts, survey) = score::features(&side, &whole, of_reference, &open, terminal)?;
    let model_name = &args.generator.model;
    let about = |name: &str, images: Option<u64>, survey: Option<&Survey>| {
        notices::about_set(name, images, survey, of_reference, &*open.extractor)
    };
    let mut warnings = about(model_name, Some(total as u64), None);
    warnings.extend(about(side.name(), facts.images, survey.as_ref()));
    warnings.extend(notices::about_skipped(side.name(), facts.skipped.len()));
    for warning in &warnings {
        terminal.warn(warning);
    }

    let mut points = Vec::new();
    for (&truncation, sampler) in args.trunc.0.iter().zip(&samplers) {
        let bar = terminal.bar(total, &format!("truncation {truncation:.3}"));
        let store = extract(args, &model, sampler, args.first_seed..last, &open, &bar)?;
        let set = extraction::collect(store.into(), needs)?;
        let mut scores = Vec::new();
        for metric in &metrics {
            let found = metric.score(&set, Some(&reference));
            for score in found.with_context(|| format!("truncation {truncation}"))? {
                let title = registry::title(score.name, &open.convention);
                scores.push(Row::new(score, title, model_name, Some(side.name())));
            }
        }
        terminal.note(&line(truncation, &scores));
        points.push(Point { truncation, scores });
    }
    let mut generator = args.generator.conditions(&model);
    if model.generator.info().c_dim > 0 {
        generator.insert("class".into(), args.class.as_str().into());
    }
    let sweep = Sweep {
        model: model_name.clone(),
        generator,
        reference: side.name().into(),
        reference_images: facts.images,
        images: total,
        first_seed: args.first_seed,
        convention: open.convention.clone(),
        metrics: serde_json::to_value(options)?,
        warnings,
        ganscope: env!("CARGO_PKG_VERSION"),
        points,
    };
    sweep.write(&args.output, &samples(args, &model, &samplers, terminal)?)?;
    terminal.data(&sweep.csv())?;
    terminal.note(&format!("see {}", args.output.join("report.html").display()));
    Ok(())
}

/// How images are drawn at each truncation.
fn samplers(args: &Args, model: &OpenGenerator) -> Result<Vec<Sampler>> {
    let conditional = model.generator.info().c_dim > 0;
    let class = match args.class.as_str() {
        "each" if !conditional => None,
        text => ModelArgs::class(model, Some(text))?,
    };
    args.trunc
        .0
        .iter()
        .map(|&truncation| args.generator.sampler(model, truncation, class))
        .collect()
}

/// Rows of the images of one truncation, from the cache as far as they are there.
fn extract(
    args: &Args,
    model: &OpenGenerator,
    sampler: &Sampler,
    seeds: Range<u32>,
    open: &OpenExtractor,
    bar: &ProgressBar,
) -> Result<Store> {
    let store = match args.extract.cache_folder() {
        Some(folder) => {
            let parts = format!("{:?} {sampler:?} {seeds:?}", open.extractor.gives());
            let what = (cache::ROWS, model.digest.to_hex().to_string(), parts, &open.convention);
            Store::open(&folder, &blake3::hash(&serde_json::to_vec(&what)?).to_hex())?
        }
        None => Store::temporary()?,
    };
    let generator = &*model.generator;
    let total = seeds.len();
    let mut extraction =
        Extraction::of_generated(total, &*open.extractor, open.preprocess, store, |done| {
            let left = seeds.start + done as u32..seeds.end;
            let batches = sampler.clone().stream(generator, left, args.generate_batch);
            Box::new(batches.map(|batch| to_images(&batch?.images, &generator.info())))
        });
    bar.set_position(extraction.done() as u64);
    bar.reset_eta();
    for done in &mut extraction {
        bar.set_position(done? as u64);
    }
    bar.finish_and_clear();
    Ok(extraction.into_store())
}

/// The same seeds at every truncation, a labelled row each.
fn samples(
    args: &Args,
    model: &OpenGenerator,
    samplers: &[Sampler],
    terminal: &Terminal,
) -> Result<Image> {
    let generator = &*model.generator;
    let seeds: Vec<u32> = (args.first_seed..).take(args.columns.max(1)).collect();
    let bar = terminal.bar(samplers.len() * seeds.len(), "samples of the grid");
    let mut rows = Vec::new();
    for (truncation, sampler) in args.trunc.0.iter().zip(samplers) {
        let mut row = Vec::new();
        for batch in sampler.clone().stream(generator, seeds.iter().copied(), args.generate_batch) {
            for image in to_images(&batch?.images, &generator.info())? {
                let image = captions::reduced(&image, MOST);
                row.push(captions::enlarged(&image, LEAST.div_ceil(image.width)));
                bar.inc(1);
            }
        }
        rows.push((sweep::label(*truncation), row));
    }
    bar.finish_and_clear();
    captions::labelled(&rows)
}

fn line(truncation: f64, scores: &[Row]) -> String {
    let scores: Vec<_> = scores.iter().map(|s| format!("{} {:.4}", s.title, s.value)).collect();
    format!("truncation {truncation:.3}: {}", scores.join(", "))
}
