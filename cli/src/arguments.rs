//! Arguments that several verbs share. The id of each is the field of the request that it fills, so
//! that advice of the library finds its flag.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use ganscope::biggan::BnStats;
use ganscope::catalog;
use ganscope::features::{Cache, FeatureRequest};
use ganscope::images::Resize;
use ganscope::latent::ThresholdPrior;
use ganscope::latents::{CentersRequest, DrawingRequest};
use ganscope::metrics::MetricOptions;
use ganscope::model::NoiseMode;

/// Names as clap lists them.
pub(crate) fn names(names: impl Iterator<Item = &'static str>) -> PossibleValuesParser {
    names.collect::<Vec<_>>().into()
}

/// How images become features.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Features")]
pub(crate) struct FeatureArgs {
    /// Tool whose conventions hold: resize, input scaling, default metrics
    ///
    /// torch-fidelity: numbers to compare with papers. pytorch-fid: with that tool's. clean-fid:
    /// antialiased, for sets of different resolutions.
    #[arg(long, default_value = "torch-fidelity", value_name = "NAME", value_parser = names(catalog::PRESETS.iter().map(|p| p.name)))]
    preset: String,

    /// Network whose features are used [default: inception]
    #[arg(long, value_name = "NAME", value_parser = names(catalog::EXTRACTORS.iter().map(|e| e.name)))]
    extractor: Option<String>,

    /// Weights of the network: a checkpoint of any format, or `hub:OWNER/REPO/FILE`
    /// [default: the known ones, downloaded once]
    #[arg(long, value_name = "FILE")]
    weights: Option<String>,

    /// Use only the first N images of each set
    #[arg(long, value_name = "N")]
    pub(crate) num: Option<usize>,

    /// Search folders within folders
    #[arg(long)]
    recursive: bool,

    /// Leave out and report images that cannot be read, instead of failing
    #[arg(long)]
    skip_unreadable: bool,

    /// Layer of the features: 64, 192, 768 or 2048 for Inception
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    layer: Option<String>,

    /// Resize convention, instead of the preset's
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    resize: Option<Resize>,

    /// Batch size; does not affect results
    #[arg(long, default_value_t = 32, value_name = "N", hide_short_help = true)]
    batch: usize,

    /// Where networks run: `cpu`, or `cuda`, `cuda:N`, `metal` in builds with those features
    #[arg(long, default_value = "cpu", value_name = "NAME", hide_short_help = true)]
    device: String,

    /// Folder where features are kept between runs [default: the user's cache folder]
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    cache: Option<PathBuf>,

    /// Keep no features between runs
    #[arg(long, conflicts_with = "cache", hide_short_help = true)]
    no_cache: bool,
}

impl FeatureArgs {
    pub(crate) fn request(&self) -> FeatureRequest {
        let Self { preset, extractor, weights, layer, resize, batch, device, num, .. } =
            self.clone();
        FeatureRequest {
            preset,
            extractor,
            weights,
            layer,
            resize,
            batch,
            device,
            num,
            recursive: self.recursive,
            skip_unreadable: self.skip_unreadable,
            cache: match (&self.cache, self.no_cache) {
                (_, true) => Cache::Off,
                (Some(folder), _) => Cache::Folder(folder.clone()),
                (None, _) => Cache::User,
            },
        }
    }
}

/// Options of the metrics.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Metrics")]
pub(crate) struct MetricArgs {
    /// Seed of the shuffle of the Inception Score and of the subsets of KID
    #[arg(long, default_value_t = MetricOptions::default().seed, hide_short_help = true)]
    seed: u32,

    /// Splits of the Inception Score
    #[arg(long, default_value_t = MetricOptions::default().is_splits, value_name = "N", hide_short_help = true)]
    is_splits: usize,

    /// Subsets of KID
    #[arg(long, default_value_t = MetricOptions::default().kid_subsets, value_name = "N", hide_short_help = true)]
    kid_subsets: usize,

    /// Images in each subset of KID
    #[arg(long, default_value_t = MetricOptions::default().kid_subset_size, value_name = "N", hide_short_help = true)]
    kid_subset_size: usize,

    /// Neighbors of precision, recall, density and coverage [default: 5 for prdc, 3 for prc]
    #[arg(long, value_name = "K", hide_short_help = true)]
    nearest_k: Option<usize>,
}

impl MetricArgs {
    pub(crate) fn options(&self) -> MetricOptions {
        let Self { seed, is_splits, kid_subsets, kid_subset_size, nearest_k } = *self;
        MetricOptions { seed, is_splits, kid_subsets, kid_subset_size, nearest_k }
    }
}

/// Which generator.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ModelArg {
    /// Generator: an id of `ganscope list`, a checkpoint of any format, or `hub:OWNER/REPO/FILE`
    #[arg(value_name = "MODEL", required = true)]
    model: Option<String>,

    /// The same, as the published scripts call it
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "model")]
    network: Option<String>,
}

impl ModelArg {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.model.as_deref().or(self.network.as_deref()).unwrap_or_default()
    }
}

/// A factor of enlargement.
pub(crate) fn zoom(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|zoom| (1..=64).contains(zoom)).ok_or("expected 1 to 64".into())
}

/// How a generator is opened and what beside the truncation decides its images.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Generator")]
pub(crate) struct GeneratorArgs {
    /// Noise inputs of StyleGAN 1 and 2: `const`, `random` or `none` [default: const]
    #[arg(long, value_name = "MODE")]
    noise_mode: Option<NoiseMode>,

    /// Truncate only the first N style inputs
    #[arg(
        id = "truncation_cutoff",
        long = "trunc-cutoff",
        value_name = "N",
        hide_short_help = true
    )]
    cutoff: Option<usize>,

    /// Truncate towards the nearest of several centers instead of the mean of W: their number, for
    /// k-means (each class has its own), or a file (.npy) of K rows of W. Walks through Z jump where
    /// the nearest center changes
    #[arg(
        id = "truncation_centers",
        long = "trunc-centers",
        value_name = "N|FILE",
        hide_short_help = true
    )]
    centers: Option<CentersRequest>,

    /// How BigGAN's truncated normal is drawn: `scaled` or `resampled` [default: scaled, as published]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    prior: Option<ThresholdPrior>,

    /// How BigGAN's batch-norm statistics are interpolated: `linear`, or `hf` as the published
    /// PyTorch port does it [default: linear]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    bn_stats: Option<BnStats>,

    /// Move the images of StyleGAN3 by X,Y of their size
    #[arg(long, value_name = "X,Y", value_parser = offset, allow_hyphen_values = true, hide_short_help = true)]
    translate: Option<Offset>,

    /// Turn the images of StyleGAN3, in degrees
    #[arg(long, value_name = "ANGLE", allow_negative_numbers = true, hide_short_help = true)]
    rotate: Option<f64>,

    /// Entry of the checkpoint, such as `G` [default: the averaged generator]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    key: Option<String>,

    /// JSON file with the hyper-parameters that the checkpoint lacks
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    config: Option<PathBuf>,
}

/// Two numbers.
type Offset = [f64; 2];

/// Two numbers with a comma between them.
fn offset(text: &str) -> Result<Offset, String> {
    let number = |part: &str| part.trim().parse().ok().filter(|v: &f64| v.is_finite());
    let pair = text.split_once(',').and_then(|(x, y)| Some([number(x)?, number(y)?]));
    pair.ok_or_else(|| "expected two numbers, as `0.1,-0.2`".to_owned())
}

impl GeneratorArgs {
    /// The request for `model` without truncation, with `class`.
    pub(crate) fn request(&self, model: &str, class: Option<&str>) -> DrawingRequest {
        let Self { noise_mode, prior, bn_stats, translate, rotate, key, config, .. } = self.clone();
        DrawingRequest {
            class: class.map(str::to_owned),
            truncation_cutoff: self.cutoff,
            truncation_centers: self.centers.clone(),
            noise_mode,
            prior,
            bn_stats,
            translate,
            rotate,
            key,
            config,
            ..DrawingRequest::of(model)
        }
    }
}

/// One truncation, and how images are computed.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Generator")]
pub(crate) struct DrawingArgs {
    /// Truncation: psi for StyleGAN; the threshold of a truncated normal, 0 to 1, for BigGAN
    #[arg(
        id = "truncation",
        long = "trunc",
        visible_alias = "psi",
        default_value_t = 1.0,
        value_name = "PSI",
        allow_negative_numbers = true
    )]
    truncation: f64,

    #[command(flatten)]
    generator: GeneratorArgs,

    /// Where the network runs: `cpu`, or `cuda`, `cuda:N`, `metal` in builds with those features
    #[arg(long, default_value = "cpu", value_name = "NAME", hide_short_help = true)]
    device: String,

    /// Batch size; does not affect the images
    #[arg(long, default_value_t = 4, value_name = "N", hide_short_help = true)]
    batch: usize,
}

impl DrawingArgs {
    /// The request for `model` with `class`.
    pub(crate) fn request(&self, model: &str, class: Option<&str>) -> DrawingRequest {
        DrawingRequest {
            truncation: self.truncation,
            device: self.device.clone(),
            batch: self.batch,
            ..self.generator.request(model, class)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_two_numbers() {
        assert_eq!(offset("0.1,-0.2"), Ok([0.1, -0.2]));
        for wrong in ["0.1", "a,b", "nan,0", ""] {
            assert!(offset(wrong).is_err(), "{wrong}");
        }
    }
}
