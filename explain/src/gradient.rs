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
        mean_gradient(walker, image, target, self.samples, &mut noisy)
    }
}

/// The gradient averaged along the way from a baseline to the image, times that way.
///
/// Sundararajan et al., "Axiomatic Attribution for Deep Networks", 2017,
/// <https://arxiv.org/abs/1703.01365>.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegratedGradients {
    /// Places on the way, in the middle of equal parts of it.
    pub steps: usize,
    /// Network input of each channel of the image where the way starts; one value serves all.
    pub baseline: Vec<f64>,
}

impl Default for IntegratedGradients {
    fn default() -> Self {
        Self { steps: 64, baseline: vec![0.0] }
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
        require(self.steps > 0, "the number of steps", "at least 1", self.steps)?;
        let channels = [1, image.shape.c].contains(&self.baseline.len());
        require(channels, "the baseline", "one value, or one a channel", self.baseline.len())?;
        let start = self.baseline_of(image);
        let mut place = |step: usize| {
            let share = T::of((step as f64 + 0.5) / self.steps as f64);
            image.zip(&start, |v, s| s + share * (v - s)).data
        };
        let mean = mean_gradient(walker, image, target, self.steps, &mut place)?;
        Ok(image.zip(&start, |v, s| v - s).zip(&mean, |way, g| way * g))
    }

    /// The image where the way starts.
    pub fn baseline_of<T: Real>(&self, image: &FeatureMap<T>) -> FeatureMap<T> {
        let start = self.baseline.iter().cycle().take(image.shape.c).map(|&v| T::of(v));
        let pixel: Vec<T> = start.collect();
        FeatureMap { data: pixel.repeat(image.data.len() / image.shape.c), ..*image }
    }
}

/// Mean over `count` variants of one image, summed in f64.
fn mean_gradient<T: Real>(
    walker: &Walker<T>,
    image: &FeatureMap<T>,
    target: &Target,
    count: usize,
    variant: &mut dyn FnMut(usize) -> Vec<T>,
) -> Result<FeatureMap<T>> {
    one_image(image)?;
    let mut sums = vec![0.0; image.data.len()];
    for first in (0..count).step_by(BATCH) {
        let n = BATCH.min(count - first);
        let data: Vec<T> = (first..first + n).flat_map(&mut *variant).collect();
        let batch = FeatureMap::new(n, image.shape, data)?;
        let gradients = gradient(walker, &batch, target, Rectifier::Gradient)?;
        for i in 0..n {
            sums.iter_mut().zip(gradients.image(i)).for_each(|(s, g)| *s += g.to_f64());
        }
    }
    let data = sums.iter().map(|s| T::of(s / count as f64)).collect();
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
