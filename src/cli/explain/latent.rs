//! `ganscope explain latent`: the picture of a generator that a class or a unit answers to most.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use candle_core::{Device, Tensor};
use ganscope_explain::latent::{LatentMaximization, feature_map, network_input};
use ganscope_images::{Image, save_png};
use ganscope_latent::{Class, Sampler, Seeds};
use ganscope_model::{Generator, Truncation};

use super::NetworkArgs;
use super::aim::{Aim, AimArgs};
use crate::cache;
use crate::captions::enlarged;
use crate::classifiers::OpenClassifier;
use crate::cli::model::GeneratorArgs;
use crate::cli::terminal::Terminal;
use crate::generators::{OpenGenerator, to_images};
use crate::hint::advised;
use crate::sheet::{Cell, Sheet};

/// Pictures are enlarged to about so many pixels a side.
const SIDE: usize = 224;
/// Seeds, those that are best already, from which the ascent is tried.
const STARTS: usize = 4;
/// Pictures in a row, two a target.
const COLUMNS: usize = 4;

/// Seeks the picture of a generator that a class or a unit answers to most
///
/// Gradient ascent in the latents of the generator, on the logit less a penalty on unlikely latents:
/// what comes out is a picture that the generator can make, and what it has of the class.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    generator: GeneratorArgs,

    /// Truncation under which the latents are drawn and moved
    #[arg(long, default_value_t = 1.0, value_name = "PSI", allow_negative_numbers = true)]
    trunc: f64,

    #[command(flatten)]
    aim: AimArgs,

    /// Class of a conditional generator [default: the class that is sought]
    #[arg(long, value_name = "N|NAME")]
    generator_class: Option<String>,

    /// Latents that are moved: `z`, or `w`, one for all layers
    #[arg(long, default_value = "z", value_name = "NAME", value_parser = ["z", "w"])]
    space: String,

    /// Picture to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Steps of the ascent
    #[arg(long, value_name = "N", default_value_t = 100)]
    steps: usize,

    /// Length of the first step, as a share of the distance of the start from the mean latent
    #[arg(long, value_name = "X", default_value_t = 0.1)]
    rate: f64,

    /// Weight of the squared distance from the mean latent
    #[arg(long, value_name = "X", default_value_t = 0.02)]
    decay: f64,

    /// Seeds of the latents; the ascent starts from the four that are best already
    #[arg(long, default_value = "0-63")]
    seeds: Seeds,

    #[command(flatten)]
    network: NetworkArgs,
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    cache::check_writable(&args.output)?;
    if args.space == "w" && args.generator.has_centers() {
        return Err(advised(
            "an ascent in W measures its way from the mean of W, which `--trunc-centers` replaces",
            "leave `--trunc-centers` out, or give `--space z`",
        ));
    }
    let open = args.network.open(None, terminal)?;
    let generator = args.generator.open(&Device::Cpu, terminal)?;
    let aims = args.aim.aims(&open)?;
    let bar = terminal.bar(aims.len() * STARTS.min(args.seeds.len()), "ascents");
    let mut cells = Vec::new();
    for aim in aims {
        let sampler = args.sampler(&generator, &open, &aim)?;
        let mut starts = Vec::new();
        for seed in args.seeds.iter() {
            let ascent = Ascent::new(args, &*generator.generator, &sampler, seed)?;
            let (_, score, _) = ascent.judge(&ascent.start, &open, &aim)?;
            starts.push((score, seed, ascent));
        }
        starts.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        starts.truncate(STARTS);
        let method = LatentMaximization { steps: args.steps, rate: args.rate, decay: args.decay };
        let mut best: Option<(f64, u32, &Ascent<'_>, Tensor)> = None;
        for (_, seed, ascent) in &starts {
            let ends = [&ascent.start, &ascent.centre];
            let synthesize = |latent: &Tensor| ascent.image(latent);
            let found = method.explain(&open.explainer, &aim.target, ends, synthesize)?;
            let (_, score, _) = ascent.judge(&found, &open, &aim)?;
            if best.as_ref().is_none_or(|(highest, ..)| score > *highest) {
                best = Some((score, *seed, ascent, found));
            }
            bar.inc(1);
        }
        let (_, seed, ascent, found) = best.context("no seeds")?;
        let start = &ascent.start;
        for (latent, when) in [(start, format!("seed {seed}")), (&found, aim.title.clone())] {
            let (picture, _, note) = ascent.judge(latent, &open, &aim)?;
            bar.suspend(|| terminal.data(&format!("{}, {when}: {note}\n", aim.title)))?;
            let times = (SIDE / picture.width).max(1);
            cells.push(Cell::new(enlarged(&picture, times), when, note));
        }
    }
    bar.finish_and_clear();
    let sheet =
        Sheet { title: String::new(), legend: String::new(), columns: COLUMNS, cells }.draw()?;
    save_png(&args.output, &sheet)?;
    terminal.note(&format!("see `{}`", args.output.display()));
    Ok(())
}

impl Args {
    fn sampler(&self, of: &OpenGenerator, open: &OpenClassifier, aim: &Aim) -> Result<Sampler> {
        let count = of.generator.info().c_dim;
        let class = match (&self.generator_class, aim.class) {
            (Some(text), _) => Some(of.class(text)?),
            (None, _) if count == 0 => None,
            (None, Some(class)) if open.classes()? == count => Some(class as u32),
            (None, _) => {
                return Err(advised(
                    format!("the generator is conditional, with {count} classes of its own"),
                    "give `--generator-class`",
                ));
            }
        };
        self.generator.sampler(of, self.trunc, class.map(Class::One))
    }
}

/// A generator as a function of the latents that are moved.
struct Ascent<'a> {
    generator: &'a dyn Generator,
    sampler: &'a Sampler,
    /// Classes of the generator, as its mapping takes them.
    classes: Option<Vec<u32>>,
    in_w: bool,
    /// (1, D)
    start: Tensor,
    /// The mean latent, (1, D).
    centre: Tensor,
}

impl<'a> Ascent<'a> {
    fn new(
        args: &Args,
        generator: &'a dyn Generator,
        sampler: &'a Sampler,
        seed: u32,
    ) -> Result<Self> {
        let classes = match sampler.class {
            Some(Class::One(class)) => Some(vec![class]),
            _ => None,
        };
        let z = sampler.latents(generator, &[seed])?;
        let (start, centre) = if args.space == "z" {
            let centre = z.zeros_like()?;
            (z, centre)
        } else {
            let w = |truncation| -> Result<Tensor> {
                let ws = generator.map(&z, classes.as_deref(), truncation)?;
                Ok(ws.narrow(1, 0, 1)?.squeeze(1)?)
            };
            (w(sampler.truncation)?, w(Truncation::psi(0.0))?)
        };
        Ok(Self { generator, sampler, classes, in_w: args.space == "w", start, centre })
    }

    /// (1, D) to (1, C, H, W).
    fn image(&self, latent: &Tensor) -> ganscope_model::Result<Tensor> {
        let info = self.generator.info();
        let ws = if self.in_w {
            latent.unsqueeze(1)?.broadcast_as((1, info.num_ws, info.w_dim))?.contiguous()?
        } else {
            self.generator.map(latent, self.classes.as_deref(), self.sampler.truncation)?
        };
        self.generator.synthesize(&ws, &self.sampler.synthesis)
    }

    /// The picture of a latent, and what the network says of it, as a number and in words.
    fn judge(
        &self,
        latent: &Tensor,
        open: &OpenClassifier,
        aim: &Aim,
    ) -> Result<(Image, f64, String)> {
        let image = self.image(latent)?;
        let input = feature_map(&network_input(&open.explainer, &image)?)?;
        let (score, note) = aim.judge(open, &input)?;
        let picture = to_images(&image, &self.generator.info())?.swap_remove(0);
        Ok((picture, score, note))
    }
}
