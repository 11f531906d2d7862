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
mod request;
pub mod video;
pub mod walk;

use std::path::Path;

use candle_core::Tensor;
use ganscope_images::Image;
use ganscope_latent::{Class, Prior, Sampler, Seeds, ThresholdPrior};
use ganscope_model::{GeneratorInfo, Synthesis, TruncationKind, render, to_images};
use ganscope_weights::Array;
use serde_json::{Map, Value, json};

use crate::checks::within;
use crate::error::{Error, Hint, Result};
use crate::models::generator::Generator;
use crate::watch::{Counter, Watch};
use codes::Codes;
pub use request::{CentersRequest, DrawingRequest};

/// The class that gives each seed its own: `seed mod classes`.
pub const EACH: &str = "each";

/// The class that is drawn for each seed, `RandomState(seed).randint(0, classes)`.
pub const DRAWN: &str = "random";

/// Factors of enlargement.
pub(crate) const ZOOM: std::ops::RangeInclusive<usize> = 1..=64;

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

    /// The picture of `ws` (1, `num_ws`, `w_dim`), with the noise of [`render`](Self::render), or a preview of
    /// it: the largest that the generator has of at most that height. A generator that is at work ends when
    /// the task is stopped.
    ///
    /// # Errors
    /// If the generator fails, or the task is stopped.
    pub fn picture(
        &self,
        ws: &Tensor,
        preview: Option<usize>,
        watch: &mut dyn Watch,
    ) -> Result<Image> {
        let network = &*self.generator.network;
        let noise_seeds = vec![0];
        let synthesis = Synthesis { noise_seeds, preview, ..self.sampler.synthesis.clone() };
        let made = network.synthesize_unless(ws, &synthesis, &|| watch.stop())?;
        let picture = to_images(&made, &network.info())?.pop();
        picture.ok_or_else(|| Error::request("the generator made no picture"))
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
        let mean = |class: u32| {
            let class = [class];
            network.map(&z, (c_dim > 0).then_some(&class), ganscope_model::Truncation::psi(0.0))
        };
        let mean = if let Some(Class::One(class)) = self.sampler.class {
            mean(class)?
        } else {
            let first = mean(0)?;
            if c_dim > 1 && values(&first)? != values(&mean(1)?)? {
                return Err(Error::request("each class has a mean of its own")
                    .with_hint(Hint::of("give the {class} of the style inputs")));
            }
            first
        };
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
            Some(Class::Drawn) => json!(DRAWN),
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
/// classes, [`DRAWN`] any, which is the default of StyleGAN-XL.
pub(crate) fn class(generator: &Generator, text: Option<&str>) -> Result<Option<Class>> {
    let count = generator.info().c_dim;
    match text {
        None if count == 0 => Ok(None),
        None if generator.draws_class => Ok(Some(Class::Drawn)),
        None => {
            let names = if generator.classes.is_empty() { "" } else { " or by name" };
            let last = count - 1;
            Err(Error::request(format!("the generator is conditional, with {count} classes"))
                .with_hint(
                    Hint::of("give {class}").then(format!(
                        ", by number from 0 to {last}{names}, `{EACH}`, or `{DRAWN}`"
                    )),
                ))
        }
        Some(EACH) if count > 0 => Ok(Some(Class::BySeed)),
        Some(DRAWN) if count > 0 => Ok(Some(Class::Drawn)),
        Some(text) => Ok(Some(Class::One(generator.class(text)?))),
    }
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1()?)
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
    use ganscope_model::NoiseMode;

    use super::*;

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
