//! A classifier ready to be explained, and the methods by name.

use ganscope_images::{Image, Preprocess, Resize};
use ganscope_model::network::{Rectifier, Walker};
use ganscope_model::{Classifier, Engine, FeatureMap, Node, Shape};
use ganscope_stats::softmax;

use crate::additivity::Additivity;
use crate::cam::{Evidence, channel_sum, last_map, pooled_maps};
use crate::lrp::{AttentionLrp, Relevance};
use crate::method::Method;
use crate::rise::Rise;
use crate::rollout::{Fusion, attention_rollout};
use crate::shapley::{Shapley, ShapleyEstimate};
use crate::tokens::is_transformer;
use crate::{
    Composite, Error, Fill, GradientShap, IntegratedGradients, Lime, Occlusion, Result, Rule,
    Segmentation, Slic, SmoothGrad, Superpixels, Target, cam, grad_cam, gradient, guided_grad_cam,
    input_x_gradient, layer_cam, relevance, score_cam,
};

/// Weights of red, green and blue in the luma.
pub(crate) const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Images that Score-CAM scores together.
const BATCH: usize = 8;

/// Options of the methods.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Layer of Grad-CAM and its kin; that of [`last_map`] if missing.
    pub layer: Option<Node>,
    /// Evidence that maps show, that of the channel sum of each pixel; as published if missing, see
    /// [`Method::evidence`].
    pub evidence: Option<Evidence>,
    /// Rules of LRP.
    pub composite: Composite,
    /// Rules of `attn-lrp` and `cp-lrp` in convolutions and linear layers.
    pub attention_rules: Composite,
    /// How rollout makes one of the heads of an attention.
    pub fusion: Fusion,
    /// Options of `SmoothGrad`.
    pub smooth_grad: SmoothGrad,
    /// Options of integrated gradients.
    pub integrated_gradients: IntegratedGradients,
    /// Options of occlusion.
    pub occlusion: Occlusion,
    /// Options of LIME.
    pub lime: Lime,
    /// Superpixels of LIME and Shapley values.
    pub superpixels: Segmentation,
    /// Options of RISE.
    pub rise: Rise,
    /// Options of Shapley values, whose estimate is that of the method.
    pub shapley: Shapley,
    /// Options of gradient SHAP.
    pub gradient_shap: GradientShap,
}

impl Settings {
    /// The same settings with another image, network input (H, W, C), as the baseline of all methods that
    /// have one.
    #[must_use]
    pub fn with_baseline(mut self, image: &FeatureMap) -> Self {
        let exact: Vec<f64> = image.data.iter().map(|&v| v.into()).collect();
        self.integrated_gradients.baseline.clone_from(&exact);
        self.gradient_shap.baselines = vec![exact];
        self.occlusion.baseline.clone_from(&image.data);
        self.rise.baseline.clone_from(&image.data);
        self.lime.fill = Fill::Image(image.data.clone());
        self.shapley.fill = Fill::Image(image.data.clone());
        self
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            layer: None,
            evidence: None,
            composite: Composite::conserving(),
            attention_rules: Rule::Epsilon(0.0).into(),
            fusion: Fusion::default(),
            smooth_grad: SmoothGrad::PAPER,
            integrated_gradients: IntegratedGradients::default(),
            occlusion: Occlusion::default(),
            lime: Lime::default(),
            superpixels: Segmentation::Slic(Slic::default()),
            rise: Rise::default(),
            shapley: Shapley {
                estimate: ShapleyEstimate::Kernel,
                samples: 2000,
                fill: Fill::Mean,
                seed: 0,
                batch: 16,
            },
            gradient_shap: GradientShap { samples: 200, baselines: vec![vec![0.0]], seed: 0 },
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
    /// What methods that share the target out lost on the way, as a share of it.
    pub conservation_error: Option<f64>,
    /// Share of the variance that the linear model of LIME explains.
    pub r_squared: Option<f64>,
    /// The superpixels of LIME and Shapley values.
    pub superpixels: Option<Superpixels>,
    /// The sum of Shapley values and of gradient SHAP, beside what they share out.
    pub additivity: Option<Additivity>,
    /// Standard error of each value of the map, of RISE and of sampled Shapley values.
    pub standard_error: Option<FeatureMap>,
}

impl From<FeatureMap> for Explanation {
    fn from(map: FeatureMap) -> Self {
        Self {
            map,
            conservation_error: None,
            r_squared: None,
            superpixels: None,
            additivity: None,
            standard_error: None,
        }
    }
}

impl Explanation {
    /// A map that should sum to a difference.
    fn additive(map: FeatureMap, sums: Additivity) -> Self {
        let lost = Some((sums.gap() / sums.difference).abs());
        Self { conservation_error: lost, additivity: Some(sums), ..map.into() }
    }

    /// Standard errors of the map's values as a share of them, by the roots of their mean squares.
    pub fn noise(&self) -> Option<f64> {
        let square =
            |map: &FeatureMap| map.data.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
        let errors = square(self.standard_error.as_ref()?);
        Some((errors / square(&channel_sum(&self.map))).sqrt())
    }
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

    /// Whether a method suits the architecture of the network. Layers, rules and the classes of one image
    /// may still be refused.
    pub fn suits(&self, method: Method) -> bool {
        let network = self.walker.network();
        let has_attention = is_transformer(network);
        match method {
            Method::Cam => pooled_maps(network).is_some(),
            Method::Lrp => !has_attention,
            _ if method.needs_attention() => has_attention,
            _ => !(method.needs_rectifiers() && has_attention),
        }
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
        if method.needs_rectifiers() && is_transformer(walker.network()) {
            let needs = "rectifiers, which transformers do not have";
            return Err(Error::Unsuited { method: method.name(), needs });
        }
        let found: Explanation = match method {
            Method::Gradient => gradient(walker, input, target, Rectifier::Gradient)?.into(),
            Method::Deconvnet => gradient(walker, input, target, Rectifier::Deconvnet)?.into(),
            Method::GuidedBackprop => gradient(walker, input, target, Rectifier::Guided)?.into(),
            Method::SmoothGrad => settings.smooth_grad.explain(walker, input, target)?.into(),
            Method::InputXGradient => input_x_gradient(walker, input, target)?.into(),
            Method::IntegratedGradients => {
                let method = &settings.integrated_gradients;
                let map = method.explain(walker, input, target)?;
                let start = self.score(&method.baseline_of(input), target)?[0];
                let difference = self.score(input, target)?[0] - start;
                let sum: f64 = map.data.iter().map(|&v| f64::from(v)).sum();
                let lost = Some(((sum - difference) / difference).abs());
                Explanation { conservation_error: lost, ..map.into() }
            }
            Method::GradientShap => {
                let (map, sums) = settings.gradient_shap.explain(walker, input, target)?;
                Explanation::additive(map, sums)
            }
            Method::Cam
            | Method::GradCam
            | Method::GuidedGradCam
            | Method::LayerCam
            | Method::ScoreCam => self.by_layer(method, input, target, settings)?.into(),
            Method::Lrp | Method::AttnLrp | Method::CpLrp => {
                let relevance = self.by_relevance(method, input, target, settings)?;
                let lost = Some(relevance.conservation_error());
                Explanation { conservation_error: lost, ..relevance.map.into() }
            }
            Method::AttentionRollout => attention_rollout(walker, input, settings.fusion)?.into(),
            Method::Occlusion
            | Method::Lime
            | Method::Rise
            | Method::KernelShap
            | Method::ShapleySampling => self.by_changes(method, image, target, settings)?,
        };
        Ok(match settings.evidence {
            Some(evidence) => Explanation { map: evidence.of(&channel_sum(&found.map)), ..found },
            None => found,
        })
    }

    /// Methods that look at a layer.
    fn by_layer(
        &self,
        method: Method,
        input: &FeatureMap,
        target: &Target,
        settings: &Settings,
    ) -> Result<FeatureMap> {
        let walker = &self.walker;
        let evidence = settings.evidence.unwrap_or(method.evidence());
        let layer = || match settings.layer {
            Some(layer) => Ok(layer),
            None => last_map(walker.network(), [input.shape.h, input.shape.w]),
        };
        match method {
            Method::Cam => cam(walker, input, target),
            Method::GuidedGradCam => guided_grad_cam(walker, input, target, layer()?),
            Method::LayerCam => layer_cam(walker, input, target, layer()?, evidence),
            Method::ScoreCam => {
                let score = |batch: &FeatureMap| self.score(batch, target);
                score_cam(walker, input, layer()?, evidence, BATCH, score)
            }
            _ => grad_cam(walker, input, target, layer()?, evidence),
        }
    }

    /// Methods that share the target out layer by layer.
    fn by_relevance(
        &self,
        method: Method,
        input: &FeatureMap,
        target: &Target,
        settings: &Settings,
    ) -> Result<Relevance> {
        let through_attention = match method {
            Method::AttnLrp => AttentionLrp::attn_lrp(),
            Method::CpLrp => AttentionLrp::cp_lrp(),
            _ => return relevance(&self.walker, input, target, &settings.composite),
        };
        let rules = settings.attention_rules.clone();
        through_attention.with_rules(rules).explain(&self.walker, input, target)
    }

    /// Methods that ask about changed images.
    fn by_changes(
        &self,
        method: Method,
        image: &Prepared,
        target: &Target,
        settings: &Settings,
    ) -> Result<Explanation> {
        let input = &image.input;
        let score = |batch: &FeatureMap| self.score(batch, target);
        let estimate = match method {
            Method::Lime => {
                let parts = settings.superpixels.segment(&image.picture)?;
                let model = settings.lime.explain(input, &parts, score)?;
                let (r_squared, superpixels) = (Some(model.r_squared), Some(parts));
                return Ok(Explanation { r_squared, superpixels, ..model.map.into() });
            }
            Method::Rise => {
                let answer = |batch: &FeatureMap| self.answer(batch, target);
                let rise = settings.rise.explain(input, answer)?;
                let standard_error = Some(rise.standard_error);
                return Ok(Explanation { standard_error, ..rise.map.into() });
            }
            Method::KernelShap => ShapleyEstimate::Kernel,
            Method::ShapleySampling => ShapleyEstimate::Sampling,
            _ => return Ok(settings.occlusion.explain(input, score)?.into()),
        };
        let parts = settings.superpixels.segment(&image.picture)?;
        let shapley = Shapley { estimate, ..settings.shapley.clone() };
        let values = shapley.explain(input, &parts, score)?;
        Ok(Explanation {
            superpixels: Some(parts),
            standard_error: values.standard_error,
            ..Explanation::additive(values.map, values.additivity)
        })
    }

    /// The answer of each image of a batch that RISE takes the mean of: the probability of a class, or of
    /// one rather than another; the target itself if it is no answer of the network.
    ///
    /// # Errors
    /// Those of [`score`](Self::score).
    pub fn answer(&self, inputs: &FeatureMap, target: &Target) -> Result<Vec<f64>> {
        let is_output = target.node() == self.classifier.network.output();
        match *target.channels() {
            [(class, 1.0)] if is_output => {
                Ok(self.probabilities(inputs)?.iter().map(|all| all[class]).collect())
            }
            [(_, 1.0), (_, -1.0)] if is_output => {
                let differences = self.score(inputs, target)?.into_iter();
                Ok(differences.map(|difference| 1.0 / (1.0 + (-difference).exp())).collect())
            }
            _ => self.score(inputs, target),
        }
    }
}
