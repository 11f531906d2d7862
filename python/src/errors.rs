//! Errors of the library as exceptions of `ganscope._errors`, which chooses the class by the kind.

use std::any::Any;

use ganscope::{Error, Hint, Kind, Warning};
use pyo3::prelude::*;
use serde_json::Value;

/// An exception of the package: `kind` is that of the library, or `argument` or `state`.
fn exception(py: Python<'_>, kind: &str, message: &str, hint: Option<String>) -> PyErr {
    let made = || py.import("ganscope._errors")?.call_method1("exception", (kind, message, hint));
    made().map_or_else(|error| error, PyErr::from_value)
}

/// The exception for an error of the library.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, &name(error.kind()), &error.report(), words(error.hint().as_ref()))
}

/// The exception for an argument that no parameter takes, a `TypeError`.
pub(crate) fn unfit_argument(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, "argument", &error.report(), words(error.hint().as_ref()))
}

/// The exception for an object that cannot be used now.
pub(crate) fn unusable(py: Python<'_>, message: &str, hint: &str) -> PyErr {
    exception(py, "state", message, Some(hint.to_owned()))
}

/// The exception for a panic: a defect of the library.
pub(crate) fn panicked(py: Python<'_>, payload: &(dyn Any + Send)) -> PyErr {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = format!("a defect of ganscope: {}", text.unwrap_or("unknown"));
    exception(py, &name(Kind::Internal), &message, Some("please report it".to_owned()))
}

/// Issues a warning of the library.
pub(crate) fn warn(py: Python<'_>, warning: &Warning) -> PyResult<()> {
    let hint = words(warning.hint.as_ref());
    py.import("ganscope._errors")?.call_method1("warn", (&warning.text, hint)).map(|_| ())
}

/// The name of a kind, as `bad-request`.
fn name(kind: Kind) -> String {
    match serde_json::to_value(kind) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

/// A hint in the words of Python: fields are keyword arguments, tasks are functions.
fn words(hint: Option<&Hint>) -> Option<String> {
    hint?.words(&mut |task, field| match (task, field) {
        (None, field) => Some(format!("`{}=`", field?)),
        (Some("stats"), Some(field)) => Some(format!("`ganscope.statistics({field}=True)`")),
        (Some("stats"), None) => Some("`ganscope.statistics`".to_owned()),
        (Some("list"), None) => Some("`ganscope.catalog()`".to_owned()),
        _ => None,
    })
}

/// Panics with `message`, to test how panics arrive.
#[pyfunction]
#[pyo3(name = "_panic")]
pub(crate) fn panic(py: Python<'_>, message: String) -> PyResult<()> {
    crate::work::run(py, None, |_| panic!("{message}"))
}
