//! Every kernel against plain loops in f64, on random shapes.

mod conv;
mod fir;
mod pool;
mod tokens;

use ganscope_kernels::Map;

/// Values in [-1, 1) that depend on `seed` alone.
fn values(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// The value at image, row, column and channel; zero outside.
fn at(map: Map<'_>, n: usize, y: isize, x: isize, c: usize) -> f64 {
    let [_, h, w, _] = map.shape();
    if y < 0 || x < 0 || y >= h as isize || x >= w as isize {
        return 0.0;
    }
    f64::from(map.pixel((n * h + y as usize) * w + x as usize)[c])
}

/// `|a - b| / |scale|` in l2.
fn distance(a: &[f32], b: &[f64], scale: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares = a.iter().zip(b).map(|(&a, b)| (f64::from(a) - b).powi(2)).sum::<f64>();
    let scale = scale.iter().map(|value| value * value).sum::<f64>();
    if squares == 0.0 { 0.0 } else { (squares / scale.max(f64::MIN_POSITIVE)).sqrt() }
}

/// All values of a map in the order image, row, column, channel.
fn dense(map: Map<'_>) -> Vec<f32> {
    (0..map.pixels()).flat_map(|pixel| map.pixel(pixel).iter().copied()).collect()
}
