//! Activation maximisation: the image that a class or unit answers to most.
//!
//! Simonyan et al., "Deep Inside Convolutional Networks", 2013, <https://arxiv.org/abs/1312.6034>.

use ganscope_model::network::{Rectifier, Walker};
use ganscope_model::{Classifier, FeatureMap, Shape};
use ganscope_stats::random::RandomState;

use crate::error::require;
use crate::gradient::{gradient, one_image};
use crate::{Result, Target};

/// Gradient ascent on `target(x) - decay |x|^2 - variation TV(x)`, where `TV` is the sum of squared
/// differences of neighboring pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Maximization {
    /// Steps of the ascent.
    pub steps: usize,
    /// Length of a step, as a root mean square over the image.
    pub rate: f64,
    /// Weight of the squared length of the image.
    pub decay: f64,
    /// Weight of the total variation.
    pub variation: f64,
    /// The image is shifted by up to so many pixels, around its border, at every step.
    pub jitter: usize,
    /// Standard deviation of a Gaussian blur after every step, in pixels; 0 for none.
    pub blur: f64,
    /// Lowest and highest network input.
    pub range: [f32; 2],
    /// Seed of the shifts.
    pub seed: u32,
}

impl Default for Maximization {
    fn default() -> Self {
        Self {
            steps: 200,
            rate: 0.05,
            decay: 1e-4,
            variation: 0.0,
            jitter: 4,
            blur: 0.0,
            range: [-2.5, 2.5],
            seed: 0,
        }
    }
}

/// Standard deviation of the noise that an ascent starts from, on the scale of the network's input.
const START: f64 = 0.1;

/// Lowest and highest network input that a pixel of an image can have, over all channels.
pub fn input_range(classifier: &Classifier) -> [f32; 2] {
    let channels = 0..classifier.network.in_channels();
    let inputs = channels.flat_map(|c| [0.0, 255.0].map(|x| classifier.normalization.apply(c, x)));
    inputs.fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], v| [low.min(v), high.max(v)])
}

/// Faint noise to start an ascent from, (1, C, H, W) of the size of the network's input: standard
/// normal values times 0.1, channel last, the same for the same seed.
///
/// # Errors
/// If the input has no pixel.
pub fn faint_noise(classifier: &Classifier, seed: u32) -> Result<FeatureMap> {
    let size = classifier.input_size;
    let shape = Shape { c: classifier.network.in_channels(), h: size, w: size };
    let mut random = RandomState::new(seed);
    let noise = (0..shape.len()).map(|_| (START * random.standard_normal()) as f32);
    Ok(FeatureMap::new(1, shape, noise.collect())?)
}

impl Maximization {
    /// The image after the ascent from `start`.
    ///
    /// # Errors
    /// Those of [`ascend`](Self::ascend), and if the target does not exist.
    pub fn explain(
        &self,
        walker: &Walker<f32>,
        start: FeatureMap,
        target: &Target,
    ) -> Result<FeatureMap> {
        self.ascend(walker, start.clone(), target)?.try_fold(start, |_, image| image)
    }

    /// The images after each step of the ascent from `start`.
    ///
    /// # Errors
    /// If an option is out of range; those of a step if `start` does not suit the network, or the
    /// target does not exist.
    pub fn ascend<'a>(
        &'a self,
        walker: &'a Walker<f32>,
        start: FeatureMap,
        target: &'a Target,
    ) -> Result<impl Iterator<Item = Result<FeatureMap>> + 'a> {
        one_image(&start)?;
        for (name, value) in [
            ("the rate", self.rate),
            ("the decay", self.decay),
            ("the variation", self.variation),
            ("the blur", self.blur),
        ] {
            require(value >= 0.0 && value.is_finite(), name, "at least 0", value)?;
        }
        let [low, high] = self.range;
        require(low < high, "the range", "increasing", format!("{low}..{high}"))?;
        let mut random = RandomState::new(self.seed);
        let mut image = start;
        Ok((0..self.steps).map(move |_| {
            image = self.step(walker, &image, target, &mut random)?;
            Ok(image.clone())
        }))
    }

    /// The image after one step.
    fn step(
        &self,
        walker: &Walker<f32>,
        image: &FeatureMap,
        target: &Target,
        random: &mut RandomState,
    ) -> Result<FeatureMap> {
        let mut shift = || -> Result<isize> {
            let places = random.below(2 * self.jitter as u64 + 1)?;
            Ok(places as isize - self.jitter as isize)
        };
        let by = [shift()?, shift()?];
        let moved = roll(image, by);
        let ascent = gradient(walker, &moved, target, Rectifier::Gradient)?;
        let ascent = roll(&ascent, by.map(|b| -b));
        let penalty = self.penalty(image);
        let direction: Vec<f64> =
            ascent.data.iter().zip(penalty).map(|(&g, p)| f64::from(g) - p).collect();
        let square: f64 = direction.iter().map(|d| d * d).sum();
        let length = (square / direction.len() as f64).sqrt();
        let mut image = image.clone();
        if length > 0.0 {
            let step = self.rate / length;
            for (v, d) in image.data.iter_mut().zip(direction) {
                *v += (step * d) as f32;
            }
        }
        if self.blur > 0.0 {
            image = blur(&image, self.blur);
        }
        let [low, high] = self.range;
        image.data.iter_mut().for_each(|v| *v = v.clamp(low, high));
        Ok(image)
    }

    /// Gradient of the penalties.
    fn penalty(&self, image: &FeatureMap) -> Vec<f64> {
        let Shape { c, h, w } = image.shape;
        let mut gradient: Vec<f64> =
            image.data.iter().map(|&v| 2.0 * self.decay * f64::from(v)).collect();
        if self.variation > 0.0 {
            for i in 0..gradient.len() {
                let (y, x) = (i / (w * c), i / c % w);
                let right = (x + 1 < w).then(|| i + c);
                let below = (y + 1 < h).then(|| i + w * c);
                for j in [right, below].into_iter().flatten() {
                    let difference = f64::from(image.data[j] - image.data[i]);
                    gradient[j] += 2.0 * self.variation * difference;
                    gradient[i] -= 2.0 * self.variation * difference;
                }
            }
        }
        gradient
    }
}

/// The map moved down and to the right, what leaves it coming back at the other side.
fn roll(map: &FeatureMap, by: [isize; 2]) -> FeatureMap {
    let Shape { c, h, w } = map.shape;
    let from =
        |place: usize, by: isize, size: usize| (place as isize - by).rem_euclid(size as isize);
    let pixel = |p: usize| {
        let (y, x) = (from(p / w, by[0], h), from(p % w, by[1], w));
        &map.data[(y as usize * w + x as usize) * c..][..c]
    };
    FeatureMap { data: (0..h * w).flat_map(pixel).copied().collect(), ..*map }
}

/// Gaussian blur; the border repeats.
fn blur(map: &FeatureMap, deviation: f64) -> FeatureMap {
    let Shape { c, h, w } = map.shape;
    let reach = (3.0 * deviation).ceil() as isize;
    let kernel: Vec<f64> =
        (-reach..=reach).map(|d| (-0.5 * (d as f64 / deviation).powi(2)).exp()).collect();
    let sum: f64 = kernel.iter().sum();
    let pass = |data: &[f32], down: bool| -> Vec<f32> {
        let value = |i: usize| {
            let (y, x, k) = ((i / (w * c)) as isize, (i / c % w) as isize, i % c);
            let tap = |(weight, d): (&f64, isize)| {
                let y = if down { (y + d).clamp(0, h as isize - 1) } else { y } as usize;
                let x = if down { x } else { (x + d).clamp(0, w as isize - 1) } as usize;
                weight * f64::from(data[(y * w + x) * c + k])
            };
            (kernel.iter().zip(-reach..).map(tap).sum::<f64>() / sum) as f32
        };
        (0..data.len()).map(value).collect()
    };
    FeatureMap { data: pass(&pass(&map.data, true), false), ..*map }
}
