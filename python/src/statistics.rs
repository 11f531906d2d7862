//! Statistics and features of sets.

use std::path::PathBuf;

use ganscope::features::Cache;
use ganscope::score::statistics::{
    RowsRequest, StatisticsFormat, StatisticsRequest, merge_statistics as merge, rows_of,
    statistics_of, write_statistics,
};
use ganscope::{Error, files};
use numpy::{PyArray1, PyArrayMethods as _};
use pyo3::prelude::*;

use crate::sets::{Given, axes, requested};
use crate::work::run;

/// Writes statistics of images; the facts of the set as JSON.
#[pyfunction]
#[pyo3(signature = (images, output, options, axes, progress))]
pub(crate) fn statistics(
    py: Python<'_>,
    images: &Bound<'_, PyAny>,
    output: PathBuf,
    options: &str,
    axes: Option<String>,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let request: StatisticsRequest = requested(py, options)?;
    let (images, axes) = (Given::read(images)?, self::axes(py, axes)?);
    run(py, progress, |watch| {
        StatisticsFormat::of(&output)?.check(&request)?;
        files::check_writable(&output)?;
        let source = images.open(&request.features.set_options(), axes)?;
        let found = statistics_of(&source, &request, watch)?;
        write_statistics(&output, &found.stored)?;
        Ok(serde_json::to_string(&found.facts)?)
    })
}

/// Merges files of statistics into one; the number of images.
#[pyfunction]
#[pyo3(signature = (parts, output))]
pub(crate) fn merge_statistics(
    py: Python<'_>,
    parts: Vec<PathBuf>,
    output: PathBuf,
) -> PyResult<Option<u64>> {
    run(py, None, |watch| {
        StatisticsFormat::of(&output)?;
        let merged = merge(&parts, watch)?;
        write_statistics(&output, &merged)?;
        Ok(merged.set.count())
    })
}

/// The folder in which the user's features are kept between runs, if there is one.
#[pyfunction]
pub(crate) fn cache_folder() -> Option<PathBuf> {
    Cache::User.folder()
}

/// Rows of features (N, dim), the name of the image of each, and the convention as JSON.
#[pyfunction]
#[pyo3(signature = (images, options, axes, progress))]
pub(crate) fn features<'py>(
    py: Python<'py>,
    images: &Bound<'py, PyAny>,
    options: &str,
    axes: Option<String>,
    progress: Option<Py<PyAny>>,
) -> PyResult<(Bound<'py, PyAny>, Vec<String>, String)> {
    let request: RowsRequest = requested(py, options)?;
    let (images, axes) = (Given::read(images)?, self::axes(py, axes)?);
    let (found, convention) = run(py, progress, |watch| {
        let source = images.open(&request.features.set_options(), axes)?;
        let found = rows_of(&source, &request, watch)?;
        let convention = serde_json::to_string(&found.convention).map_err(Error::from)?;
        Ok((found, convention))
    })?;
    let shape = [found.rows.len(), found.rows.dim()];
    let rows = PyArray1::from_vec(py, found.rows.into_vec()).reshape(shape)?;
    Ok((rows.into_any(), found.names, convention))
}
