//! What a classifier says about pictures along a direction, and how far one may go.

use candle_core::Tensor;
use ganscope_images::Image;
use ganscope_model::{Engine, FeatureMap};
use ganscope_prdc::realism;
use ganscope_stats::Features;
use serde::Serialize;
use statrs::function::beta::ln_beta;
use statrs::function::factorial::ln_binomial;

use super::{moved, spread};
use crate::error::{Error, Result};
use crate::latents::Drawing;
use crate::models::classifier::Classifier;
use crate::watch::{Counter, Watch};

/// So many of so many further pictures must keep to a range, with this probability.
const KEEP: u64 = 90;
const FURTHER: u64 = 100;
const SURE: f64 = 0.95;
/// Part of all pictures that are less real than the least real that counts.
const UNREAL: f64 = 0.05;
/// Pictures whose manifold is what is real, at most, and the neighbor that is as far as a ball reaches.
const MANIFOLD: usize = 4096;
const NEIGHBOR: usize = 3;
/// Length of a step, in spreads of W along the direction; steps to one spread, and in all.
const STEP: f64 = 0.25;
const TO_ONE: usize = 4;
const MOST_STEPS: usize = 12;

/// How far one may go along a direction of a class, away from it and towards it, in spreads of W along the
/// direction, at most 3, in steps of a quarter. Measured on pictures of seeds that the direction was not fitted
/// to: so many of them must keep to it that of 100 further ones 90 do with a probability of 95 %, if every share
/// of all was as likely before: 97 of 100, or 378 of 400.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Reach {
    /// Up to where pictures stay as real as 95 % of samples are, or as they were: their realism
    /// (Kynkäänniemi et al., 2019) among samples, by the last features of the classifier.
    pub real: [f64; 2],
    /// Up to where, beside that, the odds of the class fall or rise at each step.
    pub safe: [f64; 2],
    /// Share of the pictures whose odds have fallen or risen after one spread.
    pub turned: [f64; 2],
}

/// A classifier that looks at pictures.
pub(super) struct Judge<'a> {
    classifier: &'a Classifier,
    engine: Engine,
}

/// What it says.
pub(super) struct Judged {
    /// Logarithm of the odds of each class, for each picture.
    pub(super) odds: Vec<Vec<f64>>,
    /// What the last layer of the classifier takes, for each picture.
    pub(super) features: Features,
}

impl<'a> Judge<'a> {
    /// A judge whose features are the input of the last step of the classifier.
    pub(super) fn new(classifier: &'a Classifier) -> Result<Self> {
        let network = &classifier.explainer.classifier().network;
        let output = network.output();
        let last = network.steps().last().and_then(|step| step.inputs.first().copied());
        let features = last.ok_or_else(|| Error::request("the classifier has no layers"))?;
        Ok(Self { classifier, engine: Engine::new(network.clone(), &[features, output]) })
    }

    /// Looks at pictures, at least one.
    pub(super) fn of(&self, pictures: &[Image]) -> Result<Judged> {
        let explainer = &self.classifier.explainer;
        let inputs = pictures.iter().map(|picture| Ok(explainer.prepare(picture)?.input));
        let inputs = inputs.collect::<Result<Vec<FeatureMap>>>()?;
        let size = inputs.first().map_or([0, 0], |input| [input.shape.h, input.shape.w]);
        let values: Vec<f32> = inputs.into_iter().flat_map(|input| input.data).collect();
        let found = self.engine.run(&values, (pictures.len(), size[0], size[1]))?;
        let [features, logits] = &found[..] else {
            return Err(Error::request("the classifier has no output"));
        };
        let odds = (0..logits.n).map(|i| log_odds(logits.image(i))).collect();
        let rows = features.spatial_mean();
        let features = Features::from_vec(rows, features.shape.c)?;
        Ok(Judged { odds, features })
    }
}

/// `logit - ln sum exp(other logits)` of each class.
fn log_odds(logits: &[f32]) -> Vec<f64> {
    let of = |class: usize| {
        let others = || logits.iter().enumerate().filter(move |&(i, _)| i != class);
        let most = others().map(|(_, &logit)| f64::from(logit)).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = others().map(|(_, &logit)| (f64::from(logit) - most).exp()).sum();
        f64::from(logits[class]) - most - sum.ln()
    };
    (0..logits.len()).map(of).collect()
}

impl Judged {
    /// Adds what it says of more pictures.
    pub(super) fn extend(&mut self, more: Self) -> Result<()> {
        self.odds.extend(more.odds);
        Ok(self.features.push_rows(more.features.as_slice())?)
    }

    /// The pictures whose likeliest class is one of `classes`.
    pub(super) fn of(&self, classes: &[usize]) -> Vec<usize> {
        let likeliest = |odds: &[f64]| {
            let all = odds.iter().enumerate();
            all.max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class)
        };
        (0..self.odds.len()).filter(|&i| classes.contains(&likeliest(&self.odds[i]))).collect()
    }
}

/// Directions of classes, and the pictures that they are measured on.
pub(super) struct Measured<'a> {
    pub(super) drawing: &'a Drawing,
    pub(super) judge: &'a Judge<'a>,
    /// Features of the pictures that are real.
    pub(super) real: &'a Features,
    /// Style inputs of the pictures that are moved.
    pub(super) ws: &'a Tensor,
    /// What the classifier says of the judged pictures.
    pub(super) judged: &'a Judged,
    /// Which of them are moved.
    pub(super) held: &'a [usize],
    /// Style inputs that move.
    pub(super) styles: &'a [usize],
}

/// One side of a direction.
struct Side<'a> {
    direction: usize,
    class: usize,
    vector: &'a [f32],
    /// Length of a step, with its sign.
    step: f64,
    /// Odds of each picture at the start and at the last step.
    odds: [Vec<f64>; 2],
    /// Whether each picture has been real so far, and whether its odds have gone one way, too.
    kept: [Vec<bool>; 2],
}

impl Measured<'_> {
    /// How far one may go along each direction of a class, whose spread is that of `codes`.
    pub(super) fn reach(
        &self,
        directions: &[(usize, &[f32])],
        codes: &Features,
        watch: &mut dyn Watch,
    ) -> Result<Vec<Reach>> {
        let samples = first_rows(self.real, MANIFOLD)?;
        let start = realism(&self.judged.features, &samples, NEIGHBOR)?;
        let mut sorted = start.clone();
        sorted.sort_by(f64::total_cmp);
        let floor = sorted[(sorted.len() as f64 * UNREAL) as usize];
        let count = self.ws.dim(0)?;
        let mut sides = self.sides(directions, codes)?;
        let mut reach = vec![Reach::default(); directions.len()];
        let mut counter = Counter::new(watch, "steps along directions", 0, MOST_STEPS);
        for step in 1..=MOST_STEPS {
            let mut features = Features::new(self.judged.features.dim())?;
            for side in &mut sides {
                let ws = moved(self.ws, side.vector, side.step * step as f64, self.styles)?;
                let judged = self.judge.of(&self.drawing.render(&ws)?)?;
                features.push_rows(judged.features.as_slice())?;
                for (i, odds) in judged.odds.iter().map(|odds| odds[side.class]).enumerate() {
                    let change = (odds - side.odds[1][i]) * side.step.signum();
                    side.kept[1][i] &= change >= 0.0;
                    side.odds[1][i] = odds;
                }
            }
            if sides.is_empty() {
                break;
            }
            let realism = realism(&features, &samples, NEIGHBOR)?;
            for (side, realism) in sides.iter_mut().zip(realism.chunks(count)) {
                for (i, &realism) in realism.iter().enumerate() {
                    let real = realism >= floor.min(start[self.held[i]]);
                    side.kept.iter_mut().for_each(|kept| kept[i] &= real);
                }
                side.tell(&mut reach[side.direction], step);
            }
            sides.retain(|side| step < TO_ONE || holds(&side.kept[0]));
            counter.at(step)?;
        }
        Ok(reach)
    }

    /// Both sides of each direction, at the start.
    fn sides<'d>(
        &self,
        directions: &[(usize, &'d [f32])],
        codes: &Features,
    ) -> Result<Vec<Side<'d>>> {
        let count = self.ws.dim(0)?;
        let mut sides = Vec::new();
        for (direction, &(class, vector)) in directions.iter().enumerate() {
            let step = STEP * spread(codes, vector);
            let odds: Vec<f64> = self.held.iter().map(|&i| self.judged.odds[i][class]).collect();
            for step in [-step, step] {
                let odds = [odds.clone(), odds.clone()];
                let kept = [vec![true; count], vec![true; count]];
                sides.push(Side { direction, class, vector, step, odds, kept });
            }
        }
        Ok(sides)
    }
}

impl Side<'_> {
    /// Adds to the reach of the direction what this step, counted from 1, has shown.
    fn tell(&self, reach: &mut Reach, step: usize) {
        let (side, distance) = (usize::from(self.step > 0.0), STEP * step as f64);
        for (range, kept) in [&mut reach.real, &mut reach.safe].into_iter().zip(&self.kept) {
            if range[side] == distance - STEP && holds(kept) {
                range[side] = distance;
            }
        }
        if step == TO_ONE {
            let [start, end] = &self.odds;
            let turned: Vec<bool> =
                start.iter().zip(end).map(|(a, b)| (b - a) * self.step > 0.0).collect();
            reach.turned[side] = share(&turned);
        }
    }
}

/// Share of the values that are true.
fn share(values: &[bool]) -> f64 {
    values.iter().filter(|&&value| value).count() as f64 / values.len().max(1) as f64
}

/// Whether so many are true that enough further ones are: their number has a beta-binomial distribution, if
/// every share of true ones was as likely before.
fn holds(kept: &[bool]) -> bool {
    let trues = kept.iter().filter(|&&kept| kept).count();
    let [a, b] = [trues, kept.len() - trues].map(|count| count as f64 + 1.0);
    let chance = |trues: u64| {
        let falses = FURTHER - trues;
        let log = ln_beta(a + trues as f64, b + falses as f64) - ln_beta(a, b);
        (ln_binomial(FURTHER, trues) + log).exp()
    };
    (KEEP..=FURTHER).map(chance).sum::<f64>() >= SURE
}

/// The first `count` rows, or all.
fn first_rows(features: &Features, count: usize) -> Result<Features> {
    let count = count.min(features.len()) * features.dim();
    Ok(Features::from_vec(features.as_slice()[..count].to_vec(), features.dim())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_where_one_picture_too_many_leaves_it() {
        let start = vec![0.0; 100];
        let mut side = Side {
            direction: 0,
            class: 0,
            vector: &[],
            step: -0.5,
            odds: [start.clone(), start.iter().map(|_| -1.0).collect()],
            kept: [vec![true; 100], vec![true; 100]],
        };
        side.odds[1][0] = 1.0;
        let mut reach = Reach::default();
        side.kept[1][..3].fill(false);
        (1..=2).for_each(|step| side.tell(&mut reach, step));
        side.kept[1][3] = false;
        (3..=4).for_each(|step| side.tell(&mut reach, step));
        // What comes back is not what has stayed.
        side.kept[1][3] = true;
        side.tell(&mut reach, 5);
        assert_eq!(reach, Reach { real: [1.25, 0.0], safe: [0.5, 0.0], turned: [0.99, 0.0] });
    }

    #[test]
    fn more_pictures_leave_less_to_chance() {
        // `scipy.stats.betabinom.sf(89, 100, kept + 1, of - kept + 1)`: 0.9766 and 0.9498, 0.9556 and 0.9453,
        // 0.9513 and 0.9468.
        for (kept, of, expected) in [
            (97, 100, true),
            (96, 100, false),
            (378, 400, true),
            (377, 400, false),
            (29, 29, true),
            (28, 28, false),
        ] {
            let all: Vec<bool> = (0..of).map(|i| i < kept).collect();
            assert_eq!(holds(&all), expected, "{kept} of {of}");
        }
    }

    #[test]
    fn odds_of_sure_classes_are_finite() {
        let found = log_odds(&[200.0, 0.0, 0.0]);
        assert!((found[0] - (200.0 - 2f64.ln())).abs() < 1e-12);
        assert!((found[1] + 200.0).abs() < 1e-12, "{}", found[1]);
        let two = log_odds(&[1.0, 3.0]);
        assert_eq!(two, [-2.0, 2.0]);
    }
}
