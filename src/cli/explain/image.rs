//! `ganscope explain METHOD IMAGE...`: maps of images.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};
use ganscope_explain::{
    Biases, Composite, Evidence, Fill, Quickshift, Segmentation, Settings, Slic,
};
use ganscope_images::{EXTENSIONS, ImageSet, SetOptions, save_png};
use indicatif::ProgressBar;

use super::NetworkArgs;
use crate::classifiers::OpenClassifier;
use crate::cli::output::make_folder;
use crate::cli::terminal::Terminal;
use crate::explain::{Found, Request, explain, sheet};
use crate::hint::advised;
use crate::registry;

/// Images beyond which no common sheet is drawn.
const LARGEST_SHEET: usize = 20;

/// Images, methods and their options.
#[derive(Debug, clap::Args)]
pub(super) struct ImageArgs {
    /// Methods, separated by commas, or `all`
    #[arg(required = true, value_name = "METHOD")]
    methods: Option<String>,

    /// Images, or folders or archives of images
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// Folder to write
    #[arg(long, short, value_name = "DIR", required = true)]
    output: Option<PathBuf>,

    /// Class to explain, by number or name [default: the most probable one]
    #[arg(long, value_name = "N|NAME")]
    class: Option<String>,

    /// Explain what speaks for the class rather than for this one
    #[arg(long, value_name = "N|NAME")]
    against: Option<String>,

    /// Evidence that maps show: positive, negative, signed or absolute [default: as published]
    #[arg(long, value_name = "KIND")]
    evidence: Option<String>,

    /// Measure the maps: positivity, continuity, deletion, insertion, ROAD
    ///
    /// Deletion is the mean probability while the patches become nothing, the most relevant first:
    /// the lower, the better. Insertion puts them back in that order: the higher, the better. ROAD is
    /// the mean probability while 10 to 90 % of the pixels take the values that their neighbours
    /// suggest: the lower, the better; elsewhere is the same for that map moved and mirrored at random.
    /// The last row is for random order.
    #[arg(long)]
    measure: bool,

    #[command(flatten)]
    network: NetworkArgs,

    #[command(flatten)]
    options: MethodArgs,
}

/// Options of the methods.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Methods")]
struct MethodArgs {
    /// Layer of Grad-CAM [default: the last with a map of several pixels]
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,

    /// Rules of LRP: a composite, or `SELECTOR:RULE,...,RULE` [default: epsilon-plus-flat]
    ///
    /// Composites: epsilon-plus-flat, epsilon-alpha2-beta1-flat, epsilon-gamma-box. Rules:
    /// epsilon=E, gamma=G, alpha=A (beta is one less), z+, w2, flat, z-box. Selectors: first, a kind
    /// such as conv or linear, depths such as 0-3, the name of a layer or block.
    #[arg(long, value_name = "RULES")]
    rule: Option<String>,

    /// What becomes of the relevance that falls to biases in LRP
    #[arg(long, value_name = "WAY", default_value = "keep")]
    biases: BiasWay,

    /// Pixel value, 0 to 255, that stands for nothing [default: the classifier's own]
    #[arg(long, value_name = "VALUE")]
    baseline: Option<f32>,

    /// Side of the window of occlusion, in pixels of the network's input [default: a seventh]
    #[arg(long, value_name = "N")]
    window: Option<usize>,

    /// Distance of neighbouring windows [default: half the window]
    #[arg(long, value_name = "N")]
    stride: Option<usize>,

    /// How LIME cuts an image into superpixels
    #[arg(long, value_name = "WAY", default_value = "slic")]
    superpixels: Way,

    /// About how many superpixels slic makes [default: 60]
    #[arg(long, value_name = "N")]
    segments: Option<usize>,

    /// Width of the kernel of quickshift, in pixels of the network's input [default: a 75th]
    #[arg(long, value_name = "WIDTH")]
    kernel: Option<f64>,

    /// Superpixels that LIME keeps in its model [default: all]
    #[arg(long, value_name = "N")]
    features: Option<usize>,

    /// Images that LIME scores
    #[arg(long, value_name = "N", default_value_t = 1000)]
    samples: usize,

    /// Noisy copies that SmoothGrad takes the mean over
    #[arg(long, value_name = "N", default_value_t = 50)]
    copies: usize,

    /// Steps of integrated gradients
    #[arg(long, value_name = "N", default_value_t = 256)]
    steps: usize,

    /// Seed of SmoothGrad and LIME
    #[arg(long, default_value_t = 0)]
    seed: u32,
}

/// Treatments of biases.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum BiasWay {
    /// A bias keeps its share, as published
    Keep,
    /// Biases take no part in the sums
    Ignore,
    /// The inputs share evenly what biases would keep, so that nothing is lost
    Share,
}

/// Kinds of superpixels.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Way {
    /// Parts of about one size
    Slic,
    /// Parts as large as what looks alike
    Quickshift,
}

pub(super) fn run(args: &ImageArgs, terminal: &Terminal) -> Result<()> {
    let (Some(methods), Some(output)) = (&args.methods, &args.output) else {
        bail!("a method, images and an output are needed");
    };
    let lenient = methods == "all";
    let methods = registry::methods(methods)?;
    if let Some(value) = args.options.baseline {
        ensure!((0.0..=255.0).contains(&value), "--baseline must be from 0 to 255, got {value}");
    }
    let images = images(&args.images)?;
    let open = args.network.open(args.options.baseline, terminal)?;
    let class = |text: &Option<String>| text.as_deref().map(|t| open.class(t)).transpose();
    let (class, against) = (class(&args.class)?, class(&args.against)?);
    let settings = args.options.settings(args.evidence.as_deref(), &open)?;
    let request = Request { methods, lenient, class, against, settings, measure: args.measure };
    make_folder(output)?;

    let bar = terminal.bar(images.len() * request.methods.len(), "maps");
    let mut names = HashSet::new();
    let mut of_sheet = Vec::new();
    for (path, set, index) in &images {
        let image = set.get(*index).map_err(|error| unreadable(path, &error.into()))?.image;
        let name = set.name(*index);
        let found = explain(&open, (&name, &image), &request, &mut || bar.inc(1))?;
        for (method, why) in &found.report.left_out {
            bar.suspend(|| terminal.warn(&format!("{method} is left out: {why}")));
        }
        found.write(&output.join(folder_name(&name, &mut names)))?;
        print(&found, &bar, terminal)?;
        if images.len() <= LARGEST_SHEET {
            of_sheet.push(found);
        }
    }
    bar.finish_and_clear();
    if of_sheet.len() > 1 {
        save_png(&output.join("sheet.png"), &sheet(&of_sheet)?)?;
    }
    terminal.note(&format!("{} in `{}`", counted(images.len(), "image"), output.display()));
    Ok(())
}

impl MethodArgs {
    fn settings(&self, evidence: Option<&str>, open: &OpenClassifier) -> Result<Settings> {
        let evidence = evidence.map(str::parse::<Evidence>).transpose()?;
        let mut settings = Settings { evidence, ..Settings::default() };
        settings.layer = self.layer.as_deref().map(|name| open.layer(name)).transpose()?;
        if let Some(rules) = &self.rule {
            let classifier = open.classifier();
            settings.composite =
                Composite::parse(rules, &classifier.normalization).map_err(|error| {
                    advised(
                        error.to_string(),
                        "composites are epsilon-plus-flat, epsilon-alpha2-beta1-flat and \
                         epsilon-gamma-box; a list is SELECTOR:RULE,...,RULE",
                    )
                })?;
            if let Some(name) = settings.composite.unknown_name(&classifier.network) {
                open.layer(name)?;
            }
        }
        settings.composite = settings.composite.with_biases(match self.biases {
            BiasWay::Keep => Biases::Keep,
            BiasWay::Ignore => Biases::Ignore,
            BiasWay::Share => Biases::Share,
        });
        let window = self.window.unwrap_or(open.classifier().input_size / 7).max(1);
        let stride = self.stride.unwrap_or(window / 2).max(1);
        settings.occlusion.window = [window; 2];
        settings.occlusion.stride = [stride; 2];
        settings.occlusion.baseline.clone_from(&open.baseline);
        settings.integrated_gradients.steps = self.steps;
        settings.integrated_gradients.baseline = open.baseline.iter().map(|&v| v.into()).collect();
        settings.smooth_grad.samples = self.copies;
        settings.smooth_grad.seed = self.seed;
        settings.lime.samples = self.samples;
        settings.lime.features = self.features;
        settings.lime.seed = self.seed;
        if open.explicit_baseline {
            settings.lime.fill = Fill::Value(open.baseline.clone());
        }
        settings.superpixels = self.segmentation(open.classifier().input_size)?;
        Ok(settings)
    }

    fn segmentation(&self, side: usize) -> Result<Segmentation> {
        match (self.superpixels, self.segments, self.kernel) {
            (Way::Slic, _, Some(_)) => Err(advised(
                "slic has no `--kernel`",
                "add `--superpixels quickshift`, or choose the number of parts with `--segments`",
            )),
            (Way::Quickshift, Some(_), _) => Err(advised(
                "quickshift has no `--segments`: it finds the number of parts itself",
                "a wider `--kernel` makes fewer parts",
            )),
            (Way::Slic, segments, None) => {
                let slic = Slic::default();
                let segments = segments.unwrap_or(slic.segments);
                Ok(Segmentation::Slic(Slic { segments, ..slic }))
            }
            (Way::Quickshift, None, kernel) => Ok(Segmentation::Quickshift(
                kernel.map_or_else(|| Quickshift::for_side(side), Quickshift::with_kernel),
            )),
        }
    }
}

/// Every image of every path, with the path and the place in its set.
pub(super) fn images(paths: &[PathBuf]) -> Result<Vec<(&Path, ImageSet, usize)>> {
    let mut images = Vec::new();
    for path in paths {
        let set = ImageSet::open(path, &SetOptions::default());
        let set = set.map_err(|error| unreadable(path, &error.into()))?;
        images.extend((0..set.len()).map(|i| (path.as_path(), set.clone(), i)));
    }
    Ok(images)
}

pub(super) fn unreadable(path: &Path, error: &anyhow::Error) -> anyhow::Error {
    advised(
        format!("cannot explain `{}`: {error:#}", path.display()),
        format!("give images ({}), or folders or archives of them", EXTENSIONS.join(", ")),
    )
}

/// The name of an image without its ending, and with a number where it was there before.
fn folder_name(name: &str, taken: &mut HashSet<String>) -> String {
    let stem = Path::new(name).file_stem().map_or(name.into(), |stem| stem.to_string_lossy());
    let numbered = (2..).map(|i| format!("{stem}-{i}"));
    let mut free = std::iter::once(stem.to_string()).chain(numbered);
    free.find(|name| taken.insert(name.clone())).expect("numbers do not end")
}

/// A line a method.
fn print(found: &Found, bar: &ProgressBar, terminal: &Terminal) -> Result<()> {
    let report = &found.report;
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut header = vec!["method", "sum", "positive", "negative", "conservation error"];
    if report.random_order.is_some() {
        header.extend(["positivity", "continuity", "deletion", "insertion", "ROAD", "elsewhere"]);
    }
    table.set_header(header);
    let number = |value: f64| format!("{value:.4}");
    for map in &report.maps {
        let lost = map.conservation_error.map_or(String::new(), |e| format!("{e:.2e}"));
        let mut row = vec![
            map.method.into(),
            number(map.sum),
            number(map.positive),
            number(map.negative),
            lost,
        ];
        if let Some(m) = &map.measures {
            row.extend([m.positivity, m.continuity, m.deletion, m.insertion].map(number));
            row.extend([m.road, m.road_elsewhere].map(number));
        }
        table.add_row(row);
    }
    if let Some(random) = &report.random_order {
        let mut row = vec!["random order".to_owned()];
        row.resize(7, String::new());
        row.extend([random.deletion, random.insertion, random.road].map(number));
        table.add_row(row);
    }
    table.column_iter_mut().skip(1).for_each(|c| c.set_cell_alignment(CellAlignment::Right));
    let text = format!("{}: {}\n{table}\n", report.image, found.heading());
    bar.suspend(|| terminal.data(&text)).context("print the table")
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_one_name_get_folders_of_their_own() {
        let mut taken = HashSet::new();
        let names = ["cat.png", "a/cat.jpg", "cat-2.png", "dog"];
        let folders = names.map(|name| folder_name(name, &mut taken));
        assert_eq!(folders, ["cat", "cat-2", "cat-2-2", "dog"]);
    }
}
