//! The work of a projection: the targets, where each starts, its steps, its result.

use std::collections::BTreeMap;

use candle_core::Tensor;
use ganscope_images::Image;
use ganscope_latent::Seeds;
use ganscope_latent::projector::{Center, Projection, random_noise};
use ganscope_model::{Generator, Synthesis, to_images};
use serde_json::json;

use super::{ProjectRequest, Projected, ProjectionSpace, Projections, rmse, target};
use crate::error::{Context as _, Error, Hint, Result};
use crate::explain::images::Images;
use crate::latents::{Drawing, EACH};
use crate::models::loss::{Loss, LossTo};
use crate::score::VERSION;
use crate::watch::{Counter, Watch};

/// Parts of all steps after which a picture of the way is kept, in thousandths.
const WAY: [usize; 7] = [0, 20, 50, 100, 200, 500, 1000];
/// Steps after which the state is kept.
const KEPT: usize = 50;
/// Brightness of red, green and blue.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Projects images.
///
/// # Errors
/// If an image cannot be read, the generator or the loss cannot be opened or fails, or the task is
/// stopped.
pub fn project(request: &ProjectRequest, watch: &mut dyn Watch) -> Result<Projections> {
    Task::open(request, watch)?.run(watch, |_| Ok(None), &mut |_, _| Ok(()))
}

/// A projection of one image as far as it came.
#[derive(Debug, Clone, Default)]
pub(super) struct Saved {
    /// Steps that were taken.
    pub(super) step: usize,
    /// What moves.
    pub(super) state: BTreeMap<String, Tensor>,
    /// Distance at each step.
    pub(super) distances: Vec<f64>,
    /// Latents of the way.
    pub(super) way: Vec<Tensor>,
}

/// Everything that is open.
pub(super) struct Task<'r> {
    request: &'r ProjectRequest,
    drawing: Drawing,
    loss: Loss,
    images: Images,
    targets: Vec<Image>,
    center: Center,
}

impl<'r> Task<'r> {
    pub(super) fn open(request: &'r ProjectRequest, watch: &mut dyn Watch) -> Result<Self> {
        request.check()?;
        let images = Images::open(&request.images, request.limits)?;
        images.need_some()?;
        let drawing = Drawing::open_with_class(&request.drawing, EACH, watch)?;
        let size = drawing.generator.network.image_size();
        let targets = (0..images.len()).map(|i| target(&images.get(i)?, size));
        let targets = targets.collect::<Result<Vec<_>>>()?;
        let name = request.loss();
        let device = drawing.generator.network.device().clone();
        let loss = Loss::open(name, request.weights.as_deref(), &device, watch);
        let loss = loss.map_err(|error| match (&request.loss, &error.hint()) {
            (None, None) => error
                .with_hint(Hint::of("choose another {loss}, such as pixels, or give {weights}")),
            _ => error,
        })?;
        let center = Center::of(&*drawing.generator.network, &drawing.sampler)?;
        Ok(Self { request, drawing, loss, images, targets, center })
    }

    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    /// A name for the files of an image.
    pub(super) fn stem(&self, i: usize) -> &str {
        self.images.folder(i)
    }

    /// What decides the projection of an image.
    pub(super) fn key(&self, i: usize) -> Result<blake3::Hash> {
        let ProjectRequest { drawing, .. } = self.request;
        let drawing = super::DrawingRequest { batch: 0, ..drawing.clone() };
        let request = ProjectRequest { images: Vec::new(), drawing, ..self.request.clone() };
        let generator = self.drawing.generator.digest.to_hex().to_string();
        let settings = json!({ "version": 1, "generator": generator, "request": request });
        let mut digest = blake3::Hasher::new();
        digest.update(&serde_json::to_vec(&settings)?).update(&self.targets[i].pixels);
        Ok(digest.finalize())
    }

    /// Projects all images. `saved` returns what an earlier run had of an image; `keep` gets what this
    /// one has, now and then and at the end.
    pub(super) fn run(
        &self,
        watch: &mut dyn Watch,
        saved: impl Fn(usize) -> Result<Option<Saved>>,
        keep: &mut dyn FnMut(usize, &Saved) -> Result<()>,
    ) -> Result<Projections> {
        let tensors = self.targets.iter().map(|image| self.tensor(image));
        let tensors = tensors.collect::<Result<Vec<_>>>()?;
        let losses =
            tensors.iter().map(|tensor| self.loss.to(tensor)).collect::<Result<Vec<_>>>()?;
        let starts = match &self.request.start_seeds {
            None => vec![None; self.len()],
            Some(seeds) => self.nearest(&losses, seeds, watch)?.into_iter().map(Some).collect(),
        };
        let saved = (0..self.len()).map(saved).collect::<Result<Vec<_>>>()?;
        let done: usize = saved.iter().flatten().map(|saved| saved.step).sum();
        let total = self.len() * self.request.steps.0;
        let mut counter = Counter::new(watch, "steps", done, total);
        let mut images = Vec::with_capacity(self.len());
        for (i, saved) in saved.into_iter().enumerate() {
            let mut keep = |saved: &Saved| keep(i, saved);
            let ended = self.descend(&losses[i], starts[i], saved, &mut keep, &mut counter);
            images.push(self.result(i, &losses[i], starts[i], ended?)?);
        }
        Ok(Projections {
            ganscope: VERSION,
            request: self.request.clone(),
            loss: self.loss.name(),
            spread: self.center.spread,
            images,
        })
    }

    /// An image in [-1, 1], (1, C, H, W).
    fn tensor(&self, image: &Image) -> Result<Tensor> {
        let channels = self.drawing.generator.info().img_channels;
        let (pixels, _) = image.pixels.as_chunks::<3>();
        let value = |c: usize, pixel: &[u8; 3]| match channels {
            1 => pixel.iter().zip(LUMA).map(|(&v, part)| f32::from(v) * part).sum(),
            _ => f32::from(pixel[c]),
        };
        let values = (0..channels).flat_map(|c| pixels.iter().map(move |pixel| value(c, pixel)));
        let values: Vec<f32> = values.map(|v| v / 127.5 - 1.0).collect();
        let shape = (1, channels, image.height, image.width);
        Ok(Tensor::from_vec(values, shape, self.network().device())?)
    }

    fn network(&self) -> &dyn Generator {
        &*self.drawing.generator.network
    }

    /// The seed whose picture is nearest to each image.
    fn nearest(
        &self,
        losses: &[LossTo<'_>],
        seeds: &Seeds,
        watch: &mut dyn Watch,
    ) -> Result<Vec<u32>> {
        let mut best = vec![(f64::INFINITY, seeds.iter().next().unwrap_or(0)); losses.len()];
        let mut counter = Counter::new(watch, "seeds", 0, seeds.len());
        let all = seeds.to_vec();
        for seeds in all.chunks(self.request.drawing.batch) {
            let ws = self.drawing.sampler.ws(self.network(), seeds)?;
            let rows = self.loss.rows(&self.network().synthesize(&ws, &self.synthesis())?)?;
            for (&seed, row) in seeds.iter().zip(&rows) {
                for (best, loss) in best.iter_mut().zip(losses) {
                    let distance = loss.of_row(row);
                    if distance < best.0 {
                        *best = (distance, seed);
                    }
                }
                counter.add()?;
            }
        }
        Ok(best.into_iter().map(|(_, seed)| seed).collect())
    }

    /// The noise of all pictures: the same in each, as [`Drawing::render`] draws it.
    fn synthesis(&self) -> Synthesis {
        let noise_seeds = vec![0; self.request.drawing.batch];
        Synthesis { noise_seeds, ..self.drawing.sampler.synthesis.clone() }
    }

    /// Takes the steps that are left.
    fn descend(
        &self,
        loss: &LossTo<'_>,
        seed: Option<u32>,
        saved: Option<Saved>,
        keep: &mut dyn FnMut(&Saved) -> Result<()>,
        counter: &mut Counter<'_, '_>,
    ) -> Result<Saved> {
        let (settings, network) = (self.request.settings(), self.network());
        let start = match seed {
            None => self.center.ws.clone(),
            Some(seed) => self.drawing.sampler.ws(network, &[seed])?,
        };
        let start = match self.request.space {
            ProjectionSpace::W => start.narrow(1, 0, 1)?.contiguous()?,
            ProjectionSpace::WPlus => start,
        };
        let maps = if self.request.noise_maps {
            random_noise(network, settings.seed)?
        } else {
            Vec::new()
        };
        if self.request.noise_maps && maps.is_empty() {
            let family = self.drawing.generator.family;
            return Err(Error::request(format!("{family} generators have no noise maps"))
                .with_hint(Hint::of("leave {noise_maps} out")));
        }
        let mut projection = Projection::new(settings, &start, self.center.spread, &maps)?;
        let mut at = saved.unwrap_or_default();
        if at.step > 0 {
            projection = projection.resume(at.step, &at.state)?;
        } else {
            at.way.push(start);
        }
        let (synthesis, steps) = (self.synthesis(), settings.steps);
        let way = WAY.map(|part| part * steps / 1000);
        while !projection.is_finished() {
            let objective = |image: &Tensor| loss.gradient(image);
            let taken = projection.step(network, &synthesis, objective)?;
            at.distances.push(taken.distance);
            at.step = projection.taken();
            at.way.extend(way.contains(&at.step).then(|| projection.w().clone()));
            let go_on = counter.add();
            if go_on.is_err() || at.step.is_multiple_of(KEPT) || projection.is_finished() {
                at.state = projection.state()?;
                keep(&at)?;
            }
            go_on?;
        }
        Ok(at)
    }

    /// The result of an image.
    fn result(
        &self,
        i: usize,
        loss: &LossTo<'_>,
        seed: Option<u32>,
        ended: Saved,
    ) -> Result<Projected> {
        let info = self.network().info();
        let whole = |w: &Tensor| w.broadcast_as((1, info.num_ws, info.w_dim))?.contiguous();
        let mut steps: Vec<usize> =
            WAY.iter().map(|part| part * self.request.steps.0 / 1000).collect();
        steps.dedup();
        let mut way = Vec::new();
        let mut distances = Vec::new();
        let mut last = None;
        for (step, w) in steps.into_iter().zip(&ended.way) {
            let ws = whole(w)?;
            let image = self.network().synthesize(&ws, &self.synthesis())?;
            let picture = to_images(&image, &info).with_context(|| {
                format!("step {step} of `{}`: a lower rate may help", self.images.name(i))
            })?;
            distances.push(loss.of(&image)?);
            way.extend(picture.into_iter().map(|picture| (step, picture)));
            last = Some(ws);
        }
        let (Some(ws), Some((_, first)), Some((_, end))) = (last, way.first(), way.last()) else {
            return Err(Error::request("a projection without a start"));
        };
        let target = self.targets[i].clone();
        Ok(Projected {
            name: self.images.name(i),
            stem: self.stem(i).to_owned(),
            seed,
            start: distances[0],
            distance: distances[distances.len() - 1],
            start_rmse: rmse(first, &target),
            rmse: rmse(end, &target),
            steps: ended.distances,
            target,
            way,
            ws,
        })
    }
}
