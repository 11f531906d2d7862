//! Which generator is drawn from, and how.

use std::path::{Path, PathBuf};

use ganscope_biggan::BnStats;
use ganscope_latent::{Centers, ThresholdPrior};
use ganscope_model::{NoiseMode, TruncationKind};
use ganscope_stats::Features;
use ganscope_stylegan::Transform;
use ganscope_weights::npy;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::catalog;
use crate::checks::within;
use crate::error::{Context as _, Error, Hint, Result};
use crate::models::device::device;
use crate::models::generator::{Generator, GeneratorOptions};
use crate::text;
use crate::watch::Watch;

/// A generator, and how images are drawn from it.
///
/// Options that belong to one family of generators are `None` unless they are asked for; asked of
/// another family they are an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrawingRequest {
    /// The generator: a shipped model, a known id, `hub:OWNER/REPO/FILE`, or a file of any format.
    pub model: String,
    /// Psi for StyleGAN; the threshold of a truncated normal, 0 to 1, for BigGAN.
    pub truncation: f64,
    /// Number of leading style inputs that are truncated; all if missing (StyleGAN).
    pub truncation_cutoff: Option<usize>,
    /// Truncation towards the nearest of several centers instead of the mean of W (StyleGAN).
    pub truncation_centers: Option<CentersRequest>,
    /// Class of a conditional generator: a number, a name, or [`EACH`](super::EACH).
    pub class: Option<String>,
    /// Noise inputs; those of the checkpoint if missing (StyleGAN 1 and 2).
    #[serde(with = "text::option")]
    pub noise_mode: Option<NoiseMode>,
    /// How the truncated normal is drawn; scaled if missing (BigGAN).
    #[serde(with = "text::option")]
    pub prior: Option<ThresholdPrior>,
    /// How batch-norm statistics are interpolated; linearly if missing (BigGAN).
    #[serde(with = "text::option")]
    pub bn_stats: Option<BnStats>,
    /// Where images are moved, x and y as parts of their size (StyleGAN3).
    pub translate: Option<[f64; 2]>,
    /// By how many degrees images are turned (StyleGAN3).
    pub rotate: Option<f64>,
    /// Entry of the checkpoint, such as `G`; the averaged generator if missing.
    pub key: Option<String>,
    /// JSON file with the hyper-parameters that the checkpoint lacks.
    pub config: Option<PathBuf>,
    /// Where the network runs: `cpu`, `cuda`, `cuda:N` or `metal`.
    pub device: String,
    /// Images that are computed together, at least 1; does not affect the images.
    pub batch: usize,
}

/// Centers of W that truncation moves towards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CentersRequest {
    /// As many, found by k-means; each class has its own.
    Count(usize),
    /// Rows of W, a file (.npy) of shape (K, `w_dim`).
    File(PathBuf),
}

impl std::str::FromStr for CentersRequest {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::File(text.into()), Self::Count))
    }
}

impl std::fmt::Display for CentersRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl CentersRequest {
    fn read(&self) -> Result<Centers> {
        let path = match self {
            Self::Count(count) => return Ok(Centers::Clusters(*count)),
            Self::File(path) => path,
        };
        let array = npy::read(path)?;
        let [_, w_dim] = *array.shape() else {
            let problem = format!("`{}` has shape {:?}", path.display(), array.shape());
            return Err(Error::request(problem)
                .with_hint("centers are an array of K rows, each as long as w"));
        };
        Ok(Centers::Given(Features::from_vec(array.to_f32(), w_dim)?))
    }
}

impl Default for DrawingRequest {
    fn default() -> Self {
        Self {
            model: String::new(),
            truncation: 1.0,
            truncation_cutoff: None,
            truncation_centers: None,
            class: None,
            noise_mode: None,
            prior: None,
            bn_stats: None,
            translate: None,
            rotate: None,
            key: None,
            config: None,
            device: "cpu".into(),
            batch: 4,
        }
    }
}

impl DrawingRequest {
    /// A request for a generator, with the published protocol of its family.
    pub fn of(model: impl Into<String>) -> Self {
        Self { model: model.into(), ..Self::default() }
    }

    /// Opens the generator.
    ///
    /// # Errors
    /// If it cannot be opened, or an option is not one of its family.
    pub fn open_generator(&self, watch: &mut dyn Watch) -> Result<Generator> {
        within("batch", self.batch, 1..=4096)?;
        let moved = self.translate.is_some() || self.rotate.is_some();
        let transform = moved.then(|| {
            let [x, y] = self.translate.unwrap_or_default();
            Transform { translate: (x, y), rotate: self.rotate.unwrap_or(0.0) }
        });
        let options = GeneratorOptions {
            key: self.key.clone(),
            config: self.config.as_deref().map(read_config).transpose()?.unwrap_or_default(),
            bn_stats: self.bn_stats.unwrap_or_default(),
            transform,
        };
        let device = device(&self.device)?;
        let generator = catalog::open_generator(&self.model, &options, &device, watch)
            .map_err(|error| error.of_model(&self.model))?;
        self.check_family(&generator)?;
        match &self.truncation_centers {
            None => Ok(generator),
            Some(centers) => {
                let towards = || format!("truncation towards the centers `{centers}`");
                let centers = centers.read().with_context(towards)?;
                generator.towards(centers).with_context(towards)
            }
        }
    }

    /// Fails if an option of another family is asked for.
    pub(super) fn check_family(&self, generator: &Generator) -> Result<()> {
        let foreign = match generator.info().truncation {
            TruncationKind::Psi => {
                &[("{prior}", self.prior.is_some()), ("{bn_stats}", self.bn_stats.is_some())][..]
            }
            TruncationKind::Threshold => &[
                ("{noise_mode}", self.noise_mode.is_some()),
                ("{truncation_cutoff}", self.truncation_cutoff.is_some()),
                ("{truncation_centers}", self.truncation_centers.is_some()),
            ],
        };
        match foreign.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((field, _)) => {
                let option = field.trim_matches(['{', '}']).replace('_', " ");
                Err(Error::request(format!("{} generators have no {option}", generator.family))
                    .with_hint(Hint::of("leave it out: ").field(field.trim_matches(['{', '}']))))
            }
        }
    }

    /// Options of the family of a generator that decide its images, by their names in reports.
    pub(crate) fn conditions(&self, generator: &Generator) -> Map<String, Value> {
        let mut map = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            map.extend(value.map(|value| (name.to_owned(), value)));
        };
        set("family", Some(generator.family.into()));
        set("trunc_cutoff", self.truncation_cutoff.map(Value::from));
        set("trunc_centers", self.truncation_centers.as_ref().map(|centers| json!(centers)));
        match generator.info().truncation {
            TruncationKind::Psi => {
                set("noise_mode", Some(self.noise_mode.unwrap_or_default().name().into()));
            }
            TruncationKind::Threshold => {
                set("prior", Some(self.prior.unwrap_or_default().name().into()));
                set("bn_stats", Some(self.bn_stats.unwrap_or_default().name().into()));
            }
        }
        set("translate", self.translate.map(|[x, y]| vec![x, y].into()));
        set("rotate", self.rotate.map(Value::from));
        set("key", self.key.clone().map(Value::from));
        set("config", self.config.as_ref().map(|path| path.display().to_string().into()));
        if generator.info().c_dim > 0 {
            set("class", self.class.as_deref().map(Value::from));
        }
        map
    }
}

fn read_config(path: &Path) -> Result<Map<String, Value>> {
    let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    let of = || format!("configuration `{}`", path.display());
    if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
        return ganscope_biggan::studio_config(&text).with_context(of);
    }
    serde_json::from_str(&text).with_context(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_json() {
        let request = DrawingRequest {
            noise_mode: Some(NoiseMode::Random),
            prior: Some(ThresholdPrior::Resampled),
            bn_stats: Some(BnStats::Hf),
            truncation_centers: Some(CentersRequest::Count(64)),
            translate: Some([0.1, -0.2]),
            ..DrawingRequest::of("x.pkl")
        };
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<DrawingRequest>(&json).unwrap(), request);
        let centers = serde_json::from_str(r#"{"truncation_centers": "rows.npy"}"#);
        let centers: DrawingRequest = centers.unwrap();
        assert_eq!(centers.truncation_centers, Some(CentersRequest::File("rows.npy".into())));
    }
}
