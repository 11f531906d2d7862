//! Resampling.

use ganscope_kernels::{Activation, Fir, Map, MapMut, upfirdn2d, upsample_nearest};
use proptest::prelude::*;

use crate::{at, dense, distance, values};

/// Error of sums of some dozen products in f32, relative in l2.
const F32_TAPS: f64 = 1e-6;

/// Zero insertion, padding, convolution, decimation, one after the other.
fn upfirdn_in_f64(fir: &Fir, taps: &[f32], input: Map<'_>) -> Vec<f64> {
    let [n, h, w, c] = input.shape();
    let [kh, kw] = fir.size();
    let [oh, ow] = fir.output_size(h, w);
    // The spread input: a sample, then `up - 1` zeros; zeros beyond.
    let spread = |image: usize, y: isize, x: isize, channel: usize| {
        let (up_y, up_x) = (fir.up[0] as isize, fir.up[1] as isize);
        if y.rem_euclid(up_y) != 0 || x.rem_euclid(up_x) != 0 {
            return 0.0;
        }
        at(input, image, y / up_y, x / up_x, channel)
    };
    let mut result = Vec::new();
    for i in 0..n * oh * ow * c {
        let (image, y, x, channel) = (i / (oh * ow * c), i / (ow * c) % oh, i / c % ow, i % c);
        let top = (y * fir.down[0]) as isize - fir.padding[0][0];
        let left = (x * fir.down[1]) as isize - fir.padding[1][0];
        let mut sum = 0.0;
        for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
            let turned = f64::from(taps[(kh - 1 - ky) * kw + kw - 1 - kx]);
            sum += turned * spread(image, top + ky as isize, left + kx as isize, channel);
        }
        result.push(sum);
    }
    result
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 200 }))]

    #[test]
    fn upfirdn_is_insertion_convolution_decimation(
        size in [1_usize..7, 1..7],
        up in [1_usize..4, 1..4],
        down in [1_usize..4, 1..4],
        padding in [[-2_isize..6, -2_isize..6], [-2_isize..6, -2_isize..6]],
        shape in [1_usize..3, 1..9, 1..9, 1..40],
        separable in any::<bool>(),
        gain in 0.5_f32..4.0,
    ) {
        let [n, h, w, c] = shape;
        let (rows, columns) = (values(1, size[0]), values(2, size[1]));
        let taps: Vec<f32> = if separable {
            rows.iter().flat_map(|a| columns.iter().map(move |b| a * b * gain)).collect()
        } else {
            values(3, size[0] * size[1]).into_iter().map(|tap| tap * gain).collect()
        };
        let mut fir = if separable {
            Fir::separable(&rows, &columns).gain(gain)
        } else {
            Fir::full(&taps, size)
        };
        fir.up = up;
        fir.down = down;
        fir.padding = padding;
        let data = values(4, n * h * w * (c + 2));
        let input = Map::new(&data, [n, h, w, c + 2]).channels(1..c + 1);
        let sums = upfirdn_in_f64(&fir, &taps, input);
        let [oh, ow] = fir.output_size(h, w);
        let mut output = vec![7.0; sums.len()];
        upfirdn2d(&fir, input, MapMut::new(&mut output, [n, oh, ow, c]));
        prop_assert!(distance(&output, &sums, &sums) < F32_TAPS);
        let bent = fir.activation(Activation::Relu);
        upfirdn2d(&bent, input, MapMut::new(&mut output, [n, oh, ow, c]));
        let cut: Vec<f64> = sums.iter().map(|sum| sum.max(0.0)).collect();
        prop_assert!(distance(&output, &cut, &sums) < F32_TAPS);
    }

    #[test]
    fn nearest_upsampling_repeats_pixels(
        shape in [1_usize..3, 1..6, 1..6, 1..20],
        factor in 1_usize..4,
    ) {
        let [n, h, w, c] = shape;
        let data = values(1, n * h * w * c);
        let input = Map::new(&data, shape);
        let large = [n, h * factor, w * factor, c];
        let mut output = vec![0.0; large.iter().product()];
        upsample_nearest(input, MapMut::new(&mut output, large));
        let expected: Vec<f32> = (0..n * large[1] * large[2]).flat_map(|i| {
            let (image, y, x) =
                (i / (large[1] * large[2]), i / large[2] % large[1], i % large[2]);
            input.pixel((image * h + y / factor) * w + x / factor).iter().copied()
        }).collect();
        prop_assert_eq!(dense(Map::new(&output, large)), expected);
    }
}
