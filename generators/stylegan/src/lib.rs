//! StyleGAN 1, 2 and 3, and StyleGAN-XL.
//!
//! [`load`] makes a [`Generator`] of a checkpoint in any of the forms that these networks are
//! published in: snapshots of StyleGAN2, StyleGAN2-ADA, StyleGAN3 and StyleGAN-XL and safetensors with
//! their names; NVIDIA's TensorFlow snapshots of StyleGAN and StyleGAN2; state dicts of
//! rosinality's StyleGAN2 and of genforce's StyleGAN.
//!
//! Every tensor is used or known to be without effect; a missing, misshapen or left-over one is an
//! error. Sizes are read from the tensors; the rest of the configuration comes with the file or
//! from the caller ([`Options`]).

mod config;
mod convert;
mod error;
mod mapping;
mod modulation;
mod noise;
mod stylegan1;
mod stylegan2;
mod stylegan3;

use candle_core::Device;
use ganscope_model::{Checkpoint, Generator};
use ganscope_weights::Weights;
use serde_json::{Map, Value};

pub use config::{
    Activation, Architecture, FusedScale, MappingConfig, StyleGan1Config, StyleGan2Config,
    StyleGan3Config,
};
pub use convert::{Family, describe};
pub use error::{Error, Result};
pub use stylegan1::StyleGan1;
pub use stylegan2::StyleGan2;
pub use stylegan3::{StyleGan3, Transform};

/// How to load a generator.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// Constructor arguments that take precedence over those in the file.
    pub config: Map<String, Value>,
    /// Where to move the images of StyleGAN3; as stored in the file where absent.
    pub transform: Option<Transform>,
}

/// The generator in `weights`, configured by its file.
///
/// # Errors
/// If the tensors are those of another network, do not fit the configuration, or leave a
/// hyper-parameter open that the file does not contain.
pub fn load(weights: Weights, device: &Device) -> Result<Box<dyn Generator>> {
    load_with(weights, &Options::default(), device)
}

/// The generator in `weights`, configured by its file and by `options`.
///
/// # Errors
/// Those of [`load`], and if a transform is requested of another network than StyleGAN3.
pub fn load_with(
    weights: Weights,
    options: &Options,
    device: &Device,
) -> Result<Box<dyn Generator>> {
    let (family, mut weights) = convert::convert(weights)?;
    if options.transform.is_some() && !matches!(family, Family::StyleGan3 | Family::StyleGanXl) {
        return Err(Error::Config("only StyleGAN3 can move and turn its images".to_owned()));
    }
    weights.config.extend(options.config.clone());
    let given = weights.config.clone();
    let checkpoint = Checkpoint::from(weights);
    Ok(match family {
        Family::StyleGan1 => {
            let config = config::stylegan1(&checkpoint, &given)?;
            Box::new(StyleGan1::new(checkpoint, config, device)?)
        }
        Family::StyleGan2 => {
            let config = config::stylegan2(&checkpoint, &given)?;
            Box::new(StyleGan2::new(checkpoint, config, device)?)
        }
        Family::StyleGan3 | Family::StyleGanXl => {
            let mut generator = if family == Family::StyleGan3 {
                let config = config::stylegan3(&checkpoint, &given)?;
                StyleGan3::new(checkpoint, config, device)?
            } else {
                let config = config::stylegan_xl(&checkpoint, &given)?;
                StyleGan3::xl(checkpoint, config, device)?
            };
            if let Some(transform) = options.transform {
                generator.set_transform(transform);
            }
            Box::new(generator)
        }
    })
}
