//! Explanations of images.

use ganscope::explain::{ExplainRequest, Explained, Explanations, Map};
use ganscope::{Result, Watch};
use numpy::{PyArray1, PyArrayMethods as _};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::sets::{Given, axes, pictures, requested};
use crate::work::run;

/// What was found in each image: report as JSON, title, picture, and the maps by method, each the
/// values (H, W, C) and their overlay on the picture.
#[pyfunction]
#[pyo3(signature = (images, options, axes, progress))]
pub(crate) fn explain<'py>(
    py: Python<'py>,
    images: &Bound<'py, PyAny>,
    options: &str,
    axes: Option<String>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let mut request: ExplainRequest = requested(py, options)?;
    let (images, axes) = (Given::read(images)?, self::axes(py, axes)?);
    request.images.extend(images.path().map(str::to_owned));
    let found = run(py, progress, |watch| {
        let open = request.open(watch)?;
        let found: Result<Vec<Explained>> = match images.path() {
            Some(_) => (0..open.len()).map(|i| open.explain(i, watch)).collect(),
            None => of_arrays(&open, images, axes, watch),
        };
        let drawn = |found: Explained| {
            let overlays =
                found.maps.iter().map(|map| found.overlay(map)).collect::<Result<Vec<_>>>()?;
            Ok((serde_json::to_string(&found.report)?, found, overlays))
        };
        found?.into_iter().map(drawn).collect::<Result<Vec<_>>>()
    })?;
    let dict = |(report, found, overlays): (String, Explained, Vec<ganscope::images::Image>)| {
        let maps = PyDict::new(py);
        for (map, overlay) in found.maps.iter().zip(&overlays) {
            let overlay = pictures(py, std::slice::from_ref(overlay))?.get_item(0)?;
            maps.set_item(map.method.name(), (values(py, map)?, overlay))?;
        }
        let dict = PyDict::new(py);
        dict.set_item("report", report)?;
        dict.set_item("title", found.title)?;
        dict.set_item("picture", pictures(py, &[found.picture])?.get_item(0)?)?;
        dict.set_item("maps", maps)?;
        Ok(dict)
    };
    found.into_iter().map(dict).collect()
}

fn of_arrays(
    open: &Explanations,
    images: Given,
    axes: Option<ganscope::images::Axes>,
    watch: &mut dyn Watch,
) -> Result<Vec<Explained>> {
    let images = images.open_images(&ganscope::images::SetOptions::default(), axes)?;
    let explain = |i| open.explain_image(&images.name(i), images.get(i)?.image, watch);
    (0..images.len()).map(explain).collect()
}

/// The values of a map, (H, W, C).
fn values<'py>(py: Python<'py>, map: &Map) -> PyResult<Bound<'py, PyAny>> {
    let shape = map.values.shape;
    let values = PyArray1::from_slice(py, &map.values.data);
    Ok(values.reshape([shape.h, shape.w, shape.c])?.into_any())
}
