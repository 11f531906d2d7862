//! `ganscope path-length`: how evenly a generator moves.

use std::cell::OnceCell;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Result;
use candle_core::Tensor;
use clap::ValueEnum;
use ganscope_latent::{Class, PathLength, PathSpace, Sampling, perceptual_path_length};
use serde_json::json;

use super::model::ModelArgs;
use super::terminal::Terminal;
use crate::hint::advised;
use crate::perceptual::Perceptual;

const EXAMPLES: &str = "\
Examples:
  ganscope path-length ffhq.pkl --num 50000                    ppl2_wend of StyleGAN2
  ganscope path-length ffhq.pkl --space z --sampling full --crop
  ganscope path-length biggan-deep-128.bin --class 207 --trunc 0.5 --distance inception";

/// Measures the perceptual path length: distance of images a small step apart, by the step squared
///
/// With LPIPS this is the published measure; with the features of an extractor it has another scale
/// and serves comparisons alone. Images are not rounded to bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// Space of the path
    #[arg(long, value_enum, default_value_t = Where::W)]
    space: Where,

    /// Where on the path the step is taken
    #[arg(long, value_enum, default_value_t = At::End)]
    sampling: At,

    /// Number of paths; published results have 50000
    #[arg(long, default_value = "1000", value_name = "N")]
    num: NonZeroUsize,

    /// Length of the step, as a part of the path
    #[arg(long, default_value_t = 1e-4, value_name = "LENGTH")]
    epsilon: f64,

    /// Seed of the first path; path i has this seed plus i
    #[arg(long, default_value_t = 0)]
    seed: u32,

    /// Class of a conditional generator: number or name
    #[arg(long)]
    class: Option<String>,

    /// Look at the face of an aligned image alone
    #[arg(long)]
    crop: bool,

    /// Distance of images: `lpips`, or the features of an extractor
    #[arg(long, default_value = Perceptual::LPIPS, value_name = "NAME", value_parser = Perceptual::names())]
    distance: String,

    /// Weights of the distance, instead of the known ones
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Space of the path.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Where {
    /// Arcs between latents
    Z,
    /// Lines between styles
    W,
}

/// Place on the path.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum At {
    /// Anywhere
    Full,
    /// At its start
    End,
}

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    let bar = OnceCell::new();
    let distance =
        Perceptual::open(&args.distance, args.weights.as_deref(), &mut |done, total| {
            let what = format!("weights of {}", args.distance);
            let bar = bar.get_or_init(|| terminal.bytes(total.unwrap_or(done), &what));
            bar.set_position(done);
        })?;
    let open = args.model.open(terminal)?;
    let class = match ModelArgs::class(&open, args.class.as_deref())? {
        Some(Class::BySeed) => {
            return Err(advised("a path has one class", "give `--class` a number or a name"));
        }
        Some(Class::One(class)) => Some(class),
        None => None,
    };
    let (space, space_name) = match args.space {
        Where::Z => (PathSpace::Z, "z"),
        Where::W => (PathSpace::W, "w"),
    };
    let (sampling, sampling_name) = match args.sampling {
        At::Full => (Sampling::Full, "full"),
        At::End => (Sampling::End, "end"),
    };
    let (epsilon, num_samples) = (args.epsilon, args.num.get());
    let (batch, seed, crop) = (args.model.batch, args.seed, args.crop);
    let protocol = PathLength { space, sampling, epsilon, num_samples, batch, seed, crop };
    let prior = args.model.path_prior(&open)?;
    let bar = terminal.bar(num_samples, "paths");
    let mut all = Vec::with_capacity(num_samples);
    let measure = |images: &Tensor| distance.pair_distances(images);
    for batch in protocol.distances(&*open.generator, prior, class, measure)? {
        all.extend(batch?);
        bar.set_position(all.len() as u64);
    }
    bar.finish_and_clear();
    let length = perceptual_path_length(&all)?;
    if args.json {
        let report = json!({
            "path_length": length, "space": space_name, "sampling": sampling_name,
            "paths": num_samples, "epsilon": epsilon, "seed": seed, "crop": crop,
            "distance": distance.name(), "ganscope": env!("CARGO_PKG_VERSION"),
        });
        return terminal.data(&format!("{report:#}\n"));
    }
    terminal.data(&format!("{length:.4}\n"))?;
    let name = distance.name();
    terminal.note(&format!(
        "{num_samples} paths in {space_name}, {sampling_name}, step {epsilon:e}; {name}"
    ));
    Ok(())
}
