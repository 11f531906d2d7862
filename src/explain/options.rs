//! Options of the methods, as plain values, and the settings that they become for a classifier.

use ganscope_explain::{
    Biases, Composite, Evidence, Fill, Fusion, Quadrature, Quickshift, Segmentation, Settings, Slic,
};
use ganscope_model::Normalization;
use serde::{Deserialize, Serialize};

use crate::checks::{positive, within};
use crate::error::{Context as _, Error, Hint, Result};
use crate::models::classifier::Classifier;
use crate::text;

/// Options of the methods. The defaults are those of the papers or of the authors' programs, except
/// for the rules of LRP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MethodOptions {
    /// Evidence that maps show: `positive`, `negative`, `signed` or `absolute`; as published if
    /// missing, which is positive for Grad-CAM and its kin and signed for all others.
    #[serde(with = "text::option")]
    pub evidence: Option<Evidence>,
    /// Layer of Grad-CAM, `LayerCAM` and Score-CAM; the last with a map of several pixels if missing, and
    /// what the last attention reads in a transformer.
    pub layer: Option<String>,
    /// Rules of LRP: `conserving`, a composite of zennit's (`epsilon-plus`, `epsilon-plus-flat`,
    /// `epsilon-alpha2-beta1`, `epsilon-alpha2-beta1-flat`, `epsilon-gamma-box`), or a list
    /// `SELECTOR:RULE,...,RULE` ([`Composite::parse`]).
    pub rule: String,
    /// What becomes of the relevance that falls to biases in LRP: `keep`, `ignore` or `share`; that of
    /// the rules if missing: composites of zennit's names keep it, others share it.
    ///
    /// Networks whose batch norms are folded into biases, such as EfficientNet-Lite0, leave nothing to
    /// the pixels where biases keep it.
    #[serde(with = "text::option")]
    pub biases: Option<Biases>,
    /// Rules of `attn-lrp` and `cp-lrp` in convolutions and linear layers, as a list: epsilon, gamma,
    /// alpha or z+. The authors take `conv:gamma=0.25,gamma=0.05` for `cp-lrp`.
    pub attention_rule: String,
    /// How rollout makes one of the heads of an attention: `mean` or `max`.
    #[serde(with = "text")]
    pub fusion: Fusion,
    /// Side of the window of occlusion, in pixels of the network's input; a seventh of the input if
    /// missing.
    pub window: Option<usize>,
    /// Distance of neighboring windows, at most the window; half of it if missing.
    pub stride: Option<usize>,
    /// How LIME and Shapley values cut an image into superpixels.
    pub superpixels: SuperpixelKind,
    /// About how many superpixels SLIC makes, at least 1; 60 if missing.
    pub segments: Option<usize>,
    /// Width of the kernel of quickshift, in pixels of the network's input; a 75th of the input if
    /// missing.
    pub kernel: Option<f64>,
    /// Masks of RISE, at least 2.
    pub masks: usize,
    /// Images that Kernel SHAP and Shapley sampling score, about; at least twice as many as superpixels.
    pub coalitions: usize,
    /// Superpixels that LIME keeps in its model, at least 1; all if missing.
    pub features: Option<usize>,
    /// Images that LIME scores, at least 2.
    pub samples: usize,
    /// Noisy copies that SmoothGrad takes the mean over, at least 1.
    pub copies: usize,
    /// Steps of integrated gradients, and places of gradient SHAP, at least 2.
    pub steps: usize,
    /// Where the steps are: `middle` of equal parts, `trapezoid` or `gauss-legendre`.
    #[serde(with = "text")]
    pub quadrature: Quadrature,
    /// Seed of all that is drawn at random.
    pub seed: u32,
}

/// Kinds of superpixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SuperpixelKind {
    /// Parts of about one size.
    #[default]
    Slic,
    /// Parts as large as what looks alike.
    Quickshift,
}

impl std::str::FromStr for SuperpixelKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "slic" => Ok(Self::Slic),
            "quickshift" => Ok(Self::Quickshift),
            _ => {
                Err(Error::request(format!("no superpixels `{name}`, expected slic or quickshift")))
            }
        }
    }
}

impl Default for MethodOptions {
    fn default() -> Self {
        Self {
            evidence: None,
            layer: None,
            rule: "conserving".to_owned(),
            biases: None,
            attention_rule: "epsilon=0".to_owned(),
            fusion: Fusion::Mean,
            window: None,
            stride: None,
            superpixels: SuperpixelKind::Slic,
            segments: None,
            kernel: None,
            masks: 4000,
            coalitions: 2000,
            features: None,
            samples: 1000,
            copies: 50,
            steps: 256,
            quadrature: Quadrature::Middle,
            seed: 0,
        }
    }
}

impl MethodOptions {
    /// Fails if an option is out of range whatever the classifier.
    ///
    /// # Errors
    /// The message names the option.
    pub fn check(&self) -> Result<()> {
        within("samples", self.samples, 2..=1_000_000)?;
        within("copies", self.copies, 1..=100_000)?;
        within("masks", self.masks, 2..=1_000_000)?;
        within("coalitions", self.coalitions, 2..=1_000_000)?;
        within("steps", self.steps, 2..=100_000)?;
        let numbers = [
            ("window", self.window),
            ("stride", self.stride),
            ("segments", self.segments),
            ("features", self.features),
        ];
        for (name, value) in numbers {
            value.map_or(Ok(()), |value| positive(name, value))?;
        }
        Self::composite(&self.rule, &Normalization::imagenet())?;
        Self::composite(&self.attention_rule, &Normalization::imagenet())?;
        self.segmentation(1).map(|_| ())
    }

    /// The settings for a classifier.
    ///
    /// # Errors
    /// If it has no such layer, or an option is out of range for it.
    pub fn settings(&self, classifier: &Classifier) -> Result<Settings> {
        let network = classifier.classifier();
        let composite = Self::composite(&self.rule, &network.normalization)?;
        let attention_rules = Self::composite(&self.attention_rule, &network.normalization)?;
        for composite in [&composite, &attention_rules] {
            if let Some(name) = composite.unknown_name(&network.network) {
                classifier.layer(name)?;
            }
        }
        let mut settings = Settings {
            evidence: self.evidence,
            layer: self.layer.as_deref().map(|name| classifier.layer(name)).transpose()?,
            composite: match self.biases {
                Some(biases) => composite.with_biases(biases),
                None => composite,
            },
            attention_rules,
            fusion: self.fusion,
            superpixels: self.segmentation(network.input_size)?,
            ..Settings::default()
        };
        let baseline = &classifier.baseline;
        let (window, stride) = self.windows(network.input_size)?;
        settings.occlusion.window = [window; 2];
        settings.occlusion.stride = [stride; 2];
        settings.occlusion.baseline.clone_from(baseline);
        settings.integrated_gradients.steps = self.steps;
        settings.integrated_gradients.quadrature = self.quadrature;
        settings.integrated_gradients.baseline = baseline.iter().map(|&v| v.into()).collect();
        settings.smooth_grad.samples = self.copies;
        settings.smooth_grad.seed = self.seed;
        settings.lime.samples = self.samples;
        settings.lime.features = self.features;
        settings.lime.seed = self.seed;
        settings.rise.masks = self.masks;
        settings.rise.seed = self.seed;
        settings.rise.baseline.clone_from(baseline);
        settings.shapley.samples = self.coalitions;
        settings.shapley.seed = self.seed;
        settings.gradient_shap.samples = self.steps;
        settings.gradient_shap.seed = self.seed;
        if classifier.explicit_baseline {
            settings.lime.fill = Fill::Value(baseline.clone());
            settings.shapley.fill = Fill::Value(baseline.clone());
        }
        settings.gradient_shap.baselines = if classifier.explicit_baseline {
            vec![baseline.iter().map(|&v| v.into()).collect()]
        } else {
            grays(&network.normalization, network.network.in_channels())
        };
        Ok(settings)
    }

    /// Window and stride of occlusion for an input of `size` pixels a side.
    fn windows(&self, size: usize) -> Result<(usize, usize)> {
        let window = self.window.unwrap_or(size / 7).max(1);
        if self.window.is_some() && window >= size.max(2) {
            let message = format!(
                "a window of {window} pixels covers all {size} x {size} of the network's input"
            );
            return Err(Error::request(message).with_hint(Hint::of("choose a smaller {window}")));
        }
        let stride = self.stride.unwrap_or(window / 2).max(1);
        if stride > window {
            let message = format!("windows of {window} pixels leave gaps at a stride of {stride}");
            return Err(Error::request(message).with_hint(Hint::of("choose a smaller {stride}")));
        }
        Ok((window, stride))
    }

    fn composite(rules: &str, normalization: &Normalization) -> Result<Composite> {
        Composite::parse(rules, normalization).with_context(|| format!("`{rules}`")).map_err(
            |error| {
                error.with_hint(
                    "composites are conserving, epsilon-plus, epsilon-plus-flat, \
                     epsilon-alpha2-beta1, epsilon-alpha2-beta1-flat and epsilon-gamma-box; a list is \
                     SELECTOR:RULE,...,RULE",
                )
            },
        )
    }

    /// Superpixels for pictures of `side` pixels.
    fn segmentation(&self, side: usize) -> Result<Segmentation> {
        match (self.superpixels, self.segments, self.kernel) {
            (SuperpixelKind::Slic, _, Some(_)) => Err(Error::request("slic has no `kernel`")
                .with_hint(Hint::of(
                    "choose quickshift with {superpixels}, or the number of parts with {segments}",
                ))),
            (SuperpixelKind::Quickshift, Some(_), _) => {
                let message = "quickshift has no `segments`: it finds the number of parts itself";
                Err(Error::request(message)
                    .with_hint(Hint::of("a wider {kernel} makes fewer parts")))
            }
            (SuperpixelKind::Slic, segments, None) => {
                let slic = Slic::default();
                let segments = segments.unwrap_or(slic.segments);
                Ok(Segmentation::Slic(Slic { segments, ..slic }))
            }
            (SuperpixelKind::Quickshift, None, Some(kernel))
                if !(kernel > 0.0 && kernel.is_finite()) =>
            {
                Err(Error::request(format!("`kernel` is {kernel}, expected above 0")))
            }
            (SuperpixelKind::Quickshift, None, kernel) => Ok(Segmentation::Quickshift(
                kernel.map_or_else(|| Quickshift::for_side(side), Quickshift::with_kernel),
            )),
        }
    }
}

/// Network input of five grays from black to white, by channel: where the ways of gradient SHAP start, so
/// that no color alone counts for nothing.
fn grays(scaling: &Normalization, channels: usize) -> Vec<Vec<f64>> {
    let gray = |level: usize| {
        let pixel = 255.0 * level as f32 / 4.0;
        (0..channels).map(|c| scaling.apply(c, pixel).into()).collect()
    };
    (0..5).map(gray).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_smaller_than_the_input_and_larger_than_the_stride() {
        let windows = |window, stride| {
            MethodOptions { window, stride, ..MethodOptions::default() }.windows(32)
        };
        assert_eq!(windows(None, None).unwrap(), (4, 2));
        assert_eq!(windows(Some(31), None).unwrap(), (31, 15));
        assert!(windows(Some(32), None).unwrap_err().to_string().contains("all 32 x 32"));
        assert!(windows(Some(4), Some(5)).unwrap_err().to_string().contains("gaps"));
    }

    #[test]
    fn options_out_of_range_are_found_before_the_classifier_is_opened() {
        let fails = |options: MethodOptions| options.check().unwrap_err().report();
        let default = MethodOptions::default;
        assert!(default().check().is_ok());
        assert!(fails(MethodOptions { samples: 1, ..default() }).contains("samples"));
        assert!(fails(MethodOptions { kernel: Some(2.0), ..default() }).contains("slic"));
        let rule = "first:zbox,z+".to_owned();
        assert!(fails(MethodOptions { rule, ..default() }).contains("flat or z-box"));
    }
}
