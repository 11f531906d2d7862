//! Values between the steps of a network.

use rayon::prelude::*;

use super::Shape;
use crate::{Error, Result};

/// Activations of one value for a batch, channel-last.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMap<T = f32> {
    /// Images.
    pub n: usize,
    /// Channels, height and width.
    pub shape: Shape,
    /// (N, H, W, C) in C order.
    pub data: Vec<T>,
}

impl FeatureMap {
    /// Mean over all pixels, (N, C), summed in f64.
    pub fn spatial_mean(&self) -> Vec<f32> {
        let Shape { c, h, w } = self.shape;
        let mean = |image: &[f32]| {
            let mut sums = vec![0.0_f64; c];
            for pixel in image.chunks_exact(c) {
                sums.iter_mut().zip(pixel).for_each(|(s, &v)| *s += v as f64);
            }
            sums.into_iter().map(|s| (s / (h * w) as f64) as f32).collect::<Vec<_>>()
        };
        let means: Vec<_> = self.data.par_chunks_exact(self.shape.len()).map(mean).collect();
        means.concat()
    }
}

/// Values that one thread takes at a time.
const PART: usize = 1 << 14;

impl<T: Copy + Send + Sync> FeatureMap<T> {
    /// A map of these values, (N, H, W, C) in C order.
    ///
    /// # Errors
    /// If their number does not fit.
    pub fn new(n: usize, shape: Shape, data: Vec<T>) -> Result<Self> {
        if data.len() != n * shape.len() {
            let problem = format!("{n} maps of {shape:?} are {} numbers", n * shape.len());
            return Err(Error::Input(format!("{problem}, got {}", data.len())));
        }
        Ok(Self { n, shape, data })
    }

    /// A map of `value` everywhere.
    pub fn filled(n: usize, shape: Shape, value: T) -> Self {
        Self { n, shape, data: vec![value; n * shape.len()] }
    }

    /// A map of values in the order (N, C, H, W).
    ///
    /// # Errors
    /// If their number does not fit.
    pub fn from_nchw(n: usize, shape: Shape, data: &[T]) -> Result<Self> {
        let Shape { c, h, w } = shape;
        let channel_last = |image: usize| {
            let pixels = move |p| (0..c).map(move |k| data[(image * c + k) * h * w + p]);
            (0..h * w).flat_map(pixels)
        };
        let fits = data.len() == n * shape.len();
        let images = if fits { n } else { 0 };
        let values: Vec<T> = (0..images).flat_map(channel_last).collect();
        Self::new(n, shape, if fits { values } else { data.to_vec() })
    }

    /// The same map with `f` of every value.
    #[must_use]
    pub fn map<U: Send>(&self, f: impl Fn(T) -> U + Sync) -> FeatureMap<U> {
        let values = self.data.par_iter().with_min_len(PART);
        FeatureMap { n: self.n, shape: self.shape, data: values.map(|&v| f(v)).collect() }
    }

    /// The map of `f(a, b)` for each value `a` and its like `b` in `other`.
    ///
    /// # Panics
    /// If the maps differ in size.
    #[must_use]
    pub fn zip<U, V>(&self, other: &FeatureMap<U>, f: impl Fn(T, U) -> V + Sync) -> FeatureMap<V>
    where
        U: Copy + Sync,
        V: Send,
    {
        assert_eq!((self.n, self.shape), (other.n, other.shape), "maps of one size");
        let pairs = self.data.par_iter().zip(&other.data).with_min_len(PART);
        FeatureMap { n: self.n, shape: self.shape, data: pairs.map(|(&a, &b)| f(a, b)).collect() }
    }

    /// The values of image `index`.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn image(&self, index: usize) -> &[T] {
        &self.data[index * self.shape.len()..][..self.shape.len()]
    }

    /// The values as (N, C, H, W) in C order.
    pub fn to_nchw(&self) -> Vec<T> {
        let Shape { c, h, w } = self.shape;
        let mut out = Vec::with_capacity(self.data.len());
        for image in self.data.chunks_exact(self.shape.len()) {
            out.extend((0..c).flat_map(|k| (0..h * w).map(move |p| image[p * c + k])));
        }
        out
    }
}
