//! `ganscope score`: numbers for generated sets.

use std::path::{Path, PathBuf};

use ganscope::files::check_writable;
use ganscope::score::{Report, Row, ScoreRequest, score};
use ganscope::{Result, Watch as _};

use crate::arguments::{FeatureArgs, MetricArgs};
use crate::table::{self, Table};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope score samples/ --reference photos/
  ganscope score samples.npz --reference adm-256.npz --metrics is,fid,sfid
  ganscope score a/ b/ c/ --reference ffhq-256.npz --json scores.json
  ganscope score samples/ --reference photos/ --preset clean-fid
  ganscope score samples/ --metrics is";

/// Score generated image sets: Inception Score, FID, KID, precision, recall and more
///
/// A set is a folder, a zip or tar archive, an npz of images (`arr_0` or `x`), an npz of statistics
/// (`mu`, `sigma`), or a file of `ganscope stats`. Several generated sets give one row each.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Generated sets
    #[arg(required = true, value_name = "GENERATED")]
    generated: Vec<String>,

    /// Reference set: real images, or their statistics
    #[arg(long, short, value_name = "REF")]
    reference: Option<String>,

    /// Metrics, separated by commas (`ganscope list metrics`) [default: those of the preset]
    #[arg(long, short, value_delimiter = ',', value_name = "NAMES")]
    metrics: Option<Vec<String>>,

    /// Write scores and conditions in full precision to FILE, or to standard output with `-`
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Compare sets even if their conventions differ
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    features: FeatureArgs,

    #[command(flatten)]
    options: MetricArgs,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    let to_file = args.json.as_deref().filter(|&path| path != Path::new("-"));
    to_file.map_or(Ok(()), check_writable)?;
    let request = ScoreRequest {
        generated: args.generated.clone(),
        reference: args.reference.clone(),
        metrics: args.metrics.clone(),
        options: args.options.options(),
        features: args.features.request(),
        force: args.force,
    };
    let report = score(&request, terminal)?;
    if let Some(path) = &args.json {
        terminal.json(&report, path)?;
    }
    if args.json.is_none() || to_file.is_some() {
        terminal.data(&print(&report))?;
    }
    terminal.note(&report.summary());
    Ok(())
}

/// One set: one line per score. Several: one line per set, one column per score.
fn print(report: &Report) -> String {
    let number = |row: &Row| match row.std {
        Some(std) => format!("{:.6} ± {std:.6}", row.value),
        None => format!("{:.6}", row.value),
    };
    if report.conditions.generated.len() == 1 {
        let mut table = Table::new();
        for row in &report.scores {
            let direction =
                if row.higher_is_better { "higher is better" } else { "lower is better" };
            let std = row.std.map(|std| format!("± {std:.6}"));
            table.row([
                row.title.clone(),
                format!("{:.6}", row.value),
                std.unwrap_or_default(),
                direction.into(),
            ]);
        }
        return table.right(&[1, 2]).print();
    }
    let per_set = report.scores.len() / report.conditions.generated.len().max(1);
    let titles = report
        .scores
        .iter()
        .take(per_set)
        .map(|row| format!("{} {}", row.title, table::arrow(row.higher_is_better)));
    let mut table = Table::new();
    table.row(std::iter::once("generated".to_owned()).chain(titles));
    for rows in report.scores.chunks(per_set.max(1)) {
        table.row(std::iter::once(rows[0].generated.clone()).chain(rows.iter().map(number)));
    }
    table.right(&(1..=per_set).collect::<Vec<_>>()).print()
}
