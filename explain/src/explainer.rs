//! A classifier ready to be explained, and the methods by name.

use std::fmt;
use std::str::FromStr;

use ganscope_images::{Image, Preprocess, Resize};
use ganscope_model::network::{Rectifier, Walker};
use ganscope_model::{Classifier, Engine, FeatureMap, Node, Shape};
use ganscope_stats::softmax;

use crate::cam::{Evidence, channel_sum, last_map};
use crate::{
    Composite, Error, IntegratedGradients, Lime, Occlusion, Result, Segmentation, Slic, SmoothGrad,
    Superpixels, Target, cam, grad_cam, gradient, guided_grad_cam, input_x_gradient, relevance,
};

/// Weights of red, green and blue in the luma.
pub(crate) const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// A method by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// [`gradient`].
    Gradient,
    /// [`SmoothGrad`].
    SmoothGrad,
    /// [`input_x_gradient`].
    InputXGradient,
    /// [`IntegratedGradients`].
    IntegratedGradients,
    /// [`gradient`] with [`Rectifier::Deconvnet`].
    Deconvnet,
    /// [`gradient`] with [`Rectifier::Guided`].
    GuidedBackprop,
    /// [`Occlusion`].
    Occlusion,
    /// [`cam`](crate::cam()).
    Cam,
    /// [`grad_cam`].
    GradCam,
    /// [`guided_grad_cam`].
    GuidedGradCam,
    /// [`relevance`].
    Lrp,
    /// [`Lime`].
    Lime,
}

impl Method {
    /// Every method, in the order of lists.
    pub const ALL: [Self; 12] = [
        Self::Gradient,
        Self::SmoothGrad,
        Self::InputXGradient,
        Self::IntegratedGradients,
        Self::Deconvnet,
        Self::GuidedBackprop,
        Self::Occlusion,
        Self::Cam,
        Self::GradCam,
        Self::GuidedGradCam,
        Self::Lrp,
        Self::Lime,
    ];

    /// Its name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gradient => "gradient",
            Self::SmoothGrad => "smoothgrad",
            Self::InputXGradient => "input-x-gradient",
            Self::IntegratedGradients => "integrated-gradients",
            Self::Deconvnet => "deconvnet",
            Self::GuidedBackprop => "guided-backprop",
            Self::Occlusion => "occlusion",
            Self::Cam => "cam",
            Self::GradCam => "grad-cam",
            Self::GuidedGradCam => "guided-grad-cam",
            Self::Lrp => "lrp",
            Self::Lime => "lime",
        }
    }

    /// The evidence that its map shows where none is asked for, as published.
    pub fn evidence(self) -> Evidence {
        match self {
            Self::GradCam => Evidence::Positive,
            _ => Evidence::Signed,
        }
    }

    /// Whether its map hardly changes with what the upper layers have learned: it shows what the
    /// image contains rather than why the class was chosen (Adebayo et al., "Sanity Checks for
    /// Saliency Maps", 2018, <https://arxiv.org/abs/1810.03292>). Relevance propagation does so too
    /// under the z+ rule.
    pub fn ignores_upper_layers(self) -> bool {
        matches!(self, Self::Deconvnet | Self::GuidedBackprop | Self::GuidedGradCam)
    }

    /// Whether its map shares the target out among the pixels, so that removing the pixels it
    /// favors must lower the target. Gradients tell what would change it, and deconvnet and the
    /// guided methods what a unit responds to.
    pub fn claims_relevance(self) -> bool {
        !matches!(
            self,
            Self::Gradient
                | Self::SmoothGrad
                | Self::Deconvnet
                | Self::GuidedBackprop
                | Self::GuidedGradCam
        )
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|method| method.name() == name);
        let expected = "gradient, smoothgrad, input-x-gradient, integrated-gradients, deconvnet, \
                        guided-backprop, occlusion, cam, grad-cam, guided-grad-cam, lrp or lime";
        found.ok_or_else(|| Error::Option { name: "a method", expected, got: name.to_owned() })
    }
}

/// Options of the methods.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Layer of Grad-CAM; the last map of several pixels if missing.
    pub layer: Option<Node>,
    /// Evidence that maps show, that of the channel sum of each pixel; as published if missing, see
    /// [`Method::evidence`].
    pub evidence: Option<Evidence>,
    /// Rules of LRP.
    pub composite: Composite,
    /// Options of `SmoothGrad`.
    pub smooth_grad: SmoothGrad,
    /// Options of integrated gradients.
    pub integrated_gradients: IntegratedGradients,
    /// Options of occlusion.
    pub occlusion: Occlusion,
    /// Options of LIME.
    pub lime: Lime,
    /// Superpixels of LIME.
    pub superpixels: Segmentation,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            layer: None,
            evidence: None,
            composite: Composite::epsilon_plus_flat(),
            smooth_grad: SmoothGrad::PAPER,
            integrated_gradients: IntegratedGradients::default(),
            occlusion: Occlusion::default(),
            lime: Lime::default(),
            superpixels: Segmentation::Slic(Slic::default()),
        }
    }
}

/// An image as the network sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The square in the middle, of the size of the input.
    pub picture: Image,
    /// The network input, (1, C, H, W).
    pub input: FeatureMap,
}

/// The map of one method.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The map, in the size of the layer it belongs to.
    pub map: FeatureMap,
    /// What LRP and integrated gradients lost on the way, as a share of the target that they share
    /// out.
    pub conservation_error: Option<f64>,
    /// Share of the variance that the linear model of LIME explains.
    pub r_squared: Option<f64>,
    /// The superpixels of LIME.
    pub superpixels: Option<Superpixels>,
}

/// A classifier with packed weights.
#[derive(Debug)]
pub struct Explainer {
    classifier: Classifier,
    walker: Walker<f32>,
    engine: Engine,
}

impl Explainer {
    /// Packs a classifier.
    pub fn new(classifier: Classifier) -> Self {
        let network = classifier.network.clone();
        let engine = Engine::new(network.clone(), &[network.output()]);
        Self { walker: Walker::new(network), engine, classifier }
    }

    /// The classifier.
    pub fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// The network, walked both ways.
    pub fn walker(&self) -> &Walker<f32> {
        &self.walker
    }

    /// The middle square of an image, resized by Pillow's bicubic filter and scaled; a network of
    /// one channel gets the luma `0.299 R + 0.587 G + 0.114 B`.
    ///
    /// # Errors
    /// If the image has no pixel, or the network reads neither one nor three channels.
    pub fn prepare(&self, image: &Image) -> Result<Prepared> {
        let channels = self.classifier.network.in_channels();
        if ![1, 3].contains(&channels) {
            let (method, needs) =
                ("an explanation of images", "a network of one or three channels");
            return Err(Error::Unsuited { method, needs });
        }
        let some = image.width * image.height > 0;
        crate::error::require(some, "an image", "at least one pixel", "none")?;
        let [rows, columns] = image.middle_square();
        let square = image.cropped(rows, columns);
        let size = self.classifier.input_size;
        let mut values = vec![0.0; 3 * size * size];
        Preprocess { resize: Resize::PillowBicubic, size }.apply(&square, &mut values);
        let scaling = &self.classifier.normalization;
        let scaled = values.chunks_exact(3).flat_map(|pixel| {
            let luma: f32 = LUMA.iter().zip(pixel).map(|(weight, v)| weight * v).sum();
            let value = move |c: usize| if channels == 1 { luma } else { pixel[c] };
            (0..channels).map(move |c| scaling.apply(c, value(c)))
        });
        let shape = Shape { c: channels, h: size, w: size };
        let input = FeatureMap::new(1, shape, scaled.collect())?;
        Ok(Prepared { picture: Image::rounded(size, size, &values), input })
    }

    /// Network input, (1, C, H, W), as a picture; a network of one channel gives a gray one.
    pub fn picture(&self, input: &FeatureMap) -> Image {
        let Shape { c, h, w } = input.shape;
        let bytes = self.classifier.normalization.to_pixels(&input.data);
        let pixel = |pixel: &[u8]| [0, 1, 2].map(|k| pixel[k.min(c - 1)]);
        Image { width: w, height: h, pixels: bytes.chunks_exact(c).flat_map(pixel).collect() }
    }

    /// Probability of each class, for each image of a batch.
    ///
    /// # Errors
    /// If the images do not suit the network.
    pub fn probabilities(&self, inputs: &FeatureMap) -> Result<Vec<Vec<f64>>> {
        let logits = self.logits(inputs)?;
        Ok((0..logits.n).map(|image| softmax(logits.image(image))).collect())
    }

    /// The target for each image of a batch.
    ///
    /// # Errors
    /// If the images do not suit the network, or the target does not exist.
    pub fn score(&self, inputs: &FeatureMap, target: &Target) -> Result<Vec<f64>> {
        if target.node() == self.classifier.network.output() {
            return target.score(&self.logits(inputs)?);
        }
        target.score(self.walker.run(inputs.clone())?.value(target.node()))
    }

    /// The output of the network for each image of a batch.
    ///
    /// # Errors
    /// If the images do not suit the network.
    pub fn logits(&self, inputs: &FeatureMap) -> Result<FeatureMap> {
        let size = (inputs.n, inputs.shape.h, inputs.shape.w);
        Ok(self.engine.run(&inputs.data, size)?.swap_remove(0))
    }

    /// Explains the target for one image by one method.
    ///
    /// # Errors
    /// Those of the method.
    pub fn explain(
        &self,
        method: Method,
        image: &Prepared,
        target: &Target,
        settings: &Settings,
    ) -> Result<Explanation> {
        let (walker, input) = (&self.walker, &image.input);
        let size = [input.shape.h, input.shape.w];
        let layer = || match settings.layer {
            Some(layer) => Ok(layer),
            None => last_map(walker.network(), size),
        };
        let score = |batch: &FeatureMap| self.score(batch, target);
        let (mut conservation_error, mut r_squared, mut superpixels) = (None, None, None);
        let map = match method {
            Method::Gradient => gradient(walker, input, target, Rectifier::Gradient),
            Method::Deconvnet => gradient(walker, input, target, Rectifier::Deconvnet),
            Method::GuidedBackprop => gradient(walker, input, target, Rectifier::Guided),
            Method::SmoothGrad => settings.smooth_grad.explain(walker, input, target),
            Method::InputXGradient => input_x_gradient(walker, input, target),
            Method::IntegratedGradients => {
                let method = &settings.integrated_gradients;
                let map = method.explain(walker, input, target)?;
                let start = score(&method.baseline_of(input))?[0];
                let difference = score(input)?[0] - start;
                let sum: f64 = map.data.iter().map(|&v| f64::from(v)).sum();
                conservation_error = Some(((sum - difference) / difference).abs());
                Ok(map)
            }
            Method::Occlusion => settings.occlusion.explain(input, score),
            Method::Cam => cam(walker, input, target),
            Method::GradCam => {
                let evidence = settings.evidence.unwrap_or(method.evidence());
                grad_cam(walker, input, target, layer()?, evidence)
            }
            Method::GuidedGradCam => guided_grad_cam(walker, input, target, layer()?),
            Method::Lime => {
                let parts = settings.superpixels.segment(&image.picture)?;
                let model = settings.lime.explain(input, &parts, score)?;
                (r_squared, superpixels) = (Some(model.r_squared), Some(parts));
                Ok(model.map)
            }
            Method::Lrp => {
                let relevance = relevance(walker, input, target, &settings.composite)?;
                conservation_error = Some(relevance.conservation_error());
                Ok(relevance.map)
            }
        };
        let map = match settings.evidence {
            Some(evidence) => evidence.of(&channel_sum(&map?)),
            None => map?,
        };
        Ok(Explanation { map, conservation_error, r_squared, superpixels })
    }
}
