//! Vision transformers as feature extractors: DINOv2 and the image towers of CLIP.
//!
//! Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", 2023,
//! <https://arxiv.org/abs/2304.07193>; Darcet et al., "Vision Transformers Need Registers", 2023,
//! <https://arxiv.org/abs/2309.16588>; Radford et al., "Learning Transferable Visual Models From
//! Natural Language Supervision", 2021, <https://arxiv.org/abs/2103.00020>.
//!
//! Sizes are read from the shapes of the checkpoint, the number of heads from a [`Config`]. The position
//! embedding of DINOv2 is resized as its own repository does it, whoever wrote the file: only so do
//! features agree with published distances.
//!
//! ```
//! use ganscope_model::{Checkpoint, Result};
//! use ganscope_vit::{Config, Vit};
//!
//! fn load(checkpoint: Checkpoint) -> Result<Vit> {
//!     let vit = Vit::dinov2(checkpoint, &Config::default())?;
//!     assert_eq!(vit.input_size(), 224);
//!     Ok(vit)
//! }
//! ```

mod config;
mod features;
mod head;
mod names;
mod network;

use std::sync::Arc;

use ganscope_model::network::Positions;
use ganscope_model::{Checkpoint, Error, Network, Normalization, Result};

pub use config::{Activation, Config, Heads};
pub use features::VitFeatures;
pub use head::has_head;
use network::{Family, Sizes};

/// Side of the images that published distances give to DINOv2, pixels.
const DINOV2_SIZE: usize = 224;

/// A vision transformer.
#[derive(Debug, Clone)]
pub struct Vit {
    network: Arc<Network>,
    normalization: Normalization,
    sizes: Sizes,
    input_size: usize,
    activation: Option<Activation>,
}

impl Vit {
    /// DINOv2 of any size, with or without registers: the names of its repository, of timm or of
    /// transformers. Features of an image are the step `cls`, the class token after the last
    /// normalization, or `patch_mean` or `reg_mean`, the means of the other tokens.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or is left over, or the heads do not divide the width.
    pub fn dinov2(checkpoint: Checkpoint, config: &Config) -> Result<Self> {
        let names = names::find(&checkpoint, [&names::DINOV2, &names::DINOV2_TRANSFORMERS])?;
        let family = Family {
            eps: 1e-6,
            activation: Activation::Gelu,
            positions: [Positions::Bicubic { offset: 0.1 }, Positions::Antialiased],
            norm_all: true,
        };
        let (network, sizes) = network::network(checkpoint, names, family, config)?;
        Ok(Self {
            network: Arc::new(network),
            normalization: Normalization::imagenet(),
            sizes,
            input_size: DINOV2_SIZE,
            activation: None,
        })
    }

    /// The image tower of CLIP: an archive of OpenAI, or the names of `open_clip` or transformers.
    /// Features of an image are the step `image_embeds`, `normalized`, the same of unit length, or
    /// `pooled`, what is projected to it.
    ///
    /// Whether a network has the GELU or OpenAI's approximation stands in no tensor: `config` says
    /// so, an archive of OpenAI has the approximation, and so has what transformers wrote unless
    /// `config` says otherwise.
    ///
    /// # Errors
    /// As [`dinov2`](Self::dinov2), and if nothing tells the activation.
    pub fn clip(checkpoint: Checkpoint, config: &Config) -> Result<Self> {
        let names = names::find(&checkpoint, [&names::CLIP, &names::CLIP_TRANSFORMERS])?;
        let is_archive = names::ARCHIVE.iter().all(|name| checkpoint.contains(name));
        let of_file = names.activation.or(is_archive.then_some(Activation::QuickGelu));
        let activation = config.activation.or(of_file).ok_or_else(|| {
            let choice = "GELU or QuickGELU: the checkpoint does not tell, a configuration has to";
            Error::Config(format!("{choice} (`hidden_act` or `quick_gelu`)"))
        })?;
        let positions = [Positions::Fixed; 2];
        let family = Family { eps: 1e-5, activation, positions, norm_all: false };
        let (network, sizes) = network::network(checkpoint, names, family, config)?;
        Ok(Self {
            network: Arc::new(network),
            normalization: Normalization::Channels {
                mean: vec![0.481_454_66, 0.457_827_5, 0.408_210_73],
                std: vec![0.268_629_54, 0.261_302_6, 0.275_777_1],
            },
            sizes,
            input_size: sizes.grid * sizes.patch,
            activation: Some(activation),
        })
    }

    /// The network, (N, 3, H, W) to the embedding (N, D, 1, 1) of its last step.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// How pixel values become network input.
    pub fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    /// Side of the images of published distances, pixels.
    pub fn input_size(&self) -> usize {
        self.input_size
    }

    /// Side of a patch, pixels: sides of images are multiples of it.
    pub fn patch_size(&self) -> usize {
        self.sizes.patch
    }

    /// Heads of attention.
    pub fn heads(&self) -> usize {
        self.sizes.heads
    }

    /// Settings that are not those of the published networks, and that the weights do not tell: empty
    /// for these, else as `3 heads, gelu`.
    pub fn settings(&self) -> String {
        let Sizes { heads, width, .. } = self.sizes;
        let heads = (heads * 64 != width).then(|| format!("{heads} heads"));
        let activation = self.activation.filter(|&activation| activation != Activation::QuickGelu);
        let activation = activation.map(|activation| activation.name().to_owned());
        heads.into_iter().chain(activation).collect::<Vec<_>>().join(", ")
    }
}
