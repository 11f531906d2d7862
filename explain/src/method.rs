//! The methods by name.

use std::fmt;
use std::str::FromStr;

use crate::cam::Evidence;
use crate::{Error, Result};

/// A method by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// [`gradient`](crate::gradient()).
    Gradient,
    /// [`SmoothGrad`](crate::SmoothGrad).
    SmoothGrad,
    /// [`input_x_gradient`](crate::input_x_gradient()).
    InputXGradient,
    /// [`IntegratedGradients`](crate::IntegratedGradients).
    IntegratedGradients,
    /// [`gradient`](crate::gradient()) with [`Rectifier::Deconvnet`](ganscope_model::network::Rectifier::Deconvnet).
    Deconvnet,
    /// [`gradient`](crate::gradient()) with [`Rectifier::Guided`](ganscope_model::network::Rectifier::Guided).
    GuidedBackprop,
    /// [`Occlusion`](crate::Occlusion).
    Occlusion,
    /// [`cam`](crate::cam()).
    Cam,
    /// [`grad_cam`](crate::grad_cam()).
    GradCam,
    /// [`guided_grad_cam`](crate::guided_grad_cam()).
    GuidedGradCam,
    /// [`layer_cam`](crate::layer_cam()).
    LayerCam,
    /// [`score_cam`](crate::score_cam()).
    ScoreCam,
    /// [`relevance`](crate::relevance()).
    Lrp,
    /// [`AttentionLrp::attn_lrp`](crate::AttentionLrp::attn_lrp).
    AttnLrp,
    /// [`AttentionLrp::cp_lrp`](crate::AttentionLrp::cp_lrp).
    CpLrp,
    /// [`attention_rollout`](crate::attention_rollout()).
    AttentionRollout,
    /// [`Lime`](crate::Lime).
    Lime,
    /// [`Rise`](crate::Rise).
    Rise,
    /// [`Shapley`](crate::Shapley) by [`ShapleyEstimate::Kernel`](crate::ShapleyEstimate::Kernel).
    KernelShap,
    /// [`Shapley`](crate::Shapley) by [`ShapleyEstimate::Sampling`](crate::ShapleyEstimate::Sampling).
    ShapleySampling,
    /// [`GradientShap`](crate::GradientShap).
    GradientShap,
}

impl Method {
    /// Every method, in the order of lists.
    pub const ALL: [Self; 21] = [
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
        Self::LayerCam,
        Self::ScoreCam,
        Self::Lrp,
        Self::AttnLrp,
        Self::CpLrp,
        Self::AttentionRollout,
        Self::Lime,
        Self::Rise,
        Self::KernelShap,
        Self::ShapleySampling,
        Self::GradientShap,
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
            Self::LayerCam => "layer-cam",
            Self::ScoreCam => "score-cam",
            Self::Lrp => "lrp",
            Self::AttnLrp => "attn-lrp",
            Self::CpLrp => "cp-lrp",
            Self::AttentionRollout => "rollout",
            Self::Lime => "lime",
            Self::Rise => "rise",
            Self::KernelShap => "kernel-shap",
            Self::ShapleySampling => "shapley-sampling",
            Self::GradientShap => "gradient-shap",
        }
    }

    /// The evidence that its map shows where none is asked for, as published.
    pub fn evidence(self) -> Evidence {
        match self {
            Self::GradCam | Self::LayerCam | Self::ScoreCam | Self::AttentionRollout => {
                Evidence::Positive
            }
            _ => Evidence::Signed,
        }
    }

    /// Whether its map hardly changes with what the upper layers have learned: it shows what the
    /// image contains rather than why the class was chosen (Adebayo et al., "Sanity Checks for
    /// Saliency Maps", 2018, <https://arxiv.org/abs/1810.03292>). Relevance propagation does so too
    /// under the z+ rule. Attention rollout does not depend on the class at all.
    pub fn ignores_upper_layers(self) -> bool {
        matches!(
            self,
            Self::Deconvnet | Self::GuidedBackprop | Self::GuidedGradCam | Self::AttentionRollout
        )
    }

    /// Whether its map tells what the image has over a baseline, which may be another image.
    pub fn has_baseline(self) -> bool {
        matches!(
            self,
            Self::IntegratedGradients
                | Self::Occlusion
                | Self::Lime
                | Self::Rise
                | Self::KernelShap
                | Self::ShapleySampling
                | Self::GradientShap
        )
    }

    /// Whether it explains transformers alone.
    pub fn needs_attention(self) -> bool {
        matches!(self, Self::AttnLrp | Self::CpLrp | Self::AttentionRollout)
    }

    /// Whether it changes what passes rectifiers.
    pub(crate) fn needs_rectifiers(self) -> bool {
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
                | Self::AttentionRollout
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
                        guided-backprop, occlusion, cam, grad-cam, guided-grad-cam, layer-cam, \
                        score-cam, lrp, attn-lrp, cp-lrp, rollout, lime, rise, kernel-shap, \
                        shapley-sampling or gradient-shap";
        found.ok_or_else(|| Error::Option { name: "a method", expected, got: name.to_owned() })
    }
}
