//! Occlusion: how much the target loses when a part of the image is covered.
//!
//! Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2013,
//! <https://arxiv.org/abs/1311.2901>.

use ganscope_model::{FeatureMap, Shape};

use crate::Result;
use crate::error::require;
use crate::gradient::one_image;

/// A covering window that slides over the image.
#[derive(Debug, Clone, PartialEq)]
pub struct Occlusion {
    /// Height and width of the window, in pixels.
    pub window: [usize; 2],
    /// Distance of neighboring places of the window, at most its size.
    pub stride: [usize; 2],
    /// Network input that covers each channel; one value serves all, and as many as the image has are an
    /// image, (H, W, C).
    pub baseline: Vec<f32>,
    /// Images that are scored together.
    pub batch: usize,
}

impl Default for Occlusion {
    fn default() -> Self {
        Self { window: [16, 16], stride: [8, 8], baseline: vec![0.0], batch: 16 }
    }
}

impl Occlusion {
    /// The loss of `score` for each pixel, (1, 1, H, W): the mean over the windows that cover it.
    ///
    /// The windows at the right and lower border reach beyond the image where the stride does not
    /// divide it. `score` gives a number for each image of a batch.
    ///
    /// # Errors
    /// If the window leaves gaps, the baseline does not fit the channels, and those of `score`.
    pub fn explain(
        &self,
        image: &FeatureMap,
        mut score: impl FnMut(&FeatureMap) -> Result<Vec<f64>>,
    ) -> Result<FeatureMap> {
        one_image(image)?;
        let Shape { c, h, w } = image.shape;
        let fits = (0..2).all(|axis| (1..=self.window[axis]).contains(&self.stride[axis]));
        require(
            fits,
            "the stride",
            "at least 1 and at most the window",
            format!("{:?}", self.stride),
        )?;
        require(self.batch > 0, "the batch", "at least 1", self.batch)?;
        let channels = [1, c, image.data.len()].contains(&self.baseline.len());
        let expected = "one value, one a channel, or an image";
        require(channels, "the baseline", expected, self.baseline.len())?;

        let places = |axis: usize, size: usize| {
            let count = size.saturating_sub(self.window[axis]).div_ceil(self.stride[axis]) + 1;
            let (stride, window) = (self.stride[axis], self.window[axis]);
            (0..count).map(move |i| i * stride..(i * stride + window).min(size))
        };
        let windows: Vec<_> =
            places(0, h).flat_map(|y| places(1, w).map(move |x| (y.clone(), x))).collect();
        let whole = score(image)?[0];
        let (mut losses, mut counts) = (vec![0.0; h * w], vec![0.0; h * w]);
        for windows in windows.chunks(self.batch) {
            let mut batch = FeatureMap {
                n: windows.len(),
                shape: image.shape,
                data: image.data.repeat(windows.len()),
            };
            for ((rows, columns), image) in
                windows.iter().zip(batch.data.chunks_exact_mut(h * w * c))
            {
                for (y, x) in rows.clone().flat_map(|y| columns.clone().map(move |x| (y, x))) {
                    let first = (y * w + x) * c;
                    for (k, v) in image[first..first + c].iter_mut().enumerate() {
                        *v = self.baseline[(first + k) % self.baseline.len()];
                    }
                }
            }
            for ((rows, columns), covered) in windows.iter().zip(score(&batch)?) {
                for (y, x) in rows.clone().flat_map(|y| columns.clone().map(move |x| (y, x))) {
                    losses[y * w + x] += whole - covered;
                    counts[y * w + x] += 1.0;
                }
            }
        }
        let data = losses.iter().zip(&counts).map(|(l, c)| (l / c) as f32).collect();
        Ok(FeatureMap::new(1, Shape { c: 1, h, w }, data)?)
    }
}
