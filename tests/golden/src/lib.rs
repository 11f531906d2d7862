//! Golden numbers of the reference implementations, and the recipe of the inputs they were taken on.
//!
//! `tests/golden/README.md` tells what each file of `tests/golden/data` holds and which
//! implementation printed it; `recipe.py` is the definition that this crate follows, so that a
//! network of any size can be filled without shipping its weights. [`hub`] is the server of the
//! tests of downloads, [`sets`] the features of the tests of metrics.

pub mod hub;
pub mod sets;

use std::collections::BTreeMap;
use std::path::PathBuf;

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The folder of golden files.
pub fn data() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data")
}

/// Bytes of the golden file `name`.
///
/// # Panics
/// If there is no such file.
pub fn bytes(name: &str) -> Vec<u8> {
    let path = data().join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()))
}

/// The golden JSON file `name`.
///
/// # Panics
/// If it is missing or not JSON.
pub fn json(name: &str) -> serde_json::Value {
    serde_json::from_slice(&bytes(name)).expect("golden JSON parses")
}

/// Shape and values of one float32 array.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Sizes, slowest axis first.
    pub shape: Vec<usize>,
    /// Values in C order; other dtypes are converted to `f64`.
    pub data: Vec<f64>,
}

impl Array {
    /// The values as `f32`.
    pub fn f32(&self) -> Vec<f32> {
        self.data.iter().map(|&v| v as f32).collect()
    }
}

/// All arrays of the golden safetensors file `name`.
///
/// # Panics
/// If the file is missing, unreadable, or holds a dtype that golden files do not use.
pub fn arrays(name: &str) -> BTreeMap<String, Array> {
    use safetensors::Dtype;
    let bytes = bytes(name);
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("golden safetensors parse");
    let number = |dtype: Dtype, b: &[u8]| -> f64 {
        let eight = || b.try_into().expect("eight bytes");
        let four = || b.try_into().expect("four bytes");
        match dtype {
            Dtype::F32 => f32::from_le_bytes(four()) as f64,
            Dtype::F64 => f64::from_le_bytes(eight()),
            Dtype::I32 => i32::from_le_bytes(four()) as f64,
            Dtype::I64 => i64::from_le_bytes(eight()) as f64,
            Dtype::U8 => b[0] as f64,
            other => panic!("{name}: unexpected dtype {other:?}"),
        }
    };
    file.tensors()
        .into_iter()
        .map(|(key, t)| {
            let data =
                t.data().chunks(t.dtype().bitsize() / 8).map(|b| number(t.dtype(), b)).collect();
            (key, Array { shape: t.shape().to_vec(), data })
        })
        .collect()
}

/// `n` values in [0, 1), each a multiple of 2^-24: the splitmix64 stream of a name and a seed.
pub fn uniform(name: &str, n: usize, seed: u64) -> impl Iterator<Item = f64> + use<> {
    let hash = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |h, b| (h ^ b as u64).wrapping_mul(0x0100_0000_01B3));
    let start = hash ^ seed.wrapping_mul(GOLDEN);
    (1..=n as u64).map(move |i| {
        let mut z = start.wrapping_add(i.wrapping_mul(GOLDEN));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 40) as f64 * 2f64.powi(-24)
    })
}

/// The recipe tensor `name`: uniform in [lo, hi), rounded once to float32.
pub fn tensor(name: &str, shape: &[usize], (lo, hi): (f64, f64), seed: u64) -> Vec<f32> {
    let n = shape.iter().product();
    uniform(name, n, seed).map(|u| (lo + (hi - lo) * u) as f32).collect()
}

/// Range of a checkpoint tensor by the last part of its name.
pub fn span(name: &str, shape: &[usize]) -> (f64, f64) {
    match name.rsplit('.').next().unwrap_or(name) {
        "running_var" | "running_vars" => (0.5, 1.5),
        "running_mean" | "running_means" | "bias" => (-0.1, 0.1),
        _ if shape.len() <= 1 => (0.8, 1.2),
        _ => {
            let bound = (6.0 / shape[1..].iter().product::<usize>() as f64).sqrt();
            (-bound, bound)
        }
    }
}

/// The recipe checkpoint whose names and shapes are in the golden file `shapes` (`*-weights.json`).
///
/// # Panics
/// If the file is missing or not a map of names to shapes.
pub fn weights(shapes: &str) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let shapes: BTreeMap<String, Vec<usize>> =
        serde_json::from_value(json(shapes)).expect("names to shapes");
    shapes
        .into_iter()
        .filter(|(name, _)| !name.ends_with("num_batches_tracked"))
        .map(|(name, shape)| {
            let values = tensor(&name, &shape, span(&name, &shape), 0);
            (name, (shape, values))
        })
        .collect()
}

/// Range of a tensor of a vision transformer, DINOv2 or CLIP, by its official name.
pub fn span_vit(name: &str, shape: &[usize]) -> (f64, f64) {
    match name.rsplit('.').next().unwrap_or(name) {
        "cls_token" | "register_tokens" | "mask_token" | "class_embedding" => (-1.0, 1.0),
        "pos_embed" | "positional_embedding" => (-0.5, 0.5),
        _ if name.ends_with("position_embedding.weight") => (-0.5, 0.5),
        "gamma" => (0.1, 0.6),
        "in_proj_bias" => (-0.1, 0.1),
        _ => span(name, shape),
    }
}

/// As [`weights`], by [`span_vit`]. A file that has types beside the shapes says which tensors are
/// rounded to half precision.
///
/// # Panics
/// As [`weights`].
pub fn weights_vit(shapes: &str) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let entries: BTreeMap<String, serde_json::Value> =
        serde_json::from_value(json(shapes)).expect("a map of names");
    let filled = |(name, entry): (String, serde_json::Value)| {
        let typed = entry.get(1).and_then(serde_json::Value::as_str);
        let shape = if typed.is_some() { &entry[0] } else { &entry };
        let shape: Vec<usize> = serde_json::from_value(shape.clone()).expect("a shape");
        let mut values = tensor(&name, &shape, span_vit(&name, &shape), 0);
        if typed == Some("float16") {
            for v in &mut values {
                *v = half::f16::from_f32(*v).to_f32();
            }
        }
        (name, (shape, values))
    };
    entries.into_iter().map(filled).collect()
}

/// Recipe image `k`, 8-bit RGB rows of (h, w, 3): coarse noise in 8 x 8 blocks with fine noise.
pub fn image(k: usize, h: usize, w: usize) -> Vec<u8> {
    let (ch, cw) = (h.div_ceil(8), w.div_ceil(8));
    let level = |name: String, n| -> Vec<u32> {
        uniform(&name, n, 0).map(|u| (256.0 * u) as u32).collect()
    };
    let coarse = level(format!("image/{k}/coarse"), ch * cw * 3);
    let fine = level(format!("image/{k}/fine"), h * w * 3);
    (0..h * w * 3)
        .map(|i| {
            let (y, x, c) = (i / (3 * w), i / 3 % w, i % 3);
            ((3 * coarse[(y / 8 * cw + x / 8) * 3 + c] + fine[i]) / 4) as u8
        })
        .collect()
}

/// Relative error `|actual - expected| / |expected|` in the Euclidean norm.
///
/// # Panics
/// If the lengths differ.
pub fn relative_l2<A: Into<f64> + Copy>(actual: &[A], expected: &[f64]) -> f64 {
    assert_eq!(actual.len(), expected.len(), "lengths differ");
    let square = |v: f64| v * v;
    let error: f64 = actual.iter().zip(expected).map(|(&a, &e)| square(a.into() - e)).sum();
    let norm: f64 = expected.iter().map(|&e| square(e)).sum();
    (error / norm).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_and_the_stream_are_those_of_the_recipe() {
        // printed by recipe.py: uniform("features/full-rank/real", 3)
        let expected = [0.791_599_392_890_930_2, 0.700_603_365_898_132_3, 0.746_558_785_438_537_6];
        let actual: Vec<f64> = uniform("features/full-rank/real", 3, 0).collect();
        assert_eq!(actual, expected);
    }

    #[test]
    fn the_image_is_that_of_the_recipe() {
        // printed by recipe.py: image(1, 48, 64): sum, and the first six bytes
        let image = image(1, 48, 64);
        assert_eq!(image.iter().map(|&v| v as u64).sum::<u64>(), 1_155_680);
        assert_eq!(image[..6], [106, 121, 172, 149, 108, 149]);
    }
}
