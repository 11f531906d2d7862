//! Resize conventions against the reference tools.

use std::path::Path;

use ganscope_golden as golden;
use ganscope_images::{Image, Preprocess, Resize};
use ganscope_weights::npz;
use proptest::prelude::*;

/// Rounding of float32 on 0..255, relative in the Euclidean norm.
const ROUNDING: f64 = 1e-6;

/// Largest difference of one value on 0..255: a unit in the last place of a float32 coordinate
/// below 32, times a step of 255 between pixels.
const ULPS: f32 = 5e-4;

/// Sizes of the images that the golden features were taken on.
const SIZES: [(usize, usize); 4] = [(299, 299), (48, 64), (384, 512), (33, 100)];

fn recipe(k: usize, height: usize, width: usize) -> Image {
    Image { width, height, pixels: golden::image(k, height, width) }
}

fn resized(image: &Image, resize: Resize, size: usize) -> Vec<f32> {
    let preprocess = Preprocess { resize, size };
    let mut out = vec![f32::NAN; preprocess.values()];
    preprocess.apply(image, &mut out);
    out
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn bicubic_rows_are_those_of_clean_fid() {
    let golden = golden::arrays("inception.safetensors");
    for (k, (height, width)) in SIZES.into_iter().enumerate() {
        let out = resized(&recipe(k, height, width), Resize::PillowBicubic, 299);
        let row = |y: usize, c: usize| (0..299).map(move |x| (y * 299 + x) * 3 + c);
        let mean = |i: usize| row(i / 3, i % 3).map(|at| out[at] as f64).sum::<f64>() / 299.0;
        let means: Vec<f64> = (0..299 * 3).map(mean).collect();
        let expected = &golden[&format!("clean-fid/{k}/resized_mean_rows")].data;
        let error = golden::relative_l2(&means, expected);
        assert!(error < ROUNDING, "image {k}: relative error {error:.1e}");
    }
}

#[test]
fn values_are_those_of_pillow_and_pytorch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pillow.npz");
    let mut cases = 0;
    for (key, expected) in npz::read(&path).unwrap() {
        let Some(case) = key.strip_prefix("resize/") else { continue };
        let (name, sizes) = case.split_once('/').unwrap();
        let sizes: Vec<usize> = sizes.split('/').map(|n| n.parse().unwrap()).collect();
        let &[height, width, size] = sizes.as_slice() else { panic!("{key}") };
        let image = recipe(height + width, height, width);
        let out = resized(&image, name.parse().unwrap(), size);
        let error = largest_difference(&out, &expected.to_f32());
        assert!(error < ULPS, "{key}: off by {error:.1e}");
        cases += 1;
    }
    assert_eq!(cases, 4 * 5);
}

/// Bilinear interpolation as its formula, in f64, at source coordinate `at(dst, in, out)`.
fn slow_bilinear(image: &Image, size: usize, at: fn(f64, f64, f64) -> f64) -> Vec<f32> {
    let value = |y: usize, x: usize, c: usize| {
        let y = y.min(image.height - 1);
        let x = x.min(image.width - 1);
        image.pixels[(y * image.width + x) * 3 + c] as f64
    };
    let mut out = Vec::new();
    for i in 0..size * size * 3 {
        let (y, x, c) = (i / 3 / size, i / 3 % size, i % 3);
        let y = at(y as f64, image.height as f64, size as f64).max(0.0);
        let x = at(x as f64, image.width as f64, size as f64).max(0.0);
        let (y0, x0) = (y as usize, x as usize);
        let (dy, dx) = (y - y0 as f64, x - x0 as f64);
        let top = value(y0, x0, c) * (1.0 - dx) + value(y0, x0 + 1, c) * dx;
        let bottom = value(y0 + 1, x0, c) * (1.0 - dx) + value(y0 + 1, x0 + 1, c) * dx;
        out.push((top * (1.0 - dy) + bottom * dy) as f32);
    }
    out
}

/// A coordinate up to 64 in float32 is off by 4e-6, times a step of 255 between pixels, twice.
const COORDINATES: f32 = 4e-3;

fn image() -> impl Strategy<Value = Image> {
    (1_usize..64, 1_usize..64, any::<u16>())
        .prop_map(|(height, width, k)| recipe(k.into(), height, width))
}

/// Resized images of the references on 0..255, which compute in float32.
const REFERENCE: f64 = 1e-3;
/// Means of bytes on 0..255, stored in float32.
const MEAN_OF_BYTES: f64 = 2e-5;

/// Sizes of the golden images 60 to 63, (h, w).
const VIT_SIZES: [(usize, usize); 4] = [(224, 224), (300, 200), (33, 100), (48, 64)];

/// Compares means of rows and columns and a crop, from `row` and `column` on, with `FILE` at `key`.
fn check_resized(file: &str, key: &str, (k, size): (usize, usize), resize: Resize, exact: bool) {
    let golden = golden::arrays(file);
    let (height, width) = VIT_SIZES[k - 60];
    let out = resized(&recipe(k, height, width), resize, size);
    let at = |y: usize, x: usize, c: usize| f64::from(out[(y * size + x) * 3 + c]);
    let mean = |value: &dyn Fn(usize) -> f64| (0..size).map(value).sum::<f64>() / size as f64;
    let places = (0..size * 3).map(|i| (i / 3, i % 3));
    let rows: Vec<f64> = places.clone().map(|(y, c)| mean(&|x| at(y, x, c))).collect();
    let columns: Vec<f64> = places.map(|(x, c)| mean(&|y| at(y, x, c))).collect();
    let crop = &golden[&format!("{key}/{k}/crop")];
    let [h, w, _] = crop.shape[..] else { panic!("{:?}", crop.shape) };
    let [row, column] = if file.starts_with("dino") { [100, 60] } else { [size / 4, size / 3] };
    let crop: Vec<f64> =
        (0..h * w * 3).map(|i| at(row + i / 3 / w, column + i / 3 % w, i % 3)).collect();
    for (part, actual) in [("mean_rows", rows), ("mean_cols", columns), ("crop", crop)] {
        let expected = &golden[&format!("{key}/{k}/{part}")].data;
        assert_eq!(actual.len(), expected.len(), "{key}/{k}/{part}");
        let error = actual.iter().zip(expected).map(|(a, e)| (a - e).abs()).fold(0.0_f64, f64::max);
        let allowed = match (exact, part) {
            (true, "crop") => 0.0,
            (true, _) => MEAN_OF_BYTES,
            (false, _) => REFERENCE,
        };
        assert!(error <= allowed, "{key}/{k}/{part}: off by {error:.1e}");
    }
}

#[test]
fn images_for_dinov2_are_those_of_its_callers() {
    for k in 60..64 {
        for (preset, resize, exact) in [
            ("dgm-eval", Resize::PillowBicubicBytes, true),
            ("clean", Resize::PillowBicubic, false),
            ("edm2", Resize::TorchBicubic, false),
            ("torch-fidelity", Resize::TfBilinear, false),
        ] {
            let key = format!("resize/{preset}");
            check_resized("dinov2.safetensors", &key, (k, 224), resize, exact);
        }
    }
}

#[test]
fn images_for_clip_are_those_of_its_callers() {
    for k in 60..64 {
        for (name, size, resize) in [
            ("clip-56", 56, Resize::ResizeCrop),
            ("clean-fid-clip-224", 224, Resize::ResizeCrop),
            ("cmmd-336", 336, Resize::CropResize),
            ("dgm-eval-clip-56", 56, Resize::PillowBicubicBytes),
        ] {
            check_resized("clip.safetensors", &format!("resize/{name}"), (k, size), resize, true);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tf_bilinear_is_its_formula(image in image(), size in 1_usize..80) {
        let expected = slow_bilinear(&image, size, |dst, len, out| dst * len / out);
        let actual = resized(&image, Resize::TfBilinear, size);
        prop_assert!(largest_difference(&actual, &expected) < COORDINATES);
    }

    #[test]
    fn torch_bilinear_is_its_formula(image in image(), size in 1_usize..80) {
        let expected = slow_bilinear(&image, size, |dst, len, out| (dst + 0.5) * len / out - 0.5);
        let actual = resized(&image, Resize::TorchBilinear, size);
        prop_assert!(largest_difference(&actual, &expected) < COORDINATES);
    }

    #[test]
    fn an_image_of_the_right_size_stays_itself(k in any::<u16>(), size in 1_usize..40) {
        let image = recipe(k.into(), size, size);
        let same: Vec<f32> = image.pixels.iter().map(|&v| v.into()).collect();
        for &resize in Resize::ALL {
            let error = largest_difference(&resized(&image, resize, size), &same);
            prop_assert!(error < ULPS, "{resize}: off by {error}");
        }
    }

    #[test]
    fn one_color_stays_one_color(
        (height, width) in (1_usize..300, 1_usize..300),
        color in any::<[u8; 3]>(),
        size in 1_usize..50,
    ) {
        let image = Image::filled(width, height, color);
        for &resize in Resize::ALL {
            for pixel in resized(&image, resize, size).as_chunks::<3>().0 {
                let error = largest_difference(pixel, &color.map(f32::from));
                prop_assert!(error < ULPS, "{resize}: off by {error}");
            }
        }
    }
}

#[test]
fn conventions_differ_where_they_should() {
    // Two pixels to four: the coordinates are 0, 1/2, 1, 3/2 and -1/4, 1/4, 3/4, 5/4.
    let image = Image { width: 2, height: 1, pixels: vec![0, 0, 0, 100, 100, 100] };
    let row = |resize| -> Vec<f32> {
        resized(&image, resize, 4)[..12].iter().copied().step_by(3).collect()
    };
    assert_eq!(row(Resize::TfBilinear), [0.0, 50.0, 100.0, 100.0]);
    assert_eq!(row(Resize::TorchBilinear), [0.0, 25.0, 75.0, 100.0]);
}

#[test]
fn names_lead_back_to_their_convention() {
    for &resize in Resize::ALL {
        assert_eq!(resize.to_string().parse::<Resize>().unwrap(), resize);
    }
    let error = "bicubic".parse::<Resize>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown resize convention `bicubic`, expected one of tf-bilinear, torch-bilinear, \
         pillow-bicubic, pillow-bilinear, pillow-lanczos, torch-bicubic-antialias, \
         pillow-bicubic-bytes, pillow-bicubic-bytes-then-crop, crop-then-pillow-bicubic-bytes"
    );
}
