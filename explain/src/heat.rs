//! Maps as pictures.
//!
//! Signed maps are red where a pixel speaks for the target, blue where it speaks against it, white
//! where it does neither; maps without sign go from dark violet to yellow (viridis). Both scales are
//! even to the eye, and color-blind readers can tell their ends apart.

use ganscope_images::Image;
use ganscope_model::network::{Convolution, Op, Real};
use ganscope_model::{FeatureMap, Network};

use crate::cam::{Evidence, channel_sum, enlarge};
use crate::{Error, Result};

/// Colors of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    /// Blue, white, red for values from `-scale` to `scale`.
    Signed,
    /// Viridis for values from 0 to `scale`.
    Positive,
}

impl Palette {
    /// The colors of maps that show this evidence, whatever their values.
    pub fn of(evidence: Evidence) -> Self {
        match evidence {
            Evidence::Signed | Evidence::Negative => Self::Signed,
            Evidence::Positive | Evidence::Absolute => Self::Positive,
        }
    }

    /// The color of `value`, a share of the scale.
    pub fn color(self, value: f64) -> [u8; 3] {
        let value = if value.is_nan() { 0.0 } else { value };
        let color = match self {
            Self::Signed => colorous::RED_BLUE.eval_continuous(0.5 - 0.5 * value.clamp(-1.0, 1.0)),
            Self::Positive => colorous::VIRIDIS.eval_continuous(value.clamp(0.0, 1.0)),
        };
        [color.r, color.g, color.b]
    }

    /// A bar of all colors, the lowest at the left.
    pub fn bar(self, width: usize, height: usize) -> Image {
        let lowest = if self == Self::Signed { -1.0 } else { 0.0 };
        let color = |i: usize| {
            let share = (i % width.max(1)) as f64 / (width.max(2) - 1) as f64;
            self.color(lowest + share * (1.0 - lowest))
        };
        let pixels = (0..width * height).flat_map(color).collect();
        Image { width, height, pixels }
    }
}

/// The absolute value that this share of the channel sums of a map does not exceed: the end of its
/// color scale. A share of 1 gives the largest value; maps of single pixels, where few are far
/// above the rest, show more with 0.995.
pub fn scale<T: Real>(map: &FeatureMap<T>, share: f64) -> f64 {
    let mut values: Vec<f64> = channel_sum(map).data.iter().map(|v| v.to_f64().abs()).collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((share.clamp(0.0, 1.0) * last as f64).ceil() as usize).copied().unwrap_or(0.0)
}

/// The channel sums of the first map, enlarged to `width x height`, in colors.
pub fn draw<T: Real>(
    map: &FeatureMap<T>,
    palette: Palette,
    scale: f64,
    [width, height]: [usize; 2],
) -> Image {
    let sums = channel_sum(map);
    let sums = if (sums.shape.h, sums.shape.w) == (height, width) {
        sums
    } else {
        enlarge(&sums, [height, width])
    };
    let share = |v: &T| if scale > 0.0 { v.to_f64() / scale } else { 0.0 };
    let colors = sums.data.iter().take(width * height).map(|v| palette.color(share(v)));
    Image { width, height, pixels: colors.flatten().collect() }
}

/// `heat` over a gray copy of `image`, with this weight from 0 to 1.
///
/// # Errors
/// If the sizes differ.
pub fn overlay(image: &Image, heat: &Image, weight: f64) -> Result<Image> {
    if (image.width, image.height) != (heat.width, heat.height) {
        let [expected, got] = [image, heat].map(|i| format!("{} x {}", i.width, i.height));
        return Err(Error::Mismatch { what: "size of a heat map", expected, got });
    }
    let weight = weight.clamp(0.0, 1.0);
    let mix = |(pixel, color): (&[u8], &[u8])| {
        let [r, g, b] = [0, 1, 2].map(|c| f64::from(pixel[c]));
        let gray = 0.299 * r + 0.587 * g + 0.114 * b;
        [0, 1, 2].map(|c| (gray + weight * (f64::from(color[c]) - gray)).round() as u8)
    };
    let pixels = image.pixels.chunks_exact(3).zip(heat.pixels.chunks_exact(3)).flat_map(mix);
    Ok(Image { width: image.width, height: image.height, pixels: pixels.collect() })
}

/// The filters of the first convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Filters {
    /// Name of the layer.
    pub layer: String,
    /// A picture of each, dark at its lowest and bright at its highest weight, one pixel per tap.
    pub pictures: Vec<Image>,
    /// Lowest and highest weight of each.
    pub ranges: Vec<[f32; 2]>,
}

/// The filters of the first convolution.
///
/// # Errors
/// If the network does not start with a convolution of one or three channels.
pub fn filters(network: &Network) -> Result<Filters> {
    let first = network.steps().iter().find_map(|step| match &step.op {
        Op::Conv(c) if step.inputs.contains(&ganscope_model::Node::INPUT) => Some((step, c)),
        _ => None,
    });
    let suits = |c: &Convolution| [1, 3].contains(&c.spec.in_channels) && c.spec.groups == 1;
    let (step, conv) = first.filter(|(_, c)| suits(c)).ok_or(Error::Unsuited {
        method: "a picture of filters",
        needs: "a first convolution of one or three channels",
    })?;
    let [height, width] = conv.spec.kernel;
    let (taps, channels) = (height * width, conv.spec.in_channels);
    let range = |filter: &[f32]| {
        filter.iter().fold([f32::MAX, f32::MIN], |[l, h], &w| [l.min(w), h.max(w)])
    };
    let picture = |filter: &[f32]| {
        let [low, high] = range(filter);
        let range = if high > low { high - low } else { 1.0 };
        let byte = |w: f32| ((w - low) / range * 255.0).round() as u8;
        let pixel = |tap: usize| [0, 1, 2].map(|c| byte(filter[c % channels * taps + tap]));
        Image { width, height, pixels: (0..taps).flat_map(pixel).collect() }
    };
    let filters = || conv.weight.chunks_exact(channels * taps);
    Ok(Filters {
        layer: step.name.clone(),
        pictures: filters().map(picture).collect(),
        ranges: filters().map(range).collect(),
    })
}

#[cfg(test)]
mod tests {
    use ganscope_model::Shape;

    use super::*;

    #[test]
    fn red_speaks_for_and_blue_against() {
        let shape = Shape { c: 2, h: 1, w: 3 };
        let map = FeatureMap::new(1, shape, vec![1.0, 1.0, -1.0, -1.0, 1.0, -1.0]).unwrap();
        assert_eq!((scale(&map, 1.0), scale(&map, 0.0)), (2.0, 0.0));
        let image = draw(&map, Palette::of(Evidence::Signed), scale(&map, 1.0), [3, 1]);
        let [red, blue, white] = [0, 1, 2].map(|i| &image.pixels[3 * i..][..3]);
        assert!(red[0] > 90 && red[2] < 60, "{red:?}");
        assert!(blue[2] > 90 && blue[0] < 60, "{blue:?}");
        assert!(white.iter().all(|&v| v > 235), "{white:?}");
        let bar = Palette::Signed.bar(3, 1);
        assert_eq!((&bar.pixels[..3], &bar.pixels[6..]), (blue, red));
    }

    #[test]
    fn an_overlay_without_weight_is_gray_and_with_all_weight_the_heat() {
        let image = Image::filled(2, 1, [100, 100, 100]);
        let heat = Image::filled(2, 1, [1, 2, 3]);
        assert_eq!(overlay(&image, &heat, 0.0).unwrap(), image);
        assert_eq!(overlay(&image, &heat, 1.0).unwrap(), heat);
        assert!(overlay(&image, &Image::filled(1, 1, [0; 3]), 1.0).is_err());
    }
}
