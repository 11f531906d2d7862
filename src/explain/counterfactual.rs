//! Counterfactuals by a generator: the smallest step in W after which a classifier takes the picture
//! for another class.

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use ganscope_explain::latent::{feature_map, network_input};
use ganscope_explain::{Changed, Counterfactual, Evidence, heat};
use ganscope_images::Image;
use ganscope_latent::Seeds;
use ganscope_model::{FeatureMap, GeneratorInfo, Shape, Truncation};
use serde::{Deserialize, Serialize};

use super::figures::end;
use super::latent::classifier_of_pictures;
use crate::catalog;
use crate::checks::within;
use crate::error::{Error, Result};
use crate::figures::{Cell, Row, Sheet};
use crate::latents::codes::write_codes;
use crate::latents::{Drawing, DrawingRequest, EACH};
use crate::models::classifier::{Classifier, ClassifierRequest};
use crate::models::generator::to_images;
use crate::text;
use crate::watch::{Counter, Watch};

/// Least side of the pictures of a strip.
const LEAST: usize = 112;
/// Other pictures, one of which may be of the class that is sought.
const OTHERS: u32 = 256;

/// Whose mind is to be changed, about which pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CounterfactualRequest {
    /// The generator and its options; a conditional generator gets classes in turn unless it is told
    /// another.
    pub generator: DrawingRequest,
    /// The classifier. A shipped generator makes garments, so for it the default is `fashion-cnn`.
    pub classifier: ClassifierRequest,
    /// The class to be reached, by number or name; the nearest other one if missing.
    pub class: Option<String>,
    /// Seeds of the pictures.
    #[serde(with = "text")]
    pub seeds: Seeds,
    /// A file of style inputs instead of seeds.
    pub ws: Option<PathBuf>,
    /// Steps after which the search gives up.
    pub steps: usize,
    /// Length of a step, as a share of the distance of the picture from the mean of W.
    pub rate: f64,
    /// Steps along the boundary of the class.
    pub rounds: usize,
    /// By how much the logit of the new class is above all others.
    pub margin: f64,
    /// Pictures from the first to the last, at least 2.
    pub frames: usize,
}

impl Default for CounterfactualRequest {
    fn default() -> Self {
        Self {
            generator: DrawingRequest::default(),
            classifier: ClassifierRequest::default(),
            class: None,
            seeds: (0..=3).into(),
            ws: None,
            steps: 200,
            rate: 0.05,
            rounds: 10,
            margin: 0.1,
            frames: 7,
        }
    }
}

impl CounterfactualRequest {
    /// Fails if a number is out of range.
    ///
    /// # Errors
    /// The message names the number and its range.
    pub fn check(&self) -> Result<()> {
        within("steps", self.steps, 1..=1_000_000)?;
        within("rounds", self.rounds, 0..=1_000_000)?;
        within("frames", self.frames, 2..=100)?;
        self.classifier.check()
    }
}

/// A picture on the way, and what the classifier says about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Frame {
    /// The picture.
    #[serde(skip)]
    pub picture: Image,
    /// Probability of the first class.
    pub from: f64,
    /// Probability of the new class.
    pub to: f64,
}

/// A way to another class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Way {
    /// The new class.
    pub class: String,
    /// Length of the step in W.
    pub distance: f64,
    /// That length over the distance of the first picture from the mean of W.
    pub share: f64,
    /// The pictures on the straight way, the first and the last included.
    pub frames: Vec<Frame>,
    /// By how much the last picture is brighter than the first, in shares of the whole range.
    #[serde(skip)]
    pub difference: FeatureMap,
    /// Style inputs of the last picture, (1, `num_ws`, `w_dim`).
    #[serde(skip)]
    ws: Vec<f32>,
}

/// What was found for one picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundWay {
    /// The picture: `seed 3`, `w 0`.
    pub picture: String,
    /// Its class.
    pub class: String,
    /// The way; none if the search gave up.
    pub way: Option<Way>,
    /// The picture itself.
    #[serde(skip)]
    start: Image,
}

/// The nearest pictures of other classes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Counterfactuals {
    /// The classifier.
    pub model: String,
    /// The generator.
    pub generator: String,
    /// One for each picture, in their order.
    pub found: Vec<FoundWay>,
    /// The request.
    pub request: CounterfactualRequest,
    /// Numbers of style inputs and of their coordinates.
    #[serde(skip)]
    shape: [usize; 2],
}

/// Finds for each picture the smallest step in W, the same for all style inputs, after which the
/// classifier takes it for another class. The search is local, so there may be a smaller one. It follows
/// the gradient, or, where that does not lead to the class, the way to the nearest of some other
/// pictures that is of the class.
///
/// # Errors
/// If a network cannot be opened, an option is out of range, a picture is of the sought class already, or
/// the task is stopped.
pub fn counterfactuals(
    request: &CounterfactualRequest,
    watch: &mut dyn Watch,
) -> Result<Counterfactuals> {
    request.check()?;
    let chosen = classifier_of_pictures(&request.classifier, &request.generator);
    let classifier = catalog::open_classifier(&chosen, watch)?;
    let to = request.class.as_deref().map(|class| classifier.class(class)).transpose()?;
    let drawing = Drawing::open_with_class(&request.generator, EACH, watch)?;
    let (names, ws) = drawing.points(&request.seeds, request.ws.as_deref())?;
    let GeneratorInfo { num_ws, w_dim, .. } = drawing.generator.info();
    let mut counter = Counter::new(watch, "pictures", 0, names.len());
    let mut found = Vec::with_capacity(names.len());
    for (i, picture) in names.into_iter().enumerate() {
        let walk =
            Walk { request, drawing: &drawing, classifier: &classifier, ws: ws.narrow(0, i, 1)? };
        let (start, from) = walk.start()?;
        if to == Some(from) {
            let title = classifier.title(from);
            return Err(Error::request(format!("{picture} is taken for {title} already"))
                .with_hint("choose other pictures, or another class"));
        }
        let way = walk.way(from, to)?;
        found.push(FoundWay { picture, class: classifier.title(from), way, start });
        counter.add()?;
    }
    Ok(Counterfactuals {
        model: classifier.name.clone(),
        generator: request.generator.model.clone(),
        found,
        request: request.clone(),
        shape: [num_ws, w_dim],
    })
}

/// The steps from one picture.
struct Walk<'a> {
    request: &'a CounterfactualRequest,
    drawing: &'a Drawing,
    classifier: &'a Classifier,
    /// Style inputs of the picture, (1, `num_ws`, `w_dim`).
    ws: Tensor,
}

impl Walk<'_> {
    /// The image (1, C, H, W) after a step (1, `w_dim`) of all style inputs.
    fn synthesize(&self, step: &Tensor) -> ganscope_model::Result<Tensor> {
        let ws = self.ws.broadcast_add(&step.unsqueeze(1)?)?;
        self.drawing.generator.network.synthesize(&ws, &self.drawing.sampler.synthesis)
    }

    fn probabilities(&self, image: &Tensor) -> Result<Vec<f64>> {
        let explainer = &self.classifier.explainer;
        let input = feature_map(&network_input(explainer, image)?)?;
        Ok(explainer.probabilities(&input)?.swap_remove(0))
    }

    fn none(&self) -> Result<Tensor> {
        Ok(self.ws.narrow(1, 0, 1)?.squeeze(1)?.zeros_like()?)
    }

    /// The picture and its class.
    fn start(&self) -> Result<(Image, usize)> {
        let image = self.synthesize(&self.none()?)?;
        let shares = self.probabilities(&image)?;
        let best = shares.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        let picture = to_images(&image, &self.drawing.generator.info())?.swap_remove(0);
        Ok((picture, best.map_or(0, |(class, _)| class)))
    }

    /// Distance of the picture from the mean of W.
    fn spread(&self) -> Result<f64> {
        let network = &*self.drawing.generator.network;
        let GeneratorInfo { z_dim, c_dim, .. } = network.info();
        let z = Tensor::zeros((1, z_dim), candle_core::DType::F32, network.device())?;
        let class = (c_dim > 0).then_some(&[0][..]);
        let mean = network.map(&z, class, Truncation::psi(0.0))?;
        let away = (self.ws.narrow(1, 0, 1)? - mean.narrow(1, 0, 1)?)?;
        Ok(f64::from(away.sqr()?.sum_all()?.to_scalar::<f32>()?).sqrt())
    }

    /// The steps to other pictures of the generator.
    fn others(&self) -> Result<Vec<Tensor>> {
        let (network, seeds) = (&*self.drawing.generator.network, (0..OTHERS).collect::<Vec<_>>());
        let ws = self.drawing.sampler.ws(network, &seeds)?.narrow(1, 0, 1)?;
        let steps = ws.broadcast_sub(&self.ws.narrow(1, 0, 1)?)?.squeeze(1)?;
        Ok((0..seeds.len()).map(|i| steps.narrow(0, i, 1)).collect::<Result<_, _>>()?)
    }

    fn way(&self, from: usize, to: Option<usize>) -> Result<Option<Way>> {
        let CounterfactualRequest { steps, rate, rounds, margin, frames, .. } = *self.request;
        let spread = self.spread()?;
        let search = Counterfactual { steps, rate: rate * spread, rounds, margin };
        let explainer = &self.classifier.explainer;
        let synthesize = |step: &Tensor| self.synthesize(step);
        let Some(Changed { latent, class, distance }) =
            search.explain(explainer, to, &self.none()?, &self.others()?, synthesize)?
        else {
            return Ok(None);
        };
        let frame = |i: usize| -> Result<Frame> {
            let image = self.synthesize(&(&latent * (i as f64 / (frames - 1) as f64))?)?;
            let shares = self.probabilities(&image)?;
            let picture = to_images(&image, &self.drawing.generator.info())?.swap_remove(0);
            Ok(Frame { picture, from: shares[from], to: shares[class] })
        };
        let frames = (0..frames).map(frame).collect::<Result<Vec<_>>>()?;
        let difference = difference(&frames[0].picture, &frames[frames.len() - 1].picture)?;
        let ws = self.ws.broadcast_add(&latent.unsqueeze(1)?)?.flatten_all()?.to_vec1()?;
        let class = self.classifier.title(class);
        Ok(Some(Way { class, distance, share: distance / spread, frames, difference, ws }))
    }
}

/// By how much `b` is brighter than `a`, in shares of the whole range.
fn difference(a: &Image, b: &Image) -> Result<FeatureMap> {
    let light = |pixel: &[u8]| pixel.iter().map(|&v| f32::from(v)).sum::<f32>() / (3.0 * 255.0);
    let pairs = a.pixels.chunks_exact(3).zip(b.pixels.chunks_exact(3));
    let values = pairs.map(|(a, b)| light(b) - light(a)).collect();
    Ok(FeatureMap::new(1, Shape { c: 1, h: a.height, w: a.width }, values)?)
}

impl FoundWay {
    /// In a sentence.
    pub fn sentence(&self) -> String {
        let Self { picture, class, way, .. } = self;
        match way {
            Some(way) => format!(
                "{picture}: {class} becomes {} after a step of {:.3} in W, {:.0} % of the way from the mean",
                way.class,
                way.distance,
                100.0 * way.share
            ),
            None => format!("{picture}: {class} stays what it is"),
        }
    }

    fn cells(&self) -> Vec<Cell> {
        let Some(way) = &self.way else { return vec![Cell::new(self.start.clone())] };
        let note = |frame: &Frame| {
            format!("{:.0} % against {:.0} %", 100.0 * frame.from, 100.0 * frame.to)
        };
        let cell = |frame: &Frame| Cell::new(frame.picture.clone()).note(note(frame));
        let mut cells: Vec<Cell> = way.frames.iter().map(cell).collect();
        let palette = heat::Palette::of(Evidence::Signed);
        let (end, shape) = (end(&way.difference), way.difference.shape);
        let change = heat::draw(&way.difference, palette, end, [shape.w, shape.h]);
        cells.push(Cell::new(change).scale(palette, end));
        cells
    }
}

impl Counterfactuals {
    /// A strip of pictures for each seed, from the first to the last, with the change.
    pub fn sheet(&self) -> Sheet {
        let row = |found: &FoundWay| {
            let heading = match &found.way {
                Some(way) => format!(
                    "{}: from {} to {}, {:.0} % of the way from the mean",
                    found.picture,
                    found.class,
                    way.class,
                    100.0 * way.share
                ),
                None => found.sentence(),
            };
            Row { heading, cells: found.cells(), ..Row::default() }
        };
        Sheet {
            title: format!("What would change the mind of {}", self.model),
            legend: "The smallest step found in W after which the picture is taken for another \
                     class. Below each picture: the probability of the first class against that of \
                     the last. The change is red where the last picture is brighter than the first, \
                     blue where it is darker."
                .into(),
            least: LEAST,
            rows: self.found.iter().map(row).collect(),
            ..Sheet::default()
        }
    }

    /// Writes the style inputs of the last pictures, as `projected_w.npz` has them.
    ///
    /// # Errors
    /// If no picture changed its class, or the file cannot be written.
    pub fn write_ws(&self, path: &Path) -> Result<()> {
        let ways = self.found.iter().filter_map(|found| found.way.as_ref());
        let values: Vec<f32> = ways.flat_map(|way| way.ws.iter().copied()).collect();
        let [num_ws, w_dim] = self.shape;
        if values.is_empty() {
            return Err(Error::request("no picture changed its class: there are no style inputs"));
        }
        let count = values.len() / (num_ws * w_dim);
        let ws = Tensor::from_vec(values, (count, num_ws, w_dim), &candle_core::Device::Cpu)?;
        write_codes(path, &ws)
    }
}

#[cfg(all(test, feature = "models"))]
mod tests {
    use ganscope_stats::random::RandomState;

    use super::*;

    /// Parts of the distance from the mean in which a random direction is gone.
    const STRIDE: f64 = 0.02;

    /// Seeds that are tried: a few, or `GANSCOPE_SEEDS`.
    fn count() -> u32 {
        std::env::var("GANSCOPE_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(4)
    }

    fn request(class: Option<&str>) -> CounterfactualRequest {
        CounterfactualRequest {
            generator: DrawingRequest::of("fashion-stylegan2"),
            seeds: (0..=count() - 1).into(),
            class: class.map(str::to_owned),
            frames: 3,
            ..CounterfactualRequest::default()
        }
    }

    /// The shortest of some steps in random directions after which the class is another, at most
    /// three times the distance from the mean.
    fn random_step(walk: &Walk<'_>, seed: u32) -> Option<f64> {
        let (_, from) = walk.start().unwrap();
        let (dim, spread) = (walk.ws.dim(2).unwrap(), walk.spread().unwrap());
        let direction = RandomState::new(seed).standard_normals(dim);
        let length = direction.iter().map(|v| v * v).sum::<f64>().sqrt();
        let class = |away: f64| {
            let step = direction.iter().map(|v| (v / length * away * spread) as f32).collect();
            let step = Tensor::from_vec(step, (1, dim), walk.ws.device()).unwrap();
            let shares = walk.probabilities(&walk.synthesize(&step).unwrap()).unwrap();
            (0..shares.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b])).unwrap()
        };
        let mut strides = (1..=150).map(|i| f64::from(i) * STRIDE);
        strides.find(|&away| class(away) != from).map(|away| (away - STRIDE) * spread)
    }

    #[test]
    fn pictures_change_class_after_a_smaller_step_than_in_random_directions() {
        let request = request(None);
        let found = counterfactuals(&request, &mut ()).unwrap();
        let classifier = classifier_of_pictures(&request.classifier, &request.generator);
        let classifier = catalog::open_classifier(&classifier, &mut ()).unwrap();
        let drawing = Drawing::open(&request.generator, &mut ()).unwrap();
        let (_, ws) = drawing.points(&request.seeds, None).unwrap();
        let (mut changed, mut shorter, mut never) = (0, 0, 0);
        for (seed, one) in (0..count()).zip(&found.found) {
            let Some(way) = &one.way else { continue };
            changed += 1;
            let last = way.frames.last().unwrap();
            assert!(last.to > last.from, "{last:?}");
            let ws = ws.narrow(0, seed as usize, 1).unwrap();
            let walk = Walk { request: &request, drawing: &drawing, classifier: &classifier, ws };
            match random_step(&walk, 1000 + seed) {
                Some(random) => shorter += u32::from(way.distance < random),
                None => never += 1,
            }
        }
        let counts =
            format!("{changed} change, {shorter} in smaller steps, {never} never at random");
        assert!(10 * changed >= 9 * count(), "{counts}");
        assert!(10 * (shorter + never) >= 9 * count(), "{counts}");
    }

    #[test]
    fn a_class_far_away_is_reached_and_its_style_inputs_give_its_picture() {
        let seeds = (1..=1).into();
        let found =
            counterfactuals(&CounterfactualRequest { seeds, ..request(Some("sneaker")) }, &mut ());
        let found = found.unwrap();
        let way = found.found[0].way.as_ref().unwrap();
        assert_eq!(way.class, "sneaker (7)");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ws.npz");
        found.write_ws(&path).unwrap();
        let drawing = Drawing::open(&found.request.generator, &mut ()).unwrap();
        let (_, ws) = drawing.points(&found.request.seeds, Some(&path)).unwrap();
        assert_eq!(drawing.render(&ws).unwrap()[0], way.frames.last().unwrap().picture);
        let again = CounterfactualRequest { ws: Some(path), ..found.request };
        let refused = counterfactuals(&again, &mut ()).unwrap_err().to_string();
        assert!(refused.contains("taken for sneaker (7) already"), "{refused}");
    }
}
