//! How good an explanation is: positivity, continuity, selectivity. A [`Subject`] takes all of them,
//! and those of [`road`](crate::road). Conservation stands with
//! [`Relevance`](crate::Relevance::conservation_error).
//!
//! Montavon, Samek and Mueller, "Methods for Interpreting and Understanding Deep Neural Networks",
//! 2017, <https://arxiv.org/abs/1706.07979>; Samek et al., "Evaluating the Visualization of What a
//! Deep Neural Network Has Learned", 2015, <https://arxiv.org/abs/1509.06321>.

use ganscope_model::network::Real;
use ganscope_model::{FeatureMap, Shape};
use ganscope_stats::random::RandomState;
use serde::Serialize;

use crate::cam::enlarge;
use crate::error::require;
use crate::gradient::one_image;
use crate::road::Road;
use crate::{Error, Explainer, Explanation, Method, Prepared, Result, Settings, Target};

/// Share of positive values in the sum of absolute values: 1 if nothing speaks against the target.
pub fn positivity<T: Real>(map: &FeatureMap<T>) -> f64 {
    let values = || map.data.iter().map(|v| v.to_f64());
    let positive: f64 = values().map(|v| v.max(0.0)).sum();
    positive / values().map(f64::abs).sum::<f64>()
}

/// Largest `|R(x) - R(x')|_1 / |x - x'|_2` over `samples` neighbors `x'` of an image `x`, which
/// differ from it by Gaussian noise of standard deviation `noise`: small where explanations change
/// little when the image does.
///
/// # Errors
/// If there are no samples or no noise, and those of `explain`.
pub fn continuity(
    image: &FeatureMap,
    noise: f64,
    samples: usize,
    seed: u32,
    mut explain: impl FnMut(&FeatureMap) -> Result<FeatureMap>,
) -> Result<f64> {
    require(samples > 0, "the number of samples", "at least 1", samples)?;
    require(noise > 0.0 && noise.is_finite(), "the noise", "positive", noise)?;
    let mut random = RandomState::new(seed);
    let here = explain(image)?;
    let mut largest = 0.0_f64;
    for _ in 0..samples {
        let mut moved = image.clone();
        moved.data.iter_mut().for_each(|v| *v += (noise * random.standard_normal()) as f32);
        let there = explain(&moved)?;
        let pairs = |a: &FeatureMap, b: &FeatureMap| -> Vec<f64> {
            a.data.iter().zip(&b.data).map(|(a, b)| f64::from(a - b)).collect()
        };
        let change: f64 = pairs(&here, &there).iter().map(|d| d.abs()).sum();
        let distance = pairs(image, &moved).iter().map(|d| d * d).sum::<f64>().sqrt();
        largest = largest.max(change / distance);
    }
    Ok(largest)
}

/// The same map elsewhere: moved by a random way, what leaves on one side coming in on the other, and
/// mirrored by chance in each direction.
///
/// How a map is shaped matters as well as where it points: a hole is missed more than as many single
/// pixels that their neighbors make up for, and squares of one color all over an image more than one
/// hole. The same map elsewhere has the same shape.
pub fn elsewhere<T: Real>(map: &FeatureMap<T>, random: &mut RandomState) -> FeatureMap<T> {
    let Shape { c, h, w } = map.shape;
    let mut place = |size: usize| {
        let start = (random.uniform() * size as f64) as usize;
        let mirrored = random.uniform() < 0.5;
        move |i: usize| (start + if mirrored { size - 1 - i } else { i }) % size
    };
    let (row, column) = (place(h), place(w));
    let data = map.data.chunks_exact(c * h * w).flat_map(|image| {
        (0..h * w).flat_map(move |i| {
            let from = row(i / w) * w + column(i % w);
            image[c * from..c * (from + 1)].iter().copied()
        })
    });
    FeatureMap { data: data.collect(), ..*map }
}

/// Which end of the curve an image starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// The most relevant pixels are replaced first: a good explanation makes the score fall fast.
    Deletion,
    /// The most relevant pixels are put back first: a good one makes it rise fast.
    Insertion,
}

/// Replacing an image by a baseline, or the other way round, patch by patch in the order of
/// relevance.
///
/// Single pixels that differ from their neighbors disturb a network wherever they lie; patches ask
/// what the place means to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selectivity {
    /// Which way.
    pub curve: Curve,
    /// Side of the square patches, in pixels.
    pub patch: usize,
    /// Points of the curve after the first.
    pub steps: usize,
    /// Images that are scored together.
    pub batch: usize,
}

impl Selectivity {
    /// Score after each step; the first value is that of the image (of the baseline for insertion),
    /// the last that of the other. `score` gives a number for each image of a batch.
    ///
    /// The relevance of a patch is the sum over its pixels and channels; equal ones go from the upper
    /// left to the lower right. `baseline` is an image of the same size.
    ///
    /// # Errors
    /// If relevance or baseline are not of the size of the image, there are more steps than
    /// patches, the batch is empty, and those of `score`.
    pub fn measure(
        &self,
        image: &FeatureMap,
        baseline: &FeatureMap,
        relevance: &FeatureMap,
        mut score: impl FnMut(&FeatureMap) -> Result<Vec<f64>>,
    ) -> Result<Vec<f64>> {
        one_image(image)?;
        same_place(image, relevance)?;
        let shape = image.shape;
        if baseline.shape != shape || baseline.n != 1 {
            let (expected, got) = (format!("{shape:?}"), format!("{:?}", baseline.shape));
            return Err(Error::Mismatch { what: "baseline", expected, got });
        }
        require(self.patch > 0, "the patch", "at least 1", self.patch)?;
        require(self.batch > 0, "the batch", "at least 1", self.batch)?;
        let columns = shape.w.div_ceil(self.patch);
        let patches = shape.h.div_ceil(self.patch) * columns;
        let fits = (1..=patches).contains(&self.steps);
        require(fits, "the number of steps", "1 to the number of patches", self.steps)?;

        let patch_of =
            |pixel: usize| pixel / shape.w / self.patch * columns + pixel % shape.w / self.patch;
        let (mut sums, mut pixels) = (vec![0.0; patches], vec![Vec::new(); patches]);
        for (pixel, values) in relevance.data.chunks_exact(relevance.shape.c).enumerate() {
            sums[patch_of(pixel)] += values.iter().map(|&v| f64::from(v)).sum::<f64>();
            pixels[patch_of(pixel)].push(pixel);
        }
        let mut order: Vec<usize> = (0..patches).collect();
        order.sort_by(|&a, &b| sums[b].total_cmp(&sums[a]).then(a.cmp(&b)));
        let (mut current, other) = match self.curve {
            Curve::Deletion => (image.clone(), baseline),
            Curve::Insertion => (baseline.clone(), image),
        };
        let mut scores = Vec::with_capacity(self.steps + 1);
        for points in (0..=self.steps).collect::<Vec<_>>().chunks(self.batch) {
            let mut batch = Vec::with_capacity(points.len() * current.data.len());
            for &point in points {
                let before = point.saturating_sub(1) * patches / self.steps;
                let changed = &order[before..point * patches / self.steps];
                for &pixel in changed.iter().flat_map(|&patch| &pixels[patch]) {
                    let values = pixel * shape.c..(pixel + 1) * shape.c;
                    current.data[values.clone()].copy_from_slice(&other.data[values]);
                }
                batch.extend_from_slice(&current.data);
            }
            scores.extend(score(&FeatureMap::new(points.len(), shape, batch)?)?);
        }
        Ok(scores)
    }
}

/// Checks that `relevance` has one value or more for each pixel of `image`.
pub(crate) fn same_place(image: &FeatureMap, relevance: &FeatureMap) -> Result<()> {
    let (size, map) = (image.shape, relevance.shape);
    if (map.h, map.w, relevance.n) == (size.h, size.w, 1) {
        return Ok(());
    }
    let (expected, got) = (format!("{} x {}", size.h, size.w), format!("{} x {}", map.h, map.w));
    Err(Error::Mismatch { what: "height and width of the relevance", expected, got })
}

/// Mean height of a curve by the trapezoid rule.
///
/// # Panics
/// If the curve has fewer than two points.
pub fn area(curve: &[f64]) -> f64 {
    assert!(curve.len() > 1, "an area needs two points");
    let sum: f64 = curve.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])).sum();
    sum / (curve.len() - 1) as f64
}

/// Most steps of a deletion or insertion curve.
const STEPS: usize = 49;
/// Patches along a side of an image in those curves.
const PATCHES: usize = 14;
/// Random orders, and places of the same map, that a map is compared with.
const CHANCES: usize = 10;
/// Images of a curve that are scored together.
const BATCH: usize = 10;
/// Noise of the neighbors of an image, on the scale of the network's input.
const NOISE: f64 = 0.05;
/// Neighbors of an image.
const NEIGHBORS: usize = 4;

/// How good a map is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measures {
    /// [`positivity`].
    pub positivity: f64,
    /// [`continuity`].
    pub continuity: f64,
    /// Mean probability while patches are replaced by the baseline, the most relevant first.
    pub deletion: f64,
    /// Mean probability while patches are restored on the baseline, the most relevant first.
    pub insertion: f64,
    /// Mean probability while 10 to 90 % of the pixels, the most relevant first, take the values that
    /// their neighbors suggest ([`Road`]).
    pub road: f64,
    /// Mean of `road` over the same map [`elsewhere`]: what its shape alone does.
    pub road_elsewhere: f64,
}

/// What a map without any knowledge reaches: patches and pixels in random order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct RandomOrder {
    /// As [`Measures::deletion`].
    pub deletion: f64,
    /// As [`Measures::insertion`].
    pub insertion: f64,
    /// As [`Measures::road`].
    pub road: f64,
}

/// An image and what is asked of it, so that maps can be made and measured.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The classifier.
    pub explainer: &'a Explainer,
    /// The image.
    pub image: Prepared,
    /// The number that is explained.
    pub target: Target,
    /// The class whose probability the measures follow.
    pub class: usize,
    /// The class that it is compared with; all others if missing.
    pub against: Option<usize>,
    /// Network input of the baseline, by channel.
    pub baseline: &'a [f32],
}

impl Subject<'_> {
    /// Explains the target by one method.
    ///
    /// # Errors
    /// Those of the method.
    pub fn explain(&self, method: Method, settings: &Settings) -> Result<Explanation> {
        self.explainer.explain(method, &self.image, &self.target, settings)
    }

    /// The measures of a map that `method` made.
    ///
    /// # Errors
    /// Those of the method, and if the map holds a value that is not finite.
    pub fn measure(
        &self,
        method: Method,
        map: &FeatureMap,
        settings: &Settings,
    ) -> Result<Measures> {
        let input = &self.image.input;
        let again = |moved: &FeatureMap| {
            let image = Prepared { input: moved.clone(), ..self.image.clone() };
            Ok(self.explainer.explain(method, &image, &self.target, settings)?.map)
        };
        let (h, w) = (input.shape.h, input.shape.w);
        let map = if (map.shape.h, map.shape.w) == (h, w) { map } else { &enlarge(map, [h, w]) };
        let mut random = RandomState::new(0);
        let places = (0..CHANCES).map(|_| self.road(&elsewhere(map, &mut random)));
        Ok(Measures {
            road_elsewhere: places.sum::<Result<f64>>()? / CHANCES as f64,
            positivity: positivity(map),
            continuity: continuity(input, NOISE, NEIGHBORS, 0, again)?,
            deletion: self.area(Curve::Deletion, map)?,
            insertion: self.area(Curve::Insertion, map)?,
            road: self.road(map)?,
        })
    }

    /// The mean over random maps.
    ///
    /// # Errors
    /// If the image does not suit the network.
    pub fn random_order(&self) -> Result<RandomOrder> {
        let Shape { h, w, .. } = self.image.input.shape;
        let mut random = RandomState::new(0);
        let mut mean = RandomOrder::default();
        for _ in 0..CHANCES {
            let noise = (0..h * w).map(|_| random.uniform() as f32).collect();
            let map = FeatureMap::new(1, Shape { c: 1, h, w }, noise)?;
            mean.deletion += self.area(Curve::Deletion, &map)? / CHANCES as f64;
            mean.insertion += self.area(Curve::Insertion, &map)? / CHANCES as f64;
            mean.road += self.road(&map)? / CHANCES as f64;
        }
        Ok(mean)
    }

    /// Probabilities of the class, among all or against the other one.
    fn probabilities(&self, images: &FeatureMap) -> Result<Vec<f64>> {
        let probability = |all: Vec<f64>| {
            let other = self.against.map_or(1.0 - all[self.class], |other| all[other]);
            all[self.class] / (all[self.class] + other)
        };
        Ok(self.explainer.probabilities(images)?.into_iter().map(probability).collect())
    }

    /// Area under the curve of the probability.
    fn area(&self, curve: Curve, map: &FeatureMap) -> Result<f64> {
        let input = &self.image.input;
        let (h, w) = (input.shape.h, input.shape.w);
        let patch = (h / PATCHES).max(1);
        let steps = STEPS.min(h.div_ceil(patch) * w.div_ceil(patch));
        let baseline = FeatureMap {
            data: self.baseline.repeat(input.data.len() / self.baseline.len()),
            ..input.clone()
        };
        let selectivity = Selectivity { curve, patch, steps, batch: BATCH };
        let score = |images: &FeatureMap| self.probabilities(images);
        Ok(area(&selectivity.measure(input, &baseline, map, score)?))
    }

    /// Mean probability over the shares of removed pixels.
    fn road(&self, map: &FeatureMap) -> Result<f64> {
        let score = |images: &FeatureMap| self.probabilities(images);
        let scores = Road::default().measure(&self.image.input, map, score)?;
        Ok(scores.iter().sum::<f64>() / scores.len() as f64)
    }
}
