//! The command line: one module per verb.

mod completions;
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
mod stats;
mod sweep;

use clap::{Parser, Subcommand};
use ganscope::{Error, Result};

use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope score samples/ --reference photos/       IS, FID and KID of a folder
  ganscope score a.zip b/ --reference ffhq.npz      two sets against statistics
  ganscope stats photos/ -o photos.safetensors      statistics to score against later
  ganscope generate G.pkl --seeds 0-63 --trunc 0.7  pictures of a generator
  ganscope explain all shirt.png --model fashion-cnn -o out/
                                                    what a classifier sees
  ganscope list                                     everything with a name";

/// Scores generated image sets, explores GAN latent spaces and looks inside networks
#[derive(Debug, Parser)]
#[command(name = "ganscope", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    /// Number of threads, at least 1 [default: one per core]
    #[arg(long, global = true, value_name = "N", help_heading = "Global options", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// Print no progress and no notes; warnings and errors stay
    #[arg(long, short, global = true, help_heading = "Global options")]
    quiet: bool,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Score(score::Args),
    Stats(stats::Args),
    Features(features::Args),
    Sweep(sweep::Args),
    Generate(generate::Args),
    Interpolate(interpolate::Args),
    Mix(mix::Args),
    PathLength(path_length::Args),
    Explain(Box<explain::Args>),
    List(list::Args),
    Inspect(inspect::Args),
    Convert(convert::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    Man(completions::ManArgs),
}

impl Cli {
    /// Whether only data, warnings and errors are printed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Runs the verb.
    pub(crate) fn run(&self, terminal: &mut Terminal) -> Result<()> {
        if let Some(threads) = self.threads {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
            pool.build_global().map_err(|error| Error::request(error.to_string()))?;
        }
        match &self.verb {
            Verb::Score(args) => score::run(args, terminal),
            Verb::Stats(args) => stats::run(args, terminal),
            Verb::Features(args) => features::run(args, terminal),
            Verb::Sweep(args) => sweep::run(args, terminal),
            Verb::Generate(args) => generate::run(args, terminal),
            Verb::Interpolate(args) => interpolate::run(args, terminal),
            Verb::Mix(args) => mix::run(args, terminal),
            Verb::PathLength(args) => path_length::run(args, terminal),
            Verb::Explain(args) => explain::run(args, terminal),
            Verb::List(args) => list::run(args, terminal),
            Verb::Inspect(args) => inspect::run(args, terminal),
            Verb::Convert(args) => convert::run(args, terminal),
            Verb::Completions(args) => completions::run(args, crate::command(), terminal),
            Verb::Man(args) => completions::man(args, crate::command(), terminal),
        }
    }
}
