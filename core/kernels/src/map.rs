//! Channel-last maps over borrowed slices.

use std::ops::Range;

use crate::share;
use crate::simd::LANES;

/// A read-only map of `n` images, `h x w` pixels and `c` channels.
///
/// The channels of a pixel are contiguous; pixels follow each other at `stride` floats, row by
/// row and image by image. A stride beyond `c` makes the map a channel slice of a wider one.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    data: &'a [f32],
    shape: [usize; 4],
    stride: usize,
}

/// A writable map; the layout is that of [`Map`].
#[derive(Debug)]
pub struct MapMut<'a> {
    data: &'a mut [f32],
    shape: [usize; 4],
    stride: usize,
}

/// Floats from the first to the last of a map.
fn extent([n, h, w, c]: [usize; 4], stride: usize) -> usize {
    let pixels = n * h * w;
    if pixels == 0 || c == 0 { 0 } else { (pixels - 1) * stride + c }
}

fn check(length: usize, shape: [usize; 4], stride: usize) {
    assert!(stride >= shape[3], "stride {stride} below the channel count of {shape:?}");
    let needed = extent(shape, stride);
    assert!(length >= needed, "a map {shape:?} needs {needed} floats, got {length}");
}

impl<'a> Map<'a> {
    /// A dense map of shape `[n, h, w, c]`.
    ///
    /// # Panics
    /// If `data` is shorter than the shape.
    pub fn new(data: &'a [f32], shape: [usize; 4]) -> Self {
        Self::with_stride(data, shape, shape[3])
    }

    /// A map of shape `[n, h, w, c]` whose pixels are `stride` floats apart.
    ///
    /// # Panics
    /// If `stride < c` or `data` ends before the last pixel.
    pub fn with_stride(data: &'a [f32], shape: [usize; 4], stride: usize) -> Self {
        check(data.len(), shape, stride);
        Self { data, shape, stride }
    }

    /// The channels of `range` as a map over the same pixels.
    ///
    /// # Panics
    /// If the range exceeds the channels.
    #[must_use]
    pub fn channels(self, range: Range<usize>) -> Self {
        let [n, h, w, c] = self.shape;
        assert!(range.start <= range.end && range.end <= c, "channels {range:?} of {c}");
        let data = self.data.get(range.start..).unwrap_or(&[]);
        Self::with_stride(data, [n, h, w, range.len()], self.stride)
    }

    /// The images of `range`.
    ///
    /// # Panics
    /// If the range exceeds the images.
    #[must_use]
    pub fn images(self, range: Range<usize>) -> Self {
        let [n, h, w, c] = self.shape;
        assert!(range.start <= range.end && range.end <= n, "images {range:?} of {n}");
        let data = self.data.get(range.start * h * w * self.stride..).unwrap_or(&[]);
        Self::with_stride(data, [range.len(), h, w, c], self.stride)
    }

    /// `[n, h, w, c]`.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Floats from pixel to pixel.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Pixels of all images.
    pub fn pixels(&self) -> usize {
        self.shape[0] * self.shape[1] * self.shape[2]
    }

    /// The slice that starts at the first channel of the first pixel.
    pub fn data(&self) -> &'a [f32] {
        self.data
    }

    /// The channels of pixel `index`, counted through rows and images.
    ///
    /// # Panics
    /// If there is no such pixel.
    #[inline]
    pub fn pixel(&self, index: usize) -> &'a [f32] {
        let start = index * self.stride;
        &self.data[start..start + self.shape[3]]
    }

    /// The values in the order channel, row, column of each image (NCHW).
    pub fn to_nchw(&self) -> Vec<f32> {
        let [n, h, w, c] = self.shape;
        let mut planes = vec![0.0; n * h * w * c];
        for pixel in 0..self.pixels() {
            let (image, place) = (pixel / (h * w), pixel % (h * w));
            for (channel, &value) in self.pixel(pixel).iter().enumerate() {
                planes[(image * c + channel) * h * w + place] = value;
            }
        }
        planes
    }
}

/// Pixels whose distance is a multiple of so many floats share two of the 64 places of a cache line
/// in the first-level cache.
pub(crate) const CROWDED: usize = 512;

/// The distance of the pixels of a map of so many channels at which products read it fastest: the
/// channels, or a vector more where pixels would displace each other in the first-level cache.
pub fn pixel_stride(channels: usize) -> usize {
    if channels.is_multiple_of(CROWDED) { channels + LANES } else { channels }
}

impl<'a> MapMut<'a> {
    /// A dense map of shape `[n, h, w, c]`.
    ///
    /// # Panics
    /// If `data` is shorter than the shape.
    pub fn new(data: &'a mut [f32], shape: [usize; 4]) -> Self {
        Self::with_stride(data, shape, shape[3])
    }

    /// A map of shape `[n, h, w, c]` whose pixels are `stride` floats apart.
    ///
    /// # Panics
    /// If `stride < c` or `data` ends before the last pixel.
    pub fn with_stride(data: &'a mut [f32], shape: [usize; 4], stride: usize) -> Self {
        check(data.len(), shape, stride);
        Self { data, shape, stride }
    }

    /// The channels of `range` as a map over the same pixels.
    ///
    /// # Panics
    /// If the range exceeds the channels.
    #[must_use]
    pub fn channels(self, range: Range<usize>) -> Self {
        let [n, h, w, c] = self.shape;
        assert!(range.start <= range.end && range.end <= c, "channels {range:?} of {c}");
        let data = self.data.get_mut(range.start..).unwrap_or(&mut []);
        Self::with_stride(data, [n, h, w, range.len()], self.stride)
    }

    /// `[n, h, w, c]`.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Floats from pixel to pixel.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Pixels of all images.
    pub fn pixels(&self) -> usize {
        self.shape[0] * self.shape[1] * self.shape[2]
    }

    /// The channels of pixel `index`, counted through rows and images.
    ///
    /// # Panics
    /// If there is no such pixel.
    #[inline]
    pub fn pixel_mut(&mut self, index: usize) -> &mut [f32] {
        let start = index * self.stride;
        &mut self.data[start..start + self.shape[3]]
    }

    /// The slice that starts at the first channel of the first pixel.
    pub(crate) fn into_data(self) -> &'a mut [f32] {
        self.data
    }

    /// Calls `write(image, row, line)` for every row of pixels, in parallel.
    ///
    /// Pixel `x` of the row starts at `line[x * stride]`.
    pub(crate) fn for_each_row(&mut self, write: impl Fn(usize, usize, &mut [f32]) + Sync) {
        self.for_each_band(1, write);
    }

    /// Calls `write(image, row, lines)` for every `height` rows of pixels from `row` on, fewer at
    /// the end of an image, in parallel.
    ///
    /// Pixel `x` of the first row starts at `lines[x * stride]`.
    pub(crate) fn for_each_band(
        &mut self,
        height: usize,
        write: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) {
        let [_, h, w, c] = self.shape;
        if self.pixels() == 0 || c == 0 {
            return;
        }
        let line = w * self.stride;
        let images = self.data[..extent(self.shape, self.stride)].chunks_mut(h * line);
        let bands = images.enumerate().flat_map(|(image, lines)| {
            let bands = lines.chunks_mut(height * line).enumerate();
            bands.map(move |(band, lines)| (image, band * height, lines))
        });
        share::for_each(bands.collect(), |(image, row, lines)| write(image, row, lines));
    }
}
