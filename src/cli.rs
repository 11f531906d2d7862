//! The command line: one module a verb.

mod convert;
mod explain;
mod extract;
mod features;
mod generate;
mod inspect;
mod interpolate;
mod list;
mod mix;
mod model;
mod output;
mod path_length;
mod score;
mod stats;
mod sweep;
mod terminal;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope score samples/ --reference photos/            IS, FID and KID of a folder
  ganscope score a.zip b.zip --reference ffhq.npz        two sets against stored statistics
  ganscope stats photos/ -o photos.safetensors           statistics to score against later
  ganscope generate G.pkl --seeds 0-63 --trunc 0.7       pictures of a generator
  ganscope explain all shirt.png -o out/                 what a classifier sees in a picture
  ganscope list                                          what is known and what is cached";

/// Scores generated image sets, explores GAN latent spaces and looks inside the networks.
#[derive(Debug, Parser)]
#[command(name = "ganscope", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// Threads to compute with [default: one a core]
    #[arg(long, global = true, value_name = "N")]
    threads: Option<usize>,

    /// No progress bars and no notices
    #[arg(long, short, global = true)]
    quiet: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Score(score::Args),
    Stats(stats::Args),
    Features(features::Args),
    Generate(generate::Args),
    Interpolate(interpolate::Args),
    Mix(mix::Args),
    PathLength(path_length::Args),
    Sweep(sweep::Args),
    Explain(Box<explain::Args>),
    List(list::Args),
    Inspect(inspect::Args),
    Convert(convert::Args),
}

/// Runs the program: 0 done, 1 failed, 2 not understood.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let terminal = Terminal::new(cli.quiet);
    match run(cli, &terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, terminal: &Terminal) -> Result<()> {
    if let Some(threads) = cli.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    match cli.command {
        Command::Score(args) => score::run(&args, terminal),
        Command::Stats(args) => stats::run(&args, terminal),
        Command::Features(args) => features::run(&args, terminal),
        Command::Generate(args) => generate::run(&args, terminal),
        Command::Interpolate(args) => interpolate::run(&args, terminal),
        Command::Mix(args) => mix::run(&args, terminal),
        Command::PathLength(args) => path_length::run(&args, terminal),
        Command::Sweep(args) => sweep::run(&args, terminal),
        Command::Explain(args) => explain::run(&args, terminal),
        Command::List(args) => list::run(&args, terminal),
        Command::Inspect(args) => inspect::run(&args, terminal),
        Command::Convert(args) => convert::run(&args, terminal),
    }
}
