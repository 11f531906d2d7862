//! Progress and warnings of long tasks, and a way to stop them.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::error::{Error, Hint, Result};

/// The unit of a [`Step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things: images, paths, maps.
    Items,
    /// Bytes of a file.
    Bytes,
}

/// How far a part of a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// The part, for people: a set, a download, `heat maps`.
    pub what: &'a str,
    /// How much is done.
    pub done: u64,
    /// How much of that an earlier run had done, so that it does not count as speed.
    pub resumed: u64,
    /// How much there is, where that is known.
    pub total: Option<u64>,
    /// The unit of the numbers.
    pub unit: Unit,
}

/// A warning about a result that may mislead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The warning.
    pub text: String,
    /// Advice.
    pub hint: Option<Hint>,
}

impl<T: Into<String>> From<T> for Warning {
    fn from(text: T) -> Self {
        Self { text: text.into(), hint: None }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// The observer of a long task. `()` observes nothing and never stops.
///
/// A bar in a terminal, events of a server and a callback of another language are observers. Tasks
/// ask [`stop`](Self::stop) between batches; a stopped task returns [`Error::Cancelled`].
pub trait Watch {
    /// A part of the task came this far.
    fn step(&mut self, step: Step<'_>) {
        let _ = step;
    }

    /// A part of the task is finished.
    fn finished(&mut self) {}

    /// A result may mislead. The result has the same warning.
    fn warn(&mut self, warning: &Warning) {
        let _ = warning;
    }

    /// Something worth knowing that puts no result in doubt.
    fn note(&mut self, note: &str) {
        let _ = note;
    }

    /// Whether the task should end as soon as it can.
    fn stop(&self) -> bool {
        false
    }
}

impl Watch for () {}

/// Fails if the task should end.
pub(crate) fn go_on(watch: &dyn Watch) -> Result<()> {
    if watch.stop() { Err(Error::Cancelled) } else { Ok(()) }
}

/// Counts the items of a part of a task.
pub(crate) struct Counter<'w, 'a> {
    watch: &'w mut dyn Watch,
    step: Step<'a>,
}

impl<'w, 'a> Counter<'w, 'a> {
    /// Begins a part `what` of `total` items, `done` of which an earlier run did.
    pub(crate) fn new(watch: &'w mut dyn Watch, what: &'a str, done: usize, total: usize) -> Self {
        let (done, total) = (done as u64, Some(total as u64));
        let step = Step { what, done, resumed: done, total, unit: Unit::Items };
        watch.step(step);
        Self { watch, step }
    }

    /// Goes on to `done` items.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(crate) fn at(&mut self, done: usize) -> Result<()> {
        self.step.done = done as u64;
        self.watch.step(self.step);
        go_on(self.watch)
    }

    /// Goes on by one item.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(crate) fn add(&mut self) -> Result<()> {
        self.at(self.step.done as usize + 1)
    }
}

impl Drop for Counter<'_, '_> {
    fn drop(&mut self) {
        self.watch.finished();
    }
}

/// A view of a download as a part `what` of a task.
pub(crate) fn download<'w>(
    watch: &'w mut dyn Watch,
    what: &'w str,
) -> impl FnMut(u64, Option<u64>) + 'w {
    move |done, total| {
        watch.step(Step { what, done, resumed: 0, total, unit: Unit::Bytes });
        if total == Some(done) {
            watch.finished();
        }
    }
}
