//! Short work beside the queue: a few pieces at once, the others wait for their turn.

use std::sync::Arc;

use ganscope::{Error, Kind, Result};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::reply::{Failure, Reply};
use crate::server::PATIENCE;

/// Pieces that are done at once.
const AT_ONCE: usize = 8;

/// Room for short work.
#[derive(Debug)]
pub(crate) struct Aside {
    free: Arc<Semaphore>,
}

impl Default for Aside {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Aside {
    /// Does something away from the threads that serve. A visitor who goes away while he waits is
    /// forgotten; what has begun keeps its room to its end.
    ///
    /// # Errors
    /// [`Failure::Busy`] if there is no room in time; the error of the work, or that of a panic.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let turn = timeout(PATIENCE, self.free.clone().acquire_owned());
        let Ok(Ok(permit)) = turn.await else { return Err(Failure::Busy) };
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        let panicked = |_| Error::problem(Kind::Internal, format!("{what} ended in a panic"));
        Ok(done.await.map_err(panicked)??)
    }
}
