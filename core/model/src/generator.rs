//! Generators: a mapping of latents and a synthesis of images.

use std::fmt;
use std::str::FromStr;

use candle_core::{Device, Tensor};

use crate::{Error, Result};

/// Sizes of a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratorInfo {
    /// Length of `z`.
    pub z_dim: usize,
    /// Length of one row of `ws`.
    pub w_dim: usize,
    /// Style inputs of the synthesis: rows of `ws`.
    pub num_ws: usize,
    /// Classes; 0 for an unconditional generator.
    pub c_dim: usize,
    /// Height of an image, in pixels; its width, too, but for [`Generator::image_size`] of a family whose
    /// images are not square.
    pub img_resolution: usize,
    /// Color channels of an image: 3, or 1 for gray.
    pub img_channels: usize,
    /// How an image becomes bytes.
    pub rounding: Rounding,
    /// How the published tools draw `z` for a truncation.
    pub truncation: TruncationKind,
}

/// Where a family truncates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TruncationKind {
    /// In W, towards the mean `w_avg` (StyleGAN), or in a `z` that is the first part of it, towards 0.
    Psi,
    /// In Z, by a truncated normal of that threshold, in (0, 1] (BigGAN).
    Threshold,
}

/// How an image in [-1, 1] becomes 8-bit, as the tool of each family does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// `x * 127.5 + 128`, clamped to 0..255, fraction dropped (StyleGAN).
    StyleGan,
    /// `(x + 1) / 2 * 256`, clamped to 0..255, fraction dropped (BigGAN).
    BigGan,
    /// `(x + 1) * 255 / 2`, clamped to 0..255, fraction dropped (BigGAN-PyTorch, StyleGAN-XL).
    Floor,
}

/// Truncation in W: `w_avg + psi (w - w_avg)` for the first `cutoff` rows of `ws`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truncation {
    /// 1 leaves `w` unchanged, 0 is the mean; any finite value is allowed.
    pub psi: f64,
    /// Number of leading rows that are truncated; all of them if missing.
    pub cutoff: Option<usize>,
}

impl Truncation {
    /// No truncation.
    pub const NONE: Self = Self { psi: 1.0, cutoff: None };

    /// Truncation of every row by `psi`.
    pub const fn psi(psi: f64) -> Self {
        Self { psi, cutoff: None }
    }

    /// Number of leading rows, of `num_ws`, that it moves: 0 if psi is 1.
    ///
    /// # Errors
    /// If psi is not finite.
    pub fn rows(self, num_ws: usize) -> Result<usize> {
        if !self.psi.is_finite() {
            let message = format!("truncation psi is {}, not a finite number", self.psi);
            return Err(Error::Input(message));
        }
        Ok(if self.psi == 1.0 {
            0
        } else {
            self.cutoff.map_or(num_ws, |cutoff| cutoff.min(num_ws))
        })
    }
}

/// Where a StyleGAN's noise inputs come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoiseMode {
    /// The buffers stored in the checkpoint.
    #[default]
    Const,
    /// Normal draws from a stream seeded for each image.
    Random,
    /// No noise.
    None,
}

impl NoiseMode {
    /// Its name in requests and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Const => "const",
            Self::Random => "random",
            Self::None => "none",
        }
    }
}

impl fmt::Display for NoiseMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for NoiseMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Const, Self::Random, Self::None].into_iter().find(|m| m.name() == text).ok_or_else(
            || Error::Input(format!("noise `{text}`: expected `const`, `random` or `none`")),
        )
    }
}

/// Options of the synthesis.
#[derive(Debug, Clone, PartialEq)]
pub struct Synthesis {
    /// Noise inputs; ignored by families that have none.
    pub noise_mode: NoiseMode,
    /// One seed per image for [`NoiseMode::Random`]; image `i` uses `noise_seeds[i]`, or `i`.
    pub noise_seeds: Vec<u32>,
    /// Truncation whose batch-norm statistics BigGAN uses, in (0, 1].
    pub threshold: f64,
    /// Height that is enough: the synthesis ends at the largest of [`Generator::preview_sizes`] that is
    /// at most so high, at the smallest where all are higher. Whole images if missing, or if there are
    /// no previews.
    pub preview: Option<usize>,
}

impl Default for Synthesis {
    fn default() -> Self {
        let (noise_mode, noise_seeds) = (NoiseMode::Const, Vec::new());
        Self { noise_mode, noise_seeds, threshold: 1.0, preview: None }
    }
}

/// Fails if a synthesis should end; families ask between their layers.
///
/// # Errors
/// [`Error::Stopped`].
pub fn go_on(stop: &dyn Fn() -> bool) -> Result<()> {
    if stop() { Err(Error::Stopped) } else { Ok(()) }
}

/// A trained generator, cut where latents are explored: `z -> ws -> image`.
pub trait Generator: Send + Sync {
    /// Sizes and conventions.
    fn info(&self) -> GeneratorInfo;

    /// Height and width of an image, in pixels.
    fn image_size(&self) -> [usize; 2] {
        [self.info().img_resolution; 2]
    }

    /// Device that the tensors live on.
    fn device(&self) -> &Device;

    /// Style inputs for latents: `z` (N, `z_dim`) to `ws` (N, `num_ws`, `w_dim`).
    ///
    /// # Errors
    /// If a conditional generator gets no class, a class is out of range, or shapes differ.
    fn map(&self, z: &Tensor, classes: Option<&[u32]>, truncation: Truncation) -> Result<Tensor>;

    /// The weights that turn each style input into styles, (styles, `w_dim`), in the order of the rows of
    /// `ws`; none of a family whose style inputs are turned in another way.
    fn style_weights(&self) -> Vec<Tensor> {
        Vec::new()
    }

    /// Heights of the smaller images that arise on the way to the whole one, rising; none of a family that
    /// makes colors only at its end.
    fn preview_sizes(&self) -> Vec<usize> {
        Vec::new()
    }

    /// Images for style inputs: `ws` (N, `num_ws`, `w_dim`) to (N, `img_channels`, H, W), nominally
    /// in [-1, 1].
    ///
    /// # Errors
    /// If `ws` has another shape.
    fn synthesize(&self, ws: &Tensor, options: &Synthesis) -> Result<Tensor> {
        self.synthesize_unless(ws, options, &|| false)
    }

    /// As [`synthesize`](Self::synthesize), unless `stop`, which is asked again and again, says so.
    ///
    /// # Errors
    /// If `ws` has another shape; [`Error::Stopped`].
    fn synthesize_unless(
        &self,
        ws: &Tensor,
        options: &Synthesis,
        stop: &dyn Fn() -> bool,
    ) -> Result<Tensor>;

    /// The noise maps of the checkpoint, (R, R) each, in the order in which the synthesis adds them; none
    /// of a family without noise inputs.
    fn noise_maps(&self) -> Vec<Tensor> {
        Vec::new()
    }

    /// As [`synthesize`](Self::synthesize) with [`NoiseMode::Const`], with `maps` in place of
    /// [`noise_maps`](Self::noise_maps); it can be differentiated with respect to them, too.
    ///
    /// # Errors
    /// If there are other maps than those of the checkpoint.
    fn synthesize_with_noise(&self, ws: &Tensor, maps: &[Tensor]) -> Result<Tensor> {
        match maps {
            [] => self.synthesize(ws, &Synthesis::default()),
            _ => Err(Error::Input("the generator has no noise inputs".into())),
        }
    }
}
