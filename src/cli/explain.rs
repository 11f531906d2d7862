//! `ganscope explain`: what a network sees in an image, and what makes a score what it is.

mod aim;
mod fid;
mod filters;
mod image;
mod latent;
mod maximize;
mod unit;

use std::cell::OnceCell;
use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

use super::terminal::Terminal;
use crate::classifiers::{self, ClassifierOptions, OpenClassifier};

const EXAMPLES: &str = "\
Examples:
  ganscope explain all shirt.png -o out/                 every method, side by side
  ganscope explain lrp,grad-cam cat.jpg --model resnet18 --class tabby -o out/
  ganscope explain lrp cat.jpg --model vgg16 --rule first:z-box,linear:epsilon,gamma=0.25 -o out/
  ganscope explain occlusion slice.png --network net.json --weights net.safetensors -o out/
  ganscope explain fid samples/ --reference photos/ -o report/
  ganscope explain maximize --class each -o classes.png
  ganscope explain latent fashion-biggan --class each -o best.png
  ganscope explain filters --model alexnet -o filters.png
  ganscope explain unit photos/ --model resnet18 --layer layer3 --unit 7 -o unit.png";

/// Explains what a network sees in images, and which images make a score what it is
///
/// METHOD is a name of `ganscope list`, several with commas between them, or `all`. Each image gets
/// a folder with a heat map and the raw map of each method, and a report.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,

    #[command(flatten)]
    image: image::ImageArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Fid(Box<fid::Args>),
    Maximize(maximize::Args),
    Latent(Box<latent::Args>),
    Filters(filters::Args),
    Unit(unit::Args),
}

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    match &args.verb {
        None => image::run(&args.image, terminal),
        Some(Verb::Fid(args)) => fid::run(args, terminal),
        Some(Verb::Maximize(args)) => maximize::run(args, terminal),
        Some(Verb::Latent(args)) => latent::run(args, terminal),
        Some(Verb::Filters(args)) => filters::run(args, terminal),
        Some(Verb::Unit(args)) => unit::run(args, terminal),
    }
}

/// The network that is explained.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network")]
struct NetworkArgs {
    /// Classifier, by a name of `ganscope list` [default: fashion-cnn]
    #[arg(id = "classifier", long = "model", value_name = "NAME", conflicts_with = "network")]
    model: Option<String>,

    /// Weights, instead of the known ones: a checkpoint of any format
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,

    /// JSON file with the layers of a network of one's own
    #[arg(long, value_name = "FILE", requires = "weights")]
    network: Option<PathBuf>,
}

impl NetworkArgs {
    fn open(&self, baseline: Option<f32>, terminal: &Terminal) -> Result<OpenClassifier> {
        let options = ClassifierOptions {
            model: self.model.as_deref(),
            weights: self.weights.as_deref(),
            description: self.network.as_deref(),
            baseline,
        };
        let bar = OnceCell::new();
        classifiers::open(&options, &mut |done, total| {
            let bar = bar.get_or_init(|| terminal.bytes(total.unwrap_or(done), "weights"));
            bar.set_position(done);
        })
    }
}
