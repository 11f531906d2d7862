//! Scores of sets and of rows, and the catalog.

use ganscope::metrics::MetricOptions;
use ganscope::score::{Custom, ScoreRequest, score_with};
use ganscope::source::Source;
use pyo3::prelude::*;

use crate::sets::{Given, axes, requested, rows};
use crate::work::{checked, run};

/// The report of `generated` sets as JSON, and its conditions in a line.
#[pyfunction]
#[pyo3(signature = (generated, reference, options, axes, progress))]
pub(crate) fn score(
    py: Python<'_>,
    generated: &Bound<'_, PyAny>,
    reference: Option<&Bound<'_, PyAny>>,
    options: &str,
    axes: Option<String>,
    progress: Option<Py<PyAny>>,
) -> PyResult<(String, String)> {
    let request: ScoreRequest = requested(py, options)?;
    let axes = self::axes(py, axes)?;
    let generated = Given::read_all(generated)?;
    let reference = reference.map(Given::read).transpose()?;
    run(py, progress, |watch| {
        request.features.check()?;
        let open = |set: Given| set.open(&request.features.set_options(), axes);
        let custom = Custom {
            generated: generated
                .into_iter()
                .map(open)
                .collect::<ganscope::Result<Vec<Source>>>()?,
            reference: reference.map(open).transpose()?,
            ..Custom::default()
        };
        let report = score_with(&request, custom, watch)?;
        Ok((serde_json::to_string_pretty(&report)?, report.summary()))
    })
}

/// Scores of the metric `name` on rows: `(name, value, std)` each.
#[pyfunction]
#[pyo3(signature = (name, generated, reference, options))]
pub(crate) fn score_rows(
    py: Python<'_>,
    name: &str,
    generated: &Bound<'_, PyAny>,
    reference: Option<&Bound<'_, PyAny>>,
    options: &str,
) -> PyResult<Vec<(String, f64, Option<f64>)>> {
    let options: MetricOptions = requested(py, options)?;
    let generated = rows(generated)?;
    let reference = reference.map(rows).transpose()?;
    run(py, None, |_| {
        let scores = ganscope::score::rows::score_rows(name, generated, reference, &options)?;
        Ok(scores.into_iter().map(|s| (s.name.to_owned(), s.value, s.std)).collect())
    })
}

/// Everything with a name as JSON.
#[pyfunction]
pub(crate) fn catalog(py: Python<'_>) -> PyResult<String> {
    checked(py, serde_json::to_string(&ganscope::listing::listings()))
}
