//! Projection: the style inputs whose image is nearest to a given one.
//!
//! Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2019,
//! <https://arxiv.org/abs/1912.04958>, section 5 and appendix D, with the settings of
//! StyleGAN2-ADA's `projector.py`.

mod adam;
mod lbfgs;

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Device, Tensor, Var};
use ganscope_model::{Generator, Synthesis};
use ganscope_stats::random::RandomState;

use self::adam::Adam;
use self::lbfgs::Lbfgs;
use crate::{Error, Result, Sampler};

/// Draws whose mean is the start, and their seed.
const DRAWS: usize = 10_000;
const DRAWS_SEED: u32 = 123;
/// Latents that are mapped at once.
const MAPPED: usize = 250;
/// Length of the first step of L-BFGS, in spreads of `w`; it grows and shrinks by itself.
const FIRST: f64 = 0.1;
/// Height at which the pyramid of a noise map ends.
const SMALLEST_NOISE: usize = 8;

/// How the latent moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Optimizer {
    /// Adam, with a noise that falls and with rates that rise and fall, as published.
    #[default]
    Adam,
    /// L-BFGS, without noise: to the lowest point of the valley of the start, in fewer steps.
    Lbfgs,
}

impl fmt::Display for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if *self == Self::Adam { "adam" } else { "lbfgs" })
    }
}

impl FromStr for Optimizer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "adam" => Ok(Self::Adam),
            "lbfgs" => Ok(Self::Lbfgs),
            _ => Err(Error::Optimizer(text.to_owned())),
        }
    }
}

/// Settings of a projection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projector {
    /// How the latent moves.
    pub optimizer: Optimizer,
    /// Steps in all: images that are drawn and differentiated.
    pub steps: usize,
    /// Largest learning rate of Adam.
    pub rate: f64,
    /// Part of the steps in which the rate rises from 0.
    pub ramp_up: f64,
    /// Part of the steps in which it falls to 0.
    pub ramp_down: f64,
    /// Noise of `w` at the start, in spreads of `w`, under Adam.
    pub noise: f64,
    /// Part of the steps in which it falls to 0.
    pub noise_ramp: f64,
    /// Weight of the correlation of neighbors in the noise maps.
    pub regularization: f64,
    /// Seed of the noise of `w`.
    pub seed: u32,
}

impl Projector {
    /// The published settings.
    pub const PUBLISHED: Self = Self {
        optimizer: Optimizer::Adam,
        steps: 1000,
        rate: 0.1,
        ramp_up: 0.05,
        ramp_down: 0.25,
        noise: 0.05,
        noise_ramp: 0.75,
        regularization: 1e5,
        seed: 0,
    };

    /// Learning rate of step `step`, counted from 0: half a cosine down at the end, a line up at the
    /// start.
    pub fn rate_at(&self, step: usize) -> f64 {
        let t = step as f64 / self.steps as f64;
        let down = ((1.0 - t) / self.ramp_down).min(1.0);
        self.rate * (0.5 - 0.5 * (down * PI).cos()) * (t / self.ramp_up).min(1.0)
    }

    /// Standard deviation of the noise of `w` at step `step`, in spreads of `w`; none under L-BFGS.
    pub fn noise_at(&self, step: usize) -> f64 {
        if self.optimizer == Optimizer::Lbfgs {
            return 0.0;
        }
        let t = step as f64 / self.steps as f64;
        self.noise * (1.0 - t / self.noise_ramp).max(0.0).powi(2)
    }
}

/// Where `w` lies: its mean over latents, and its spread, the root of the mean squared distance from
/// it.
#[derive(Debug, Clone)]
pub struct Center {
    /// Mean `ws`, (1, `num_ws`, `w_dim`) float32.
    pub ws: Tensor,
    /// Root mean squared distance of the first style input from its mean.
    pub spread: f64,
}

impl Center {
    /// Of the 10,000 latents of `RandomState(123)`, drawn by the prior and the truncation of a sampler.
    /// A sampler of all classes takes them in turn.
    ///
    /// # Errors
    /// If the generator fails.
    pub fn of(generator: &dyn Generator, sampler: &Sampler) -> Result<Self> {
        let info = generator.info();
        let row = info.num_ws * info.w_dim;
        let mut random = RandomState::new(DRAWS_SEED);
        let mut firsts = Vec::with_capacity(DRAWS * info.w_dim);
        let mut mean = vec![0.0; row];
        for start in (0..DRAWS).step_by(MAPPED) {
            let z = sampler.prior.draw(&mut random, MAPPED * info.z_dim)?;
            let z = Tensor::from_vec(z, (MAPPED, info.z_dim), generator.device())?;
            let numbers: Vec<u32> = (start..start + MAPPED).map(|i| i as u32).collect();
            let ws = sampler.map(generator, &z, &numbers)?.to_dtype(DType::F32)?;
            let values: Vec<f32> = ws.flatten_all()?.to_vec1()?;
            for ws in values.chunks_exact(row) {
                mean.iter_mut().zip(ws).for_each(|(mean, &v)| *mean += f64::from(v));
                firsts.extend_from_slice(&ws[..info.w_dim]);
            }
        }
        for mean in &mut mean {
            *mean /= DRAWS as f64;
        }
        let off = |(i, &v): (usize, &f32)| (f64::from(v) - mean[i % info.w_dim]).powi(2);
        let spread = (firsts.iter().enumerate().map(off).sum::<f64>() / DRAWS as f64).sqrt();
        let mean: Vec<f32> = mean.into_iter().map(|v| v as f32).collect();
        let ws = Tensor::from_vec(mean, (1, info.num_ws, info.w_dim), generator.device())?;
        Ok(Self { ws, spread })
    }
}

/// Noise maps to begin with: normal draws of the shapes of a generator's own.
///
/// # Errors
/// If a tensor cannot be made.
pub fn random_noise(generator: &dyn Generator, seed: u32) -> Result<Vec<Tensor>> {
    let mut random = RandomState::new(seed);
    let draw = |map: Tensor| {
        let values = random.standard_normals(map.elem_count()).into_iter().map(|v| v as f32);
        Ok(Tensor::from_vec(values.collect::<Vec<_>>(), map.dims(), map.device())?)
    };
    generator.noise_maps().into_iter().map(draw).collect()
}

/// How much neighbors in noise maps (H, W) correlate: the squared means of the products of each value
/// with its left and with its upper neighbor, around the edges, summed over the maps and their halvings
/// down to eight rows.
///
/// # Errors
/// If a tensor operation fails.
pub fn noise_regularization(maps: &[Tensor]) -> Result<Tensor> {
    let mut terms = Vec::new();
    for map in maps {
        let mut map = map.clone();
        loop {
            for axis in [1, 0] {
                terms.push((&map * map.roll(1, axis)?)?.mean_all()?.sqr()?);
            }
            let (h, w) = map.dims2()?;
            if h <= SMALLEST_NOISE || w < 2 {
                break;
            }
            let even = map.narrow(0, 0, h / 2 * 2)?.narrow(1, 0, w / 2 * 2)?.contiguous()?;
            map = even.reshape((h / 2, 2, w / 2, 2))?.mean((1, 3))?;
        }
    }
    Ok(Tensor::stack(&terms, 0)?.sum_all()?)
}

/// What one step found before it moved.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Distance of the image from the wanted one.
    pub distance: f64,
    /// Correlation of neighbors in the noise maps; 0 without maps.
    pub regularization: f64,
    /// Gradient of the loss by `w`, of the shape of the start.
    pub gradient: Tensor,
}

/// The latent, and what moves it.
#[derive(Debug)]
enum Latent {
    Adam(Adam),
    Lbfgs(Lbfgs),
}

impl Latent {
    /// Where the next image is drawn.
    fn trial(&self) -> Result<Tensor> {
        match self {
            Self::Adam(adam) => Ok(adam.value.clone()),
            Self::Lbfgs(lbfgs) => lbfgs.trial(),
        }
    }

    /// If it does not move any more: the distance there, and the gradient.
    fn stalled(&self) -> Result<Option<(f64, Tensor)>> {
        match self {
            Self::Adam(_) => Ok(None),
            Self::Lbfgs(lbfgs) => lbfgs.stalled(),
        }
    }
}

/// The tensor `name` of a state, as `like` is.
fn restored(state: &BTreeMap<String, Tensor>, name: &str, like: &Tensor) -> Result<Tensor> {
    let found = state.get(name).filter(|found| found.dims() == like.dims());
    let found = found.ok_or_else(|| Error::State(name.to_owned()))?;
    Ok(found.to_dtype(like.dtype())?.to_device(like.device())?)
}

/// A projection under way.
///
/// The loss is the distance plus the weighted [`noise_regularization`]; Adam moves `w` and the maps,
/// which are normalized after each step, or L-BFGS moves `w`.
#[derive(Debug)]
pub struct Projection {
    settings: Projector,
    spread: f64,
    w: Latent,
    maps: Vec<Adam>,
    random: RandomState,
    step: usize,
}

impl Projection {
    /// A projection from `start`: (1, 1, `w_dim`) for one `w` in all style inputs, or (1, `num_ws`,
    /// `w_dim`) for one of each. `maps` are noise maps that are moved, too; without them those of the
    /// checkpoint stay.
    ///
    /// # Errors
    /// If there is no step, or L-BFGS shall move noise maps.
    pub fn new(settings: Projector, start: &Tensor, spread: f64, maps: &[Tensor]) -> Result<Self> {
        if settings.steps == 0 {
            let expected = "at least 1".into();
            return Err(Error::OutOfRange { name: "steps", got: 0.0, expected });
        }
        let w = match settings.optimizer {
            Optimizer::Adam => Latent::Adam(Adam::new(start)?),
            Optimizer::Lbfgs if maps.is_empty() => Latent::Lbfgs(Lbfgs::new(start, FIRST * spread)),
            Optimizer::Lbfgs => return Err(Error::MovedNoise),
        };
        Ok(Self {
            settings,
            spread,
            w,
            maps: maps.iter().map(Adam::new).collect::<Result<_>>()?,
            random: RandomState::new(settings.seed),
            step: 0,
        })
    }

    /// Steps that were taken.
    pub fn taken(&self) -> usize {
        self.step
    }

    /// Whether all steps were taken.
    pub fn is_finished(&self) -> bool {
        self.step >= self.settings.steps
    }

    /// The latent, of the shape of the start.
    pub fn w(&self) -> &Tensor {
        match &self.w {
            Latent::Adam(adam) => &adam.value,
            Latent::Lbfgs(lbfgs) => &lbfgs.value,
        }
    }

    /// The noise maps.
    pub fn maps(&self) -> Vec<Tensor> {
        self.maps.iter().map(|map| map.value.clone()).collect()
    }

    /// One step. `objective` returns the distance of an image (1, C, H, W) in [-1, 1] and the gradient
    /// by that image. Where L-BFGS finds no way down, the latent stays and no image is drawn.
    ///
    /// # Errors
    /// If the generator fails or cannot be differentiated, and those of the objective.
    pub fn step<E: From<Error>>(
        &mut self,
        generator: &dyn Generator,
        synthesis: &Synthesis,
        objective: impl FnOnce(&Tensor) -> Result<(f64, Tensor), E>,
    ) -> Result<Taken, E> {
        if let Some((distance, gradient)) = self.w.stalled()? {
            self.step += 1;
            return Ok(Taken { distance, regularization: 0.0, gradient });
        }
        let (vars, image) = self.image(generator, synthesis)?;
        let (distance, signal) = objective(&image)?;
        Ok(self.descend(&vars, &image, &signal, distance)?)
    }

    /// `w` and the maps as variables, and their image.
    fn image(
        &mut self,
        generator: &dyn Generator,
        synthesis: &Synthesis,
    ) -> Result<(Vec<Var>, Tensor)> {
        let value = self.w.trial()?;
        let noise = self.random.standard_normals(value.elem_count());
        let noise = Tensor::from_vec(noise, value.dims(), &Device::Cpu)?;
        let scale = self.spread * self.settings.noise_at(self.step);
        let all = std::iter::once(&value).chain(self.maps.iter().map(|map| &map.value));
        let vars = all.map(Var::from_tensor).collect::<Result<Vec<_>, _>>()?;
        let noise = (noise * scale)?.to_dtype(value.dtype())?.to_device(value.device())?;
        let moved = (vars[0].as_tensor() + noise)?;
        let info = generator.info();
        let ws = moved.broadcast_as((1, info.num_ws, info.w_dim))?.contiguous()?;
        let maps: Vec<Tensor> = vars[1..].iter().map(|var| var.as_tensor().clone()).collect();
        let image = match &maps[..] {
            [] => generator.synthesize(&ws, synthesis)?,
            maps => generator.synthesize_with_noise(&ws, maps)?,
        };
        Ok((vars, image))
    }

    /// Moves against the gradient of the loss.
    fn descend(
        &mut self,
        vars: &[Var],
        image: &Tensor,
        signal: &Tensor,
        distance: f64,
    ) -> Result<Taken> {
        let mut loss = (image * signal.detach())?.sum_all()?;
        let mut regularization = 0.0;
        if !self.maps.is_empty() {
            let maps: Vec<Tensor> = vars[1..].iter().map(|var| var.as_tensor().clone()).collect();
            let term = noise_regularization(&maps)?;
            regularization = term.to_dtype(DType::F64)?.to_scalar()?;
            loss = (loss + (term * self.settings.regularization)?)?;
        }
        let gradients = loss.backward()?;
        let rate = self.settings.rate_at(self.step);
        self.step += 1;
        let step = self.step;
        let by = |var: &Var| {
            let missing = || Error::Undifferentiated;
            gradients.get(var.as_tensor()).map(Tensor::detach).ok_or_else(missing)
        };
        let gradient = by(&vars[0])?;
        match &mut self.w {
            Latent::Adam(adam) => adam.step(&gradient, rate, step)?,
            Latent::Lbfgs(lbfgs) => lbfgs.tell(distance, &gradient)?,
        }
        for (map, var) in self.maps.iter_mut().zip(&vars[1..]) {
            map.step(&by(var)?, rate, step)?;
            map.normalize()?;
        }
        Ok(Taken { distance, regularization, gradient })
    }

    /// Everything that moves, by name, to go on later.
    ///
    /// # Errors
    /// If a tensor cannot be made.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        match &self.w {
            Latent::Adam(adam) => adam.save("w", &mut state),
            Latent::Lbfgs(lbfgs) => lbfgs.save("w", &mut state)?,
        }
        for (i, map) in self.maps.iter().enumerate() {
            map.save(&format!("noise{i}"), &mut state);
        }
        Ok(state)
    }

    /// Goes on where a projection of the same start and settings had taken `step` steps and had the
    /// state `state`.
    ///
    /// # Errors
    /// If the state lacks a tensor or has one of another shape.
    pub fn resume(mut self, step: usize, state: &BTreeMap<String, Tensor>) -> Result<Self> {
        match &mut self.w {
            Latent::Adam(adam) => adam.restore("w", state)?,
            Latent::Lbfgs(lbfgs) => lbfgs.restore("w", state)?,
        }
        for (i, map) in self.maps.iter_mut().enumerate() {
            map.restore(&format!("noise{i}"), state)?;
        }
        for _ in 0..step {
            self.random.standard_normals(self.w().elem_count());
        }
        Ok(Self { step, ..self })
    }
}

#[cfg(test)]
mod tests {
    use ganscope_golden::arrays;
    use ganscope_model::TruncationKind;

    use super::*;
    use crate::toy::{DIM, NUM_WS, Toy};

    const TOY: Toy = Toy(TruncationKind::Psi);
    /// Closed forms in float64.
    const F64_ROUNDING: f64 = 1e-12;

    fn settings(steps: usize) -> Projector {
        Projector { steps, ..Projector::PUBLISHED }
    }

    #[test]
    fn schedules_are_those_of_the_published_tool() {
        let golden = arrays("latent2.safetensors");
        let of = |name: &str| golden[&format!("projector/schedule1000/{name}")].data.clone();
        let (rates, noises) = (of("lr"), of("w_noise_over_std"));
        let steps = of("step");
        assert!(steps.len() == 20 && rates[0] == 0.0);
        for ((&step, rate), noise) in steps.iter().zip(rates).zip(noises) {
            let found = settings(1000);
            assert!((found.rate_at(step as usize) - rate).abs() < F64_ROUNDING, "{step}");
            assert!((found.noise_at(step as usize) - noise).abs() < F64_ROUNDING, "{step}");
        }
    }

    #[test]
    fn the_image_of_a_latent_is_found_again() {
        let wanted = Tensor::arange(0.0f32, DIM as f32, &Device::Cpu).unwrap();
        let wanted = (wanted / 10.0).unwrap().reshape((1, 1, DIM)).unwrap();
        let whole = wanted.broadcast_as((1, NUM_WS, DIM)).unwrap();
        let target = TOY.synthesize(&whole, &Synthesis::default()).unwrap();
        let objective = |image: &Tensor| -> Result<(f64, Tensor)> {
            let off = (image - &target)?;
            Ok((f64::from(off.sqr()?.sum_all()?.to_scalar::<f32>()?), (off * 2.0)?))
        };
        let start = wanted.zeros_like().unwrap();
        let run = |mut projection: Projection, until: usize| {
            let mut distances = Vec::new();
            while projection.taken() < until {
                let taken = projection.step(&TOY, &Synthesis::default(), objective).unwrap();
                distances.push(taken.distance);
            }
            (projection, distances)
        };
        let values = |p: &Projection| p.w().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (optimizer, steps) in [(Optimizer::Adam, 300), (Optimizer::Lbfgs, 40)] {
            let settings = Projector { optimizer, ..settings(steps) };
            let begin = || Projection::new(settings, &start, 0.1, &[]).unwrap();
            let (end, distances) = run(begin(), steps);
            assert!(end.is_finished() && distances.len() == steps);
            assert!(distances[steps - 1] < 1e-4 * distances[0], "{distances:?}");
            // Part of the way, and the rest after a stop.
            for stop in [steps / 8, steps / 2, steps - 1] {
                let (part, first) = run(begin(), stop);
                let resumed = begin().resume(stop, &part.state().unwrap()).unwrap();
                let (again, rest) = run(resumed, steps);
                assert_eq!(values(&again), values(&end));
                assert_eq!([first, rest].concat(), distances);
            }
            assert!(begin().resume(1, &BTreeMap::new()).unwrap_err().to_string().contains("`w`"));
        }
    }

    #[test]
    fn no_step_and_noise_that_does_not_move_are_refused() {
        let start = Tensor::zeros((1, 1, DIM), DType::F32, &Device::Cpu).unwrap();
        assert!(Projection::new(settings(0), &start, 1.0, &[]).is_err());
        let lbfgs = Projector { optimizer: Optimizer::Lbfgs, ..settings(9) };
        let refused =
            Projection::new(lbfgs, &start, 1.0, std::slice::from_ref(&start)).unwrap_err();
        assert!(refused.to_string().contains("noise maps"));
    }
}
