//! `ganscope explain`: what a network sees in an image, and which images make a score what it is.

mod fid;
mod filters;
mod image;
mod latent;
mod maximize;
mod methods;
mod tables;
mod unit;

use clap::Subcommand;
use ganscope::Result;
use ganscope::explain::target::TargetRequest;
use ganscope::models::classifier::ClassifierRequest;

use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope explain all shirt.png --model fashion-cnn -o out/
                                   every method, side by side
  ganscope explain lrp,grad-cam cat.jpg --model resnet18 --class tabby -o out/
  ganscope explain lrp cat.jpg --model vgg16 \\
    --rule first:z-box,linear:epsilon,gamma=0.25 -o out/
  ganscope explain occlusion slice.png --network net.json \\
    --weights net.safetensors -o out/
  ganscope explain fid samples/ --reference photos/ -o report/
  ganscope explain latent fashion-biggan --class each -o best.png";

/// Explain what a classifier sees in images, or which images make a score what it is
///
/// METHOD is a name of `ganscope list methods`, several with commas between them, or `all`. Each image
/// gets a folder with a sheet, and a heat map and the raw map of each method, and a report.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,

    #[command(flatten)]
    image: image::Args,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Fid(Box<fid::Args>),
    Maximize(maximize::Args),
    Latent(Box<latent::Args>),
    Filters(filters::Args),
    Unit(unit::Args),
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<()> {
    match &args.verb {
        None => image::run(&args.image, terminal),
        Some(Verb::Fid(args)) => fid::run(args, terminal),
        Some(Verb::Maximize(args)) => maximize::run(args, terminal),
        Some(Verb::Latent(args)) => latent::run(args, terminal),
        Some(Verb::Filters(args)) => filters::run(args, terminal),
        Some(Verb::Unit(args)) => unit::run(args, terminal),
    }
}

/// The classifier.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Classifier")]
struct NetworkArgs {
    /// Classifier, by a name of `ganscope list classifiers`
    ///
    /// `fashion-cnn` is shipped and knows garments only; for shipped generators it is the default of
    /// `explain latent`. The others know the 1000 classes of ImageNet.
    #[arg(long, value_name = "NAME", conflicts_with = "network")]
    model: Option<String>,

    /// Weights, instead of the known ones: a checkpoint of any format
    #[arg(long, value_name = "FILE")]
    weights: Option<String>,

    /// JSON description of a custom network
    #[arg(long, value_name = "FILE", requires = "weights")]
    network: Option<String>,
}

impl NetworkArgs {
    fn request(&self, baseline: Option<f32>) -> ClassifierRequest {
        let Self { model, weights, network } = self.clone();
        ClassifierRequest { model, weights, network, baseline }
    }
}

/// What an ascent looks for.
#[derive(Debug, Clone, clap::Args)]
struct TargetArgs {
    /// Class of the classifier, by number or name, or `each`
    #[arg(long, value_name = "N|NAME", required_unless_present = "unit", conflicts_with = "unit")]
    class: Option<String>,

    /// Channel of a layer, instead of a class
    #[arg(long, value_name = "N", requires = "layer")]
    unit: Option<usize>,

    /// Layer of the unit
    #[arg(long, value_name = "NAME", requires = "unit")]
    layer: Option<String>,
}

impl TargetArgs {
    fn request(&self) -> TargetRequest {
        let Self { class, unit, layer } = self.clone();
        TargetRequest { class, unit, layer }
    }
}
