//! Options of the methods of explanation.

use ganscope::explain::options::{MethodOptions, SuperpixelKind};
use ganscope::methods::{Biases, Evidence};

/// Options of the methods.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Methods")]
pub(super) struct MethodArgs {
    /// Layer of Grad-CAM [default: the last with a map of several pixels]
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,

    /// Rules of LRP: a composite, or `SELECTOR:RULE,...,RULE`
    ///
    /// Composites: epsilon-plus-flat, epsilon-alpha2-beta1-flat, epsilon-gamma-box. Rules:
    /// epsilon=E, gamma=G, alpha=A (beta is one less), z+, w2, flat, z-box. Selectors: first, a kind
    /// such as conv or linear, depths such as 0-3, the name of a layer or block.
    #[arg(long, value_name = "RULES", default_value = "epsilon-plus-flat")]
    rule: String,

    /// Evidence that maps show: positive, negative, signed or absolute [default: as published]
    #[arg(long, value_name = "KIND", hide_short_help = true)]
    evidence: Option<Evidence>,

    /// Relevance that falls to biases in LRP: `share`, `ignore` or `keep`
    ///
    /// share: the inputs share it evenly, so that the map sums to the answer. ignore: biases take no
    /// part in the sums. keep: a bias keeps it, as published; networks whose batch norms are folded
    /// into biases, such as EfficientNet-Lite0, then leave nothing to the pixels.
    #[arg(long, value_name = "WAY", default_value = "share", hide_short_help = true)]
    biases: Biases,

    /// Pixel value of the baseline, 0 to 255 [default: the classifier's own]
    #[arg(long, value_name = "VALUE", hide_short_help = true)]
    baseline: Option<f32>,

    /// Side of the window of occlusion, in pixels of the network's input
    /// [default: a seventh of the input]
    #[arg(long, value_name = "N", hide_short_help = true)]
    window: Option<usize>,

    /// Distance of neighboring windows [default: half the window]
    #[arg(long, value_name = "N", hide_short_help = true)]
    stride: Option<usize>,

    /// How LIME cuts an image into superpixels: `slic`, parts of about one size, or `quickshift`,
    /// parts as large as what looks alike
    #[arg(long, value_name = "WAY", default_value = "slic", hide_short_help = true)]
    superpixels: SuperpixelKind,

    /// About how many superpixels slic makes [default: 60]
    #[arg(long, value_name = "N", hide_short_help = true)]
    segments: Option<usize>,

    /// Width of the kernel of quickshift, in pixels of the network's input
    /// [default: a 75th of the input]
    #[arg(long, value_name = "WIDTH", hide_short_help = true)]
    kernel: Option<f64>,

    /// Superpixels that LIME keeps in its model [default: all]
    #[arg(long, value_name = "N", hide_short_help = true)]
    features: Option<usize>,

    /// Images that LIME scores
    #[arg(long, value_name = "N", default_value_t = 1000, hide_short_help = true)]
    samples: usize,

    /// Noisy copies that SmoothGrad takes the mean over
    #[arg(long, value_name = "N", default_value_t = 50, hide_short_help = true)]
    copies: usize,

    /// Steps of integrated gradients
    #[arg(long, value_name = "N", default_value_t = 256, hide_short_help = true)]
    steps: usize,

    /// Seed of SmoothGrad and LIME
    #[arg(long, default_value_t = 0, hide_short_help = true)]
    seed: u32,
}

impl MethodArgs {
    /// The baseline of the classifier.
    pub(super) fn baseline(&self) -> Option<f32> {
        self.baseline
    }

    pub(super) fn options(&self) -> MethodOptions {
        let Self { layer, rule, .. } = self.clone();
        let Self { evidence, biases, window, stride, superpixels, segments, .. } = *self;
        let Self { kernel, features, samples, copies, steps, seed, .. } = *self;
        MethodOptions {
            evidence,
            layer,
            rule,
            biases,
            window,
            stride,
            superpixels,
            segments,
            kernel,
            features,
            samples,
            copies,
            steps,
            seed,
        }
    }
}
