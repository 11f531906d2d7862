//! The verbs: each has a name, a page of help, requests that its arguments fill, and what it does.

mod convert;
mod explain;
mod features;
mod generate;
mod inspect;
mod interpolate;
mod list;
mod mix;
mod path_length;
mod score;
mod shell;
mod stats;
mod sweep;

use clap::Command;
use ganscope::Result;
use ganscope::explain::ExplainRequest;
use ganscope::explain::latent::LatentRequest;
use ganscope::explain::maximize::MaximizeRequest;
use ganscope::explain::units::UnitRequest;
use ganscope::latents::mix::MixRequest;
use ganscope::latents::path_length::PathLengthRequest;
use ganscope::latents::pictures::{PictureFiles, PicturesRequest};
use ganscope::latents::walk::{WalkRequest, WalkStyle};
use ganscope::score::ScoreRequest;
use ganscope::score::leave_one_out::LeaveOneOutRequest;
use ganscope::score::statistics::{RowsRequest, StatisticsRequest};
use ganscope::score::sweep::SweepRequest;
use serde_json::Value;

use crate::given::{Given, defaults, with_defaults};
use crate::page;
use crate::terminal::Terminal;

/// A verb of the program.
#[derive(Clone, Copy)]
struct Verb {
    name: &'static str,
    /// Its help, from which its grammar is read.
    page: &'static str,
    run: Run,
    /// The default requests that its arguments fill.
    requests: fn() -> Vec<Value>,
    /// Verbs below this one.
    below: &'static [Self],
}

type Run = fn(Given<'_>, &mut Terminal) -> Result<()>;

const fn verb(name: &'static str, page: &'static str, run: Run) -> Verb {
    Verb { name, page, run, requests: Vec::new, below: &[] }
}

const PROGRAM: Verb =
    verb("ganscope", include_str!("../help/ganscope.txt"), |_, _| Ok(())).with(&[
        verb("score", include_str!("../help/score.txt"), score::run)
            .filling(|| vec![defaults::<ScoreRequest>()]),
        verb("stats", include_str!("../help/stats.txt"), stats::run)
            .filling(|| vec![defaults::<StatisticsRequest>()])
            .with(&[verb("merge", include_str!("../help/stats-merge.txt"), stats::merge)]),
        verb("features", include_str!("../help/features.txt"), features::run)
            .filling(|| vec![defaults::<RowsRequest>()]),
        verb("sweep", include_str!("../help/sweep.txt"), sweep::run)
            .filling(|| vec![defaults::<SweepRequest>()]),
        verb("generate", include_str!("../help/generate.txt"), generate::run)
            .filling(|| vec![defaults::<PicturesRequest>(), defaults::<PictureFiles>()]),
        verb("interpolate", include_str!("../help/interpolate.txt"), interpolate::run)
            .filling(|| vec![defaults::<WalkRequest>(), defaults::<WalkStyle>()]),
        verb("mix", include_str!("../help/mix.txt"), mix::run)
            .filling(|| vec![defaults::<MixRequest>()]),
        verb("path-length", include_str!("../help/path-length.txt"), path_length::run)
            .filling(|| vec![defaults::<PathLengthRequest>()]),
        verb("explain", include_str!("../help/explain.txt"), explain::run)
            .filling(|| vec![defaults::<ExplainRequest>()])
            .with(&[
                verb("fid", include_str!("../help/explain-fid.txt"), explain::score::run)
                    .filling(|| vec![defaults::<LeaveOneOutRequest>()]),
                verb(
                    "maximize",
                    include_str!("../help/explain-maximize.txt"),
                    explain::networks::maximize,
                )
                .filling(|| vec![defaults::<MaximizeRequest>()]),
                verb(
                    "latent",
                    include_str!("../help/explain-latent.txt"),
                    explain::networks::latent,
                )
                .filling(|| vec![defaults::<LatentRequest>()]),
                verb(
                    "filters",
                    include_str!("../help/explain-filters.txt"),
                    explain::networks::filters,
                ),
                verb("unit", include_str!("../help/explain-unit.txt"), explain::networks::unit)
                    .filling(|| vec![defaults::<UnitRequest>()]),
            ]),
        verb("list", include_str!("../help/list.txt"), list::run),
        verb("inspect", include_str!("../help/inspect.txt"), inspect::run),
        verb("convert", include_str!("../help/convert.txt"), convert::run),
        verb("completions", include_str!("../help/completions.txt"), shell::completions),
        verb("man", include_str!("../help/man.txt"), shell::man),
    ]);

impl Verb {
    /// The same verb with requests.
    const fn filling(self, requests: fn() -> Vec<Value>) -> Self {
        Self { requests, ..self }
    }

    /// The same verb with verbs below it.
    const fn with(self, below: &'static [Self]) -> Self {
        Self { below, ..self }
    }

    /// Its grammar.
    fn command(&self) -> Command {
        let verb = page::command(self.name, self.page)
            .subcommands(self.below.iter().map(Self::command))
            .args_conflicts_with_subcommands(!self.below.is_empty())
            .subcommand_negates_reqs(!self.below.is_empty());
        (self.requests)().into_iter().fold(verb, with_defaults)
    }

    /// Runs the verb below it that was called, or itself.
    fn run(&self, given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
        let Some(below) = given.below() else { return (self.run)(given, terminal) };
        let called = self.below.iter().find(|verb| verb.name == below.verb().get_name());
        called.expect("clap knows these verbs").run(below, terminal)
    }
}

/// The grammar of the program.
pub(crate) fn program() -> Command {
    PROGRAM
        .command()
        .version(env!("CARGO_PKG_VERSION"))
        .max_term_width(100)
        .args_conflicts_with_subcommands(false)
        .subcommand_negates_reqs(false)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .mut_subcommand("man", |man| man.hide(true))
}

/// Runs the verb that was called.
pub(crate) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    PROGRAM.run(given, terminal)
}
