//! The places of an output map that a convolution writes from several threads.

use std::marker::PhantomData;

use crate::MapMut;

/// A grid of pixels of a map: row `y` and column `x` of the grid are row
/// `first[0] + y * step[0]` and column `first[1] + x * step[1]` of the map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) size: [usize; 2],
    pub(crate) first: [usize; 2],
    pub(crate) step: [usize; 2],
}

impl Grid {
    /// All pixels of a map of `h x w`.
    pub(crate) fn all(h: usize, w: usize) -> Self {
        Self { size: [h, w], first: [0, 0], step: [1, 1] }
    }
}

/// A writable map that threads share; each value is written by one of them.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    data: *mut f32,
    shape: [usize; 4],
    stride: usize,
    map: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer comes from an exclusive borrow that lasts for `'a`; whoever dereferences it
// promises that no other thread touches the same values.
unsafe impl Send for Target<'_> {}
// SAFETY: as for `Send`.
unsafe impl Sync for Target<'_> {}

impl<'a> Target<'a> {
    pub(crate) fn new(map: MapMut<'a>) -> Self {
        let (shape, stride) = (map.shape(), map.stride());
        Self { data: map.into_data().as_mut_ptr(), shape, stride, map: PhantomData }
    }

    pub(crate) fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Floats from pixel to pixel.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// The number of a pixel, counted through rows and images.
    #[inline(always)]
    pub(crate) fn index(&self, image: usize, y: usize, x: usize) -> usize {
        assert!(image < self.shape[0] && y < self.shape[1] && x < self.shape[2]);
        (image * self.shape[1] + y) * self.shape[2] + x
    }

    /// The first of the channels from `channel` on of a pixel.
    ///
    /// The pointer is valid for the remaining channels of the pixel during `'a`.
    #[inline(always)]
    pub(crate) fn pixel(&self, index: usize, channel: usize) -> *mut f32 {
        assert!(index < self.shape.iter().take(3).product() && channel < self.shape[3]);
        // SAFETY: `MapMut` contains all pixels of its shape, `stride` apart.
        unsafe { self.data.add(index * self.stride + channel) }
    }
}
