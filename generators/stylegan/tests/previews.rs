//! Previews: images that a synthesis leaves behind on its way.
//!
//! A network of blocks that each add colors contains the network of any smaller size: its first blocks with
//! its first style inputs. So a preview is the image of a file without the tensors of the later blocks.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;

use candle_core::{Device, Tensor};
use ganscope_golden as golden;
use ganscope_model::{Error, Generator, NoiseMode, Synthesis, Truncation};
use ganscope_stylegan::load;
use ganscope_weights::{Array, Weights};

#[path = "golden/recipe.rs"]
mod recipe;
#[path = "golden/small.rs"]
mod small;

use small::weights;

/// float32 through a filter of sixteen taps, in another order of summation.
const F32_FILTER: f64 = 1e-6;

fn open(weights: Weights) -> Box<dyn Generator> {
    load(weights, &Device::Cpu).unwrap()
}

/// Style inputs of two latents.
fn style_inputs(generator: &dyn Generator) -> Tensor {
    let info = generator.info();
    let z = golden::tensor("z", &[2, info.z_dim], (-1.7, 1.7), 0);
    let z = Tensor::from_vec(z, (2, info.z_dim), &Device::Cpu).unwrap();
    let classes = (info.c_dim > 0).then_some(&[3, 8][..]);
    generator.map(&z, classes, Truncation::psi(0.7)).unwrap()
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn options(preview: Option<usize>, noise_mode: NoiseMode) -> Synthesis {
    Synthesis { preview, noise_mode, noise_seeds: vec![7, 9], ..Synthesis::default() }
}

/// The file of the first blocks, up to this resolution.
fn first_blocks(mut weights: Weights, size: usize) -> Weights {
    let layers = 2 * size.ilog2() as usize - 2;
    let number = |text: &str| {
        let digits = text.split_once('.').map_or(text, |(first, _)| first);
        digits.trim_start_matches(char::is_alphabetic).parse::<usize>().unwrap()
    };
    weights.arrays.retain(|name, _| {
        if let Some(layer) = name.strip_prefix("synthesis.layer") {
            number(layer) < layers
        } else if let Some(colors) = name.strip_prefix("synthesis.output") {
            number(colors) < layers / 2
        } else {
            name.strip_prefix("synthesis.b").is_none_or(|block| number(block) <= size)
        }
    });
    for field in ["img_resolution", "resolution"] {
        if let Some(value) = weights.config.get_mut(field) {
            *value = size.into();
        }
    }
    weights.config.remove("num_ws");
    weights
}

/// Each preview of a network is the image of the network that ends there, bit for bit.
fn check_previews(weights: &Weights, sizes: &[usize], noise_modes: &[NoiseMode]) {
    let whole = open(weights.clone());
    assert_eq!(whole.preview_sizes(), sizes);
    let ws = style_inputs(&*whole);
    // A StyleGAN of one resolution does not exist.
    let is_first = weights.config.contains_key("fmaps_base");
    for &size in sizes.iter().skip(usize::from(is_first)) {
        let small = open(first_blocks(weights.clone(), size));
        assert_eq!(small.info().img_resolution, size);
        let first = ws.narrow(1, 0, small.info().num_ws).unwrap().contiguous().unwrap();
        for &noise_mode in noise_modes {
            let expected = small.synthesize(&first, &options(None, noise_mode)).unwrap();
            for height in [size, 2 * size - 1] {
                let preview = whole.synthesize(&ws, &options(Some(height), noise_mode)).unwrap();
                assert_eq!(preview.dims(), expected.dims());
                assert_eq!(values(&preview), values(&expected), "{height} with {noise_mode}");
            }
        }
    }
    let image = values(&whole.synthesize(&ws, &options(None, NoiseMode::Const)).unwrap());
    let size = whole.info().img_resolution;
    for height in [size, 10 * size] {
        let same = whole.synthesize(&ws, &options(Some(height), NoiseMode::Const)).unwrap();
        assert_eq!(values(&same), image, "a preview of {height} is the whole image");
    }
    let smallest = whole.synthesize(&ws, &options(Some(1), NoiseMode::Const)).unwrap();
    assert_eq!(smallest.dim(2).unwrap(), sizes[0], "there is none below the smallest");
}

const ALL_NOISE: [NoiseMode; 3] = [NoiseMode::Const, NoiseMode::Random, NoiseMode::None];

#[test]
fn a_preview_is_the_image_of_the_network_that_ends_there() {
    check_previews(&weights("s2-skip"), &[4, 8, 16], &ALL_NOISE);
    check_previews(&weights("s1-64"), &[4, 8, 16, 32], &ALL_NOISE);
    check_previews(&weights("s1-128-fused"), &[4, 8, 16, 32, 64], &[NoiseMode::Const]);
}

#[test]
fn so_it_is_at_the_size_of_ffhq() {
    check_previews(&recipe::ffhq256(), &[4, 8, 16, 32, 64, 128], &[NoiseMode::Const]);
}

/// `x` (N, C, H, W) with zeros between its pixels, under the filter `[1 3 3 1]^T [1 3 3 1] / 16`: what
/// `upfirdn2d(x, f, up=2, pad=[2, 1, 2, 1], gain=4)` is by its definition.
fn doubled(x: &Tensor) -> Vec<f64> {
    let (n, c, h, w) = x.dims4().unwrap();
    let (values, taps) = (values(x), [1.0, 3.0, 3.0, 1.0]);
    let pixel = |plane: usize, y: isize, x: isize| {
        let inside = (0..2 * h as isize).contains(&y) && (0..2 * w as isize).contains(&x);
        let is_pixel = inside && y % 2 == 0 && x % 2 == 0;
        let at = || f64::from(values[(plane * h + y as usize / 2) * w + x as usize / 2]);
        if is_pixel { at() } else { 0.0 }
    };
    let mut made = Vec::new();
    for plane in 0..n * c {
        for y in 0..2 * h as isize {
            for x in 0..2 * w as isize {
                let mut sum = 0.0;
                for (i, a) in (0..).zip(taps) {
                    for (j, b) in (0..).zip(taps) {
                        sum += a * b / 16.0 * pixel(plane, y + i - 2, x + j - 2);
                    }
                }
                made.push(sum);
            }
        }
    }
    made
}

/// Without the colors of its last block an image is the preview before it, doubled.
#[test]
fn an_image_is_its_preview_doubled_and_the_colors_of_its_last_block() {
    let mut weights = weights("s2-skip");
    for name in ["synthesis.b32.torgb.weight", "synthesis.b32.torgb.bias"] {
        let array = weights.arrays.get_mut(name).unwrap();
        let zeros = vec![0.0; array.shape().iter().product()];
        *array = Array::from_f32(array.shape().to_vec(), &zeros).unwrap();
    }
    let generator = open(weights);
    let ws = style_inputs(&*generator);
    let image = generator.synthesize(&ws, &options(None, NoiseMode::Const)).unwrap();
    let preview = generator.synthesize(&ws, &options(Some(16), NoiseMode::Const)).unwrap();
    assert_eq!(preview.dims()[2..], [16, 16]);
    let error = golden::relative_l2(&values(&image), &doubled(&preview));
    assert!(error < F32_FILTER, "{error:e}");
}

#[test]
fn networks_with_colors_at_their_end_alone_make_the_whole_image() {
    let mut without_colors = weights("s1-64");
    without_colors.arrays.retain(|name, _| !name.starts_with("synthesis.output0."));
    let others = ["s2-resnet-cond", "s2-orig", "s3-t", "s3-r-cond"].map(weights);
    for weights in others.into_iter().chain([without_colors]) {
        let generator = open(weights);
        assert!(generator.preview_sizes().is_empty());
        let ws = style_inputs(&*generator);
        let of = |preview| {
            values(&generator.synthesize(&ws, &options(preview, NoiseMode::Const)).unwrap())
        };
        assert_eq!(of(Some(8)), of(None));
    }
}

#[test]
fn a_synthesis_that_nobody_waits_for_ends_between_two_layers() {
    for name in ["s1-64", "s2-skip", "s2-resnet-cond", "s3-t"] {
        let generator = open(weights(name));
        let ws = style_inputs(&*generator);
        let asked = Cell::new(0);
        let stop_at = |limit: usize| {
            asked.set(0);
            let stop = || {
                asked.set(asked.get() + 1);
                asked.get() == limit
            };
            generator.synthesize_unless(&ws, &Synthesis::default(), &stop).map(|x| values(&x))
        };
        let whole = stop_at(usize::MAX).unwrap();
        assert_eq!(whole, values(&generator.synthesize(&ws, &Synthesis::default()).unwrap()));
        let times = asked.get();
        assert!(times >= 3, "{name} asks {times} times");
        for limit in [1, times / 2, times] {
            assert!(matches!(stop_at(limit), Err(Error::Stopped)), "{name} goes on after {limit}");
            assert_eq!(asked.get(), limit, "{name} goes on");
        }
    }
}
