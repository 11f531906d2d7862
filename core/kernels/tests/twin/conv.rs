//! Convolutions and transposed convolutions.

use ganscope_kernels::{
    Activation, Algorithm, Branch, Conv2d, ConvSpec, ConvTranspose2d, ConvTransposeSpec, Extras,
    Isa, JoinedConv, Linear, Map, MapMut,
};
use proptest::prelude::*;

use crate::{at, dense, distance, values};

/// Error of sums of at most some thousand products in f32, relative in l2.
const F32_SUM: f64 = 1e-6;
/// The same through Winograd transforms of up to twelve points.
const F32_WINOGRAD: f64 = 2e-5;

fn conv_in_f64(spec: &ConvSpec, input: Map<'_>, weight: &[f32]) -> Vec<f64> {
    let [n, h, w, _] = input.shape();
    let [oh, ow] = spec.output_size(h, w);
    let (inputs, outputs) = (spec.in_channels / spec.groups, spec.out_channels / spec.groups);
    let mut result = Vec::new();
    for (image, oy, ox, o) in places([n, oh, ow, spec.out_channels]) {
        let mut sum = 0.0;
        for (i, ky, kx) in (0..inputs).flat_map(|i| {
            (0..spec.kernel[0]).flat_map(move |ky| (0..spec.kernel[1]).map(move |kx| (i, ky, kx)))
        }) {
            let y = (oy * spec.stride[0] + ky * spec.dilation[0]) as isize;
            let x = (ox * spec.stride[1] + kx * spec.dilation[1]) as isize;
            let (y, x) = (y - spec.padding[0][0] as isize, x - spec.padding[1][0] as isize);
            let weight = weight[((o * inputs + i) * spec.kernel[0] + ky) * spec.kernel[1] + kx];
            sum += f64::from(weight) * at(input, image, y, x, o / outputs * inputs + i);
        }
        result.push(sum);
    }
    result
}

/// Each input value times the kernel, added to the output.
fn transpose_in_f64(
    spec: &ConvTransposeSpec,
    input: Map<'_>,
    weight: &[f32],
    [oh, ow]: [usize; 2],
) -> Vec<f64> {
    let [n, h, w, c] = input.shape();
    let (inputs, outputs) = (spec.in_channels / spec.groups, spec.out_channels / spec.groups);
    let mut result = vec![0.0; n * oh * ow * spec.out_channels];
    for (image, y, x, i) in places([n, h, w, c]) {
        let value = at(input, image, y as isize, x as isize, i);
        for (o, ky, kx, _) in places([outputs, spec.kernel[0], spec.kernel[1], 1]) {
            let Some(oy) = (y * spec.stride[0] + ky).checked_sub(spec.padding[0][0]) else {
                continue;
            };
            let Some(ox) = (x * spec.stride[1] + kx).checked_sub(spec.padding[1][0]) else {
                continue;
            };
            if oy < oh && ox < ow {
                let channel = i / inputs * outputs + o;
                let k = ((i * outputs + o) * spec.kernel[0] + ky) * spec.kernel[1] + kx;
                result[((image * oh + oy) * ow + ox) * spec.out_channels + channel] +=
                    value * f64::from(weight[k]);
            }
        }
    }
    result
}

fn places([a, b, c, d]: [usize; 4]) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..a * b * c * d).map(move |i| (i / (b * c * d), i / (c * d) % b, i / d % c, i % d))
}

fn activated(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu { slope, gain, clamp } => {
            let limit = clamp.map_or(f64::INFINITY, f64::from);
            let bent = if x > 0.0 { x } else { x * f64::from(slope) };
            (bent * f64::from(gain)).clamp(-limit, limit)
        }
        // Its own test has the formula.
        curve => curve.apply(x as f32).into(),
    }
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::None),
        Just(Activation::Relu),
        Just(Activation::Relu6),
        Just(Activation::Gelu),
        Just(Activation::Swish { slope: 1.702 }),
        (0.0_f32..1.0, 0.5_f32..2.0, proptest::option::of(0.1_f32..3.0))
            .prop_map(|(slope, gain, clamp)| Activation::LeakyRelu { slope, gain, clamp }),
    ]
}

fn pair(range: std::ops::Range<usize>) -> impl Strategy<Value = [usize; 2]> {
    [range.clone(), range]
}

prop_compose! {
    fn specs()(
        channels in prop_oneof![pair(1..6), pair(15..18), pair(30..70)],
        groups in prop_oneof![4 => Just(1_usize), 1 => 2_usize..4],
        depthwise in proptest::bool::weighted(0.2),
        kernel in pair(1..5),
        stride in pair(1..4),
        dilation in pair(1..3),
        rows in pair(0..4),
        columns in pair(0..4),
    ) -> ConvSpec {
        let c = channels[0];
        let (in_channels, out_channels, groups) =
            if depthwise { (c, c, c) } else { (c * groups, channels[1] * groups, groups) };
        let padding = [rows, columns];
        ConvSpec { in_channels, out_channels, kernel, stride, padding, dilation, groups }
    }
}

prop_compose! {
    /// Layers that have a Winograd transform.
    fn winograd_specs()(
        in_channels in prop_oneof![(1_usize..4).prop_map(|vectors| 16 * vectors), 64_usize..100],
        out_channels in 1_usize..70,
        (kernel, stride) in prop::sample::select(vec![
            ([3, 3], 1), ([3, 3], 2), ([5, 5], 1), ([1, 3], 1), ([3, 1], 1), ([1, 7], 1), ([7, 1], 1),
        ]),
        rows in pair(0..4),
        columns in pair(0..4),
    ) -> ConvSpec {
        let spec = ConvSpec::new(in_channels, out_channels, kernel).stride(stride);
        ConvSpec { padding: [rows, columns], ..spec }
    }
}

/// A layer with its weights, an input and all extras, as slices of wider maps.
#[derive(Debug)]
struct Case {
    spec: ConvSpec,
    shape: [usize; 4],
    wider: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
    input: Vec<f32>,
    activation: Activation,
}

impl Case {
    fn new(spec: ConvSpec, [n, h, w]: [usize; 3], wider: usize, activation: Activation) -> Self {
        let shape = [n, h, w, spec.in_channels];
        Self {
            spec,
            shape,
            wider,
            weight: values(1, spec.weight_len()),
            bias: values(2, spec.out_channels),
            input: values(3, n * h * w * (spec.in_channels + wider)),
            activation,
        }
    }

    /// The channels after the first `wider`.
    fn input(&self) -> Map<'_> {
        let [n, h, w, c] = self.shape;
        Map::new(&self.input, [n, h, w, c + self.wider]).channels(self.wider..self.wider + c)
    }

    fn output_shape(&self) -> [usize; 4] {
        let [oh, ow] = self.spec.output_size(self.shape[1], self.shape[2]);
        [self.shape[0], oh, ow, self.spec.out_channels]
    }

    fn run(&self, algorithm: Algorithm, isa: Isa, extras: Extras<'_>) -> Vec<f32> {
        let Self { spec, ref weight, ref bias, activation, wider, .. } = *self;
        let conv = Conv2d::with(spec, weight, Some(bias), activation, algorithm, isa);
        let [n, h, w, c] = self.output_shape();
        let mut output = vec![7.0; n * h * w * (c + wider)];
        let shape = [n, h, w, c + wider];
        let map = MapMut::new(&mut output, shape).channels(wider..wider + c);
        conv.run_with(self.input(), map, extras);
        let map = Map::new(&output, shape);
        let around = dense(map.channels(0..wider));
        assert!(around.iter().all(|&value| value == 7.0), "wrote outside of its channels");
        dense(map.channels(wider..wider + c))
    }

    /// The sums in f64, before and after the activation.
    fn expected(&self) -> [Vec<f64>; 2] {
        let mut sums = conv_in_f64(&self.spec, self.input(), &self.weight);
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += f64::from(self.bias[i % self.spec.out_channels]);
        }
        let ends = sums.iter().map(|&sum| activated(self.activation, sum)).collect();
        [sums, ends]
    }

    /// The distance to the sums in f64, relative to the sums before the activation, which may
    /// cut most of them off.
    fn error(&self, output: &[f32]) -> f64 {
        let [sums, ends] = self.expected();
        distance(output, &ends, &sums)
    }

    /// The distance to the sums in f64, relative to what sums are on average if all taps lie inside:
    /// a transform spreads the error of a tile over all of its outputs, those at the edge of the map
    /// as well, which read little of it.
    fn error_of_transforms(&self, output: &[f32]) -> f64 {
        let [_, ends] = self.expected();
        let square = |values: &[f32]| values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
        let input = dense(self.input());
        let input = square(&input) / input.len() as f64;
        let weights = self.weight.chunks_exact(self.weight.len() / self.spec.out_channels);
        let sizes: Vec<f64> = weights.map(|weight| (input * square(weight)).sqrt()).collect();
        let sizes: Vec<f64> = (0..ends.len()).map(|i| sizes[i % sizes.len()]).collect();
        distance(output, &ends, &sizes)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 200 }))]

    #[test]
    fn direct_convolution_is_the_sum_of_products(
        spec in specs(),
        size in [1_usize..3, 1..14, 1..14],
        wider in 0_usize..20,
        activation in activations(),
    ) {
        let case = Case::new(spec, size, wider, activation);
        for isa in Isa::available() {
            let output = case.run(Algorithm::Direct, isa, Extras::default());
            let error = case.error(&output);
            prop_assert!(error < F32_SUM, "{isa:?}: {error}");
        }
    }

    #[test]
    fn winograd_convolution_is_the_sum_of_products(
        spec in winograd_specs(),
        size in [1_usize..3, 1..14, 1..14],
        wider in 0_usize..20,
        activation in activations(),
    ) {
        let case = Case::new(spec, size, wider, activation);
        for isa in Isa::available() {
            let output = case.run(Algorithm::Winograd, isa, Extras::default());
            let error = case.error_of_transforms(&output);
            prop_assert!(error < F32_WINOGRAD, "{isa:?}: {error}");
        }
    }

    #[test]
    fn extras_join_before_the_activation(
        spec in prop_oneof![specs(), winograd_specs()],
        size in [1_usize..3, 1..9, 1..9],
        activation in activations(),
        noise_per_image in any::<bool>(),
    ) {
        let case = Case::new(spec, size, 3, activation);
        let [n, h, w, c] = case.output_shape();
        let scale = values(4, n * c);
        let noise = values(5, if noise_per_image { n * h * w } else { h * w });
        let residual = values(6, n * h * w * c);
        let offset = values(7, n * c);
        let extras = Extras {
            scale: Some(&scale),
            noise: Some(&noise),
            offset: Some(&offset),
            residual: Some(Map::new(&residual, [n, h, w, c])),
        };
        let sums = conv_in_f64(&spec, case.input(), &case.weight);
        let joined: Vec<f64> = sums.iter().enumerate().map(|(i, sum)| {
            let (pixel, channel) = (i / c, i % c);
            let own = pixel / (h * w) * c + channel;
            let scaled = sum * f64::from(scale[own]);
            let terms = [noise[pixel % noise.len()], offset[own], case.bias[channel], residual[i]];
            scaled + terms.into_iter().map(f64::from).sum::<f64>()
        }).collect();
        let expected: Vec<f64> =
            joined.iter().map(|&value| activated(activation, value)).collect();
        // The terms may cancel.
        let magnitude: Vec<f64> =
            joined.iter().zip(&sums).map(|(a, b)| a.abs() + b.abs() + 1.0).collect();
        for isa in Isa::available() {
            let output = case.run(Algorithm::best(&spec), isa, extras);
            let error = distance(&output, &expected, &magnitude);
            prop_assert!(error < F32_WINOGRAD, "{isa:?}: {error}");
        }
    }

    #[test]
    fn joined_convolutions_are_those_alone_bit_by_bit(
        inputs in 1_usize..70,
        outputs in prop::collection::vec(1_usize..70, 1..5),
        size in [1_usize..3, 1..14, 1..14],
        wider in 0_usize..20,
        activation in activations(),
    ) {
        let cases: Vec<Case> = outputs
            .iter()
            .map(|&o| Case::new(ConvSpec::new(inputs, o, [1, 1]), size, wider, activation))
            .collect();
        let branches: Vec<_> = cases
            .iter()
            .map(|case| Branch { weight: &case.weight, bias: &case.bias, activation })
            .collect();
        for isa in Isa::available() {
            let mut data: Vec<Vec<f32>> =
                cases.iter().map(|case| vec![7.0; case.output_shape().iter().product()]).collect();
            let maps = data.iter_mut().zip(&cases);
            let maps = maps.map(|(data, case)| MapMut::new(data, case.output_shape())).collect();
            JoinedConv::with(inputs, &branches, isa).run(cases[0].input(), maps);
            for (case, data) in cases.iter().zip(&data) {
                let alone = case.run(Algorithm::Direct, isa, Extras::default());
                prop_assert_eq!(data, &alone, "{:?}", isa);
            }
        }
    }

    #[test]
    fn transposed_convolution_spreads_each_value(
        channels in pair(1..40),
        groups in 1_usize..3,
        kernel in pair(1..6),
        stride in pair(1..4),
        rows in pair(0..3),
        columns in pair(0..3),
        size in [1_usize..3, 1..8, 1..8],
        larger in pair(0..3),
        whole in any::<bool>(),
    ) {
        let (inputs, kernel) = if whole { (16, [3, 3]) } else { (channels[0], kernel) };
        let padding = [rows, columns];
        let spec = ConvTransposeSpec {
            padding,
            groups,
            ..ConvTransposeSpec::new(inputs * groups, channels[1] * groups, kernel, stride)
        };
        let [n, h, w] = size;
        let [oh, ow] = spec.output_size(h, w);
        let shape = [n, oh + larger[0], ow + larger[1], spec.out_channels];
        let input = values(1, n * h * w * spec.in_channels);
        let input = Map::new(&input, [n, h, w, spec.in_channels]);
        let (weight, bias) = (values(2, spec.weight_len()), values(3, spec.out_channels));
        let expected: Vec<f64> = transpose_in_f64(&spec, input, &weight, [shape[1], shape[2]])
            .into_iter()
            .enumerate()
            .map(|(i, sum)| sum + f64::from(bias[i % spec.out_channels]))
            .collect();
        for isa in Isa::available() {
            for algorithm in [Algorithm::Direct, Algorithm::Winograd] {
                let none = Activation::None;
                let conv =
                    ConvTranspose2d::with(spec, &weight, Some(&bias), none, algorithm, isa);
                let mut output = vec![7.0; shape.iter().product()];
                conv.run(input, MapMut::new(&mut output, shape));
                let error = distance(&output, &expected, &expected);
                prop_assert!(error < F32_WINOGRAD, "{isa:?} {algorithm:?}: {error}");
            }
        }
    }

    #[test]
    fn the_transpose_carries_gradients_back(
        spec in specs().prop_filter("dense taps", |spec| spec.dilation == [1, 1]),
        size in [1_usize..3, 1..9, 1..9],
    ) {
        // <conv(x), y> = <x, transpose(y)> for all x and y.
        let case = Case::new(spec, size, 0, Activation::None);
        let shape = case.output_shape();
        let gradient = values(9, shape.iter().product());
        let transpose = ConvTranspose2d::new(
            ConvTransposeSpec::gradient_of(&spec), &case.weight, None, Activation::None,
        );
        let mut back = vec![0.0; case.input.len()];
        transpose.run(Map::new(&gradient, shape), MapMut::new(&mut back, case.shape));
        let forward = conv_in_f64(&spec, case.input(), &case.weight);
        let left: f64 = forward.iter().zip(&gradient).map(|(a, &b)| a * f64::from(b)).sum();
        let right: f64 =
            case.input.iter().zip(&back).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        let scale = forward.iter().map(|a| a * a).sum::<f64>().sqrt() + 1.0;
        let tolerance = F32_SUM * scale * (gradient.len() as f64).sqrt();
        prop_assert!((left - right).abs() <= tolerance, "{left} {right}");
    }

    #[test]
    fn linear_is_rows_times_columns(
        rows in 1_usize..40,
        inputs in 1_usize..70,
        outputs in 1_usize..70,
    ) {
        let (x, weight) = (values(1, rows * inputs), values(2, outputs * inputs));
        let bias = values(3, outputs);
        let mut y = vec![0.0; rows * outputs];
        Linear::new([outputs, inputs], &weight, Some(&bias), Activation::None).run(&x, &mut y);
        let expected: Vec<f64> = places([rows, outputs, 1, 1]).map(|(r, o, _, _)| {
            let products = (0..inputs)
                .map(|i| f64::from(x[r * inputs + i]) * f64::from(weight[o * inputs + i]));
            products.sum::<f64>() + f64::from(bias[o])
        }).collect();
        prop_assert!(distance(&y, &expected, &expected) < F32_SUM);
    }
}

#[test]
fn winograd_transforms_cost_few_bits() {
    // Inputs as after a ReLU, whose mean the transforms must carry.
    let channels = if cfg!(miri) { 16 } else { 96 };
    for (kernel, stride, bound) in [
        ([3, 3], 1, 1e-6),
        ([3, 3], 2, 1e-6),
        ([5, 5], 1, 4e-6),
        ([1, 3], 1, 1e-6),
        ([3, 1], 1, 1e-6),
        ([1, 7], 1, 1e-5),
        ([7, 1], 1, 1e-5),
    ] {
        let spec = ConvSpec::new(channels, 16, kernel).stride(stride);
        let spec = spec.padding(kernel[0] / 2, kernel[1] / 2);
        let mut case = Case::new(spec, [1, 17, 17], 0, Activation::None);
        case.input.iter_mut().for_each(|value| *value = value.max(0.0));
        for isa in Isa::available() {
            let direct = case.error(&case.run(Algorithm::Direct, isa, Extras::default()));
            let winograd = case.error(&case.run(Algorithm::Winograd, isa, Extras::default()));
            println!(
                "{kernel:?} by {stride}, {isa:?}: direct {direct:.1e}, winograd {winograd:.1e}"
            );
            assert!(direct < F32_SUM && winograd < bound, "{kernel:?} by {stride}, {isa:?}");
        }
    }
}

#[test]
fn no_output_depends_on_the_batch_or_on_the_threads() {
    let layers = [
        ConvSpec::new(64, 80, [1, 1]),
        ConvSpec::new(32, 48, [3, 3]).padding(1, 1),
        ConvSpec::new(91, 48, [3, 3]).padding(1, 1),
        ConvSpec::new(48, 64, [5, 5]).padding(2, 2),
        ConvSpec::new(32, 40, [1, 7]).padding(0, 3),
        ConvSpec::new(3, 32, [3, 3]).stride(2),
        ConvSpec::new(288, 48, [3, 3]).stride(2),
        ConvSpec { dilation: [2, 2], ..ConvSpec::new(288, 48, [3, 3]) },
        ConvSpec { groups: 24, ..ConvSpec::new(24, 24, [3, 3]) },
    ];
    for spec in layers {
        let (n, h, w) = if cfg!(miri) { (2, 7, 7) } else { (5, 17, 17) };
        let case = Case::new(spec, [n, h, w], 0, Activation::Relu);
        for isa in Isa::available() {
            let conv = Conv2d::with(
                spec,
                &case.weight,
                Some(&case.bias),
                Activation::Relu,
                Algorithm::best(&spec),
                isa,
            );
            let shape = case.output_shape();
            let run = |threads: usize, images: std::ops::Range<usize>| {
                let shape = [images.len(), shape[1], shape[2], shape[3]];
                let mut output = vec![0.0; shape.iter().product()];
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let map = MapMut::new(&mut output, shape);
                    conv.run(case.input().images(images), map);
                });
                output
            };
            let whole = run(1, 0..n);
            for threads in 1..=3 {
                assert_eq!(run(threads, 0..n), whole, "{threads} threads, {isa:?}, {spec:?}");
                let single: Vec<f32> = (0..n).flat_map(|i| run(threads, i..i + 1)).collect();
                assert_eq!(single, whole, "one image each, {threads} threads, {isa:?}, {spec:?}");
            }
        }
    }
}

#[test]
fn strips_that_are_read_in_place_have_the_bits_of_copies() {
    let shape = [1, 5, 9, 40];
    for inputs in [16, 48, 320] {
        let spec = ConvSpec::new(inputs, 40, [1, 1]);
        let (dense, weight) = (values(1, 45 * inputs), values(2, 40 * inputs));
        let expected = conv_in_f64(&spec, Map::new(&dense, [1, 5, 9, inputs]), &weight);
        for isa in Isa::available() {
            let none = Activation::None;
            let conv = Conv2d::with(spec, &weight, None, none, Algorithm::Direct, isa);
            let run = |stride: usize| {
                let mut wide = vec![f32::NAN; 45 * stride];
                for (to, from) in wide.chunks_exact_mut(stride).zip(dense.chunks_exact(inputs)) {
                    to[..inputs].copy_from_slice(from);
                }
                let mut output = vec![7.0; 45 * 40];
                let input = Map::with_stride(&wide, [1, 5, 9, inputs], stride);
                conv.run(input, MapMut::new(&mut output, shape));
                output
            };
            // Rows so many floats apart would displace each other in the cache.
            let copied = run(512);
            assert!(distance(&copied, &expected, &expected) < F32_SUM, "{inputs} {isa:?}");
            for stride in [inputs, inputs + 3, 500] {
                assert_eq!(run(stride), copied, "{inputs} inputs, {stride} apart, {isa:?}");
            }
        }
    }
}

#[test]
fn a_pixel_has_the_same_bits_in_strips_of_any_height() {
    const MOST: usize = 30;
    let (inputs, outputs) = (20, 41);
    let spec = ConvSpec::new(inputs, outputs, [1, 1]);
    let (data, weight) = (values(1, MOST * inputs), values(2, outputs * inputs));
    let expected = conv_in_f64(&spec, Map::new(&data, [1, MOST, 1, inputs]), &weight);
    for isa in Isa::available() {
        let conv = Conv2d::with(spec, &weight, None, Activation::None, Algorithm::Direct, isa);
        let run = |rows: usize| {
            let mut output = vec![f32::NAN; rows * outputs];
            let input = Map::new(&data[..rows * inputs], [1, rows, 1, inputs]);
            conv.run(input, MapMut::new(&mut output, [1, rows, 1, outputs]));
            output
        };
        let all = run(MOST);
        assert!(distance(&all, &expected, &expected) < F32_SUM, "{isa:?}");
        for rows in 1..MOST {
            assert_eq!(run(rows), all[..rows * outputs], "{rows} rows, {isa:?}");
        }
    }
}
