//! Convolution with a filter as wide as the reduction, as Pillow resizes images of mode `F`.

use fast_image_resize as fir;
use fir::images::{TypedImage, TypedImageRef};
use fir::pixels::F32x3;

use super::Resize;
use crate::Image;

/// Resizes to (size, size, 3) with the filter of `convention`; Pillow's are clipped to 0..255.
pub(super) fn resize(image: &Image, size: usize, convention: Resize, out: &mut [f32]) {
    let filter = match convention {
        Resize::PillowBilinear => fir::FilterType::Bilinear,
        Resize::PillowLanczos => fir::FilterType::Lanczos3,
        _ => fir::FilterType::CatmullRom,
    };
    let source: Vec<F32x3> =
        image.pixels.as_chunks::<3>().0.iter().map(|p| F32x3::new(p.map(f32::from))).collect();
    let source = TypedImageRef::new(image.width as u32, image.height as u32, &source)
        .expect("three values a pixel");
    let mut resized = TypedImage::<F32x3>::new(size as u32, size as u32);
    let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(filter));
    fir::Resizer::new()
        .resize_typed(&source, &mut resized, &options)
        .expect("the whole image is within the image");
    for (out, pixel) in out.as_chunks_mut::<3>().0.iter_mut().zip(resized.pixels()) {
        *out = match convention {
            Resize::TorchBicubic => pixel.0,
            _ => pixel.0.map(|v| v.clamp(0.0, 255.0)),
        };
    }
}
