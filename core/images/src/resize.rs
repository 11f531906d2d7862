//! Resizing as the tools of the field do it, by name.
//!
//! Scores move by several points between conventions (Parmar et al., "On Aliased Resizing and
//! Surprising Subtleties in GAN Evaluation", 2022, <https://arxiv.org/abs/2104.11222>), so a
//! convention is part of a score.

mod antialiased;
mod bilinear;
mod pillow;

use std::fmt;
use std::str::FromStr;

use pillow::Fit;

use crate::Image;

/// How an image is brought to the size of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resize {
    /// TensorFlow 1 bilinear: source coordinate `dst * in / out`, no antialiasing (torch-fidelity,
    /// TTUR, ADM, NVIDIA).
    TfBilinear,
    /// PyTorch bilinear with `align_corners=False`: source coordinate `(dst + 1/2) * in / out - 1/2`,
    /// not below 0, no antialiasing (pytorch-fid).
    TorchBilinear,
    /// Pillow bilinear: a triangle as wide as the reduction.
    PillowBilinear,
    /// Pillow bicubic: Catmull-Rom as wide as the reduction, clipped to 0..255 (clean-fid).
    PillowBicubic,
    /// Pillow Lanczos with three lobes, as wide as the reduction, clipped to 0..255.
    PillowLanczos,
    /// PyTorch bicubic with `antialias=True`: as [`PillowBicubic`](Self::PillowBicubic), not clipped
    /// (EDM2).
    TorchBicubic,
    /// Pillow bicubic of 8-bit images: rounded after each axis (dgm-eval).
    PillowBicubicBytes,
    /// The shorter side as [`PillowBicubicBytes`](Self::PillowBicubicBytes), then the middle square
    /// (CLIP's own transform).
    ResizeCrop,
    /// The middle square, then [`PillowBicubicBytes`](Self::PillowBicubicBytes) (CMMD).
    CropResize,
}

impl Resize {
    /// All conventions, in the order of help texts.
    pub const ALL: &[Self] = &[
        Self::TfBilinear,
        Self::TorchBilinear,
        Self::PillowBicubic,
        Self::PillowBilinear,
        Self::PillowLanczos,
        Self::TorchBicubic,
        Self::PillowBicubicBytes,
        Self::ResizeCrop,
        Self::CropResize,
    ];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::TfBilinear => "tf-bilinear",
            Self::TorchBilinear => "torch-bilinear",
            Self::PillowBilinear => "pillow-bilinear",
            Self::PillowBicubic => "pillow-bicubic",
            Self::PillowLanczos => "pillow-lanczos",
            Self::TorchBicubic => "torch-bicubic-antialias",
            Self::PillowBicubicBytes => "pillow-bicubic-bytes",
            Self::ResizeCrop => "pillow-bicubic-bytes-then-crop",
            Self::CropResize => "crop-then-pillow-bicubic-bytes",
        }
    }
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name of a [`Resize`] was expected.
#[derive(Debug, thiserror::Error)]
#[error("unknown resize convention `{found}`, expected one of {}", names())]
pub struct UnknownResize {
    /// What was given.
    pub found: String,
}

fn names() -> String {
    Resize::ALL.iter().map(|r| r.name()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Resize {
    type Err = UnknownResize;

    fn from_str(name: &str) -> Result<Self, UnknownResize> {
        let found = || UnknownResize { found: name.to_owned() };
        Self::ALL.iter().copied().find(|r| r.name() == name).ok_or_else(found)
    }
}

/// What happens to an image before the network sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Preprocess {
    /// Convention of the resize.
    pub resize: Resize,
    /// Side of the square it ends in, pixels.
    pub size: usize,
}

impl Preprocess {
    /// Number of floats that one image becomes: `3 size^2`.
    pub fn values(&self) -> usize {
        3 * self.size * self.size
    }

    /// Resizes to (size, size, 3) floats on 0..255, channel last and not rounded.
    ///
    /// # Panics
    /// If `out` holds another number of values than [`values`](Self::values), or the image has no pixel.
    pub fn apply(&self, image: &Image, out: &mut [f32]) {
        assert_eq!(out.len(), self.values(), "one value per channel of the resized image");
        assert!(image.width > 0 && image.height > 0, "an image has at least one pixel");
        match self.resize {
            Resize::TfBilinear => bilinear(image, self.size, bilinear::tf, out),
            Resize::TorchBilinear => bilinear(image, self.size, bilinear::torch, out),
            Resize::PillowBilinear
            | Resize::PillowBicubic
            | Resize::PillowLanczos
            | Resize::TorchBicubic => antialiased::resize(image, self.size, self.resize, out),
            Resize::PillowBicubicBytes => pillow::resize(image, self.size, Fit::Stretch, out),
            Resize::ResizeCrop => pillow::resize(image, self.size, Fit::CropAfter, out),
            Resize::CropResize => pillow::resize(image, self.size, Fit::CropBefore, out),
        }
    }
}

fn bilinear(
    image: &Image,
    size: usize,
    tap: fn(usize, usize, usize) -> bilinear::Tap,
    out: &mut [f32],
) {
    if [image.height, image.width] == [size; 2] {
        // Every weight is zero.
        out.iter_mut().zip(&image.pixels).for_each(|(out, &value)| *out = value.into());
        return;
    }
    let row = |y: usize| {
        let (pixels, _) = image.row(y).as_chunks::<3>();
        move |x: usize| pixels[x].map(f32::from)
    };
    bilinear::resize([image.height, image.width], row, size, tap, out);
}

/// Resizes float planes (3, height, width) to (size, size, 3) as [`Resize::TfBilinear`] does it, for
/// images that were never rounded to bytes.
///
/// # Panics
/// If the number of values of `planes` or `out` is another, or a plane has no pixel.
pub fn resize_planes(planes: &[f32], [height, width]: [usize; 2], size: usize, out: &mut [f32]) {
    let area = height * width;
    assert!(area > 0 && planes.len() == 3 * area, "three planes with at least one pixel");
    assert_eq!(out.len(), 3 * size * size, "one value per channel of the resized image");
    let row = |y: usize| move |x: usize| [0, 1, 2].map(|c| planes[c * area + y * width + x]);
    bilinear::resize([height, width], row, size, bilinear::tf, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_resized_as_images_are() {
        let (height, width, size) = (16, 12, 29);
        let pixels = ganscope_golden::image(5, height, width);
        let planes: Vec<f32> =
            (0..3).flat_map(|c| pixels.iter().skip(c).step_by(3).map(|&v| f32::from(v))).collect();
        let preprocess = Preprocess { resize: Resize::TfBilinear, size };
        let [mut expected, mut actual] = [(); 2].map(|()| vec![0.0; preprocess.values()]);
        preprocess.apply(&Image { width, height, pixels }, &mut expected);
        resize_planes(&planes, [height, width], size, &mut actual);
        assert_eq!(actual, expected);
    }
}
