//! Resampling.

use ganscope_kernels::{
    Activation, Extras, Fir, Map, MapMut, upfirdn2d, upfirdn2d_with, upsample_nearest,
};
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
    fn extras_join_the_sums_before_the_activation(
        size in [1_usize..5, 1..5],
        factors in [1_usize..3, 1..3],
        shape in [1_usize..4, 1..9, 1..9, 1..40],
        wider in 0_usize..3,
        separable in any::<bool>(),
        noise_per_image in any::<bool>(),
    ) {
        let [n, h, w, c] = shape;
        let (rows, columns) = (values(1, size[0]), values(2, size[1]));
        let taps: Vec<f32> =
            rows.iter().flat_map(|a| columns.iter().map(move |b| a * b)).collect();
        let fir = if separable {
            Fir::separable(&rows, &columns)
        } else {
            Fir::full(&taps, size)
        };
        let fir = fir.up(factors[0]).down(factors[1]).padding([[4, 4], [4, 4]]);
        let fir = fir.activation(Activation::Relu);
        let data = values(4, n * h * w * c);
        let input = Map::new(&data, shape);
        let [oh, ow] = fir.output_size(h, w);
        let (scale, offset) = (values(5, n * c), values(6, n * c));
        let noise = values(7, if noise_per_image { n * oh * ow } else { oh * ow });
        let residual = values(8, n * oh * ow * c);
        let extras = Extras {
            scale: Some(&scale),
            noise: Some(&noise),
            offset: Some(&offset),
            residual: Some(Map::new(&residual, [n, oh, ow, c])),
        };
        let sums = upfirdn_in_f64(&fir, &taps, input);
        let joined: Vec<f64> = sums.iter().enumerate().map(|(i, sum)| {
            let (pixel, channel) = (i / c, i % c);
            let own = pixel / (oh * ow) * c + channel;
            let terms = [noise[pixel % noise.len()], offset[own], residual[i]];
            sum * f64::from(scale[own]) + terms.into_iter().map(f64::from).sum::<f64>()
        }).collect();
        let expected: Vec<f64> = joined.iter().map(|value| value.max(0.0)).collect();
        // The terms may cancel.
        let magnitude: Vec<f64> =
            joined.iter().zip(&sums).map(|(a, b)| a.abs() + b.abs() + 1.0).collect();
        let mut output = vec![7.0; n * oh * ow * (c + wider)];
        let wide = [n, oh, ow, c + wider];
        upfirdn2d_with(&fir, input, MapMut::new(&mut output, wide).channels(wider..c + wider), extras);
        let output = Map::new(&output, wide);
        prop_assert!(dense(output.channels(0..wider)).iter().all(|&value| value == 7.0));
        let output = dense(output.channels(wider..c + wider));
        prop_assert!(distance(&output, &expected, &magnitude) < F32_TAPS);
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

#[test]
fn no_sum_depends_on_the_batch_or_on_the_threads() {
    let (n, h, w, c) = if cfg!(miri) { (2, 5, 5, 3) } else { (3, 23, 19, 37) };
    let data = values(1, n * h * w * c);
    for (up, down) in [(1, 1), (2, 1), (1, 2), (4, 2), (1, 5)] {
        let (taps, full) = (values(2, 4), values(3, 12));
        for fir in [Fir::separable(&taps, &taps[1..]), Fir::full(&full, [3, 4])] {
            let fir = fir.up(up).down(down).padding([[2, 1], [1, 2]]);
            let [oh, ow] = fir.output_size(h, w);
            let run = |input: Map<'_>, threads: usize| {
                let images = input.shape()[0];
                let mut output = vec![0.0; images * oh * ow * c];
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    upfirdn2d(&fir, input, MapMut::new(&mut output, [images, oh, ow, c]));
                });
                output
            };
            let input = Map::new(&data, [n, h, w, c]);
            let all = run(input, 1);
            assert_eq!(all, run(input, 5), "{fir:?}");
            for (image, own) in all.chunks(oh * ow * c).enumerate() {
                assert_eq!(run(input.images(image..image + 1), 2), own, "{fir:?}, image {image}");
            }
        }
    }
}
