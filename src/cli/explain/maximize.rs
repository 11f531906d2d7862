//! `ganscope explain maximize`: what a class or a unit looks like to the network.

use std::path::PathBuf;

use anyhow::Result;
use ganscope_explain::{Maximization, Target};
use ganscope_images::{Image, save_png};
use ganscope_model::{Classifier, FeatureMap, Shape};
use ganscope_stats::random::RandomState;

use super::NetworkArgs;
use super::aim::AimArgs;
use crate::cache;
use crate::captions::enlarged;
use crate::classifiers::OpenClassifier;
use crate::cli::terminal::Terminal;
use crate::sheet::{Cell, Sheet};

/// Standard deviation of the noise that the ascent starts from, on the scale of the network's input.
const START: f64 = 0.1;
/// Pictures are enlarged to about so many pixels a side.
const SIDE: usize = 224;
/// Pictures in a row.
const COLUMNS: usize = 5;

/// Seeks the image that a class or a unit answers to most: class appearance
///
/// Gradient ascent from faint noise on the logit, less penalties on the length of the image and on
/// its roughness.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    aim: AimArgs,

    /// Picture to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Steps of the ascent
    #[arg(long, value_name = "N", default_value_t = 300)]
    steps: usize,

    /// Length of a step, as a root mean square over the image
    #[arg(long, value_name = "X", default_value_t = 0.05)]
    rate: f64,

    /// Weight of the squared length of the image
    #[arg(long, value_name = "X", default_value_t = 1e-4)]
    decay: f64,

    /// Weight of the total variation
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    variation: f64,

    /// Largest shift of the image at each step, in pixels
    #[arg(long, value_name = "N", default_value_t = 1)]
    jitter: usize,

    /// Standard deviation of a blur after each step, in pixels
    #[arg(long, value_name = "X", default_value_t = 0.4)]
    blur: f64,

    /// Seed of the noise and of the shifts
    #[arg(long, default_value_t = 0)]
    seed: u32,

    #[command(flatten)]
    network: NetworkArgs,
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    cache::check_writable(&args.output)?;
    let open = args.network.open(None, terminal)?;
    let aims = args.aim.aims(&open)?;
    let bar = terminal.bar(aims.len(), "pictures");
    let mut cells = Vec::new();
    for aim in aims {
        let found = args.ascend(&open, &aim.target)?;
        let (_, note) = aim.judge(&open, &found)?;
        bar.suspend(|| terminal.data(&format!("{}: {note}\n", aim.title)))?;
        let picture = picture(&found, open.classifier());
        let times = (SIDE / picture.width).max(1);
        cells.push(Cell::new(enlarged(&picture, times), aim.title, note));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let sheet =
        Sheet { title: String::new(), legend: String::new(), columns: COLUMNS, cells }.draw()?;
    save_png(&args.output, &sheet)?;
    terminal.note(&format!("see `{}`", args.output.display()));
    Ok(())
}

impl Args {
    fn ascend(&self, open: &OpenClassifier, target: &Target) -> Result<FeatureMap> {
        let classifier = open.classifier();
        let channels = classifier.network.in_channels();
        let end = |pixel: f32, pick: fn(f32, f32) -> f32| {
            (0..channels).map(|c| classifier.normalization.apply(c, pixel)).reduce(pick)
        };
        let (low, high) = (end(0.0, f32::min).unwrap_or(-1.0), end(255.0, f32::max).unwrap_or(1.0));
        let method = Maximization {
            steps: self.steps,
            rate: self.rate,
            decay: self.decay,
            variation: self.variation,
            jitter: self.jitter,
            blur: self.blur,
            range: [low, high],
            seed: self.seed,
        };
        let size = classifier.input_size;
        let shape = Shape { c: channels, h: size, w: size };
        let mut random = RandomState::new(self.seed);
        let noise = |_| (START * random.standard_normal()) as f32;
        let start = FeatureMap::new(1, shape, (0..shape.len()).map(noise).collect())?;
        Ok(method.explain(open.explainer.walker(), start, target)?)
    }
}

/// Network input as pixels.
fn picture(input: &FeatureMap, classifier: &Classifier) -> Image {
    let Shape { c, h, w } = input.shape;
    let scaling = &classifier.normalization;
    let byte = |k: usize, v: f32| {
        let k = k.min(c - 1);
        ((v * scaling.std[k] + scaling.mean[k]) * 255.0).round().clamp(0.0, 255.0) as u8
    };
    let pixel = |pixel: &[f32]| [0, 1, 2].map(|k| byte(k, pixel[k.min(c - 1)]));
    Image { width: w, height: h, pixels: input.data.chunks_exact(c).flat_map(pixel).collect() }
}
