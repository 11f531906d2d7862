//! Work of the library without the interpreter's lock, watched from Python.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, TryLockError};

use ganscope::{Error, Result, Step, Unit, Warning, Watch};
use pyo3::prelude::*;

use crate::errors;

/// The process that the threads of the library belong to; 0 before there are any.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Done when the threads of the library have been started, at the first call: `RAYON_NUM_THREADS` is
/// read then.
static START: Once = Once::new();

/// Runs `work` without the lock. It ends at an interrupt, and when `progress` raises or returns
/// `False`; a panic becomes an exception.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&mut dyn Watch) -> Result<T> + Send,
) -> PyResult<T> {
    refuse_forked(py)?;
    START.call_once(|| {
        // It fails where they have been started already, and does then no harm.
        _ = ganscope::pool(0).build_global();
    });
    let mut watch = Observer { progress, ended: RefCell::new(None) };
    let outcome = py.detach(|| catch_unwind(AssertUnwindSafe(|| work(&mut watch))));
    if let Some(Ended::Raised(error)) = watch.ended.into_inner() {
        return Err(error);
    }
    match outcome {
        Ok(result) => result.map_err(|error| errors::raise(py, &error)),
        Err(payload) => Err(errors::panicked(py, &*payload)),
    }
}

/// Fails in a process that was forked after the library had started threads: they are not in it, and
/// work would wait for them for ever.
fn refuse_forked(py: Python<'_>) -> PyResult<()> {
    let process = std::process::id();
    match OWNER.compare_exchange(0, process, Ordering::Relaxed, Ordering::Relaxed) {
        Err(owner) if owner != process => Err(errors::unusable(
            py,
            "this process was forked from one in which ganscope had started its threads",
            "start processes with `multiprocessing.get_context(\"spawn\")`, or fork before the \
             first call",
        )),
        _ => Ok(()),
    }
}

/// The object of a mutex, unless another thread or a callback below uses it now.
pub(crate) fn borrow<'m, T>(py: Python<'_>, object: &'m Mutex<T>) -> PyResult<MutexGuard<'m, T>> {
    match object.try_lock() {
        Ok(guard) => Ok(guard),
        // A panic while it was at work: what it holds may be half done.
        Err(TryLockError::Poisoned(_)) => Err(errors::unusable(
            py,
            "an earlier call on this object failed with a defect",
            "make a new one",
        )),
        Err(TryLockError::WouldBlock) => Err(errors::unusable(
            py,
            "another thread is at work with this object",
            "give each thread its own, or guard it with a `threading.Lock`",
        )),
    }
}

/// Why the work should end.
enum Ended {
    /// An interrupt, or an exception of the callback.
    Raised(PyErr),
    /// The callback returned `False`.
    Asked,
}

/// Calls `progress(what, done, total, unit)` and looks for interrupts.
struct Observer {
    progress: Option<Py<PyAny>>,
    ended: RefCell<Option<Ended>>,
}

impl Observer {
    /// Keeps the first reason to end.
    fn note_end(&self, outcome: PyResult<bool>) {
        let reason = match outcome {
            Ok(true) => return,
            Ok(false) => Ended::Asked,
            Err(error) => Ended::Raised(error),
        };
        self.ended.borrow_mut().get_or_insert(reason);
    }
}

impl Watch for Observer {
    fn step(&mut self, step: Step<'_>) {
        let Some(progress) = &self.progress else { return };
        let unit = match step.unit {
            Unit::Items => "items",
            Unit::Bytes => "bytes",
        };
        let outcome = Python::attach(|py| {
            let answer = progress.bind(py).call1((step.what, step.done, step.total, unit))?;
            Ok(answer.is_none() || answer.is_truthy()?)
        });
        self.note_end(outcome);
    }

    fn warn(&mut self, warning: &Warning) {
        self.note_end(Python::attach(|py| errors::warn(py, warning)).map(|()| true));
    }

    fn stop(&self) -> bool {
        if self.ended.borrow().is_none() {
            self.note_end(Python::attach(|py| py.check_signals().map(|()| true)));
        }
        self.ended.borrow().is_some()
    }
}

/// The error of something that was closed.
pub(crate) fn closed<'o, T>(py: Python<'_>, object: &'o mut Option<T>) -> PyResult<&'o mut T> {
    object.as_mut().ok_or_else(|| errors::unusable(py, "it was closed", "open it again"))
}

/// An error of the library outside of work.
pub(crate) fn checked<T>(py: Python<'_>, result: Result<T, impl Into<Error>>) -> PyResult<T> {
    result.map_err(|error| errors::raise(py, &error.into()))
}
