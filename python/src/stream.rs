//! Scores of images that come bit by bit.

use std::sync::Mutex;

use ganscope::score::stream::{ScoreStream, StreamRequest};
use ganscope::stats::Side;
use ganscope::stats::files::{read_bytes, to_bytes};
use numpy::{PyArray1, PyArrayMethods as _};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::sets::{Given, axes, requested};
use crate::work::{borrow, checked, run};

/// Two sets that grow, and their scores.
#[pyclass(frozen, module = "ganscope._ganscope")]
#[derive(Debug)]
pub(crate) struct Stream(Mutex<ScoreStream>);

/// `(name, title, value, std, higher_is_better)` of a score.
type Score = (String, String, f64, Option<f64>, bool);

fn side(real: bool) -> Side {
    if real { Side::Reference } else { Side::Generated }
}

#[pymethods]
impl Stream {
    #[new]
    #[pyo3(signature = (options, progress))]
    fn new(py: Python<'_>, options: &str, progress: Option<Py<PyAny>>) -> PyResult<Self> {
        let request: StreamRequest = requested(py, options)?;
        run(py, progress, |watch| ScoreStream::open(&request, watch)).map(|s| Self(Mutex::new(s)))
    }

    /// Adds images.
    #[pyo3(signature = (images, real, axes, progress))]
    fn update(
        &self,
        py: Python<'_>,
        images: &Bound<'_, PyAny>,
        real: bool,
        axes: Option<String>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let (images, axes) = (Given::read(images)?, self::axes(py, axes)?);
        let mut stream = borrow(py, &self.0)?;
        let stream = &mut *stream;
        run(py, progress, move |watch| {
            stream.update(
                &images.open_images(&ganscope::images::SetOptions::default(), axes)?,
                side(real),
                watch,
            )
        })
    }

    /// The scores of the sets so far.
    fn scores(&self, py: Python<'_>) -> PyResult<Vec<Score>> {
        let stream = borrow(py, &self.0)?;
        let stream = &*stream;
        let rows = run(py, None, |_| stream.scores())?;
        let row = |r: ganscope::score::Row| (r.name, r.title, r.value, r.std, r.higher_is_better);
        Ok(rows.into_iter().map(row).collect())
    }

    fn count(&self, py: Python<'_>, real: bool) -> PyResult<u64> {
        Ok(borrow(py, &self.0)?.count(side(real)))
    }

    fn reset(&self, py: Python<'_>, real: bool) -> PyResult<()> {
        borrow(py, &self.0)?.reset(side(real));
        Ok(())
    }

    /// A set as the bytes of a file of statistics.
    fn state<'py>(&self, py: Python<'py>, real: bool) -> PyResult<Bound<'py, PyBytes>> {
        let stream = borrow(py, &self.0)?;
        let stream = &*stream;
        let bytes = run(py, None, |_| Ok(to_bytes(&stream.stored(side(real))?)?))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Adds a part of a set, as the bytes of a file of statistics.
    fn merge(&self, py: Python<'_>, part: &[u8], real: bool) -> PyResult<()> {
        let mut stream = borrow(py, &self.0)?;
        let stream = &mut *stream;
        run(py, None, |_| stream.merge(read_bytes(part)?, side(real)))
    }

    /// Mean (dim,) and unbiased covariance (dim, dim) of the features of a set.
    fn moments<'py>(
        &self,
        py: Python<'py>,
        real: bool,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let stream = borrow(py, &self.0)?;
        let stream = &*stream;
        let (mean, cov) = run(py, None, |_| {
            let set = stream.stored(side(real))?.set;
            let stats = set.stats_for("the covariance", side(real))?;
            Ok((stats.mean().as_slice().to_vec(), stats.cov()?.as_slice().to_vec()))
        })?;
        let dim = mean.len();
        let cov = PyArray1::from_vec(py, cov).reshape([dim, dim])?;
        Ok((PyArray1::from_vec(py, mean).into_any(), cov.into_any()))
    }

    /// The convention of the features as JSON.
    fn convention(&self, py: Python<'_>) -> PyResult<String> {
        let stream = borrow(py, &self.0)?;
        checked(py, serde_json::to_string(stream.convention()))
    }
}
