//! Images of a generator as pixels.

use candle_core::Tensor;
use ganscope_images::{Image, quantize_biggan, quantize_floor, quantize_stylegan};

use crate::{Error, Generator, GeneratorInfo, Result, Rounding, Synthesis};

/// Images of a generator, (N, C, H, W) in [-1, 1], as 8-bit RGB, rounded as its own tool does it.
///
/// # Errors
/// If there are neither one nor three channels, or [`Error::NotFinite`].
pub fn to_images(images: &Tensor, info: &GeneratorInfo) -> Result<Vec<Image>> {
    let (n, c, height, width) = images.dims4()?;
    if c != 1 && c != 3 {
        return Err(Error::Config(format!("images of {c} channels, expected 1 or 3")));
    }
    let quantize = match info.rounding {
        Rounding::StyleGan => quantize_stylegan,
        Rounding::BigGan => quantize_biggan,
        Rounding::Floor => quantize_floor,
    };
    let values: Vec<f32> = images.contiguous()?.flatten_all()?.to_vec1()?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Error::NotFinite("the images of the generator"));
    }
    let plane = height * width;
    let image = |i: usize| {
        let planes = &values[i * c * plane..][..c * plane];
        let pixel = |p: usize| (0..3).map(move |k| quantize(planes[k.min(c - 1) * plane + p]));
        Image { width, height, pixels: (0..plane).flat_map(pixel).collect() }
    };
    Ok((0..n).map(image).collect())
}

/// The images of `ws` (N, `num_ws`, `w_dim`), computed `batch` at a time.
///
/// # Errors
/// If the generator fails.
pub fn render(
    generator: &dyn Generator,
    ws: &Tensor,
    synthesis: &Synthesis,
    batch: usize,
) -> Result<Vec<Image>> {
    let (count, batch, info) = (ws.dim(0)?, batch.max(1), generator.info());
    let mut made = Vec::with_capacity(count);
    for start in (0..count).step_by(batch) {
        let part = ws.narrow(0, start, batch.min(count - start))?.contiguous()?;
        made.extend(to_images(&generator.synthesize(&part, synthesis)?, &info)?);
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::TruncationKind;

    fn pixels(values: &[f32], shape: (usize, usize, usize, usize), rounding: Rounding) -> Vec<u8> {
        let images = Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
        let info = GeneratorInfo {
            z_dim: 1,
            w_dim: 1,
            num_ws: 1,
            c_dim: 0,
            img_resolution: shape.2,
            img_channels: shape.1,
            rounding,
            truncation: TruncationKind::Psi,
        };
        to_images(&images, &info).unwrap().into_iter().flat_map(|i| i.pixels).collect()
    }

    #[test]
    fn planes_become_pixels_as_each_family_rounds_them() {
        // Two pixels: red -1 and 1, green 0 and 0.5, blue 2 and -2.
        let values = [-1.0, 1.0, 0.0, 0.5, 2.0, -2.0];
        let shape = (1, 3, 1, 2);
        // 127.5 x + 128, 128 x + 128 and 127.5 x + 127.5, cut to 0..255, fraction dropped
        assert_eq!(pixels(&values, shape, Rounding::StyleGan), [0, 128, 255, 255, 191, 0]);
        assert_eq!(pixels(&values, shape, Rounding::BigGan), [0, 128, 255, 255, 192, 0]);
        assert_eq!(pixels(&values, shape, Rounding::Floor), [0, 127, 255, 255, 191, 0]);
    }

    #[test]
    fn gray_is_repeated() {
        let gray = pixels(&[0.0, 1.0], (2, 1, 1, 1), Rounding::StyleGan);
        assert_eq!(gray, [128, 128, 128, 255, 255, 255]);
    }
}
