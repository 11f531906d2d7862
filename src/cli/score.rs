//! `ganscope score`: numbers for generated sets.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use comfy_table::{CellAlignment, Table, presets};
use ganscope_images::Survey;
use ganscope_stats::{FeatureSet, Metric, Needs};

use super::extract::{ExtractArgs, Shard};
use super::terminal::Terminal;
use crate::extractors::OpenExtractor;
use crate::hint::advised;
use crate::registry::{self, MetricOptions};
use crate::report::{Conditions, Report, Row, SetFacts};
use crate::side::Side;
use crate::{cache, extraction, notices};

const EXAMPLES: &str = "\
Examples:
  ganscope score samples/ --reference photos/
  ganscope score samples.npz --reference VIRTUAL_imagenet256_labeled.npz --metrics is,fid,sfid,prdc
  ganscope score a/ b/ c/ --reference ffhq-256.npz --json scores.json
  ganscope score samples/ --reference photos/ --preset clean-fid
  ganscope score samples/ --metrics is";

/// Scores generated image sets: Inception Score, FID, KID, precision, recall and more
///
/// A set is a folder, a zip or tar archive, an npz of images (`arr_0` or `x`), an npz of statistics
/// (`mu`, `sigma`), or a file of `ganscope stats`. Several generated sets give one row each.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Generated sets
    #[arg(required = true, value_name = "GENERATED")]
    generated: Vec<PathBuf>,

    /// Reference set: real images, or their statistics
    #[arg(long, short, value_name = "REF")]
    reference: Option<PathBuf>,

    /// Metrics, separated by commas (`ganscope list` names them) [default: the preset's]
    #[arg(long, short, value_delimiter = ',', value_name = "NAMES")]
    metrics: Option<Vec<String>>,

    #[command(flatten)]
    options: MetricArgs,

    /// Write a report in full precision to FILE, or to standard output with `-`
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Compare sets that were taken under different conventions all the same
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    extract: ExtractArgs,
}

/// Parameters of the metrics.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Metrics")]
pub(super) struct MetricArgs {
    /// Seed of the shuffle of the Inception Score and of the subsets of KID
    #[arg(long, default_value_t = 2020)]
    seed: u32,

    /// Splits of the Inception Score
    #[arg(long, default_value_t = 10, value_name = "N")]
    is_splits: usize,

    /// Subsets of KID
    #[arg(long, default_value_t = 100, value_name = "N")]
    kid_subsets: usize,

    /// Images in each subset of KID
    #[arg(long, default_value_t = 1000, value_name = "N")]
    kid_subset_size: usize,

    /// Neighbours of precision, recall, density and coverage [default: 5 for prdc, 3 for prc]
    #[arg(long, value_name = "K")]
    nearest_k: Option<usize>,
}

impl MetricArgs {
    pub(super) fn options(&self) -> MetricOptions {
        let Self { seed, is_splits, kid_subsets, kid_subset_size, nearest_k } = *self;
        MetricOptions { seed, is_splits, kid_subsets, kid_subset_size, nearest_k }
    }
}

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    let mut metrics = metrics(
        &args.extract,
        args.metrics.as_deref(),
        &args.options.options(),
        args.reference.is_some(),
    )?;
    let needs = |of: &dyn Fn(&dyn Metric) -> bool| {
        let wanted = metrics.iter().filter(|m| of(&***m));
        wanted.fold(Needs::NONE, |needs, m| needs | m.needs())
    };
    let (generated_needs, reference_needs) =
        (needs(&|_| true), needs(&|m: &dyn Metric| m.needs_reference()));

    // What can fail at once fails before the long work.
    let open_side = |path: &PathBuf| Side::open(path, args.extract.recursive);
    let generated: Vec<Side> = args.generated.iter().map(open_side).collect::<Result<_>>()?;
    let reference = args.reference.as_ref().map(open_side).transpose()?;
    if let Some(path) = args.json.as_deref().filter(|&path| path != Path::new("-")) {
        cache::check_writable(path)?;
    }
    let stored = reference.as_ref().and_then(Side::convention);
    let open = args.extract.open(generated_needs, stored, terminal)?;

    let mut report = Report::new(conditions(args, &open));
    let mut gather = |side: &Side, needs| {
        if !args.force {
            side.check(&open.convention)?;
        }
        let (set, facts, survey) = features(side, &args.extract, needs, &open, terminal)?;
        let about =
            notices::about_set(side.name(), facts.images, survey.as_ref(), needs, &*open.extractor);
        report.warnings.extend(about);
        report.warnings.extend(notices::about_skipped(side.name(), facts.skipped.len()));
        anyhow::Ok((set, facts, survey))
    };
    let mut sets = Vec::new();
    for side in &generated {
        sets.push(gather(side, generated_needs)?);
    }
    let reference = match &reference {
        Some(side) => Some((side.name(), gather(side, reference_needs)?)),
        None => None,
    };
    if args.metrics.is_none() {
        // Nobody asked for these by name: what the sets are too small for is left out.
        let of_generated = sets.iter().filter_map(|(set, ..)| set.count()).min();
        let of_reference = reference.as_ref().and_then(|(_, (set, ..))| set.count());
        let images = |metric: &dyn Metric| {
            let of_reference = of_reference.filter(|_| metric.needs_reference());
            of_generated.into_iter().chain(of_reference).min().unwrap_or(u64::MAX)
        };
        metrics.retain(|metric| {
            let left_out = notices::about_left_out(&**metric, images(&**metric));
            let stays = left_out.is_none();
            report.warnings.extend(left_out);
            stays
        });
    }
    for (side, (set, facts, survey)) in generated.iter().zip(sets) {
        let (against, other) = match &reference {
            Some((name, (other, _, _))) => (Some(*name), Some(other)),
            None => (None, None),
        };
        for metric in &metrics {
            let scores = metric
                .score(&set, other)
                .with_context(|| format!("{} of `{}`", metric.name(), side.name()))?;
            for score in scores {
                let title = registry::title(score.name, &open.convention);
                report.scores.push(Row::new(score, title, side.name(), against));
            }
        }
        if let (Some(survey), Some((_, (_, _, Some(other))))) = (&survey, &reference) {
            report.warnings.extend(notices::about_formats(survey, other));
        }
        report.conditions.generated.push(facts);
    }
    report.conditions.reference = reference.map(|(_, (_, facts, _))| facts);
    finish(args, &report, terminal)
}

/// The metrics that are asked for, or those of the preset that the sets at hand allow.
pub(super) fn metrics(
    args: &ExtractArgs,
    asked: Option<&[String]>,
    options: &MetricOptions,
    reference: bool,
) -> Result<Vec<Box<dyn Metric>>> {
    let preset = args.preset();
    let names: Vec<&str> = match asked {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => preset.metrics.to_vec(),
    };
    let mut metrics: Vec<Box<dyn Metric>> =
        names.iter().map(|name| registry::metric(name, options)).collect::<Result<_>>()?;
    if !reference {
        if asked.is_none() {
            metrics.retain(|m| !m.needs_reference());
        }
        let lacking = metrics.iter().find(|m| m.needs_reference()).map(|m| m.name());
        if let Some(name) = lacking.or(metrics.is_empty().then_some(preset.name)) {
            return Err(advised(
                format!("{name} needs a reference set"),
                "give real images, or their statistics, with `--reference REF`",
            ));
        }
    }
    Ok(metrics)
}

fn conditions(args: &Args, open: &OpenExtractor) -> Conditions {
    let options = args.options.options();
    Conditions {
        ganscope: env!("CARGO_PKG_VERSION"),
        preset: args.extract.preset().name.into(),
        convention: open.convention.clone(),
        decoder: "as Pillow converts to RGB".into(),
        seed: options.seed,
        is_splits: options.is_splits,
        kid_subsets: options.kid_subsets,
        kid_subset_size: options.kid_subset_size,
        nearest_k: options.nearest_k,
        generated: Vec::new(),
        reference: None,
    }
}

/// Features of one side, from stored statistics as far as they go.
pub(super) fn features(
    side: &Side,
    args: &ExtractArgs,
    needs: Needs,
    open: &OpenExtractor,
    terminal: &Terminal,
) -> Result<(FeatureSet, SetFacts, Option<Survey>)> {
    let mut set = side.stored.as_ref().map_or_else(FeatureSet::default, |s| s.set.clone());
    let mut facts = SetFacts { path: side.name().into(), images: set.count(), skipped: vec![] };
    let Some(images) = side.images.as_ref().filter(|_| !set.holds().contains(needs)) else {
        return Ok((set, facts, None));
    };
    let (store, survey) = args.rows((side.name(), images), Shard::WHOLE, open, terminal)?;
    facts.images = Some(store.rows() as u64);
    facts.skipped = store.skipped().map(|s| format!("{}: {}", s.name, s.reason)).collect();
    let computed = extraction::collect(store.into(), needs)?;
    set.stats = set.stats.or(computed.stats);
    set.spatial = set.spatial.or(computed.spatial);
    set.features = set.features.or(computed.features);
    set.logits = set.logits.or(computed.logits);
    Ok((set, facts, Some(survey)))
}

fn finish(args: &Args, report: &Report, terminal: &Terminal) -> Result<()> {
    for warning in &report.warnings {
        terminal.warn(warning);
    }
    let json = || serde_json::to_string_pretty(report).map(|text| text + "\n");
    match args.json.as_deref() {
        Some(path) if path == Path::new("-") => return terminal.data(&json()?),
        Some(path) => ganscope_weights::write_atomically(path, |file| {
            Ok(std::io::Write::write_all(file, json().map_err(std::io::Error::from)?.as_bytes())?)
        })?,
        None => {}
    }
    terminal.data(&format!("{}\n", table(report)))?;
    let c = &report.conditions;
    let images = |facts: &SetFacts| facts.images.map_or("?".into(), |n| n.to_string());
    let generated: Vec<String> = c.generated.iter().map(images).collect();
    let against = c.reference.as_ref().map(|f| format!(", {} reference", images(f)));
    terminal.note(&format!(
        "{} generated{}; {}, seed {}",
        generated.join(" + "),
        against.unwrap_or_default(),
        c.convention,
        c.seed
    ));
    Ok(())
}

/// One set: a line a score. Several: a line a set, a column a score.
fn table(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let number = |row: &Row| match row.std {
        Some(std) => format!("{:.6} ± {std:.6}", row.value),
        None => format!("{:.6}", row.value),
    };
    if report.conditions.generated.len() == 1 {
        table.set_header(["metric", "value", "±", ""]);
        for row in &report.scores {
            let std = row.std.map_or(String::new(), |std| format!("{std:.6}"));
            let value = format!("{:.6}", row.value);
            table.add_row([row.title.as_str(), &value, &std, row.direction()]);
        }
        for column in table.column_iter_mut().skip(1).take(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        return table;
    }
    let per_set = report.scores.len() / report.conditions.generated.len().max(1);
    let titles = report
        .scores
        .iter()
        .take(per_set)
        .map(|row| format!("{} {}", row.title, if row.higher_is_better { "↑" } else { "↓" }));
    table.set_header(std::iter::once("generated".into()).chain(titles));
    for rows in report.scores.chunks(per_set.max(1)) {
        table.add_row(std::iter::once(rows[0].generated.clone()).chain(rows.iter().map(number)));
    }
    table.column_iter_mut().skip(1).for_each(|c| c.set_cell_alignment(CellAlignment::Right));
    table
}
