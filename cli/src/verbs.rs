//! The verbs: each has a name, a page of help, requests that its arguments fill, and what it does.

mod cache;
mod checkpoints;
mod clip_score;
mod compare;
mod directions;
mod explain;
mod latents;
mod list;
mod plan;
mod score;
#[cfg(feature = "web")]
mod serve;
mod shell;
mod stats;

use clap::Command;
use ganscope::Result;
use ganscope::cache::PruneRequest;
use ganscope::explain::ExplainRequest;
use ganscope::explain::counterfactual::CounterfactualRequest;
use ganscope::explain::latent::LatentRequest;
use ganscope::explain::maximize::MaximizeRequest;
use ganscope::explain::score::ExplainScoreRequest;
use ganscope::explain::units::UnitRequest;
use ganscope::features::FeatureRequest;
use ganscope::latents::directions::{DirectionFiles, DirectionsRequest};
use ganscope::latents::edit::EditRequest;
use ganscope::latents::mix::MixRequest;
use ganscope::latents::path_length::PathLengthRequest;
use ganscope::latents::pictures::{PictureFiles, PicturesRequest};
use ganscope::latents::project::{ProjectFiles, ProjectRequest};
use ganscope::latents::video::VideoRequest;
use ganscope::latents::walk::{WalkRequest, WalkStyle};
use ganscope::score::ScoreRequest;
use ganscope::score::clip_score::ClipScoreRequest;
use ganscope::score::compare::ComparePresetsRequest;
use ganscope::score::plan::PlanRequest;
use ganscope::score::statistics::{RowsRequest, StatisticsRequest};
use ganscope::score::sweep::SweepRequest;
#[cfg(feature = "web")]
use ganscope_web::ServeRequest;

use crate::given::{Fills, Given, fills, with_defaults};
use crate::page;
use crate::terminal::Terminal;

/// A verb of the program.
#[derive(Clone, Copy)]
struct Verb {
    name: &'static str,
    /// Its help, from which its grammar is read.
    page: &'static str,
    run: Run,
    /// The requests that its arguments fill.
    requests: &'static [Fills],
    /// Verbs below this one.
    below: &'static [Self],
}

type Run = fn(Given<'_>, &mut Terminal) -> Result<()>;

const fn verb(name: &'static str, page: &'static str, run: Run) -> Verb {
    Verb { name, page, run, requests: &[], below: &[] }
}

static PROGRAM: Verb =
    verb("ganscope", include_str!("../help/ganscope.txt"), |_, _| Ok(())).with(&[
        verb("score", include_str!("../help/score.txt"), score::run)
            .filling(&[fills::<ScoreRequest>()]),
        verb("compare-presets", include_str!("../help/compare-presets.txt"), compare::run)
            .filling(&[fills::<ComparePresetsRequest>()]),
        verb("clip-score", include_str!("../help/clip-score.txt"), clip_score::run)
            .filling(&[fills::<ClipScoreRequest>()]),
        verb("plan", include_str!("../help/plan.txt"), plan::run)
            .filling(&[fills::<PlanRequest>()]),
        verb("stats", include_str!("../help/stats.txt"), stats::run)
            .filling(&[fills::<StatisticsRequest>()])
            .with(&[verb("merge", include_str!("../help/stats-merge.txt"), stats::merge)]),
        verb("features", include_str!("../help/features.txt"), stats::features)
            .filling(&[fills::<RowsRequest>()]),
        verb("sweep", include_str!("../help/sweep.txt"), latents::sweep)
            .filling(&[fills::<SweepRequest>()]),
        verb("generate", include_str!("../help/generate.txt"), latents::generate)
            .filling(&[fills::<PicturesRequest>(), fills::<PictureFiles>()]),
        verb("interpolate", include_str!("../help/interpolate.txt"), latents::interpolate)
            .filling(&[fills::<WalkRequest>(), fills::<WalkStyle>()]),
        verb("video", include_str!("../help/video.txt"), latents::video)
            .filling(&[fills::<VideoRequest>()]),
        verb("mix", include_str!("../help/mix.txt"), latents::mix)
            .filling(&[fills::<MixRequest>()]),
        verb("directions", include_str!("../help/directions.txt"), directions::find)
            .filling(&[fills::<DirectionsRequest>(), fills::<DirectionFiles>()]),
        verb("edit", include_str!("../help/edit.txt"), directions::edit)
            .filling(&[fills::<EditRequest>()]),
        verb("project", include_str!("../help/project.txt"), directions::project)
            .filling(&[fills::<ProjectRequest>(), fills::<ProjectFiles>()]),
        verb("path-length", include_str!("../help/path-length.txt"), latents::path_length)
            .filling(&[fills::<PathLengthRequest>()]),
        verb("explain", include_str!("../help/explain.txt"), explain::run)
            .filling(&[fills::<ExplainRequest>()])
            .with(&[
                verb("score", include_str!("../help/explain-score.txt"), explain::score::run)
                    .filling(&[fills::<ExplainScoreRequest>()]),
                verb(
                    "maximize",
                    include_str!("../help/explain-maximize.txt"),
                    explain::networks::maximize,
                )
                .filling(&[fills::<MaximizeRequest>()]),
                verb(
                    "latent",
                    include_str!("../help/explain-latent.txt"),
                    explain::networks::latent,
                )
                .filling(&[fills::<LatentRequest>()]),
                verb(
                    "counterfactual",
                    include_str!("../help/explain-counterfactual.txt"),
                    explain::networks::counterfactual,
                )
                .filling(&[fills::<CounterfactualRequest>()]),
                verb(
                    "filters",
                    include_str!("../help/explain-filters.txt"),
                    explain::networks::filters,
                ),
                verb("unit", include_str!("../help/explain-unit.txt"), explain::networks::unit)
                    .filling(&[fills::<UnitRequest>()]),
            ]),
        #[cfg(feature = "web")]
        verb("serve", include_str!("../help/serve.txt"), serve::run)
            .filling(&[fills::<ServeRequest>()]),
        verb("list", include_str!("../help/list.txt"), list::run),
        verb("fetch", include_str!("../help/fetch.txt"), cache::fetched),
        verb("cache", include_str!("../help/cache.txt"), cache::run)
            .filling(&[fills::<FeatureRequest>()])
            .with(&[
                verb("verify", include_str!("../help/cache-verify.txt"), cache::verified)
                    .filling(&[fills::<FeatureRequest>()]),
                verb("prune", include_str!("../help/cache-prune.txt"), cache::pruned)
                    .filling(&[fills::<PruneRequest>()]),
            ]),
        verb("inspect", include_str!("../help/inspect.txt"), checkpoints::inspect),
        verb("convert", include_str!("../help/convert.txt"), checkpoints::convert),
        verb("completions", include_str!("../help/completions.txt"), shell::completions),
        verb("man", include_str!("../help/man.txt"), shell::man),
    ]);

impl Verb {
    /// The same verb with requests.
    const fn filling(self, requests: &'static [Fills]) -> Self {
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
        self.requests.iter().fold(verb, |verb, request| with_defaults(verb, &(request.defaults)()))
    }

    /// The verb that was called, and what was given to it.
    fn called<'a>(&'static self, given: Given<'a>) -> (&'static Self, Given<'a>) {
        let Some(below) = given.below() else { return (self, given) };
        let called = self.below.iter().find(|verb| verb.name == below.verb().get_name());
        called.expect("clap knows these verbs").called(below)
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
}

/// Fails if an argument is nothing for the request that it fills.
pub(crate) fn check(given: Given<'_>) -> Result<(), clap::Error> {
    let (verb, given) = PROGRAM.called(given);
    verb.requests.iter().try_for_each(|request| (request.check)(given))
}

/// Runs the verb that was called.
pub(crate) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (verb, given) = PROGRAM.called(given);
    (verb.run)(given, terminal)
}
