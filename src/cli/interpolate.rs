//! `ganscope interpolate`: walks between seeds, straight in Z, on arcs in Z, straight in W.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use candle_core::{Device, Tensor};
use comfy_table::{CellAlignment, Table, presets};
use ganscope_images::{Image, grid, save_png};
use ganscope_latent::{Sampler, Seeds, Space, Spline, Waypoint, walk};
use ganscope_model::Synthesis;

use super::model::ModelArgs;
use super::output::Output;
use super::terminal::Terminal;
use crate::captions;
use crate::generators::{OpenGenerator, render};
use crate::hint::advised;
use crate::perceptual::Perceptual;

const EXAMPLES: &str = "\
Examples:
  ganscope interpolate ffhq.pkl --seeds 85,265 -o rows.png
  ganscope interpolate ffhq.pkl --seeds 1-6 --steps 60 --spaces w-spline --closed -o walk.webp
  ganscope interpolate biggan-deep-256.bin --seeds 7 --class beagle --class goldfish -o classes.png
  ganscope interpolate ffhq.pkl --seeds 85,265 --steps 99 --perceptual inception -o frames/";

/// Width that holds every caption, in pixels.
const CAPTION_WIDTH: usize = 480;

/// Walks from seed to seed in several spaces, one under the other, for the same end points
///
/// Z is bent to fit the density of the data, W is not: the lengths of the steps, which are printed
/// for each space, show it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// Seeds that are passed, as `85,265`
    #[arg(long)]
    seeds: Seeds,

    /// Class of a conditional generator, by number or name: one for all seeds, or one for each.
    /// With one seed, the classes are walked through
    #[arg(long)]
    class: Vec<String>,

    /// Pictures from one seed to the next, both included
    #[arg(long, default_value_t = 9, value_name = "N")]
    steps: usize,

    /// Spaces, separated by commas: `z`, `z-slerp`, `w`, and `w-spline` for closed walks
    #[arg(long, default_value = "z,z-slerp,w", value_delimiter = ',', value_name = "NAMES")]
    spaces: Vec<Way>,

    /// Return to the first seed
    #[arg(long)]
    closed: bool,

    /// Measure steps by this distance instead of in pixels: `lpips`, or the features of an extractor
    #[arg(long, value_name = "NAME", value_parser = Perceptual::names())]
    perceptual: Option<String>,

    /// Weights of that network, instead of the known ones
    #[arg(long, value_name = "FILE", requires = "perceptual")]
    weights: Option<PathBuf>,

    /// Leave the captions out of a `.png`, and its pictures at their size
    #[arg(long)]
    no_captions: bool,

    /// Pictures a second of a moving picture
    #[arg(long, default_value_t = 24.0, value_name = "N")]
    fps: f64,

    /// A `.png` with a captioned row for each space, a moving `.gif` or `.webp`, or a folder of frames
    #[arg(long, short, value_name = "PATH")]
    output: PathBuf,
}

/// How the walk goes from one latent to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Through(Space),
    Spline,
}

impl Way {
    const SPLINE: &str = "w-spline";

    fn name(self) -> &'static str {
        match self {
            Self::Through(space) => space.name(),
            Self::Spline => Self::SPLINE,
        }
    }
}

impl FromStr for Way {
    type Err = ganscope_latent::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == Self::SPLINE { Ok(Self::Spline) } else { text.parse().map(Self::Through) }
    }
}

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    ensure!(!args.closed || args.steps > 1, "--steps must be at least 2");
    if args.spaces.contains(&Way::Spline) && !args.closed {
        return Err(advised("a spline has no ends", "close the walk with `--closed`"));
    }
    let output = Output::new(&args.output)?;
    let meter = Meter::open(args, terminal)?;
    let open = args.model.open(terminal)?;
    let class = match open.generator.info().c_dim {
        0 => None,
        _ => ModelArgs::class(&open, Some("each"))?,
    };
    let sampler = args.model.sampler(&open, class)?;
    let points = waypoints(args, &open, &sampler)?;
    let generator = &*open.generator;
    let ws = |way: &Way| match *way {
        Way::Through(space) => Ok(walk(generator, &points, args.steps, space, sampler.truncation)?),
        Way::Spline => spline(&open, &points, args.steps, &sampler),
    };
    let walks: Vec<Tensor> = args.spaces.iter().map(ws).collect::<Result<_>>()?;

    let count = walks[0].dim(0)?;
    let bar = terminal.bar(count, "steps");
    // The same noise everywhere, so that only the latents differ.
    let noise_seeds = vec![0; walks.len()];
    let synthesis = Synthesis { noise_seeds, ..sampler.synthesis.clone() };
    let mut lengths = Lengths::new(meter, walks.len());
    let mut columns = (0..count).map(|step| -> Result<Vec<Image>> {
        let at = walks.iter().map(|ws| ws.narrow(0, step, 1)).collect::<Result<Vec<_>, _>>()?;
        let pictures = render(generator, &Tensor::cat(&at, 0)?, &synthesis, walks.len())?;
        lengths.push(&pictures)?;
        bar.inc(1);
        Ok(pictures)
    });
    if let Output::Png(path) = &output {
        let columns: Vec<Vec<Image>> = columns.collect::<Result<_>>()?;
        let row = |row: usize| columns.iter().map(move |column| column[row].clone());
        let picture = if args.no_captions {
            grid(&(0..walks.len()).flat_map(row).collect::<Vec<_>>(), count, 0, [255; 3])
        } else {
            // Wide enough for the captions.
            let factor = CAPTION_WIDTH.div_ceil(columns.iter().map(|c| c[0].width).sum());
            let captions = lengths.captions(&args.spaces).into_iter().enumerate();
            let rows = captions.map(|(i, caption)| {
                (caption, row(i).map(|picture| captions::enlarged(&picture, factor)).collect())
            });
            captions::captioned(&rows.collect::<Vec<_>>())?
        };
        save_png(path, &picture)?;
    } else {
        let frames = columns.by_ref();
        let frames = frames.map(|pictures| Ok(grid(&pictures?, walks.len(), 0, [255; 3])));
        // A closed walk ends where it begins: the last frame would stand twice.
        output.write_frames(frames.take(count - usize::from(args.closed)), args.fps)?;
    }
    bar.finish_and_clear();
    terminal.data(&format!("{}\n", lengths.table(&args.spaces)))?;
    terminal.note(&format!("{} steps in `{}`", count, args.output.display()));
    Ok(())
}

/// The latents and classes that are passed.
fn waypoints(args: &Args, open: &OpenGenerator, sampler: &Sampler) -> Result<Vec<Waypoint>> {
    let z_dim = open.generator.info().z_dim;
    let seeds = args.seeds.to_vec();
    let classes: Vec<u32> =
        args.class.iter().map(|text| open.class(text)).collect::<Result<_>>()?;
    if classes.is_empty() {
        // Names the classes there are, if the generator has any.
        ModelArgs::class(open, None)?;
    }
    let pairs: Vec<(u32, Option<u32>)> = match (&seeds[..], &classes[..]) {
        (seeds, []) => seeds.iter().map(|&seed| (seed, None)).collect(),
        (&[seed], classes) => classes.iter().map(|&class| (seed, Some(class))).collect(),
        (seeds, &[class]) => seeds.iter().map(|&seed| (seed, Some(class))).collect(),
        (seeds, classes) if seeds.len() == classes.len() => {
            seeds.iter().copied().zip(classes.iter().copied().map(Some)).collect()
        }
        (seeds, classes) => bail!("{} classes for {} seeds", classes.len(), seeds.len()),
    };
    ensure!(pairs.len() > 1, "a walk needs two end points: two seeds, or one seed and two classes");
    let point = |(seed, class)| Ok(Waypoint { z: sampler.prior.latent(seed, z_dim)?, class });
    let mut points: Vec<Waypoint> = pairs.into_iter().map(point).collect::<Result<_>>()?;
    if args.closed {
        points.push(points[0].clone());
    }
    Ok(points)
}

/// A smooth closed walk in W through all points but the last, which is the first again.
fn spline(
    open: &OpenGenerator,
    points: &[Waypoint],
    steps: usize,
    sampler: &Sampler,
) -> Result<Tensor> {
    let keys = walk(&*open.generator, points, 2, Space::W, sampler.truncation)?;
    let keys = keys.narrow(0, 0, points.len() - 1)?.contiguous()?;
    let spline = Spline::new(keys, steps - 1)?;
    let mut frames = spline.frames().collect::<Result<Vec<_>, _>>()?;
    frames.push(frames[0].clone());
    Ok(Tensor::cat(&frames, 0)?)
}

/// What steps are measured by.
enum Meter {
    /// Root mean square of the differences of pixels on 0..255.
    Pixels,
    /// Distance of networks.
    Perceptual(Perceptual),
}

impl Meter {
    fn open(args: &Args, terminal: &Terminal) -> Result<Self> {
        let Some(name) = &args.perceptual else { return Ok(Self::Pixels) };
        let bar = std::cell::OnceCell::new();
        let open = Perceptual::open(name, args.weights.as_deref(), &mut |done, total| {
            let what = format!("weights of {name}");
            let bar = bar.get_or_init(|| terminal.bytes(total.unwrap_or(done), &what));
            bar.set_position(done);
        });
        Ok(Self::Perceptual(open?))
    }

    fn name(&self) -> String {
        match self {
            Self::Pixels => "RMS of pixels".into(),
            Self::Perceptual(distance @ Perceptual::Lpips(_)) => distance.name().into(),
            Self::Perceptual(distance) => format!("features of {}", distance.name()),
        }
    }

    /// Lengths of the steps from each picture of `from` to that of `to`.
    fn lengths(&self, from: &[Image], to: &[Image]) -> Result<Vec<f64>> {
        let pairs = from.iter().zip(to);
        match self {
            Self::Pixels => Ok(pairs.map(|(a, b)| root_mean_square(a, b)).collect()),
            Self::Perceptual(distance) => {
                let tensors: Vec<Tensor> =
                    pairs.flat_map(|(a, b)| [a, b]).map(from_image).collect::<Result<_>>()?;
                let distances = distance.pair_distances(&Tensor::stack(&tensors, 0)?)?;
                let lpips = matches!(distance, Perceptual::Lpips(_));
                Ok(distances.into_iter().map(|d| if lpips { d } else { d.sqrt() }).collect())
            }
        }
    }
}

fn root_mean_square(a: &Image, b: &Image) -> f64 {
    let square = |(&a, &b): (&u8, &u8)| f64::from(a.abs_diff(b)).powi(2);
    let sum: f64 = a.pixels.iter().zip(&b.pixels).map(square).sum();
    (sum / a.pixels.len() as f64).sqrt()
}

/// (3, H, W) in [-1, 1].
fn from_image(image: &Image) -> Result<Tensor> {
    let values: Vec<f32> = image.pixels.iter().map(|&v| f32::from(v) / 127.5 - 1.0).collect();
    let tensor = Tensor::from_vec(values, (image.height, image.width, 3), &Device::Cpu)?;
    Ok(tensor.permute((2, 0, 1))?.contiguous()?)
}

/// Lengths of the steps of each walk.
struct Lengths {
    meter: Meter,
    before: Option<Vec<Image>>,
    walks: Vec<Vec<f64>>,
}

impl Lengths {
    fn new(meter: Meter, walks: usize) -> Self {
        Self { meter, before: None, walks: vec![Vec::new(); walks] }
    }

    /// Goes on to the next picture of each walk.
    fn push(&mut self, pictures: &[Image]) -> Result<()> {
        if let Some(before) = &self.before {
            let steps = self.meter.lengths(before, pictures)?;
            self.walks.iter_mut().zip(steps).for_each(|(lengths, step)| lengths.push(step));
        }
        self.before = Some(pictures.to_vec());
        Ok(())
    }

    /// What stands above each walk.
    fn captions(&self, ways: &[Way]) -> Vec<String> {
        let caption = |(way, lengths): (&Way, &Vec<f64>)| {
            let Summary { sum, mean, longest } = Summary::of(lengths);
            let (name, unit) = (way.name(), self.meter.name());
            let [mean, longest, sum] = [mean, longest, sum].map(digits);
            format!("{name}: mean step {mean}, longest {longest}, path {sum} ({unit})")
        };
        ways.iter().zip(&self.walks).map(caption).collect()
    }

    /// A line for each walk.
    fn table(&self, ways: &[Way]) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let path = format!("path ({})", self.meter.name());
        table.set_header(["space", "steps", &path, "mean step", "longest", "longest / mean"]);
        for (way, lengths) in ways.iter().zip(&self.walks) {
            let Summary { sum, mean, longest } = Summary::of(lengths);
            let numbers = [sum, mean, longest, longest / mean].map(digits);
            let head = [way.name().to_owned(), lengths.len().to_string()];
            table.add_row(head.into_iter().chain(numbers));
        }
        table.column_iter_mut().skip(1).for_each(|c| c.set_cell_alignment(CellAlignment::Right));
        table
    }
}

/// A length in the digits that tell something.
fn digits(length: f64) -> String {
    if length < 10.0 { format!("{length:.3}") } else { format!("{length:.1}") }
}

/// Of the lengths of the steps of one walk.
struct Summary {
    sum: f64,
    mean: f64,
    longest: f64,
}

impl Summary {
    fn of(lengths: &[f64]) -> Self {
        let sum: f64 = lengths.iter().sum();
        let mean = sum / lengths.len().max(1) as f64;
        Self { sum, mean, longest: lengths.iter().copied().fold(0.0, f64::max) }
    }
}
