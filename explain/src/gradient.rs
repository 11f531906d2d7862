//! Explanations by the gradient: saliency, its smoothed and integrated forms, deconvnet, guided
//! backpropagation.
//!
//! Guided backpropagation and deconvnet show what the image contains rather than why the class was
//! chosen: with randomised top layers their maps hardly change (Adebayo et al., "Sanity Checks for
//! Saliency Maps", 2018, <https://arxiv.org/abs/1810.03292>).

use ganscope_model::network::{Real, Rectifier, Walker};
use ganscope_model::{FeatureMap, Node};
use ganscope_stats::random::RandomState;

use crate::error::require;
use crate::quadrature::Quadrature;
use crate::{Error, Result, Target};

/// Images that go through the network together.
const BATCH: usize = 4;

/// Gradient of the target with respect to the image (Simonyan et al., "Deep Inside Convolutional
/// Networks", 2013, <https://arxiv.org/abs/1312.6034>), or what becomes of it where rectifiers let
/// other signals pass: [`Rectifier::Deconvnet`] and [`Rectifier::Guided`] give the methods of these
/// names.
///
/// # Errors
/// If the image does not suit the network, or the target does not exist.
pub fn gradient<T: Real>(
    walker: &Walker<T>,
    image: &FeatureMap<T>,
    target: &Target,
    rectifier: Rectifier,
) -> Result<FeatureMap<T>> {
    let trace = walker.run(image.clone())?;
    let seed = target.seed(trace.value(target.node()))?;
    let mut signals = trace.gradient(target.node(), seed, &[Node::INPUT], rectifier)?;
    Ok(signals.swap_remove(0))
}

/// The image times the gradient: the share of each pixel in a linear network.
///
/// # Errors
/// Those of [`gradient`].
pub fn input_x_gradient<T: Real>(
    walker: &Walker<T>,
    image: &FeatureMap<T>,
    target: &Target,
) -> Result<FeatureMap<T>> {
    let gradient = gradient(walker, image, target, Rectifier::Gradient)?;
    Ok(image.zip(&gradient, |x, g| x * g))
}

/// The mean gradient of noisy copies of an image.
///
/// Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017,
/// <https://arxiv.org/abs/1706.03825>.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SmoothGrad {
    /// Noisy copies.
    pub samples: usize,
    /// Standard deviation of the noise as a share of the image's range.
    pub noise: f64,
    /// Seed of the noise.
    pub seed: u32,
}

impl SmoothGrad {
    /// The settings of the paper: 50 samples, noise of 15 %.
    pub const PAPER: Self = Self { samples: 50, noise: 0.15, seed: 0 };

    /// The mean gradient.
    ///
    /// # Errors
    /// Those of [`gradient`], and if there are no samples.
    pub fn explain<T: Real>(
        &self,
        walker: &Walker<T>,
        image: &FeatureMap<T>,
        target: &Target,
    ) -> Result<FeatureMap<T>> {
        require(self.samples > 0, "the number of samples", "at least 1", self.samples)?;
        let spread = image.data.iter().map(|v| v.to_f64());
        let (low, high) = spread.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        let deviation = self.noise * (high - low).max(0.0);
        let mut random = RandomState::new(self.seed);
        let mut noise = |v: &T| T::of(v.to_f64() + deviation * random.standard_normal());
        let mut noisy = |_| image.data.iter().map(&mut noise).collect();
        let weights = vec![1.0 / self.samples as f64; self.samples];
        sum_of_gradients(walker, image, target, &weights, &mut noisy)
    }
}

/// The gradient averaged along the way from a baseline to the image, times that way.
///
/// Sundararajan et al., "Axiomatic Attribution for Deep Networks", 2017,
/// <https://arxiv.org/abs/1703.01365>.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegratedGradients {
    /// Places on the way.
    pub steps: usize,
    /// Which places, and how they weigh.
    pub quadrature: Quadrature,
    /// Network input of each channel of the image where the way starts; one value serves all, and as many
    /// as the image has are an image, (H, W, C).
    pub baseline: Vec<f64>,
}

impl Default for IntegratedGradients {
    fn default() -> Self {
        Self { steps: 64, quadrature: Quadrature::Middle, baseline: vec![0.0] }
    }
}

impl IntegratedGradients {
    /// The attributions; their sum tends to the difference of the target between image and baseline.
    ///
    /// # Errors
    /// Those of [`gradient`], if there are no steps, and if the baseline does not fit the
    /// channels.
    pub fn explain<T: Real>(
        &self,
        walker: &Walker<T>,
        image: &FeatureMap<T>,
        target: &Target,
    ) -> Result<FeatureMap<T>> {
        let places = self.quadrature.places(self.steps)?;
        let fits = [1, image.shape.c, image.data.len()].contains(&self.baseline.len());
        let expected = "one value, one a channel, or an image";
        require(fits, "the baseline", expected, self.baseline.len())?;
        let start = self.baseline_of(image);
        let mut place = |step: usize| {
            let share = T::of(places[step].0);
            image.zip(&start, |v, s| s + share * (v - s)).data
        };
        let weights: Vec<f64> = places.iter().map(|(_, weight)| *weight).collect();
        let mean = sum_of_gradients(walker, image, target, &weights, &mut place)?;
        Ok(image.zip(&start, |v, s| v - s).zip(&mean, |way, g| way * g))
    }

    /// The image where the way starts.
    pub fn baseline_of<T: Real>(&self, image: &FeatureMap<T>) -> FeatureMap<T> {
        // One value, those of a pixel, or those of an image, over and over.
        let data = self.baseline.iter().cycle().take(image.data.len()).map(|&v| T::of(v));
        FeatureMap { data: data.collect(), ..*image }
    }
}

/// The sum over variants of one image of the gradient times a weight each, in f64.
pub(crate) fn sum_of_gradients<T: Real>(
    walker: &Walker<T>,
    image: &FeatureMap<T>,
    target: &Target,
    weights: &[f64],
    variant: &mut dyn FnMut(usize) -> Vec<T>,
) -> Result<FeatureMap<T>> {
    one_image(image)?;
    let mut sums = vec![0.0; image.data.len()];
    for first in (0..weights.len()).step_by(BATCH) {
        let n = BATCH.min(weights.len() - first);
        let data: Vec<T> = (first..first + n).flat_map(&mut *variant).collect();
        let batch = FeatureMap::new(n, image.shape, data)?;
        let gradients = gradient(walker, &batch, target, Rectifier::Gradient)?;
        for (i, weight) in weights[first..first + n].iter().enumerate() {
            sums.iter_mut().zip(gradients.image(i)).for_each(|(s, g)| *s += weight * g.to_f64());
        }
    }
    let data = sums.iter().map(|&s| T::of(s)).collect();
    Ok(FeatureMap::new(1, image.shape, data)?)
}

/// Checks that a map holds one image.
pub(crate) fn one_image<T>(image: &FeatureMap<T>) -> Result<()> {
    if image.n == 1 {
        return Ok(());
    }
    let (what, expected) = ("images to explain at once", "1".to_owned());
    Err(Error::Mismatch { what, expected, got: image.n.to_string() })
}
