//! Perceptual path length: how far the images of a generator move for a small step of their latent.

use candle_core::Tensor;
use ganscope_latent::{Class, Estimate, PathLength, PathSpace, Sampling, perceptual_path_length};
use serde::{Deserialize, Serialize};

use super::{Drawing, DrawingRequest, EACH};
use crate::catalog;
use crate::checks::positive;
use crate::error::{Error, Hint, Result};
use crate::models::device::device;
use crate::score::VERSION;
use crate::text;
use crate::watch::{Counter, Warning, Watch};

/// Share of the path length beyond which its standard error is warned about.
const UNCERTAIN: f64 = 0.1;

/// How a path length is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PathLengthRequest {
    /// The generator and its options; not truncated in W.
    pub drawing: DrawingRequest,
    /// Space of the path.
    #[serde(with = "text")]
    pub space: PathSpace,
    /// Where on the path the step is taken.
    #[serde(with = "text")]
    pub sampling: Sampling,
    /// Number of paths, at least 1; published results have 50000.
    pub num: usize,
    /// Length of the step, as a part of the path; above 0.
    pub epsilon: f64,
    /// Seed of the first path; path `i` has this seed plus `i`.
    pub seed: u32,
    /// Whether images are cropped to the face region of aligned faces.
    pub crop: bool,
    /// Name of the distance.
    pub distance: String,
    /// Weights of the distance, instead of the known ones.
    pub weights: Option<String>,
}

impl Default for PathLengthRequest {
    /// 1000 paths of `ppl2_wend` of StyleGAN2, by LPIPS.
    fn default() -> Self {
        let PathLength { space, sampling, epsilon, seed, crop, .. } = PathLength::PPL2_WEND;
        Self {
            drawing: DrawingRequest::default(),
            space,
            sampling,
            num: 1000,
            epsilon,
            seed,
            crop,
            distance: catalog::DISTANCES[0].name.into(),
            weights: None,
        }
    }
}

/// A path length with the protocol that it was measured by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PathLengthReport {
    /// Mean of the squared distances over the squared step, between their 1st and 99th percentile.
    pub path_length: f64,
    /// Standard error of that trimmed mean over the drawn paths, by the formula of Tukey and `McLaughlin`
    /// (see [`perceptual_path_length`]); none for a single path.
    pub standard_error: Option<f64>,
    /// Space of the path.
    pub space: &'static str,
    /// Where on the path the step is taken.
    pub sampling: &'static str,
    /// Number of paths.
    pub paths: usize,
    /// Length of the step, as a part of the path.
    pub epsilon: f64,
    /// Seed of the first path.
    pub seed: u32,
    /// Whether images are cropped to the face region.
    pub crop: bool,
    /// Name of the distance.
    pub distance: String,
    /// Version of this library.
    pub ganscope: &'static str,
    /// What may mislead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// Measures the perceptual path length. Images are not rounded to bytes.
///
/// With LPIPS this is the published measure; with the features of an extractor it has another scale and
/// serves comparisons alone.
///
/// # Errors
/// If the request is not sound, a network cannot be opened or fails, or the task is stopped.
pub fn path_length(request: &PathLengthRequest, watch: &mut dyn Watch) -> Result<PathLengthReport> {
    let PathLengthRequest { space, sampling, num, epsilon, seed, crop, .. } = *request;
    positive("num", num)?;
    if !(epsilon > 0.0 && epsilon.is_finite()) {
        return Err(Error::request(format!("`epsilon` is {epsilon}, expected a length above 0")));
    }
    let entry = catalog::distance(&request.distance)?;
    let device = device(&request.drawing.device)?;
    let mut warnings: Vec<Warning> = about_crop(request).into_iter().collect();
    for warning in &warnings {
        watch.warn(warning);
    }
    let distance = entry.open(request.weights.as_deref(), &device, watch)?;
    if request.drawing.class.as_deref() == Some(EACH) {
        return Err(Error::request("a path has one class")
            .with_hint(Hint::of("give {class} by number or name")));
    }
    let drawing = Drawing::open(&request.drawing, watch)?;
    let class = match drawing.sampler.class {
        Some(Class::BySeed | Class::Drawn) => {
            return Err(Error::request("a path has one class")
                .with_hint(Hint::of("give {class} by number or name")));
        }
        Some(Class::One(class)) => Some(class),
        None => None,
    };
    let batch = request.drawing.batch;
    let protocol = PathLength { space, sampling, epsilon, num_samples: num, batch, seed, crop };
    let prior = drawing.path_prior()?;
    let mut counter = Counter::new(watch, "paths", 0, num);
    let mut all = Vec::with_capacity(num);
    let measure = |images: &Tensor| distance.pair_distances(images);
    for batch in protocol.distances(&*drawing.generator.network, prior, class, measure)? {
        all.extend(batch?);
        counter.at(all.len())?;
    }
    drop(counter);
    let estimate = perceptual_path_length(&all)?;
    if let Some(warning) = about_error(&estimate) {
        watch.warn(&warning);
        warnings.push(warning);
    }
    Ok(PathLengthReport {
        path_length: estimate.value,
        standard_error: estimate.standard_error,
        space: space.name(),
        sampling: sampling.name(),
        paths: num,
        epsilon,
        seed,
        crop,
        distance: distance.name().into(),
        ganscope: VERSION,
        warnings,
    })
}

/// A warning if the crop is asked for a generator whose name does not speak of faces.
fn about_crop(request: &PathLengthRequest) -> Option<Warning> {
    let model = request.drawing.model.to_lowercase();
    let of_faces = ["face", "ffhq", "celeb"].iter().any(|word| model.contains(word));
    (request.crop && !of_faces).then(|| Warning {
        text: "the crop keeps the place of the face in aligned photos of faces".into(),
        hint: Some(Hint::of("leave {crop} out for a generator of anything else")),
    })
}

/// A warning if few paths leave the length uncertain.
fn about_error(estimate: &Estimate) -> Option<Warning> {
    let share = estimate.standard_error? / estimate.value;
    (share > UNCERTAIN).then(|| Warning {
        text: format!("the standard error is {:.0} % of the path length", 100.0 * share),
        hint: Some(Hint::of("take more paths with {num}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_json() {
        let request = PathLengthRequest {
            space: PathSpace::Z,
            sampling: Sampling::Full,
            weights: Some("x".into()),
            ..PathLengthRequest::default()
        };
        for request in [PathLengthRequest::default(), request] {
            let json = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<PathLengthRequest>(&json).unwrap(), request);
        }
    }

    #[test]
    fn a_request_that_cannot_be_carried_out_fails_before_the_work() {
        let good = PathLengthRequest::default();
        for (wrong, word) in [
            (PathLengthRequest { num: 0, ..good.clone() }, "num"),
            (PathLengthRequest { epsilon: 0.0, ..good.clone() }, "epsilon"),
            (PathLengthRequest { epsilon: f64::NAN, ..good.clone() }, "epsilon"),
            (PathLengthRequest { distance: "lpip".into(), ..good.clone() }, "no distance"),
        ] {
            let error = path_length(&wrong, &mut ()).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn a_length_has_an_error_and_a_crop_of_garments_a_warning() {
        let request = PathLengthRequest {
            drawing: DrawingRequest::of("fashion-stylegan2"),
            num: 12,
            crop: true,
            distance: "fashion-cnn".into(),
            ..PathLengthRequest::default()
        };
        let report = path_length(&request, &mut ()).unwrap();
        let error = report.standard_error.unwrap();
        assert!(error > 0.0 && error < 10.0 * report.path_length, "{report:?}");
        assert!(report.warnings[0].text.contains("faces"), "{report:?}");
        assert_eq!(about_crop(&PathLengthRequest { crop: false, ..request.clone() }), None);
        let faces = DrawingRequest::of("stylegan2-ffhq");
        assert_eq!(about_crop(&PathLengthRequest { drawing: faces, ..request }), None);
    }
}
