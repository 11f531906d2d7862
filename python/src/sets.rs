//! Sets of images and rows, requests from JSON, pictures as arrays.

use std::path::PathBuf;

use ganscope::images::{Axes, Image, ImageSet, SetOptions};
use ganscope::requests::{check_names, request};
use ganscope::score::statistics::Stored;
use ganscope::source::Source;
use ganscope::stats::{FeatureSet, Features};
use ganscope::{Error, Result};
use numpy::ndarray::Dimension;
use numpy::{
    Element, PyArray1, PyArrayMethods as _, PyReadonlyArray, PyReadonlyArray2, PyReadonlyArrayDyn,
    PyUntypedArrayMethods as _,
};
use pyo3::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::errors;
use crate::work::checked;

/// A set as Python gave it, copied out of its memory.
pub(crate) struct Given {
    name: String,
    content: Content,
}

enum Content {
    Path,
    Files(Vec<PathBuf>),
    /// Arrays of images, shape and bytes in C order.
    Arrays(Vec<(Vec<usize>, Vec<u8>)>),
    Rows(Features),
}

impl Given {
    /// Reads `(kind, name, content)` of `ganscope._sets`.
    pub(crate) fn read(set: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (kind, name, content) = set.extract::<(String, String, Bound<'_, PyAny>)>()?;
        let content = match kind.as_str() {
            "path" => Content::Path,
            "files" => Content::Files(content.extract()?),
            "arrays" => Content::Arrays(content.try_iter()?.map(array).collect::<PyResult<_>>()?),
            _ => Content::Rows(rows(&content)?),
        };
        Ok(Self { name, content })
    }

    /// Reads a list of sets.
    pub(crate) fn read_all(sets: &Bound<'_, PyAny>) -> PyResult<Vec<Self>> {
        sets.try_iter()?.map(|set| Self::read(&set?)).collect()
    }

    /// The path of a set that is one.
    pub(crate) fn path(&self) -> Option<&str> {
        matches!(self.content, Content::Path).then_some(&self.name)
    }

    /// The set as the library takes it.
    pub(crate) fn open(self, options: &SetOptions, axes: Option<Axes>) -> Result<Source> {
        let Self { name, content } = self;
        let images = match content {
            Content::Path => return Source::open(&name, options),
            Content::Rows(rows) => {
                let set = FeatureSet::of_rows(rows)?;
                return Ok(Source::of_stored(name, Stored { set, convention: None }));
            }
            Content::Files(paths) => ImageSet::from_files(paths)?,
            Content::Arrays(arrays) => {
                let set = |(shape, data): (Vec<usize>, _)| ImageSet::from_array(&shape, data, axes);
                let mut sets =
                    arrays.into_iter().map(set).collect::<std::result::Result<Vec<_>, _>>()?;
                if sets.len() == 1 { sets.swap_remove(0) } else { ImageSet::joined(sets) }
            }
        };
        Ok(Source::of_images(name, images))
    }

    /// The set of images as the library takes it.
    pub(crate) fn open_images(self, options: &SetOptions, axes: Option<Axes>) -> Result<ImageSet> {
        Ok(self.open(options, axes)?.need_images()?.clone())
    }
}

fn array(array: PyResult<Bound<'_, PyAny>>) -> PyResult<(Vec<usize>, Vec<u8>)> {
    let array: PyReadonlyArrayDyn<'_, u8> = array?.extract()?;
    Ok((array.shape().to_vec(), in_order(&array)))
}

/// Rows of features, (N, dim) float32.
pub(crate) fn rows(array: &Bound<'_, PyAny>) -> PyResult<Features> {
    let rows: PyReadonlyArray2<'_, f32> = array.extract()?;
    let dim = rows.as_array().ncols();
    checked(array.py(), Features::from_vec(in_order(&rows), dim))
}

/// The values of an array in C order.
fn in_order<T: Element + Copy, D: Dimension>(array: &PyReadonlyArray<'_, T, D>) -> Vec<T> {
    match array.as_slice() {
        Ok(values) => values.to_vec(),
        Err(_) => array.as_array().iter().copied().collect(),
    }
}

/// The order of axes that was given.
pub(crate) fn axes(py: Python<'_>, axes: Option<String>) -> PyResult<Option<Axes>> {
    checked(py, axes.map(|axes| axes.parse()).transpose().map_err(Error::from))
}

/// The request that keyword arguments make, which come as a JSON object.
pub(crate) fn requested<R>(py: Python<'_>, options: &str) -> PyResult<R>
where
    R: Default + Serialize + DeserializeOwned,
{
    let named: Map<String, Value> = checked(py, serde_json::from_str(options))?;
    check_names::<R>(&named).map_err(|error| errors::unfit_argument(py, &error))?;
    checked(py, request(named))
}

/// Pictures of one size as an array (N, H, W, 3) of bytes.
pub(crate) fn pictures<'py>(py: Python<'py>, pictures: &[Image]) -> PyResult<Bound<'py, PyAny>> {
    let (height, width) = pictures.first().map_or((0, 0), |image| (image.height, image.width));
    let bytes: Vec<u8> = pictures.iter().flat_map(|image| image.pixels.iter().copied()).collect();
    Ok(PyArray1::from_vec(py, bytes).reshape([pictures.len(), height, width, 3])?.into_any())
}
