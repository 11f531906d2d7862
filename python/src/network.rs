//! A network alone, to measure what a stream costs beside it.

use ganscope::images::{BatchOptions, ImageBatch, batches};
use ganscope::models::extractor::Extractor;
use ganscope::score::stream::StreamRequest;
use ganscope::stats::Needs;
use pyo3::prelude::*;

use crate::sets::{Given, axes, requested};
use crate::work::run;

/// The network of a stream, and batches of images as it takes them.
#[pyclass(frozen, name = "_Network", module = "ganscope._ganscope")]
#[derive(Debug)]
pub(crate) struct Network {
    extractor: Extractor,
    batches: Vec<ImageBatch>,
}

#[pymethods]
impl Network {
    /// Opens the network and prepares the images.
    #[new]
    #[pyo3(signature = (options, images, axes=None))]
    fn new(
        py: Python<'_>,
        options: &str,
        images: &Bound<'_, PyAny>,
        axes: Option<String>,
    ) -> PyResult<Self> {
        let request: StreamRequest = requested(py, options)?;
        let (images, axes) = (Given::read(images)?, self::axes(py, axes)?);
        run(py, None, |watch| {
            let extractor = request.features.open_extractor(Needs::STATS, None, watch)?;
            let images = images.open_images(&request.features.set_options(), axes)?;
            let options = BatchOptions { batch: request.features.batch, ..BatchOptions::default() };
            let all = batches(&images, 0..images.len(), extractor.preprocess, options);
            let batches = all.collect::<Result<_, _>>()?;
            Ok(Self { extractor, batches })
        })
    }

    /// Computes the features of all images, and forgets them.
    fn forward(&self, py: Python<'_>) -> PyResult<()> {
        run(py, None, |_| {
            for batch in &self.batches {
                self.extractor.network.extract(batch)?;
            }
            Ok(())
        })
    }
}
