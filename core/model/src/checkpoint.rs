//! Strict loading: every tensor is requested by name and shape, and none may be left over.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use ganscope_weights::{Array, Weights};

use crate::{Error, Result};

/// The tensors of a checkpoint that no layer has taken yet.
///
/// A network takes its tensors with [`take`](Self::take) and the loader closes with
/// [`finish`](Self::finish); a missing tensor, another shape and a leftover are errors.
#[derive(Debug)]
pub struct Checkpoint {
    tensors: BTreeMap<String, Array>,
    config: serde_json::Map<String, serde_json::Value>,
}

impl From<Weights> for Checkpoint {
    fn from(weights: Weights) -> Self {
        Self { tensors: weights.arrays, config: weights.config }
    }
}

impl Checkpoint {
    /// A checkpoint of float32 tensors, name to (shape, values in C order).
    ///
    /// # Errors
    /// If a shape and its values do not fit.
    pub fn from_f32(tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Result<Self> {
        let array = |(name, (shape, values)): (String, (Vec<usize>, Vec<f32>))| {
            Ok((name, Array::from_f32(shape, &values)?))
        };
        let tensors = tensors.into_iter().map(array).collect::<Result<_>>()?;
        Ok(Self { tensors, config: serde_json::Map::new() })
    }

    /// Hyper-parameters that the file carries.
    pub fn config(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.config
    }

    /// Names that have not been taken, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether `name` is there and not taken.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Shape of `name`, where it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(Array::shape)
    }

    /// Takes the values of `name`, in C order, if it has exactly this shape.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let Some(array) = self.tensors.get(name) else {
            return Err(self.missing(name, shape));
        };
        if array.shape() != shape {
            return Err(Error::WrongShape {
                name: name.into(),
                expected: shape.into(),
                got: array.shape().into(),
            });
        }
        let values = array.to_f32();
        self.tensors.remove(name);
        Ok(values)
    }

    /// Takes `name`, of any shape.
    pub fn take_any(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let array = self.tensors.remove(name).ok_or_else(|| self.missing(name, &[]))?;
        Ok((array.shape().to_vec(), array.to_f32()))
    }

    /// Takes `name` as a tensor of this shape on `device`.
    pub fn tensor(&mut self, name: &str, shape: &[usize], device: &Device) -> Result<Tensor> {
        Ok(Tensor::from_vec(self.take(name, shape)?, shape, device)?)
    }

    /// The same tensors, `prefix` taken from the names that begin with it.
    #[must_use]
    pub fn without_prefix(self, prefix: &str) -> Self {
        let plain = |(name, array): (String, Array)| {
            let name = name.strip_prefix(prefix).map_or(name.clone(), str::to_owned);
            (name, array)
        };
        Self { tensors: self.tensors.into_iter().map(plain).collect(), ..self }
    }

    /// Drops the tensors for which `unused` is true: counters and buffers that no forward pass
    /// reads.
    pub fn discard(&mut self, unused: impl Fn(&str) -> bool) {
        self.tensors.retain(|name, _| !unused(name));
    }

    /// Fails when a tensor was not taken.
    pub fn finish(self) -> Result<()> {
        match self.tensors.keys().next() {
            None => Ok(()),
            Some(first) => Err(Error::Leftover { count: self.tensors.len(), first: first.clone() }),
        }
    }

    fn missing(&self, name: &str, shape: &[usize]) -> Error {
        let leaf = name.rsplit('.').next().unwrap_or(name);
        let same_parent = |other: &&String| {
            other.ends_with(name)
                || name.ends_with(other.as_str())
                || (other.rsplit('.').next() == Some(leaf)
                    && other.split('.').next() == name.split('.').next())
        };
        let similar = self.tensors.keys().find(same_parent).cloned();
        Error::MissingTensor { name: name.into(), shape: shape.into(), similar }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Checkpoint {
        Checkpoint::from_f32(BTreeMap::from([
            ("a.weight".to_owned(), (vec![2, 1], vec![1.0, 2.0])),
            ("a.bias".to_owned(), (vec![1], vec![3.0])),
        ]))
        .unwrap()
    }

    #[test]
    fn a_wrong_shape_is_named() {
        let error = two().take("a.weight", &[1, 2]).unwrap_err().to_string();
        assert_eq!(error, "tensor `a.weight` has shape [2, 1], expected [1, 2]");
    }

    #[test]
    fn a_missing_tensor_is_named_with_one_that_resembles_it() {
        let error = two().take("module.a.bias", &[1]).unwrap_err().to_string();
        let expected = "checkpoint has no tensor `module.a.bias` of shape [1] (but has `a.bias`)";
        assert_eq!(error, expected);
    }

    #[test]
    fn a_leftover_is_an_error_and_a_taken_tensor_is_none() {
        let mut checkpoint = two();
        assert_eq!(checkpoint.take("a.weight", &[2, 1]).unwrap(), [1.0, 2.0]);
        let error = checkpoint.finish().unwrap_err().to_string();
        assert!(error.contains("1 tensors") && error.contains("`a.bias`"), "{error}");
    }
}
