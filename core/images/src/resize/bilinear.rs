//! Bilinear interpolation between the four nearest pixels, in float32 as the references do it.

/// Where one output coordinate lies: `value = low + (high - low) * weight`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tap {
    low: usize,
    high: usize,
    weight: f32,
}

impl Tap {
    fn at(source: f32, len: usize) -> Self {
        let low = (source as usize).min(len - 1);
        Self { low, high: (low + 1).min(len - 1), weight: source - low as f32 }
    }
}

/// TensorFlow 1 without `align_corners` and without `half_pixel_centers`.
pub(super) fn tf(dst: usize, len: usize, out: usize) -> Tap {
    let scale = (len as f64 / out as f64) as f32;
    Tap::at(dst as f32 * scale, len)
}

/// PyTorch with `align_corners=False`, `antialias=False`.
pub(super) fn torch(dst: usize, len: usize, out: usize) -> Tap {
    let scale = len as f32 / out as f32;
    Tap::at((scale * (dst as f32 + 0.5) - 0.5).max(0.0), len)
}

/// Resizes to (size, size, 3) with the coordinates of `tap(dst, in, out)`. The source has
/// `[height, width]` pixels; `row(y)` is a function of `x`.
///
/// Each source row is interpolated along x once; two of them are held and mixed along y.
pub(super) fn resize<R: Fn(usize) -> [f32; 3]>(
    [height, width]: [usize; 2],
    row: impl Fn(usize) -> R,
    size: usize,
    tap: fn(usize, usize, usize) -> Tap,
    out: &mut [f32],
) {
    let columns: Vec<Tap> = (0..size).map(|x| tap(x, width, size)).collect();
    let mut held = [usize::MAX; 2];
    let mut rows = [vec![0.0; 3 * size], vec![0.0; 3 * size]];
    for (y, out) in out.chunks_exact_mut(3 * size).enumerate() {
        let Tap { low, high, weight } = tap(y, height, size);
        for source in [low, high] {
            if held[source % 2] != source {
                interpolate_row(row(source), &columns, &mut rows[source % 2]);
                held[source % 2] = source;
            }
        }
        let pairs = rows[low % 2].iter().zip(&rows[high % 2]);
        for (out, (&low, &high)) in out.iter_mut().zip(pairs) {
            *out = low + (high - low) * weight;
        }
    }
}

fn interpolate_row(pixel: impl Fn(usize) -> [f32; 3], columns: &[Tap], out: &mut [f32]) {
    let (out, _) = out.as_chunks_mut::<3>();
    for (out, tap) in out.iter_mut().zip(columns) {
        let (low, high) = (pixel(tap.low), pixel(tap.high));
        for c in 0..3 {
            out[c] = low[c] + (high[c] - low[c]) * tap.weight;
        }
    }
}
