//! Everything that can be asked for by name: each kind of thing is listed once, here.

use anyhow::Result;
use ganscope_fid::{Fid, Sfid};
use ganscope_inception_score::InceptionScore;
use ganscope_kid::Kid;
use ganscope_prdc::{Prdc, PrecisionRecall};
use ganscope_stats::Metric;
use ganscope_stats::files::Convention;
use ganscope_weights::Weights;
use ganscope_weights::hub::{self, Hub};

use crate::extractors::{self, Open};
use crate::generators;
use crate::hint::advised;
pub use crate::preset::PRESETS;
use crate::shipped::shipped;

/// Where an extractor's weights come from when no file is given.
#[derive(Debug, Clone, Copy)]
pub enum DefaultWeights {
    /// An entry of the table of known weights, downloaded once.
    Known(&'static str),
    /// A part of the program.
    Shipped(&'static str),
}

impl DefaultWeights {
    /// The file, fetched if it is not there yet; `watch` sees bytes done and bytes in all.
    ///
    /// # Errors
    /// When it cannot be fetched or is damaged.
    pub fn bytes(self, watch: &mut hub::Progress<'_>) -> Result<Vec<u8>> {
        match self {
            Self::Known(id) => Ok(std::fs::read(Hub::from_env()?.fetch(id, watch)?)?),
            Self::Shipped(name) => match shipped(name) {
                Some(file) => Ok(file.bytes.to_vec()),
                None => Err(advised(
                    format!("`{name}` is not part of this build"),
                    "build with the feature `models`, or give `--weights FILE`",
                )),
            },
        }
    }
}

/// A feature extractor.
#[derive(Debug)]
pub struct ExtractorEntry {
    /// Name on the command line and in reports.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Where its weights come from.
    pub weights: DefaultWeights,
    /// Builds it.
    pub(crate) open: Open,
}

/// The feature extractors, the default first.
pub const EXTRACTORS: &[ExtractorEntry] = &[
    ExtractorEntry {
        name: "inception",
        about: "Inception-v3 of 2015-12-05, the network of every published FID",
        weights: DefaultWeights::Known("inception-fid"),
        open: extractors::inception,
    },
    ExtractorEntry {
        name: "fashion-cnn",
        about: "small classifier of Fashion-MNIST, shipped; its distances are no FID",
        weights: DefaultWeights::Shipped("fashion-cnn"),
        open: extractors::described,
    },
];

/// The extractor `name`.
///
/// # Errors
/// When there is none.
pub fn extractor(name: &str) -> Result<&'static ExtractorEntry> {
    find(EXTRACTORS, |e| e.name, "extractor", name)
}

/// The entry of `table` whose name is `name`; the error lists those there are.
fn find<T>(
    table: &'static [T],
    key: impl Fn(&T) -> &'static str,
    kind: &str,
    name: &str,
) -> Result<&'static T> {
    table.iter().find(|entry| key(entry) == name).ok_or_else(|| {
        let names: Vec<_> = table.iter().map(key).collect();
        advised(format!("no {kind} `{name}`"), format!("there are: {}", names.join(", ")))
    })
}

/// A family of generators.
#[derive(Debug)]
pub struct GeneratorEntry {
    /// Name in reports.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Whether the tensors are those of this family.
    pub(crate) recognises: fn(&Weights) -> bool,
    /// Builds it.
    pub(crate) open: generators::Open,
}

/// The families of generators. The last one is tried where none recognises a file: its error tells
/// what the file seems to be.
pub const GENERATORS: &[GeneratorEntry] = &[
    GeneratorEntry {
        name: "biggan-deep",
        about: "BigGAN-deep: one class-conditional network for all of ImageNet",
        recognises: ganscope_biggan::is_biggan,
        open: generators::biggan,
    },
    GeneratorEntry {
        name: "stylegan",
        about: "StyleGAN 1, 2 and 3: a mapping network and a synthesis by styles",
        recognises: |_| false,
        open: generators::stylegan,
    },
];

/// Parameters of the metrics of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct MetricOptions {
    /// Seed of the shuffle of the Inception Score and of the subsets of KID.
    pub seed: u32,
    /// Splits of the Inception Score.
    pub is_splits: usize,
    /// Subsets of KID.
    pub kid_subsets: usize,
    /// Images in each subset of KID.
    pub kid_subset_size: usize,
    /// Neighbours of precision, recall, density and coverage, instead of each metric's own.
    pub nearest_k: Option<usize>,
}

/// A metric.
#[derive(Debug)]
pub struct MetricEntry {
    /// Name on the command line and in reports.
    pub name: &'static str,
    /// What it tells.
    pub about: &'static str,
    /// Builds it.
    build: fn(&MetricOptions) -> Box<dyn Metric>,
}

/// The metrics, in the order of reports.
pub const METRICS: &[MetricEntry] = &[
    MetricEntry {
        name: "is",
        about: "Inception Score: how sure and how diverse the classifier's answers are",
        build: |o| Box::new(InceptionScore { splits: o.is_splits, shuffle: Some(o.seed) }),
    },
    MetricEntry {
        name: "fid",
        about: "Frechet Inception Distance: how far apart the Gaussians of the features are",
        build: |_| Box::new(Fid),
    },
    MetricEntry {
        name: "sfid",
        about: "the same on spatial features, which see the arrangement of a picture",
        build: |_| Box::new(Sfid),
    },
    MetricEntry {
        name: "kid",
        about: "Kernel Inception Distance: unbiased for any number of images",
        build: |o| {
            Box::new(Kid {
                subsets: o.kid_subsets,
                subset_size: o.kid_subset_size,
                seed: o.seed,
                ..Kid::TORCH_FIDELITY
            })
        },
    },
    MetricEntry {
        name: "prdc",
        about: "precision, recall, density and coverage: fidelity and diversity apart",
        build: |o| Box::new(Prdc { nearest_k: o.nearest_k.unwrap_or(Prdc::PAPER.nearest_k) }),
    },
    MetricEntry {
        name: "prc",
        about: "precision, recall and their F-score as Kynkaanniemi et al. and torch-fidelity define them",
        build: |o| {
            let nearest_k = o.nearest_k.unwrap_or(PrecisionRecall::PAPER.nearest_k);
            Box::new(PrecisionRecall { nearest_k })
        },
    },
];

/// The metric `name` with the options of a run.
///
/// # Errors
/// When there is none.
pub fn metric(name: &str, options: &MetricOptions) -> Result<Box<dyn Metric>> {
    let entry = find(METRICS, |m| m.name, "metric", name)?;
    Ok((entry.build)(options))
}

/// Name of a score for people. Only on the features of FID's own network is a Frechet distance
/// called FID.
pub fn title(score: &str, convention: &Convention) -> String {
    let published = convention.extractor == EXTRACTORS[0].name;
    let of = |name: &str| match published {
        true if convention.layer == "2048" => name.to_owned(),
        true => format!("{name} (layer {})", convention.layer),
        false => format!("{} ({})", name.replace("ID", "D"), convention.extractor),
    };
    match score {
        "is" if published => "Inception Score".into(),
        "is" => format!("IS ({})", convention.extractor),
        "fid" => of("FID"),
        "sfid" => of("sFID"),
        "kid" => of("KID"),
        other => other.into(),
    }
}
