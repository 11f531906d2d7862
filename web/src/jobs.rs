//! Long work: one piece after another, watched, and stopped on request.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ganscope::{Error, Kind, Result, Step, Unit, Warning, Watch};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::reply::{Failure, Reply, told};

/// Pieces of work that wait at once.
const WAITING: usize = 16;
/// Pieces of work whose results are kept, and the bytes of their files together.
const KEPT: usize = 32;
const KEPT_BYTES: usize = 256 << 20;

/// What a piece of work leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The result.
    pub(crate) json: Value,
    /// Pictures and arrays by name, with their types.
    pub(crate) files: BTreeMap<String, (&'static str, Vec<u8>)>,
}

type Work = Box<dyn FnOnce(&mut dyn Watch) -> Result<Done> + Send>;

/// How far a piece of work is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// The part that is under way.
    what: String,
    done: u64,
    total: Option<u64>,
    /// `items` or `bytes`.
    unit: &'static str,
    warnings: Vec<String>,
    /// Why it failed, and advice.
    error: Option<Value>,
}

/// Where a piece of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    Waiting,
    Running,
    Done,
    Failed,
    Stopped,
}

impl Phase {
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Stopped)
    }
}

/// A piece of work.
pub(crate) struct Job {
    pub(crate) id: u64,
    stop: AtomicBool,
    state: watch::Sender<State>,
    work: Mutex<Option<Work>>,
    done: OnceLock<Done>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Job {
    /// Its states from now on.
    pub(crate) fn states(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Its result, once there is one.
    pub(crate) fn done(&self) -> Option<&Done> {
        self.done.get()
    }

    /// Asks it to end.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn bytes(&self) -> usize {
        self.done().map_or(0, |done| done.files.values().map(|(_, bytes)| bytes.len()).sum())
    }

    fn run(&self) {
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(work) = work else { return };
        let mut observer = Observer { job: self };
        self.state.send_modify(|state| state.phase = Phase::Running);
        let outcome = if self.stop.load(Ordering::Relaxed) {
            Ok(Err(Error::Cancelled))
        } else {
            catch_unwind(AssertUnwindSafe(|| work(&mut observer)))
        };
        let (phase, error) = match outcome {
            Ok(Ok(done)) => {
                // Nobody else sets it.
                let _set = self.done.set(done);
                (Phase::Done, None)
            }
            Ok(Err(error)) if error.kind() == Kind::Cancelled => (Phase::Stopped, None),
            Ok(Err(error)) => (Phase::Failed, Some(told(&error))),
            Err(_) => {
                let advice = "this is a defect of ganscope: please report it";
                (
                    Phase::Failed,
                    Some(json!({ "error": "the work ended in a panic", "hint": advice })),
                )
            }
        };
        self.state.send_modify(|state| {
            state.phase = phase;
            state.error = error;
        });
    }
}

/// Puts what the library reports into the state of a job.
struct Observer<'a> {
    job: &'a Job,
}

impl Watch for Observer<'_> {
    fn step(&mut self, step: Step<'_>) {
        self.job.state.send_modify(|state| {
            if state.what != step.what {
                step.what.clone_into(&mut state.what);
            }
            (state.done, state.total) = (step.done, step.total);
            state.unit = match step.unit {
                Unit::Items => "items",
                Unit::Bytes => "bytes",
            };
        });
    }

    fn warn(&mut self, warning: &Warning) {
        self.job.state.send_modify(|state| state.warnings.push(warning.text.clone()));
    }

    fn stop(&self) -> bool {
        self.job.stop.load(Ordering::Relaxed)
    }
}

/// All pieces of work.
#[derive(Debug)]
pub(crate) struct Jobs {
    queue: SyncSender<Arc<Job>>,
    known: Mutex<VecDeque<Arc<Job>>>,
    next: AtomicU64,
}

impl Jobs {
    /// Starts the thread that works.
    pub(crate) fn start() -> Self {
        let (queue, waiting): (_, Receiver<Arc<Job>>) = sync_channel(WAITING);
        std::thread::spawn(move || waiting.into_iter().for_each(|job| job.run()));
        Self { queue, known: Mutex::default(), next: AtomicU64::new(1) }
    }

    /// Puts work into the queue.
    ///
    /// # Errors
    /// [`Failure::Busy`] if the queue is full.
    pub(crate) fn submit(
        &self,
        work: impl FnOnce(&mut dyn Watch) -> Result<Done> + Send + 'static,
    ) -> Reply<Arc<Job>> {
        let state = State {
            phase: Phase::Waiting,
            what: String::new(),
            done: 0,
            total: None,
            unit: "items",
            warnings: Vec::new(),
            error: None,
        };
        let job = Arc::new(Job {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            stop: AtomicBool::new(false),
            state: watch::Sender::new(state),
            work: Mutex::new(Some(Box::new(work))),
            done: OnceLock::new(),
        });
        match self.queue.try_send(job.clone()) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                return Err(Failure::Busy);
            }
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.push_back(job.clone());
        let too_much = |known: &VecDeque<Arc<Job>>| {
            let bytes: usize = known.iter().map(|job| job.bytes()).sum();
            known.len() > KEPT || bytes > KEPT_BYTES
        };
        while too_much(&known) {
            let oldest = known.iter().position(|job| job.state.borrow().phase.is_final());
            let Some(oldest) = oldest else { break };
            known.remove(oldest);
        }
        Ok(job)
    }

    /// A piece of work by its number.
    ///
    /// # Errors
    /// If there is none, or its results are no longer kept.
    pub(crate) fn get(&self, id: u64) -> Reply<Arc<Job>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|job| job.id == id).cloned();
        Ok(found.ok_or_else(|| Error::not_found(format!("there is no work {id}, or no longer")))?)
    }
}
