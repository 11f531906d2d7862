//! Drawing from a generator: its weights, its truncation, its class and its noise, put together once.

pub mod codes;
pub mod directions;
pub mod edit;
pub mod mix;
pub mod output;
pub mod path_length;
pub mod pictures;
pub mod plane;
pub mod project;
pub mod video;
pub mod walk;

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use ganscope_biggan::BnStats;
use ganscope_images::Image;
use ganscope_latent::{Centers, Class, Prior, Sampler, Seeds, ThresholdPrior};
use ganscope_model::{GeneratorInfo, NoiseMode, Synthesis, TruncationKind, render, to_images};
use ganscope_stats::Features;
use ganscope_stylegan::Transform;
use ganscope_weights::{Array, npy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::catalog;
use crate::checks::within;
use crate::error::{Context as _, Error, Hint, Result};
use crate::models::device::device;
use crate::models::generator::{Generator, GeneratorOptions};
use crate::text;
use crate::watch::{Counter, Watch};
use codes::Codes;

/// The class that gives each seed its own: `seed mod classes`.
pub const EACH: &str = "each";

/// Factors of enlargement.
pub(crate) const ZOOM: std::ops::RangeInclusive<usize> = 1..=64;

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
    /// Class of a conditional generator: a number, a name, or [`EACH`].
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
    fn check_family(&self, generator: &Generator) -> Result<()> {
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
    serde_json::from_str(&text).with_context(|| format!("configuration `{}`", path.display()))
}

/// An open generator with everything that decides its images but the seeds.
#[derive(Debug)]
pub struct Drawing {
    /// The generator.
    pub generator: Generator,
    /// What is drawn for a seed.
    pub sampler: Sampler,
    request: DrawingRequest,
}

impl Drawing {
    /// Opens the generator of a request.
    ///
    /// # Errors
    /// If it cannot be opened, a conditional generator gets no class, or the request does not fit it.
    pub fn open(request: &DrawingRequest, watch: &mut dyn Watch) -> Result<Self> {
        let generator = request.open_generator(watch)?;
        let class = class(&generator, request.class.as_deref())?;
        let sampler = sampler(&generator, request, class)?;
        Ok(Self { generator, sampler, request: request.clone() })
    }

    /// As [`open`](Self::open); a conditional generator without a class gets `default`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_with_class(
        request: &DrawingRequest,
        default: &str,
        watch: &mut dyn Watch,
    ) -> Result<Self> {
        let generator = request.open_generator(watch)?;
        let mut request = request.clone();
        if generator.info().c_dim > 0 {
            request.class.get_or_insert_with(|| default.to_owned());
        }
        let class = class(&generator, request.class.as_deref())?;
        let sampler = sampler(&generator, &request, class)?;
        Ok(Self { generator, sampler, request })
    }

    /// The request that it was opened with.
    pub fn request(&self) -> &DrawingRequest {
        &self.request
    }

    /// Goes on under another request. The generator stays open if the request asks for the same.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn set(&mut self, request: &DrawingRequest, watch: &mut dyn Watch) -> Result<()> {
        let DrawingRequest { truncation, truncation_cutoff, noise_mode, prior, batch, .. } =
            *request;
        let class = request.class.clone();
        let here = self.request.clone();
        let alike = DrawingRequest {
            truncation,
            truncation_cutoff,
            class,
            noise_mode,
            prior,
            batch,
            ..here
        };
        if alike != *request {
            *self = Self::open(request, watch)?;
            return Ok(());
        }
        within("batch", batch, 1..=4096)?;
        request.check_family(&self.generator)?;
        let class = self::class(&self.generator, request.class.as_deref())?;
        self.sampler = sampler(&self.generator, request, class)?;
        self.request = request.clone();
        Ok(())
    }

    /// The same drawing under another truncation.
    ///
    /// # Errors
    /// If the truncation has no meaning for the generator.
    pub fn set_truncation(&mut self, truncation: f64) -> Result<()> {
        let request = DrawingRequest { truncation, ..self.request.clone() };
        self.sampler = sampler(&self.generator, &request, self.sampler.class)?;
        self.request = request;
        Ok(())
    }

    /// The pictures of seeds, in batches of the size of the request, in the order of the seeds. A seed
    /// has the same picture whatever else is drawn.
    pub fn pictures<'a>(
        &'a self,
        seeds: impl IntoIterator<Item = u32, IntoIter: 'a>,
    ) -> impl Iterator<Item = Result<Vec<Image>>> + 'a {
        let network = &*self.generator.network;
        let batches = self.sampler.clone().stream(network, seeds.into_iter(), self.request.batch);
        batches.map(|batch| Ok(to_images(&batch?.images, &network.info())?))
    }

    /// The pictures of `ws` (N, `num_ws`, `w_dim`), with the same noise in all of them.
    ///
    /// # Errors
    /// If the generator fails.
    pub fn render(&self, ws: &Tensor) -> Result<Vec<Image>> {
        let noise_seeds = vec![0; self.request.batch];
        let synthesis = Synthesis { noise_seeds, ..self.sampler.synthesis.clone() };
        Ok(render(&*self.generator.network, ws, &synthesis, self.request.batch)?)
    }

    /// The style inputs of seeds, (N, `num_ws`, `w_dim`) float32, under the truncation of the request.
    ///
    /// # Errors
    /// If the generator fails.
    pub fn ws(&self, seeds: &[u32]) -> Result<Array> {
        let GeneratorInfo { num_ws, w_dim, .. } = self.generator.info();
        let mut values = Vec::with_capacity(seeds.len() * num_ws * w_dim);
        for seeds in seeds.chunks(self.request.batch) {
            let ws = self.sampler.ws(&*self.generator.network, seeds)?;
            values.extend(ws.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(Array::from_f32([seeds.len(), num_ws, w_dim], &values)?)
    }

    /// Style inputs, (N, `num_ws`, `w_dim`), with a name each: of seeds, under the truncation of the
    /// request, or of a file, as they are.
    pub(crate) fn points(
        &self,
        seeds: &Seeds,
        file: Option<&Path>,
    ) -> Result<(Vec<String>, Tensor)> {
        let network = &*self.generator.network;
        if let Some(path) = file {
            let codes = Codes::read(path)?;
            return Ok(((0..codes.len()).map(|i| format!("w {i}")).collect(), codes.of(network)?));
        }
        let names = seeds.iter().map(|seed| format!("seed {seed}")).collect();
        Ok((names, self.sampler.ws(network, &seeds.to_vec())?))
    }

    /// Style inputs of no truncation under that of the request, which must be one in W.
    ///
    /// # Errors
    /// If the generator truncates its latents, or towards several centers.
    pub(crate) fn truncated(&self, ws: &Tensor) -> Result<Tensor> {
        self.truncated_by(ws, self.request.truncation)
    }

    /// The same under another psi.
    pub(crate) fn truncated_by(&self, ws: &Tensor, psi: f64) -> Result<Tensor> {
        let network = &*self.generator.network;
        let GeneratorInfo { z_dim, num_ws, c_dim, truncation, .. } = network.info();
        if truncation == TruncationKind::Threshold || self.request.truncation_centers.is_some() {
            return Err(Error::request("style inputs are truncated towards the mean of W alone")
                .with_hint(Hint::of("leave {truncation} and {truncation_centers} out")));
        }
        let cutoff = self.request.truncation_cutoff;
        let moved = ganscope_model::Truncation { psi, cutoff }.rows(num_ws)?;
        if moved == 0 {
            return Ok(ws.clone());
        }
        let z = Tensor::zeros((1, z_dim), candle_core::DType::F32, network.device())?;
        let class = (c_dim > 0).then_some(&[0][..]);
        let mean = network.map(&z, class, ganscope_model::Truncation::psi(0.0))?;
        let mean = mean.narrow(1, 0, moved)?;
        let away = (ws.narrow(1, 0, moved)?.broadcast_sub(&mean)? * psi)?;
        let towards = away.broadcast_add(&mean)?;
        Ok(Tensor::cat(&[&towards, &ws.narrow(1, moved, num_ws - moved)?], 1)?)
    }

    /// The pictures of style inputs, (N, `num_ws`, `w_dim`), or (N, `w_dim`) for one `w` in all of them,
    /// with the same noise in all pictures.
    ///
    /// # Errors
    /// If the array has another shape or a value that is not finite, the generator fails, or the task
    /// is stopped.
    pub fn pictures_of(&self, ws: &Array, watch: &mut dyn Watch) -> Result<Vec<Image>> {
        let ws = Codes::of_array(ws.clone()).of(&*self.generator.network)?;
        let (count, batch) = (ws.dim(0)?, self.request.batch);
        let mut counter = Counter::new(watch, "pictures", 0, count);
        let mut made = Vec::with_capacity(count);
        for start in (0..count).step_by(batch) {
            made.extend(self.render(&ws.narrow(0, start, batch.min(count - start))?)?);
            counter.at(made.len())?;
        }
        Ok(made)
    }

    /// How the ends of paths are drawn: W is not truncated there.
    ///
    /// # Errors
    /// If the drawing is truncated in a way that has no meaning on paths.
    pub fn path_prior(&self) -> Result<Prior> {
        let DrawingRequest { truncation, prior, .. } = self.request;
        let in_w =
            self.request.truncation_cutoff.is_some() || self.request.truncation_centers.is_some();
        match self.generator.info().truncation {
            TruncationKind::Psi if truncation == 1.0 && !in_w => Ok(Prior::Normal),
            TruncationKind::Psi => {
                Err(Error::request("the path length of a truncated generator is not defined")
                    .with_hint(Hint::of(
                        "leave {truncation}, {truncation_cutoff} and {truncation_centers} out",
                    )))
            }
            TruncationKind::Threshold => {
                check_threshold(&self.generator, truncation, "above 0 and at most 1", |t| {
                    t > 0.0 && t <= 1.0
                })?;
                Ok(match prior.unwrap_or_default() {
                    ThresholdPrior::Scaled => Prior::Scaled { truncation },
                    ThresholdPrior::Resampled => Prior::Resampled { truncation },
                })
            }
        }
    }

    /// Everything that decides the pictures of seeds beside the generator, for keys.
    pub(crate) fn key(&self) -> Value {
        let Sampler { prior, truncation, class, synthesis } = &self.sampler;
        let prior = match prior {
            Prior::Normal => json!("normal"),
            Prior::Scaled { truncation } => json!({ "scaled": truncation }),
            Prior::Resampled { truncation } => json!({ "resampled": truncation }),
        };
        let class = match class {
            None => Value::Null,
            Some(Class::One(class)) => json!(class),
            Some(Class::BySeed) => json!(EACH),
        };
        json!({
            "prior": prior,
            "psi": truncation.psi,
            "cutoff": truncation.cutoff,
            "class": class,
            "noise_mode": synthesis.noise_mode.name(),
            "threshold": synthesis.threshold,
        })
    }

    /// The options that decide its images, by their names in reports.
    pub fn conditions(&self) -> Map<String, Value> {
        self.request.conditions(&self.generator)
    }
}

/// The class that `text` names, where one is needed; [`EACH`] gives consecutive seeds consecutive
/// classes.
pub(crate) fn class(generator: &Generator, text: Option<&str>) -> Result<Option<Class>> {
    let count = generator.info().c_dim;
    match text {
        None if count == 0 => Ok(None),
        None => {
            let names = if generator.classes.is_empty() { "" } else { " or by name" };
            let last = count - 1;
            Err(Error::request(format!("the generator is conditional, with {count} classes"))
                .with_hint(
                    Hint::of("give {class}")
                        .then(format!(", by number from 0 to {last}{names}, or `{EACH}`")),
                ))
        }
        Some(EACH) if count > 0 => Ok(Some(Class::BySeed)),
        Some(text) => Ok(Some(Class::One(generator.class(text)?))),
    }
}

/// How images of `class` are drawn.
pub(crate) fn sampler(
    generator: &Generator,
    request: &DrawingRequest,
    class: Option<Class>,
) -> Result<Sampler> {
    let truncation = request.truncation;
    check_threshold(generator, truncation, "from 0 to 1", |t| (0.0..=1.0).contains(&t))?;
    let prior = request.prior.unwrap_or_default();
    let mut sampler = Sampler::with_prior(&*generator.network, truncation, class, prior)?;
    sampler.truncation.cutoff = request.truncation_cutoff;
    sampler.synthesis.noise_mode = request.noise_mode.unwrap_or_default();
    Ok(sampler)
}

/// Fails if a generator takes a threshold and `truncation` is not `allowed`.
fn check_threshold(
    generator: &Generator,
    truncation: f64,
    range: &str,
    allowed: impl Fn(f64) -> bool,
) -> Result<()> {
    if generator.info().truncation == TruncationKind::Psi || allowed(truncation) {
        return Ok(());
    }
    Err(Error::request(format!("truncation {truncation} has no meaning for {}", generator.family))
        .with_hint(format!("its truncation is a threshold {range}")))
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

    #[test]
    fn classes_have_numbers_names_or_one_for_each_seed() {
        let path = ganscope_golden::data().join("biggan-tiny.bin");
        let request = DrawingRequest::of(path.to_str().unwrap());
        let error = Drawing::open(&request, &mut ()).unwrap_err();
        assert_eq!(error.to_string(), "the generator is conditional, with 10 classes");
        let class = |text: &str| {
            let request = DrawingRequest { class: Some(text.into()), ..request.clone() };
            Drawing::open(&request, &mut ()).map(|drawing| drawing.sampler.class)
        };
        assert_eq!(class("9").unwrap(), Some(Class::One(9)));
        assert_eq!(class(EACH).unwrap(), Some(Class::BySeed));
        assert_eq!(class("10").unwrap_err().to_string(), "the generator has no class 10");
    }

    #[test]
    fn options_of_another_family_are_refused() {
        let path = ganscope_golden::data().join("biggan-tiny.bin");
        let request = DrawingRequest {
            class: Some("0".into()),
            noise_mode: Some(NoiseMode::None),
            ..DrawingRequest::of(path.to_str().unwrap())
        };
        let error = Drawing::open(&request, &mut ()).unwrap_err();
        assert_eq!(error.to_string(), "biggan-deep generators have no noise mode");
    }

    /// A small StyleGAN2 without classes.
    #[cfg(feature = "models")]
    fn style() -> Drawing {
        let request = DrawingRequest { truncation: 0.7, ..DrawingRequest::of("fashion-stylegan2") };
        Drawing::open(&request, &mut ()).unwrap()
    }

    #[test]
    #[cfg(feature = "models")]
    fn seeds_become_style_inputs_and_these_the_pictures_of_the_seeds() {
        let drawing = style();
        let seeds = [3, 1, 4, 1, 5];
        let ws = drawing.ws(&seeds).unwrap();
        let info = drawing.generator.info();
        assert_eq!(ws.shape(), [5, info.num_ws, info.w_dim]);
        let drawn: Result<Vec<_>> = drawing.pictures(seeds).collect();
        assert_eq!(drawing.pictures_of(&ws, &mut ()).unwrap(), drawn.unwrap().concat());
    }

    #[test]
    #[cfg(feature = "models")]
    fn style_inputs_of_another_shape_or_with_nan_are_refused() {
        let drawing = style();
        let GeneratorInfo { num_ws, w_dim, .. } = drawing.generator.info();
        let fails = |array: Array| drawing.pictures_of(&array, &mut ()).unwrap_err().report();
        let zeros = Array::from_f32([1, num_ws + 1, w_dim], &vec![0.0; (num_ws + 1) * w_dim]);
        assert!(fails(zeros.unwrap()).contains("expected (N, "));
        assert!(fails(Array::from_f32([2], &[0.0; 2]).unwrap()).contains("shape [2]"));
        let nan = Array::from_f32([1, num_ws, w_dim], &vec![f32::NAN; num_ws * w_dim]);
        assert!(fails(nan.unwrap()).contains("row 0"));
    }
}
