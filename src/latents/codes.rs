//! Files of style inputs, as the published tools keep them: `projected_w.npz` with the array `w`.

use std::path::Path;

use candle_core::{DType, Tensor};
use ganscope_model::{Generator, GeneratorInfo};
use ganscope_weights::{Array, npy, npz};

use crate::error::{Context as _, Error, Result};

/// Names of the array of style inputs, the first that is there.
const NAMES: &[&str] = &["w", "ws"];

/// Style inputs of a file.
#[derive(Debug, Clone)]
pub struct Codes {
    path: String,
    array: Array,
}

impl Codes {
    /// Reads an `.npy`, or the array `w` or `ws` of an `.npz`, or its only array.
    ///
    /// Of shape (N, `num_ws`, `w_dim`), or of (N, 1, `w_dim`) or (N, `w_dim`) for one `w` in all style
    /// inputs.
    ///
    /// # Errors
    /// If the file cannot be read, or has no such array.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let reading = || format!("read style inputs of `{name}`");
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) {
            return Ok(Self { array: npy::read(path).with_context(reading)?, path: name });
        }
        let mut arrays = npz::read(path).with_context(reading)?;
        let found: Vec<String> = arrays.keys().cloned().collect();
        let key = NAMES.iter().copied().find(|key| arrays.contains_key(*key));
        let key = key.map(str::to_owned).or_else(|| (found.len() == 1).then(|| found[0].clone()));
        if let Some(array) = key.and_then(|key| arrays.remove(&key)) {
            Ok(Self { path: name, array })
        } else {
            let expected = "expected an array `w` of style inputs";
            let problem = format!("`{name}`: {expected}, found {}", found.join(", "));
            Err(Error::request(problem))
        }
    }

    /// The style inputs of an array, which errors call `ws`.
    pub fn of_array(array: Array) -> Self {
        Self { path: "ws".into(), array }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.array.shape().first().copied().unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As `ws` of a generator, (N, `num_ws`, `w_dim`).
    ///
    /// # Errors
    /// If the shape is not one of this generator, or a value is not finite.
    pub fn of(&self, generator: &dyn Generator) -> Result<Tensor> {
        let GeneratorInfo { num_ws, w_dim, .. } = generator.info();
        let (n, shape) = (self.len(), self.array.shape());
        let each = match shape {
            [_, rows, dim] if *rows == num_ws && *dim == w_dim => num_ws,
            [_, 1, dim] | [_, dim] if *dim == w_dim => 1,
            _ => {
                let path = &self.path;
                let found = format!("`{path}`: style inputs of shape {shape:?}");
                let expected = format!("expected (N, {num_ws}, {w_dim}) or (N, {w_dim})");
                return Err(Error::request(format!("{found}, {expected} for this generator")));
            }
        };
        let values = self.array.to_f32();
        if n == 0 {
            return Err(Error::request(format!("`{}` is empty", self.path)));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let (row, path) = (at / (each * w_dim), &self.path);
            return Err(Error::request(format!("row {row} of `{path}` is infinite or NaN")));
        }
        let ws = Tensor::from_vec(values, (n, each, w_dim), generator.device())?;
        Ok(ws.broadcast_as((n, num_ws, w_dim))?.contiguous()?)
    }
}

/// Writes `ws` (N, `num_ws`, `w_dim`) as the array `w` of an `.npz`, which the published tools read.
///
/// # Errors
/// If the file cannot be written.
pub fn write_codes(path: &Path, ws: &Tensor) -> Result<()> {
    let shape = ws.dims().to_vec();
    let values: Vec<f32> = ws.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    Ok(npz::write(path, [("w", &Array::from_f32(shape, &values)?)])?)
}
