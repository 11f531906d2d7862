//! Subsampled components to the size of the image.
#![expect(clippy::inline_always, reason = "what `pulp` dispatches must be inlined into it")]

use super::frame::Component;

/// How the samples of a component are brought to the size of the image.
#[derive(Debug, Clone, Copy)]
pub(super) enum Upsample {
    /// They have it.
    None,
    /// Twice as many along x, between 3/4 of the nearer and 1/4 of the farther sample.
    TriangleX,
    /// Twice as many along y.
    TriangleY,
    /// Twice as many along x and y.
    TriangleXy,
    /// Each sample several times along x and y.
    Repeat(usize, usize),
}

impl Upsample {
    /// The interpolation that libjpeg chooses, or `None` for a ratio that is not whole.
    pub(super) fn of(component: &Component, largest: (usize, usize)) -> Option<Self> {
        let (h, v) = component.sampling;
        if !largest.0.is_multiple_of(h) || !largest.1.is_multiple_of(v) {
            return None;
        }
        let wide = component.size.0 > 2;
        Some(match (largest.0 / h, largest.1 / v) {
            (1, 1) => Self::None,
            (2, 1) if wide => Self::TriangleX,
            (1, 2) => Self::TriangleY,
            (2, 2) if wide => Self::TriangleXy,
            (x, y) => Self::Repeat(x, y),
        })
    }

    /// Row `y` of the image, into `out`, which may contain samples beyond its width.
    #[inline(always)]
    pub(super) fn row(self, component: &Component, y: usize, out: &mut [u8]) {
        let last = component.size.1 - 1;
        match self {
            Self::None => copy(component.row(y.min(last)).iter().copied(), out),
            Self::Repeat(across, down) => {
                let row = component.row((y / down).min(last));
                copy(row.iter().flat_map(|&v| std::iter::repeat_n(v, across)), out);
            }
            Self::TriangleX => triangle_x(component.row(y.min(last)), out),
            Self::TriangleY => {
                let (near, far) = nearest(component, y);
                let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                let mix =
                    |(&near, &far)| ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
                copy(near.iter().zip(far).map(mix), out);
            }
            Self::TriangleXy => {
                let (near, far) = nearest(component, y);
                triangle_xy(near, far, out);
            }
        }
    }
}

#[inline(always)]
fn copy(values: impl Iterator<Item = u8>, out: &mut [u8]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = value;
    }
}

/// The rows of a component at half height that are nearest to row `y` of the image.
fn nearest(component: &Component, y: usize) -> (&[u8], &[u8]) {
    let last = component.size.1 - 1;
    let near = (y / 2).min(last);
    let far = if y.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(last) };
    (component.row(near), component.row(far))
}

/// Twice as many samples along x; `row` has at least three, `out` twice as many.
#[inline(always)]
fn triangle_x(row: &[u8], out: &mut [u8]) {
    let value = |i: usize| u16::from(row[i]);
    let last = row.len() - 1;
    let (pairs, _) = out.as_chunks_mut::<2>();
    for (pair, window) in pairs[1..].iter_mut().zip(row.windows(3)) {
        let [before, here, after] = [window[0], window[1], window[2]].map(u16::from);
        *pair = [((3 * here + before + 1) >> 2) as u8, ((3 * here + after + 2) >> 2) as u8];
    }
    pairs[0] = [row[0], ((3 * value(0) + value(1) + 2) >> 2) as u8];
    pairs[last] = [((3 * value(last) + value(last - 1) + 1) >> 2) as u8, row[last]];
}

/// Twice as many samples along x, from two rows that are mixed along y.
#[inline(always)]
fn triangle_xy(near: &[u8], far: &[u8], out: &mut [u8]) {
    let mix = |near: u8, far: u8| 3 * u16::from(near) + u16::from(far);
    let sum = |i: usize| mix(near[i], far[i]);
    let last = near.len() - 1;
    let (pairs, _) = out.as_chunks_mut::<2>();
    for ((pair, near), far) in pairs[1..].iter_mut().zip(near.windows(3)).zip(far.windows(3)) {
        let [before, here, after] = [0, 1, 2].map(|i| mix(near[i], far[i]));
        *pair = [((3 * here + before + 8) >> 4) as u8, ((3 * here + after + 7) >> 4) as u8];
    }
    pairs[0] = [((4 * sum(0) + 8) >> 4) as u8, ((3 * sum(0) + sum(1) + 7) >> 4) as u8];
    pairs[last] =
        [((3 * sum(last) + sum(last - 1) + 8) >> 4) as u8, ((4 * sum(last) + 7) >> 4) as u8];
}
