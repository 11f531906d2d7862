//! What the verbs of generators share: opening a generator and drawing from it.

use std::cell::OnceCell;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, ensure};
use candle_core::Device;
use clap::ValueEnum;
use ganscope_biggan::BnStats;
use ganscope_latent::{Centers, Class, Prior, Sampler, ThresholdPrior};
use ganscope_model::{NoiseMode, TruncationKind};
use ganscope_stats::Features;
use ganscope_stylegan::Transform;
use ganscope_weights::npy;
use serde_json::{Map, Value};

use super::terminal::Terminal;
use crate::device::device;
use crate::generators::{self, GeneratorOptions, OpenGenerator};
use crate::hint::advised;

/// A generator and how latents are drawn for it, but for the truncation.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Generator")]
pub(super) struct GeneratorArgs {
    /// Generator: an id of `ganscope list`, a checkpoint of any format, or `hub:OWNER/REPO/FILE`
    pub(super) model: String,

    /// Truncate only the first N style inputs
    #[arg(long, value_name = "N")]
    trunc_cutoff: Option<usize>,

    /// Where psi is not 1, truncate towards the nearest of several centers, not the mean of W: their
    /// number, for which they are found by k-means (each class has its own), or a file (.npy) of K
    /// rows of W. Walks through Z jump where the nearest center changes
    #[arg(long, value_name = "N|FILE")]
    trunc_centers: Option<CentersArg>,

    /// Noise inputs of StyleGAN 1 and 2 [default: const]
    #[arg(long, value_enum)]
    noise_mode: Option<Noise>,

    /// How BigGAN's truncated normal is drawn: `scaled` or `resampled` [default: scaled, as published]
    #[arg(long, value_name = "NAME")]
    prior: Option<ThresholdPrior>,

    /// How BigGAN's batch-norm statistics are interpolated: `linear`, or `hf` as the published
    /// PyTorch port does it [default: linear]
    #[arg(long, value_name = "NAME")]
    bn_stats: Option<BnStats>,

    /// Move the images of StyleGAN3 by X,Y of their size
    #[arg(long, value_name = "X,Y", allow_hyphen_values = true)]
    translate: Option<Offset>,

    /// Turn the images of StyleGAN3, in degrees
    #[arg(long, value_name = "ANGLE", allow_negative_numbers = true)]
    rotate: Option<f64>,

    /// Entry of the checkpoint, such as `G` [default: the averaged generator]
    #[arg(long, value_name = "NAME")]
    key: Option<String>,

    /// JSON file with the hyper-parameters that the checkpoint lacks
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A generator and one truncation.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Generator")]
pub(super) struct ModelArgs {
    #[command(flatten)]
    generator: GeneratorArgs,

    /// Truncation: psi for StyleGAN; the threshold of a truncated normal, 0 to 1, for BigGAN
    #[arg(long, default_value_t = 1.0, value_name = "PSI", allow_negative_numbers = true)]
    trunc: f64,

    /// Where networks run: `cpu`, or `cuda`, `cuda:N`, `metal` in builds with those features
    #[arg(long, default_value = "cpu", value_name = "NAME", value_parser = device)]
    device: Device,

    /// Images that are computed together; changes no pixel
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub(super) batch: usize,
}

/// Noise inputs.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Noise {
    /// Those stored in the checkpoint
    Const,
    /// Drawn anew for each seed
    Random,
    /// None
    None,
}

/// Centers of W.
#[derive(Debug, Clone)]
enum CentersArg {
    Count(usize),
    File(PathBuf),
}

impl FromStr for CentersArg {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::File(text.into()), Self::Count))
    }
}

impl std::fmt::Display for CentersArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl CentersArg {
    /// As reports name them.
    fn value(&self) -> Value {
        match self {
            Self::Count(count) => (*count).into(),
            Self::File(path) => path.display().to_string().into(),
        }
    }

    fn read(&self) -> Result<Centers> {
        let path = match self {
            Self::Count(count) => return Ok(Centers::Clusters(*count)),
            Self::File(path) => path,
        };
        let array = npy::read(path)?;
        let [_, w_dim] = *array.shape() else {
            let problem = format!("`{}` has shape {:?}", path.display(), array.shape());
            return Err(advised(problem, "centers are an array of K rows, each as long as w"));
        };
        Ok(Centers::Given(Features::from_vec(array.to_f32(), w_dim)?))
    }
}

/// Two numbers with a comma between them.
#[derive(Debug, Clone, Copy)]
struct Offset(f64, f64);

impl FromStr for Offset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.trim().parse().ok().filter(|v: &f64| v.is_finite());
        let pair = text.split_once(',').and_then(|(x, y)| Some(Self(number(x)?, number(y)?)));
        pair.ok_or_else(|| "expected two numbers, as `0.1,-0.2`".to_owned())
    }
}

/// Fails if a generator takes a threshold and `truncation` is none that `allowed` lets pass.
fn check_threshold(
    open: &OpenGenerator,
    truncation: f64,
    range: &str,
    allowed: impl Fn(f64) -> bool,
) -> Result<()> {
    let kind = open.generator.info().truncation;
    if kind == TruncationKind::Psi || allowed(truncation) {
        return Ok(());
    }
    Err(advised(
        format!("truncation {truncation} has no meaning for {}", open.family),
        format!("give a threshold {range}"),
    ))
}

fn read_config(path: &Path) -> Result<Map<String, Value>> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("read `{}`", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("configuration `{}`", path.display()))
}

impl GeneratorArgs {
    /// Opens the generator.
    pub(super) fn open(&self, device: &Device, terminal: &Terminal) -> Result<OpenGenerator> {
        let transform = (self.translate.is_some() || self.rotate.is_some()).then(|| {
            let Offset(x, y) = self.translate.unwrap_or(Offset(0.0, 0.0));
            Transform { translate: (x, y), rotate: self.rotate.unwrap_or(0.0) }
        });
        let options = GeneratorOptions {
            key: self.key.clone(),
            config: self.config.as_deref().map(read_config).transpose()?.unwrap_or_default(),
            bn_stats: self.bn_stats.unwrap_or_default(),
            transform,
        };
        let bar = OnceCell::new();
        let open = generators::open(&self.model, &options, device, &mut |done, total| {
            let bar = bar.get_or_init(|| terminal.bytes(total.unwrap_or(done), "generator"));
            bar.set_position(done);
        })?;
        let foreign = match open.generator.info().truncation {
            TruncationKind::Psi => {
                &[("--prior", self.prior.is_some()), ("--bn-stats", self.bn_stats.is_some())][..]
            }
            TruncationKind::Threshold => &[
                ("--noise-mode", self.noise_mode.is_some()),
                ("--trunc-cutoff", self.trunc_cutoff.is_some()),
                ("--trunc-centers", self.trunc_centers.is_some()),
            ],
        };
        if let Some((flag, _)) = foreign.iter().find(|(_, given)| *given) {
            return Err(advised(
                format!("`{flag}` means nothing to the family {}", open.family),
                format!("leave `{flag}` out"),
            ));
        }
        match &self.trunc_centers {
            None => Ok(open),
            Some(centers) => {
                let from = || format!("`--trunc-centers {centers}`");
                open.towards(centers.read().with_context(from)?).with_context(from)
            }
        }
    }

    /// How images of `class` are drawn under a truncation.
    pub(super) fn sampler(
        &self,
        open: &OpenGenerator,
        truncation: f64,
        class: Option<Class>,
    ) -> Result<Sampler> {
        let generator = &*open.generator;
        check_threshold(open, truncation, "from 0 to 1", |t| (0.0..=1.0).contains(&t))?;
        let mut sampler = Sampler::with_prior(generator, truncation, class, self.prior())?;
        sampler.truncation.cutoff = self.trunc_cutoff;
        sampler.synthesis.noise_mode = match self.noise_mode.unwrap_or(Noise::Const) {
            Noise::Const => NoiseMode::Const,
            Noise::Random => NoiseMode::Random,
            Noise::None => NoiseMode::None,
        };
        Ok(sampler)
    }

    /// Whether psi moves towards other places than the mean of W.
    pub(super) fn has_centers(&self) -> bool {
        self.trunc_centers.is_some()
    }

    /// Whether options of truncation other than psi are given.
    fn has_truncation_options(&self) -> bool {
        self.trunc_cutoff.is_some() || self.has_centers()
    }

    fn prior(&self) -> ThresholdPrior {
        self.prior.unwrap_or_default()
    }

    /// The options that the family of the generator knows, by the names of their flags.
    pub(super) fn conditions(&self, open: &OpenGenerator) -> Map<String, Value> {
        let mut map = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            map.extend(value.map(|value| (name.to_owned(), value)));
        };
        set("family", Some(open.family.into()));
        set("trunc_cutoff", self.trunc_cutoff.map(Value::from));
        set("trunc_centers", self.trunc_centers.as_ref().map(CentersArg::value));
        match open.generator.info().truncation {
            TruncationKind::Psi => {
                let noise = self.noise_mode.unwrap_or(Noise::Const).to_possible_value();
                set("noise_mode", noise.map(|noise| noise.get_name().into()));
            }
            TruncationKind::Threshold => {
                set("prior", Some(self.prior().name().into()));
                set("bn_stats", Some(self.bn_stats.unwrap_or_default().name().into()));
            }
        }
        set("translate", self.translate.map(|Offset(x, y)| vec![x, y].into()));
        set("rotate", self.rotate.map(Value::from));
        set("key", self.key.clone().map(Value::from));
        set("config", self.config.as_ref().map(|path| path.display().to_string().into()));
        map
    }
}

impl ModelArgs {
    /// Opens the generator.
    pub(super) fn open(&self, terminal: &Terminal) -> Result<OpenGenerator> {
        ensure!(self.batch > 0, "--batch must be at least 1");
        self.generator.open(&self.device, terminal)
    }

    /// How images of `class` are drawn.
    pub(super) fn sampler(&self, open: &OpenGenerator, class: Option<Class>) -> Result<Sampler> {
        self.generator.sampler(open, self.trunc, class)
    }

    /// How the ends of paths are drawn: W is not truncated there.
    pub(super) fn path_prior(&self, open: &OpenGenerator) -> Result<Prior> {
        check_threshold(open, self.trunc, "above 0 and at most 1", |t| t > 0.0 && t <= 1.0)?;
        match open.generator.info().truncation {
            TruncationKind::Psi
                if self.trunc == 1.0 && !self.generator.has_truncation_options() =>
            {
                Ok(Prior::Normal)
            }
            TruncationKind::Psi => Err(advised(
                "the path length of a truncated generator is not defined",
                "leave `--trunc`, `--trunc-cutoff` and `--trunc-centers` out",
            )),
            TruncationKind::Threshold => Ok(match self.generator.prior() {
                ThresholdPrior::Scaled => Prior::Scaled { truncation: self.trunc },
                ThresholdPrior::Resampled => Prior::Resampled { truncation: self.trunc },
            }),
        }
    }

    /// The class that `text` names, where one is needed; `each` gives consecutive seeds consecutive
    /// classes.
    pub(super) fn class(open: &OpenGenerator, text: Option<&str>) -> Result<Option<Class>> {
        let count = open.generator.info().c_dim;
        match text {
            None if count == 0 => Ok(None),
            None => {
                let names = if open.classes.is_empty() { "" } else { " or by name" };
                let last = count - 1;
                Err(advised(
                    format!("the generator is conditional, with {count} classes"),
                    format!("give `--class`, by number from 0 to {last}{names}"),
                ))
            }
            Some("each") if count > 0 => Ok(Some(Class::BySeed)),
            Some(text) => Ok(Some(Class::One(open.class(text)?))),
        }
    }
}
