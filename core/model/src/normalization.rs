//! Input scaling: from pixels to the input of a network, and back.

use std::fmt;

use rayon::prelude::*;

/// How pixel values on 0..255 become network input.
///
/// Each tool scales in its own order of operations, which decides the last bits of the input.
///
/// ```
/// use ganscope_model::Normalization;
///
/// let input: Vec<f32> = [0, 128, 255].map(|x| Normalization::Tf.apply(0, x as f32)).to_vec();
/// assert_eq!(input, [-1.0, 0.0, 0.9921875]);
/// assert_eq!(Normalization::Tf.to_pixels(&input), [0, 128, 255]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Normalization {
    /// `(x - 128) / 128` of RGB images: the `TensorFlow` graph of FID Inception, and the tools that
    /// follow it.
    Tf,
    /// `2 (x / 255) - 1` of RGB images: pytorch-fid.
    Unit,
    /// `(x / 255 - mean) / std` with values for each channel: torchvision.
    Channels {
        /// Mean of each channel on 0..1.
        mean: Vec<f32>,
        /// Standard deviation of each channel on 0..1.
        std: Vec<f32>,
    },
}

impl Normalization {
    /// That of torchvision's `ImageNet` models.
    pub fn imagenet() -> Self {
        Self::Channels { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] }
    }

    /// The pixel value of each channel that becomes 0, on 0..1.
    pub fn mean(&self) -> Vec<f32> {
        match self {
            Self::Tf => vec![128.0 / 255.0; 3],
            Self::Unit => vec![0.5; 3],
            Self::Channels { mean, .. } => mean.clone(),
        }
    }

    /// The step of pixel values of each channel that becomes 1, on 0..1.
    pub fn std(&self) -> Vec<f32> {
        match self {
            Self::Tf | Self::Unit => self.mean(),
            Self::Channels { std, .. } => std.clone(),
        }
    }

    /// Network input for the value `x` on 0..255 of channel `c`.
    ///
    /// # Panics
    /// If there is no such channel.
    pub fn apply(&self, c: usize, x: f32) -> f32 {
        match self {
            Self::Tf => (x - 128.0) / 128.0,
            Self::Unit => 2.0 * (x / 255.0) - 1.0,
            Self::Channels { mean, std } => (x / 255.0 - mean[c]) / std[c],
        }
    }

    /// Network inputs for the values on 0..255 of pixels of three channels, one after the other.
    ///
    /// # Panics
    /// If the last pixel has fewer channels.
    pub fn apply_all(&self, pixels: &[f32]) -> Vec<f32> {
        let (pixels, rest) = pixels.as_chunks();
        assert!(rest.is_empty(), "pixels of three channels");
        let input =
            |[r, g, b]: &[f32; 3]| [self.apply(0, *r), self.apply(1, *g), self.apply(2, *b)];
        pixels.par_iter().map(input).collect::<Vec<_>>().into_flattened()
    }

    /// Pixel values of the channel-last network input `input`: the inverse of
    /// [`apply`](Self::apply), rounded, and limited to 0..255.
    pub fn to_pixels(&self, input: &[f32]) -> Vec<u8> {
        let (mean, std) = (self.mean(), self.std());
        let channels = mean.iter().zip(&std).cycle();
        let pixel = |(&v, (mean, std)): (&f32, (&f32, &f32))| {
            ((v * std + mean) * 255.0).round().clamp(0.0, 255.0) as u8
        };
        input.iter().zip(channels).map(pixel).collect()
    }
}

/// The formula, as the conditions of a score name it.
impl fmt::Display for Normalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tf => f.pad("(x - 128) / 128"),
            Self::Unit => f.pad("2 x / 255 - 1"),
            // The same function, to the bit: doubling is exact.
            Self::Channels { mean, std } if mean.iter().chain(std).all(|&v| v == 0.5) => {
                Self::Unit.fmt(f)
            }
            Self::Channels { mean, std } => f.pad(&format!("(x / 255 - {mean:?}) / {std:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [Normalization; 4] {
        let half = Normalization::Channels { mean: vec![0.5; 3], std: vec![0.5; 3] };
        [Normalization::Tf, Normalization::Unit, Normalization::imagenet(), half]
    }

    #[test]
    fn pixels_come_back() {
        let pixels: Vec<u8> = (0..=255).flat_map(|v| [v, 255 - v, v ^ 0x55]).collect();
        for scaling in all() {
            let input = pixels.iter().enumerate().map(|(i, &x)| scaling.apply(i % 3, x.into()));
            let input: Vec<f32> = input.collect();
            assert_eq!(scaling.to_pixels(&input), pixels, "{scaling}");
            let pixels: Vec<f32> = pixels.iter().map(|&v| v.into()).collect();
            assert_eq!(scaling.apply_all(&pixels), input, "{scaling}");
            assert!(scaling.to_pixels(&[-99.0; 3]).iter().all(|&v| v == 0));
            assert!(scaling.to_pixels(&[99.0; 3]).iter().all(|&v| v == 255));
        }
    }

    #[test]
    fn equal_formulas_are_equal_functions() {
        let [_, unit, _, half] = all();
        assert_eq!(unit.to_string(), half.to_string());
        assert!((0..=255_u8).all(|x| unit.apply(1, x.into()) == half.apply(1, x.into())));
        let formula = "(x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]";
        assert_eq!(Normalization::imagenet().to_string(), formula);
    }

    #[test]
    fn mean_and_std_describe_the_function() {
        for scaling in all() {
            for c in 0..3 {
                let (mean, std) = (255.0 * scaling.mean()[c], 255.0 * scaling.std()[c]);
                assert!(scaling.apply(c, mean).abs() < 1e-6, "{scaling}");
                assert!((scaling.apply(c, mean + std) - 1.0).abs() < 1e-6, "{scaling}");
            }
        }
    }
}
