//! Directions of classes: planes between latents, or between gradients of the odds and their opposites.

use candle_core::Tensor;
use ganscope_explain::Target;
use ganscope_explain::latent::latent_gradient;
use ganscope_latent::boundary::{Boundary, BoundaryOptions, ascent, boundary, conditioned};
use ganscope_model::Synthesis;
use ganscope_stats::Features;

use super::range::{Judge, Judged, Measured};
use super::{DirectionMethod, DirectionsRequest, Found};
use crate::catalog;
use crate::error::{Context as _, Error, Hint, Result};
use crate::latents::Drawing;
use crate::models::classifier::Classifier;
use crate::models::shipped::shipped;
use crate::watch::{Counter, Watch};

/// The classifier of the pictures that shipped generators make.
const SHIPPED_CLASSIFIER: &str = "fashion-cnn";
/// Pictures of seeds that no direction was fitted to, whose realism is the scale; so many are looked at until
/// enough are of the classes that count, at most so often.
const JUDGED: u32 = 1000;
const MOST_LOOKS: u32 = 20;

impl DirectionsRequest {
    pub(super) fn by_class(
        &self,
        drawing: &Drawing,
        codes: &Features,
        watch: &mut dyn Watch,
    ) -> Result<Found> {
        let mut request = self.classifier.clone();
        let named =
            request.model.is_some() || request.weights.is_some() || request.network.is_some();
        if !named && shipped(&self.drawing.model).is_some() {
            request.model = Some(SHIPPED_CLASSIFIER.to_owned());
        }
        let styles = &self.moving(drawing)?;
        let classifier = catalog::open_classifier(&request, watch)?;
        let numbers = |names: &[String]| -> Result<Vec<usize>> {
            if names.is_empty() {
                return Ok((0..classifier.classes()?).collect());
            }
            names.iter().map(|class| classifier.class(class)).collect()
        };
        let (classes, from) = (numbers(&self.classes)?, numbers(&self.from)?);
        let judge = Judge::new(&classifier)?;
        let samples = self.samples as u32;
        let seen = look(drawing, &judge, 0..samples, watch)?;
        let counted = seen.of(&from);
        if counted.len() < 2 {
            let hint = Hint::of("name more classes with {from}, or give more {samples}");
            return Err(self.too_few(&seen, &from).with_hint(hint));
        }
        let fit = Fit { drawing, classifier: &classifier, seen: &seen, styles };
        let mut found = Vec::with_capacity(classes.len());
        for &class in &classes {
            let direction = match self.method {
                DirectionMethod::Gradient => fit.gradient(class, &counted, watch),
                _ => fit.plane(class, &counted, codes, self.share),
            };
            let of = || format!("the direction of {}", classifier.title(class));
            found.push(direction.with_context(of)?);
        }
        let normals: Vec<Vec<f64>> = found.iter().map(|found| found.normal.clone()).collect();
        let normals = if self.independent {
            let alone = |i: usize| {
                let others: Vec<Vec<f64>> = [&normals[..i], &normals[i + 1..]].concat();
                conditioned(&normals[i], &others)
            };
            (0..normals.len()).map(alone).collect::<Result<_, _>>()?
        } else {
            normals
        };
        let vectors: Vec<Vec<f32>> =
            normals.iter().map(|n| n.iter().map(|&v| v as f32).collect()).collect();
        let names = classes.iter().map(|&class| classifier.title(class)).collect();
        let strength = found.iter().map(|f| f.accuracy.unwrap_or(f64::NAN)).collect();

        let (judged, held) = self.hold(drawing, &judge, &from, watch)?;
        let seeds: Vec<u32> = held.iter().map(|&i| samples + i as u32).collect();
        let ws = drawing.sampler.ws(&*drawing.generator.network, &seeds)?;
        let (ws, real, judged, held) = (&ws, &seen.features, &judged, &held[..]);
        let measured = Measured { drawing, judge: &judge, real, ws, judged, held, styles };
        let lines: Vec<(usize, &[f32])> =
            classes.iter().zip(&vectors).map(|(&class, vector)| (class, &vector[..])).collect();
        let reach = measured.reach(&lines, codes, watch)?;
        let shown = seeds.first().copied().filter(|_| !self.from.is_empty());
        Ok((names, vectors, strength, Some(reach), shown))
    }

    /// Style inputs that move.
    fn moving(&self, drawing: &Drawing) -> Result<Vec<usize>> {
        let all = drawing.generator.info().num_ws;
        let styles = self.styles.as_ref().map_or_else(|| (0..all).collect(), |s| s.0.clone());
        match styles.iter().find(|&&style| style >= all) {
            Some(style) => {
                let problem = format!("style {style} is beyond the last one, {}", all - 1);
                Err(Error::request(problem).with_hint(Hint::of("give {styles}")))
            }
            None => Ok(styles),
        }
    }

    /// Pictures of seeds that no direction was fitted to, and which of them are moved: `held` of the classes
    /// that count.
    fn hold(
        &self,
        drawing: &Drawing,
        judge: &Judge<'_>,
        from: &[usize],
        watch: &mut dyn Watch,
    ) -> Result<(Judged, Vec<usize>)> {
        let first = self.samples as u32;
        let count = JUDGED.max(self.held as u32);
        let mut judged = look(drawing, judge, first..first + count, watch)?;
        let mut held = judged.of(from);
        for i in 1..MOST_LOOKS {
            if held.len() >= self.held {
                break;
            }
            let next = first + i * count;
            judged.extend(look(drawing, judge, next..next + count, watch)?)?;
            held = judged.of(from);
        }
        if held.len() >= self.held {
            held.truncate(self.held);
            return Ok((judged, held));
        }
        let hint = Hint::of("name more classes with {from}, or give a smaller {held}");
        Err(self.too_few(&judged, from).with_hint(hint))
    }

    /// What is wrong when too few pictures are of the classes that count.
    fn too_few(&self, seen: &Judged, from: &[usize]) -> Error {
        let (found, all) = (seen.of(from).len(), seen.odds.len());
        Error::request(format!("{found} of {all} pictures are of {}", self.from.join(", ")))
    }
}

/// What directions of classes are fitted to.
struct Fit<'a> {
    drawing: &'a Drawing,
    classifier: &'a Classifier,
    seen: &'a Judged,
    /// Style inputs that move.
    styles: &'a [usize],
}

impl Fit<'_> {
    /// The plane between the latents with the highest and those with the lowest odds of a class, of `counted`.
    fn plane(
        &self,
        class: usize,
        counted: &[usize],
        codes: &Features,
        share: f64,
    ) -> Result<Boundary> {
        let odds: Vec<f64> = counted.iter().map(|&i| self.seen.odds[i][class]).collect();
        let mut rows = Features::new(codes.dim())?;
        counted.iter().try_for_each(|&i| rows.push_rows(codes.row(i)))?;
        let options = BoundaryOptions { share, ..BoundaryOptions::default() };
        Ok(boundary(&rows, &odds, &options)?)
    }

    /// The direction along which the odds of a class rise for as many of `counted` as possible.
    fn gradient(&self, class: usize, counted: &[usize], watch: &mut dyn Watch) -> Result<Boundary> {
        let network = &*self.drawing.generator.network;
        let explainer = &self.classifier.explainer;
        let synthesis = &self.drawing.sampler.synthesis;
        let synthesis = Synthesis { noise_seeds: vec![0], ..synthesis.clone() };
        let info = self.drawing.generator.info();
        let mut moves = vec![0.0_f32; info.num_ws];
        self.styles.iter().for_each(|&style| moves[style] = 1.0);
        let moves = Tensor::from_vec(moves, (1, info.num_ws, 1), network.device())?;
        let mut rows = Features::new(info.w_dim)?;
        let mut counter = Counter::new(watch, "gradients", 0, counted.len());
        for &i in counted {
            let ws = self.drawing.sampler.ws(network, &[i as u32])?;
            let step = ws.narrow(1, 0, 1)?.squeeze(1)?.zeros_like()?;
            let moves = moves.to_dtype(ws.dtype())?;
            let synthesize = |step: &Tensor| {
                let ws = (&ws + moves.broadcast_mul(&step.unsqueeze(1)?)?)?;
                network.synthesize(&ws, &synthesis)
            };
            let weights = by_logits(&self.seen.odds[i], class);
            let target = Target::direction(explainer.classifier().network.output(), &weights);
            let gradient = latent_gradient(explainer, &target, &step, synthesize)?;
            rows.push_rows(&gradient.flatten_all()?.to_dtype(candle_core::DType::F32)?.to_vec1()?)?;
            counter.add()?;
        }
        Ok(ascent(&rows, &BoundaryOptions::default())?)
    }
}

/// The gradient of the logarithm of the odds of a class by the logits: 1 for the class, and for each other one
/// minus its share of the probability that is left. `odds` are the logarithms of the odds of all classes.
fn by_logits(odds: &[f64], class: usize) -> Vec<f64> {
    // Logarithms of probabilities: a sure class leaves so little to share that it would be rounded to nothing.
    let log = |odds: f64| odds.min(0.0) - (-odds.abs()).exp().ln_1p();
    let others = || (0..odds.len()).filter(|&k| k != class);
    let most = others().map(|k| log(odds[k])).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = others().map(|k| (log(odds[k]) - most).exp()).sum();
    let weight = |k: usize| if k == class { 1.0 } else { -(log(odds[k]) - most).exp() / sum };
    (0..odds.len()).map(weight).collect()
}

/// What the classifier says of the pictures of seeds.
fn look(
    drawing: &Drawing,
    judge: &Judge<'_>,
    seeds: std::ops::Range<u32>,
    watch: &mut dyn Watch,
) -> Result<Judged> {
    let mut counter = Counter::new(watch, "pictures", 0, seeds.len());
    let mut all: Option<Judged> = None;
    for pictures in drawing.pictures(seeds) {
        let seen = judge.of(&pictures?)?;
        let all = match &mut all {
            Some(all) => {
                all.extend(seen)?;
                all
            }
            none => none.insert(seen),
        };
        counter.at(all.odds.len())?;
    }
    all.ok_or_else(|| Error::request("there are no pictures to look at"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_of_odds_are_those_of_differences() {
        let logits = [0.3, -1.2, 2.0, 0.9];
        let odds = |logits: &[f64], class: usize| {
            let others = (0..4).filter(|&k| k != class).map(|k| logits[k].exp()).sum::<f64>();
            logits[class] - others.ln()
        };
        let all: Vec<f64> = (0..4).map(|class| odds(&logits, class)).collect();
        assert_eq!(by_logits(&[2e3, -3e3, -2e3], 0), [1.0, 0.0, -1.0]);
        for class in 0..4 {
            let found = by_logits(&all, class);
            for k in 0..4 {
                let moved = |by: f64| {
                    let mut logits = logits;
                    logits[k] += by;
                    odds(&logits, class)
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((found[k] - expected).abs() < 1e-9, "{class} {k}: {found:?} {expected}");
            }
        }
    }
}
