//! Generators: style inputs of seeds, pictures of style inputs.

use std::sync::Mutex;

use ganscope::Error;
use ganscope::latents::{Drawing, DrawingRequest};
use ganscope::weights::Array;
use numpy::{PyArray1, PyArrayMethods as _, PyReadonlyArrayDyn};
use pyo3::prelude::*;
use serde_json::json;

use crate::sets::{pictures, requested};
use crate::work::{borrow, checked, closed, run};

/// An open generator.
#[pyclass(frozen, module = "ganscope._ganscope")]
#[derive(Debug)]
pub(crate) struct Generator(Mutex<Option<Drawing>>);

#[pymethods]
impl Generator {
    #[new]
    #[pyo3(signature = (options, progress))]
    fn new(py: Python<'_>, options: &str, progress: Option<Py<PyAny>>) -> PyResult<Self> {
        let request: DrawingRequest = requested(py, options)?;
        let drawing = run(py, progress, |watch| Drawing::open(&request, watch))?;
        Ok(Self(Mutex::new(Some(drawing))))
    }

    /// Style inputs of seeds, (N, `num_ws`, `w_dim`) float32.
    fn map<'py>(
        &self,
        py: Python<'py>,
        seeds: Vec<u32>,
        truncation: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut drawing = borrow(py, &self.0)?;
        let drawing = closed(py, &mut drawing)?;
        let ws = run(py, None, |_| {
            drawing.set_truncation(truncation)?;
            drawing.ws(&seeds)
        })?;
        let shape = ws.shape().to_vec();
        Ok(PyArray1::from_vec(py, ws.to_f32()).reshape(shape)?.into_any())
    }

    /// Pictures of style inputs, (N, H, W, 3) bytes.
    #[pyo3(signature = (ws, truncation, progress))]
    fn synthesize<'py>(
        &self,
        py: Python<'py>,
        ws: PyReadonlyArrayDyn<'py, f32>,
        truncation: f64,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let values: Vec<f32> = ws.as_array().iter().copied().collect();
        let ws = checked(py, Array::from_f32(ws.as_array().shape(), &values).map_err(Error::from))?;
        let mut drawing = borrow(py, &self.0)?;
        let drawing = closed(py, &mut drawing)?;
        let made = run(py, progress, |watch| {
            drawing.set_truncation(truncation)?;
            drawing.pictures_of(&ws, watch)
        })?;
        pictures(py, &made)
    }

    /// Pictures of seeds, (N, H, W, 3) bytes.
    #[pyo3(signature = (seeds, truncation, progress))]
    fn images<'py>(
        &self,
        py: Python<'py>,
        seeds: Vec<u32>,
        truncation: f64,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut drawing = borrow(py, &self.0)?;
        let drawing = closed(py, &mut drawing)?;
        let made = run(py, progress, |watch| {
            drawing.set_truncation(truncation)?;
            let mut made = Vec::with_capacity(seeds.len());
            for batch in drawing.pictures(seeds) {
                made.extend(batch?);
                if watch.stop() {
                    return Err(Error::Cancelled);
                }
            }
            Ok(made)
        })?;
        pictures(py, &made)
    }

    /// Sizes and conventions as JSON.
    fn info(&self, py: Python<'_>) -> PyResult<String> {
        let mut drawing = borrow(py, &self.0)?;
        let generator = &closed(py, &mut drawing)?.generator;
        let info = generator.info();
        checked(
            py,
            serde_json::to_string(&json!({
                "family": generator.family,
                "z_dim": info.z_dim,
                "w_dim": info.w_dim,
                "num_ws": info.num_ws,
                "c_dim": info.c_dim,
                "resolution": info.img_resolution,
                "channels": info.img_channels,
                "classes": generator.classes,
            })),
        )
    }

    /// Frees its memory.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        *borrow(py, &self.0)? = None;
        Ok(())
    }
}
