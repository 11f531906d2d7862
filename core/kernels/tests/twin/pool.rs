//! Pooling.

use ganscope_kernels::{
    Activation, Map, MapMut, PoolSpec, avg_pool, global_average, max_pool, max_pool_switches,
    max_unpool,
};
use proptest::prelude::*;

use crate::{at, distance, values};

/// Error of sums of a window in f32, relative in l2.
const F32_WINDOW: f64 = 1e-6;

prop_compose! {
    fn specs()(
        kernel in [1_usize..5, 1..5],
        stride in [1_usize..4, 1..4],
        padding in [[0_usize..4, 0..4], [0_usize..4, 0..4]],
    ) -> PoolSpec {
        let limit = |axis: usize| padding[axis].map(|size| size.min(kernel[axis] - 1));
        PoolSpec { kernel, stride, padding: [limit(0), limit(1)] }
    }
}

/// The places of a window, in padded coordinates minus the border.
fn window(spec: &PoolSpec, y: usize, x: usize) -> impl Iterator<Item = (isize, isize)> {
    let top = (y * spec.stride[0]) as isize - spec.padding[0][0] as isize;
    let left = (x * spec.stride[1]) as isize - spec.padding[1][0] as isize;
    let [rows, columns] = spec.kernel.map(|size| size as isize);
    (0..rows * columns).map(move |i| (top + i / columns, left + i % columns))
}

/// Calls `f(image, y, x, channel, places inside the image)` for each output value.
fn for_each(
    spec: &PoolSpec,
    [n, h, w, c]: [usize; 4],
    mut f: impl FnMut(usize, usize, usize, usize, &[(isize, isize)]),
) {
    let [oh, ow] = spec.output_size(h, w);
    for i in 0..n * oh * ow * c {
        let (image, y, x, channel) = (i / (oh * ow * c), i / (ow * c) % oh, i / c % ow, i % c);
        let inside: Vec<_> = window(spec, y, x)
            .filter(|&(y, x)| (0..h as isize).contains(&y) && (0..w as isize).contains(&x))
            .collect();
        f(image, y, x, channel, &inside);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 200 }))]

    #[test]
    fn pooling_is_the_maximum_or_mean_of_windows(
        spec in specs(),
        shape in [1_usize..3, 1..10, 1..10, 1..40],
        count_padding in any::<bool>(),
    ) {
        let [n, h, w, c] = shape;
        let data = values(1, n * h * w * (c + 3));
        let input = Map::new(&data, [n, h, w, c + 3]).channels(2..c + 2);
        let [oh, ow] = spec.output_size(h, w);
        let (mut largest, mut means) = (Vec::new(), Vec::new());
        for_each(&spec, shape, |image, _, _, channel, inside| {
            let values = || inside.iter().map(|&(y, x)| at(input, image, y, x, channel));
            largest.push(values().fold(f64::NEG_INFINITY, f64::max));
            let size = if count_padding { spec.kernel[0] * spec.kernel[1] } else { inside.len() };
            means.push(values().sum::<f64>() / size as f64);
        });
        let mut output = vec![0.0; n * oh * ow * c];
        max_pool(&spec, input, MapMut::new(&mut output, [n, oh, ow, c]));
        prop_assert!(output.iter().map(|&value| f64::from(value)).eq(largest));
        for (activation, bound) in [(Activation::None, f64::NEG_INFINITY), (Activation::Relu, 0.0)] {
            let map = MapMut::new(&mut output, [n, oh, ow, c]);
            avg_pool(&spec, count_padding, activation, input, map);
            let expected: Vec<f64> = means.iter().map(|mean| mean.max(bound)).collect();
            prop_assert!(distance(&output, &expected, &means) < F32_WINDOW);
        }
    }

    #[test]
    fn unpooling_brings_values_to_the_first_maximum(
        spec in specs(),
        shape in [1_usize..3, 1..10, 1..10, 1..5],
        levels in 2_usize..5,
    ) {
        // Few levels, so that windows have equal values.
        let [n, h, w, c] = shape;
        let data: Vec<f32> = values(1, n * h * w * c)
            .into_iter()
            .map(|value| (value * levels as f32).floor())
            .collect();
        let input = Map::new(&data, shape);
        let [oh, ow] = spec.output_size(h, w);
        let gradient = values(2, n * oh * ow * c);
        let mut expected = vec![0.0; data.len()];
        let mut next = gradient.iter();
        for_each(&spec, shape, |image, _, _, channel, inside| {
            let value = |&(y, x): &(isize, isize)| at(input, image, y, x, channel);
            let mut best = inside[0];
            for place in inside {
                if value(place) > value(&best) {
                    best = *place;
                }
            }
            let place = (image * h + best.0 as usize) * w + best.1 as usize;
            expected[place * c + channel] += f64::from(*next.next().unwrap());
        });
        let switches = max_pool_switches(&spec, input);
        let mut back = vec![7.0; data.len()];
        max_unpool(
            &switches, Map::new(&gradient, [n, oh, ow, c]), MapMut::new(&mut back, shape),
        );
        prop_assert!(distance(&back, &expected, &expected) < F32_WINDOW);
    }

    #[test]
    fn global_average_is_the_mean_of_each_channel(shape in [1_usize..3, 1..9, 1..9, 1..40]) {
        let [n, h, w, c] = shape;
        let data = values(1, n * h * w * c);
        let input = Map::new(&data, shape);
        let expected: Vec<f64> = (0..n * c).map(|i| {
            let pixels = (0..h * w).map(|p| f64::from(input.pixel(i / c * h * w + p)[i % c]));
            pixels.sum::<f64>() / (h * w) as f64
        }).collect();
        let mut means = vec![0.0; n * c];
        global_average(input, &mut means);
        prop_assert!(distance(&means, &expected, &expected) < F32_WINDOW);
    }
}

#[test]
fn a_nan_wins_every_window_that_holds_it() {
    for place in 0..9 {
        let mut data = vec![1.0; 9 * 17];
        data[place * 17 + 16] = f32::NAN;
        let mut output = vec![0.0; 17];
        let spec = PoolSpec::new(3, 1);
        max_pool(&spec, Map::new(&data, [1, 3, 3, 17]), MapMut::new(&mut output, [1, 1, 1, 17]));
        assert!(output[16].is_nan() && output[0] == 1.0);
    }
}
