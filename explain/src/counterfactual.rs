//! Counterfactuals by a generator: the nearest latent whose picture a classifier takes for another
//! class.
//!
//! Wachter et al., "Counterfactual Explanations without Opening the Black Box", 2017,
//! <https://arxiv.org/abs/1711.00399>. The nearest point of the boundary is found as structural
//! reliability finds its design point: by projection onto the linear boundary at the last one
//! (Rackwitz and Fiessler, "Structural Reliability under Combined Random Load Sequences", 1978).

use candle_core::Tensor;

use crate::error::require;
use crate::latent::{feature_map, latent_gradient, network_input};
use crate::{Error, Explainer, Result, Target};

/// Share of the last steps in the next one, as in an ascent.
const MOMENTUM: f64 = 0.8;
/// Halvings of the way to the boundary: a thousandth of it.
const HALVINGS: usize = 10;
/// Shortest part of a step towards the nearest point.
const SHORTEST: f64 = 1.0 / 16.0;
/// Steps along the gradient back over the boundary.
const RETURNS: usize = 3;

/// The search for the nearest latent of another class: an ascent until the class changes, or else the
/// way to a latent of that class; then steps along the boundary towards the start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counterfactual {
    /// Steps of the ascent after which it gives up.
    pub steps: usize,
    /// Length of a step of the ascent, above 0.
    pub rate: f64,
    /// Steps along the boundary.
    pub rounds: usize,
    /// By how much the logit of the new class is above all others, at least 0.
    pub margin: f64,
}

/// A latent at which the class is another.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The latent, of the shape of the start.
    pub latent: Tensor,
    /// Its class.
    pub class: usize,
    /// Euclidean distance from the start.
    pub distance: f64,
}

/// How far the sought class is ahead, and what raises that.
struct Lead {
    value: f64,
    target: Target,
    class: usize,
}

/// The latents around a start.
struct Search<'a, F> {
    explainer: &'a Explainer,
    start: &'a Tensor,
    synthesize: F,
    /// The class that is sought; another than `from` if missing.
    to: Option<usize>,
    from: usize,
    margin: f64,
}

impl Counterfactual {
    /// The nearest latent to `start` that is found to be of the class `to`, or of another than now if
    /// that is missing; nothing if neither the ascent nor one of `ends` is of that class. These are
    /// latents of other pictures; the nearest of the class is taken.
    ///
    /// `synthesize` makes one image of a latent, (1, C, H, W) nominally in [-1, 1], by operations that
    /// candle can differentiate. The search is local: there may be a nearer latent elsewhere.
    ///
    /// # Errors
    /// If an option is out of range, there is no such class or it is the present one, and those of
    /// `synthesize`.
    pub fn explain<F: Fn(&Tensor) -> ganscope_model::Result<Tensor>>(
        &self,
        explainer: &Explainer,
        to: Option<usize>,
        start: &Tensor,
        ends: &[Tensor],
        synthesize: F,
    ) -> Result<Option<Changed>> {
        let positive = self.rate > 0.0 && self.rate.is_finite();
        require(positive, "the rate", "above 0", self.rate)?;
        let holds = self.margin >= 0.0 && self.margin.is_finite();
        require(holds, "the margin", "at least 0", self.margin)?;
        let logits = logits_of(explainer, &synthesize(start)?)?;
        let from = largest(&logits, None);
        if let Some(index) = to.filter(|&class| class >= logits.len()) {
            return Err(Error::Class { index, count: logits.len() });
        }
        require(to != Some(from), "the class", "another than that of the picture", from)?;
        let search =
            Search { explainer, start, synthesize, to, from, margin: self.margin.max(1e-6) };
        let first = match search.ascent(self.steps, self.rate)? {
            None => search.nearest_of(ends)?,
            found => found,
        };
        let Some(first) = first else { return Ok(None) };
        let latent = search.nearest(first, self.rounds)?;
        let class = search.lead(&latent)?.class;
        let distance = length(&(&latent - start)?)?;
        Ok(Some(Changed { latent, class, distance }))
    }
}

impl<F: Fn(&Tensor) -> ganscope_model::Result<Tensor>> Search<'_, F> {
    /// How far the sought class is ahead of the best other one, beyond the margin.
    fn lead(&self, latent: &Tensor) -> Result<Lead> {
        let logits = logits_of(self.explainer, &(self.synthesize)(latent)?)?;
        let (class, other) = match self.to {
            Some(to) => (to, largest(&logits, Some(to))),
            None => (largest(&logits, Some(self.from)), self.from),
        };
        let target = Target::contrast(&self.explainer.classifier().network, class, other);
        Ok(Lead { value: logits[class] - logits[other] - self.margin, target, class })
    }

    fn gradient(&self, latent: &Tensor, lead: &Lead) -> Result<Tensor> {
        latent_gradient(self.explainer, &lead.target, latent, &self.synthesize)
    }

    /// A latent beyond the boundary, by steps of equal length along a running mean of gradients.
    fn ascent(&self, steps: usize, rate: f64) -> Result<Option<Tensor>> {
        let mut latent = self.start.detach();
        let mut velocity = latent.zeros_like()?;
        for _ in 0..steps {
            let lead = self.lead(&latent)?;
            if lead.value >= 0.0 {
                return Ok(Some(latent));
            }
            let gradient = self.gradient(&latent, &lead)?;
            let norm = length(&gradient)?;
            if norm == 0.0 {
                return Ok(None);
            }
            velocity = ((velocity * MOMENTUM)? + (gradient * ((1.0 - MOMENTUM) / norm))?)?;
            latent = (latent + (&velocity * rate)?)?;
        }
        Ok((self.lead(&latent)?.value >= 0.0).then_some(latent))
    }

    /// The one of these latents beyond the boundary that is nearest to the start.
    fn nearest_of(&self, ends: &[Tensor]) -> Result<Option<Tensor>> {
        let away = |end: &Tensor| length(&(end - self.start)?);
        let mut order = ends.iter().map(|end| Ok((away(end)?, end))).collect::<Result<Vec<_>>>()?;
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (_, end) in order {
            if self.lead(end)?.value >= 0.0 {
                return Ok(Some(end.clone()));
            }
        }
        Ok(None)
    }

    /// Between the start and `end`, which is beyond the boundary, a latent just beyond it.
    fn shortened(&self, end: &Tensor) -> Result<Tensor> {
        let way = (end - self.start)?;
        let at = |share: f64| self.start + (&way * share)?;
        let (mut short, mut long) = (0.0, 1.0);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (short + long);
            if self.lead(&at(middle)?)?.value >= 0.0 { long = middle } else { short = middle }
        }
        Ok(at(long)?)
    }

    /// Goes along the boundary as long as that leads nearer to the start.
    fn nearest(&self, first: Tensor, rounds: usize) -> Result<Tensor> {
        let mut best = self.shortened(&first)?;
        let mut distance = length(&(&best - self.start)?)?;
        let mut step = 1.0;
        for _ in 0..rounds {
            let lead = self.lead(&best)?;
            let gradient = self.gradient(&best, &lead)?;
            let square = dot(&gradient, &gradient)?;
            if square == 0.0 || distance == 0.0 {
                break;
            }
            // The point of the linear boundary that is nearest to the start.
            let along = (dot(&(&best - self.start)?, &gradient)? - lead.value) / square;
            let aim = (self.start + (gradient * along)?)?;
            let nearer = loop {
                let candidate = (&best + ((&aim - &best)? * step)?)?;
                let beyond =
                    self.returned(candidate)?.map(|end| self.shortened(&end)).transpose()?;
                let nearer = match beyond {
                    Some(end) => Some((length(&(&end - self.start)?)?, end)),
                    None => None,
                };
                if let Some(nearer) = nearer.filter(|(found, _)| *found < distance) {
                    break Some(nearer);
                }
                step *= 0.5;
                if step < SHORTEST {
                    break None;
                }
            };
            let Some((found, end)) = nearer else { break };
            (distance, best) = (found, end);
        }
        Ok(best)
    }

    /// A latent beyond the boundary near `latent`, by steps along the gradient; nothing if there is none.
    fn returned(&self, mut latent: Tensor) -> Result<Option<Tensor>> {
        for _ in 0..=RETURNS {
            let lead = self.lead(&latent)?;
            if lead.value >= 0.0 {
                return Ok(Some(latent));
            }
            let gradient = self.gradient(&latent, &lead)?;
            let square = dot(&gradient, &gradient)?;
            if square == 0.0 {
                return Ok(None);
            }
            latent = (latent + (gradient * (1.1 * -lead.value / square))?)?;
        }
        Ok(None)
    }
}

/// The logits of a picture, (1, C, H, W) nominally in [-1, 1].
fn logits_of(explainer: &Explainer, image: &Tensor) -> Result<Vec<f64>> {
    let logits = explainer.logits(&feature_map(&network_input(explainer, image)?)?)?;
    Ok(logits.data.iter().map(|&logit| f64::from(logit)).collect())
}

/// The class of the largest logit but for `except`.
fn largest(logits: &[f64], except: Option<usize>) -> usize {
    let others = logits.iter().enumerate().filter(|(class, _)| Some(*class) != except);
    others.max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class)
}

fn dot(a: &Tensor, b: &Tensor) -> Result<f64> {
    Ok(f64::from((a * b)?.sum_all()?.to_scalar::<f32>()?))
}

fn length(tensor: &Tensor) -> Result<f64> {
    Ok(dot(tensor, tensor)?.sqrt())
}
