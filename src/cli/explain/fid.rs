//! `ganscope explain fid`: which images make a distance what it is, and which of their pixels.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use ganscope_explain::cam::channel_sum;
use ganscope_explain::fid::{Frechet, pixels};
use ganscope_explain::heat::{self, Palette};
use ganscope_explain::{Composite, Evidence, Target, grad_cam, gradient};
use ganscope_images::{Image, ImageSet, Preprocess, Resize};
use ganscope_model::network::{Rectifier, Walker};
use ganscope_model::{FeatureMap, Network, Node, Shape};
use ganscope_stats::{FeatureSet, Needs};

use crate::captions::enlarged;
use crate::cli::extract::{ExtractArgs, Shard};
use crate::cli::output::make_folder;
use crate::cli::score;
use crate::cli::terminal::Terminal;
use crate::contributions::{Contributions, Figure};
use crate::explain::over;
use crate::extractors::{Inside, OpenExtractor};
use crate::hint::advised;
use crate::sheet::{Cell, Sheet, number};
use crate::side::Side;
use crate::{extraction, notices, registry};

const EXAMPLES: &str = "\
Examples:
  ganscope explain fid samples/ --reference photos/ -o report/
  ganscope explain fid samples/ --reference fashion-test --top 10 -o report/";

/// Pictures on a sheet have about so many pixels a side.
const SIDE: usize = 128;
/// Pictures in a row.
const COLUMNS: usize = 5;
/// Share of pixels within the scale of the colours.
const SHARE: f64 = 0.995;

/// Tells which images make FID, and the Inception Score, what they are
///
/// The part of an image is the distance of the set less that of the set without it, in closed form.
/// With a report: a table of all images, the worst and the best by distance, by Inception Score and
/// by realism, and heat maps of the pixels that the worst ones owe it to.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Generated images
    #[arg(value_name = "GENERATED")]
    generated: PathBuf,

    /// Reference set: real images, or their statistics
    #[arg(long, short, value_name = "REF")]
    reference: PathBuf,

    /// Folder to write
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    /// Images on each sheet
    #[arg(long, value_name = "N", default_value_t = 25)]
    top: usize,

    /// Images with heat maps
    #[arg(long, value_name = "N", default_value_t = 6)]
    heat: usize,

    /// Neighbours of realism in the reference
    #[arg(long, value_name = "K", default_value_t = 3)]
    nearest_k: usize,

    /// Compare sets that were taken under different conventions all the same
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    extract: ExtractArgs,
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    ensure!(args.top > 0, "--top must be at least 1");
    let generated = Side::open(&args.generated, args.extract.recursive)?;
    let reference = Side::open(&args.reference, args.extract.recursive)?;
    let Some(images) = &generated.images else {
        return Err(advised(
            format!("`{}` holds statistics and no images", generated.name()),
            "give the images themselves: a folder, an archive or an npz",
        ));
    };
    make_folder(&args.output)?;
    let needs = Needs::STATS | Needs::FEATURES;
    let open = args.extract.open(needs, reference.convention(), terminal)?;
    if !args.force {
        generated.check(&open.convention)?;
        reference.check(&open.convention)?;
    }
    let part = |of: Needs| if open.extractor.gives().contains(of) { of } else { Needs::NONE };
    let of_generated = needs | part(Needs::LOGITS);

    let (store, survey) =
        args.extract.rows((generated.name(), images), Shard::WHOLE, &open, terminal)?;
    let skipped: HashSet<usize> = store.skipped().map(|s| s.index).collect();
    let set = extraction::collect(store.into(), of_generated)?;
    let count = args.extract.num.map_or(images.len(), |num| num.min(images.len()));
    let places: Vec<usize> = (0..count).filter(|i| !skipped.contains(i)).collect();
    let (other, _, _) = score::features(&reference, &args.extract, needs, &open, terminal)?;

    let warnings = notices::about_set(
        generated.name(),
        Some(places.len() as u64),
        Some(&survey),
        Needs::STATS,
        &*open.extractor,
    );
    let warnings = warnings.into_iter();
    for warning in warnings.chain(notices::about_skipped(generated.name(), skipped.len())) {
        terminal.warn(&warning);
    }
    if other.features.is_none() {
        let name = reference.name();
        terminal.note(&format!("`{name}` holds no features of single images: no realism"));
    }
    let names = places.iter().map(|&i| images.name(i)).collect();
    let (found, frechet) = Contributions::new(&set, &other, names, (args.top, args.nearest_k))
        .with_context(|| format!("`{}` against `{}`", generated.name(), reference.name()))?;
    let found = Contributions {
        generated: generated.name().into(),
        reference: reference.name().into(),
        convention: open.convention.to_string(),
        title: registry::title("fid", &open.convention),
        ..found
    };
    let gallery = Gallery { images, places: &places, found: &found, top: args.top };
    let mut figures = gallery.figures()?;
    if args.heat > 0 {
        figures.insert(1, gallery.heat(&open, &frechet, &set, args.heat, terminal)?);
    }
    found.write(&args.output, &figures)?;
    print(&found, terminal)?;
    terminal.note(&format!("see {}", args.output.join("report.html").display()));
    Ok(())
}

/// The scores and the worst images.
fn print(found: &Contributions, terminal: &Terminal) -> Result<()> {
    let Contributions { title, distance, top, without_worst, .. } = found;
    let mut text = format!("{title} {distance:.6}, without the {top} worst {without_worst:.6}\n");
    for (rank, i) in found.worst().into_iter().take(*top).enumerate() {
        let image = &found.images[i];
        writeln!(text, "{:4} {:+.6} {}", rank + 1, image.distance, image.name)?;
    }
    terminal.data(&text)
}

/// The images of a set and what they add.
struct Gallery<'a> {
    images: &'a ImageSet,
    /// Place in the set of each image that took part.
    places: &'a [usize],
    found: &'a Contributions,
    top: usize,
}

impl Gallery<'_> {
    fn image(&self, i: usize) -> Result<Image> {
        let place = self.places[i];
        let image = self.images.get(place);
        Ok(image.with_context(|| format!("read `{}`", self.images.name(place)))?.image)
    }

    fn figures(&self) -> Result<Vec<Figure>> {
        let title = &self.found.title;
        let worst = self.found.worst();
        let best: Vec<usize> = worst.iter().rev().copied().collect();
        let part = |i: usize| format!("adds {}", number(self.found.images[i].distance));
        let mut figures = vec![
            self.figure(
                "worst",
                format!("The images that raise {title} most"),
                "Where they lie in feature space is far from the reference.",
                &worst,
                part,
            )?,
            self.figure(
                "best",
                format!("The images that lower {title} most"),
                "The set would lie farther from the reference without them.",
                &best,
                part,
            )?,
        ];
        if let Some(order) = self.found.worst_by_score() {
            let part = |i: usize| {
                let part = self.found.images[i].inception_score.unwrap_or_default();
                format!("adds {}", number(part))
            };
            figures.push(self.figure(
                "worst-inception-score",
                "The images that lower the Inception Score most".into(),
                "The classifier is unsure about them, or sure of a class that is frequent.",
                &order,
                part,
            )?);
        }
        if let Some(order) = self.found.least_realistic() {
            let part = |i: usize| {
                let realism = self.found.images[i].realism.unwrap_or_default();
                format!("realism {}", number(realism))
            };
            figures.push(self.figure(
                "least-realistic",
                "The least realistic images".into(),
                "Realism compares the distance to reference images with their distances to each \
                 other; at least 1 is inside the reference manifold.",
                &order,
                part,
            )?);
        }
        Ok(figures)
    }

    fn figure(
        &self,
        name: &'static str,
        title: String,
        about: &str,
        order: &[usize],
        note: impl Fn(usize) -> String,
    ) -> Result<Figure> {
        let cell = |(rank, &i): (usize, &usize)| {
            let caption = format!("{} {}", rank + 1, self.found.images[i].name);
            Ok(Cell::new(thumbnail(&self.image(i)?), caption, note(i)))
        };
        let cells: Result<Vec<Cell>> = order.iter().take(self.top).enumerate().map(cell).collect();
        let (heading, legend) = (String::new(), String::new());
        let sheet = Sheet { title: heading, legend, columns: COLUMNS, cells: cells? };
        Ok(Figure { name, title, about: about.into(), picture: sheet.draw()? })
    }

    /// Heat maps of the worst images.
    fn heat(
        &self,
        open: &OpenExtractor,
        frechet: &Frechet,
        set: &FeatureSet,
        count: usize,
        terminal: &Terminal,
    ) -> Result<Figure> {
        let Inside { network, features, scaling } = &open.inside;
        let rows = set.features.as_ref().context("features of the generated set")?;
        let walker = Walker::<f32>::new(network.clone());
        let map = map_behind(network, *features, open.preprocess.size)?;
        let composite = Composite::epsilon_gamma_box(scaling);
        let worst: Vec<usize> = self.found.worst().into_iter().take(count).collect();
        let bar = terminal.bar(worst.len(), "heat maps");
        let mut cells = Vec::new();
        for (rank, i) in worst.into_iter().enumerate() {
            let mut values = vec![0.0; open.preprocess.values()];
            open.preprocess.apply(&self.image(i)?, &mut values);
            let size = open.preprocess.size;
            let input = values.iter().enumerate().map(|(k, &v)| scaling.apply(k % 3, v));
            let shape = Shape { c: 3, h: size, w: size };
            let input = FeatureMap::new(1, shape, input.collect())?;
            let pixels_of = values.iter().map(|v| v.round().clamp(0.0, 255.0) as u8).collect();
            let picture = Image { width: size, height: size, pixels: pixels_of };

            let direction = frechet.gradient(rows.row(i))?;
            let target = Target::direction(*features, &direction);
            let place = grad_cam(&walker, &input, &target, map, Evidence::Signed)?;
            let shares = pixels(&walker, &input, *features, &direction, &composite)?.map;
            let change = gradient(&walker, &input, &target, Rectifier::Gradient)?;
            let change = channel_sum(&Evidence::Absolute.of(&change));

            let image = &self.found.images[i];
            let (caption, note) = (
                format!("{} {}", rank + 1, image.name),
                format!("adds {}", number(image.distance)),
            );
            let times = (224 / size).max(1);
            cells.push(Cell::new(enlarged(&picture, times), caption, note));
            for (name, map, palette) in [
                ("Grad-CAM", place, Palette::Signed),
                ("relevance", shares, Palette::Signed),
                ("gradient", change, Palette::Positive),
            ] {
                let scale = heat::scale(&map, SHARE);
                let picture = over(&picture, &map, palette, scale)?;
                cells.push(Cell {
                    scale: Some((palette, scale)),
                    ..Cell::new(picture, name, String::new())
                });
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let title = &self.found.title;
        let legend = format!(
            "Red raises {title}, blue lowers it, to first order. The gradient tells which pixels \
             would change it, violet for none and yellow for most. Each map has its own scale."
        );
        let sheet = Sheet { title: String::new(), legend, columns: 4, cells };
        Ok(Figure {
            name: "heat",
            title: "The pixels that the worst images owe it to".into(),
            about: format!(
                "The gradient of {title} with respect to the features of an image, carried back to \
                 the last map (Grad-CAM) and to the pixels (relevance, gradient)."
            ),
            picture: sheet.draw()?,
        })
    }
}

/// The last map of several pixels that the value `features` is made of.
fn map_behind(network: &Network, features: Node, size: usize) -> Result<Node> {
    let shapes = network.shapes(size, size)?;
    let mut node = features;
    while let (Some(step), 1) = (node.step(), shapes[node.index()].h * shapes[node.index()].w) {
        node = network.steps()[step].inputs[0];
    }
    Ok(node)
}

/// A picture of about [`SIDE`] pixels: small ones keep their pixels, large ones are resized to a
/// square as networks see them.
fn thumbnail(image: &Image) -> Image {
    let side = image.width.max(image.height).max(1);
    if side <= SIDE {
        return enlarged(image, SIDE / side);
    }
    let preprocess = Preprocess { resize: Resize::PillowBicubic, size: SIDE };
    let mut values = vec![0.0; preprocess.values()];
    preprocess.apply(image, &mut values);
    let pixels = values.iter().map(|v| v.round().clamp(0.0, 255.0) as u8).collect();
    Image { width: SIDE, height: SIDE, pixels }
}
